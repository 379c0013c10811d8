"""Delimited text files: a header line, then one record a line, in which a quoted value may hold line breaks.

One malformed line never takes others with it: a quote that is never closed would swallow the records behind it, so
lines that no parser can place are taken out, and counted, before the parser sees them.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from pipeline.errors import SourceError
from pipeline.site import CsvSource
from pipeline.sources.rows import Span

CHUNK_BYTES: Final = 4 << 20
MAX_RECORD_BYTES: Final = 1 << 20
MAX_RECORD_LINES: Final = 100  # a quote that is open for longer was never meant to open
_BOM: Final = b"\xef\xbb\xbf"
_NEWLINE, _QUOTE = ord("\n"), ord('"')


@dataclass(frozen=True)
class CsvTable:
    """A delimited file whose header was read."""

    path: Path
    source: CsvSource
    columns: tuple[str, ...]
    header_lines: int
    state: tuple[int, ...]
    rejected: Counter[str] = field(default_factory=Counter)

    @classmethod
    def open(cls, source: CsvSource, base: Path) -> CsvTable:
        """Read the header.

        Raises:
            SourceError: The file is missing, unreadable, empty, or no text.
        """
        path = base / source.path
        state = _state(path)
        head = read_head(path).decode("utf-8" if source.encoding == "utf-8" else "latin-1", errors="replace")
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=source.delimiter)
        try:
            header = next(reader, [])
        except csv.Error:
            header = []
        if not any(name.strip() for name in header):
            raise SourceError(
                "a delimited file must begin with a header line", value=path, remedy="Add the names of the columns."
            )
        return cls(path, source, tuple(name.strip() for name in header), reader.line_num, state)

    @property
    def place(self) -> str:
        """Which file this is."""
        return str(self.path)

    def batches(
        self, names: Sequence[str], typed: Set[str] = frozenset(), span: Span | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The named columns, all rows, as text; see ``Table.batches``.

        Raises:
            SourceError: The file cannot be read to its end.
        """
        chosen = [f"c{self.columns.index(name)}" for name in names]
        schema = pa.schema([(f"c{place}", pa.string()) for place in range(len(names))])
        lines = self._well_formed()
        try:
            first = next(lines, b"")
            if not first:
                return
            for batch in self._parser(_Stream(first, lines), chosen):
                yield pa.RecordBatch.from_arrays([batch.column(name) for name in chosen], schema=schema)
        except (pa.ArrowInvalid, OSError) as failure:  # its message may quote a record
            raise SourceError(
                "a delimited file must be readable to its end",
                value=f"{self.path} ({type(failure).__name__})",
                remedy="Check the file, and its delimiter in the site file.",
            ) from None

    def _parser(self, stream: _Stream, chosen: list[str]) -> Any:
        return pacsv.open_csv(
            io.BufferedReader(stream),
            read_options=pacsv.ReadOptions(
                column_names=[f"c{place}" for place in range(len(self.columns))], block_size=2 * CHUNK_BYTES
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self.source.delimiter, newlines_in_values=True, invalid_row_handler=self._skip
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(dict.fromkeys(chosen)),
                column_types=dict.fromkeys(chosen, pa.string()),
                strings_can_be_null=False,
            ),
        )

    def _skip(self, _row: object) -> str:
        self.rejected["number of columns"] += 1
        return "skip"

    def _well_formed(self) -> Iterator[bytes]:
        """Whole records after the header, UTF-8, without the lines that cannot be placed."""
        left, skip = b"", self.header_lines
        for block in _whole_lines(self.path, self.state, self.rejected):
            if skip:
                block, skip = _drop_lines(block, skip), 0  # noqa: PLW2901 - the header is shorter than a block
            kept, left = self._balanced(left + self._as_utf8(block), last=False)
            if kept:
                yield kept
        if left and (kept := self._balanced(left, last=True)[0]):
            yield kept

    def _as_utf8(self, block: bytes) -> bytes:
        if self.source.encoding == "latin-1":
            return block.decode("latin-1").encode()
        if _is_utf8(block):
            return block
        lines = block.splitlines(keepends=True)
        kept = [line for line in lines if _is_utf8(line)]
        self.rejected["encoding"] += len(lines) - len(kept)
        return b"".join(kept)

    def _balanced(self, block: bytes, *, last: bool) -> tuple[bytes, bytes]:
        """Take out lines with a quote that no later line closes.

        Returns:
            What can be parsed, and the beginning of a record that the next block may end.
        """
        ends, odd, open_ = _quoted_lines(block, self.source.delimiter)
        start = np.concatenate(([0], ends))
        taken: list[int] = []  # lines to take out
        inside = np.zeros(len(ends), bool)  # lines of records that have several
        place, end = 0, len(ends)
        while place < len(odd):
            opening = odd[place]
            closing = odd[place + 1] if place + 1 < len(odd) else None
            if self._is_record(block[start[opening] : ends[opening]]):  # an inch sign inside a value
                place += 1
            elif closing is not None and self._is_record(block[start[opening] : ends[closing]], closing - opening):
                inside[opening : closing + 1] = True
                place += 2
            elif closing is None and not last and len(ends) - opening < MAX_RECORD_LINES:
                end = opening
                break
            else:
                taken.append(opening)
                place += 1
        # Beside an inch sign, a line of an even number of quotes can leave one open.
        taken += [line for line in open_ if line < end and not inside[line]]
        if taken:
            self.rejected["unclosed quote"] += len(taken)
        edges = [0, *(int(edge) for line in sorted(taken) for edge in (start[line], ends[line])), int(start[end])]
        kept = b"".join(block[low:high] for low, high in zip(edges[::2], edges[1::2], strict=True))
        return kept, block[start[end] :]

    def _is_record(self, text: bytes, breaks: int = 0) -> bool:
        if breaks >= MAX_RECORD_LINES or len(text) > MAX_RECORD_BYTES:
            return False
        lines = io.StringIO(text.decode(), newline="")
        try:
            records = list(csv.reader(lines, delimiter=self.source.delimiter, strict=True))
        except csv.Error:
            return False
        return len(records) == 1 and len(records[0]) == len(self.columns)


