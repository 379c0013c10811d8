"""The drop folder: CSV files with a request a line, taken in and removed.

A file is taken when its name ends in ``.csv``, does not begin with a dot, and nobody has changed it for some seconds:
who writes slowly writes under another name (``.part``) and renames. It is claimed by renaming, so that a file dropped
under the same name meanwhile is another one; then it is read and kept, and only then removed, since its content is in
clear. A run that is killed in between leaves the claimed file to the next one, which keeps nothing of it twice.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.deidentify.subject_key import SubjectKey
from pipeline.disk import sync_folder
from pipeline.errors import ConfigurationError, SourceError
from pipeline.rights.contents import Unusable
from pipeline.rights.intake import Collected, keep, understood
from pipeline.rights.parsing import FIELDS
from pipeline.rights.store import Incoming, Origin, RequestStore
from pipeline.site import SiteFile
from pipeline.workspace import Workspace

LARGEST: Final = 10 << 20  # bytes of a file that is read
LARGEST_KEPT: Final = 100 << 20  # of one that is kept, sealed, without being read
LONGEST_LINE: Final = 100_000  # characters; below the limit of the csv module, which any library may have raised
SETTLED: Final = 5.0  # seconds without a change
_ENDING: Final = ".csv"
_CLAIMED: Final = ".taken"
_REQUIRED: Final = frozenset({"request", "population"})
_LINE_END: Final = re.compile("\r\n|\n|\r")
_SHOWN: Final = 8  # digits by which lines of one file are told from those of others


class _UnreadableError(Exception):
    """Why a whole file cannot be read; its text names nobody."""


@dataclass(frozen=True)
class _File:
    """A file that this run took for itself. Its name is not shown: it may be a person's."""

    path: Path = field(repr=False)
    status: os.stat_result = field(repr=False)

    @property
    def state(self) -> str:
        """What tells this very file from others, of the same content too: that, dropped again later, asks again."""
        if stat.S_ISDIR(self.status.st_mode):
            return f"folder {self.status.st_ino}"
        return f"file {self.status.st_ino} {self.status.st_ctime_ns} {self.status.st_size}"

    @property
    def stays(self) -> bool:
        """Whether it is told of once, and left where it is: a folder, or more than a database takes."""
        return stat.S_ISDIR(self.status.st_mode) or self.status.st_size > LARGEST_KEPT

    def read(self) -> bytes:
        """What it holds, or nothing if that is not read."""
        if self.stays or not stat.S_ISREG(self.status.st_mode):
            return b""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def remove(self) -> None:
        """Remove it, unless somebody wrote to it since it was claimed: then it is read once more."""
        if self.stays or _File(self.path, self.path.lstat()).state != self.state:
            return
        self.path.unlink()
        sync_folder(self.path.parent)


def collect_inbox(
    store: RequestStore, workspace: Workspace, site: SiteFile, now: dt.datetime, settled: float = SETTLED
) -> Collected:
    """Take in every file of the drop folder, each in one transaction, and remove it.

    Args:
        store: Where requests are kept.
        workspace: Has the folder, which is made where there is none.
        site: Says how people may be named.
        now: When the requests were received, unless they say so.
        settled: Seconds for which nobody must have changed a file.

    Raises:
        ConfigurationError: Others can reach the folder, or the key is missing or another one; every file lies where it
            lay.
        SourceError: The folder or a file in it cannot be read or removed.
    """
    found = Collected()
    try:
        _require_private(workspace.inbox)
        if paths := sorted(_waiting(workspace.inbox, settled)):
            key = store.key  # before anything is touched
            for path in paths:
                with contextlib.suppress(FileNotFoundError):  # another run was quicker
                    file = _claimed(path)
                    found += keep(store, list(_incoming(file, key, site, now)))
                    file.remove()
    except OSError as failure:  # its message has the file's name
        raise SourceError(
            "the drop folder and its files must be readable and removable",
            value=f"{type(failure).__name__} under {workspace.inbox.name}/",
            remedy="Check owner and permissions there.",
        ) from None
    return found


