"""What is claimed of levels together: for each epsilon the delta at which one input can hardly be told from another.

A level is claimed at exactly what its noise and its sensitivities say; several levels by privacy loss distributions
(dp-accounting). For inputs that differ in several people sensitivities are multiplied by their number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np

from pipeline.privacy.levels import Level
from pipeline.privacy.noise import DiscreteLaplace

_POINTS: Final = 60
# Noise of larger scales is taken as continuous, whose losses differ from it by less than this one over the scale.
_COARSE: Final = 50
# The last point of a claim has this delta.
_LAST_DELTA: Final = 1e-5


@dataclass(frozen=True)
class Claim:
    """P[S | D] <= e^epsilon P[S | D'] + delta for every event S, both ways round, at each of some points.

    Attributes:
        epsilons: Ascending, from 0.
        deltas: One each.
    """

    epsilons: tuple[float, ...]
    deltas: tuple[float, ...]

    @property
    def epsilon(self) -> float:
        """The last, at a small delta."""
        return self.epsilons[-1]

    @property
    def last(self) -> Claim:
        """That point alone."""
        return Claim(self.epsilons[-1:], self.deltas[-1:])


def single(epsilon: float, delta: float) -> Claim:
    """A claim of one point."""
    return Claim((epsilon,), (delta,))


def claim_of(levels: Sequence[Level], people: int, slack: float) -> Claim:
    """What levels tell together of inputs that differ in so many people.

    Args:
        levels: Those that a statistic can see.
        people: By how many people the inputs differ.
        slack: Probability with which the rules of the release may show, on either input; it is added as
            (1 + e^epsilon) slack.

    Returns:
        Points from epsilon 0 to where delta is 0.00001.
    """
    # One grid for all levels, fine against the largest loss.
    step = 1e-3 if people * max(losses(levels)) > 1e-1 else 1e-4
    whole = reduce(lambda one, other: one.compose(other), (_losses(level, people, step) for level in levels))
    end = max(float(whole.get_epsilon_for_delta(_LAST_DELTA)), 1e-3)
    epsilons = np.linspace(0, end, _POINTS)
    deltas = np.asarray(whole.get_delta_for_epsilon(epsilons)) + (1 + np.exp(epsilons)) * slack
    return Claim(tuple(epsilons.tolist()), tuple(np.minimum(deltas, 1.0).tolist()))


def _losses(level: Level, people: int, step: float) -> Any:
    """The privacy loss distribution of a level, in its worst case.

    All of a person's L1 change in one count is the worst for Laplace noise (Zhu, Dong and Wang, "Optimal Accounting of
    Differential Privacy via Characteristic Function", AISTATS 2022); for Gaussian noise the L2 change
    decides alone.
    """
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415  takes a second to import

    noise, change = level.noise, people * _sensitivity(level)
    laplace = isinstance(noise, DiscreteLaplace)
    if laplace and noise.scale < _COARSE:
        return pld.from_discrete_laplace_mechanism(1 / noise.scale, int(change), value_discretization_interval=step)
    if laplace:
        return pld.from_laplace_mechanism(noise.scale / change, value_discretization_interval=step)
    return pld.from_gaussian_mechanism(noise.scale / change, value_discretization_interval=step)


def losses(levels: Iterable[Level]) -> list[float]:
    """Of each level, sensitivity over scale: what one person may change, in units of the noise."""
    return [_sensitivity(level) / level.noise.scale for level in levels]


def _sensitivity(level: Level) -> float:
    laplace = isinstance(level.noise, DiscreteLaplace)
    return level.demand.l1 if laplace else math.sqrt(level.demand.l2_squared)
