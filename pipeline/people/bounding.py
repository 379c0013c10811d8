"""From staging to bounded groups, in SQL, in buckets of people.

People first: attributes of a person are folded to one value a person, so that a table over them counts everybody
once. Where a person may be in many groups, at most max_groups of them are kept, chosen by a keyed hash: everybody's
choice is their own and does not depend on who else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.errors import StagingError
from pipeline.people.engine import connect
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.levels import LevelKey, level_keys
from pipeline.progress import Progress, silent
from pipeline.spec import BoundSpecification, BoundTable
from pipeline.vocabulary import UNKNOWN

# Rows of staging a bucket of people may have; a person is in one bucket, so buckets add up.
ROWS_A_BUCKET = 5_000_000
_PERSON_DIGITS = 8  # leading hexadecimal digits of the pseudonym that choose the bucket


def bounded_groups(
    bound: BoundSpecification, staging: Staging, key: PeriodKey, spill: Path, progress: Progress = silent
) -> BoundedGroups:
    """Fold, bound and group one period's staging.

    Args:
        bound: What is counted.
        staging: Of the population and period.
        key: Of the period; the choice of groups is keyed with a secret derived from it for this release.
        spill: Folder for the engine's temporary files.
        progress: Told after each bucket.

    Returns:
        All levels of the specification, exact counts.
    """
    secret = key.derive(f"bounding/{bound.specification.release}/{staging.period}").hex()
    with connect(spill) as connection:
        connection.execute("SET VARIABLE bounding_secret = ?", [secret])
        buckets = _buckets(connection, staging)
        parts: dict[LevelKey, list[pd.DataFrame]] = {}
        for number in range(buckets):
            progress("counting people", number, buckets)
            _fold(connection, bound, staging, _bucket(number, buckets))
            for level, frame in _deepest(connection, bound):
                parts.setdefault(level, []).append(frame)
    progress("counting people", buckets, buckets)
    levels: dict[LevelKey, pd.DataFrame] = {}
    for deepest, frames in parts.items():
        levels |= _upwards(deepest, pd.concat(frames, ignore_index=True))
    return BoundedGroups(staging.population, staging.period, levels)


def require_dimensions(bound: BoundSpecification, staging: Staging) -> None:
    """Check that staging has a column for each dimension of the tables.

    Raises:
        StagingError: The site file has changed since the period was ingested.
    """
    held = {name for path in (staging.events, staging.persons) if path.exists() for name in pq.read_schema(path).names}
    if missing := sorted({d.name for table in bound.tables for d in table.dimensions} - held):
        raise StagingError(
            "staging must hold every dimension of the release's tables",
            value=f"no {', '.join(missing)} in {staging.population} of {staging.period}",
            remedy="Ingest the period again: the site file has changed since.",
        )


def _buckets(connection: duckdb.DuckDBPyConnection, staging: Staging) -> int:
    rows = 0
    for path in (staging.events, staging.persons):
        if path.exists():
            found = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()
            rows = max(rows, found[0] if found else 0)
    return rows // ROWS_A_BUCKET + 1


def _bucket(number: int, buckets: int) -> str:
    """People whose pseudonym begins between two points: pseudonyms are uniform, so buckets are even."""
    low, high = (f"{point * 16**_PERSON_DIGITS // buckets:0{_PERSON_DIGITS}x}" for point in (number, number + 1))
    return f"person >= '{low}'" + (f" AND person < '{high}'" if number + 1 < buckets else "")


def _fold(connection: duckdb.DuckDBPyConnection, bound: BoundSpecification, staging: Staging, where: str) -> None:
    """Make ``bucket_events``, and ``people``, one row a person with every per-person dimension in use."""
    connection.execute(f"CREATE OR REPLACE TEMP VIEW bucket_events AS {_source(staging.events, where)}")
    dimensions = sorted({d.name for table in bound.tables for d in table.dimensions if d.per_person})
    if not dimensions:
        return
    if staging.persons.exists():
        chosen = ", ".join(["person", *(f"coalesce({name}, '{UNKNOWN}') AS {name}" for name in dimensions)])
        sql = f"SELECT {chosen} FROM ({_source(staging.persons, where)})"
    else:
        sql = _fold_events(dimensions)
    # people: person (unique) -> one value of each dimension
    connection.execute(f"CREATE OR REPLACE TEMP TABLE people AS {sql}")


def _source(path: Path, where: str) -> str:
    if not path.exists():
        return "SELECT NULL::UUID AS person WHERE false"
    quoted = str(path).replace("'", "''")
    # Thirty-two hexadecimal digits are a UUID to the engine: half the memory of the text, and quicker to compare.
    return f"SELECT * REPLACE (person::UUID AS person) FROM read_parquet('{quoted}') WHERE {where}"


def _fold_events(dimensions: Sequence[str]) -> str:
    """The value that most of a person's events have; of equals the first by alphabet, so that a re-run agrees."""
    folded = "SELECT DISTINCT person FROM bucket_events"
    for name in dimensions:
        tallies = f"SELECT person, {name} AS value, count(*) AS n FROM bucket_events GROUP BY person, {name}"
        most = f"{tallies} QUALIFY n = max(n) OVER (PARTITION BY person)"
        ranked = f"SELECT person, min(value) AS {name} FROM ({most}) GROUP BY person"
        folded = f"SELECT * FROM ({folded}) JOIN ({ranked}) USING (person)"
    return folded


