"""Counting one period's staging in DuckDB, in shares of people, so that memory is bounded.

A share is some neighbouring buckets of staging, or a part of one that is too large. Each file is read once, unless a
bucket does not fit into memory with what may be spilled: then its people are divided in two, and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pandas as pd

from pipeline.deidentify.pseudonyms import people_between
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import StagedTable
from pipeline.disk import tells_of_no_room
from pipeline.errors import ConfigurationError, DemographicsError, StagingError
from pipeline.people.counting import Counting
from pipeline.people.engine import DuckDb, connect, parameters
from pipeline.people.relations import PEOPLE_TABLE, Relations, added_up, key_of, tree_queries
from pipeline.people.settings import MEMORY_VARIABLE, SPILL_VARIABLE, EngineSettings
from pipeline.people.trees import levels_of, trees_of
from pipeline.privacy.levels import LevelKey
from pipeline.progress import Progress
from pipeline.site import POLICY_VERSIONS
from pipeline.spec import BoundSpecification

MOST_CODES: Final = 2**16 - 1
# What a row takes at most while it is grouped, where its texts are codes; what takes more is spilled.
MEMORY_A_ROW: Final = 90
# Parts of a bucket at most: what is larger than memory even so is a person's own, or memory is far too small.
MOST_PARTS: Final = 256


def duckdb_levels(
    counting: Counting, settings: EngineSettings, spill: Path, progress: Progress
) -> Mapping[LevelKey, pd.DataFrame]:
    """Fold, bound and group staging.

    Raises:
        StagingError: Staging cannot be read, or the disk has no room for temporary files.
        ConfigurationError: Memory, or what may be spilled, is too small.
    """
    with _told(counting, settings, spill), connect(spill, settings) as connection:
        counting.staging.place.attach(connection)
        _make_counted(connection, counting)
        engine, trees = DuckDb(connection), trees_of(counting.bound)
        codes = _make_key_types(connection, counting.bound, counting.staging)
        _count(engine, counting, codes, _Share.first(counting.staging, settings.memory_bytes), progress)
        levels: dict[LevelKey, pd.DataFrame] = {}
        for place, tree in enumerate(trees):
            levels |= levels_of(tree, engine.fetched(added_up(tree, f"FROM {_leaves(place)}", engine.dialect)))
        return levels


@dataclass(frozen=True)
class _Share:
    """People who are counted at once: the ``number``-th of ``shares`` equal ranges of pseudonyms.

    Attributes:
        number: From 0.
        shares: A power of two.
        buckets: Of staging, which files are of.
    """

    number: int
    shares: int
    buckets: int

    @classmethod
    def first(cls, staging: Staging, memory: int) -> _Share:
        """As many neighbouring buckets as memory has room for, one at least."""
        rows = max((table.rows for table in (staging.events, staging.persons) if table), default=0)
        wanted = 1 << max(0, -(-rows * MEMORY_A_ROW // memory) - 1).bit_length()
        buckets = staging.manifest.buckets
        return cls(0, min(buckets, wanted), buckets)

    @property
    def is_behind(self) -> bool:
        """Whether it comes after everybody."""
        return self.number == self.shares

    @property
    def is_smallest(self) -> bool:
        """Whether it is not divided again."""
        return self.shares >= self.buckets * MOST_PARTS

    @property
    def next(self) -> _Share:
        """The one behind it; behind the last part of a bucket, a whole one again."""
        number, shares = self.number + 1, self.shares
        while shares > self.buckets and number % 2 == 0:
            number, shares = number // 2, shares // 2
        return _Share(number, shares, self.buckets)

    @property
    def half(self) -> _Share:
        """The first half of its people."""
        return _Share(2 * self.number, 2 * self.shares, self.buckets)

    def rows_of(self, table: StagedTable) -> str:
        """SQL of its rows; where no file has any, of none, with the columns."""
        first = self.number * self.buckets // self.shares
        paths = table.paths(first, max(first + 1, (self.number + 1) * self.buckets // self.shares))
        people = people_between(self.number, self.shares) if self.shares > self.buckets else "person IS NOT NULL"
        return f"{_files(paths or table.paths()[:1])} WHERE {people if paths else 'false'}"


def _count(engine: DuckDb, counting: Counting, codes: list[str], share: _Share, progress: Progress) -> None:
    while not share.is_behind:
        progress("counting people", share.number, share.shares)
        try:
            _count_share(engine, counting, codes, share)
        except duckdb.OutOfMemoryException:
            if share.is_smallest:
                raise
            share = share.half
        else:
            share = share.next
    progress("counting people", share.number, share.shares)


def _count_share(engine: DuckDb, counting: Counting, codes: list[str], share: _Share) -> None:
    """Add one share's groups to the leaves of all trees, or to none."""
    connection, trees = engine.connection, trees_of(counting.bound)
    with _whole(connection):
        relations = _views(connection, counting, codes, share)
        for tree, query in tree_queries(engine, counting.bound, relations):
            leaves, groups = _leaves(trees.index(tree)), added_up(tree, query, engine.dialect)
            given = parameters(key_of(tree, counting.secret))
            connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {leaves} AS {groups} WITH NO DATA", given)
            connection.execute(f"INSERT INTO {leaves} {groups}", given)
        connection.execute(f"DROP TABLE IF EXISTS {PEOPLE_TABLE}")


