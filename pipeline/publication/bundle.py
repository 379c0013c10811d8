"""Bundles: folders that recipients can read, written all at once and never changed afterwards.

Order of writing: every bundle of the release into a hidden folder beside its place, where the suite ``bundle`` reads
it as recipients will, then each renamed into place, then the files that point at them. Killed anywhere, the next run
completes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.disk import sync_folder
from pipeline.errors import DemographicsError, NotApprovedError, PublicationError
from pipeline.publication import files, shelf
from pipeline.publication.charts import draw_charts
from pipeline.publication.contents import numbers_of, workbook_of
from pipeline.publication.cuts import Cut
from pipeline.publication.datapackage import DATAPACKAGE_NAME, datapackage_bytes
from pipeline.publication.key_list import Trusted
from pipeline.publication.key_ring import KeyRing, open_ring
from pipeline.publication.manifest import (
    MANIFEST_NAME,
    SIGNATURE_NAME,
    SUMS_NAME,
    Approved,
    Manifest,
    YearOfBudget,
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
from pipeline.publication.resealing import reseal
from pipeline.publication.seal import sealed_manifest
from pipeline.publication.signing import public_key_bytes, sign
from pipeline.publication.views import AudienceView, parts_of, view
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.parts import Part
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace

__all__ = ["Approved", "PublishedBundle", "publish_release"]


@dataclass(frozen=True)
class PublishedBundle:
    """One bundle, in its place.

    Attributes:
        audience: Who may read it, or some of whom may.
        shelf: The audience, or the part of what it receives (``Cut.shelf``).
        folder: ``published/{shelf}/{product}/{period}/r{N}``.
        manifest_sha256: Digest of its manifest.
        already_published: True where it stood there before and was left as it is.
    """

    audience: Audience
    shelf: str
    folder: Path
    manifest_sha256: str
    already_published: bool

    @property
    def is_whole(self) -> bool:
        """Whether it is all that its audience receives, and no part of it."""
        return self.shelf == self.audience


def publish_release(
    workspace: Workspace,
    release: PrivateRelease,
    verdicts: Verdicts,
    approved: Approved,
    cuts: Sequence[Cut] = (),
    year: YearOfBudget | None = None,
) -> tuple[PublishedBundle, ...]:
    """Put every audience's bundle of an approved release into its place, and those of parts that recipients receive.

    A bundle that stands there already is left as it is: its signature and files must hold and it must come from the
    same release, or nothing at all is written.

    Args:
        workspace: Of the site.
        release: Drawn once, for all.
        verdicts: Of its checks.
        approved: Of exactly these.
        cuts: Parts that recipients receive. One that shows nothing of this release is passed over.
        year: What the year has cost, ``spending.year_of``.

    Returns:
        One bundle a shelf, in the order of their names.

    Raises:
        NotApprovedError: The approval is of another candidate.
        ChecksFailedError: A check of the release or of a bundle fails, or there is none. Nothing became visible.
        PublicationError: A bundle cannot be written, or another one stands in its place.
    """
    verdicts.require()
    _require_approval(candidate_sha256(release, verdicts), approved)
    with files.as_publication_errors(workspace.published), files.exclusive(workspace.published):
        ring = open_ring(workspace)
        files.sweep(workspace.published)
        reseal(workspace.published, ring)
        views = {shown.shelf: _superseding(workspace, shown) for shown in _views(release, cuts)}
        places = {name: _place(workspace, shown) for name, shown in views.items()}
        standing = {name: _standing(places[name], shown, release.sha256, ring.trusted) for name, shown in views.items()}
        missing = {name: views[name] for name, manifest in standing.items() if manifest is None}
        if missing:
            _write(missing, places, _Evidence(workspace, release, verdicts, approved, ring, year))
        manifests = {name: (place / MANIFEST_NAME).read_bytes() for name, place in places.items()}
        shelf.refresh(workspace.published, tuple(views), release.header.release)
    return tuple(
        PublishedBundle(
            shelf.audience_of(name), name, places[name], file_entry(MANIFEST_NAME, content).sha256, name not in missing
        )
        for name, content in manifests.items()
    )


def _views(release: PrivateRelease, cuts: Iterable[Cut]) -> list[AudienceView]:
    """What each shelf shows: the audiences', and the parts that show anything of this release."""
    audiences = [view(release, audience) for audience in sorted(release.header.audiences)]
    tables = {shown.audience: shown.header.tables for shown in audiences}
    showing = [cut for cut in cuts if parts_of(tables.get(cut.audience, ()), cut)]
    return [*audiences, *(view(release, cut.audience, cut) for cut in sorted(showing, key=lambda cut: cut.shelf))]


@dataclass(frozen=True)
class _Evidence:
    workspace: Workspace
    release: PrivateRelease
    verdicts: Verdicts
    approved: Approved
    ring: KeyRing
    year: YearOfBudget | None

    def checks_for(self, shown: AudienceView) -> Verdicts:
        """Without checks of tables that the audience does not receive: it is not told that they exist."""
        others = set(self.release.tables) - set(shown.tables)
        return Verdicts(tuple(check for check in self.verdicts.checks if check.subject not in others))


