"""Checks of what was published: each bundle, what stands on the shelves, who receives what, by whose word, for what."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pipeline.errors import DemographicsError, PolicyError, SpecificationError
from pipeline.policy import load_policy, require_covered
from pipeline.publication.cuts import Cut
from pipeline.publication.encoding import parquet_bytes
from pipeline.publication.key_list import KEYS_NAME, Trusted
from pipeline.publication.manifest import MANIFEST_NAME
from pipeline.publication.reading import read_bundle
from pipeline.publication.signing import PUBLIC_KEY_NAME, read_public_key
from pipeline.publication.verify import verify_bundle, verify_tombstone
from pipeline.publication.views import view
from pipeline.rights.periodic.evidence import Evidence, Shelved
from pipeline.rights.periodic.findings import Failure, Looked
from pipeline.spec import ReleaseKey, load_specification

_RESTORE = "Restore it from a backup, tell its recipients, and find out who changed it."
_SHOW = "Find out who changed it, and put it right: demographics keys publish."
_TAKE_AWAY = "Take it away from recipients at once, and find out who put it there."


def genuine(evidence: Evidence) -> Looked:
    """Every bundle is signed, complete and untouched, and is the one that the ledger recorded."""
    return Looked(
        len(evidence.shelved),
        (*_key_failures(evidence), *(failure for one in evidence.shelved for failure in _broken(evidence, one))),
    )


def complete(evidence: Evidence) -> Looked:
    """The shelves hold what the ledger says was published, and nothing else."""
    expected = [
        (key, audience) for key in evidence.standing for audience in evidence.published[key].payload["manifests"]
    ]
    there = {(one.key, one.shelf) for one in evidence.shelved}
    unknown = [
        Failure(f"{one.place} stands among what recipients can read, but was never published", _TAKE_AWAY)
        for one in evidence.shelved
        if one.key not in evidence.published
    ]
    missing = [
        Failure(f"{audience}/{key} was published, but is not there", "Restore it from a backup.")
        for key, audience in expected
        if (key, audience) not in there
    ]
    return Looked(
        len(there.union(expected)),
        (*unknown, *missing),
    )


def entitled(evidence: Evidence) -> Looked:
    """No audience has a bundle or a table that the approved specification did not grant to it."""
    known = [one for one in evidence.shelved if one.key in evidence.published]
    strangers = (
        Failure(f"published/{name} is the folder of no audience that the privacy notice names", _TAKE_AWAY)
        for name in evidence.strangers
    )
    return Looked(
        len(known),
        (*strangers, *(failure for one in known for failure in _beyond(evidence, one))),
        tuple(dict.fromkeys(told for one in known for told in _not_granted_now(evidence, one))),
    )


def approved(evidence: Evidence) -> Looked:
    """A privacy reviewer approved exactly what was published."""
    scripted = [key for key in evidence.published if _is_scripted(evidence, key)]
    told = [f"A script approved {key}: no person looked at it." for key in scripted]
    return Looked(
        len(evidence.published),
        tuple(failure for key in sorted(evidence.published) for failure in _unapproved(evidence, key)),
        tuple(told),
    )


def covered(evidence: Evidence) -> Looked:
    """The privacy policy in force covers what each published release is for, and whom it goes to."""
    return Looked(
        len(evidence.standing),
        tuple(_uncovered(evidence)),
    )


def _key_failures(evidence: Evidence) -> Iterator[Failure]:
    shown = evidence.workspace.published / PUBLIC_KEY_NAME
    if not (evidence.shelved or shown.is_file()):
        return
    try:
        keys = evidence.keys
        if shown.is_file() and read_public_key(str(shown)) != keys.anchor:
            yield Failure("The public key that recipients find is not the publisher's", _SHOW)
        if keys.listed is not None:
            found = Trusted.following(keys.anchor, "", evidence.workspace.published / KEYS_NAME)
            if found.listed != keys.listed:
                yield Failure("The list of keys that recipients find is not the publisher's", _SHOW)
    except DemographicsError as failure:
        yield Failure(f"The keys that recipients find: {failure.value or failure.rule}", _SHOW)


def _broken(evidence: Evidence, shelved: Shelved) -> Iterator[Failure]:
    if (shelved.key in evidence.withdrawn) is not shelved.is_tombstone:
        what = "a tombstone of a release that nobody withdrew" if shelved.is_tombstone else "withdrawn, and still there"
        yield Failure(f"{shelved.place} is {what}", _RESTORE if shelved.is_tombstone else _TAKE_AWAY)
        return
    try:
        verify = verify_tombstone if shelved.is_tombstone else verify_bundle
        verify(shelved.folder, evidence.keys)
    except DemographicsError as failure:
        yield Failure(
            f"{shelved.place} is not what its signature and manifest say: {failure.value or failure.rule}", _RESTORE
        )
        return
    if shelved.is_tombstone:
        return
    entry = evidence.published.get(shelved.key)
    recorded = entry.payload["manifests"].get(shelved.shelf) if entry else None
    digest = hashlib.sha256((shelved.folder / MANIFEST_NAME).read_bytes()).hexdigest()
    if recorded is not None and recorded != digest:
        yield Failure(f"{shelved.place} is signed, but is not the bundle that was recorded", _RESTORE)
    if entry is not None and shelved.shelf != shelved.audience and not _is_part(evidence, shelved):
        yield Failure(f"{shelved.place} is signed, but is no part of the release that was recorded", _TAKE_AWAY)


def _is_part(evidence: Evidence, shelved: Shelved) -> bool:
    """Whether a bundle shows what its place says, of the numbers that the ledger holds."""
    found, release = read_bundle(shelved.folder), evidence.release(shelved.key)
    cut = found.manifest.identity.cut
    if release is None or cut is None:
        return False
    audience = found.manifest.identity.audience
    wanted = view(release, audience, Cut.of(audience, cut))
    same = found.tables.keys() == wanted.tables.keys() and found.manifest.tables == wanted.header.tables
    return (
        same
        and all(
            parquet_bytes(found.tables[facts.name], facts) == parquet_bytes(wanted.tables[facts.name], facts)
            for facts in wanted.header.tables
        )
        and wanted.shelf == shelved.shelf
    )


def _beyond(evidence: Evidence, shelved: Shelved) -> Iterator[Failure]:
    granted, manifest = evidence.granted(shelved.key), shelved.manifest()
    if granted is None or manifest is None or shelved.audience in evidence.strangers:
        return
    if shelved.audience not in granted:
        yield Failure(f"{shelved.place}: the approved specification names no such audience", _TAKE_AWAY)
        return
    if beyond := sorted({facts.name for facts in manifest.tables} - set(granted[shelved.audience])):
        yield Failure(f"{shelved.place}: not granted to this audience: {', '.join(beyond)}", _TAKE_AWAY)


def _not_granted_now(evidence: Evidence, shelved: Shelved) -> Iterator[str]:
    manifest, release = shelved.manifest(), shelved.key.release
    path = evidence.workspace.releases / f"{release}.yaml"
    if manifest is None or shelved.key in evidence.withdrawn:
        return
    if not path.is_file():
        yield f"{release} is still published and has no specification any more."
        return
    try:
        now = {audience.value: tables for audience, tables in load_specification(path).audiences.items()}
    except SpecificationError:  # told by the check of specifications
        return
    if gone := sorted({facts.name for facts in manifest.tables} - set(now.get(shelved.audience, ()))):
        yield f"{shelved.place} stays published; the specification of today grants this audience no {', '.join(gone)}."


def _is_scripted(evidence: Evidence, key: ReleaseKey) -> bool:
    try:
        return evidence.register.approval(key).scripted
    except DemographicsError:  # told as a failure
        return False


def _unapproved(evidence: Evidence, key: ReleaseKey) -> Iterator[Failure]:
    remedy = f"Withdraw it, or have a reviewer read it and say why it was published: {key.release}, {key.period}."
    try:
        approval = evidence.register.approval(key)
    except DemographicsError as failure:
        yield Failure(f"{key} was published, and {failure.rule}: {failure.value}", remedy)
        return
    if evidence.published[key].payload.get("candidate_sha256") != approval.candidate_sha256:
        yield Failure(f"{key}: what was approved is not what was published", remedy)


def _uncovered(evidence: Evidence) -> Iterator[Failure]:
    if not evidence.standing:
        return
    try:
        policy = load_policy(evidence.workspace.policy_file)
    except PolicyError as failure:
        yield Failure.of(failure)
        return
    for key in evidence.standing:
        header = evidence.header(key)
        try:
            if header is not None:
                require_covered(policy, header, None, evidence.today)
        except PolicyError as failure:
            yield Failure(f"{key}: {failure.value}", "Withdraw it, or give notice of a version that covers it.")
