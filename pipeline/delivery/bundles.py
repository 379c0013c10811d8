"""Bundles of parts that recipients receive of releases that are published already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.delivery.entitlements import Entitlements
from pipeline.errors import LedgerError
from pipeline.privacy.chain import EntryKind
from pipeline.publication.bundle import Approved, PublishedBundle, publish_release
from pipeline.publication.spending import year_of
from pipeline.release.artefact import PrivateRelease
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdicts
from pipeline.workspace import Workspace


def write_missing(workspace: Workspace, entitlements: Entitlements) -> tuple[Path, ...]:
    """Write the bundles of parts that entitlements give of published releases, where they are not there yet.

    Args:
        workspace: Of the site.
        entitlements: In force.

    Returns:
        The folders that were written.

    Raises:
        NotApprovedError: A published release has no approval that holds any more.
        ChecksFailedError: A bundle is not as it should be; none of its release was written.
        PublicationError: A bundle cannot be written.
    """
    register = Register.of(workspace, of_old=True)
    written: list[Path] = []
    for key in _standing(register):
        cuts = entitlements.cuts(key.release)
        if all((workspace.bundle(cut.shelf, key.release, key.period, key.revision)).exists() for cut in cuts):
            continue
        release, verdicts = release_of(register, key), Verdicts.from_bytes(register.ledger.checks(key) or b"[]")
        year = year_of(workspace, register.ledger, key)
        bundles = publish_release(workspace, release, verdicts, approved_of(register, key), cuts, year)
        written += [bundle.folder for bundle in bundles if not bundle.already_published]
    return tuple(written)


def approved_of(register: Register, key: ReleaseKey) -> Approved:
    """The approval of a release, as bundles carry it.

    Raises:
        NotApprovedError: There is none that holds.
    """
    approval = register.approval(key)
    return Approved(approval.candidate_sha256, approval.reviewer, approval.decided_at, approval.scripted)


def recorded(approved: Approved, bundles: Iterable[PublishedBundle]) -> dict[str, object]:
    """What the ledger is told of a publication: what was approved, and the digest of each whole bundle's manifest.

    Bundles of parts come and go with entitlements; they are held against the recorded release instead.
    """
    digests = {bundle.shelf: bundle.manifest_sha256 for bundle in bundles if bundle.is_whole}
    return {"candidate_sha256": approved.candidate_sha256, "manifests": digests}


def release_of(register: Register, key: ReleaseKey) -> PrivateRelease:
    """What was drawn.

    Raises:
        LedgerError: Nothing was.
    """
    content = register.ledger.artefact(key)
    if content is None:
        raise LedgerError("a release must be drawn before it is delivered", value=key, remedy="Draw it first.")
    return PrivateRelease.from_bytes(content)


def _standing(register: Register) -> list[ReleaseKey]:
    """Releases that were published and are not withdrawn, in the order of their drawing."""
    kinds = {key: {entry.kind for entry in entries} for key, entries in register.histories.items()}
    return [key for key, found in kinds.items() if EntryKind.PUBLISHED in found and EntryKind.WITHDRAWN not in found]
