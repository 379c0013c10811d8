"""Which groups are released: hard k by pre-thresholding, and remainders that never speak of fewer than k people.

Selection (google/differential-privacy, ``common_docs/pre_thresholding.md``). A group of n people and count c is dropped
where n < k. Otherwise y = c + noise is drawn, and released if and only if y >= threshold, with

    threshold = k * largest + m,   m the smallest with P[noise >= m] <= delta'.

At n = k - 1 a group is never released, at n = k with probability at most delta', whatever its people contribute; a
person is in at most l0 groups, so delta' = 1 - (1 - delta)^(1 / l0) keeps the whole at delta. From k on the count is DP
as it is. The threshold is exact for the discrete distribution; the usual 1 - (l0 / epsilon) ln(2 delta') is that of the
continuous one, and lets a group of k people through with 1.1 times delta at epsilon 1.

Remainder. A parent less its released children is a number about the others. See ``remainder_threshold``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from pipeline.privacy.budget import K
from pipeline.privacy.levels import Level
from pipeline.privacy.noise import Noise

# What is released with this probability is so almost always.
ALMOST_ALWAYS: Final = 0.99


def threshold(level: Level, k: K) -> int:
    """Smallest noisy count of the level that is released.

    Without noise (infinite epsilon) this is the hard minimum itself, k: nothing is hidden then.
    """
    return k.value * level.demand.largest + margin(level) if level.noise.scale else k.value


def margin(level: Level) -> int:
    """How far the threshold lies above all that k people may count: m of the rule above, 0 without noise."""
    assert level.delta_selection is not None, "groups are selected by their people"
    delta = -math.expm1(math.log1p(-level.delta_selection.value) / level.key.max_groups)
    return level.noise.tail_point(delta)


def released_from(noise: Noise, least: int, probability: float) -> int:
    """Smallest count that is released with this probability where ``least`` is: P[count + noise >= least]."""
    # P[Z >= least - count] = 1 - P[Z >= count - least + 1] by symmetry.
    return least + max(noise.tail_point(1 - probability) - 1, 0)


def remainder_threshold(parent: Level, child: Level, released: int, k: K) -> float:
    """From which estimate on a remainder may stand alone.

    Let R be the children of one parent that are not released, c their count and n their people. The estimate is
    y_parent - sum of y over released children = c + noise, all of it published anyway, so that a rule on it costs no
    epsilon. The hard rule: fold a released sibling (which surely has k people) into R whenever n < k. It shows only
    where n < k and the estimate still reaches the threshold, l0 k + t. As n < k means c <= l0 (k - 1), and one person
    more adds l0 at most, that takes a noise of at least t on either of two neighbouring inputs, and t is such that this
    has probability at most delta over all numbers of released children, on each. Everywhere else both inputs give what
    a release without the hard rule gives, so the rule adds delta to the guarantee, whatever epsilon, and as often as
    releases are composed. Parents that the one person is not below act alike on both inputs and cost nothing.

    The tail is Chernoff's: for every rate r, P[noise >= t] <= exp(-r t) E[exp(r noise)]. That the released children are
    those with a noise above a point only lowers it: E[exp(-r Z) | Z >= z] <= E[exp(-r Z)].

    Args:
        parent: Level of the parent.
        child: Level of the children.
        released: How many children of this parent are released.
        k: Hard minimum of people.

    Returns:
        The threshold for the estimate, in counts.
    """
    groups = parent.key.max_groups
    if not child.noise.scale:
        return groups * (k.value - 1) + 1
    assert child.delta_remainder is not None, "remainders are of people"
    # One person is below at most max_groups parents of each level that the children can be subtracted from; the sum
    # over m of 1 / ((m + 1)(m + 2)) is 1.
    budget = child.delta_remainder.value / groups / max(len(child.totals), 1)
    delta = budget / ((released + 1) * (released + 2))
    return groups * k.value + _tail(((parent.noise, 1), (child.noise, released)), delta)


@lru_cache(maxsize=4096)  # families of one size have the same
def _tail(parts: tuple[tuple[Noise, int], ...], probability: float) -> float:
    """Chernoff bound: a t with P[sum >= t] <= probability, over a grid of rates."""
    spread = math.sqrt(sum(times * noise.sd**2 for noise, times in parts))
    # Gaussian tails want rates of a few standard deviations, Laplace ones may not go beyond their scale.
    largest = min(20 / spread, *(noise.largest_rate for noise, times in parts if times))
    rates = largest * np.linspace(0.005, 0.995, 199)
    moments = [sum(times * noise.log_moment(rate) for noise, times in parts) for rate in rates]
    return float(min((moment - math.log(probability)) / rate for moment, rate in zip(moments, rates, strict=True)))
