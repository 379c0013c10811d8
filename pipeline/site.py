"""The site file: which sources there are, what of them is read, and how it is generalised.

Default deny: a field or column that the site file does not declare is never read.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import ConfigurationError
from pipeline.periods import Period, PeriodKind
from pipeline.vocabulary import (
    COUNTRIES,
    EVENTS,
    LANGUAGES,
    Dimension,
    Key,
    Name,
    Population,
    Quantity,
    closed_dimension,
    visitor_dimensions,
)

Share = Annotated[float, Field(ge=0, le=1)]
# The quantity that orders carry, and its column in staging.
REVENUE: Final = "revenue"
# Of the smallest unit, either way: sums over nine million such amounts still fit into 64 bits.
LARGEST_AMOUNT: Final = 10**12
CURRENCY_PATTERN: Final = "^[A-Z]{3}$"


class SectionRule(Document):
    """Paths of one section of the site; the first rule that matches wins."""

    section: Name
    """What pages under these paths are counted as."""
    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Shell patterns over the path without its query: ``/docs/*``; ``*`` matches anything, slashes included."""


class VisitorSource(Document):
    """Visitor logs and how they are generalised."""

    logs: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths or globs, relative to the site file; plain or gzip."""
    period: PeriodKind = PeriodKind.WEEK
    """The period in which a visitor is one person (the privacy unit)."""
    format: Literal["combined"] = "combined"
    """Apache and nginx combined."""
    trailing_fields: tuple[Literal["accept_language", "-"], ...] = ()
    """Quoted fields that the site logs after the user agent, in order; ``-`` is one that is not read."""
    own_domains: tuple[str, ...] = ()
    """Registered domains of the site itself; referrers from there are ``internal``."""
    sections: tuple[SectionRule, ...] = ()
    """Ordered rules; a path that none matches is ``other``."""
    referrer_domains: tuple[Key, ...] | Literal["any"] = ()
    """Registered domains that may be named in a table, any other is ``other``; or the word ``any``: then each is kept
    as it is found, without what stands before it, and tables name those that many people came from."""
    languages: tuple[Name, ...] = LANGUAGES
    """Primary language subtags that may be named in a table."""
    max_rejected_share: Share = 0.01
    """Above this share of lines that cannot be used, ingestion stops."""

    @field_validator("referrer_domains")
    @classmethod
    def _any_stands_alone(cls, domains: tuple[str, ...] | Literal["any"]) -> tuple[str, ...] | Literal["any"]:
        if domains != "any" and "any" in domains:
            raise ValueError("any stands in no list: it is the word alone, or a list of domains")
        return domains


class DatabaseSource(Document):
    """A table or view of a database that SQLAlchemy reaches."""

    kind: Literal["database"]
    """Says that the source is a database."""
    url: str
    """SQLAlchemy address; a relative SQLite path is relative to the site file. ``$NAME`` is taken from the environment,
    so that no password need stand here."""
    table: str
    """Table or view, optionally with its schema."""


class CsvSource(Document):
    """A delimited text file with a header line."""

    kind: Literal["csv"]
    """Says that the source is a delimited file."""
    path: str
    """Relative to the site file."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What stands between two columns."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """How the file's characters are written as bytes."""


TableSource = Annotated[DatabaseSource | CsvSource, Field(discriminator="kind")]


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
    edges: Annotated[tuple[int, ...], Field(min_length=1)]
    """Ascending; a value on an edge belongs to the band above it."""

    @field_validator("edges")
    @classmethod
    def _ascending(cls, edges: tuple[int, ...]) -> tuple[int, ...]:
        if any(left >= right for left, right in itertools.pairwise(edges)):
            raise ValueError("edges must ascend")
        return edges

    def keys(self) -> tuple[str, ...]:
        """``under 10``, ``10 to 19``, ``20 and more``."""
        between = (f"{low} to {high - 1}" for low, high in zip(self.edges, self.edges[1:], strict=False))
        return (f"under {self.edges[0]}", *between, f"{self.edges[-1]} and more")