class _Stream(io.RawIOBase):
    """A readable stream over chunks."""

    def __init__(self, first: bytes, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunk, self._chunks = memoryview(first), chunks

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if not self._chunk:
            self._chunk = memoryview(next(self._chunks, b""))
        size = min(len(target), len(self._chunk))
        target[:size], self._chunk = self._chunk[:size], self._chunk[size:]
        return size


def read_head(path: Path) -> bytes:
    """The first bytes of a text file, without a byte order mark; line ends as they are.

    Raises:
        SourceError: The file is missing, unreadable, empty, or no text.
    """
    try:
        with path.open("rb") as file:
            head = file.read(CHUNK_BYTES).removeprefix(_BOM)
    except OSError as failure:
        raise SourceError(
            "a delimited file must be there and readable",
            value=f"{path} ({type(failure).__name__})",
            remedy="Check the path and its permissions.",
        ) from None
    if not head.strip():
        raise SourceError("a delimited file must not be empty", value=path, remedy="Export it again.")
    if b"\0" in head:
        raise SourceError(
            "a delimited file must be plain text in UTF-8 or Latin-1", value=path, remedy="Unpack or convert it."
        )
    return head


def _state(path: Path) -> tuple[int, ...]:
    """By what is told whether a file is still the one it was; nothing where it is missing, which reading it says."""
    try:
        return _state_of(path.stat())
    except OSError:
        return ()


def _state_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _require_state(path: Path, found: os.stat_result, state: tuple[int, ...]) -> None:
    if _state_of(found) != state:
        raise SourceError(
            "a delimited file must stay as it is while it is read",
            value=f"{path} was replaced or written to",
            remedy="Read it again when its export is complete; put a new export in its place by renaming.",
        )


def _whole_lines(path: Path, state: tuple[int, ...], rejected: Counter[str]) -> Iterator[bytes]:
    """Blocks that end where a line ends, carriage returns read as line ends; lines beyond all measure are taken out."""
    carried, too_long, carriage_returns = b"", False, False
    with path.open("rb") as file:
        _require_state(path, os.fstat(file.fileno()), state)
        file.seek(len(_BOM) if file.read(len(_BOM)) == _BOM else 0)
        while block := file.read(CHUNK_BYTES):
            if not carried and b"\n" not in block and b"\r" in block:
                carriage_returns = True  # as old spreadsheet programs write
            text = carried + (block.replace(b"\r", b"\n") if carriage_returns else block)
            if too_long:
                text, too_long = _after_line(text)
            cut = text.rfind(b"\n") + 1
            carried = text[cut:]
            if len(carried) > MAX_RECORD_BYTES:
                rejected["too long"] += 1
                carried, too_long = b"", True
            if cut:
                yield text[:cut]
        _require_state(path, os.fstat(file.fileno()), state)
    if carried and not too_long:
        yield carried + b"\n"


def _after_line(text: bytes) -> tuple[bytes, bool]:
    end = text.find(b"\n") + 1
    return (text[end:], False) if end else (b"", True)


def _drop_lines(block: bytes, count: int) -> bytes:
    end = 0
    for _ in range(count):
        end = block.find(b"\n", end) + 1 or len(block)
    return block[end:]


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quoted_lines(block: bytes, delimiter: str) -> tuple[Any, list[int], list[int]]:
    """Where lines end, which hold an odd number of quotes, and which hold an even one and leave a quote open."""
    array = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(array == _NEWLINE) + 1
    quotes = np.flatnonzero(array == _QUOTE)
    counts = np.bincount(np.searchsorted(ends, quotes, side="right"), minlength=len(ends))
    even = np.flatnonzero((counts > 0) & (counts % 2 == 0))
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
    opened = pc.match_substring_regex(lines.take(pa.array(even)), _open_pattern(delimiter))
    return ends, np.flatnonzero(counts % 2).tolist(), even[opened.to_numpy(zero_copy_only=False)].tolist()


def _open_pattern(delimiter: str) -> str:
    """Of a line whose last value begins with a quote and does not end with one; elsewhere quotes are plain."""
    other = f"[^{re.escape(delimiter)}\\n]"
    quoted = f'"(?:[^"\\n]|"")*"(?:[^"{re.escape(delimiter)}\\n]{other}*)?'
    plain = f'[^"{re.escape(delimiter)}\\n]{other}*'
    return f'^(?:(?:{quoted}|{plain})?{re.escape(delimiter)})*"(?:[^"\\n]|"")*\\n?$'
