"""Levels: what is drawn once.

A table over (country, operating system) is a tree: the total, the countries, the systems of each country. Each
grouping on the way is a level of people with noise of its own, and one of each further total (events, sums) of the
table. Tables over what a person has one of share their levels, so that a total is drawn once and reads the same in all
of them; a table over what a person may have many of has levels of its own, which count people in groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.measures import PEOPLE_MEASURED, Measured, Scope
from pipeline.privacy.budget import Delta
from pipeline.privacy.noise import Noise
from pipeline.spec import BoundSpecification, BoundTable
from pipeline.vocabulary import PEOPLE, Dimension

# How many keys an open dimension is taken to have where rows are counted: nobody may count those that it has.
EXPECTED_KEYS = 100


@dataclass(frozen=True, order=True)
class LevelKey:
    """Which grouping of whom, and what of it is counted.

    Attributes:
        table: Empty for levels over people that tables share; otherwise the table that has this level alone.
        dimensions: Grouped by these; empty for the total.
        max_groups: l0, 1 for levels over people.
        measured: What is counted.
    """

    table: str
    dimensions: tuple[str, ...]
    max_groups: int
    measured: Measured = PEOPLE_MEASURED

    @property
    def of_people(self) -> bool:
        """Whether distinct people are counted: what groups are selected by."""
        return self.measured.quantity == PEOPLE

    def places_in(self, finer: LevelKey) -> tuple[int, ...]:
        """Where this level's dimensions stand in those of a finer level."""
        return tuple(finer.dimensions.index(name) for name in self.dimensions)

    @property
    def people(self) -> LevelKey:
        """The level of people over the same groups."""
        return LevelKey(self.table, self.dimensions, self.max_groups)


@dataclass(frozen=True)
class Demand:
    """What a level asks for when the budget is shared out.

    Attributes:
        key: Which level.
        deepest: Whether no table divides its groups further.
        rows: How many rows of tables it fills, from public key lists, times the weights of those tables.
    """

    key: LevelKey
    deepest: bool
    rows: float

    @property
    def l1(self) -> int:
        """L1 sensitivity: by how much one person can change all its counts together."""
        return self.key.measured.l1(self.key.max_groups)

    @property
    def largest(self) -> int:
        """By how much one person can change one count (L-infinity sensitivity)."""
        return self.key.measured.largest(self.key.max_groups, deepest=self.deepest)

    @property
    def cells(self) -> int:
        """In how many counts one person makes the largest change at once, where it cannot be more concentrated.

        1 where all of a person may fall into one count: groups that are divided further, and bounds over all groups.
        """
        concentrated = not self.deepest or self.key.measured.scope is Scope.ALL
        return 1 if concentrated else self.key.max_groups

    @property
    def l2_squared(self) -> int:
        """Square of the L2 sensitivity: a person adds ``largest`` to each of ``cells`` counts at most."""
        return self.cells * self.largest**2


@dataclass(frozen=True)
class Level:
    """A level with its share of the budget.

    Attributes:
        demand: Which level, and its sensitivities.
        noise: What its counts get.
        delta_selection: For releasing groups; None where people are not counted, which is what selects.
        delta_remainder: For folding remainders; None likewise.
        totals: Levels from which this one's groups can be subtracted, the drill-down's parent first.
    """

    demand: Demand
    noise: Noise
    delta_selection: Delta | None
    delta_remainder: Delta | None
    totals: tuple[LevelKey, ...] = ()

    @property
    def key(self) -> LevelKey:
        """Which level."""
        return self.demand.key


def level_keys(table: BoundTable, measured: Measured = PEOPLE_MEASURED) -> tuple[LevelKey, ...]:
    """The levels of one measure of a table, from the total down."""
    names = tuple(dimension.name for dimension in table.dimensions)
    family = "" if table.per_person else table.name
    return tuple(LevelKey(family, names[:depth], table.max_groups, measured) for depth in range(len(names) + 1))


def totals_of(key: LevelKey, keys: Iterable[LevelKey]) -> tuple[LevelKey, ...]:
    """Levels from which the groups of a level of people can be subtracted.

    The parent of the drill-down, and every level over some of its dimensions that is not a step of that drill-down.
    From the steps before the parent only sums of remainders can be had, each of which is looked after by itself.
    """
    if not key.of_people or not key.dimensions:
        return ()
    parent = LevelKey(key.table, key.dimensions[:-1], key.max_groups)
    crossing = [
        other
        for other in keys
        if (other.table, other.max_groups, other.measured) == (key.table, key.max_groups, key.measured)
        and set(other.dimensions) < set(key.dimensions)
        and key.dimensions[: len(other.dimensions)] != other.dimensions
    ]
    return (parent, *sorted(crossing))


def demands(bound: BoundSpecification) -> tuple[Demand, ...]:
    """What every level of a release asks for, in the order of their keys; rows are counted from public key lists."""
    rows: dict[LevelKey, float] = {}
    deepest: set[LevelKey] = set()
    for table in bound.tables:
        for keys in _families(table):
            deepest.add(keys[-1])
            cells = 1
            for depth, key in enumerate(keys):
                cells *= _size(table.dimensions[depth - 1]) if depth else 1
                rows[key] = rows.get(key, 0.0) + cells * table.weight
    # In levels over people nobody is in two groups, so that a person changes a parent as much as its child.
    return tuple(Demand(key, key in deepest or key.max_groups == 1, rows[key]) for key in sorted(rows))


def _families(table: BoundTable) -> Iterator[tuple[LevelKey, ...]]:
    for total in table.totals:
        yield level_keys(table, total.measured)


def _size(dimension: Dimension) -> int:
    return EXPECTED_KEYS if dimension.is_open else len(dimension.keys)
