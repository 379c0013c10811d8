"""What releases cost together: privacy loss distributions (PLD), composed by dp-accounting.

Koskela, Jälkö and Honkela, "Computing Tight Differential Privacy Guarantees Using FFT", AISTATS 2020; Doroshenko et
al., "Connect the Dots: Tighter Discrete Approximations of Privacy Loss Distributions", PETS 2022. The estimates are
pessimistic: the true epsilon is never above the one that is told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pipeline.documents import Document
from pipeline.privacy.levels import Level

# Losses are rounded up to multiples of this.
_INTERVAL: Final = 1e-3


class Charge(Document):
    """What one release costs, written into the ledger before any noise is drawn. Meanings never change.

    Deltas are the probabilities of its rules (selection, remainders), which add up.
    """

    counts: dict[str, int]
    """Discrete Laplace at L1 sensitivity 1: epsilon of one count -> in how many counts one person is."""
    pure: dict[str, int]
    """Anything epsilon-DP: epsilon -> how often."""
    delta: float
    infinite: bool = False
    """Without noise: for comparing with exact answers, and beyond any cap."""


@dataclass(frozen=True)
class Loss:
    """A guarantee over several releases."""

    epsilon: float
    delta: float


def charge(levels: Iterable[Level]) -> Charge:
    """The charge of a release's levels.

    A person changes each of at most l0 groups of a deepest level by one, which composes as l0 counts of epsilon / l0.
    In the totals of a table over groups the same l0 may fall into one count or spread; those are charged as epsilon-DP,
    whatever the split.
    """
    counts: Counter[str] = Counter()
    pure: Counter[str] = Counter()
    delta = 0.0
    infinite = False
    for level in levels:
        groups = level.key.max_groups
        infinite |= math.isinf(level.epsilon.value)
        delta += level.delta_selection.value + level.delta_remainder.value
        if level.largest_contribution == 1:
            counts[f"{level.epsilon.value / groups:.12g}"] += groups
        else:
            pure[f"{level.epsilon.value:.12g}"] += 1
    return Charge(counts=dict(counts), pure=dict(pure), delta=delta, infinite=infinite)


def compose(charges: Iterable[Charge], delta: float) -> Loss:
    """The smallest epsilon that holds for all charges together at ``delta``.

    Args:
        charges: Of releases about the same people.
        delta: At which epsilon is told; the charges' own deltas are taken off it first.

    Returns:
        Epsilon (infinite where the charges' deltas alone exceed ``delta``), and the ``delta`` it holds at.
    """
    every = list(charges)
    if not every:
        return Loss(0.0, 0.0)
    left = delta - math.fsum(charge.delta for charge in every)
    if left <= 0 or any(charge.infinite for charge in every):
        return Loss(math.inf, delta)
    counts: Counter[str] = Counter()
    pure: Counter[str] = Counter()
    for one in every:
        counts.update(one.counts)
        pure.update(one.pure)
    return Loss(_epsilon(tuple(sorted(counts.items())), tuple(sorted(pure.items())), left), delta)


@lru_cache(maxsize=256)
def _epsilon(counts: tuple[tuple[str, int], ...], pure: tuple[tuple[str, int], ...], delta: float) -> float:
    # Takes a second to import, and is needed where something is reserved or shown only.
    from dp_accounting.pld import common  # noqa: PLC0415
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415

    parts: list[Any] = [
        pld.from_discrete_laplace_mechanism(float(epsilon), value_discretization_interval=_INTERVAL).self_compose(times)
        for epsilon, times in counts
    ]
    parts += [
        pld.from_privacy_parameters(
            common.DifferentialPrivacyParameters(float(epsilon), 0), value_discretization_interval=_INTERVAL
        ).self_compose(times)
        for epsilon, times in pure
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.compose(part)
    # Basic composition holds too, and is tighter for a few large losses.
    basic = math.fsum(float(epsilon) * times for epsilon, times in (*counts, *pure))
    return min(float(whole.get_epsilon_for_delta(delta)), basic)
