"""One's own people and events, as frames, Arrow tables or Parquet files: checked in columns, bounded and grouped.

Nothing here tells a value: an error names a column and a rule. Records stay in memory, which may hold raw identifiers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import StagingError
from pipeline.people.engine import DuckDb
from pipeline.people.groups import BoundedGroups
from pipeline.people.relations import Relations, group_relations
from pipeline.periods import Period
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import EVENTS, PEOPLE, REMAINDER_KEY, TOTAL_KEY, Dimension

Records: TypeAlias = pd.DataFrame | pa.Table | Path

PERSON: Final = "person"
# One thread is quicker than several up to about here.
_FEW_ROWS: Final = 100_000


@dataclass(frozen=True)
class Relation:
    """Checked records.

    Attributes:
        content: Columns in memory, or the file that holds them.
        rows: How many there are.
        numbered: Whether rows are people, and named by their places.
    """

    content: Any = field(repr=False)
    rows: int
    numbered: bool = False


@dataclass(frozen=True)
class Inputs:
    """What a release is made from.

    Attributes:
        people: One row a person; None where people are folded from their events.
        events: Any number of rows a person; None where nothing of the tables is in events.
    """

    people: Relation | None
    events: Relation | None


def checked(bound: BoundSpecification, people: Records | None, events: Records | None) -> Inputs:
    """Take from records what the tables need, and check it.

    Raises:
        StagingError: As ``pipeline.library.release`` says.
    """
    dimensions = {one.name: one for table in bound.tables for one in table.dimensions}.values()
    sums = {total.measured.quantity for table in bound.tables for total in table.totals} - {PEOPLE, EVENTS}
    of_people = [one for one in dimensions if people is not None and one.per_person]
    of_events = [one for one in dimensions if one not in of_people]
    in_events = of_events or sums or _counts_events(bound)
    if events is None and (in_events or people is None):
        raise StagingError(
            "what a person may have several of, and people that are not given, come from events",
            value="no events",
            remedy="Pass the argument events too.",
        )
    return Inputs(
        None if people is None else _people(people, of_people, named=events is not None),
        None if events is None else _relation("events", events, of_events, sorted(sums), named=True),
    )


def grouped(bound: BoundSpecification, period: Period, inputs: Inputs, secret: bytes) -> BoundedGroups:
    """Bound what each person adds, and count: true counts, which the draw alone may read."""
    rows = max(one.rows for one in (inputs.people, inputs.events) if one is not None)
    with _engine(os.getpid(), rows <= _FEW_ROWS).cursor() as connection:
        try:
            names = [_register(connection, "events", inputs.events), _register(connection, "people", inputs.people)]
            levels = group_relations(DuckDb(connection), bound, Relations(*names), secret)
        except duckdb.Error as failure:  # its message may quote a value
            raise StagingError(
                "records must be readable by the engine",
                value=type(failure).__name__,
                remedy="Check the file, and that people and events name persons alike.",
            ) from None
    return BoundedGroups(bound.specification.population, period, levels)


def _counts_events(bound: BoundSpecification) -> bool:
    return any(total.measured.quantity == EVENTS for table in bound.tables for total in table.totals)


def _people(records: Records, dimensions: Iterable[Dimension], *, named: bool) -> Relation:
    named = named or PERSON in _columns("people", records)
    relation = _relation("people", records, dimensions, (), named=named)
    if named and pc.count_distinct(_persons(relation)).as_py() != relation.rows:
        raise StagingError(
            "people must hold one row a person",
            value="a person twice",
            remedy="Fold them first, or pass the rows as events.",
        )
    return relation


def _persons(relation: Relation) -> pa.ChunkedArray:
    content = relation.content
    return (pq.read_table(content, columns=[PERSON]) if isinstance(content, Path) else content)[PERSON]


def _relation(
    kind: str, records: Records, dimensions: Iterable[Dimension], quantities: Iterable[str], *, named: bool
) -> Relation:
    dimensions, quantities = list(dimensions), list(quantities)
    wanted = [*([PERSON] if named else []), *(one.name for one in dimensions), *quantities]
    if missing := sorted(set(wanted) - set(_columns(kind, records))):
        raise StagingError(
            f"{kind} must have every column that the tables need",
            value=f"no {', '.join(missing)}",
            remedy="Add the columns, or leave them out of the specification.",
        )
    rows = 0
    for batch in _batches(kind, records, wanted):
        content = records if isinstance(records, Path) else batch
        if not batch.num_rows:  # nothing to check, and perhaps no types
            continue
        rows += batch.num_rows
        if named:
            _require_person(kind, batch[PERSON])
        for dimension in dimensions:
            _require_keys(kind, batch[dimension.name], dimension)
        for name in quantities:
            _require_whole(kind, batch[name], name)
    if not named and not isinstance(content, Path):
        content = content.append_column(PERSON, pa.array(range(rows), pa.int64()))
    return Relation(content, rows, not named)


def _columns(kind: str, records: Records) -> list[str]:
    if isinstance(records, pd.DataFrame):
        return [str(name) for name in records.columns]
    if isinstance(records, pa.Table):
        return list(records.column_names)
    try:
        return list(pq.read_schema(records).names)
    except (OSError, pa.ArrowInvalid) as failure:
        raise _unreadable(kind, failure) from None


def _batches(kind: str, records: Records, columns: list[str]) -> Iterator[pa.Table]:
    """All rows in tables of the wanted columns: one of a frame, several of a file."""
    try:
        if isinstance(records, pa.Table):
            yield records.select(columns)
            return
        if isinstance(records, pd.DataFrame):
            yield pa.table({name: pa.array(records[name], from_pandas=True) for name in columns})
            return
        file = pq.ParquetFile(records)
        yield file.schema_arrow.empty_table().select(columns)  # so that there is one where there is no row
        for batch in file.iter_batches(columns=columns):
            yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as failure:
        raise _unreadable(kind, failure) from None


def _unreadable(kind: str, failure: Exception) -> StagingError:
    return StagingError(
        f"{kind} must be a frame with one type a column, or a readable Parquet file",
        value=type(failure).__name__,
        remedy="Check the file, or give every column one type.",
    )


def _require_person(kind: str, column: pa.ChunkedArray) -> None:
    if column.null_count or not (pa.types.is_integer(column.type) or _is_text(column.type)):
        raise StagingError(
            f"every row of {kind} must name its person, by a whole number or a text",
            value="missing names" if column.null_count else f"column {PERSON} of {column.type}",
            remedy="Leave out rows of nobody.",
        )


def _require_keys(kind: str, column: pa.ChunkedArray, dimension: Dimension) -> None:
    if column.null_count or not _is_text(column.type):
        raise StagingError(
            f"{dimension.name} of {kind} must be a text in every row",
            value="missing values" if column.null_count else f"a column of {column.type}",
            remedy="Write its keys as text, with a key of its own for what is not known.",
        )
    found = pc.is_in(column.cast(pa.string()), value_set=_listed(dimension))
    wrong = pc.any(found) if dimension.is_open else pc.invert(pc.all(found))
    if wrong.as_py():
        rule = f"may not be '{TOTAL_KEY}' or '{REMAINDER_KEY}'" if dimension.is_open else "must be on its public list"
        raise StagingError(
            f"every key of {dimension.name} {rule}",
            value=f"another one in {kind}",
            remedy="Add the key to the list if it is public, or map it to one that is there.",
        )


@lru_cache(maxsize=256)
def _listed(dimension: Dimension) -> pa.Array:
    return pa.array((TOTAL_KEY, REMAINDER_KEY) if dimension.is_open else dimension.keys, pa.string())


def _require_whole(kind: str, column: pa.ChunkedArray, name: str) -> None:
    if column.null_count or not pa.types.is_integer(column.type) or column.type == pa.uint64():
        raise StagingError(
            f"{name} of {kind} must be a whole number of 64 bits in every row",
            value="missing values" if column.null_count else f"a column of {column.type}",
            remedy="Write amounts in their smallest unit, cents for example, and 0 where there is none.",
        )


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


@lru_cache(maxsize=4)
def _engine(_process: int, few: bool) -> duckdb.DuckDBPyConnection:
    """An engine in memory that writes no file; starting one takes longer than a small release, so it is kept."""
    engine = duckdb.connect(":memory:", config={"threads": 1 if few else os.cpu_count() or 1})
    engine.execute("SET temp_directory = ''")
    engine.execute("SET preserve_insertion_order = false")
    return engine


def _register(connection: duckdb.DuckDBPyConnection, name: str, relation: Relation | None) -> str | None:
    """Make a relation known to the engine; returns its name there."""
    if relation is None:
        return None
    if isinstance(relation.content, Path):
        path = str(relation.content).replace("'", "''")
        number = "row_number() OVER () AS person, " if relation.numbered else ""
        connection.execute(f"CREATE TEMP VIEW own_{name} AS SELECT {number}* FROM read_parquet('{path}')")
    else:
        connection.register(f"own_{name}", relation.content)
    return f"own_{name}"
