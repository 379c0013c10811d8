"""How much noise each level gets: the release's budget, shared out over its levels for the least error.

Errors of different quantities are compared in units of what one person may add, their limit. The error of a release is
the sum over all rows of its tables of the variance of their noise in these units, rows counted from public key lists.

Which noise is drawn is settled by more than that: by what its readers do not see, too. A number that is shown is off by
its noise. Of a group that is hidden they know no more than that it may have any number of people up to where it would
have been shown almost always, which lies far above k. Nobody may know beforehand which groups will be hidden, so that
each row of people counts with both; the latter, eight to sixteen standard deviations, mostly decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from pipeline.errors import SpecificationError
from pipeline.privacy.accountant import DIGITS, SMALLEST_DELTA, charge, compose
from pipeline.privacy.budget import Delta, Epsilon
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.levels import Demand, Level, demands, totals_of
from pipeline.privacy.noise import DiscreteLaplace, Noise
from pipeline.privacy.selection import ALMOST_ALWAYS, margin, released_from
from pipeline.spec import BoundSpecification, NoiseChoice

# Of each level's delta: for selection, and for the rule that protects remainders.
SELECTION_SHARE: Final = Fraction(1, 2)
# Of the release's delta, for its noise. Laplace noise can do without, and takes it where composing by privacy losses
# instead of adding epsilons gains at least this much.
LAPLACE_SHARE: Final = Fraction(1, 3)
LEAST_GAIN: Final = 1.01
# Gaussian noise and the thresholds it needs both depend on the square root of a logarithm of their deltas.
GAUSSIAN_SHARE: Final = Fraction(1, 2)
# Digits of a sigma, rounded up.
_SIGMA_DIGITS: Final = 6
# To which a common factor of all noises is found.
_PRECISION: Final = 1e-5
# Left over of delta, so that no rounding of decimals can exceed it.
_MARGIN: Final = 1 - 1e-9
# A loss by the closed form so many times that of Laplace noise will not turn out to be less.
_HOPELESS: Final = 1.2
# An epsilon that stands for any that is larger.
_BEYOND: Final = 1e6


@dataclass(frozen=True)
class Calibration:
    """The noises of a release's levels.

    Attributes:
        choice: Which noise, never ``LEAST_ERROR``.
        levels: In the order of the demands, each with its noise and its deltas.
        delta: What the composed noise needs of the release's delta; the rest is for selection and remainders.
    """

    choice: NoiseChoice
    levels: tuple[Level, ...]
    delta: Fraction

    @property
    def noises(self) -> tuple[Noise, ...]:
        """One a level."""
        return tuple(level.noise for level in self.levels)

    @cached_property
    def error(self) -> float:
        """Of what is shown: sum over rows of the variance, in squares of the limits."""
        return math.fsum(one.demand.rows * (one.noise.sd / one.key.measured.limit) ** 2 for one in self.levels)

    @cached_property
    def hidden(self) -> float:
        """Of what is not: sum over rows of people of the square of how far above k they are shown almost always."""
        people = (one for one in self.levels if one.key.of_people)
        return math.fsum(one.demand.rows * released_from(one.noise, margin(one), ALMOST_ALWAYS) ** 2 for one in people)

    @property
    def loss(self) -> float:
        """Both: what the choice of the noise makes least."""
        return self.error + self.hidden


def share_out(bound: BoundSpecification) -> tuple[Level, ...]:
    """All levels of a release, each with its noise and its deltas.

    Together they are (epsilon, delta)-DP with the release's epsilon and delta, by ``accountant.compose``; the deltas of
    noise, selection and remainders add up to no more than delta, exactly.

    Raises:
        SpecificationError: So little budget would take more noise than can be drawn.
    """
    return calibrate(demands(bound), bound.epsilon, bound.delta, bound.specification.privacy.noise).levels


@lru_cache(maxsize=256)
def calibrate(asked: tuple[Demand, ...], epsilon: Epsilon, delta: Delta, choice: NoiseChoice) -> Calibration:
    """The noises of levels that cost no more together than (epsilon, delta).

    Args:
        asked: What each level needs; people are counted by one at least.
        epsilon: Of all together; infinite for no noise.
        delta: Of the release, of which the noise takes a part.
        choice: Which noise; ``LEAST_ERROR`` takes the one of less loss, which is the error of hidden groups, too.

    Raises:
        SpecificationError: The noise would be more than can be drawn exactly.
    """
    if epsilon.exact is None or choice is NoiseChoice.LAPLACE:
        return _laplace(asked, epsilon, delta)
    if choice is NoiseChoice.GAUSSIAN:
        return _gaussian(asked, epsilon, delta)
    laplace = calibrate(asked, epsilon, delta, NoiseChoice.LAPLACE)
    expected = expected_gaussian_loss(asked, epsilon, delta)
    if expected is None or expected > _HOPELESS * laplace.loss:
        return laplace
    return min(laplace, calibrate(asked, epsilon, delta, NoiseChoice.GAUSSIAN), key=lambda one: one.loss)


def expected_gaussian_loss(asked: tuple[Demand, ...], epsilon: Epsilon, delta: Delta) -> float | None:
    """The loss of discrete Gaussian noise by its closed form; None where it cannot be drawn or accounted for."""
    try:
        noises = _gaussians(asked, _gaussian_guess(asked, epsilon, delta))
    except SpecificationError:
        return None
    return _calibration(NoiseChoice.GAUSSIAN, asked, noises, (delta, delta.share(GAUSSIAN_SHARE).exact)).loss


def _calibration(
    choice: NoiseChoice, asked: Sequence[Demand], noises: Sequence[Noise], deltas: tuple[Delta, Fraction]
) -> Calibration:
    """Given the release's delta, and what its noise takes of it; levels of people share the rest evenly."""
    delta, taken = deltas
    each = Delta.of((delta.exact - taken) / sum(demand.key.of_people for demand in asked))
    keys = [demand.key for demand in asked]
    levels = (
        Level(demand, noise, *_deltas(demand, each), totals_of(demand.key, keys))
        for demand, noise in zip(asked, noises, strict=True)
    )
    return Calibration(choice, tuple(levels), taken)


