"""Discrete Gaussian noise for counts, drawn exactly by OpenDP from the operating system's random source.

P[Z = z] is proportional to exp(-z^2 / (2 sigma^2)) over the whole numbers (Canonne, Kamath and Steinke, "The Discrete
Gaussian for Differential Privacy", NeurIPS 2020). What it costs is in ``accountant``; it has no epsilon of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from pipeline.errors import SpecificationError
from pipeline.privacy.noise import Floats, Randomiser, require_count

# Beyond this, tails and privacy losses, which are summed over whole numbers, take seconds to compute.
LARGEST_SIGMA: Final = 1e5
# exp(-z^2 / (2 sigma^2)) is 0 in floats from so many sigma on.
_END: Final = 39
# What follows z is negligible (1e-17 of it) from sqrt(z^2 + _REACH sigma^2) on.
_REACH: Final = 80
# Below this sigma all noise is 0, but with a probability of 2 exp(-1 / (2 sigma^2)) < 1e-21.
_SILENT: Final = 0.1


@dataclass(frozen=True)
class DiscreteGaussian:
    """The distribution of the noise of one level.

    Attributes:
        sigma: Its parameter, above 0 and at most 100,000; from 1 on its standard deviation too, to 7 digits.
    """

    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= LARGEST_SIGMA:
            raise SpecificationError(
                f"discrete Gaussian noise must have a sigma above 0 and of at most {LARGEST_SIGMA:g}",
                value=f"{self.sigma:g}",
                remedy="Choose discrete Laplace noise, raise epsilon, lower bounds, or release fewer tables.",
            )

    @property
    def mechanism(self) -> str:
        """Its name."""
        return "discrete Gaussian"

    @property
    def scale(self) -> float:
        """Sigma."""
        return self.sigma

    @property
    def sd(self) -> float:
        """Standard deviation: never above sigma."""
        return _sd(self.sigma)

    @property
    def largest_rate(self) -> float:
        """Infinite: the cumulant always exists."""
        return math.inf

    def upper_tail(self, at_least: int) -> float:
        """P[Z >= at_least], summed over its whole numbers."""
        if at_least <= 0:
            return 1 - self.upper_tail(1 - at_least)
        end = math.ceil(min(math.sqrt(at_least**2 + _REACH * self.sigma**2), _END * self.sigma)) + 1
        weights = _weights(self.sigma, at_least, end)
        return float(weights[::-1].sum()) / _norm(self.sigma)

    def tail_point(self, probability: float) -> int:
        """Smallest m >= 0 with P[Z >= m] <= probability."""
        return _tail_point(self, probability)

    def half_width(self, confidence: float = 0.95) -> int:
        """Smallest q with P[|Z| <= q] >= confidence."""
        return max(self.tail_point((1 - confidence) / 2) - 1, 0)

    def log_moment(self, rate: float) -> float:
        """An upper bound on the cumulant: rate^2 sigma^2 / 2 (Canonne et al., the noise is sub-Gaussian)."""
        return (rate * self.sigma) ** 2 / 2

    def characteristic(self, angles: Floats) -> Floats:
        """E[cos(angle Z)] by Poisson's summation: Gaussian bells around the multiples of 2 pi."""
        if self.sigma < _SILENT:
            return np.ones_like(angles)
        turns = 2 * np.pi * np.arange(-(count := math.ceil(1 + 1.5 / self.sigma)), count + 1)
        bells = np.zeros_like(angles)
        for turn in turns:
            bells += np.exp(-((self.sigma * (angles + turn)) ** 2) / 2)
        return np.asarray(bells / np.exp(-((self.sigma * turns) ** 2) / 2).sum())

    def coarser(self, step: int) -> DiscreteGaussian:
        """The noise in units of ``step``."""
        return DiscreteGaussian(self.sigma / step)

    def randomiser(self) -> Randomiser:
        """The source of this noise: OpenDP, which draws whole numbers exactly and takes no seed."""
        return _Exact(self.sigma)


class _Exact:
    def __init__(self, sigma: float) -> None:
        self._measurement = _measurement(sigma)

    def randomise(self, value: int) -> int:
        return self.randomise_all([value])[0]

    def randomise_all(self, values: Sequence[int]) -> list[int]:
        for value in values:
            require_count(value)
        return self._measurement(list(values))


@lru_cache(maxsize=256)
def _measurement(sigma: float) -> Callable[[list[int]], list[int]]:
    import opendp.prelude as dp  # noqa: PLC0415  loads a shared library

    dp.enable_features("contrib")
    counts = dp.vector_domain(dp.atom_domain(T="i64"))
    return dp.m.make_gaussian(counts, dp.l2_distance(T=float), scale=sigma)


def _weights(sigma: float, start: int, end: int) -> Floats:
    """exp(-z^2 / (2 sigma^2)) for z from start up to end, which is left out."""
    return np.asarray(np.exp(-0.5 * (np.arange(start, end) / sigma) ** 2))


@lru_cache(maxsize=4096)
def _norm(sigma: float) -> float:
    return 1 + 2 * float(_weights(sigma, 1, math.ceil(_END * sigma) + 1)[::-1].sum())


@lru_cache(maxsize=4096)
def _sd(sigma: float) -> float:
    end = math.ceil(_END * sigma) + 1
    squares = np.arange(1, end, dtype=float) ** 2 * _weights(sigma, 1, end)
    return math.sqrt(2 * float(squares[::-1].sum()) / _norm(sigma))


@lru_cache(maxsize=4096)
def _tail_point(noise: DiscreteGaussian, probability: float) -> int:
    if noise.upper_tail(0) <= probability:
        return 0
    # Chernoff: P[Z >= m] <= exp(-m^2 / (2 sigma^2)), so that the point lies below this one.
    end = math.ceil(noise.sigma * math.sqrt(-2 * math.log(probability))) + 1
    beyond = noise.upper_tail(end + 1)
    masses = _weights(noise.sigma, 1, end + 1)[::-1] / _norm(noise.sigma)  # from ``end`` down to 1
    tails = beyond + np.cumsum(masses)
    # Tails grow from ``end`` down: the last that is small enough.
    point = end + 1 - int(np.searchsorted(tails, probability, side="right"))
    while noise.upper_tail(point) > probability:  # the running sum rounds
        point += 1
    return point
