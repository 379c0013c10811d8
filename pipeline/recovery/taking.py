"""Makes a backup, while runs go on.

Nothing can be published, and no signing key changed, from before the ledger is read until the shelves are: so each
bundle in the backup is known to the ledger in it. Keys and declarations are read before the ledger's state is fixed
and once more after it, and all of it is done again where they differ. What a recipient's store was sent is read first:
all of it was published by then. Everything else that is done meanwhile is in the ledger, and is in the backup or not.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from pipeline import __version__
from pipeline.disk import sync_folder
from pipeline.errors import RecoveryError
from pipeline.privacy import chain, database
from pipeline.privacy.ledger import Ledger
from pipeline.progress import Progress, silent
from pipeline.publication import files
from pipeline.publication.key_ring import KeyRing, list_of, open_ring
from pipeline.publication.signing import sign_keys
from pipeline.recovery import archive, holdings, tables
from pipeline.recovery.archive import BackupManifest, Member, MemberFacts
from pipeline.recovery.sealing import seal
from pipeline.workspace import Workspace

ENDING: Final = ".age"
_TRIES: Final = 5  # at a moment in which nobody changes a key or a declaration


@dataclass(frozen=True)
class Backup:
    """A backup that was made.

    Attributes:
        path: Where it is.
        manifest: What is in it.
        bytes: Its size.
    """

    path: Path
    manifest: BackupManifest
    bytes: int


def back_up(
    workspace: Workspace, target: Path, keys: Sequence[Any], now: dt.datetime, progress: Progress = silent
) -> Backup:
    """Write a sealed backup of a site.

    Args:
        workspace: Of the site.
        target: The file, which must not be there; in a folder it is named by the time.
        keys: Whom it is sealed for, ``sealing.recipients``.
        now: The time, with a time zone.
        progress: Told of each file.

    Raises:
        RecoveryError: There is nothing to back up, the file is there already, or it cannot be written.
        LedgerError: The ledger cannot be read, or its chain is broken.
        PublicationError: The signing key is not the one that recipients know.
    """
    _require_site(workspace)
    path = target / f"demographics-{now.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}{ENDING}" if target.is_dir() else target
    with files.exclusive(workspace.published), _draft_of(path) as draft:
        taking = _Taking(workspace, now.astimezone(dt.UTC), progress, _ring(workspace))
        seal(archive.packed(taking.members(), now), draft, keys)
        assert taking.manifest is not None
        size = draft.tell()
    return Backup(path, taking.manifest, size)


@dataclass
class _Taking:
    """One backup while it is made."""

    workspace: Workspace
    now: dt.datetime
    progress: Progress
    ring: KeyRing | None
    manifest: BackupManifest | None = None
    _head: tuple[int, str] = (0, "")
    _facts: list[MemberFacts] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)

    def members(self) -> Iterator[Member]:
        """Everything, the manifest and its signature last."""
        for member in self._contents():
            self._facts.append(archive.facts_of(member))
            self.progress("backing up", len(self._facts), None)
            yield member
        self.manifest = self._told()
        content = self.manifest.to_bytes()
        yield archive.MANIFEST_NAME, content
        if self.ring is not None:
            yield archive.SIGNATURE_NAME, sign_keys(self.ring.pair, content, self.manifest.at, archive.MANIFEST_NAME)

    def _contents(self) -> Iterator[Member]:
        sent = list(self._read(holdings.SENT))
        declared, rows = yield from self._ledger()
        self._rows = rows
        yield from ((f"{archive.SITE}{name}", content) for name, content in declared.items())
        yield from sent
        yield from self._read(holdings.PUBLISHED)
        yield from self._read(holdings.REPORTS)

    def _ledger(self) -> Generator[Member, None, tuple[dict[str, bytes], dict[str, int]]]:
        """The ledger's rows, in the state that it had while declarations and keys were these."""
        store, rows = database.opened(self.workspace.ledger), dict[str, int]()
        for _ in range(_TRIES):
            declared = holdings.small_files(self.workspace)
            with tables.snapshot(store) as connection:
                self._head = chain.last(connection)  # from here on it is one state
                if holdings.small_files(self.workspace) == declared:
                    chain.require_chain(chain.read(connection))
                    yield from tables.pieces(connection, rows)
                    return declared, rows
        raise RecoveryError(
            "keys and declarations must stand still for a moment while they are backed up",
            value=f"changes at each of {_TRIES} attempts",
            remedy="Run it again.",
        )

    def _read(self, folder: str) -> Iterator[Member]:
        for name, path in holdings.files_in(self.workspace, folder):
            with contextlib.suppress(FileNotFoundError):  # a report that is made anew
                yield f"{archive.SITE}{name}", path.read_bytes()

    def _told(self) -> BackupManifest:
        return BackupManifest(
            format=archive.FORMAT,
            made=self.now.isoformat(timespec="seconds"),
            program=__version__,
            ledger_version=database.VERSIONS[-1],
            entries=self._head[0],
            head_sha256=self._head[1],
            rows=self._rows,
            members=tuple(self._facts),
        )


def _require_site(workspace: Workspace) -> None:
    if not workspace.site_file.is_file():
        raise RecoveryError(
            "a backup is of a site", value=f"no {workspace.site_file}", remedy="Set DEMOGRAPHICS_HOME, or give --home."
        )


def _ring(workspace: Workspace) -> KeyRing | None:
    """The publisher's keys, a change that was killed completed first; None where nothing was ever signed."""
    return None if list_of(Ledger.open(workspace.ledger)) is None else open_ring(workspace)


@contextmanager
def _draft_of(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when it is whole and on the disk (0600)."""
    if path.exists():
        raise RecoveryError(
            "a backup never takes the place of another",
            value=path,
            remedy="Name a file that is not there, or a folder.",
        )
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{files.PARTIAL}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        sync_folder(path.parent)
    except OSError as failure:
        raise RecoveryError(
            "the place of a backup must be a folder that can be written, with room, and what goes into it readable",
            value=f"{failure.filename or path} ({failure.strerror})",
            remedy="Make it, or correct its permissions; there is no backup under this name.",
        ) from None
    finally:
        draft.unlink(missing_ok=True)
