"""Generalisation of declared columns: a raw value becomes one of the column's closed keys.

Each distinct text of a batch is looked at once, in memory; numbers, dates and times are compared as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.deidentify.countries import country_codes, region_codes
from pipeline.site import (
    LARGEST_AMOUNT,
    OLDEST_AGE,
    AgeColumn,
    BandColumn,
    CategoryColumn,
    CountryColumn,
    MonthColumn,
    ReadColumn,
    RegionColumn,
    YearColumn,
    month_number,
)
from pipeline.vocabulary import OTHER, UNKNOWN, closed

# Dates of which the year can be told whatever the order of day and month.
_YEAR_PATTERNS: Final = (r"^(\d{4})(?:-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2})?(?:[T ].*)?$",
                         r"^\d{1,2}[/.-]\d{1,2}[/.-](\d{4})(?:[T ].*)?$")  # fmt: skip
_NUMBER: Final = r"^[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?$"
CODE: Final = pa.int16()  # of places in a closed list


@dataclass(frozen=True)
class Generaliser:
    """Makes codes of one column's values: their places among the keys.

    Attributes:
        column: What the site file declares.
        start: First day of the period, for ages.
    """

    column: ReadColumn
    start: dt.date

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The closed list that codes are places in, ``other`` and ``unknown`` among it."""
        return closed(self.column.keys())

    @property
    def name(self) -> str:
        """The column's name in the source."""
        return self.column.column

    @property
    def takes_types(self) -> bool:
        """Whether whole numbers, dates and times are understood as they are; all others want text."""
        return isinstance(self.column, BandColumn | AgeColumn | YearColumn | MonthColumn)

    def takes(self, kind: pa.DataType) -> bool:
        """Whether ``place_of`` understands values of this type."""
        fits = pa.types.is_integer if isinstance(self.column, BandColumn) else pa.types.is_temporal
        return self.takes_types and bool(fits(kind))

    def value_of(self, raw: str) -> str:
        """SQL: the number, age, year or month of a value of a type that this takes."""
        return self._value(raw, is_text=False)

    def place_of(self, value: str) -> str:
        """SQL: the code of what ``value_of`` makes."""
        if isinstance(self.column, BandColumn | AgeColumn):
            return f"({band_of(value, self.column.edges, self._code(UNKNOWN))})::SMALLINT"
        assert isinstance(self.column, YearColumn | MonthColumn)
        first, unknown, other = self.column.first, self._code(UNKNOWN), self._code(OTHER)
        place = f"{value} - {first if isinstance(first, int) else month_number(first)}"
        inside = f"WHEN {place} BETWEEN 0 AND {len(self.column.keys()) - 1} THEN {place}"
        return f"(CASE WHEN {value} IS NULL THEN {unknown} {inside} ELSE {other} END)::SMALLINT"

    def codes(self, connection: duckdb.DuckDBPyConnection, values: pa.Array) -> pa.Array:
        """One code a value, each distinct one looked at once; a missing one is ``unknown``.

        Args:
            connection: In memory; its time zone is the site's.
            values: Text, plain or as a dictionary; anything else is read as text.
        """
        told = values if isinstance(values, pa.DictionaryArray) else values.cast(pa.string()).dictionary_encode()
        found = pc.take(self._looked_up(connection, told.dictionary), told.indices)
        return pc.fill_null(found, pa.scalar(self._code(UNKNOWN), CODE))

    def _looked_up(self, connection: duckdb.DuckDBPyConnection, values: pa.Array) -> pa.Array:
        match self.column:
            case CountryColumn():
                return self._named(values, country_codes(values.to_pylist()))
            case RegionColumn(countries=countries):
                return self._named(values, region_codes(values.to_pylist(), countries))
            case CategoryColumn(values=declared):
                return self._named(values, {name: _category(name, declared) for name in values.to_pylist()})
        connection.register("looked_up", pa.table({"raw": values, "place": np.arange(len(values))}))
        told = f"SELECT place, {self._value('raw', is_text=True)} AS value FROM looked_up"
        query = f"SELECT {self.place_of('value')} AS code FROM ({told}) ORDER BY place"
        found = fetch_table(connection, query).column("code").combine_chunks()
        connection.unregister("looked_up")
        return found

    def _named(self, values: pa.Array, keys: Mapping[str, str]) -> pa.Array:
        places = {key: place for place, key in enumerate(self.keys)}
        return pa.array([places[keys.get(name, UNKNOWN)] for name in values.to_pylist()], CODE)

    def _value(self, raw: str, *, is_text: bool) -> str:
        """SQL: the number, age, year or month that a raw value tells; NULL if it tells none."""
        instant = instant_of(raw) if is_text else f"{raw}::TIMESTAMPTZ"
        match self.column:
            case BandColumn():
                return number_of(raw) if is_text else raw
            case AgeColumn():
                born = f"({instant})::DATE"
                age = f"date_sub('year', {born}, DATE '{self.start}')"
                return f"CASE WHEN {born} <= DATE '{self.start}' AND {age} <= {OLDEST_AGE} THEN {age} END"
            case YearColumn():
                return year_of(raw) if is_text else f"year({instant})"
        return f"year({instant}) * 12 + month({instant}) - 1"

    def _code(self, key: str) -> int:
        return self.keys.index(key)


def fetch_table(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """What a query finds, without a copy on the way."""
    relation = connection.sql(query)
    assert relation is not None
    return pa.table(relation.to_arrow_table())


def band_of(number: str, edges: Sequence[int | float | Decimal], missing: int) -> str:
    """SQL: the place of the band that a number belongs to, from 0; ``missing`` where it is none."""
    below = "".join(f" WHEN {number} < {Decimal(str(edge)):f} THEN {place}" for place, edge in enumerate(edges))
    return f"CASE WHEN ({number}) IS NULL THEN {missing}{below} ELSE {len(edges)} END"


def _category(name: str, declared: Sequence[str]) -> str:
    if name in declared:
        return name
    bare = name.strip(" ")
    return bare if bare in declared else OTHER if bare else UNKNOWN


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
