"""Discrete Laplace noise for counts, drawn by diffprivlib from the operating system's random source.

P[Z = z] = (1 - a) / (1 + a) * a^|z| with a = exp(-epsilon / sensitivity) (two-sided geometric; Ghosh, Roughgarden and
Sundararajan, "Universally Utility-Maximizing Privacy Mechanisms", 2009). Adding Z to an integer of L1 sensitivity s is
epsilon-DP.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from pipeline.errors import SpecificationError
from pipeline.privacy.budget import Epsilon

# diffprivlib adds a float to the count: beyond this an integer would be rounded.
LARGEST_COUNT: Final = 2**53 - 2**40
# Its inverse distribution function stops here (53 ln 2 scales); a scale must leave room for that below 2^40.
LARGEST_SCALE: Final = 1e9


class Randomiser(Protocol):
    """Adds noise to one count; passed in, so that a test can take its place and production has one source."""

    def randomise(self, value: int) -> int:
        """The count with noise."""
        ...


@dataclass(frozen=True)
class DiscreteLaplace:
    """The distribution of the noise of one level.

    Attributes:
        epsilon: Of the level; infinite means no noise.
        sensitivity: L1 sensitivity of the level's counts, max_groups.
    """

    epsilon: Epsilon
    sensitivity: int

    def __post_init__(self) -> None:
        if self.scale > LARGEST_SCALE:
            raise SpecificationError(
                f"the noise of a table must have a scale of at most {LARGEST_SCALE:g}",
                value=f"{self.scale:g}",
                remedy="Raise epsilon, lower max_groups, or release fewer tables.",
            )

    @property
    def scale(self) -> float:
        """Of the distribution, sensitivity / epsilon; 0 without noise."""
        return self.sensitivity / self.epsilon.value

    @property
    def decay(self) -> float:
        """``a`` of the distribution, in [0, 1)."""
        return math.exp(-1 / self.scale) if self.scale else 0.0

    @property
    def sd(self) -> float:
        """Standard deviation, sqrt(2 a) / (1 - a)."""
        return math.sqrt(2 * self.decay) / -math.expm1(-1 / self.scale) if self.scale else 0.0

    def upper_tail(self, at_least: int) -> float:
        """P[Z >= at_least]."""
        if at_least > 0:
            return float(self.decay**at_least / (1 + self.decay))
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
        return max(self.tail_point((1 - confidence) / 2) - 1, 0) if self.scale else 0

    def log_moment(self, rate: float) -> float:
        """Cumulant, ln E[exp(rate Z)], for |rate| < 1 / scale: (1 - a)^2 / ((1 - a e^rate)(1 - a e^-rate))."""
        if not self.scale:
            return 0.0
        a = self.decay
        return 2 * math.log1p(-a) - math.log1p(-a * math.exp(rate)) - math.log1p(-a * math.exp(-rate))

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
        if not 0 <= value <= LARGEST_COUNT:
            raise SpecificationError(
                f"a count must lie between 0 and {LARGEST_COUNT} to be released", remedy="Count over shorter periods."
            )
        while True:
            try:
                return int(self._mechanism.randomise(value))
            except OverflowError:
                # The uniform draw was exactly 1/2 (probability 2^-53): the next one is independent of it.
                continue


def add_noise(counts: Iterable[int], randomiser: Randomiser) -> list[int]:
    """One draw a count, in order."""
    return [randomiser.randomise(int(count)) for count in counts]


def sum_half_width(parts: Sequence[tuple[DiscreteLaplace, int]], confidence: float = 0.95) -> int:
    """Smallest q with P[|sum of independent noises| <= q] >= confidence.

    Args:
        parts: Distributions, each with how many independent draws of it are added.
        confidence: Between 0 and 1.

    Returns:
        Counts. Found by inverting the characteristic function on a grid that is 80 standard deviations wide.
    """
    noisy = [(noise, times) for noise, times in parts if noise.scale and times]
    if not noisy:
        return 0
    sd = math.sqrt(sum(times * noise.sd**2 for noise, times in noisy))
    size = 1 << max(8, math.ceil(math.log2(80 * sd + 2)))
    angle = 2 * np.pi * np.fft.rfftfreq(size)
    spectrum = np.ones_like(angle)
    for noise, times in noisy:
        a = noise.decay
        spectrum *= ((1 - a) ** 2 / (1 - 2 * a * np.cos(angle) + a * a)) ** times
    mass = np.fft.irfft(spectrum, size)  # index z mod size -> P[sum = z], symmetric
    inside = mass[0] + 2 * np.cumsum(mass[1 : size // 2])
    return int(np.searchsorted(inside, confidence) + 1) if mass[0] < confidence else 0
