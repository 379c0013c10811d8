"""Visitor logs: which files, and their lines in blocks that fit into memory."""

from __future__ import annotations

import codecs
import glob
import gzip
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.progress import Progress, silent

PIECE_BYTES: Final = 2 << 20  # a line that is longer is not a line of a log; it is counted and skipped
BLOCK_BYTES: Final = 16 << 20  # larger ones cost memory and gain nothing
BLOCK_LINES: Final = 250_000  # of a block; a file of tiny lines would need far more memory than its bytes
BATCH_LINES: Final = 8_192  # the engine reads batches in parallel
_GZIP_MAGIC: Final = b"\x1f\x8b"
_OVERLONG: Final = b"-\n"  # stands for a line longer than a piece; no format matches it


def find_logs(patterns: Sequence[str], base: Path) -> tuple[Path, ...]:
    """The files that paths or globs name, each once (links included), sorted.

    Args:
        patterns: Paths or globs; ``**`` matches folders. Folders that a glob matches are passed over.
        base: What relative ones are relative to.

    Raises:
        SourceError: A pattern names no file, or something that is no regular, readable file.
    """
    found = sorted({path for pattern in patterns for path in _matches(pattern, base)})
    once = {(entry.st_dev, entry.st_ino): path for path, entry in ((path, path.stat()) for path in reversed(found))}
    return tuple(sorted(once.values()))


def read_lines(paths: Sequence[Path], progress: Progress = silent) -> Iterator[pa.Table]:
    """The lines of all files, one column ``line``, in tables of at most ``BLOCK_LINES`` rows and about 18 MB.

    A line keeps its line feed. Bytes that are no UTF-8 become U+FFFD. Blank lines at the end of a file are no lines.
    ``progress`` is told the bytes read of the bytes on disk.

    Raises:
        SourceError: A file cannot be read, is a broken gzip, or all are empty.
    """
    pending: list[bytes] = []
    empty = True
    for piece in _pieces(paths, progress):
        empty = False
        pending.append(piece)
        if sum(map(len, pending)) >= BLOCK_BYTES:
            yield from _tables(b"".join(pending))
            pending.clear()
    if empty:
        raise SourceError(
            "visitor logs must hold at least one line",
            value="only empty files",
            remedy="Check that the site file names the right logs.",
        )
    yield from _tables(b"".join(pending))


def _matches(pattern: str, base: Path) -> list[Path]:
    literal = base / pattern
    if literal.exists() or not glob.has_magic(pattern):
        return [_readable_file(literal, pattern)]
    # Unlike Path.glob, this takes absolute patterns.
    whole = pattern if Path(pattern).is_absolute() else str(Path(glob.escape(str(base))) / pattern)
    paths = [Path(path) for path in glob.glob(whole, recursive=True)]  # noqa: PTH207
    files = [_readable_file(path, pattern) for path in paths if not path.is_dir()]
    if not files:
        raise _no_file(pattern)
    return files


def _readable_file(path: Path, pattern: str) -> Path:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        raise _no_file(pattern) from None
    if not stat.S_ISREG(mode):
        raise SourceError(
            "visitor logs must be regular files",
            value="a folder" if stat.S_ISDIR(mode) else f"a special file for {pattern!r}",
            remedy=f"Name the files themselves, e.g. {pattern.rstrip('/')}/*.log." if stat.S_ISDIR(mode) else "",
        )
    if not os.access(path, os.R_OK, effective_ids=True):
        raise _unreadable(path, PermissionError())
    return path


def _no_file(pattern: str) -> SourceError:
    return SourceError(
        "every path or glob of the visitor logs must match a file",
        value=f"none for {pattern!r}",
        remedy="Correct visitors.logs in the site file; paths are relative to it.",
    )


def _unreadable(path: Path, failure: Exception) -> SourceError:
    return SourceError(
        "a visitor log must be readable",
        value=f"{path.name} ({type(failure).__name__})",
        remedy="Check its permissions.",
    )


def _pieces(paths: Sequence[Path], progress: Progress) -> Iterator[bytes]:
    sizes = [path.stat().st_size if path.exists() else 0 for path in paths]  # what is gone fails when it is opened
    before, total = 0, sum(sizes)
    for path, size in zip(paths, sizes, strict=True):
        try:
            with path.open("rb") as file, _unpacked(file, path) as stream:
                for piece in _whole_lines(stream):
                    progress("reading visitor logs", before + min(file.tell(), size), total)
                    yield piece
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise SourceError(
                "a gzipped visitor log must be complete and undamaged",
                value=path.name,
                remedy="Fetch it again, or leave it out.",
            ) from None
        except OSError as failure:
            raise _unreadable(path, failure) from None
        before += size
    progress("reading visitor logs", total, total)


def _unpacked(file: IO[bytes], path: Path) -> IO[bytes]:
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    if magic == _GZIP_MAGIC:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if path.suffix == ".gz":
        raise gzip.BadGzipFile
    return file


def _whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Pieces of a file that end with a line feed; held back by one, so that the last can be told."""
    held, carry, overlong = b"", stream.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8), False
    while fresh := stream.read(PIECE_BYTES - len(carry)):
        piece, carry = carry + fresh, b""
        end = piece.rfind(b"\n") + 1
        if not end:
            overlong = overlong or len(piece) >= PIECE_BYTES
            carry = b"" if overlong else piece
            continue
        whole, carry = piece[:end], piece[end:]
        if overlong:
            whole, overlong = _OVERLONG + whole[whole.find(b"\n") + 1 :], False
        if held:
            yield held
        held = whole
    if last := (held + (_OVERLONG if overlong else carry)).rstrip(b"\r\n"):
        yield last + b"\n"


def _tables(block: bytes) -> Iterator[pa.Table]:
    if not block.isascii():
        block = block.decode("utf-8", "replace").encode()
    # The block itself is the array's text; only where its lines begin is computed.
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
    for start in range(0, len(lines), BLOCK_LINES):
        part = lines.slice(start, BLOCK_LINES)
        yield pa.table({"line": pa.chunked_array(_batches(part), pa.string())})


def _batches(lines: pa.StringArray) -> list[pa.StringArray]:
    return [lines.slice(start, BATCH_LINES) for start in range(0, len(lines), BATCH_LINES)]