def _deltas(demand: Demand, each: Delta) -> tuple[Delta | None, Delta | None]:
    if not demand.key.of_people:
        return None, None
    return each.share(SELECTION_SHARE), each.share(1 - SELECTION_SHARE)


def _laplace(asked: tuple[Demand, ...], epsilon: Epsilon, delta: Delta) -> Calibration:
    """Epsilon shared by (rows (l1 / limit)^2)^(1/3), and all of it raised by what composition gains.

    This minimises the error under a sum of epsilons (Lagrange: the variance of a row is about 2 (l1 / epsilon)^2).
    """
    noises, taken = _laplaces(asked, epsilon, 1.0), Fraction(0)
    part = delta.share(LAPLACE_SHARE)
    if epsilon.exact is not None and part.value >= SMALLEST_DELTA:
        cost = _cost(asked, lambda factor: _laplaces(asked, epsilon, 1 / factor), part)
        if cost(1 / LEAST_GAIN) <= epsilon.value:
            noises, taken = _laplaces(asked, epsilon, 1 / _least(cost, epsilon.value, 1 / LEAST_GAIN)), part.exact
    return _calibration(NoiseChoice.LAPLACE, asked, noises, (delta, taken))


def _laplaces(asked: Sequence[Demand], epsilon: Epsilon, factor: float) -> tuple[Noise, ...]:
    # To three digits: the shares are exact fractions of these, whatever the machine's floats do beyond.
    weights = [Fraction(round(1000 * _laplace_weight(demand)), 1000) for demand in asked]
    whole = sum(weights, Fraction(0))
    return tuple(
        DiscreteLaplace(_rounded(epsilon, Fraction(factor) * weight / whole, demand.cells), demand.l1)
        for demand, weight in zip(asked, weights, strict=True)
    )


def _laplace_weight(demand: Demand) -> float:
    spread = demand.l1 / demand.key.measured.limit
    return math.cbrt(demand.rows * spread**2)


