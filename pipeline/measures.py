"""What is told of a group: its distinct people always, and beside them events, bounded sums, and means.

People are what a group is selected by. Everything else is told of groups that were selected, within bounds on what one
person may add, so that its noise can hide any one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from pipeline.documents import Document
from pipeline.errors import SpecificationError
from pipeline.vocabulary import EVENTS, PEOPLE, Name, Quantity

# Beyond this a sum over a few million people would leave the whole numbers of a float, in which noise is added.
LARGEST_LIMIT: Final = 1_000_000_000


class Scope(StrEnum):
    """Over what a limit on one person's contribution reaches."""

    GROUP = "in each group"
    ALL = "in all groups together"


@dataclass(frozen=True, order=True)
class Measured:
    """What is counted, and how much of it one person may add.

    Attributes:
        quantity: ``people``, ``events``, or a quantity of the site (a whole-number column of staging).
        limit: The most one person adds, in units of the quantity: to one group (an L-infinity bound, on top of
            ``max_groups``), or to all groups of a level together (an L1 bound).
        scope: Which of the two.
    """

    quantity: str
    limit: int = 1
    scope: Scope = Scope.GROUP

    def l1(self, max_groups: int) -> int:
        """By how much one person can change all groups of a level together."""
        return self.limit * (max_groups if self.scope is Scope.GROUP else 1)

    def largest(self, max_groups: int, *, deepest: bool) -> int:
        """By how much one person can change one group: in groups that are divided further, by all there is below."""
        return self.limit if deepest else self.l1(max_groups)


# Everybody counts once in a group.
PEOPLE_MEASURED: Final = Measured(PEOPLE)

Limit = Annotated[int, Field(ge=1, le=LARGEST_LIMIT)]


class _Bounded(Document):
    name: Name
    """What the measure is called in files; no other measure of the table has this name."""
    title: Annotated[str, Field(min_length=1, max_length=80)]
    """Heading of the measure, as recipients read it."""
    max_per_group: Limit | None = None
    """The most that one person adds to one group; what is beyond is cut off, what is below zero is zero."""
    max_in_all: Limit | None = None
    """The most that one person adds to all groups of the table together, instead of a bound for each group: where
    few people fill many groups, it lets in more of most and needs less noise."""

    @model_validator(mode="after")
    def _one_bound(self) -> _Bounded:
        if (self.max_per_group is None) is (self.max_in_all is None):
            raise ValueError(f"measure {self.name} must have max_per_group or max_in_all, and not both")
        return self

    def measured(self, quantity: str) -> Measured:
        """What is counted of this quantity."""
        if self.max_in_all is not None:
            return Measured(quantity, self.max_in_all, Scope.ALL)
        assert self.max_per_group is not None
        return Measured(quantity, self.max_per_group)


class EventsMeasure(_Bounded):
    """How many events there were: requests of visitors, orders of customers."""

    kind: Literal["events"]
    """Says that events are counted."""


class SumMeasure(_Bounded):
    """The sum of a whole-number quantity over events, revenue in cents for example."""

    kind: Literal["sum"]
    """Says that a quantity is added up."""
    of: Name
    """The quantity: one that the site offers."""


class MeanMeasure(Document):
    """A mean, as the quotient of two measures of the table; it costs nothing."""

    kind: Literal["mean"]
    """Says that a mean is told."""
    name: Name
    """What the measure is called in files; no other measure of the table has this name."""
    title: Annotated[str, Field(min_length=1, max_length=80)]
    """Heading of the measure, as recipients read it."""
    of: Name
    """Name of the measure of this table that is divided: events or a sum."""
    per: Name
    """Name of the measure of this table by which it is divided: ``people``, or events."""


Measure = Annotated[EventsMeasure | SumMeasure | MeanMeasure, Field(discriminator="kind")]


@dataclass(frozen=True)
class Total:
    """A measure that is drawn: people, events, or a sum.

    Attributes:
        name: Of the measure.
        title: For people to read.
        unit: What one of it is.
        measured: What is counted, with its bound.
    """

    name: str
    title: str
    unit: str
    measured: Measured


@dataclass(frozen=True)
class Mean:
    """A measure that is computed from two drawn ones.

    Attributes:
        name: Of the measure.
        title: For people to read.
        unit: What one of it is.
        numerator: Name of the total that is divided.
        denominator: Name of the total by which it is divided.
    """

    name: str
    title: str
    unit: str
    numerator: str
    denominator: str


BoundMeasure = Total | Mean


def people_total(unit: str) -> Total:
    """The measure every table begins with: distinct people."""
    return Total(PEOPLE, "People", unit, PEOPLE_MEASURED)


def bind_measures(
    table: str, people: Total, measures: Iterable[Measure], offered: Mapping[str, Quantity]
) -> tuple[BoundMeasure, ...]:
    """Resolve a table's measures against what the site offers; people come first.

    Raises:
        SpecificationError: A name stands twice, the site has no such quantity, or a mean is not one of totals.
    """
    bound: dict[str, BoundMeasure] = {people.name: people}
    for measure in measures:
        if measure.name in bound:
            raise SpecificationError(
                f"table {table}: names of measures must differ", value=measure.name, remedy="Rename one."
            )
        bound[measure.name] = _bind(table, measure, bound, offered)
    return tuple(bound.values())


def _bind(
    table: str, measure: Measure, bound: Mapping[str, BoundMeasure], offered: Mapping[str, Quantity]
) -> BoundMeasure:
    if isinstance(measure, MeanMeasure):
        return _bind_mean(table, measure, bound)
    quantity = EVENTS if isinstance(measure, EventsMeasure) else measure.of
    if quantity not in offered or (quantity == EVENTS) is not isinstance(measure, EventsMeasure):
        raise SpecificationError(
            f"table {table}: a measure must be of a quantity that the site offers",
            value=quantity,
            remedy=f"Use some of: {', '.join(sorted(offered)) or 'none'}.",
        )
    return Total(measure.name, measure.title, offered[quantity].unit, measure.measured(quantity))


def _bind_mean(table: str, measure: MeanMeasure, bound: Mapping[str, BoundMeasure]) -> Mean:
    above, below = bound.get(measure.of), bound.get(measure.per)
    countable = isinstance(below, Total) and below.measured.quantity in (PEOPLE, EVENTS)
    if not isinstance(above, Total) or above.measured.quantity == PEOPLE or not countable or above is below:
        raise SpecificationError(
            f"table {table}: a mean must be of events or a sum, per people or events, both named before it",
            value=f"{measure.of} per {measure.per}",
            remedy="Name two such measures of this table.",
        )
    assert isinstance(below, Total)
    unit = f"{above.unit} per {below.unit.removesuffix('s')}"
    return Mean(measure.name, measure.title, unit, above.name, below.name)
