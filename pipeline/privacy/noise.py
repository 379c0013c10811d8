"""Noise for counts: what every distribution offers, and discrete Laplace noise.

P[Z = z] = (1 - a) / (1 + a) * a^|z| with a = exp(-epsilon / sensitivity) (two-sided geometric; Ghosh, Roughgarden and
Sundararajan, "Universally Utility-Maximizing Privacy Mechanisms", 2009). Adding Z to an integer of L1 sensitivity s is
epsilon-DP. It is drawn by diffprivlib from the operating system's random source.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SpecificationError
from pipeline.privacy.budget import Epsilon

Floats = NDArray[np.float64]

# diffprivlib adds a float to the count: beyond this an integer would be rounded.
LARGEST_COUNT: Final = 2**53 - 2**40
# Its inverse distribution function stops here (53 ln 2 scales); a scale must leave room for that below 2^40.
LARGEST_SCALE: Final = 1e9
# Sums of noises are looked at over so many standard deviations, on so many points at most.
_WIDTH: Final = 80
_POINTS: Final = 2**20


class Randomiser(Protocol):
    """Adds noise to one count; passed in, so that a test can take its place and production has one source."""

    def randomise(self, value: int) -> int:
        """The count with noise."""
        ...


@runtime_checkable
class ListRandomiser(Protocol):
    """Adds noise to many counts at once, where that is faster: a call into OpenDP costs as much as seven draws."""

    def randomise_all(self, values: Sequence[int]) -> list[int]:
        """The counts with noise, one independent draw each, in order."""
        ...


class Noise(Protocol):
    """The distribution of the noise of one level, symmetric around zero, over whole numbers."""

    @property
    def mechanism(self) -> str:
        """Name for people and files: ``discrete Laplace``, ``discrete Gaussian``, or ``none``."""
        ...

    @property
    def scale(self) -> float:
        """The distribution's parameter; 0 without noise."""
        ...

    @property
    def sd(self) -> float:
        """Standard deviation."""
        ...

    def upper_tail(self, at_least: int) -> float:
        """P[Z >= at_least]."""
        ...

    def tail_point(self, probability: float) -> int:
        """Smallest m >= 0 with P[Z >= m] <= probability; 0 without noise, where there is nothing to bound."""
        ...

    def half_width(self, confidence: float = 0.95) -> int:
        """Smallest q with P[|Z| <= q] >= confidence."""
        ...

    def log_moment(self, rate: float) -> float:
        """An upper bound on the cumulant ln E[exp(rate Z)], for 0 < rate < ``largest_rate``."""
        ...

    @property
    def largest_rate(self) -> float:
        """Below which the cumulant is finite; infinite where it always is."""
        ...

    def characteristic(self, angles: Floats) -> Floats:
        """E[cos(angle Z)], the characteristic function of this symmetric noise, for angles in [-pi, pi]."""
        ...

    def coarser(self, step: int) -> Noise:
        """The noise in units of ``step``, a whole number far below its standard deviation."""
        ...

    def randomiser(self) -> Randomiser:
        """The source of this noise, without a seed."""
        ...


@dataclass(frozen=True)
class DiscreteLaplace:
    """The distribution of the noise of one level.

    Attributes:
        epsilon: Of the level; infinite means no noise.
        sensitivity: L1 sensitivity of the level's counts: by how much one person changes all of them together.
    """

    epsilon: Epsilon
    sensitivity: int

    def __post_init__(self) -> None:
        if self.scale > LARGEST_SCALE:
            raise SpecificationError(
                f"the noise of a table must have a scale of at most {LARGEST_SCALE:g}",
                value=f"{self.scale:g}",
                remedy="Raise epsilon, lower max_groups or the bounds of sums, or release fewer tables.",
            )

    @property
    def mechanism(self) -> str:
        """Its name; ``none`` without noise."""
        return "discrete Laplace" if self.scale else "none"

    @property
    def largest_rate(self) -> float:
        """Below which the cumulant is finite, 1 / scale."""
        return 1 / self.scale if self.scale else math.inf

    @cached_property
    def scale(self) -> float:
        """Of the distribution, sensitivity / epsilon; 0 without noise."""
        return self.sensitivity / self.epsilon.value

    @cached_property
    def decay(self) -> float:
        """``a`` of the distribution, in [0, 1)."""
        return math.exp(-1 / self.scale) if self.scale else 0.0

    @cached_property
    def sd(self) -> float:
        """Standard deviation, sqrt(2 a) / (1 - a)."""
        return math.sqrt(2 * self.decay) / -math.expm1(-1 / self.scale) if self.scale else 0.0

    def upper_tail(self, at_least: int) -> float:
        """P[Z >= at_least]."""
        if at_least > 0:
            # Not a power of the decay, whose rounding a large exponent would multiply.
            return math.exp(-at_least / self.scale) / (1 + self.decay) if self.scale else 0.0
        return 1 - self.upper_tail(1 - at_least) if self.scale else 1.0

    def tail_point(self, probability: float) -> int:
        """Smallest m >= 0 with P[Z >= m] <= probability; 0 without noise, where there is nothing to bound."""
        if not self.scale or self.upper_tail(0) <= probability:
            return 0
        # a^m / (1 + a) <= p  <=>  m >= ln(p (1 + a)) / ln a; the float's neighbours settle rounding.
        guess = math.ceil(-self.scale * math.log(probability * (1 + self.decay)))
        return next(m for m in range(max(guess - 1, 1), guess + 3) if self.upper_tail(m) <= probability)

    def half_width(self, confidence: float = 0.95) -> int:
        """Smallest q with P[|Z| <= q] >= confidence."""
        if confidence not in self._half_widths:
            self._half_widths[confidence] = max(self.tail_point((1 - confidence) / 2) - 1, 0) if self.scale else 0
        return self._half_widths[confidence]

    @cached_property
    def _half_widths(self) -> dict[float, int]:
        return {}  # every cell of a level asks for the same few

    def log_moment(self, rate: float) -> float:
        """Cumulant, ln E[exp(rate Z)], for |rate| < 1 / scale: (1 - a)^2 / ((1 - a e^rate)(1 - a e^-rate))."""
        if not self.scale:
            return 0.0
        x = 1 / self.scale
        return sum(
            sign * math.log(-math.expm1(exponent)) for sign, exponent in ((2, -x), (-1, rate - x), (-1, -rate - x))
        )

    def characteristic(self, angles: Floats) -> Floats:
        """E[cos(angle Z)] = (1 - a)^2 / ((1 - a)^2 + 4 a sin^2(angle / 2))."""
        if not self.scale:
            return np.ones_like(angles)
        rest = math.expm1(-1 / self.scale) ** 2
        return np.asarray(rest / (rest + 4 * self.decay * np.sin(angles / 2) ** 2))

    def coarser(self, step: int) -> DiscreteLaplace:
        """The noise in units of ``step``: of the same decay over each of them."""
        return DiscreteLaplace(self.epsilon.share(Fraction(step)), self.sensitivity)

    def randomiser(self) -> Randomiser:
        """The source of this noise: diffprivlib without a seed, which draws from ``secrets.SystemRandom``."""
        return _Geometric(self.epsilon.value, self.sensitivity) if self.scale else _Silent()