def _rounded(epsilon: Epsilon, part: Fraction, cells: int) -> Epsilon:
    """A share, rounded down so that the epsilon of one of so many counts is a decimal that a charge can hold."""
    if epsilon.exact is None:
        return epsilon
    exact = epsilon.exact * part / cells
    step = Fraction(10) ** (math.floor(math.log10(exact)) - DIGITS + 2)
    return Epsilon.of(exact // step * step * cells)


def _gaussian(asked: tuple[Demand, ...], epsilon: Epsilon, delta: Delta) -> Calibration:
    """Sigma^2 in squares of the limit is shared by sqrt(l2^2 / rows).

    This minimises sum rows sigma^2 under a bound on sum l2^2 / sigma^2, on which the cost depends (Lagrange; exactly
    for zero-concentrated DP, and nearly for privacy losses).
    """
    part = delta.share(GAUSSIAN_SHARE)
    cost = _cost(asked, lambda factor: _gaussians(asked, factor), part)
    factor = _least(cost, epsilon.value, _gaussian_guess(asked, epsilon, delta))
    return _calibration(NoiseChoice.GAUSSIAN, asked, _gaussians(asked, factor), (delta, part.exact))


def _gaussians(asked: Sequence[Demand], factor: float) -> tuple[Noise, ...]:
    context = Context(prec=_SIGMA_DIGITS, rounding=ROUND_CEILING)
    return tuple(
        DiscreteGaussian(float(context.create_decimal(Decimal(factor * _gaussian_weight(demand))))) for demand in asked
    )


def _gaussian_weight(demand: Demand) -> float:
    limit = demand.key.measured.limit
    return limit * math.sqrt(math.sqrt(demand.l2_squared / limit**2 / demand.rows))


def _gaussian_guess(asked: Sequence[Demand], epsilon: Epsilon, delta: Delta) -> float:
    """The factor of all sigmas by the closed form for continuous noise: right but for a few parts in a thousand.

    Raises:
        SpecificationError: Sigma would be too large, or delta is too small.
    """
    part = delta.share(GAUSSIAN_SHARE).value
    if part < SMALLEST_DELTA:
        raise SpecificationError(
            f"discrete Gaussian noise needs a delta of at least {SMALLEST_DELTA / GAUSSIAN_SHARE:g}",
            value=f"delta={delta}",
            remedy="Choose discrete Laplace noise, or raise delta.",
        )
    weights = [_gaussian_weight(demand) for demand in asked]
    # sensitivity over sigma, of all levels together, at factor 1
    ratio = math.sqrt(math.fsum(demand.l2_squared / weight**2 for demand, weight in zip(asked, weights, strict=True)))
    factor = ratio / math.exp(float(brentq(lambda log: _excess_delta(math.exp(log), epsilon.value, part), -40, 10)))
    _gaussians(asked, factor * 1.01)
    return factor


def _excess_delta(ratio: float, epsilon: float, delta: float) -> float:
    """By how much delta of continuous Gaussian noise exceeds this (Balle and Wang, ICML 2018), as a logarithm."""
    second = math.exp(epsilon + float(log_ndtr(-epsilon / ratio - ratio / 2)))
    found = float(ndtr(-epsilon / ratio + ratio / 2)) - second
    return math.log(max(found, 1e-300) / delta)


def _cost(
    asked: Sequence[Demand], noises: Callable[[float], tuple[Noise, ...]], delta: Delta
) -> Callable[[float], float]:
    """What noises cost together at ``delta``, as a function of a factor of their scales."""

    def cost(factor: float) -> float:
        drawn = [Level(demand, noise, None, None) for demand, noise in zip(asked, noises(factor), strict=True)]
        return compose([charge(drawn)], delta.value * _MARGIN).epsilon

    return cost


def _least(cost: Callable[[float], float], budget: float, guess: float) -> float:
    """The least factor whose cost, which falls in it, is within the budget, to a few parts in 100,000."""

    def excess(log: float) -> float:
        return math.log(min(cost(math.exp(log)), _BEYOND) / budget)

    low = high = math.log(guess)
    width = 0.01
    while excess(low) <= 0:
        low, width = low - width, 2 * width
    width = 0.01
    while excess(high) > 0:
        high, width = high + width, 2 * width
    found = brentq(excess, low, high, xtol=_PRECISION)
    while excess(found) > 0:  # on the dear side of the root
        found += _PRECISION
    return math.exp(found)