def _deepest(
    connection: duckdb.DuckDBPyConnection, bound: BoundSpecification
) -> Iterator[tuple[LevelKey, pd.DataFrame]]:
    """The deepest level of each table: group -> people, each of whom is in a group once at most."""
    seen: set[LevelKey] = set()
    for table in bound.tables:
        level = level_keys(table)[-1]
        if level not in seen:
            seen.add(level)
            names = ", ".join(level.dimensions)
            source = "people" if table.per_person else _memberships(connection, table)
            parameters = {} if table.per_person else {"bound": table.max_groups}
            query = f"SELECT {names}, count(*) AS people FROM {source} GROUP BY {names}"
            yield level, connection.execute(query, parameters).df()


def _memberships(connection: duckdb.DuckDBPyConnection, table: BoundTable) -> str:
    """SQL of the (person, group) pairs that count: at most max_groups a person.

    People under the bound pass as they are; only the others are ranked, by a keyed hash of person and group.
    """
    names = ", ".join(dimension.name for dimension in table.dimensions)
    pairs = "bucket_events" if _only_events(table) else "bucket_events JOIN people USING (person)"
    columns = ", ".join(
        f"{'people' if d.per_person and not _only_events(table) else 'bucket_events'}.{d.name}"
        for d in table.dimensions
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE pairs AS SELECT DISTINCT person, {columns} FROM {pairs}")
    return f"""(
        WITH crowded AS MATERIALIZED (SELECT person FROM pairs GROUP BY person HAVING count(*) > $bound),
        ranked AS (
            SELECT pairs.*, row_number() OVER (
                PARTITION BY person
                ORDER BY sha256(concat_ws(chr(31), getvariable('bounding_secret'), person, {names}))
            ) AS rank
            FROM pairs SEMI JOIN crowded USING (person)
        )
        SELECT {names} FROM pairs ANTI JOIN crowded USING (person)
        UNION ALL
        SELECT {names} FROM ranked WHERE rank <= $bound
    )"""


def _only_events(table: BoundTable) -> bool:
    return not any(dimension.per_person for dimension in table.dimensions)


def _upwards(deepest: LevelKey, parts: pd.DataFrame) -> dict[LevelKey, pd.DataFrame]:
    """All levels of a tree from the counts of its deepest one, rows in the order of their keys.

    Contributions add up exactly. People add up where a person is in one group only; elsewhere ``people`` is what there
    must be at least: the most of any group below, or the contributions shared out, max_groups to each.
    """
    names = list(deepest.dimensions)
    # Buckets hold different people, so their counts add up.
    leaves = parts.groupby(names, as_index=False, sort=True, dropna=False).agg(people=("people", "sum"))
    leaves["contributions"] = leaves["people"]
    levels = {deepest: leaves}
    for depth in range(len(names)):
        key = LevelKey(deepest.table, deepest.dimensions[:depth], deepest.max_groups)
        levels[key] = _parents(leaves, names[:depth], deepest.max_groups)
    return levels


def _parents(leaves: pd.DataFrame, names: list[str], max_groups: int) -> pd.DataFrame:
    keys = [leaves[name] for name in names] or [pd.Series(0, index=leaves.index)]
    # parent -> most people of one child, contributions of all
    parents = leaves.groupby(keys, sort=True, dropna=False).agg(
        people=("people", "max"), contributions=("contributions", "sum")
    )
    shared_out = -(-parents["contributions"] // max_groups)
    parents["people"] = parents["people"].where(parents["people"] > shared_out, shared_out).astype("int64")
    return parents.reset_index(drop=not names)
