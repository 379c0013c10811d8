"""Bundles: folders that recipients can read, written all at once and never changed afterwards.

Order of writing: every bundle of the release into a hidden folder beside its place, where the suite ``bundle`` reads
it as recipients will, then each renamed into place, then the files that point at them. Killed anywhere, the next run
completes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from minisign import KeyPair

from pipeline.disk import sync_folder
from pipeline.errors import DemographicsError, NotApprovedError, PublicationError
from pipeline.publication import files, shelf
from pipeline.publication.charts import draw_charts
from pipeline.publication.datapackage import DATAPACKAGE_NAME, datapackage_bytes
from pipeline.publication.encoding import csv_bytes, parquet_bytes
from pipeline.publication.manifest import (
    MANIFEST_NAME,
    SIGNATURE_NAME,
    SUMS_NAME,
    Approved,
    FileEntry,
    Manifest,
    candidate_sha256,
    file_entry,
    identity_of,
    manifest_of,
    provenance_of,
    revision_number,
    sums_bytes,
)
from pipeline.publication.readme import README_NAME, readme_bytes
from pipeline.publication.report import REPORT_NAME, report_bytes
from pipeline.publication.seal import sealed_manifest
from pipeline.publication.signing import public_key_bytes, sign, signing_key
from pipeline.publication.views import AudienceView, view
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace

__all__ = ["Approved", "PublishedBundle", "publish_release"]


@dataclass(frozen=True)
class PublishedBundle:
    """One audience's bundle, in its place.

    Attributes:
        audience: Who may read it.
        folder: ``published/{audience}/{product}/{period}/r{N}``.
        manifest_sha256: Digest of its manifest.
        already_published: True where it stood there before and was left as it is.
    """

    audience: Audience
    folder: Path
    manifest_sha256: str
    already_published: bool


def publish_release(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved
) -> tuple[PublishedBundle, ...]:
    """Put every audience's bundle of an approved release into its place.

    A bundle that stands there already is left as it is: its signature and files must hold and it must come from the
    same release, or nothing at all is written.

    Returns:
        One bundle an audience, in the order of their names.

    Raises:
        NotApprovedError: The approval is of another candidate.
        ChecksFailedError: A check of the release or of a bundle fails, or there is none. Nothing became visible.
        PublicationError: A bundle cannot be written, or another one stands in its place.
    """
    verdicts.require()
    _require_approval(candidate_sha256(release, verdicts), approved)
    with files.as_publication_errors(workspace.published), files.exclusive(workspace.published):
        pair = signing_key(workspace)
        files.sweep(workspace.published)
        views = {audience: _view(workspace, release, audience) for audience in sorted(release.header.audiences)}
        places = {audience: _place(workspace, cut) for audience, cut in views.items()}
        standing = {audience: _standing(places[audience], cut, release.sha256, pair) for audience, cut in views.items()}
        missing = {audience: views[audience] for audience, manifest in standing.items() if manifest is None}
        if missing:
            _write(missing, places, _Evidence(workspace, release, verdicts, approved, pair))
        manifests = {audience: (place / MANIFEST_NAME).read_bytes() for audience, place in places.items()}
        shelf.refresh(workspace.published, tuple(views), release.header.release)
    return tuple(
        PublishedBundle(audience, places[audience], file_entry(MANIFEST_NAME, content).sha256, audience not in missing)
        for audience, content in manifests.items()
    )


@dataclass(frozen=True)
class _Evidence:
    workspace: Workspace
    release: PrivateRelease
    verdicts: Verdicts
    approved: Approved
    pair: KeyPair

    def checks_for(self, cut: AudienceView) -> Verdicts:
        """Without checks of tables that the audience does not receive: it is not told that they exist."""
        others = set(self.release.tables) - set(cut.tables)
        return Verdicts(tuple(check for check in self.verdicts.checks if check.subject not in others))


def _require_approval(candidate: str, approved: Approved) -> None:
    if approved.candidate_sha256 != candidate:
        raise NotApprovedError(
            "an approval must be of exactly the release and the checks that are published",
            value=f"{approved.candidate_sha256[:12]} approved, {candidate[:12]} to publish",
            remedy="Have this candidate reviewed.",
        )
    _ = approved.instant  # refused now if it is no time, before anything is written


def _view(workspace: Workspace, release: PrivateRelease, audience: Audience) -> AudienceView:
    cut = view(release, audience)
    # A revision may come after one that was never published.
    there = (revision_number(place.name) for place in _place(workspace, cut).parent.glob("r*"))
    earlier = [number for number in there if number and number < release.header.revision]
    return replace(cut, supersedes=max(earlier, default=None))


def _place(workspace: Workspace, cut: AudienceView) -> Path:
    assert cut.audience is not None
    return workspace.bundle(cut.audience, cut.header.release, cut.header.period, cut.header.revision)


def _standing(place: Path, cut: AudienceView, artefact_sha256: str, pair: KeyPair) -> Manifest | None:
    """The manifest of the bundle that stands there, once it is known to be this one and untouched."""
    if not place.exists():
        return None
    try:
        manifest = sealed_manifest(place, pair.public_key)
    except DemographicsError as failure:
        raise _differs(place, str(failure)) from None
    same = manifest.identity == identity_of(cut) and manifest.tables == cut.header.tables
    if not same or manifest.provenance.artefact_sha256 != artefact_sha256:
        raise _differs(place, f"a release with digest {manifest.provenance.artefact_sha256[:12]}")
    return manifest


def _differs(place: Path, found: str) -> PublicationError:
    return PublicationError(
        f"a published bundle is never changed, and {place} holds something else",
        value=found,
        remedy="Restore it from a backup, or release a new revision.",
    )


def _write(views: Mapping[Audience, AudienceView], places: Mapping[Audience, Path], by: _Evidence) -> None:
    drawn: dict[str, str] = {}
    for cut in views.values():
        drawn |= draw_charts(cut, skip=drawn)  # a table that several audiences read is drawn once
    hidden = {audience: places[audience].with_name(f".{places[audience].name}{files.PARTIAL}") for audience in views}
    try:
        for audience, cut in views.items():
            files.fill_folder(hidden[audience], _contents(cut, drawn, by))
        _inspect(hidden, by)
        for audience, folder in hidden.items():
            folder.rename(places[audience])
            for parent in list(folder.parents)[:4]:  # period, product, audience, the published folder
                sync_folder(parent)
    finally:
        for folder in hidden.values():  # whatever was not renamed; a killed run's are swept by the next
            shutil.rmtree(folder, ignore_errors=True)


def _inspect(folders: Mapping[Audience, Path], by: _Evidence) -> None:
    """Refuse bundles that recipients would not find as they should be."""
    from pipeline.validation.bundle import Approval, check_bundles  # noqa: PLC0415 - loading it takes seconds

    approval = Approval(by.approved.candidate_sha256, by.verdicts.sha256, public_key_bytes(by.pair))
    check_bundles(by.workspace, by.release, approval, folders).require()


def _contents(cut: AudienceView, charts: Mapping[str, str], by: _Evidence) -> dict[str, bytes]:
    # file name -> bytes, in the order of writing: tables first, manifest and signature last
    provenance = provenance_of(cut, by.approved, by.release.sha256, by.verdicts)
    contents, entries = _tables(cut)
    documents = {
        DATAPACKAGE_NAME: datapackage_bytes(cut, identity_of(cut), by.approved.instant.isoformat(), entries),
        README_NAME: readme_bytes(cut, provenance),
        REPORT_NAME: report_bytes(cut, charts, by.checks_for(cut), provenance.approval),
    }
    entries = (*entries, *(file_entry(name, content) for name, content in documents.items()))
    manifest = manifest_of(cut, provenance, entries)
    content = manifest.to_bytes()
    signature = sign(by.pair, content, by.approved.instant, manifest.subject)
    return {**contents, **documents, SUMS_NAME: sums_bytes(entries), MANIFEST_NAME: content, SIGNATURE_NAME: signature}


def _tables(cut: AudienceView) -> tuple[dict[str, bytes], tuple[FileEntry, ...]]:
    contents: dict[str, bytes] = {}
    entries: list[FileEntry] = []
    for facts in cut.header.tables:
        frame = cut.tables[facts.name]
        for ending, encode in (("parquet", parquet_bytes), ("csv", csv_bytes)):
            name = f"{facts.name}.{ending}"
            contents[name] = encode(frame, facts)
            entries.append(file_entry(name, contents[name], len(frame)))
    return contents, tuple(entries)
