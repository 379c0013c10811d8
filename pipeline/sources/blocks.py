"""The lines of one log file, in blocks that fit into memory."""

from __future__ import annotations

import codecs
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
class Block:
    """Some lines of a file that follow each other.

    Attributes:
        lines: One row a line: ``line`` (string, with its line feed) and ``number`` (int64, its place in the file, from
            1); at most ``BLOCK_LINES`` rows and about 58 MB.
        position: Bytes of the stored file that were read up to here.
    """

    lines: pa.Table
    position: int


def read_blocks(file: LogFile, tell: Callable[[bytes], None]) -> Generator[Block, None, None]:
    """The lines of a file.

    A line keeps its line feed; the last one gets one. A byte order mark is no part of the first line. Bytes that are no
    characters of the encoding become U+FFFD. Lines longer than ``PIECE_BYTES`` become ``-``. Blank lines at the end
    are no lines.

    Args:
        file: The file.
        tell: Told all unpacked bytes, in order, before the lines that they hold are yielded.

    Raises:
        SourceError: The file cannot be read, is damaged, or is written in UTF-16.
    """
    with file.open() as stored:
        stream = _Told(unpacked(stored, file.label), tell)  # kept until the end: Arrow's closes the file with itself
        first = 1
        for joined in _joined(_whole_lines(stream, file.label)):
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


def _whole_lines(stream: Stream, label: str) -> Iterator[bytes]:
    """Pieces of a file that end with a line feed; held back by one, so that the last can be told."""
    held, carry, overlong = b"", _start(stream, label), False
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
