"""What a specification would do, from public parameters alone: nothing is read of anybody, and nothing is spent."""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from pipeline.errors import SpecificationError
from pipeline.measures import Measured, Total
from pipeline.periods import PeriodKind
from pipeline.privacy.accountant import charge, compose
from pipeline.privacy.budget import K
from pipeline.privacy.calibration import Calibration, calibrate, share_out
from pipeline.privacy.levels import Level, LevelKey, demands, level_keys
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.privacy.selection import ALMOST_ALWAYS, released_from, threshold
from pipeline.spec import BoundSpecification, BoundTable, NoiseChoice
from pipeline.vocabulary import PEOPLE

PERIODS_A_YEAR: Final = {PeriodKind.DAY: 365, PeriodKind.WEEK: 52, PeriodKind.MONTH: 12}
GROUP_SIZES: Final = (100, 1_000, 10_000)
_DRAWN: Final = (NoiseChoice.LAPLACE, NoiseChoice.GAUSSIAN)


@dataclass(frozen=True)
class MeasurePlan:
    """What to expect of a measure that is drawn beside people, in the rows of a table's deepest grouping.

    Attributes:
        table: Name of the table.
        name: Of the measure.
        unit: What one of it is.
        measured: What one person may add to it.
        noise_sd: Standard deviation of one number, in the unit.
        half_width: Of one number's 95 % interval, in the unit.
    """

    table: str
    name: str
    unit: str
    measured: Measured
    noise_sd: float
    half_width: int


@dataclass(frozen=True)
class TablePlan:
    """What to expect of the rows of a table, those of its deepest grouping.

    Attributes:
        name: Of the table.
        dimensions: By which it groups.
        max_groups: In how many groups a person counts.
        epsilon: The share of its people in the deepest grouping; None for Gaussian noise, which has none alone.
        noise_sd: Standard deviation of a count of people.
        half_width: Of a count's 95 % interval.
        size_for_half: A group of so many is released with a probability of at least 50 %.
        size_for_almost_all: With at least 99 %.
        measures: Further measures that are drawn.
    """

    name: str
    dimensions: tuple[str, ...]
    max_groups: int
    epsilon: float | None
    noise_sd: float
    half_width: int
    size_for_half: int
    size_for_almost_all: int
    measures: tuple[MeasurePlan, ...]

    def relative_error(self, size: int) -> float:
        """Half the 95 % interval of a group of this size, as a share of it."""
        return self.half_width / size


@dataclass(frozen=True)
class NoiseError:
    """What to expect of one noise, in units of what one person may add.

    Attributes:
        shown: Root mean square error of all rows.
        hidden: Root mean square, over all rows of people, of how far above k a group must be to be shown almost always,
            in 99 of 100 draws.
    """

    shown: float
    hidden: float


@dataclass(frozen=True)
class NoisePlan:
    """Which noise is drawn, and why.

    Attributes:
        choice: The one that is drawn.
        asked: What the specification asks for.
        errors: Of either noise; None where it cannot be drawn exactly.
    """

    choice: NoiseChoice
    asked: NoiseChoice
    errors: dict[NoiseChoice, NoiseError | None]


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


class Kind(StrEnum):
    """What an alternative changes."""

    PARAMETER = "a parameter of the release"
    TABLES = "its tables"


@dataclass(frozen=True)
class Alternative:
    """The same specification with one thing changed."""

    change: str
    kind: Kind
    plan: Plan


def plan(bound: BoundSpecification) -> Plan:
    """What a specification would do on its site, whoever is on it.

    Args:
        bound: The specification.

    Returns:
        What to expect of each table, and what a year costs.
    """
    levels = {level.key: level for level in share_out(bound)}
    return Plan(tuple(_table(levels, table, bound.k) for table in bound.tables), _year(bound))


def noise_plan(bound: BoundSpecification) -> NoisePlan:
    """Which noise a specification would draw, and the errors of both that it could draw."""
    asked = bound.specification.privacy.noise
    errors: dict[NoiseChoice, NoiseError | None] = {}
    for choice in _DRAWN:
        try:
            found = calibrate(demands(bound), bound.epsilon, bound.delta, choice)
        except SpecificationError:
            errors[choice] = None
        else:
            errors[choice] = _noise_error(found)
    chosen = calibrate(demands(bound), bound.epsilon, bound.delta, asked).choice
    return NoisePlan(chosen, asked, errors)