def _require_approval(candidate: str, approved: Approved) -> None:
    if approved.candidate_sha256 != candidate:
        raise NotApprovedError(
            "an approval must be of exactly the release and the checks that are published",
            value=f"{approved.candidate_sha256[:12]} approved, {candidate[:12]} to publish",
            remedy="Have this candidate reviewed.",
        )
    _ = approved.instant  # refused now if it is no time, before anything is written


def _superseding(workspace: Workspace, shown: AudienceView) -> AudienceView:
    # A revision may come after one that was never published.
    there = (revision_number(place.name) for place in _place(workspace, shown).parent.glob("r*"))
    earlier = [number for number in there if number and number < shown.header.revision]
    return replace(shown, supersedes=max(earlier, default=None))


def _place(workspace: Workspace, shown: AudienceView) -> Path:
    return workspace.bundle(shown.shelf, shown.header.release, shown.header.period, shown.header.revision)


def _standing(place: Path, shown: AudienceView, artefact_sha256: str, keys: Trusted) -> Manifest | None:
    """The manifest of the bundle that stands there, once it is known to be this one and untouched."""
    if not place.exists():
        return None
    try:
        manifest = sealed_manifest(place, keys)
    except DemographicsError as failure:
        raise _differs(place, str(failure)) from None
    same = manifest.identity == identity_of(shown) and manifest.tables == shown.header.tables
    if not same or manifest.provenance.artefact_sha256 != artefact_sha256:
        raise _differs(place, f"a release with digest {manifest.provenance.artefact_sha256[:12]}")
    return manifest


def _differs(place: Path, found: str) -> PublicationError:
    return PublicationError(
        f"a published bundle is never changed, and {place} holds something else",
        value=found,
        remedy="Restore it from a backup, or release a new revision.",
    )


def _write(views: Mapping[str, AudienceView], places: Mapping[str, Path], by: _Evidence) -> None:
    drawn: dict[str, str] = {}
    for shown in views.values():
        if shown.cut is None:
            drawn |= draw_charts(shown, skip=drawn)  # a table that several audiences read is drawn once
    hidden = {name: places[name].with_name(f".{places[name].name}{files.PARTIAL}") for name in views}
    try:
        for name, shown in views.items():
            files.fill_folder(hidden[name], _contents(shown, drawn if shown.cut is None else draw_charts(shown), by))
        _inspect(views, hidden, by)
        by.ring.note_signed({shelf.place_of(places[name]): _digest(folder) for name, folder in hidden.items()})
        for name, folder in hidden.items():
            folder.rename(places[name])
            for parent in list(folder.parents)[:4]:  # period, product, shelf, the published folder
                sync_folder(parent)
    finally:
        for folder in hidden.values():  # whatever was not renamed; a killed run's are swept by the next
            shutil.rmtree(folder, ignore_errors=True)


def _digest(folder: Path) -> str:
    return file_entry(MANIFEST_NAME, (folder / MANIFEST_NAME).read_bytes()).sha256


def _inspect(views: Mapping[str, AudienceView], folders: Mapping[str, Path], by: _Evidence) -> None:
    """Refuse bundles that recipients would not find as they should be."""
    from pipeline.validation.bundle import Approval, Written, check_bundles  # noqa: PLC0415 - loading it takes seconds

    approval = Approval(by.approved.candidate_sha256, by.verdicts.sha256, public_key_bytes(by.ring.pair.public_key))
    written = [Written(shelf.audience_of(name), name, folders[name], _part(shown.cut)) for name, shown in views.items()]
    check_bundles(by.workspace, by.release, approval, written).require()


def _part(cut: Cut | None) -> Part:
    return Part() if cut is None else Part(cut.tables, cut.columns, cut.rows, cut.totals)


def _contents(shown: AudienceView, charts: Mapping[str, str], by: _Evidence) -> dict[str, bytes]:
    # file name -> bytes, in the order of writing: tables first, manifest and signature last
    provenance = provenance_of(shown, by.approved, by.release.sha256, by.verdicts)
    numbers = numbers_of(shown)
    workbook = workbook_of(shown, numbers, provenance, by.year)
    entries = (*numbers.entries, *(file_entry(name, content) for name, content in workbook.items()))
    documents = {
        DATAPACKAGE_NAME: datapackage_bytes(shown, identity_of(shown), by.approved.instant.isoformat(), entries),
        README_NAME: readme_bytes(shown, provenance, by.year),
        REPORT_NAME: report_bytes(shown, charts, by.checks_for(shown), provenance.approval),
    }
    entries = (*entries, *(file_entry(name, content) for name, content in documents.items()))
    manifest = manifest_of(shown, provenance, entries, by.year)
    content = manifest.to_bytes()
    seal = {
        SUMS_NAME: sums_bytes(entries),
        MANIFEST_NAME: content,
        SIGNATURE_NAME: sign(by.ring.pair, content, by.approved.instant, manifest.subject),
    }
    return {**numbers.contents, **workbook, **documents, **seal}
