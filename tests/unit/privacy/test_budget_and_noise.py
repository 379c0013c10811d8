import dataclasses
from fractions import Fraction

import pytest

from pipeline.errors import SpecificationError
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.levels import share_out
from pipeline.privacy.noise import LARGEST_COUNT, DiscreteLaplace, _Geometric, add_noise, sum_half_width
from pipeline.spec import BoundSpecification


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


def test_a_tail_point_is_the_smallest_that_holds() -> None:
    noise = DiscreteLaplace(Epsilon.of(1), 1)
    for probability in (1e-3, 1e-8, 1e-15):
        point = noise.tail_point(probability)
        assert noise.upper_tail(point) <= probability < noise.upper_tail(point - 1)


def test_without_noise_counts_stay_and_nothing_is_uncertain() -> None:
    noise = DiscreteLaplace(Epsilon.infinite(), 1)
    assert add_noise([3, 5], noise.randomiser()) == [3, 5]
    assert (noise.sd, noise.half_width(), sum_half_width([(noise, 4)])) == (0, 0, 0)


def test_a_count_that_floats_cannot_hold_is_refused() -> None:
    with pytest.raises(SpecificationError, match="a count must lie between"):
        DiscreteLaplace(Epsilon.of(1), 1).randomiser().randomise(LARGEST_COUNT + 1)


def test_noise_that_would_leave_the_whole_numbers_is_refused() -> None:
    with pytest.raises(SpecificationError, match="scale of at most"):
        DiscreteLaplace(Epsilon.of("1e-10"), 1)


def test_levels_with_too_much_noise_cannot_be_made(bound: BoundSpecification) -> None:
    with pytest.raises(SpecificationError, match="scale of at most"):
        share_out(dataclasses.replace(bound, epsilon=Epsilon.of("1e-8")))


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
