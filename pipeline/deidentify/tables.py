"""Tables of staging: files of buckets of people, each written once under a name of its own.

A bucket is a range of pseudonyms, see ``pseudonyms.people_between``: a file holds people of its bucket only, so that
what is to be done to one person is done to files of one bucket. How many buckets there are follows from the rows, so
that a bucket fits into memory.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.deidentify.places import Place
from pipeline.deidentify.pseudonyms import BUCKET_DIGITS, PSEUDONYM_DIGITS
from pipeline.documents import Document
from pipeline.errors import StagingError

EVENTS: Final = "events"
PERSONS: Final = "persons"
ALIASES: Final = "aliases"
TABLES: Final = (EVENTS, PERSONS, ALIASES)
ROWS_A_BUCKET: Final = 1_000_000
MOST_BUCKETS: Final = 4096
_TOKEN: Final = 8  # bytes: no two files of a bucket are ever called the same


class StagedFile(Document):
    """One file of a table."""

    name: str = Field(pattern=r"^b\d{4}-[0-9a-f]{16}\.parquet$")
    bucket: int = Field(ge=0, lt=MOST_BUCKETS)
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)


def buckets_for(rows: int) -> int:
    """How many buckets a period has whose largest table has so many rows: a power of two, from 1 to 4096."""
    return min(MOST_BUCKETS, 1 << max(0, -(-rows // ROWS_A_BUCKET) - 1).bit_length())


def bucket_of(person: str, buckets: int) -> int:
    """In which of so many buckets a pseudonym is, the same as ``pseudonyms.people_between`` says."""
    return int(person[:BUCKET_DIGITS], 16) * buckets >> 4 * BUCKET_DIGITS


def buckets_of(people: pa.ChunkedArray, buckets: int) -> np.ndarray:
    """The same of many pseudonyms (int64).

    Raises:
        ValueError: One is no pseudonym.
    """
    leading = _leading_bytes(people, BUCKET_DIGITS).view(">u4").astype(np.uint64)
    return (leading * buckets >> 4 * BUCKET_DIGITS).astype(np.int64)


def numbers_of(people: pa.ChunkedArray) -> np.ndarray:
    """Sixty-four bits of each pseudonym (uint64): enough to tell the people of a bucket apart.

    That two of ten million people share them has a chance of three in a million.
    """
    return _leading_bytes(people, 16).view(">u8").astype(np.uint64)


def _leading_bytes(people: pa.ChunkedArray, digits: int) -> np.ndarray:
    """What the first digits of pseudonyms say, one after the other."""
    parts = [np.zeros(0, np.uint8)]
    for chunk in people.chunks:
        texts = chunk.cast(pa.string()) if pa.types.is_dictionary(chunk.type) else chunk
        _, offsets, characters = texts.buffers()
        places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        if texts.null_count or (np.diff(places) != PSEUDONYM_DIGITS).any():
            raise ValueError("person must be a pseudonym")
        held = np.frombuffer(characters, np.uint8)[places[0] : places[-1]] if len(texts) else parts[0]
        leading = held.reshape(-1, PSEUDONYM_DIGITS)[:, :digits].tobytes()
        parts.append(np.frombuffer(bytes.fromhex(leading.decode()), np.uint8))
    return np.concatenate(parts)


@dataclass(frozen=True)
class StagedTable:
    """A table of one period's staging. Who reads its rows holds the period's lock, so that its files stay.

    Attributes:
        name: ``events``, ``persons`` or ``aliases``.
        place: Of the period.
        buckets: How many there are; not each needs to have a file.
        files: At least one, by bucket.
    """

    name: str
    place: Place
    buckets: int
    files: tuple[StagedFile, ...]

    @property
    def rows(self) -> int:
        """Of all buckets."""
        return sum(file.rows for file in self.files)

    @property
    def schema(self) -> pa.Schema:
        """Of every file, as Arrow has it; texts are texts.

        Raises:
            StagingError: The first file cannot be read.
        """
        with self.readable(), self.place.reading(self.path(self.files[0])) as file:
            return pq.read_schema(file)

    @property
    def columns(self) -> list[str]:
        """Their names."""
        return list(self.schema.names)

    def path(self, file: StagedFile) -> str:
        """Of a file, in the place of the period."""
        return f"{self.name}/{file.name}"

    def files_between(self, first: int = 0, last: int | None = None) -> list[StagedFile]:
        """The files of buckets from ``first`` up to ``last``, which is not among them."""
        end = self.buckets if last is None else last
        return [file for file in self.files if first <= file.bucket < end]

    def paths(self, first: int = 0, last: int | None = None) -> list[str]:
        """Addresses of the same, for ``read_parquet`` of a connection that the place is attached to.

        None where these buckets have no rows.
        """
        return [self.place.at(self.path(file)) for file in self.files_between(first, last)]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, by bucket: of tables that fit into memory.

        Raises:
            StagingError: A file cannot be read.
        """
        with self.readable():
            return pa.concat_tables([self._read(file, columns) for file in self.files])

    def _read(self, file: StagedFile, columns: Sequence[str] | None) -> pa.Table:
        with self.place.reading(self.path(file)) as opened:
            return pq.ParquetFile(opened).read(columns)

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn what reading raises into an error without its words, which may quote a pseudonym.

        Raises:
            StagingError: A file is not there, or is no Parquet.
        """
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as failure:
            raise StagingError(
                "staging must be readable Parquet",
                value=f"{type(failure).__name__} on {self.name}",
                remedy="Check its permissions, or ingest the period again.",
            ) from None


class RowWriter:
    """Appends tables to a Parquet file, in a thread: one is written while the caller makes the next.

    Attributes:
        rows: Written so far.
        bytes: Of the file, when it is closed.
    """

    def __init__(self, file: BinaryIO, thread: ThreadPoolExecutor, options: Mapping[str, Any]) -> None:
        self.rows, self.bytes = 0, 0
        self._file, self._thread, self._options = file, thread, options
        self._writer: pq.ParquetWriter | None = None
        self._pending: Future[None] | None = None

    def write(self, rows: pa.Table, row_group_size: int | None = None) -> None:
        """Append rows. The first table says which columns there are, and may be empty."""
        self._wait()
        self.rows += rows.num_rows
        self._pending = self._thread.submit(self._put, rows, row_group_size)

    def close(self) -> None:
        """Write the end of the file, if anything was written."""
        try:
            self._wait()
        finally:
            if self._writer is not None:
                self._writer.close()
                self.bytes = self._file.tell()

    def _put(self, rows: pa.Table, row_group_size: int | None) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, rows.schema, **self._options)
        if rows.num_rows:  # an empty one would be a group of no rows
            self._writer.write_table(rows, row_group_size=row_group_size)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


@contextmanager
def parquet_file(place: Place, name: str, **options: Any) -> Iterator[RowWriter]:
    """Yield what writes a new Parquet file, which is there, through to the disk, when the block ends well.

    Where no table is written, there is no file.

    Args:
        place: Where.
        name: Of the file in it.
        options: Of ``pyarrow.parquet.ParquetWriter``.
    """
    with place.writing(name) as file, ThreadPoolExecutor(1, "writing") as thread:
        writer = RowWriter(file, thread, options)
        try:
            yield writer
        except BaseException:
            with suppress(Exception):  # what is told is why the block ended
                writer.close()
            raise
        writer.close()
    if not writer.bytes:
        place.remove(name)


class TableWriter:
    """Writes the files of a table of staging that is being made, bucket by bucket.

    Args:
        place: Of the period.
        name: ``events``, ``persons`` or ``aliases``.
        buckets: How many the period has.
        options: Of ``pyarrow.parquet.ParquetWriter``.
    """

    def __init__(self, place: Place, name: str, buckets: int, **options: Any) -> None:
        self.name, self.files = name, list[StagedFile]()
        self._place, self._buckets, self._options = place.under(name), buckets, options

    @contextmanager
    def bucket(self, number: int) -> Iterator[RowWriter]:
        """Yield what writes a file of one bucket, which is one of ``files`` when the block ends well."""
        name = f"b{number:04d}-{secrets.token_hex(_TOKEN)}.parquet"
        with parquet_file(self._place, name, **self._options) as writer:
            yield writer
        if writer.bytes:
            self.files.append(StagedFile(name=name, bucket=number, rows=writer.rows, bytes=writer.bytes))

    @contextmanager
    def in_order(self, schema: pa.Schema, row_group_size: int | None = None) -> Iterator[Callable[[pa.Table], None]]:
        """Yield what appends rows in the order of the pseudonyms, across buckets; where none comes, one file is empty.

        Args:
            schema: Of an empty file.
            row_group_size: Rows of a group of the file, at most.
        """
        at, writer = -1, None
        with ExitStack() as open_file:

            def write(rows: pa.Table) -> None:
                nonlocal at, writer
                for number, part in self._split(rows):
                    if number != at:
                        open_file.close()  # of the bucket before
                        at, writer = number, open_file.enter_context(self.bucket(number))
                    assert writer is not None
                    writer.write(part, row_group_size)

            yield write
        if not self.files:
            with self.bucket(0) as empty:
                empty.write(schema.empty_table())

    def _split(self, rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """The rows of each bucket, of rows in the order of the pseudonyms."""
        numbers = buckets_of(rows.column("person"), self._buckets)
        edges = np.flatnonzero(np.diff(numbers)) + 1
        for start, end in itertools.pairwise([0, *edges.tolist(), len(numbers)]):
            if start < end:
                yield int(numbers[start]), rows.slice(start, end - start)
