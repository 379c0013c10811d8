"""Drafts of a period's requests: de-identified rows that still have their time, until visits are known.

Drafts are Parquet files of a run, in a folder that is removed when it ends; a run may write any number of them. They
hold what staging holds and, in columns that begin with an underscore, what only this run needs; none of these is in
staging.

Visits are followed bucket by bucket of people, through all drafts, so that memory is bounded. Which draft a request
stands in says nothing: requests of a person are in the order of ``_moment`` and, where that is one, of ``_number``,
which is of its line and must be comparable across the drafts of a run.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.deidentify.error_lines import RequestErrors, beside_requests
from pipeline.deidentify.places import Place
from pipeline.deidentify.tables import (
    EVENTS,
    RowWriter,
    StagedFile,
    TableWriter,
    buckets_for,
    buckets_of,
    numbers_of,
    parquet_file,
)
from pipeline.deidentify.visits import NOWHERE, Requests, Steps, follow
from pipeline.progress import Progress, silent
from pipeline.vocabulary import ERROR_KINDS, ERROR_LEVELS, PAGE_VIEWS, VISITS

ROWS_A_GROUP: Final = 250_000
# Into which the rows of a group of a large draft are sorted: so that who reads a bucket need not read all rows.
PARTS: Final = 16


@contextmanager
def draft_file(place: Place, name: str, *, in_parts: bool = False) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what appends requests to a draft; where there never is one, there is no file.

    Args:
        place: Of the run's drafts.
        name: Of the file.
        in_parts: Whether its rows are sorted into parts however few there are: for one of many drafts. Otherwise few
            rows stay in the order in which they came.
    """
    # Without Arrow's own schema, columns are read back as plain strings.
    options = {"compression": "none", "store_schema": False, "write_statistics": ["person"]}
    with parquet_file(place, name, **options) as file:
        rows = _Grouping(file, in_parts)
        yield rows.add
        rows.end()


class _Grouping:
    """Gathers requests into groups, each of which is sorted into parts."""

    def __init__(self, file: RowWriter, in_parts: bool) -> None:
        self._file, self._in_parts = file, in_parts
        self._held: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        if self._held and sum(map(len, self._held)) + len(rows) > ROWS_A_GROUP:
            self._in_parts = True
            self._put()
        self._held.append(rows)

    def end(self) -> None:
        if self._held:
            self._put()

    def _put(self) -> None:
        rows = pa.concat_tables(self._held)
        self._held.clear()
        for part in _parts(rows) if self._in_parts else (rows,):
            self._file.write(part)


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    parts = buckets_of(rows.column("person"), PARTS).astype(np.uint8)
    edges = np.cumsum(np.bincount(parts, minlength=PARTS)).tolist()
    rows = rows.combine_chunks().take(np.argsort(parts, kind="stable"))
    for start, end in itertools.pairwise((0, *edges)):
        if start < end:
            yield rows.slice(start, end - start)


@dataclass(frozen=True)
class WrittenEvents:
    """What was written out of drafts.

    Attributes:
        buckets: Of people.
        files: Of the table of events.
        errors: How many errors have a request beside them.
    """

    buckets: int
    files: tuple[StagedFile, ...]
    errors: int


def write_events(
    drafts: Place,
    names: Sequence[str],
    target: Place,
    sections: Sequence[str],
    errors: pa.Table | None,
    progress: Progress = silent,
) -> WrittenEvents:
    """Write staging's events out of all drafts of a run: visits are followed, and times are gone.

    Args:
        drafts: Where they lie.
        names: Of the drafts.
        target: The place of the period.
        sections: Keys of sections, in the order of their codes.
        errors: What error logs tell, see ``beside_requests``; None where there are no error logs.
        progress: Told the buckets that were followed.
    """
    found = _Drafts.of(drafts, names)
    told = None if errors is None else found.beside(errors)
    buckets = buckets_for(found.rows)
    table = TableWriter(target, EVENTS, buckets, compression="zstd", store_schema=False)
    for number in range(buckets):
        progress("following visits", number, buckets)
        rows, places = found.bucket(number, buckets)
        if rows.num_rows:
            with table.bucket(number) as file:
                _write(file, rows, places, tuple(sections), told)
    progress("following visits", buckets, buckets)
    return WrittenEvents(buckets, tuple(table.files), told.told if told else 0)


