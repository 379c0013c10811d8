"""Where log files lie: paths, globs and addresses to files that can be opened, each once."""

from __future__ import annotations

import datetime as dt
import glob
import io
import os
import stat
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.errors import SourceError
from pipeline.site import ErrorLogSource, LogSource

SPAN: Final = 4 << 20  # bytes that are fetched at a time
_ADDRESS: Final = "://"
_LOCAL: Final = "file://"
# What stands for a day in a path -> how it is written, and what matches any day.
_TEMPLATES: Final = {"{year}": ("%Y", "[0-9]" * 4), "{month}": ("%m", "[0-9]" * 2), "{day}": ("%d", "[0-9]" * 2)}


@dataclass(frozen=True)
class LogFile:
    """One log file, as it was found.

    Attributes:
        label: Its name for people: a path relative to the site file, or an address without credentials.
        source: What the site file says of it.
        size: Bytes as stored.
        identity: What tells it from other files, whatever it is called.
        opener: Opens it; told how many bytes to fetch at a time.
        address: Where it is found again, see ``found_again``.
        begins: Length and SHA-256 of how it began when it was found; None where nobody looked. It may have grown since.
    """

    label: str
    source: LogSource | ErrorLogSource = field(repr=False, compare=False)
    size: int
    identity: Hashable = field(repr=False)
    opener: Callable[[int], io.BufferedReader] = field(repr=False, compare=False)
    address: str = field(default="", repr=False)
    begins: tuple[int, str] | None = field(default=None, repr=False, compare=False)

    def open(self, span: int = SPAN) -> io.BufferedReader:
        """Open it for reading the bytes as they are stored, ``span`` at a time.

        Raises:
            SourceError: It is gone, unreadable, or another file than the one that was found; reading raises it, too.
        """
        return self.opener(span)


def find_logs(
    sources: Sequence[LogSource | ErrorLogSource], base: Path, days: Sequence[dt.date] = ()
) -> tuple[LogFile, ...]:
    """The files that sources name, each once (links included), in the order of the sources, sorted within each.

    A file that several sources name is the first one's.

    Args:
        sources: Paths or globs (``**`` matches folders), and addresses ``s3://``, ``sftp://`` or ``file://``. Folders
            that a glob matches are passed over.
        base: What relative paths are relative to.
        days: What ``{year}``, ``{month}`` and ``{day}`` stand for; any day, if there are none.

    Raises:
        SourceError: A path names no file, or something that is no regular, readable file; of a path with a template
            only, if no day has a file. Or a store does not answer, or refuses.
    """
    from pipeline.sources.stores import Stores  # noqa: PLC0415 - it needs this module

    stores = Stores()
    found: dict[Hashable, LogFile] = {}
    for source in sources:
        files = [log for pattern in source.paths for log in _files(pattern, source, base, days, stores.find)]
        for log in sorted(files, key=lambda log: log.label):
            found.setdefault(log.identity, log)
    return tuple(found.values())


def found_again(address: str, source: LogSource | ErrorLogSource, base: Path, find_remote: FindRemote) -> LogFile:
    """A file that was found before, perhaps by another process or on another machine.

    Args:
        address: Of the file, as ``LogFile`` has it.
        source: What the site file says of it.
        base: What its label is relative to.
        find_remote: Finds the file at an address of a store; see ``stores.Stores``.

    Raises:
        SourceError: It is gone, or cannot be read.
    """
    return find_remote(address, source)[0] if _ADDRESS in address else _local_log(Path(address), base, source)


FindRemote = Callable[[str, LogSource | ErrorLogSource], list[LogFile]]


def _files(
    pattern: str, source: LogSource | ErrorLogSource, base: Path, days: Sequence[dt.date], find_remote: FindRemote
) -> list[LogFile]:
    found: list[LogFile] = []
    for one in _of_days(pattern, days):
        if _ADDRESS in one and not one.startswith(_LOCAL):
            found += find_remote(one, source)
        else:
            found += [_local_log(path, base, source) for path in _matches(one.removeprefix(_LOCAL), base)]
    if not found:
        raise SourceError(
            "every path or glob of logs must match a file",
            value=f"none for {pattern!r}" + (" on any of the days" if _has_template(pattern) else ""),
            remedy="Correct the paths in the site file; they are relative to it.",
        )
    return found


def _has_template(pattern: str) -> bool:
    return any(template in pattern for template in _TEMPLATES)


def _of_days(pattern: str, days: Sequence[dt.date]) -> list[str]:
    if not days:
        for template, (_, any_day) in _TEMPLATES.items():
            pattern = pattern.replace(template, any_day)
        return [pattern]
    expanded = []
    for day in days:
        one = pattern
        for template, (form, _) in _TEMPLATES.items():
            one = one.replace(template, day.strftime(form))
        expanded.append(one)
    return list(dict.fromkeys(expanded))