def _require_private(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    mode = folder.stat().st_mode
    if not stat.S_ISDIR(mode) or mode & 0o077:
        raise ConfigurationError(
            "the drop folder must be one that only its owner can reach: what lies there names people",
            value=f"mode {stat.S_IMODE(mode):o}",
            remedy=f"chmod 700 {folder}",
        )


def _waiting(folder: Path, settled: float) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.endswith(_CLAIMED):  # by a run that was killed
            yield Path(entry.path)
        elif entry.name.lower().endswith(_ENDING) and not entry.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                # When it was last changed in any way, which no program that copies files sets back.
                if abs(time.time() - entry.stat(follow_symlinks=False).st_ctime) >= settled:
                    yield Path(entry.path)


def _claimed(path: Path) -> _File:
    file = _File(path, path.lstat())
    if file.stays or path.name.endswith(_CLAIMED):
        return file
    path = path.rename(path.with_name(f"{secrets.token_hex(8)}{_CLAIMED}"))
    return _File(path, path.lstat())


def _incoming(file: _File, key: SubjectKey, site: SiteFile, now: dt.datetime) -> Iterator[Incoming]:
    """What a file holds: a request or something unusable a line, or the whole as one thing that is unusable."""
    content = file.read()
    identity = f"{file.state} {hashlib.sha256(content).hexdigest()}"
    place = f"file {key.fingerprint(identity)[:_SHOWN]}"
    dropped = min(now, dt.datetime.fromtimestamp(file.status.st_mtime, dt.UTC))
    try:
        _require_readable(file, content)
        table = _table(content)
    except _UnreadableError as failure:
        whole = Unusable(content, f"{place}: {failure}", dropped)
        yield Incoming(whole, Origin.DROP_FOLDER, key.fingerprint(identity))
        return
    for number, line in table.lines:
        found = _of_line(line, table, dropped, f"{place}, line {number}: ")
        kept = found if isinstance(found, Unusable) else understood(found, site, now, f"{place}, line {number}: ")
        yield Incoming(kept, Origin.DROP_FOLDER, key.fingerprint(f"{identity} line {number}"))


def _require_readable(file: _File, content: bytes) -> None:
    if not stat.S_ISREG(file.status.st_mode):
        raise _UnreadableError("it must be a plain file, not a link, a folder or a pipe")
    if file.stays:
        raise _UnreadableError(f"it must have {LARGEST >> 20} MB at most, and stays where it is: split it")
    if len(content) > LARGEST:
        raise _UnreadableError(f"it must have {LARGEST >> 20} MB at most")


@dataclass(frozen=True)
class _Table:
    """A file that can be read: its columns, what stands between them, and its lines that are not blank, numbered."""

    names: tuple[str, ...]
    delimiter: str
    lines: tuple[tuple[int, str], ...] = field(repr=False)


def _table(content: bytes) -> _Table:
    try:
        lines = _LINE_END.split(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _UnreadableError("it must be text in UTF-8") from None
    if b"\0" in content:
        raise _UnreadableError("it must be text, without NUL bytes")
    delimiter = ";" if ";" in lines[0] and "," not in lines[0] else ","  # as some spreadsheet programs write
    names = tuple(name.strip().lower() for name in _cells(lines[0], delimiter) or ())
    if len(set(names)) < len(names) or not _REQUIRED <= set(names) <= set(FIELDS):
        raise _UnreadableError(
            f"it must begin with a header line of {', '.join(sorted(_REQUIRED))} and other fields, each once"
        )
    blank = f"{delimiter} \t"
    numbered = ((number, line) for number, line in enumerate(lines[1:], start=2) if line.strip(blank))
    return _Table(names, delimiter, tuple(numbered))


def _of_line(line: str, table: _Table, dropped: dt.datetime, place: str) -> dict[str, object] | Unusable:
    """The fields of a line, which was received with its file unless it says when."""
    if len(line) > LONGEST_LINE:
        return Unusable(line.encode(), f"{place}it must have {LONGEST_LINE:,} characters at most", dropped)
    cells = _cells(line, table.delimiter)
    if cells is None or len(cells) != len(table.names):
        problem = "quotes that are closed" if cells is None else "as many values as the header"
        return Unusable(line.encode(), f"{place}it must have {problem}", dropped)
    fields: dict[str, object] = dict(zip(table.names, cells, strict=True))
    return fields if str(fields.get("received", "")).strip() else fields | {"received": dropped.isoformat()}


def _cells(line: str, delimiter: str) -> Sequence[str] | None:
    """The values of one line; None where it is no CSV. No value of a request has several lines, so no record has."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None
