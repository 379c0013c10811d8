"""The lines of one log file, in blocks that fit into memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.sources.packing import Stream, unpacked
from pipeline.sources.places import LogFile

PIECE_BYTES: Final = 2 << 20  # a line that is longer is not a line of a log; it is counted and skipped
BLOCK_BYTES: Final = 56 << 20  # about as many usual lines as a block has; larger ones cost memory and gain nothing
# Two of the engine's row groups, so that two threads work on a block; blocks of 16 MB took longer, with one core idle.
# A file of tiny lines would need far more memory than its bytes.
BLOCK_LINES: Final = 2 * 122_880
BATCH_LINES: Final = 8_192  # the engine reads batches in parallel
_OVERLONG: Final = b"-\n"  # stands for a line longer than a piece; no format matches it
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Span:
    """Some lines of a file that is not packed, told by their bytes.

    Attributes:
        start: Where the first of them begins.
        stop: Where the next line begins; the length of the file, where there is none.
        first: Number of the first of them.
        is_last: Whether no line follows.
    """

    start: int
    stop: int
    first: int
    is_last: bool


@dataclass(frozen=True)
class Block:
    """Some lines of a file that follow each other.

    Attributes:
        lines: One row a line: ``line`` (string, with its line feed) and ``number`` (int64, its place in the file, from
            1); at most ``BLOCK_LINES`` rows and about 58 MB.
        position: Bytes of the stored file that were read up to here.
    """

    lines: pa.Table
    position: int


def read_blocks(file: LogFile, tell: Callable[[bytes], None], span: Span | None = None) -> Generator[Block, None, None]:
    """The lines of a file, or of a span of it.

    A line keeps its line feed; the last one gets one. A byte order mark is no part of the first line. Bytes that are no
    characters of the encoding become U+FFFD. Lines longer than ``PIECE_BYTES`` become ``-``. Blank lines at the end
    are no lines.

    Args:
        file: The file.
        tell: Told all unpacked bytes, in order, before the lines that they hold are yielded.
        span: Which lines; None for all.

    Raises:
        SourceError: The file cannot be read, is damaged, or is written in UTF-16.
    """
    with file.open() as stored:
        source = unpacked(stored, file.label) if span is None else _Spanned(stored, span)
        stream = _Told(source, tell)  # kept until the end: Arrow's closes the file with itself
        first = span.first if span else 1
        for joined in _joined(_whole_lines(stream, file.label, span)):
            for lines in _tables(joined, file.source.encoding, first):
                first += lines.num_rows
                yield Block(lines, stored.tell())


class _Told:
    """A stream that tells what is read of it."""

    def __init__(self, stream: Stream, tell: Callable[[bytes], None]) -> None:
        self._stream, self._tell = stream, tell

    def read(self, size: int, /) -> bytes:
        fresh = self._stream.read(size)
        self._tell(fresh)
        return fresh


def first_lines(file: LogFile, number: int) -> pa.Table:
    """At least so many of the first lines of a file, as ``read_blocks`` has them; all, where it has fewer.

    Raises:
        SourceError: See ``read_blocks``.
    """
    with file.open() as stored:
        stream = unpacked(stored, file.label)
        found = b""
        for piece in _whole_lines(stream, file.label):
            found += piece
            if found.count(b"\n") >= number:
                break
        return next(_tables(found, file.source.encoding, 1))


def cut(file: LogFile, number: int, tell: Callable[[bytes], None]) -> tuple[Span, ...]:
    """Cut a file that is not packed into spans of about the same length, in one pass; fewer where lines are long.

    Args:
        file: Its size is that which it had when it was found: what was added since is in no span.
        number: Of spans, at most.
        tell: Told all bytes of the spans, in order.

    Raises:
        SourceError: The file cannot be read.
    """
    wanted = [file.size * place // number for place in range(1, number)]
    starts, at, lines = [(0, 1)], 0, 0  # where a span begins, and the number of its first line
    with file.open() as stored:
        whole = _Spanned(stored, Span(0, file.size, 1, is_last=True))
        while piece := whole.read(PIECE_BYTES):
            tell(piece)
            while wanted and wanted[0] < at + len(piece):
                if not (end := piece.find(b"\n", max(wanted[0] - at, 0)) + 1):
                    wanted[0] = at + len(piece)
                    break
                if at + end < file.size:
                    starts.append((at + end, lines + piece.count(b"\n", 0, end) + 1))
                wanted = [place for place in wanted if place >= at + end]
            at, lines = at + len(piece), lines + piece.count(b"\n")
    stops = [*(start for start, _ in starts[1:]), file.size]
    return tuple(
        Span(start, stop, first, is_last=stop == file.size) for (start, first), stop in zip(starts, stops, strict=True)
    )


class _Spanned:
    """The bytes of a span."""

    def __init__(self, stored: io.BufferedReader, span: Span) -> None:
        self._stored, self._left = stored, span.stop - span.start
        stored.seek(span.start)

    def read(self, size: int, /) -> bytes:
        fresh = self._stored.read(min(size, self._left))
        self._left -= len(fresh)
        return fresh


def _whole_lines(stream: Stream, label: str, span: Span | None = None) -> Iterator[bytes]:
    """Pieces of a file that end with a line feed; held back by one, so that the last can be told."""
    held, carry, overlong = b"", b"" if span and span.start else _start(stream, label), False
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
    if span and not span.is_last:
        yield held + carry
    elif last := (held + (_OVERLONG if overlong else carry)).rstrip(b"\r\n"):
        yield last + b"\n"


def _start(stream: Stream, label: str) -> bytes:
    start = b""
    while len(start) < len(codecs.BOM_UTF8) and (fresh := stream.read(len(codecs.BOM_UTF8) - len(start))):
        start += fresh
    if start.startswith(_UTF_16):
        raise SourceError(
            "a log must be written in UTF-8, latin-1 or ASCII",
            value=f"UTF-16 in {label}",
            remedy="Let the server write UTF-8, or convert it: iconv -f UTF-16 -t UTF-8.",
        )
    return start.removeprefix(codecs.BOM_UTF8)


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(pending)
            pending.clear()
            size = 0
    if pending:
        yield b"".join(pending)


def _tables(block: bytes, encoding: str, first: int) -> Iterator[pa.Table]:
    if not block.isascii():
        block = block.decode(encoding, "replace").encode()
    # The block itself is the array's text; only where its lines begin is computed.
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
    numbers = pa.array(np.arange(first, first + len(ends), dtype=np.int64))
    for start in range(0, len(lines), BLOCK_LINES):
        part = {"line": lines.slice(start, BLOCK_LINES), "number": numbers.slice(start, BLOCK_LINES)}
        yield pa.table({name: pa.chunked_array(_batches(column), column.type) for name, column in part.items()})


def _batches(column: pa.Array) -> list[pa.Array]:
    return [column.slice(start, BATCH_LINES) for start in range(0, len(column), BATCH_LINES)]
