"""Restores a site from a backup, into a place that is empty but for what recipients can read.

Everything is opened into a hidden folder and checked there before anything is put in place. Then, in this order: how
far the ledger has come, by which nothing is drawn or published until a ledger is there that has come as far; the
files, each whole; the ledger, in one transaction. Killed anywhere, the same command does it again.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import minisign

from pipeline.disk import replace_file
from pipeline.errors import RecoveryError
from pipeline.privacy import database, head
from pipeline.privacy.head import Head
from pipeline.progress import Progress, silent
from pipeline.publication import shelf
from pipeline.publication.known import Knowledge, Seen, older
from pipeline.publication.manifest import MANIFEST_NAME
from pipeline.publication.shelf import TOMBSTONE_NAME
from pipeline.publication.signing import PUBLIC_KEY_NAME, read_public_key
from pipeline.recovery import beside, holdings, tables
from pipeline.recovery.opening import Opened, digest_of, open_backup, require_publisher
from pipeline.recovery.sealing import BackupKey
from pipeline.workspace import Workspace

_HIDDEN: Final = ".restoring"
_BUNDLE_DEPTH: Final = 6  # published/partner/weekly/2026-W41/r1/file
_LAST: Final = (MANIFEST_NAME, TOMBSTONE_NAME)  # by which readers know that a bundle is there


@dataclass(frozen=True)
class Terms:
    """How a backup is restored.

    Attributes:
        ledger_only: The site's folder survived, and the ledger alone is lost.
        beside: Copies of published folders that the ledger must know, too.
        stores: Whether recipients' stores are looked at.
        publisher: The publisher's public key, where somebody has it from elsewhere.
    """

    ledger_only: bool = False
    beside: tuple[Path, ...] = ()
    stores: bool = True
    publisher: minisign.PublicKey | None = None


def look(path: Path, key: BackupKey, workspace: Workspace, terms: Terms, progress: Progress = silent) -> Opened:
    """Check a backup, and whether it could be restored beside what has been published; write nothing.

    Raises:
        RecoveryError: It is not whole, not as it was made, of a later program, or of another key.
        LedgerError: The ledger in it is broken, or older than what was published.
    """
    with tempfile.TemporaryDirectory(prefix="demographics-backup-") as name:
        opened = open_backup(path, key, Path(name), only_look=True, progress=progress)
        _require_newest(opened, workspace, terms)
    return opened


def restore(path: Path, key: BackupKey, workspace: Workspace, terms: Terms, progress: Progress = silent) -> Opened:
    """Restore a backup.

    Args:
        path: Of the sealed file.
        key: That opens it.
        workspace: Where to; its folder is made where it is missing.
        terms: How.
        progress: Told of each member and each file.

    Returns:
        What was restored.

    Raises:
        RecoveryError: The backup cannot be opened, or the site's folder holds something else. Nothing was written.
        LedgerError: The ledger is not empty, the one in the backup is broken, or it is older than what was published.
            Nothing was written.
    """
    with _hidden(workspace.home) as folder:
        opened = open_backup(path, key, folder, progress=progress)
        _require_newest(opened, workspace, terms)
        target = database.at(workspace.ledger)
        tables.require_room(database.at(opened.draft.ledger), target)
        missing = _missing(opened, workspace, ledger_only=terms.ledger_only)
        if opened.manifest.entries:
            head.move_to(workspace, Head(number=opened.manifest.entries, sha256=opened.manifest.head_sha256))
        _put_files(opened, workspace, missing, progress)
        tables.copy(database.at(opened.draft.ledger), target)
    return opened


@contextmanager
def _hidden(home: Path) -> Iterator[Path]:
    """A folder of its own in the site's folder, in which nobody else restores, and which is gone afterwards."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / f"{_HIDDEN}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = home / _HIDDEN
            shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as failure:
        raise RecoveryError(
            "the place of a restored site must be a folder that can be written, with room for it twice",
            value=f"{failure.filename or home} ({failure.strerror})",
            remedy="Free space or correct the permissions, then run the same command again.",
        ) from None


