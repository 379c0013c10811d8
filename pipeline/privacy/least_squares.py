"""The best estimates of noisy counts that are known to add up: generalised least squares in closed form.

A cell is the sum of its children along one more dimension, so its own noisy count and the sum of its children's are two
measurements of one number. The estimates use all of them, agree on every total they are linked by, are unbiased, and
carry exact variances. Cells that were not released have no measurement; nothing is assumed about them.

Drill-downs are trees, solved in two passes (Hay, Rastogi, Miklau and Suciu, "Boosting the Accuracy of Differentially
Private Histograms Through Consistency", 2010, here with unequal variances, several drill-downs below one cell and
missing cells; the same as belief propagation). Upwards, a cell's own count and the sum of each complete family below it
are averaged by precision. Downwards, what a cell gained beyond its family is spread over the family by variance. In a
family with a missing member that member takes up the difference, and nobody learns anything.

Levels that are linked otherwise than through the drill-down, such as (os) and (browser, os), are solved together by
``marginals`` where they are complete. Those are the core (``crossed_core``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import SpecificationError
from pipeline.privacy.marginals import Cell, Dimensions, Keys, Marginal, all_cells, as_array, reconcile


@dataclass(frozen=True)
class Grouping:
    """The noisy counts of one level.

    Attributes:
        dimensions: In drilling order; empty for the total.
        counts: Released cells; other cells are unknown, not zero.
        variance: Of the noise of each count, at least 0; 0 means exact.
    """

    dimensions: Dimensions
    counts: Mapping[Cell, float]
    variance: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A count as all levels together tell it.

    Attributes:
        value: Unbiased, real, possibly negative.
        variance: Of its error, exact.
        own_weight: Share of the cell's own noise that is left in the error, 0 to 1; the rest of the error is
            independent of that noise. For a best linear unbiased estimate it is variance / own variance.
    """

    value: float
    variance: float
    own_weight: float


@dataclass(frozen=True, slots=True)
class _Belief:
    """What a cell and all below it say about it."""

    value: float
    variance: float


@dataclass(frozen=True, slots=True)
class _Settled:
    """An estimate on its way down.

    Attributes:
        value: Of the estimate.
        variance: Of its error.
        shared: Covariance of its error with that of the cell's belief; equals the variance where everything known
            below the cell was used, and is 0 where nothing was.
    """

    value: float
    variance: float
    shared: float


def least_squares(groupings: Sequence[Grouping], keys: Keys) -> dict[Dimensions, dict[Cell, Estimate]]:
    """Estimates of all released cells.

    What is used: every link between a cell and a complete family below it, and every link within the core. From the
    levels below the core nothing is used upwards, the total excepted: estimates there are spread downwards from the
    core's, unbiased and with exact variances, which exceed a cell's own only where a core cell is known worse than the
    sum of its family. The result is therefore the exact generalised least squares estimate of all measurements

    - where every two levels have no dimension in common outside the beginning of their drill-downs that they share; or
    - where all levels are complete; or
    - where no level outside the core has a complete family below a cell of the core other than the total, and none
      has a dimension in common with another level outside the shared beginning.

    In any other case it is unbiased and as described, but not all that is known is used, and numbers that were
    released for all cells of a line across an incomplete level need not add up to the total of that line.

    Args:
        groupings: Each level once, with independent noise. With a level its prefixes are there too.
        keys: Every dimension's public list of keys, or None where the keys are private and so never known to be
            complete.

    Returns:
        By dimensions, the released cells with their estimates. Cells of an exact level stay as they are.

    Raises:
        SpecificationError: A cell has a key that its dimension's public list has not.
    """
    levels = {grouping.dimensions: grouping for grouping in groupings}
    _refuse_unlisted(groupings, keys)
    core = crossed_core(groupings, keys)
    beliefs = _gathered({names: level for names, level in levels.items() if not names or names not in core}, keys)
    solved = _solved_core(core, levels, beliefs[()], keys)
    settled = _spread(beliefs, solved, keys)
    return {names: _estimates(level, settled[names], of_core=names in core) for names, level in levels.items()}


def crossed_core(groupings: Sequence[Grouping], keys: Keys) -> frozenset[Dimensions]:
    """The levels that are solved together: complete ones, where links cross the drill-downs, with the total.

    A level is complete if all combinations of its public keys were released and its prefixes are complete. Two levels
    cross if they share a dimension outside the beginning that they share. A complete level is in the core if a level
    that starts with the same dimension crosses another.

    Returns:
        Dimensions of the levels; empty where nothing crosses.
    """
    complete: set[Dimensions] = set()
    for grouping in sorted(groupings, key=lambda grouping: len(grouping.dimensions)):
        names = grouping.dimensions
        if _all_released(grouping, keys) and (not names or names[:-1] in complete):
            complete.add(names)
    crossed = {pair for pair in itertools.combinations(sorted(complete), 2) if _cross(*pair)}
    starts = {names[0] for pair in crossed for names in pair}
    return frozenset(names for names in complete if starts and (not names or names[0] in starts))


def _refuse_unlisted(groupings: Sequence[Grouping], keys: Keys) -> None:
    for grouping in groupings:
        lists = [None if (listed := keys[name]) is None else frozenset(listed) for name in grouping.dimensions]
        for cell in grouping.counts:
            if any(listed is not None and key not in listed for key, listed in zip(cell, lists, strict=True)):
                raise SpecificationError(
                    "every released group must be one of the public key lists'",
                    value=", ".join(cell),
                    remedy="Add the key to its list, or fold it into another before people are counted.",
                )


