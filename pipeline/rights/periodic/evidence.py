"""What a periodic review looks at: the ledger, the shelves of recipients, and the site; read once, changed never."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import LedgerError, VerificationError
from pipeline.privacy.chain import NOTES, Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication.cuts import SHELF_PATTERN
from pipeline.publication.key_list import Trusted
from pipeline.publication.key_ring import site_keys
from pipeline.publication.manifest import MANIFEST_NAME, Manifest
from pipeline.publication.shelf import TOMBSTONE_NAME, bundle_folders, key_at
from pipeline.release.artefact import PrivateRelease, ReleaseHeader
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Reviewers
from pipeline.site import SiteFile
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace


@dataclass(frozen=True, order=True)
class Shelved:
    """One bundle as it stands among what recipients can read.

    Attributes:
        key: The release that its place says it is of.
        shelf: The audience, or the part of what it receives, that its place says it is for; neither, perhaps.
        folder: Its place.
    """

    key: ReleaseKey
    shelf: str
    folder: Path

    @property
    def audience(self) -> str:
        """The audience that its place says it is for; not an audience of the product, perhaps."""
        return self.shelf.partition("-")[0]

    @property
    def place(self) -> str:
        """``partner/weekly_audience/2026-W41/r1``."""
        return f"{self.shelf}/{self.key}"

    @property
    def is_tombstone(self) -> bool:
        """Whether a tombstone stands there, of a release that was withdrawn."""
        return (self.folder / TOMBSTONE_NAME).is_file()

    def manifest(self) -> Manifest | None:
        """Its manifest; None where it cannot be read, which verification says."""
        try:
            return Manifest.from_bytes((self.folder / MANIFEST_NAME).read_bytes())
        except (OSError, VerificationError):
            return None


@dataclass(frozen=True)
class Evidence:
    """Everything that checks read.

    Attributes:
        workspace: Where it lies.
        site: As it is declared today.
        now: The time of the review, with a time zone.
        ledger: Of the site.
    """

    workspace: Workspace
    site: SiteFile
    now: dt.datetime
    ledger: Ledger

    @property
    def today(self) -> dt.date:
        """The day in the site's time zone."""
        return self.now.astimezone(self.site.zone).date()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All entries about releases, whether or not the chain holds: one check says that, the others go on."""
        return tuple(entry for entry in self.ledger.entries(chained=False) if entry.kind not in NOTES)

    @cached_property
    def register(self) -> Register:
        """Who decided what, as it was when it was published."""
        return Register(self.ledger, Reviewers(self.workspace.reviewer_keys), of_old=True)

    @cached_property
    def keys(self) -> Trusted:
        """Whose signatures count."""
        return site_keys(self.workspace, self.ledger)

    @cached_property
    def published(self) -> Mapping[ReleaseKey, Entry]:
        """The entry of each release that was published, withdrawn ones too."""
        return {entry.key: entry for entry in self.entries if entry.kind is EntryKind.PUBLISHED}

    @cached_property
    def withdrawn(self) -> frozenset[ReleaseKey]:
        """The releases that were withdrawn."""
        return frozenset(entry.key for entry in self.entries if entry.kind is EntryKind.WITHDRAWN)

    @cached_property
    def standing(self) -> tuple[ReleaseKey, ...]:
        """The releases that were published and are not withdrawn, in order."""
        return tuple(sorted(key for key in self.published if key not in self.withdrawn))

    @cached_property
    def shelved(self) -> tuple[Shelved, ...]:
        """All bundles on the disk, in order."""
        return tuple(sorted(self._shelved()))

    def _shelved(self) -> Iterator[Shelved]:
        for folder in bundle_folders(self.workspace.published):
            yield Shelved(key_at(folder), folder.parts[-4], folder)

    def release(self, key: ReleaseKey) -> PrivateRelease | None:
        """What was drawn, approved and published under a key; None where the ledger does not hold it."""
        try:
            content = self.ledger.artefact(key)
            return None if content is None else PrivateRelease.from_bytes(content)
        except LedgerError:  # told by the check of the ledger
            return None

    def header(self, key: ReleaseKey) -> ReleaseHeader | None:
        """The same, in words."""
        release = self.release(key)
        return None if release is None else release.header

    def granted(self, key: ReleaseKey) -> Mapping[str, tuple[str, ...]] | None:
        """By audience, the tables of the specification that was approved; None where the ledger does not hold it."""
        header = self.header(key)
        return None if header is None else {audience.value: tables for audience, tables in header.audiences.items()}

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """Folders among those of the audiences that are of none."""
        folders = (path for path in self.workspace.published.glob("*") if path.is_dir())
        known = {audience.value for audience in Audience}
        return tuple(
            sorted(
                path.name
                for path in folders
                if path.name[0] != "."
                and not (re.fullmatch(SHELF_PATTERN, path.name) and path.name.partition("-")[0] in known)
            )
        )
