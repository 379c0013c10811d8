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
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any, Final

from pydantic import Field

from pipeline.documents import Document
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.levels import Level
from pipeline.privacy.noise import DiscreteLaplace

# Below this the rounding of Fourier transforms is no longer small against delta: basic composition alone holds.
SMALLEST_DELTA: Final = 1e-12
# Epsilons of charges have so many digits, rounded up.
DIGITS: Final = 12
# Losses stand on a grid: this many steps to the usual loss of one count, and steps of at most this width.
_STEPS: Final = 10
_WIDEST: Final = 1e-3
# How much of a discrete Gaussian is left out, as dp-accounting does: 1e-30 lies beyond so many sigmas.
_BOUND: Final = 11.6

Times = tuple[tuple[str, int], ...]


class Charge(Document):
    """What one release costs, written into the ledger before any noise is drawn. Meanings never change.

    Deltas are the probabilities of its rules (selection, remainders), which add up. What the noise itself needs of
    delta is not among them: it is found when charges are composed.
    """

    counts: dict[str, int]
    """Discrete Laplace at L1 sensitivity 1: epsilon of one count -> in how many counts one person is."""
    pure: dict[str, int]
    """Anything epsilon-DP: epsilon -> how often."""
    gaussians: dict[str, int] = Field(default_factory=dict)
    """Discrete Gaussian: sigma of the noise and the whole number by which one person changes a count, ``12.5:3`` -> in
    how many counts at once."""
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

    A person changes each of at most ``cells`` counts of a level by at most ``largest``. Under Laplace noise that
    composes as ``cells`` counts of epsilon / cells; where all of it may fall into one count or spread, as one of
    epsilon, whatever the split. Under Gaussian noise, as ``cells`` counts that change by ``largest``: smaller changes
    lose less, and spread ones less than one of the same sum (``tests/unit/privacy/test_accountant.py``).
    """
    counts: Counter[str] = Counter()
    pure: Counter[str] = Counter()
    gaussians: Counter[str] = Counter()
    delta = Fraction(0)
    infinite = False
    for level in levels:
        demand, noise = level.demand, level.noise
        infinite |= not noise.scale
        delta += sum(part.exact for part in (level.delta_selection, level.delta_remainder) if part is not None)
        if isinstance(noise, DiscreteGaussian):
            gaussians[f"{noise.sigma!r}:{demand.largest}"] += demand.cells
        elif isinstance(noise, DiscreteLaplace) and noise.epsilon.exact is not None:
            # Of one unit, the loss takes two values, which is known exactly; of more, it has that bound at least.
            (counts if demand.largest == 1 else pure)[_decimal(noise.epsilon.exact / demand.cells)] += demand.cells
    return Charge(
        counts=dict(counts), pure=dict(pure), gaussians=dict(gaussians), delta=float(delta), infinite=infinite
    )


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
    # As the decimals that they are written as, so that deltas which use a cap up to the last digit fit under it.
    left = Fraction(str(delta)) - sum(Fraction(str(one.delta)) for one in every)
    if left < 0 or any(one.infinite for one in every):
        return Loss(math.inf, delta)
    counts, pure, gaussians = (
        _added(parts) for parts in zip(*((one.counts, one.pure, one.gaussians) for one in every), strict=True)
    )
    return Loss(_epsilon(counts, pure, gaussians, float(left)), delta)


def _added(parts: Iterable[dict[str, int]]) -> Times:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return tuple(sorted(total.items()))


def _decimal(epsilon: Fraction) -> str:
    context = Context(prec=DIGITS, rounding=ROUND_CEILING)
    return f"{context.divide(Decimal(epsilon.numerator), Decimal(epsilon.denominator)).normalize():f}"


@lru_cache(maxsize=1024)
def _epsilon(counts: Times, pure: Times, gaussians: Times, delta: float) -> float:
    # Basic composition holds too, and is tighter for a few large losses.
    basic = math.inf if gaussians else float(sum(Fraction(epsilon) * times for epsilon, times in (*counts, *pure)))
    if delta < SMALLEST_DELTA:
        return basic
    return min(float(_composed(counts, pure, gaussians).get_epsilon_for_delta(delta)), basic)


def _composed(counts: Times, pure: Times, gaussians: Times) -> Any:
    """The privacy loss distribution of everything together."""
    # The worst of all epsilon-DP mechanisms loses +epsilon or -epsilon, as does discrete Laplace noise on one unit
    # (Kairouz, Oh and Viswanath, "The Composition Theorem for Differential Privacy", 2015).
    two_valued = [(float(epsilon), times) for epsilon, times in (*counts, *pure)]
    bells = [(float(key.partition(":")[0]), int(key.partition(":")[2]), times) for key, times in gaussians]
    step = _step([*two_valued, *((largest / sigma, times) for sigma, largest, times in bells)])
    parts = [_laplace(epsilon, step).self_compose(times) for epsilon, times in two_valued]
    parts += [_gaussian(sigma, largest, step).self_compose(times) for sigma, largest, times in bells]
    return reduce(lambda whole, part: whole.compose(part), parts)


def _step(losses: list[tuple[float, int]]) -> float:
    """Width of the grid: a power of ten, fine against the root mean square of what single counts lose."""
    times = sum(often for _, often in losses)
    usual = math.sqrt(sum(often * loss**2 for loss, often in losses) / times)
    widest = max(_WIDEST, usual / 300)  # finer steps would tell nothing of losses that large
    return float(10.0 ** math.floor(math.log10(min(usual / _STEPS, widest)) + 1e-9))


# Importing dp-accounting takes a second; it is needed where something is reserved, planned or shown only.


@lru_cache(maxsize=1024)
def _laplace(epsilon: float, step: float) -> Any:
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415

    return pld.from_discrete_laplace_mechanism(epsilon, value_discretization_interval=step, use_connect_dots=True)


@lru_cache(maxsize=1024)
def _gaussian(sigma: float, largest: int, step: float) -> Any:
    """As dp-accounting's ``from_discrete_gaussian_mechanism`` with connected dots, which takes a loop over each number.

    The loss of output x is largest * (-largest / 2 - x) / sigma^2, falling in x; deltas are told at every grid point.
    """
    import numpy as np  # noqa: PLC0415
    from dp_accounting.pld import pld_pmf  # noqa: PLC0415
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415
    from dp_accounting.pld.privacy_loss_mechanism import DiscreteGaussianPrivacyLoss  # noqa: PLC0415

    bound = max(math.ceil(_BOUND * sigma), largest)
    mechanism = DiscreteGaussianPrivacyLoss(sigma, largest, bound)
    ends = mechanism.connect_dots_bounds()
    low = math.floor(mechanism.privacy_loss(ends.upper_x) / step)
    high = math.ceil(mechanism.privacy_loss(ends.lower_x) / step)
    losses = np.arange(low, high + 1) * step
    # The largest output that loses so much.
    outputs = np.floor(np.clip(-largest / 2 - losses * sigma**2 / largest, -bound - 1, bound - largest))
    deltas = mechanism.mu_upper_cdf(outputs) - np.exp(losses + mechanism.mu_lower_log_cdf(outputs))
    falling = np.maximum.accumulate(np.clip(deltas, 0, 1)[::-1])[::-1]  # rounding may break the order
    return pld.PrivacyLossDistribution(pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(step, low, high, falling))
