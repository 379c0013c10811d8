import decimal
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from pipeline.errors import SpecificationError
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.gaussian import LARGEST_SIGMA, DiscreteGaussian
from pipeline.privacy.noise import LARGEST_COUNT, DiscreteLaplace, Noise, _Geometric, add_noise, sum_half_width

NOISES = (DiscreteLaplace(Epsilon.of(1), 1), DiscreteLaplace(Epsilon.of("0.05"), 3), DiscreteGaussian(0.4))
EITHER = (*NOISES, DiscreteGaussian(7.3), DiscreteGaussian(60.0))


def mass(noise: Noise, reach: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Probabilities of -reach to reach, by the definitions of the two distributions."""
    z = np.abs(np.arange(-reach, reach + 1))
    weights = np.exp(-z / noise.scale if isinstance(noise, DiscreteLaplace) else -0.5 * (z / noise.scale) ** 2)
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
    return found


def test_shares_of_a_budget_add_up_exactly() -> None:
    epsilon = Epsilon.of("0.1")
    parts = [epsilon.share(Fraction(1, 3)).exact for _ in range(3)]
    assert sum(part for part in parts if part is not None) == Fraction(1, 10)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "ten"])
def test_epsilon_is_positive_and_finite(value: float | str) -> None:
    with pytest.raises(SpecificationError, match="epsilon must be"):
        Epsilon.of(value)


@pytest.mark.parametrize("value", [0, 1, -1e-9, float("nan"), float("inf")])
def test_delta_lies_strictly_between_0_and_1(value: float) -> None:
    with pytest.raises(SpecificationError, match="delta must"):
        Delta.of(value)


@pytest.mark.parametrize("value", [1, 0, -5, 2.5, True, 10**9, float("nan"), float("inf")])
def test_k_is_a_whole_number_of_at_least_2(value: int) -> None:
    with pytest.raises(SpecificationError, match="k must be"):
        K(value)


@pytest.mark.parametrize("noise", EITHER)
def test_a_tail_point_is_the_smallest_that_holds(noise: Noise) -> None:
    for probability in (1e-3, 1e-8, 1e-15, 1e-40):
        point = noise.tail_point(probability)
        assert noise.upper_tail(point) <= probability < noise.upper_tail(point - 1)


@pytest.mark.parametrize("noise", EITHER)
def test_a_half_width_is_the_smallest_that_holds(noise: Noise) -> None:
    half = noise.half_width()
    inside = 1 - 2 * noise.upper_tail(half + 1)
    assert inside >= 0.95 > (1 - 2 * noise.upper_tail(half) if half else 0)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 7.3, 60.0])
def test_tails_of_the_gaussian_are_exact(sigma: float) -> None:
    with decimal.localcontext(prec=60):
        square = 2 * Decimal(sigma) ** 2
        weights = [(-(Decimal(z) ** 2) / square).exp() for z in range(int(40 * sigma) + 20)]
        whole = 2 * sum(weights, Decimal(0)) - 1
        for at_least in (1, math.ceil(sigma), math.ceil(3 * sigma), math.ceil(6 * sigma), math.ceil(20 * sigma)):
            exact = sum(weights[at_least:], Decimal(0)) / whole
            found = DiscreteGaussian(sigma).upper_tail(at_least)
            assert abs(Decimal(found) / exact - 1) < 1e-12
            assert DiscreteGaussian(sigma).upper_tail(1 - at_least) == pytest.approx(float(1 - exact), abs=1e-15)


def test_tails_of_the_laplace_are_exact_at_scales_of_sums_of_money() -> None:
    noise, at_least = DiscreteLaplace(Epsilon.of("0.1"), 90_000_000), 20 * 900_000_000
    with decimal.localcontext(prec=60):
        decay = (-1 / (Decimal(90_000_000) / Decimal("0.1"))).exp()
        exact = decay**at_least / (1 + decay)
    assert noise.upper_tail(at_least) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("noise", EITHER)
def test_the_standard_deviation_is_that_of_the_masses(noise: Noise) -> None:
    reach = math.ceil(50 * noise.scale)
    exact = math.sqrt(np.sum(np.arange(-reach, reach + 1) ** 2 * mass(noise, reach)))
    assert noise.sd == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("noise", EITHER)
def test_moments_are_bounded_from_above_and_closely(noise: Noise) -> None:
    reach = math.ceil(120 * noise.scale) + 40
    for rate in np.array([0.1, 0.5, 0.9]) / max(noise.scale, 1):
        exact = math.log(np.sum(np.exp(rate * np.arange(-reach, reach + 1)) * mass(noise, reach)))
        assert exact - 1e-9 <= noise.log_moment(rate) <= max(1.01 * exact, exact + rate**2 * noise.scale**2 / 2)


@pytest.mark.parametrize("noise", EITHER)
def test_a_sum_of_one_noise_is_as_wide_as_the_noise(noise: Noise) -> None:
    for confidence in (0.5, 0.95, 0.999):
        assert sum_half_width([(noise, 1)], confidence) == noise.half_width(confidence)


def test_a_sum_of_both_noises_is_exactly_as_wide_as_their_convolution() -> None:
    laplace = DiscreteLaplace(Epsilon.of("0.2"), 1)
    parts: list[tuple[Noise, int]] = [(laplace, 2), (DiscreteGaussian(4.5), 3), (DiscreteGaussian(0.4), 1)]
    whole = np.ones(1)
    for noise, times in parts:
        for _ in range(times):
            whole = np.convolve(whole, mass(noise, math.ceil(45 * noise.scale)))
    middle = len(whole) // 2
    inside = [float(whole[middle - q : middle + q + 1].sum()) for q in range(middle)]
    for confidence in (0.5, 0.95, 0.999):
        exact = next(q for q, found in enumerate(inside) if found >= confidence)
        assert sum_half_width(parts, confidence) == exact


def test_sums_of_very_large_noises_are_wider_by_one_part_in_ten_thousand_at_most() -> None:
    for noise in (DiscreteLaplace(Epsilon.of("0.1"), 90_000_000), DiscreteGaussian(LARGEST_SIGMA)):
        for confidence in (0.9, 0.95, 0.96, 0.97, 0.98, 0.99):
            exact = noise.half_width(confidence)
            assert exact <= sum_half_width([(noise, 1), (DiscreteGaussian(3.0), 4)], confidence) <= exact * 1.0001


def test_without_noise_counts_stay_and_nothing_is_uncertain() -> None:
    noise = DiscreteLaplace(Epsilon.infinite(), 1)
    assert add_noise([3, 5], noise.randomiser()) == [3, 5]
    assert (noise.sd, noise.half_width(), noise.tail_point(1e-9), sum_half_width([(noise, 4)])) == (0, 0, 0, 0)


@pytest.mark.parametrize("noise", [NOISES[0], DiscreteGaussian(3.0)])
@pytest.mark.parametrize("count", [-1, LARGEST_COUNT + 1])
def test_a_count_that_noise_cannot_be_added_to_is_refused(noise: Noise, count: int) -> None:
    with pytest.raises(SpecificationError, match="a count must lie between"):
        add_noise([10, count], noise.randomiser())


def test_counts_up_to_the_largest_stay_whole_numbers_near_by() -> None:
    for noise in (DiscreteLaplace(Epsilon.of("0.1"), 1000), DiscreteGaussian(LARGEST_SIGMA)):
        drawn = add_noise([LARGEST_COUNT] * 20, noise.randomiser())
        assert all(abs(count - LARGEST_COUNT) < 100 * noise.scale for count in drawn)
        assert len(set(drawn)) > 15


def test_noise_that_would_leave_the_whole_numbers_is_refused() -> None:
    with pytest.raises(SpecificationError, match="scale of at most"):
        DiscreteLaplace(Epsilon.of("1e-10"), 1)


@pytest.mark.parametrize("sigma", [0, -1, math.nan, math.inf, LARGEST_SIGMA * 1.001])
def test_a_sigma_out_of_bounds_is_refused(sigma: float) -> None:
    with pytest.raises(SpecificationError, match="must have a sigma above 0 and of at most 100000"):
        DiscreteGaussian(sigma)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_one_draw_that_overflows_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    randomiser = _Geometric(1.0, 1)
    uniform = iter([0.5, 0.5, 0.25])
    monkeypatch.setattr(randomiser._mechanism._rng, "random", lambda: next(uniform))
    assert isinstance(randomiser.randomise(10), int)
    assert next(uniform, None) is None


def test_noise_comes_from_the_operating_system() -> None:
    import secrets

    assert isinstance(_Geometric(1.0, 1)._mechanism._rng, secrets.SystemRandom)
