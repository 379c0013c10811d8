"""Opens a backup into a folder of its own, and checks everything in it before anything is restored from it."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import minisign
import sqlalchemy as sa

from pipeline.errors import RecoveryError, VerificationError
from pipeline.privacy import database
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.progress import Progress, silent
from pipeline.publication.key_list import KeyList
from pipeline.publication.key_ring import list_of
from pipeline.publication.signing import KEY_COMMENT, signature_holds
from pipeline.recovery import archive, holdings, tables
from pipeline.recovery.archive import BackupManifest, Member, MemberFacts
from pipeline.recovery.sealing import BackupKey, altered, unsealed
from pipeline.workspace import Workspace

_PRIVATE: Final = 0o600


@dataclass(frozen=True)
class Draft(Workspace):
    """What a backup holds, as a site in a folder of its own, whatever the environment says of ledgers."""

    @property
    def ledger(self) -> Path:
        """Its ledger, up to date."""
        return self.home / "ledger.db"

    @property
    def releases(self) -> Path:
        """Its specifications."""
        return self.home / holdings.RELEASES


@dataclass(frozen=True)
class Opened:
    """A backup in which everything holds.

    Attributes:
        manifest: What it says of itself.
        draft: What is in it.
    """

    manifest: BackupManifest
    draft: Draft

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Of its ledger."""
        return Ledger.open(self.draft.ledger).entries()

    @cached_property
    def keys(self) -> KeyList | None:
        """The publisher's keys; None where nothing was ever signed."""
        return list_of(Ledger.open(self.draft.ledger))

    @cached_property
    def files(self) -> dict[str, str]:
        """The digests of its files, by their path in the site's folder."""
        members = (one for one in self.manifest.members if one.name.startswith(archive.SITE))
        return {one.name.removeprefix(archive.SITE): one.sha256 for one in members}


def open_backup(
    path: Path, key: BackupKey, folder: Path, *, only_look: bool = False, progress: Progress = silent
) -> Opened:
    """Open a backup into an empty folder.

    Args:
        path: Of the sealed file.
        key: That opens it.
        folder: Where to, mode 0700; nobody is to find anything in it afterwards.
        only_look: Leave out files that no check reads, private keys among them.
        progress: Told of each member.

    Raises:
        RecoveryError: It is not whole, not as it was made, of a later program, or of another key.
        LedgerError: The ledger in it is broken.
    """
    reading = _Reading(Draft(folder), only_look)
    with unsealed(path, key) as stream, reading:
        for member in archive.unpacked(stream):
            reading.take(member)
            progress("reading the backup", len(reading.facts), None)
    opened = Opened(reading.manifest(), reading.draft)
    _require_ledger(opened)
    _require_signed(opened, reading.signature)
    return opened


class _Reading:
    """Takes what comes out of an archive, piece by piece."""

    def __init__(self, draft: Draft, only_look: bool) -> None:
        self.draft, self._only_look = draft, only_look
        self.facts: list[MemberFacts] = []
        self.told = self.signature = b""
        self._ledger: sa.Connection | None = None
        self._left = contextlib.ExitStack()

    def __enter__(self) -> None:
        self._left.__enter__()

    def __exit__(self, *failure: Any) -> None:
        self._left.__exit__(*failure)  # the rows are there now, or none is

    def take(self, member: Member) -> None:
        name, content = member
        if name == archive.MANIFEST_NAME:
            self.told = content
        elif name == archive.SIGNATURE_NAME:
            self.signature = content
        else:
            self.facts.append(archive.facts_of(member))
            self._put(member)

    def _put(self, member: Member) -> None:
        name, content = member
        if name.startswith(archive.LEDGER) and name.count("/") == 3:
            self._put_rows(member)
        elif not name.startswith(archive.SITE):
            raise altered(name)
        elif not self._only_look or name in _LOOKED_AT or name.startswith(_REVIEWERS):
            place = self.draft.home / name.removeprefix(archive.SITE)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.touch(mode=_PRIVATE)
            place.write_bytes(content)

    def _put_rows(self, member: Member) -> None:
        version = tables.version_in(member[0])
        if self._ledger is None:
            made = database.made_as(self.draft.ledger, version)
            self._ledger = self._left.enter_context(made.writing())
            self._tables = tables.tables_of(self._ledger)
        tables.put(self._ledger, self._tables, member)

    def manifest(self) -> BackupManifest:
        """What the backup says of itself, once it is known to say what is there."""
        manifest = BackupManifest.from_bytes(self.told)
        if manifest.members != tuple(self.facts):
            raise altered(archive.MANIFEST_NAME)
        return manifest


# What checks of a backup read, beside the ledger.
_LOOKED_AT: Final = frozenset({f"{archive.SITE}entitlements.yaml"})
_REVIEWERS: Final = f"{archive.SITE}keys/reviewers/"


def _require_ledger(opened: Opened) -> None:
    """The chain holds and ends where the manifest says, and what was drawn and checked is as recorded."""
    if not opened.draft.ledger.exists():
        raise altered("no ledger")
    ledger, manifest = Ledger.open(opened.draft.ledger), opened.manifest
    for entry in opened.entries:
        if entry.kind is EntryKind.DRAWN:
            ledger.artefact(entry.key)
        elif entry.kind is EntryKind.CHECKED:
            ledger.checks(entry.key)
    if ledger.head() != (manifest.entries, manifest.head_sha256):
        raise altered("the ledger")


def _require_signed(opened: Opened, signature: bytes) -> None:
    """What signs bundles has signed the backup, too: whoever can write where backups lie makes none of their own."""
    if opened.keys is None:
        return
    if not signature_holds(opened.keys.current.key, opened.manifest.to_bytes(), signature, KEY_COMMENT):
        raise altered(archive.SIGNATURE_NAME)


def require_publisher(opened: Opened, anchor: minisign.PublicKey) -> None:
    """Check that a backup is of the publisher whose key somebody has, and no older than that key.

    Raises:
        RecoveryError: It is not.
    """
    try:
        if opened.keys is None:
            raise VerificationError("a key must be listed", value="none in the backup")
        opened.keys.require_way_from(anchor)
    except VerificationError as failure:
        raise RecoveryError(
            "a backup must know the key with which the publisher signs today",
            value=failure.value or failure.rule,
            remedy="It is of another site, or was made before the key was changed: take a newer one.",
        ) from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
