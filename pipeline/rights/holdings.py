"""What staging holds about one person, put into words for that person: titles and values, no pseudonym."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.periods import Period
from pipeline.rights import pages
from pipeline.site import SiteFile
from pipeline.vocabulary import EVENTS, Dimension, Population

# Columns that are no attribute: pseudonyms, and what a row stands for in the policy.
PERSON: Final = "person"
POLICY_VERSIONS: Final = "policy_versions"
_NUMBER: Final = "number"


@dataclass(frozen=True)
class HeldRows:
    """The rows of one person in the staging of one period, as they stand there.

    Attributes:
        period: When.
        persons: Their rows of persons; None where the population has no such table.
        events: Their rows of events; None where the period has no such table.
    """

    period: Period
    persons: pa.Table | None = field(default=None, repr=False)
    events: pa.Table | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return any(table is not None and table.num_rows > 0 for table in (self.persons, self.events))


@dataclass(frozen=True)
class Amount:
    """A quantity of a person's events, added up.

    Attributes:
        name: Of the quantity.
        title: For people to read.
        total: As it is held, in units of the quantity.
        words: As people read it, with its unit.
    """

    name: str
    title: str
    total: int = field(repr=False)
    words: str = field(repr=False)


@dataclass(frozen=True)
class Value:
    """One value of an attribute.

    Attributes:
        key: As it is held; None where nothing is.
        label: As people read it.
        number: How many rows have it.
        amounts: What these rows come to, one a quantity of the attribute.
    """

    key: str | None
    label: str
    number: int
    amounts: tuple[Amount, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Attribute:
    """What is held of one thing, the most frequent value first."""

    name: str
    title: str
    values: tuple[Value, ...] = field(repr=False)


@dataclass(frozen=True)
class Holding:
    """What is held about a person for one period.

    Attributes:
        period: When.
        held_until: First day on which it is not held any more.
        attributes: What they have one value of.
        activity: What they may have many of, with the number of their events by value.
        events: How many events there are, in words: ``12 requests``.
        amounts: What their events add up to.
        lines: Every different row as it is held, with how often; no pseudonym.
        policy_versions: Versions of the privacy policy that bind them, where that is known.
    """

    period: Period
    held_until: dt.date
    attributes: tuple[Attribute, ...] = field(repr=False)
    activity: tuple[Attribute, ...] = field(repr=False)
    events: str = field(repr=False)
    amounts: tuple[Amount, ...] = field(repr=False)
    lines: tuple[Mapping[str, Any], ...] = field(repr=False)
    policy_versions: tuple[str, ...] = ()

    @property
    def last_day(self) -> dt.date:
        """Last day of the period."""
        return self.period.end - dt.timedelta(days=1)


def holding_of(site: SiteFile, population: Population, rows: HeldRows) -> Holding:
    """Put a person's rows of one period into words."""
    return _Reading(site, population, rows).holding()


def held_until(site: SiteFile, period: Period) -> dt.date:
    """The day, in the site's time zone, from which a period's staging is not held any more."""
    return period.end + dt.timedelta(days=site.retention.staging_days)


class _Reading:
    """One period's rows, read against what the site file says of them."""

    def __init__(self, site: SiteFile, population: Population, rows: HeldRows) -> None:
        self._site = site
        self._population = population
        self._dimensions = site.dimensions(population)
        self._quantities = site.quantities(population)
        self._rows = rows
        self._persons = _without_pseudonym(rows.persons)
        self._events = _without_pseudonym(rows.events)

    def holding(self) -> Holding:
        single, many = self._columns()
        numbers = self._numbers()
        counted = self._quantities[EVENTS].unit if EVENTS in self._quantities else EVENTS
        return Holding(
            self._rows.period,
            held_until(self._site, self._rows.period),
            tuple(self._attribute(name, table) for name, table in single),
            tuple(self._attribute(name, table) for name, table in many),
            pages.counted_of(self._events.num_rows, counted),
            tuple(self._amount(name, pc.sum(self._events.column(name)).as_py()) for name in numbers),
            tuple(_lines(self._persons)) + tuple(_lines(self._events)),
            self._policy_versions(),
        )

    def _columns(self) -> tuple[list[tuple[str, pa.Table]], list[tuple[str, pa.Table]]]:
        """(column, its table) of what a person has one value of, and of what they may have many."""
        single = [(name, self._persons) for name in self._persons.column_names if name != POLICY_VERSIONS]
        many: list[tuple[str, pa.Table]] = []
        numbers = self._numbers()
        for name in [name for name in self._events.column_names if name not in numbers]:
            known = self._dimensions.get(name)
            (single if known and known.per_person else many).append((name, self._events))
        return single, many

    def _attribute(self, name: str, table: pa.Table) -> Attribute:
        known: Dimension | None = self._dimensions.get(name)
        # What requests come to is told once; orders are told by product with what was paid.
        amounts = self._numbers() if self._population is Population.CUSTOMERS and table is self._events else []
        values = self._values(name, table, amounts)
        found = [value for value in values if value.key is not None or not (known and known.is_partial)]
        return Attribute(name, known.title if known else name.replace("_", " "), tuple(found))

    def _values(self, name: str, table: pa.Table, amounts: list[str]) -> Iterator[Value]:
        rows = pa.table({"key": table.column(name).cast(pa.string()), **{one: table.column(one) for one in amounts}})
        counts = rows.group_by("key").aggregate([([], "count_all"), *((one, "sum") for one in amounts)])
        for row in sorted(counts.to_pylist(), key=lambda row: (-row["count_all"], row["key"] or "")):
            sums = tuple(self._amount(one, row[f"{one}_sum"]) for one in amounts)
            yield Value(row["key"], pages.label(name, row["key"]), row["count_all"], sums)

    def _numbers(self) -> list[str]:
        schema = self._events.schema
        return [name for name in schema.names if pa.types.is_integer(schema.field(name).type)]

    def _amount(self, name: str, total: int | None) -> Amount:
        known = self._quantities.get(name)
        words = in_words(total or 0, known.unit) if known else f"{total or 0:,}"
        return Amount(name, known.title if known else name.replace("_", " "), total or 0, words)

    def _policy_versions(self) -> tuple[str, ...]:
        if POLICY_VERSIONS not in self._persons.column_names:
            return ()
        told = pc.unique(self._persons.column(POLICY_VERSIONS)).to_pylist()
        return tuple(sorted({version for one in told for version in str(one or "").split()}))


def in_words(total: int, unit: str) -> str:
    """A whole number of a unit as people read it: ``129.00 EUR`` of 12,900 times 0.01 EUR, ``3 visits`` of visits."""
    part, _, name = unit.partition(" ")
    try:
        share = Decimal(part)
    except InvalidOperation:
        return pages.counted_of(total, unit)
    return f"{total * share:,.{max(0, -int(share.as_tuple().exponent))}f} {name}"


def _without_pseudonym(table: pa.Table | None) -> pa.Table:
    """The columns that say something, texts as plain text."""
    if table is None:
        return pa.table({})
    columns = {name: table.column(name) for name in table.column_names if name != PERSON}
    return pa.table(
        {
            name: column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            for name, column in columns.items()
        }
    )


def _lines(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    """Every different row once, with how often it is held."""
    if not table.num_rows:
        return
    names = table.column_names
    counts = table.group_by(names).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        yield {**{name: row[name] for name in names}, _NUMBER: row["count_all"]}
