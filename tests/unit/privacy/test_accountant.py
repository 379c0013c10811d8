import math

import pytest

from pipeline.privacy.accountant import Charge, charge, compose
from pipeline.privacy.levels import share_out
from pipeline.spec import BoundSpecification


def one(epsilon: float, times: int = 1, delta: float = 1e-9) -> Charge:
    return Charge(counts={f"{epsilon:.12g}": times}, pure={}, delta=delta)


def test_nothing_costs_nothing() -> None:
    assert compose([], 1e-5).epsilon == 0


def test_one_release_costs_no_more_than_its_epsilon(bound: BoundSpecification) -> None:
    cost = compose([charge(share_out(bound))], 1e-5)
    assert 0 < cost.epsilon <= 1.0 + 1e-9


def test_a_year_of_weeks_costs_less_than_the_sum_and_more_than_one() -> None:
    year = compose([one(0.1)] * 312, 1e-6).epsilon
    assert 1 < year < 31.2 / 2


def test_the_order_of_releases_does_not_matter() -> None:
    charges = [one(0.1), one(0.5, 2), one(0.02, 7)]
    assert compose(charges, 1e-6) == compose(charges[::-1], 1e-6)


def test_totals_over_groups_are_charged_as_the_worst_there_is_of_their_epsilon() -> None:
    worst = Charge(counts={}, pure={"0.3": 20}, delta=1e-9)
    assert compose([worst], 1e-6).epsilon > compose([one(0.1, 60)], 1e-6).epsilon


def test_deltas_that_add_up_beyond_the_cap_are_never_affordable() -> None:
    assert math.isinf(compose([one(0.1, delta=1e-6)] * 11, 1e-5).epsilon)


def test_a_release_without_noise_is_never_affordable() -> None:
    assert math.isinf(compose([Charge(counts={"inf": 1}, pure={}, delta=0, infinite=True)], 1e-5).epsilon)


def test_the_composed_epsilon_is_an_upper_bound_of_the_exact_one() -> None:
    # One discrete Laplace count: delta(e) = P[loss > e] part, by its closed form for a loss of epsilon.
    epsilon, delta = 1.0, 0.1
    a = math.exp(-epsilon)
    exact = math.log(math.exp(epsilon) * (1 - delta * (1 + a)))  # delta = (1 - e^(e - eps)) / (1 + a)
    assert compose([one(epsilon, delta=0)], delta).epsilon == pytest.approx(exact, abs=5e-3)
    assert compose([one(epsilon, delta=0)], delta).epsilon >= exact - 1e-12