def _require_newest(opened: Opened, workspace: Workspace, terms: Terms) -> None:
    """Refuse a backup that is older than anything that recipients have, or than this site has seen."""
    shown = workspace.published / PUBLIC_KEY_NAME
    anchors = [terms.publisher, read_public_key(str(shown)) if shown.is_file() else None]
    for anchor in anchors:
        if anchor is not None:
            require_publisher(opened, anchor)
    strangers = Knowledge.of(opened.entries).strangers(_seen(opened, workspace, terms))
    if strangers:
        raise older(strangers)
    seen = head.seen_by(workspace)
    if seen is not None:
        head.require_holds(database.at(opened.draft.ledger), seen)


def _seen(opened: Opened, workspace: Workspace, terms: Terms) -> Iterator[Seen]:
    yield from beside.in_folders((workspace.published, *terms.beside))
    if terms.stores:
        yield from beside.in_stores(opened)


def _missing(opened: Opened, workspace: Workspace, *, ledger_only: bool) -> list[str]:
    """The files of a backup that are not there yet, in the order in which they are put in place.

    Raises:
        RecoveryError: Something else is there.
    """
    there = set(holdings.what_is_there(workspace.home))
    other = sorted(name for name in there if _is_other(name, opened, workspace.home, ledger_only=ledger_only))
    if ledger_only:
        other += sorted(name for name in set(opened.files) - there if name.startswith(holdings.KEYS))
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        raise RecoveryError(
            "the folder of a site must hold the keys that are in the backup"
            if ledger_only
            else "a backup is restored into an empty folder, where bundles that recipients have may still stand",
            value=f"{', '.join(other[:5])}{more} in {workspace.home}",
            remedy="Restore with the ledger into an empty folder instead: leave --ledger-only out."
            if ledger_only
            else "Name another folder with --into, or move this away. If the ledger alone is lost: --ledger-only.",
        )
    missing = [] if ledger_only else [name for name in opened.files if name not in there]
    return sorted(missing, key=lambda name: (name.endswith(_LAST), name))


def _is_other(name: str, opened: Opened, home: Path, *, ledger_only: bool) -> bool:
    """Whether a file that is there must not be there."""
    if name in opened.files and not _is_page(name):
        return digest_of(home / name) != opened.files[name] and (not ledger_only or name.startswith(holdings.KEYS))
    if ledger_only or name.startswith(f"{holdings.SENT}/") or name in _OURS:
        return False
    if not name.startswith(f"{holdings.PUBLISHED}/"):
        return True
    folder = name.rpartition("/")[0]
    return not _is_page(name) and any(one.startswith(f"{folder}/") for one in opened.files)


_OURS: Final = frozenset({"ledger.head", "ledger.db", "ledger.db-journal"})  # looked at by what is in them


def _is_page(name: str) -> bool:
    """Whether a file on the shelves is one that changes, made from the bundles that stand there."""
    return name.startswith(f"{holdings.PUBLISHED}/") and name.count("/") < _BUNDLE_DEPTH - 1


def _put_files(opened: Opened, workspace: Workspace, names: list[str], progress: Progress) -> None:
    for number, name in enumerate(names):
        place = workspace.home / name
        private = name.startswith(holdings.KEYS)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
        replace_file(
            place, (opened.draft.home / name).read_bytes(), 0o600 if private and place.suffix != ".pub" else 0o644
        )
        progress("putting files in place", number + 1, len(names))
    _refresh(workspace.published)


def _refresh(published: Path) -> None:
    """Make the pages of shelves from what stands there now: the backup's may be older than bundles that survived."""
    places = {(one.parents[2].name, one.parents[1].name) for one in shelf.bundle_folders(published)}
    for name, product in sorted(places):
        shelf.refresh(published, (name,), product)
