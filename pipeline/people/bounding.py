"""From staging to bounded groups, in SQL; in DuckDB in buckets of people, or on Spark.

People first: attributes of a person are folded to one value a person, so that a table over them counts everybody
once. Where a person may be in many groups, at most max_groups of them are kept, chosen by a keyed hash: everybody's
choice is their own and does not depend on who else is there.

Of customers those count whom a version of the privacy policy binds that covers the release; nobody else of them, and
nothing that anybody else did.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import StagedTable
from pipeline.errors import StagingError
from pipeline.people.counting import Counting
from pipeline.people.engine import DuckDb, connect, parameters
from pipeline.people.groups import BoundedGroups
from pipeline.people.relations import Relations, added_up, key_of, tree_queries
from pipeline.people.settings import EngineName, EngineSettings
from pipeline.people.spark_staging import spark_levels
from pipeline.people.trees import levels_of, trees_of
from pipeline.privacy.levels import LevelKey
from pipeline.progress import Progress, silent
from pipeline.site import POLICY_VERSIONS
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import EVENTS, PEOPLE, Population

# Rows of staging a bucket of people may have; a person is in one bucket, so buckets add up.
ROWS_A_BUCKET = 10_000_000
MOST_CODES = 2**16 - 1


def bounded_groups(
    bound: BoundSpecification,
    staging: Staging,
    key: PeriodKey,
    spill: Path,
    progress: Progress = silent,
    *,
    covering: Collection[str] = (),
) -> BoundedGroups:
    """Fold, bound and group one period's staging, in the engine of ``EngineSettings``.

    Args:
        bound: What is counted.
        staging: Of the population and period.
        key: Of the period; the choice of groups is keyed with a secret derived from it for this release.
        spill: Folder for the engine's temporary files.
        progress: Told after each bucket.
        covering: Of customers, the versions of the policy that cover the release, as ``Policy.covering`` has them. Who
            is bound by none of them does not count; without any nobody does. Visitors are bound by none by name.

    Returns:
        All levels of the specification, exact counts.

    Raises:
        StagingError: A column is not of the kind it must be, or there is no room for temporary files.
        ConfigurationError: Spark is not there, or not what its settings say.
    """
    settings = EngineSettings.from_environment()
    secret = key.derive(f"bounding/{bound.specification.release}/{staging.period}")
    counting = Counting(bound, staging, frozenset(covering), secret)
    if settings.engine is EngineName.SPARK:
        levels = spark_levels(counting, settings, spill, progress)
    else:
        levels = _duckdb_levels(counting, spill, progress)
    return BoundedGroups(staging.population, staging.period, levels)


def require_dimensions(bound: BoundSpecification, staging: Staging) -> None:
    """Check that staging has a column for each dimension and each quantity of the tables, and one for who may count.

    Raises:
        StagingError: The site file, or the program, has changed since the period was ingested.
    """
    events = staging.events.schema if staging.events else None
    held = {name for table in (staging.events, staging.persons) if table for name in table.columns}
    missing = {d.name for table in bound.tables for d in table.dimensions} - held
    if staging.population is Population.CUSTOMERS:
        missing |= {POLICY_VERSIONS} - held
    if events is not None:
        whole = {field.name for field in events if pa.types.is_integer(field.type)}
        missing |= (
            {total.measured.quantity for table in bound.tables for total in table.totals} - {PEOPLE, EVENTS} - whole
        )
    if missing:
        raise StagingError(
            "staging must hold every dimension and every quantity of the release's tables",
            value=f"no {', '.join(sorted(missing))} in {staging.population} of {staging.period}",
            remedy="Ingest the period again: the site file or the program has changed since.",
        )


def _duckdb_levels(counting: Counting, spill: Path, progress: Progress) -> Mapping[LevelKey, pd.DataFrame]:
    try:
        with connect(spill) as connection:
            counting.staging.place.attach(connection)
            _make_counted(connection, counting)
            return _levels(DuckDb(connection), counting, progress)
    except duckdb.Error as failure:
        # The engine's message may quote a pseudonym.
        raise StagingError(
            "staging must be readable and there must be room for temporary files",
            value=f"{type(failure).__name__} on {counting.subject}",
            remedy=f"Ingest the period again, or free space below {spill}.",
        ) from None


def _levels(engine: DuckDb, counting: Counting, progress: Progress) -> dict[LevelKey, pd.DataFrame]:
    bound, staging, connection = counting.bound, counting.staging, engine.connection
    trees, buckets, coded = trees_of(bound), _buckets(staging), _make_key_types(connection, bound, staging)
    for number in range(buckets):
        progress("counting people", number, buckets)
        width = staging.manifest.buckets // buckets
        relations = _bucket(connection, staging, coded, (number * width, (number + 1) * width))
        for tree, query in tree_queries(engine, bound, relations):
            leaves = f"leaves_{trees.index(tree)}"
            store = f"INSERT INTO {leaves}" if number else f"CREATE TEMP TABLE {leaves} AS"
            given = parameters(key_of(tree, counting.secret))
            connection.execute(f"{store} {added_up(tree, query, engine.dialect)}", given)
    progress("counting people", buckets, buckets)
    levels: dict[LevelKey, pd.DataFrame] = {}
    for place, tree in enumerate(trees):
        levels |= levels_of(tree, engine.fetched(added_up(tree, f"SELECT * FROM leaves_{place}", engine.dialect)))
    return levels


def _buckets(staging: Staging) -> int:
    """As few as memory allows: neighbouring buckets of staging are counted at once."""
    rows = max((table.rows for table in (staging.events, staging.persons) if table), default=0)
    wanted = 1 << max(0, -(-rows // ROWS_A_BUCKET) - 1).bit_length()
    return min(staging.manifest.buckets, wanted)


def _make_key_types(connection: duckdb.DuckDBPyConnection, bound: BoundSpecification, staging: Staging) -> list[str]:
    """An ENUM for each dimension of events with a closed list of keys: a group's row takes a byte or two for it.

    Returns:
        The dimensions; the types are called so too, with ``_key`` behind. Their keys are in the order of the alphabet.
    """
    held = staging.events.columns if staging.events else []
    closed = {d.name for table in bound.tables for d in table.dimensions if not d.is_open}
    coded = []
    for name in sorted(closed.intersection(held)):
        found = f"SELECT DISTINCT {name}::VARCHAR FROM {_rows(staging.events)} WHERE {name} IS NOT NULL"
        keys = sorted(key for (key,) in connection.execute(f"{found} LIMIT {MOST_CODES + 1}").fetchall())
        if len(keys) <= MOST_CODES:  # a list that staging does not keep to may be of any length
            connection.execute(f"CREATE TYPE {name}_key AS ENUM ({', '.join(map(_text, keys))})")
            coded.append(name)
    return coded


def _make_counted(connection: duckdb.DuckDBPyConnection, counting: Counting) -> None:
    """Make the table ``counted``: of customers, the values of ``policy_versions`` of those who count."""
    if not counting.of_customers:
        return
    found = connection.execute(f"SELECT DISTINCT {POLICY_VERSIONS} FROM {_rows(counting.staging.persons)}")
    values = counting.covered(value for (value,) in found.fetchall())
    connection.execute("CREATE TEMP TABLE counted AS SELECT unnest($values::VARCHAR[]) AS versions", {"values": values})


def _bucket(
    connection: duckdb.DuckDBPyConnection, staging: Staging, names: list[str], between: tuple[int, int]
) -> Relations:
    """Views of the rows of some buckets; of customers, of the rows of those who count.

    Thirty-two hexadecimal digits are a UUID to the engine: half the memory of the text, and quicker to compare; by way
    of bytes it is made faster. A cast that may fail is made row by row, TRY_CAST once for each entry of a dictionary.
    """
    person, views = "unhex(person)::UUID AS person", {}
    of_customers = staging.population is Population.CUSTOMERS
    if staging.persons:
        counted = f" WHERE {POLICY_VERSIONS} IN (FROM counted)" if of_customers else ""
        views["bucket_persons"] = f"SELECT * REPLACE ({person}) FROM {_rows(staging.persons, between)}{counted}"
    if staging.events:
        codes = "".join(f", TRY_CAST({name} AS {name}_key) AS {name}" for name in names)
        counted = " SEMI JOIN bucket_persons USING (person)" if of_customers else ""
        events = f"SELECT * REPLACE ({person}{codes}) FROM {_rows(staging.events, between)}"
        views["bucket_events"] = f"FROM ({events}){counted}"
    for view, rows in views.items():
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {rows}")
    return Relations(*(view if view in views else None for view in ("bucket_events", "bucket_persons")))


def _rows(table: StagedTable | None, between: tuple[int, int | None] = (0, None)) -> str:
    """Of some buckets, those that have a pseudonym; buckets without a file have no rows, but columns."""
    assert table is not None
    paths = table.paths(*between)
    listed = ", ".join(map(_text, paths or table.paths()[:1]))
    return f"(FROM read_parquet([{listed}]) WHERE {'person IS NOT NULL' if paths else 'false'})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