def shown(name: str) -> str:
    """A file's name without characters that would steer a terminal or break a text."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def not_regular(pattern: str, *, folder: bool) -> SourceError:
    """The error for what is there and is no file."""
    return SourceError(
        "logs must be regular files",
        value=f"{'a folder' if folder else 'a special file'} for {pattern!r}",
        remedy=f"Name the files themselves, e.g. {pattern.rstrip('/')}/*.log." if folder else "",
    )


def unreadable(label: str, failure: Exception, remedy: str = "Check its permissions.") -> SourceError:
    """The error for a file that cannot be read; of the failure it tells the kind alone."""
    return SourceError("a log must be readable", value=f"{label} ({type(failure).__name__})", remedy=remedy)


def changed(label: str) -> SourceError:
    """The error for a file that is no longer the one that was found: its lines might be read twice, or not at all."""
    return SourceError(
        "a log must not be rotated or cut while it is read",
        value=f"{label}, which was",
        remedy="Run again; to be spared this, read only logs that are rotated already.",
    )


def _matches(pattern: str, base: Path) -> list[Path]:
    literal = base / pattern
    if os.path.lexists(literal) or not glob.has_magic(pattern):
        return [literal] if _is_log(literal, pattern) else []
    whole = pattern if Path(pattern).is_absolute() else str(Path(glob.escape(str(base))) / pattern)
    paths = [Path(path) for path in _globbed(whole)]
    return [path for path in paths if not path.is_dir() and _is_log(path, pattern)]


def _globbed(pattern: str) -> list[str]:
    """Like ``glob.glob``, which does not come to an end where links of folders lead round in circles."""
    above, any_folder, below = f"{pattern}/".partition("/**/")
    if not any_folder:
        return glob.glob(pattern)  # noqa: PTH207 - unlike Path.glob, this takes absolute patterns
    folders = [folder for root in glob.glob(f"{above}/") for folder in _folders(root)]  # noqa: PTH207
    below = below.rstrip("/") or "*"
    return [path for folder in folders for path in _globbed(f"{glob.escape(folder)}/{below}")]


def _folders(root: str) -> list[str]:
    """A folder and those below it, links included, hidden ones left out, each once."""
    seen: set[tuple[int, int]] = set()
    found = []
    for folder, below, _ in os.walk(root, followlinks=True):
        entry = Path(folder).stat()
        if (entry.st_dev, entry.st_ino) in seen:
            below.clear()
            continue
        seen.add((entry.st_dev, entry.st_ino))
        below[:] = [name for name in below if not name.startswith(".")]
        found.append(folder.rstrip("/"))
    return found


def _is_log(path: Path, pattern: str) -> bool:
    """Whether there is something; then it is a file that can be read."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        if path.is_symlink():
            raise SourceError(
                "a link to a log must lead to a file",
                value=f"one that does not, for {pattern!r}",
                remedy="Remove it, or correct where it leads.",
            ) from None
        return False
    if not stat.S_ISREG(mode):
        raise not_regular(pattern, folder=stat.S_ISDIR(mode))
    if not os.access(path, os.R_OK, effective_ids=True):
        raise unreadable(shown(path.name), PermissionError())
    return True


def _local_log(path: Path, base: Path, source: LogSource | ErrorLogSource) -> LogFile:
    # Parts such as '..' and '.' are written away, links are not followed: the label is what was asked for.
    whole = Path(os.path.abspath(path))  # noqa: PTH100
    parent = Path(os.path.abspath(base))  # noqa: PTH100
    label = shown(str(whole.relative_to(parent) if whole.is_relative_to(parent) else whole))
    try:
        entry = path.stat()
    except OSError as failure:
        raise unreadable(label, failure) from None

    def opener(span: int) -> io.BufferedReader:
        return io.BufferedReader(_LocalFile(path, label, entry), min(span, _LOCAL_SPAN))

    return LogFile(label, source, entry.st_size, (entry.st_dev, entry.st_ino), opener, str(path.absolute()))


_LOCAL_SPAN: Final = 256 << 10  # larger reads pass the buffer by


class _LocalFile(io.FileIO):
    """A local file whose failures name it by its label, and are told from those of unpacking it."""

    def __init__(self, path: Path, label: str, found: os.stat_result) -> None:
        self._label, self._size = label, found.st_size
        try:
            # Should a pipe have taken the file's place, opening it must not wait for somebody to write into it.
            super().__init__(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        except OSError as failure:
            raise unreadable(label, failure, "Check that it is still there, and its permissions.") from None
        now = os.fstat(self.fileno())
        if (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino) or now.st_size < found.st_size:
            self.close()
            raise changed(label)

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        try:
            count = super().readinto(buffer)
        except OSError as failure:
            raise unreadable(self._label, failure) from None
        if not count and self.tell() < self._size:
            raise changed(self._label)
        return count
