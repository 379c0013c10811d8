"""Levels: what is drawn once, and how the release's budget is shared out over them.

A table over (country, operating system) is a tree: the total, the countries, the systems of each country. Each
grouping on the way is a level with noise of its own. Tables over what a person has one of share their levels, so that a
total is drawn once and reads the same in all of them; a table over what a person may have many of has levels of its
own, which count people in groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pipeline.privacy.budget import Delta, Epsilon
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.spec import BoundSpecification, BoundTable

# Of each level's delta: for selection, and for the rule that protects remainders.
SELECTION_SHARE: Final = Fraction(1, 2)


@dataclass(frozen=True, order=True)
class LevelKey:
    """Which grouping of whom.

    Attributes:
        table: Empty for levels over people that tables share; otherwise the table that has this level alone.
        dimensions: Grouped by these; empty for the total.
        max_groups: l0, 1 for levels over people.
    """

    table: str
    dimensions: tuple[str, ...]
    max_groups: int


@dataclass(frozen=True)
class Level:
    """A level with its share of the budget.

    Attributes:
        key: Which.
        largest_contribution: By how much one person can change one group's count: 1 where a person is in
            a group once at most, max_groups for the totals of tables over groups.
        epsilon: One person's effect on all counts of the level.
        delta_selection: For releasing groups.
        delta_remainder: For folding remainders.
        release_epsilon: Of the whole release, whose guarantee the rule for remainders rests on.
    """

    key: LevelKey
    largest_contribution: int
    epsilon: Epsilon
    delta_selection: Delta
    delta_remainder: Delta
    release_epsilon: Epsilon

    def __post_init__(self) -> None:
        _ = self.noise  # refuses a scale beyond whole numbers here, before anything is reserved

    @property
    def noise(self) -> DiscreteLaplace:
        """L1 sensitivity is max_groups: a person adds one to at most so many groups, or all of it to one."""
        return DiscreteLaplace(self.epsilon, self.key.max_groups)


def level_keys(table: BoundTable) -> tuple[LevelKey, ...]:
    """The levels of a table, from the total down."""
    names = tuple(dimension.name for dimension in table.dimensions)
    family = "" if table.per_person else table.name
    return tuple(LevelKey(family, names[:depth], table.max_groups) for depth in range(len(names) + 1))


def share_out(bound: BoundSpecification) -> tuple[Level, ...]:
    """All levels of a release, each with its share; the shares add up to the release's epsilon and delta.

    Epsilon is shared by (rows * l0^2)^(1/3), which minimises the sum of the variances over all rows that are shown
    (Lagrange: variance of a row is about 2 (l0 / epsilon_level)^2). Rows are counted from the public key lists.
    """
    rows = _rows(bound)
    weights = {key: _weight(count, key.max_groups) for key, count in rows.items()}
    whole = sum(weights.values(), Fraction(0))
    deepest = {level_keys(table)[-1] for table in bound.tables}
    each = Fraction(1, len(weights))
    return tuple(
        Level(
            key,
            1 if key in deepest or key.max_groups == 1 else key.max_groups,
            bound.epsilon.share(weight / whole),
            bound.delta.share(each * SELECTION_SHARE),
            bound.delta.share(each * (1 - SELECTION_SHARE)),
            bound.epsilon,
        )
        for key, weight in sorted(weights.items())
    )


def _rows(bound: BoundSpecification) -> dict[LevelKey, int]:
    rows: dict[LevelKey, int] = {}
    for table in bound.tables:
        cells = 1
        for depth, key in enumerate(level_keys(table)):
            cells *= len(table.dimensions[depth - 1].keys) if depth else 1
            rows[key] = rows.get(key, 0) + cells
    return rows


def _weight(rows: int, max_groups: int) -> Fraction:
    # To three digits: the shares are exact fractions of these, whatever the machine's floats do beyond.
    return Fraction(round(1000 * math.cbrt(rows * max_groups**2)), 1000)