class YearColumn(Document):
    """A date, of which the year is kept, within declared years."""

    kind: Literal["year"]
    """Says that the column holds a date."""
    column: str
    """Name of the column in the source."""
    title: str
    """Heading of the dimension, as recipients read it."""
    first: Annotated[int, Field(ge=1900, le=2200)]
    """First year that may be named in a table; any earlier is ``other``."""
    last: Annotated[int, Field(ge=1900, le=2200)]
    """Last year that may be named in a table; any later is ``other``."""

    @model_validator(mode="after")
    def _in_order(self) -> YearColumn:
        if self.first > self.last:
            raise ValueError("first must not be after last")
        return self

    def keys(self) -> tuple[str, ...]:
        """One key a year, without ``other`` and ``unknown``."""
        return tuple(str(year) for year in range(self.first, self.last + 1))


CustomerColumn = Annotated[CountryColumn | CategoryColumn | BandColumn | YearColumn, Field(discriminator="kind")]


class AmountColumn(Document):
    """What an order came to, in one currency; kept as a whole number of its smallest unit."""

    column: str
    """Name of the column in the source: a decimal number, ``1249.90``; without a currency sign."""
    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN)]
    """ISO 4217 code of the currency that every amount is in."""
    decimals: Annotated[int, Field(ge=0, le=3)] = 2
    """Digits after the point at most: 2 keeps cents. An amount with more cannot be used, nor one of over 10^12 of the
    smallest units."""
    title: str = "Revenue"
    """Heading of the quantity, as recipients read it."""

    @property
    def unit(self) -> str:
        """What one of the whole number is: ``0.01 EUR``."""
        return f"{10.0**-self.decimals:.{self.decimals}f} {self.currency}"


class OrderSource(Document):
    """The payment service's export of orders: what was bought, never how it was paid."""

    source: TableSource
    """Where the orders are."""
    person: str
    """Column that names the customer as the customer table does; becomes a pseudonym."""
    placed: str
    """Column with the date of the order (ISO 8601)."""
    product: str
    """Column with the product."""
    products: Annotated[tuple[Key, ...], Field(min_length=1)]
    """Products that may be named in a table; any other is ``other``."""
    amount: AmountColumn | None = None
    """What the order came to, if tables may add up revenue; the quantity is named ``revenue``."""
    max_rejected_share: Share = 0.01
    """Above this share of orders that cannot be used, ingestion stops."""


class CustomerSource(Document):
    """Customer records: declared columns only."""

    source: TableSource
    """Where the customers are."""
    person: str
    """Column that tells customers apart; becomes a pseudonym and is not stored."""
    period: PeriodKind = PeriodKind.MONTH
    """The period in which a customer is one person (the privacy unit)."""
    signed_up: str | None = None
    """Column with the date of sign-up (ISO 8601); who signed up after a period is not of it."""
    dimensions: Annotated[dict[Name, CustomerColumn], Field(min_length=1)]
    """Declared columns, each with its generalisation."""
    orders: OrderSource | None = None
    """Where orders are, if tables may count who ordered which product."""
    max_rejected_share: Share = 0.01
    """Above this share of customers that cannot be used, ingestion stops."""

    @model_validator(mode="after")
    def _names_of_orders_are_kept(self) -> CustomerSource:
        if self.orders is None:
            return self
        kept = ("product", REVENUE) if self.orders.amount else ("product",)
        for name in kept:
            if name in self.dimensions:
                raise ValueError(f"'{name}' comes from the orders: give the customers' dimension another name")
        return self


class BudgetCap(Document):
    """What all releases about one population may spend together over a rolling year."""

    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Privacy loss that the year's releases may add up to."""
    delta: Annotated[float, Field(gt=0, lt=1)]
    """Probability with which the guarantee of the year's epsilon may fail."""


