"""What stands in a column, as far as deciding about it needs: shares and ranges, and values that many people have.

Profiles exist in memory while a first site file is written. Nothing of them is shown but what the file declares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.deidentify.columns import instant_of, number_of, year_of
from pipeline.deidentify.countries import country_codes

# Fewer than so many people with one value: the value is not named in a site file.
PEOPLE_A_VALUE: Final = 50
MOST_ROWS: Final = 500_000
_MOST_VALUES: Final = 200


@dataclass(frozen=True)
class Profile:
    """One column of a table of people.

    Attributes:
        rows: Rows looked at.
        filled: Rows with a value.
        distinct: Distinct values.
        numbers: Rows with a number as people write it.
        whole: Rows with a whole number from 0 to 99, without signs.
        instants: Rows with an ISO 8601 date or time.
        dates: Rows with a date whose year can be told, and that is no plain number.
        low: 5 % of the numbers lie below; NaN without numbers.
        high: 95 % of the numbers lie below; NaN without numbers.
        countries: Share of the distinct values that name a country.
        longest: Characters of the longest value.
        common: Values held by at least ``PEOPLE_A_VALUE`` rows, sorted.
        earliest: Day of the earliest of the instants, ISO 8601; None without any.
    """

    rows: int
    filled: int
    distinct: int
    numbers: int
    whole: int
    instants: int
    dates: int
    low: float
    high: float
    countries: float
    longest: int
    common: tuple[str, ...]
    earliest: str | None

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own, but for a few in a thousand."""
        return self.rows > 0 and min(self.filled, self.distinct) >= 0.995 * self.rows

    def mostly(self, count: int) -> bool:
        """Whether a count is nearly all of the rows with a value."""
        return self.filled > 0 and count >= 0.98 * self.filled


def load_rows(connection: duckdb.DuckDBPyConnection, batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    """Read batches into the table ``rows``, in memory, up to ``MOST_ROWS``; yields how many there are so far."""
    count = 0
    for batch in batches:
        connection.register("batch", pa.Table.from_batches([batch]))
        verb = "CREATE TABLE rows AS FROM batch" if count == 0 else "INSERT INTO rows FROM batch"
        connection.execute(verb)
        connection.unregister("batch")
        count += len(batch)
        yield count
        if count >= MOST_ROWS:
            return


def profile(connection: duckdb.DuckDBPyConnection, column: str) -> Profile:
    """Look at one column of the table ``rows``."""
    row = connection.execute(
        f"""
        WITH texts AS (SELECT trim(coalesce({column}, '')) AS text FROM rows),
        looked AS (
            SELECT text, {number_of("text")} AS number, {instant_of("text")} AS instant, {year_of("text")} AS year
            FROM texts
        )
        SELECT count(*), count(*) FILTER (text <> ''), count(DISTINCT text) FILTER (text <> ''), count(number),
            count(*) FILTER (regexp_full_match(text, '[0-9]{{1,2}}')), count(instant),
            count(year) FILTER (number IS NULL), quantile_cont(number, 0.05), quantile_cont(number, 0.95),
            max(length(text)), strftime(min(instant), '%Y-%m-%d')
        FROM looked
        """
    ).fetchone()
    assert row is not None
    rows, filled, distinct, numbers, whole, instants, dates, low, high, longest, earliest = row
    return Profile(
        rows=rows,
        filled=filled,
        distinct=distinct,
        numbers=numbers,
        whole=whole,
        instants=instants,
        dates=dates,
        low=math.nan if low is None else low,
        high=math.nan if high is None else high,
        countries=_country_share(connection, column),
        longest=longest,
        common=_common_values(connection, column),
        earliest=earliest,
    )


def _country_share(connection: duckdb.DuckDBPyConnection, column: str) -> float:
    values = [
        value
        for (value,) in connection.execute(
            f"SELECT DISTINCT trim({column}) FROM rows WHERE trim({column}) <> '' LIMIT 1000"
        ).fetchall()
    ]
    return len(country_codes(values)) / len(values) if values else 0.0


def _common_values(connection: duckdb.DuckDBPyConnection, column: str) -> tuple[str, ...]:
    return tuple(
        value
        for (value,) in connection.execute(
            f"""
            SELECT trim({column}) AS value FROM rows WHERE trim({column}) <> ''
            GROUP BY value HAVING count(*) >= {PEOPLE_A_VALUE} ORDER BY value LIMIT {_MOST_VALUES}
            """
        ).fetchall()
    )