@dataclass(frozen=True)
class _Draft:
    """One file of requests: how many rows stand before it, and what its groups hold."""

    name: str
    start: int
    metadata: pq.FileMetaData

    def groups(self, number: int, buckets: int) -> list[tuple[int, int]]:
        """Groups of rows that may have people of a bucket, each with the number of rows before it."""
        found, start = [], self.start
        column = self.metadata.schema.names.index("person")
        for place in range(self.metadata.num_row_groups):
            group = self.metadata.row_group(place)
            held = group.column(column).statistics
            first, last = buckets_of(pa.chunked_array([[held.min, held.max]]), buckets)
            if first <= number <= last:
                found.append((place, start))
            start += group.num_rows
        return found


@dataclass(frozen=True)
class _Drafts:
    """All drafts of a run."""

    place: Place
    files: tuple[_Draft, ...]

    @classmethod
    def of(cls, place: Place, names: Sequence[str]) -> _Drafts:
        found, rows = [], 0
        for name in names:
            with place.reading(name) as file:
                found.append(_Draft(name, rows, pq.read_metadata(file)))
            rows += found[-1].metadata.num_rows
        return cls(place, tuple(found))

    @property
    def rows(self) -> int:
        return sum(file.metadata.num_rows for file in self.files)

    def beside(self, errors: pa.Table) -> RequestErrors:
        with duckdb.connect(config={"temp_directory": "", "threads": os.cpu_count() or 1}) as engine:
            self.place.attach(engine)
            return beside_requests(engine, errors, {self.place.at(file.name): file.start for file in self.files})

    def bucket(self, number: int, buckets: int) -> tuple[pa.Table, np.ndarray]:
        """The requests of a bucket, with the place of each among all; texts are dictionaries."""
        parts = [part for file in self.files for part in self._parts(file, number, buckets)]
        if not parts:
            return pa.table({}), np.zeros(0, np.int64)
        tables, places = zip(*parts, strict=True)
        return pa.concat_tables(tables).unify_dictionaries(), np.concatenate(places)

    def _parts(self, draft: _Draft, number: int, buckets: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
        if not (groups := draft.groups(number, buckets)):
            return
        texts = [field.name for field in draft.metadata.schema.to_arrow_schema() if pa.types.is_string(field.type)]
        dictionaries = [name for name in texts if name != "person"]
        with self.place.reading(draft.name) as opened:
            file = pq.ParquetFile(opened, metadata=draft.metadata, read_dictionary=dictionaries)
            for group, start in groups:
                rows = file.read_row_group(group)
                own = np.flatnonzero(buckets_of(rows.column("person"), buckets) == number)
                yield (rows if len(own) == len(rows) else rows.take(own)), start + own


def _write(
    file: RowWriter, rows: pa.Table, places: np.ndarray, sections: tuple[str, ...], errors: RequestErrors | None
) -> None:
    names = [name for name in rows.column_names if not name.startswith("_")]
    additions = _Additions(_followed(rows), errors.of(places) if errors else None, sections)
    for start in range(0, len(rows), ROWS_A_GROUP):
        part = rows.slice(start, ROWS_A_GROUP)
        file.write(additions.to(part, slice(start, start + len(part)), names))


def _followed(rows: pa.Table) -> Steps:
    person = numbers_of(rows.column("person"))
    columns = ("_moment", "_number", "_section", "_viewed")
    moment, place, section, viewed = (rows.column(name).to_numpy() for name in columns)
    return follow(Requests(person, moment, place, section, viewed))


@dataclass(frozen=True)
class _Additions:
    """What staging has beside the columns of the drafts, of the rows of one bucket."""

    steps: Steps
    errors: tuple[np.ndarray, np.ndarray] | None
    sections: tuple[str, ...]

    def to(self, draft: pa.Table, rows: slice, names: Sequence[str]) -> pa.Table:
        """Some rows of staging, given the same of the draft."""
        section = draft.column("_section").to_numpy()
        came_from = self.steps.came_from[rows]
        columns = {name: draft.column(name) for name in names}
        columns |= {
            "entry_section": _keys(np.where(self.steps.enters[rows], section, NOWHERE), self.sections),
            "exit_section": _keys(np.where(self.steps.leaves[rows], section, NOWHERE), self.sections),
            "from_section": _keys(came_from, self.sections),
            "to_section": _keys(np.where(came_from != NOWHERE, section, NOWHERE), self.sections),
            VISITS: pa.array(self.steps.begins[rows].astype(np.int8)),
            PAGE_VIEWS: draft.column("_viewed").cast(pa.int8()),
        }
        if self.errors:
            level, kind = self.errors
            columns["error_level"] = _keys(level[rows], ERROR_LEVELS)
            columns["error_kind"] = _keys(kind[rows], ERROR_KINDS)
        return pa.table(columns)


def _keys(codes: np.ndarray, keys: Sequence[str]) -> pa.DictionaryArray:
    """Codes as keys; below zero there is none."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int16), mask=codes < 0), pa.array(keys, pa.string()))
