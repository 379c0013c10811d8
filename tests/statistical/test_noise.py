"""Goodness of fit: the right scale is accepted, one 30 % off is rejected, at p = 1e-20 so that it never flakes."""

import numpy as np
import pytest
from scipy import stats

from pipeline.privacy.budget import Epsilon
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.noise import DiscreteLaplace, Noise, add_noise, sum_half_width

DRAWS = 100_000
NEVER = 1e-20


def p_value(draws: list[int], noise: Noise) -> float:
    """Chi-squared test against the distribution, in cells of whole numbers that expect at least 100 draws each."""
    edge = -noise.tail_point(100 / DRAWS) + 1  # a cell begins at each edge; below the first lies the lower tail
    edges, tails = [edge], [noise.upper_tail(edge)]
    while tails[-1] > 200 / DRAWS:
        edge += 1
        if (tail := noise.upper_tail(edge)) <= tails[-1] - 100 / DRAWS:
            edges.append(edge)
            tails.append(tail)
    beyond = np.array([1, *tails, 0])
    counts = np.bincount(np.searchsorted(edges, draws, side="right"), minlength=len(edges) + 1)
    return float(stats.chisquare(counts, DRAWS * -np.diff(beyond)).pvalue)


def noise_of(draws: int, noise: Noise) -> list[int]:
    return [count - 10**6 for count in add_noise([10**6] * draws, noise.randomiser())]


@pytest.mark.parametrize(("epsilon", "sensitivity"), [(1.0, 1), (0.1, 1), (0.5, 3)])
def test_counts_get_discrete_laplace_noise_of_their_scale_and_of_no_other(epsilon: float, sensitivity: int) -> None:
    noise = DiscreteLaplace(Epsilon.of(epsilon), sensitivity)
    draws = noise_of(DRAWS, noise)
    assert p_value(draws, noise) > NEVER
    for factor in (0.7, 1.3):
        assert p_value(draws, DiscreteLaplace(Epsilon.of(epsilon * factor), sensitivity)) < NEVER
    assert p_value(draws, DiscreteGaussian(noise.sd)) < NEVER


@pytest.mark.parametrize("sigma", [0.6, 7.3, 150.0])
def test_counts_get_discrete_gaussian_noise_of_their_sigma_and_of_no_other(sigma: float) -> None:
    noise = DiscreteGaussian(sigma)
    draws = noise_of(DRAWS, noise)
    assert p_value(draws, noise) > NEVER
    for factor in (0.7, 1.3):
        assert p_value(draws, DiscreteGaussian(sigma * factor)) < NEVER
    assert p_value(draws, DiscreteLaplace(Epsilon.of(1), round(1.5 * sigma))) < NEVER


@pytest.mark.parametrize("noise", [DiscreteLaplace(Epsilon.of(0.1), 1), DiscreteGaussian(14.0)])
def test_two_randomisers_do_not_repeat_each_other(noise: Noise) -> None:
    first, second = (add_noise([0] * 1000, noise.randomiser()) for _ in range(2))
    assert first != second
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_draws_of_one_list_are_independent_of_each_other() -> None:
    draws = noise_of(10_000, DiscreteGaussian(14.0))
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.1  # ten standard deviations


def test_95_percent_intervals_of_sums_hold_95_percent_of_sums() -> None:
    parts: list[tuple[Noise, int]] = [
        (DiscreteLaplace(Epsilon.of(0.5), 1), 3),
        (DiscreteLaplace(Epsilon.of(0.2), 1), 1),
        (DiscreteGaussian(4.0), 2),
    ]
    sums = np.sum([add_noise([0] * 20_000, noise.randomiser()) for noise, times in parts for _ in range(times)], axis=0)
    inside = float(np.mean(np.abs(sums) <= sum_half_width(parts)))
    assert 0.94 < inside < 0.965
