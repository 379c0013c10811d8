"""Whether the ledger knows everything that recipients can read: one that does not is older than what was published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LedgerError, VerificationError
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.publication.manifest import MANIFEST_NAME, Manifest
from pipeline.publication.shelf import TOMBSTONE_NAME, bundle_folders, key_at, place_of
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Seen:
    """Something that recipients can read, or could until it was withdrawn.

    Attributes:
        key: The release that its place says it is of.
        place: ``partner/weekly_audience/2026-W41/r1``, perhaps beneath the address of a store.
        withdrawn: Whether a tombstone stands there.
        manifest: The bytes of its manifest, where they were read.
    """

    key: ReleaseKey
    place: str
    withdrawn: bool = False
    manifest: bytes | None = None


def on_shelves(published: Path, *, read: bool) -> Iterator[Seen]:
    """Everything that stands in a published folder, or in a copy of one.

    Args:
        published: The folder.
        read: Whether manifests are read, too.
    """
    for folder in bundle_folders(published):
        stone, manifest = (folder / TOMBSTONE_NAME).is_file(), folder / MANIFEST_NAME
        content = manifest.read_bytes() if read and manifest.is_file() else None
        yield Seen(key_at(folder), place_of(folder), stone, content)


@dataclass(frozen=True)
class Knowledge:
    """What a ledger says of releases.

    Attributes:
        drawn: Those that were drawn, with the digest of what was recorded.
        withdrawn: Those that were withdrawn.
    """

    drawn: Mapping[ReleaseKey, str]
    withdrawn: frozenset[ReleaseKey]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Knowledge:
        """What entries of a ledger say."""
        every = tuple(entries)
        drawn = {one.key: str(one.payload["artefact_sha256"]) for one in every if one.kind is EntryKind.DRAWN}
        return cls(drawn, frozenset(one.key for one in every if one.kind is EntryKind.WITHDRAWN))

    def strangers(self, seen: Iterable[Seen]) -> tuple[Seen, ...]:
        """What the ledger does not know."""
        return tuple(one for one in seen if not self._knows(one))

    def _knows(self, one: Seen) -> bool:
        if one.withdrawn:
            return one.key in self.withdrawn
        recorded = self.drawn.get(one.key)
        return recorded is not None and (one.manifest is None or recorded == _drawn_as(one.manifest))


def require_known(workspace: Workspace, entries: Iterable[Entry]) -> None:
    """Refuse a ledger that does not know what stands on the shelves of the site; manifests are not read.

    Args:
        workspace: Of the site.
        entries: Of its ledger.

    Raises:
        LedgerError: It does not: what it would draw anew has been paid for, and is in recipients' hands.
    """
    strangers = Knowledge.of(entries).strangers(on_shelves(workspace.published, read=False))
    if strangers:
        raise older(strangers)


def older(strangers: Iterable[Seen]) -> LedgerError:
    """The error of a ledger that does not know something."""
    places = [one.place for one in strangers]
    more = f" and {len(places) - 5} more" if len(places) > 5 else ""
    return LedgerError(
        "the ledger must know everything that was published: what is drawn anew is paid for twice",
        value=f"{', '.join(places[:5])}{more}, which it does not know",
        remedy="An older or another ledger was put back. Put the newest one back; docs/recover.md says what to do "
        "where there is none.",
    )


def _drawn_as(manifest: bytes) -> str:
    """The digest of the release that a bundle is a view of; empty where it is no manifest."""
    try:
        return Manifest.from_bytes(manifest).provenance.artefact_sha256
    except VerificationError:
        return ""
