"""What a specification would do, from public parameters alone: nothing is read of anybody, and nothing is spent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pipeline.periods import PeriodKind
from pipeline.privacy.accountant import charge, compose
from pipeline.privacy.budget import K
from pipeline.privacy.levels import Level, level_keys, share_out
from pipeline.privacy.selection import threshold
from pipeline.spec import BoundSpecification

PERIODS_A_YEAR: Final = {PeriodKind.DAY: 365, PeriodKind.WEEK: 52, PeriodKind.MONTH: 12}
GROUP_SIZES: Final = (100, 1_000, 10_000)


@dataclass(frozen=True)
class TablePlan:
    """What to expect of the rows of a table, those of its deepest grouping.

    Attributes:
        name: Of the table.
        dimensions: By which it groups.
        max_groups: In how many groups a person counts.
        epsilon: The share of the deepest grouping.
        noise_sd: Standard deviation of a count.
        half_width: Of a count's 95 % interval.
        size_for_half: A group of so many is released with a probability of at least 50 %.
        size_for_almost_all: With at least 99 %.
    """

    name: str
    dimensions: tuple[str, ...]
    max_groups: int
    epsilon: float
    noise_sd: float
    half_width: int
    size_for_half: int
    size_for_almost_all: int

    def relative_error(self, size: int) -> float:
        """Half the 95 % interval of a group of this size, as a share of it."""
        return self.half_width / size


@dataclass(frozen=True)
class YearPlan:
    """What a year on schedule costs the population.

    Attributes:
        periods: In a year.
        epsilon: Of all together, at the cap's delta; infinite where their deltas alone exceed it.
        cap_epsilon: What may be spent.
        cap_delta: At which delta.
        affordable: How many periods in a row fit under the cap, at most those of a year.
    """

    periods: int
    epsilon: float
    cap_epsilon: float
    cap_delta: float
    affordable: int


@dataclass(frozen=True)
class Plan:
    """What a specification would do."""

    tables: tuple[TablePlan, ...]
    year: YearPlan


@dataclass(frozen=True)
class Alternative:
    """The same specification with one thing changed."""

    change: str
    plan: Plan


def plan(bound: BoundSpecification) -> Plan:
    """What a specification would do on its site, whoever is on it.

    Args:
        bound: The specification.

    Returns:
        What to expect of each table, and what a year costs.
    """
    levels = {level.key: level for level in share_out(bound)}
    tables = tuple(
        _table(levels[level_keys(table)[-1]], table.name, tuple(one.name for one in table.dimensions), bound.k)
        for table in bound.tables
    )
    return Plan(tables, _year(bound))


def alternatives(bound: BoundSpecification) -> Iterator[Alternative]:
    """The plan with epsilon doubled and halved, with k doubled and halved, and without each table."""
    for factor, word in ((Fraction(2), "epsilon doubled"), (Fraction(1, 2), "epsilon halved")):
        yield Alternative(word, plan(dataclasses.replace(bound, epsilon=bound.epsilon.share(factor))))
    for k, word in ((2 * bound.k.value, "k doubled"), (bound.k.value // 2, "k halved")):
        if k >= 2:
            yield Alternative(f"{word} to {k}", plan(dataclasses.replace(bound, k=K(k))))
    for table in bound.tables:
        rest = tuple(other for other in bound.tables if other is not table)
        if rest:
            yield Alternative(f"without {table.name}", plan(dataclasses.replace(bound, tables=rest)))


def _table(level: Level, name: str, dimensions: tuple[str, ...], k: K) -> TablePlan:
    least, noise = threshold(level, k), level.noise
    return TablePlan(
        name=name,
        dimensions=dimensions,
        max_groups=level.key.max_groups,
        epsilon=level.epsilon.value,
        noise_sd=noise.sd,
        half_width=noise.half_width(),
        size_for_half=_size_for(level, least, 0.5),
        size_for_almost_all=_size_for(level, least, 0.99),
    )


def _size_for(level: Level, least: int, probability: float) -> int:
    """Smallest group that is released with this probability: P[size + noise >= least]."""
    # P[Z >= least - size] = 1 - P[Z >= size - least + 1] by symmetry.
    return least + max(level.noise.tail_point(1 - probability) - 1, 0)


def _year(bound: BoundSpecification) -> YearPlan:
    cap = bound.site.budget[bound.specification.population]
    periods, one = PERIODS_A_YEAR[bound.specification.period], charge(share_out(bound))
    low, high = 0, periods
    while low < high:  # the composed epsilon grows with every period
        middle = (low + high + 1) // 2
        low, high = (middle, high) if compose([one] * middle, cap.delta).epsilon <= cap.epsilon else (low, middle - 1)
    return YearPlan(periods, compose([one] * periods, cap.delta).epsilon, cap.epsilon, cap.delta, low)