class _Silent:
    def randomise(self, value: int) -> int:
        return value


class _Geometric:
    def __init__(self, epsilon: float, sensitivity: int) -> None:
        from diffprivlib.mechanisms import Geometric  # noqa: PLC0415  takes a second to import

        self._mechanism = Geometric(epsilon=epsilon, sensitivity=sensitivity, random_state=None)

    def randomise(self, value: int) -> int:
        require_count(value)
        while True:
            try:
                return int(self._mechanism.randomise(value))
            except OverflowError:
                # The uniform draw was exactly 1/2 (probability 2^-53): the next one is independent of it.
                continue


def add_noise(counts: Iterable[int], randomiser: Randomiser) -> list[int]:
    """One draw a count, in order."""
    values = [int(count) for count in counts]
    if isinstance(randomiser, ListRandomiser):
        return randomiser.randomise_all(values)
    return [randomiser.randomise(value) for value in values]


def require_count(value: int) -> None:
    """Refuse a count to which noise cannot be added exactly.

    Raises:
        SpecificationError: It is negative, or beyond the whole numbers of a float.
    """
    if not 0 <= value <= LARGEST_COUNT:
        raise SpecificationError(
            f"a count must lie between 0 and {LARGEST_COUNT} to be released", remedy="Count over shorter periods."
        )


def sum_half_width(parts: Sequence[tuple[Noise, int]], confidence: float = 0.95) -> int:
    """Smallest q with P[|sum of independent noises| <= q] >= confidence.

    Args:
        parts: Distributions, each with how many independent draws of it are added.
        confidence: Between 0 and 1.

    Returns:
        Counts. Found by inverting the characteristic function on a grid that is 80 standard deviations wide. Beyond a
        standard deviation of 13,107 the grid is coarser than the whole numbers, and the result is rounded up by one
        step of it, 1 / 13,107 of the standard deviation.
    """
    return _sum_half_width(tuple((noise, times) for noise, times in parts if noise.scale and times), confidence)


@lru_cache(maxsize=4096)
def _sum_half_width(parts: tuple[tuple[Noise, int], ...], confidence: float) -> int:
    sd = math.sqrt(sum(times * noise.sd**2 for noise, times in parts))
    step = math.ceil(_WIDTH * sd / _POINTS)
    if step <= 1:
        return _central(parts, sd, confidence)
    coarse = tuple((noise.coarser(step), times) for noise, times in parts)
    return step * (_central(coarse, sd / step, confidence) + 1)


def _central(parts: Sequence[tuple[Noise, int]], sd: float, confidence: float) -> int:
    size = 1 << max(8, math.ceil(math.log2(_WIDTH * sd + 2)))
    angles: Floats = 2 * np.pi * np.arange(size // 2 + 1) / size
    spectrum: Floats = np.ones(angles.shape)
    for noise, times in parts:
        spectrum *= noise.characteristic(angles) ** times
    mass = np.fft.irfft(spectrum, size)  # index z mod size -> P[sum = z], symmetric
    inside = mass[0] + 2 * np.cumsum(mass[1 : size // 2])
    return int(np.searchsorted(inside, confidence) + 1) if mass[0] < confidence else 0