def _noise_error(found: Calibration) -> NoiseError:
    rows = math.fsum(level.demand.rows for level in found.levels)
    of_people = math.fsum(level.demand.rows for level in found.levels if level.key.of_people)
    return NoiseError(math.sqrt(found.error / rows), math.sqrt(found.hidden / of_people))


def alternatives(bound: BoundSpecification) -> Iterator[Alternative]:
    """The plan with one thing changed: epsilon, k, the noise, or a table or a last dimension less.

    Changes that would take more noise than can be drawn are left out.
    """
    for kind, changes in ((Kind.PARAMETER, _parameters(bound)), (Kind.TABLES, _smaller(bound))):
        for word, changed in changes:
            try:
                yield Alternative(word, kind, plan(changed))
            except SpecificationError:
                continue


def _parameters(bound: BoundSpecification) -> Iterator[tuple[str, BoundSpecification]]:
    for factor, word in ((Fraction(2), "epsilon doubled"), (Fraction(1, 2), "epsilon halved")):
        yield word, dataclasses.replace(bound, epsilon=bound.epsilon.share(factor))
    for k, word in ((2 * bound.k.value, "k doubled"), (bound.k.value // 2, "k halved")):
        if k >= 2:
            yield f"{word} to {k}", dataclasses.replace(bound, k=K(k))
    found = noise_plan(bound)
    for choice, error in found.errors.items():
        if choice is not found.choice and error is not None:
            privacy = bound.specification.privacy.model_copy(update={"noise": choice})
            specification = bound.specification.model_copy(update={"privacy": privacy})
            yield f"{choice} noise", dataclasses.replace(bound, specification=specification)


def _smaller(bound: BoundSpecification) -> Iterator[tuple[str, BoundSpecification]]:
    for table in bound.tables:
        rest = tuple(other for other in bound.tables if other is not table)
        if rest:
            yield f"without {table.name}", dataclasses.replace(bound, tables=rest)
    for table in bound.tables:
        if len(table.dimensions) > 1:
            less = tuple(_shallower(other) if other is table else other for other in bound.tables)
            change = f"{table.name} without {table.dimensions[-1].name}"
            yield change, dataclasses.replace(bound, tables=less)


def _shallower(table: BoundTable) -> BoundTable:
    """The table without its last dimension."""
    less = dataclasses.replace(table, dimensions=table.dimensions[:-1])
    private = table.private_keys & {dimension.name for dimension in less.dimensions}
    # Who has one of every dimension that is left is in one group.
    return dataclasses.replace(less, private_keys=private, max_groups=1 if less.per_person else table.max_groups)


def _table(levels: Mapping[LevelKey, Level], table: BoundTable, k: K) -> TablePlan:
    level = levels[level_keys(table)[-1]]
    least, noise = threshold(level, k), level.noise
    further = (total for total in table.totals if total.measured.quantity != PEOPLE)
    return TablePlan(
        name=table.name,
        dimensions=tuple(dimension.name for dimension in table.dimensions),
        max_groups=level.key.max_groups,
        epsilon=noise.epsilon.value if isinstance(noise, DiscreteLaplace) else None,
        noise_sd=noise.sd,
        half_width=noise.half_width(),
        size_for_half=released_from(noise, least, 0.5),
        size_for_almost_all=released_from(noise, least, ALMOST_ALWAYS),
        measures=tuple(_measure(levels, table, total) for total in further),
    )


def _measure(levels: Mapping[LevelKey, Level], table: BoundTable, total: Total) -> MeasurePlan:
    noise = levels[level_keys(table, total.measured)[-1]].noise
    return MeasurePlan(table.name, total.name, total.unit, total.measured, noise.sd, noise.half_width())


def _year(bound: BoundSpecification) -> YearPlan:
    cap, periods = bound.cap, PERIODS_A_YEAR[bound.specification.period]
    one = charge(share_out(bound))

    def cost(times: int) -> float:
        return compose([one] * times, cap.delta).epsilon

    # The composed epsilon grows with every period.
    beyond = bisect_right(range(periods + 1), cap.epsilon, key=cost) if cost(periods) > cap.epsilon else periods + 1
    return YearPlan(periods, cost(periods), cap.epsilon, cap.delta, beyond - 1)
