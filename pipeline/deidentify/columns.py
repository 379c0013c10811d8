"""Generalisation of declared columns: a raw value becomes one of the column's closed keys.

Each distinct raw value is looked at once, in memory; a table ``(raw, key)`` of the connection holds what became of it.
"""

from __future__ import annotations

from typing import Final

import duckdb
import pyarrow as pa

from pipeline.deidentify.countries import country_codes
from pipeline.site import LARGEST_AMOUNT, BandColumn, CategoryColumn, CountryColumn, YearColumn
from pipeline.vocabulary import OTHER, UNKNOWN

Column = CountryColumn | CategoryColumn | BandColumn | YearColumn

# Dates of which the year can be told whatever the order of day and month.
_YEAR_PATTERNS: Final = (r"^(\d{4})(?:-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2})?(?:[T ].*)?$",
                         r"^\d{1,2}[/.-]\d{1,2}[/.-](\d{4})(?:[T ].*)?$")  # fmt: skip
_NUMBER: Final = r"^[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?$"


def map_keys(connection: duckdb.DuckDBPyConnection, target: str, column: Column, rows: str, raw: str) -> None:
    """Make a table ``target`` with ``raw`` and ``key`` for every distinct value of a column; NULL reads as ''.

    Args:
        connection: Holds the rows in memory; its time zone is the site's.
        target: Name of the table to make.
        column: What the site file declares.
        rows: Table that holds the raw values.
        raw: Its column.
    """
    distinct = f"(SELECT DISTINCT coalesce({raw}, '') AS raw FROM {rows})"
    if isinstance(column, CountryColumn):
        _map_countries(connection, target, distinct)
    elif isinstance(column, CategoryColumn):
        _map_categories(connection, target, distinct, column.values)
    elif isinstance(column, BandColumn):
        connection.execute(f"CREATE TEMP TABLE {target} AS SELECT raw, {_band(column)} AS key FROM {distinct}")
    else:
        connection.execute(f"CREATE TEMP TABLE {target} AS SELECT raw, {_year(column)} AS key FROM {distinct}")


def number_of(raw: str) -> str:
    """SQL: a number as people write it, with currency signs, spaces and grouping commas; NULL if it is none."""
    bare = rf"regexp_replace({raw}, '[\s\p{{Sc}}\p{{Zs}}]', '', 'g')"
    return f"CASE WHEN regexp_matches({bare}, '{_NUMBER}') THEN try_cast(replace({bare}, ',', '') AS DOUBLE) END"


def amount_of(raw: str, decimals: int) -> str:
    """SQL: a decimal number as a whole number of its smallest unit, exactly; NULL if it is none.

    NULL, too, where it has more decimals than declared, even zeros (``1.000`` is a thousand to many), or is beyond
    ``LARGEST_AMOUNT``.

    Args:
        raw: A text column.
        decimals: 0 to 3.
    """
    pattern = r"[-+]?\d+" + (rf"(\.\d{{1,{decimals}}})?" if decimals else "")
    # Decimal all the way: a float has no 0.10. Fifteen digits before the point are more than may be, and the second
    # cast makes room for the product of any: one overflow would end the whole reading.
    units = f"try_cast(trim({raw}) AS DECIMAL(18, 3))::DECIMAL(38, 3) * {10**decimals}"
    inside = f"regexp_full_match(trim({raw}), '{pattern}') AND abs({units}) <= {LARGEST_AMOUNT}"
    return f"CASE WHEN {inside} THEN ({units})::BIGINT END"


def year_of(raw: str) -> str:
    """SQL: the four-digit year of a date, in the connection's time zone where it is an instant; NULL if it is none."""
    first, second = (f"nullif(regexp_extract(trim({raw}), '{pattern}', 1), '')" for pattern in _YEAR_PATTERNS)
    return f"coalesce(year({instant_of(raw)}), try_cast({first} AS INTEGER), try_cast({second} AS INTEGER))"


def instant_of(raw: str) -> str:
    """SQL: an ISO 8601 date or time as an instant, in the connection's time zone where it has none; or NULL."""
    # The cast alone would also take words such as 'infinity', and years before any customer.
    iso = f"regexp_matches(trim({raw}), '^\\d{{4}}-\\d\\d-\\d\\d([T ]|$)')"
    return f"CASE WHEN {iso} THEN try_cast(trim({raw}) AS TIMESTAMPTZ) END"


def _map_countries(connection: duckdb.DuckDBPyConnection, target: str, distinct: str) -> None:
    names = [name for (name,) in connection.execute(f"SELECT raw FROM {distinct}").fetchall()]
    found = country_codes(names)
    keys = pa.table(
        {"raw": pa.array(names, pa.string()), "key": pa.array([found.get(n, UNKNOWN) for n in names], pa.string())}
    )
    connection.register("country_keys", keys)
    connection.execute(f"CREATE TEMP TABLE {target} AS FROM country_keys")
    connection.unregister("country_keys")


def _map_categories(connection: duckdb.DuckDBPyConnection, target: str, distinct: str, values: tuple[str, ...]) -> None:
    connection.execute(
        f"""
        CREATE TEMP TABLE {target} AS
        WITH declared AS (SELECT unnest(?::VARCHAR[]) AS value)
        SELECT raw, CASE
            WHEN trim(raw) = '' THEN '{UNKNOWN}'
            WHEN raw IN (FROM declared) THEN raw
            WHEN trim(raw) IN (FROM declared) THEN trim(raw)
            ELSE '{OTHER}' END AS key
        FROM {distinct}
        """,
        [list(values)],
    )


def _band(column: BandColumn) -> str:
    number = number_of("raw")
    *below, last = column.keys()
    cases = "".join(f" WHEN {number} < {edge} THEN '{key}'" for edge, key in zip(column.edges, below, strict=True))
    return f"CASE WHEN {number} IS NULL THEN '{UNKNOWN}'{cases} ELSE '{last}' END"


def _year(column: YearColumn) -> str:
    year = year_of("raw")
    inside = f"{year} BETWEEN {column.first} AND {column.last}"
    return f"CASE WHEN {year} IS NULL THEN '{UNKNOWN}' WHEN {inside} THEN {year}::VARCHAR ELSE '{OTHER}' END"