@contextmanager
def _whole(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _leaves(place: int) -> str:
    return f"leaves_{place}"


def _make_key_types(connection: duckdb.DuckDBPyConnection, bound: BoundSpecification, staging: Staging) -> list[str]:
    """An ENUM for each dimension of events with a closed list of keys: a group's row takes a byte or two for it.

    Returns:
        The dimensions; the types are called so too, with ``_key`` behind. Their keys are in the order of the alphabet.
    """
    if staging.events is None:
        return []
    closed, coded = {d.name for table in bound.tables for d in table.dimensions if not d.is_open}, []
    for name in sorted(closed.intersection(staging.events.columns)):
        found = f"SELECT DISTINCT {name}::VARCHAR FROM {_files(staging.events.paths())} WHERE {name} IS NOT NULL"
        keys = sorted(key for (key,) in connection.execute(f"{found} LIMIT {MOST_CODES + 1}").fetchall())
        if len(keys) <= MOST_CODES:  # a list that staging does not keep to may be of any length
            connection.execute(f"CREATE TYPE {name}_key AS ENUM ({', '.join(map(_text, keys))})")
            coded.append(name)
    return coded


def _make_counted(connection: duckdb.DuckDBPyConnection, counting: Counting) -> None:
    """Make the table ``counted``: of customers, the values of ``policy_versions`` of those who count."""
    persons = counting.staging.persons
    if not counting.of_customers or persons is None:
        return
    found = connection.execute(f"SELECT DISTINCT {POLICY_VERSIONS} FROM {_files(persons.paths())}")
    values = counting.covered(value for (value,) in found.fetchall())
    connection.execute("CREATE TEMP TABLE counted AS SELECT unnest($values::VARCHAR[]) AS versions", {"values": values})


def _views(connection: duckdb.DuckDBPyConnection, counting: Counting, codes: list[str], share: _Share) -> Relations:
    """Views of the rows of one share; of customers, of the rows of those who count.

    Thirty-two hexadecimal digits are a UUID to the engine: half the memory of the text, and quicker to compare; by way
    of bytes it is made faster. A cast that may fail is made row by row, TRY_CAST once for each entry of a dictionary.
    """
    person, views, staging = "unhex(person)::UUID AS person", {}, counting.staging
    if staging.persons:
        counted = f" AND {POLICY_VERSIONS} IN (FROM counted)" if counting.of_customers else ""
        views["share_persons"] = f"SELECT * REPLACE ({person}) FROM {share.rows_of(staging.persons)}{counted}"
    if staging.events:
        cast = "".join(f", TRY_CAST({name} AS {name}_key) AS {name}" for name in codes)
        counted = " SEMI JOIN share_persons USING (person)" if counting.of_customers else ""
        events = f"SELECT * REPLACE ({person}{cast}) FROM {share.rows_of(staging.events)}"
        views["share_events"] = f"FROM ({events}){counted}"
    for view, rows in views.items():
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {rows}")
    return Relations(*(view if view in views else None for view in ("share_events", "share_persons")))


def _files(paths: list[str]) -> str:
    return f"read_parquet([{', '.join(map(_text, paths))}])"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@contextmanager
def _told(counting: Counting, settings: EngineSettings, spill: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as failure:  # the engine's message may quote a pseudonym
        raise _explained(failure, counting, settings, spill) from None


def _explained(failure: Exception, counting: Counting, settings: EngineSettings, spill: Path) -> DemographicsError:
    value, text = f"{type(failure).__name__} on {counting.subject}", str(failure)
    if tells_of_no_room(text):
        return StagingError(
            "there must be room for temporary files",
            value=value,
            remedy=f"Nothing was drawn: free space below {spill}, or raise {MEMORY_VARIABLE}, so that less is written.",
        )
    if isinstance(failure, duckdb.OutOfMemoryException):
        return ConfigurationError(
            "the largest bucket of people must fit into memory, with what may be spilled",
            value=f"{value}, within {settings.memory} and {settings.spill}",
            remedy=f"Nothing was drawn: raise {MEMORY_VARIABLE}, or {SPILL_VARIABLE}.",
        )
    return StagingError(
        "staging must be readable, and its engine must be able to write temporary files",
        value=value,
        remedy=f"Ingest the period again, or let the program write below {spill}.",
    )
