"""From what came out of many releases to a lower bound on epsilon that holds with a stated confidence.

Half of the rounds choose what to look for, the other half measure how often it happens, so that looking at many
thresholds is not paid for. With P[S | D] at least p and P[S | D'] at most q (Clopper and Pearson, Biometrika 1934;
each at half the error), a release that is (epsilon, delta)-DP has ln((p - delta) / q) <= epsilon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pipeline.audit.claims import Claim

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """What is looked for in a statistic.

    Attributes:
        threshold: Where it begins or ends.
        above: Whether values from the threshold on are meant, or values up to it.
        reverse: Whether it is more likely on the second input.
        point: Which point of the claim it is held against.
    """

    threshold: float
    above: bool
    reverse: bool
    point: int

    def counts(self, first: Floats, second: Floats) -> tuple[int, int]:
        """How often it happened where it is likelier, and where it is not."""
        hits = [int(np.sum(one >= self.threshold if self.above else one <= self.threshold)) for one in (first, second)]
        return (hits[1], hits[0]) if self.reverse else (hits[0], hits[1])


@dataclass(frozen=True)
class Finding:
    """What a statistic shows.

    Attributes:
        epsilon: Claimed, at ``delta``.
        delta: The point of the claim that was tested.
        lower: Bound on epsilon from below at the same delta; minus infinity where nothing was shown.
    """

    epsilon: float
    delta: float
    lower: float

    @property
    def violated(self) -> bool:
        """Whether the claim cannot be true, but with the probability of error."""
        return self.lower > self.epsilon


def found(first: Floats, second: Floats, claim: Claim, error: float) -> Finding:
    """Choose an event on the first halves of two series of a statistic, and test it on the others.

    Args:
        first: The statistic, one number a round, on one input.
        second: Likewise on the neighbouring input.
        claim: What must hold between the two.
        error: Probability with which a true claim may be found to be violated, below 0.5.

    Returns:
        The bound at the chosen point of the claim.
    """
    chosen = choose(first[::2], second[::2], claim, error)
    rest, others = first[1::2], second[1::2]
    hits, misses = chosen.counts(rest, others)
    sizes = (len(others), len(rest)) if chosen.reverse else (len(rest), len(others))
    epsilon, delta = claim.epsilons[chosen.point], claim.deltas[chosen.point]
    p, q = lowest(hits, sizes[0], error), highest(misses, sizes[1], error)
    return Finding(epsilon, delta, math.log((p - delta) / q) if p > delta else -math.inf)


def choose(first: Floats, second: Floats, claim: Claim, error: float) -> Event:
    """The event, direction and point of the claim at which these series say most against it."""
    best, chosen = -math.inf, Event(0.0, above=True, reverse=False, point=0)
    thresholds = np.unique(np.concatenate([first, second]))
    for above in (True, False):
        hits = [_hits(one, thresholds, above=above) for one in (first, second)]
        for reverse in (False, True):
            (likely, n), (rare, m) = [(hits[0], len(first)), (hits[1], len(second))][:: -1 if reverse else 1]
            margins = _margins(likely, n, rare, m, claim, error)
            place, point = np.unravel_index(int(np.argmax(margins)), margins.shape)
            if margins[place, point] > best:
                best = float(margins[place, point])
                chosen = Event(float(thresholds[place]), above, reverse, int(point))
    return chosen


def lowest(hits: float | Floats, rounds: float, error: float) -> Floats:
    """Clopper-Pearson bound from below on a probability, at half the error."""
    some = np.asarray(hits, dtype=np.float64)
    return np.where(some > 0, beta.ppf(error / 2, np.maximum(some, 1e-9), rounds - some + 1), 0.0)


def highest(hits: float | Floats, rounds: float, error: float) -> Floats:
    """Clopper-Pearson bound from above, likewise."""
    some = np.asarray(hits, dtype=np.float64)
    return np.where(some < rounds, beta.ppf(1 - error / 2, some + 1, np.maximum(rounds - some, 1e-9)), 1.0)


def largest_bound(rounds: int, error: float) -> float:
    """The largest epsilon that so many rounds for each input can show, where the two are told apart every time."""
    return math.log(float(lowest(rounds, rounds, error)) / float(highest(0, rounds, error)))


def best_margin(first: Floats, second: Floats, claim: Claim, error: float, as_if: int | None = None) -> float:
    """By how much the bound would exceed the claim at best; above 0 where it shows a violation.

    Args:
        first: The statistic on one input.
        second: On the other.
        claim: What must hold.
        error: As in ``found``.
        as_if: Counts are taken as if there were so many rounds.
    """
    rounds = as_if or len(first)
    thresholds = np.quantile(np.concatenate([first, second]), np.linspace(0, 1, 201))
    shares = [_hits(one, thresholds, above=True) * (rounds / len(one)) for one in (first, second)]
    return float(np.max(_margins(shares[0], rounds, shares[1], rounds, claim, error)))


def _hits(values: Floats, thresholds: Floats, *, above: bool) -> Floats:
    ordered = np.sort(values)
    if above:
        return np.asarray(len(values) - np.searchsorted(ordered, thresholds, side="left"), dtype=np.float64)
    return np.asarray(np.searchsorted(ordered, thresholds, side="right"), dtype=np.float64)


def _margins(likely: Floats, n: float, rare: Floats, m: float, claim: Claim, error: float) -> Floats:
    """By how much the bound would exceed the claim: one row an event, one column a point of the claim."""
    p, q = lowest(likely, n, error)[:, None], highest(rare, m, error)[:, None]
    deltas, epsilons = np.asarray(claim.deltas)[None, :], np.asarray(claim.epsilons)[None, :]
    # A violation means p - delta > e^epsilon q; as a difference of probabilities it is defined everywhere.
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(p > deltas, np.log(np.maximum(p - deltas, 1e-300) / q) - epsilons, -np.inf)
    return np.asarray(logs)
