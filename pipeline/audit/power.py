"""What an audit could have found: the smallest fault that its rounds would show, with about even odds."""

from __future__ import annotations

import math

import numpy as np

from pipeline.audit.attacks import Attack
from pipeline.audit.evidence import Floats, best_margin, highest, lowest
from pipeline.audit.reading import Released

_FACTORS = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
# Of made-up noise, for each input.
_DRAWS = 4000
_NONE = "nothing: more rounds"


def smallest_fault(attack: Attack, rounds: int, error: float) -> str:
    """In words.

    Args:
        attack: Which.
        rounds: For each input, halves for choosing and for testing together.
        error: Probability with which the attack may find a true claim to be violated.
    """
    half = rounds // 2
    if isinstance(attack.statistic, Released):
        return _released(attack, half, error)
    if attack.level is not None:
        factor = _factor(attack, half, error)
        return f"noise {factor:g} times too small" if math.isfinite(factor) else _NONE
    half = half // 2 if attack.twice else half
    told_apart = best_margin(np.ones(half), np.zeros(half), attack.claim, error) > 0
    return "what tells the inputs apart each time" if told_apart else _NONE


def _released(attack: Attack, half: int, error: float) -> str:
    claimed = attack.claim.deltas[0]
    beyond = claimed + float(highest(0, half, error))
    hits = next((hits for hits in range(half + 1) if float(lowest(hits, half, error)) > beyond), None)
    return _NONE if hits is None else f"released in {hits / half:.0%}, not in {claimed:.0%}"


def _factor(attack: Attack, half: int, error: float) -> float:
    """By how much noise would have to be too small; infinity where not even the largest factor would be seen."""
    assert attack.level is not None
    noise = _made_up(attack.level.noise.mechanism, attack.level.noise.sd, attack.cells)
    first, second = noise[:_DRAWS], noise[_DRAWS:]
    tried = (
        factor
        for factor in _FACTORS
        if best_margin(first / factor + attack.shift, second / factor, attack.claim, error, as_if=half) > 0
    )
    return next(tried, math.inf)


def _made_up(mechanism: str, sd: float, cells: int) -> Floats:
    """Draws of a sum of noises, from a generator with a seed: for planning, never for a release."""
    generator = np.random.default_rng(20261123)
    shape = (2 * _DRAWS, cells)
    gaussian = mechanism == "discrete Gaussian"
    draws = generator.normal(0, sd, shape) if gaussian else generator.laplace(0, sd / math.sqrt(2), shape)
    return np.asarray(draws.sum(axis=1))
