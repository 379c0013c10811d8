"""Columns of the customer table that the site file declares, each with the closed list of keys it is generalised to."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.documents import Document
from pipeline.vocabulary import COUNTRIES, NONE, Key, region_keys

_YEAR: Final = Field(ge=1900, le=2200)
OLDEST_AGE: Final = 130  # in years; a date of birth that makes somebody older was mistyped


def _ascending(edges: tuple[int | float, ...]) -> tuple[int | float, ...]:
    if any(left >= right for left, right in itertools.pairwise(edges)):
        raise ValueError("edges must ascend")
    return edges


Edge = Annotated[int | float, Field(allow_inf_nan=False)]
Edges = Annotated[tuple[Edge, ...], Field(min_length=1), AfterValidator(_ascending)]


def band_names(edges: Sequence[int | float]) -> tuple[str, ...]:
    """``under 10``, ``10 to 19``, ``20 and more``; with the decimals of the edge that has most: ``10.00 to 19.99``."""
    exact = [Decimal(str(edge)) for edge in edges]
    exponents = [edge.normalize().as_tuple().exponent for edge in exact]
    decimals = max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))
    step = Decimal(1).scaleb(-decimals)
    low, high = f"{exact[0]:.{decimals}f}", f"{exact[-1]:.{decimals}f}"
    between = (f"{left:.{decimals}f} to {right - step:.{decimals}f}" for left, right in itertools.pairwise(exact))
    return (f"under {low}", *between, f"{high} and more")


class CountryColumn(Document):
    """A column of country names or codes, generalised to ISO 3166-1 alpha-2."""

    kind: Literal["country"]
    """Says that the column names countries."""
    column: str
    """Name of the column in the source."""
    title: str = "Country"
    """Heading of the dimension, as recipients read it."""

    def keys(self) -> tuple[str, ...]:
        """The closed key set."""
        return COUNTRIES


class RegionColumn(Document):
    """A column of regions of declared countries, generalised to codes of ISO 3166-2.

    Understood are codes (``DE-BE``) and the names that ISO 3166-2 gives the subdivisions, in any case and with or
    without accents; where one country alone is declared, also codes without it (``BE``). A name that two declared
    countries have is ``unknown``.
    """

    kind: Literal["region"]
    """Says that the column names regions."""
    column: str
    """Name of the column in the source."""
    title: str = "Region"
    """Heading of the dimension, as recipients read it."""
    countries: Annotated[tuple[str, ...], Field(min_length=1)]
    """Countries (ISO 3166-1 alpha-2) whose regions may be named; regions of any other are ``other``."""

    @field_validator("countries")
    @classmethod
    def _have_regions(cls, countries: tuple[str, ...]) -> tuple[str, ...]:
        for country in countries:
            if not region_keys([country]):
                raise ValueError(f"countries must be ISO 3166-1 alpha-2 codes of countries with regions: '{country}'")
        return countries

    def keys(self) -> tuple[str, ...]:
        """The closed key set, without ``other`` and ``unknown``."""
        return region_keys(self.countries)


class CategoryColumn(Document):
    """A column of which only declared values are kept; anything else is ``other``."""

    kind: Literal["category"]
    """Says that the column holds one of a few values."""
    column: str
    """Name of the column in the source."""
    title: str
    """Heading of the dimension, as recipients read it."""
    values: Annotated[tuple[Key, ...], Field(min_length=1)]
    """The values that may be named in a table, spelled as in the source."""

    def keys(self) -> tuple[str, ...]:
        """The closed key set, without ``other`` and ``unknown``."""
        return self.values


class BandColumn(Document):
    """A number (currency signs and grouping commas allowed) put into declared bands."""

    kind: Literal["band"]
    """Says that the column holds a number."""
    column: str
    """Name of the column in the source."""
    title: str
    """Heading of the dimension, as recipients read it."""
    edges: Edges
    """Ascending, with decimals or without; a value on an edge belongs to the band above it."""

    def keys(self) -> tuple[str, ...]:
        """``under 10``, ``10 to 19``, ``20 and more``."""
        return band_names(self.edges)


class AgeColumn(Document):
    """A date of birth, of which the age at the period's start is kept, in declared bands.

    A date that is none, that lies after the period's start, or that makes somebody older than 130 years is ``unknown``.
    """

    kind: Literal["age"]
    """Says that the column holds a date of birth."""
    column: str
    """Name of the column in the source; dates are ISO 8601."""
    title: str = "Age"
    """Heading of the dimension, as recipients read it."""
    edges: Annotated[tuple[Annotated[int, Field(ge=1, le=OLDEST_AGE)], ...], Field(min_length=1)]
    """Completed years, ascending; who is as old as an edge belongs to the band above it."""

    _ordered = field_validator("edges")(_ascending)

    def keys(self) -> tuple[str, ...]:
        """``under 18``, ``18 to 24``, ``65 and more``."""
        return band_names(self.edges)


class YearColumn(Document):
    """A date, of which the year is kept, within declared years."""

    kind: Literal["year"]
    """Says that the column holds a date."""
    column: str
    """Name of the column in the source."""
    title: str
    """Heading of the dimension, as recipients read it."""
    first: Annotated[int, _YEAR]
    """First year that may be named in a table; any earlier is ``other``."""
    last: Annotated[int, _YEAR]
    """Last year that may be named in a table; any later is ``other``."""

    @model_validator(mode="after")
    def _in_order(self) -> YearColumn:
        if self.first > self.last:
            raise ValueError("first must not be after last")
        return self

    def keys(self) -> tuple[str, ...]:
        """One key a year, without ``other`` and ``unknown``."""
        return tuple(str(year) for year in range(self.first, self.last + 1))


def _month(text: str) -> str:
    try:
        named = dt.datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError:
        named = None
    if named is None or f"{named:%Y-%m}" != text or not 1900 <= named.year <= 2200:
        raise ValueError("a month must be written as 2026-03")
    return text


Month = Annotated[str, AfterValidator(_month)]


class MonthColumn(Document):
    """A date, of which year and month are kept, within declared months: when customers signed up, for example."""

    kind: Literal["month"]
    """Says that the column holds a date."""
    column: str
    """Name of the column in the source; dates are ISO 8601."""
    title: str
    """Heading of the dimension, as recipients read it."""
    first: Month
    """First month that may be named in a table, ``2026-03``; any earlier is ``other``."""
    last: Month
    """Last month that may be named in a table; any later is ``other``."""

    @model_validator(mode="after")
    def _in_order(self) -> MonthColumn:
        if self.first > self.last:
            raise ValueError("first must not be after last")
        return self

    def keys(self) -> tuple[str, ...]:
        """One key a month, without ``other`` and ``unknown``."""
        first, last = month_number(self.first), month_number(self.last)
        return tuple(f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1))


def month_number(month: str) -> int:
    """A month as the number of months since year 0: ``2026-03`` is 24314."""
    return int(month[:4]) * 12 + int(month[5:]) - 1


class OrderValueColumn(Document):
    """What a customer's orders of the period came to, in one currency, put into declared bands; no column of its own.

    ``none`` is who has no order in that currency within the period. Refunds, as negative amounts, are taken off.
    """

    kind: Literal["order_value"]
    """Says that the dimension comes from the amounts of the orders."""
    title: str = "Value of orders"
    """Heading of the dimension, as recipients read it."""
    currency: str | None = None
    """Which currency's orders are added up; needed where amounts are in several."""
    edges: Edges
    """In whole units of the currency (euros, not cents), ascending; a value on an edge belongs to the band above it."""

    def keys(self) -> tuple[str, ...]:
        """``under 10``, ``10 to 19``, ``20 and more``, and ``none``."""
        return (*band_names(self.edges), NONE)


# A column that the source has; of an order value it has none.
ReadColumn = CountryColumn | RegionColumn | CategoryColumn | BandColumn | AgeColumn | YearColumn | MonthColumn
CustomerColumn = Annotated[ReadColumn | OrderValueColumn, Field(discriminator="kind")]
