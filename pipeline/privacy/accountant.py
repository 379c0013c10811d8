"""What releases cost together: privacy loss distributions (PLD), composed by dp-accounting.

Koskela, Jälkö and Honkela, "Computing Tight Differential Privacy Guarantees Using FFT", AISTATS 2020; Doroshenko et
al., "Connect the Dots: Tighter Discrete Approximations of Privacy Loss Distributions", PETS 2022. The estimates are
pessimistic: the true epsilon is never above the one that is told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
# More than floating point may lose where a few thousand numbers are added.
_ROUNDED: Final = 1 + 1e-9

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
class Sum:
    """Charges added up, so that one more is added without looking at each of them again.

    Attributes:
        counts: As of a charge, of all of them.
        pure: As well.
        gaussians: As well.
        delta: Of all rules, exactly as the decimals that the charges' deltas are written as: deltas which use a cap up
            to the last digit fit under it.
        infinite: Whether one of them is.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    pure: Mapping[str, int] = field(default_factory=dict)
    gaussians: Mapping[str, int] = field(default_factory=dict)
    delta: Fraction = Fraction(0)
    infinite: bool = False

    def plus(self, other: Charge | Sum) -> Sum:
        """Both together."""
        delta = other.delta if isinstance(other, Sum) else _written(other.delta)
        return Sum(
            _added(self.counts, other.counts),
            _added(self.pure, other.pure),
            _added(self.gaussians, other.gaussians),
            self.delta + delta,
            self.infinite or other.infinite,
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return self == Sum()


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
    return loss_of(total(charges), delta)


def total(charges: Iterable[Charge | Sum]) -> Sum:
    """All charges added up."""
    return reduce(Sum.plus, charges, Sum())


def loss_of(charges: Sum, delta: float) -> Loss:
    """What ``compose`` tells, of charges that were added up before."""
    if charges.is_empty:
        return Loss(0.0, 0.0)
    left = _left(charges, delta)
    if left is None:
        return Loss(math.inf, delta)
    return Loss(_epsilon(*_parts(charges), left), delta)


def quick_bound(charges: Sum, delta: float) -> float:
    """An epsilon that ``loss_of`` does not exceed, in microseconds: infinite where the charges' deltas exceed delta."""
    left = _left(charges, delta)
    return math.inf if left is None else _simple(*_parts(charges), left)


def _left(charges: Sum, delta: float) -> float | None:
    """What the charges' rules leave of delta; None where that is less than nothing, or there is no noise."""
    left = _written(delta) - charges.delta
    return None if left < 0 or charges.infinite else float(left)


def _parts(charges: Sum) -> tuple[Times, Times, Times]:
    counts, pure, gaussians = (
        tuple(sorted(part.items())) for part in (charges.counts, charges.pure, charges.gaussians)
    )
    return counts, pure, gaussians


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    if not one or not other:
        return one or other
    return {**one, **{key: one.get(key, 0) + times for key, times in other.items()}}


@lru_cache(maxsize=1024)
def _written(delta: float) -> Fraction:
    return Fraction(str(delta))


def _decimal(epsilon: Fraction) -> str:
    context = Context(prec=DIGITS, rounding=ROUND_CEILING)
    return f"{context.divide(Decimal(epsilon.numerator), Decimal(epsilon.denominator)).normalize():f}"


@lru_cache(maxsize=1024)
def _epsilon(counts: Times, pure: Times, gaussians: Times, delta: float) -> float:
    simple = _simple(counts, pure, gaussians, delta)
    if delta < SMALLEST_DELTA:
        return simple
    return min(float(_composed(counts, pure, gaussians).get_epsilon_for_delta(delta)), simple)


def _simple(counts: Times, pure: Times, gaussians: Times, delta: float) -> float:
    """The better of two bounds that hold too: basic composition, tighter for a few large losses, and zCDP."""
    two_valued = [(Fraction(epsilon), times) for epsilon, times in (*counts, *pure)]
    basic = math.inf if gaussians else float(sum(epsilon * times for epsilon, times in two_valued))
    if delta < SMALLEST_DELTA:
        return basic
    # Bun and Steinke, "Concentrated Differential Privacy", TCC 2016, propositions 1.3, 1.4 and 1.6; discrete Gaussians:
    # Canonne, Kamath and Steinke, NeurIPS 2020, theorem 4.
    rho = sum(float(epsilon) ** 2 / 2 * times for epsilon, times in two_valued)
    rho += sum((largest / sigma) ** 2 / 2 * times for sigma, largest, times in _bells(gaussians))
    return min(basic, (rho + 2 * math.sqrt(rho * math.log(1 / delta))) * _ROUNDED)


def _composed(counts: Times, pure: Times, gaussians: Times) -> Any:
    """The privacy loss distribution of everything together."""
    # The worst of all epsilon-DP mechanisms loses +epsilon or -epsilon, as does discrete Laplace noise on one unit
    # (Kairouz, Oh and Viswanath, "The Composition Theorem for Differential Privacy", 2015).
    two_valued = [(float(epsilon), times) for epsilon, times in (*counts, *pure)]
    bells = _bells(gaussians)
    step = _step([*two_valued, *((largest / sigma, times) for sigma, largest, times in bells)])
    parts = [_laplace(epsilon, step).self_compose(times) for epsilon, times in two_valued]
    parts += [_gaussian(sigma, largest, step).self_compose(times) for sigma, largest, times in bells]
    return reduce(lambda whole, part: whole.compose(part), parts)


def _bells(gaussians: Times) -> list[tuple[float, int, int]]:
    """Sigma, by how much one person changes a count, and how many counts."""
    return [(float(key.partition(":")[0]), int(key.partition(":")[2]), times) for key, times in gaussians]


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
