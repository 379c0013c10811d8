"""The site file itself: sources, time zone, and the year's budget."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import ConfigurationError
from pipeline.periods import Period, PeriodKind
from pipeline.site.customers import CustomerSource
from pipeline.site.dimensions import visitor_dimensions
from pipeline.site.tables import DatabaseSource
from pipeline.site.visitors import ErrorLogSource, LogSource, TimeZone, VisitorSource
from pipeline.vocabulary import (
    EVENTS,
    VISITOR_QUANTITIES,
    Dimension,
    Population,
    Quantity,
    closed_dimension,
)


class BudgetCap(Document):
    """What all releases about one population may spend together over a rolling year."""

    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Privacy loss that the year's releases may add up to."""
    delta: Annotated[float, Field(gt=0, lt=1)]
    """Probability with which the guarantee of the year's epsilon may fail."""


class Retention(Document):
    """How long things about people are kept."""

    staging_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days after the end of its period for which de-identified staging is kept. Then it is deleted, and the period's
    key destroyed: nobody can tell any more whose a pseudonym was."""
    access_days: Annotated[int, Field(ge=1, le=90)] = 14
    """Days for which what was made for a person's access request is kept."""
    data_docs_days: Annotated[int, Field(ge=1, le=3650)] = 400
    """Days for which Data Docs, the pages and records of what was checked, are kept after a run. They hold no value of
    anybody; the ledger keeps the outcomes of a release's own checks for good."""


class RequestTable(Document):
    """Where people's requests are found, beside the drop folder and the command line."""

    source: DatabaseSource
    """A table or view with a column ``id`` and those of ``docs/rights.md`` that it has. It is read only; each id is
    taken once."""


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
    time_zone: TimeZone = "UTC"
    """In which periods begin and end: a name of the IANA time zone database, ``Europe/Berlin`` for example."""
    visitors: VisitorSource | None = None
    """Visitor logs, if visitors are counted."""
    customers: CustomerSource | None = None
    """Customer records, if customers are counted."""
    retention: Retention = Retention()
    """When staging, what was made for people's requests, and Data Docs are deleted."""
    subject_requests: RequestTable | None = None
    """A table with people's requests, if there is one."""
    budget: dict[Population, BudgetCap]
    """The year's cap for each population that is counted."""

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

    def zone_of(self, source: LogSource | ErrorLogSource) -> ZoneInfo:
        """The time zone of logged times that carry none."""
        return ZoneInfo(source.time_zone or self.time_zone)

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
            return VISITOR_QUANTITIES
        if source.orders is None:
            return {}
        found = {EVENTS: Quantity(EVENTS, "Orders", "orders")}
        amount = source.orders.amount
        return found | (amount.quantities() if amount else {})

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
        return visitor_dimensions(visitors)

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