def _all_released(grouping: Grouping, keys: Keys) -> bool:
    possible = 1
    for name in grouping.dimensions:
        possible *= len(keys[name] or ())
    return 0 < possible == len(grouping.counts)


def _cross(one: Dimensions, other: Dimensions) -> bool:
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return not set(one[shared:]).isdisjoint(other[shared:])


def _gathered(levels: Mapping[Dimensions, Grouping], keys: Keys) -> dict[Dimensions, dict[Cell, _Belief]]:
    """Upwards: what every cell of the levels is known by from itself and from the complete families below it."""
    beliefs: dict[Dimensions, dict[Cell, _Belief]] = {}
    for names in sorted(levels, key=len, reverse=True):
        level = levels[names]
        sources = {cell: [_Belief(float(count), level.variance)] for cell, count in level.counts.items()}
        for below in (below for below in beliefs if below and below[:-1] == names):
            for parent, family in _families(beliefs[below]).items():
                if _is_complete(family, below, keys):
                    sources.setdefault(parent, []).append(_total(family.values()))
        beliefs[names] = {cell: _mean(said) for cell, said in sources.items()}
    return beliefs


def _families(beliefs: Mapping[Cell, _Belief]) -> dict[Cell, dict[Cell, _Belief]]:
    families: dict[Cell, dict[Cell, _Belief]] = {}
    for cell, belief in beliefs.items():
        families.setdefault(cell[:-1], {})[cell] = belief
    return families


def _is_complete(family: Mapping[Cell, _Belief], names: Dimensions, keys: Keys) -> bool:
    listed = keys[names[-1]]
    return listed is not None and len(family) == len(listed)


def _total(family: Iterable[_Belief]) -> _Belief:
    members = list(family)
    return _Belief(math.fsum(m.value for m in members), math.fsum(m.variance for m in members))


def _mean(beliefs: Sequence[_Belief]) -> _Belief:
    """Weighted by precision; an exact one, its own count first, stands alone."""
    if len(beliefs) == 1:
        return beliefs[0]
    for belief in beliefs:
        if not belief.variance:
            return belief
    precision = math.fsum(1 / belief.variance for belief in beliefs)
    return _Belief(math.fsum(belief.value / belief.variance for belief in beliefs) / precision, 1 / precision)


def _solved_core(
    core: frozenset[Dimensions], levels: Mapping[Dimensions, Grouping], root: Mapping[Cell, _Belief], keys: Keys
) -> dict[Dimensions, dict[Cell, _Settled]]:
    """The estimates that everything else hangs from: those of the core, or else the total."""
    if not core:
        return {(): {cell: _alone(said) for cell, said in root.items()}}
    tables = []
    for names in sorted(core):
        if names:
            tables.append(Marginal(names, as_array(levels[names].counts, names, keys), levels[names].variance))
        else:  # with what drill-downs outside the core say about it
            tables.append(Marginal((), np.array(root[()].value), root[()].variance))
    return {
        table.dimensions: {
            # What hangs from the total was used for it; what hangs from other cells was not.
            cell: _Settled(float(value), table.variance, 0.0 if table.dimensions else table.variance)
            for cell, value in zip(all_cells(table.dimensions, keys), table.counts.ravel(), strict=True)
        }
        for table in reconcile(tables)
    }


def _alone(said: _Belief) -> _Settled:
    return _Settled(said.value, said.variance, said.variance)


def _spread(
    beliefs: Mapping[Dimensions, Mapping[Cell, _Belief]],
    solved: Mapping[Dimensions, Mapping[Cell, _Settled]],
    keys: Keys,
) -> dict[Dimensions, Mapping[Cell, _Settled]]:
    """Downwards: each family takes on what its parent has come to be."""
    settled = dict(solved)
    for names in sorted(beliefs.keys() - solved.keys(), key=len):
        parents, level = settled[names[:-1]], {}
        for parent, family in _families(beliefs[names]).items():
            if _is_complete(family, names, keys):
                level.update(_fitted(family, parents[parent]))
            else:
                level.update(
                    {cell: _Settled(said.value, said.variance, said.variance) for cell, said in family.items()}
                )
        settled[names] = level
    return settled


def _fitted(family: Mapping[Cell, _Belief], parent: _Settled) -> dict[Cell, _Settled]:
    """The family made to add up to its parent: x_c = z_c + (s_c / s) (x_parent - z), z and s the sums of z_c and s_c.

    As parent and family are independent but for what the parent took from the family's sum, the variance is
    s_c (1 - s_c / s) + (s_c / s)^2 variance_parent, and the covariance with z_c alike.
    """
    together = _total(family.values())
    if not together.variance:
        return {cell: _Settled(said.value, 0.0, 0.0) for cell, said in family.items()}
    fitted = {}
    for cell, said in family.items():
        share = said.variance / together.variance
        kept = said.variance * (1 - share)
        fitted[cell] = _Settled(
            said.value + share * (parent.value - together.value),
            kept + share**2 * parent.variance,
            kept + share**2 * parent.shared,
        )
    return fitted


def _estimates(level: Grouping, settled: Mapping[Cell, _Settled], *, of_core: bool) -> dict[Cell, Estimate]:
    if not level.variance:
        return {cell: Estimate(float(count), 0.0, 1.0) for cell, count in level.counts.items()}
    estimates = {}
    for cell in level.counts:
        final = settled[cell]
        own = final.variance if of_core else final.shared
        estimates[cell] = Estimate(final.value, final.variance, own / level.variance)
    return estimates
