import math

import numpy as np
import pytest
from scipy.stats import binom

from pipeline.audit.claims import Claim, single
from pipeline.audit.evidence import Event, best_margin, choose, found, highest, largest_bound, lowest

ERROR = 0.01


def laplace(epsilon: float) -> Claim:
    """What Laplace noise claims of a change by epsilon scales."""
    points = np.linspace(0, epsilon, 50)
    return Claim(tuple(points), tuple(1 - np.exp((points - epsilon) / 2)))


def series(shift: float, rounds: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.laplace(shift, scale, rounds), generator.laplace(0, scale, rounds)


def test_bounds_are_those_of_clopper_and_pearson() -> None:
    low, high = float(lowest(7, 20, ERROR)), float(highest(7, 20, ERROR))
    assert binom.sf(6, 20, low) == pytest.approx(ERROR / 2)
    assert binom.cdf(7, 20, high) == pytest.approx(ERROR / 2)


def test_bounds_end_at_0_and_1() -> None:
    assert (float(lowest(0, 20, ERROR)), float(highest(20, 20, ERROR))) == (0, 1)


def test_what_is_told_apart_every_time_shows_the_largest_bound() -> None:
    first, second = np.ones(200), np.zeros(200)
    finding = found(first, second, single(0.5, 1e-6), ERROR)
    assert finding.violated
    assert finding.lower == pytest.approx(largest_bound(100, ERROR), abs=1e-4)


def test_both_directions_are_looked_at() -> None:
    assert found(np.zeros(200), np.ones(200), single(0.5, 0), ERROR).violated
    assert choose(np.zeros(50), np.ones(50), single(0.5, 0), ERROR).counts(np.zeros(3), np.ones(3)) in ((3, 0),)


def test_equal_inputs_show_nothing() -> None:
    same = np.arange(200.0)
    assert not found(same, same, single(0.0, 0.0), ERROR).violated


def test_a_true_claim_is_hardly_ever_violated() -> None:
    wrong = sum(found(*series(1.0, 100, seed), laplace(1.0), 0.05).violated for seed in range(400))
    assert wrong <= 400 * 0.05


def test_noise_three_times_too_small_is_found() -> None:
    caught = sum(found(*series(1.0, 400, seed, scale=1 / 3), laplace(1.0), ERROR).violated for seed in range(40))
    assert caught >= 36


def test_the_bound_stays_below_the_truth() -> None:
    above = sum(found(*series(1.0, 200, seed), single(0.0, 0.0), 0.05).lower > 1.0 for seed in range(200))
    assert above <= 200 * 0.05


def test_a_claim_that_lets_everything_pass_is_never_violated() -> None:
    assert not found(np.ones(100), np.zeros(100), single(0.0, 1.0), ERROR).violated


def test_halves_do_not_share_rounds() -> None:
    # What is seen in the choosing half alone proves nothing.
    first = np.where(np.arange(200) % 2 == 0, 1.0, 0.0)
    assert not found(first, np.zeros(200), single(0.1, 0.0), ERROR).violated


def test_more_rounds_find_smaller_faults() -> None:
    generator = np.random.default_rng(1)
    noise, other = generator.laplace(0, 1, 4000), generator.laplace(0, 1, 4000)
    margins = [best_margin(noise / 2 + 1, other / 2, laplace(1.0), ERROR, as_if=rounds) for rounds in (50, 500)]
    assert margins[0] < 0 < margins[1]


def test_an_event_counts_where_it_is_likelier_first() -> None:
    event = Event(0.5, above=False, reverse=True, point=0)
    assert event.counts(np.array([1.0, 1.0, 0.0]), np.zeros(4)) == (4, 1)
    assert math.isfinite(largest_bound(10, ERROR))