class SiteFile(Document):
    """A company's sources."""

    site: Annotated[str, Field(min_length=1, max_length=80)]
    """Name for people to read."""
    publisher: str = ""
    """Who publishes, as recipients read it; the site's name if empty."""
    contact: str = ""
    """Where recipients turn to."""
    synthetic: bool = False
    """True where the data is made up; everything that is made from it then says so."""
    time_zone: str = "UTC"
    """In which periods begin and end: a name of the IANA time zone database, ``Europe/Berlin`` for example."""
    visitors: VisitorSource | None = None
    """Visitor logs, if visitors are counted."""
    customers: CustomerSource | None = None
    """Customer records, if customers are counted."""
    budget: dict[Population, BudgetCap]
    """The year's cap for each population that is counted."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("time_zone must be a name of the IANA time zone database")
        return name

    @model_validator(mode="after")
    def _has_sources(self) -> SiteFile:
        sources = {Population.VISITORS: self.visitors, Population.CUSTOMERS: self.customers}
        present = {population for population, source in sources.items() if source is not None}
        if not present:
            raise ValueError("at least one of visitors and customers must be declared")
        if missing := sorted(present - set(self.budget)):
            raise ValueError(f"budget must have a cap for {', '.join(missing)}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the site's periods."""
        return ZoneInfo(self.time_zone)

    def period_kind(self, population: Population) -> PeriodKind:
        """The length of the period in which a person of this population is one person.

        Raises:
            ConfigurationError: The site has no such population.
        """
        return self._source(population).period

    def require_period(self, population: Population, period: Period) -> None:
        """Check that a period is of the length in which a person of this population is one person.

        Raises:
            ConfigurationError: It is of another length, or the site has no such population.
        """
        kind = self.period_kind(population)
        if period.kind is not kind:
            raise ConfigurationError(
                f"a period of {population} must be a {kind}, in which each of them is one person",
                value=period,
                remedy=f"Name a {kind}, or change {population}.period in the site file.",
            )

    def dimensions(self, population: Population) -> dict[str, Dimension]:
        """What this population can be told apart by, by name.

        Raises:
            ConfigurationError: The site has no such population.
        """
        self._source(population)
        return self._visitor_dimensions if population is Population.VISITORS else self._customer_dimensions

    def quantities(self, population: Population) -> dict[str, Quantity]:
        """What can be added up for this population, by name.

        Raises:
            ConfigurationError: The site has no such population.
        """
        source = self._source(population)
        if isinstance(source, VisitorSource):
            return {EVENTS: Quantity(EVENTS, "Requests", "requests")}
        if source.orders is None:
            return {}
        found = {EVENTS: Quantity(EVENTS, "Orders", "orders")}
        amount = source.orders.amount
        return found | ({REVENUE: Quantity(REVENUE, amount.title, amount.unit)} if amount else {})

    def _source(self, population: Population) -> VisitorSource | CustomerSource:
        source = self.visitors if population is Population.VISITORS else self.customers
        if source is None:
            raise ConfigurationError(
                f"the site file must declare {population} to count them",
                remedy=f"Add a section '{population}' to the site file.",
            )
        return source

    @cached_property
    def _visitor_dimensions(self) -> dict[str, Dimension]:
        visitors = self.visitors
        assert visitors is not None
        sections = tuple(rule.section for rule in visitors.sections)
        return visitor_dimensions(sections, visitors.referrer_domains, visitors.languages)

    @cached_property
    def _customer_dimensions(self) -> dict[str, Dimension]:
        customers = self.customers
        assert customers is not None
        found = {
            name: closed_dimension(name, column.title, column.keys(), per_person=True)
            for name, column in customers.dimensions.items()
        }
        if customers.orders is not None:
            found["product"] = closed_dimension("product", "Product", customers.orders.products, per_person=False)
        return found


def load_site(path: Path) -> SiteFile:
    """Read a site file.

    Raises:
        ConfigurationError: It is missing or breaks a rule; every broken rule is named.
    """
    return documents.load(path, SiteFile, ConfigurationError)
