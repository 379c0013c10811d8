"""Goodness of fit: the right scale is accepted, one 30 % off is rejected, at p = 1e-20 so that it never flakes."""

import numpy as np
import pytest
from scipy import stats

from pipeline.privacy.budget import Epsilon
from pipeline.privacy.noise import DiscreteLaplace, add_noise

DRAWS = 100_000
NEVER = 1e-20


def p_value(draws: list[int], noise: DiscreteLaplace) -> float:
    """Chi-squared test against the distribution, tails pooled so that every cell expects at least 100 draws."""
    edge = noise.tail_point(100 / DRAWS) - 1
    cells = np.arange(-edge, edge + 1)
    inside = (1 - noise.decay) / (1 + noise.decay) * noise.decay ** np.abs(cells)
    tail = noise.upper_tail(edge + 1)
    observed = np.array(draws)
    counts = [np.sum(observed < -edge), *(np.sum(observed == cell) for cell in cells), np.sum(observed > edge)]
    return float(stats.chisquare(counts, DRAWS * np.array([tail, *inside, tail])).pvalue)


@pytest.mark.parametrize(("epsilon", "sensitivity"), [(1.0, 1), (0.1, 1), (0.5, 3)])
def test_counts_get_discrete_laplace_noise_of_their_scale_and_of_no_other(epsilon: float, sensitivity: int) -> None:
    noise = DiscreteLaplace(Epsilon.of(epsilon), sensitivity)
    draws = [count - 10**6 for count in add_noise([10**6] * DRAWS, noise.randomiser())]
    assert p_value(draws, noise) > NEVER
    for factor in (0.7, 1.3):
        assert p_value(draws, DiscreteLaplace(Epsilon.of(epsilon * factor), sensitivity)) < NEVER


def test_two_randomisers_do_not_repeat_each_other() -> None:
    noise = DiscreteLaplace(Epsilon.of(0.1), 1)
    first, second = (add_noise([0] * 1000, noise.randomiser()) for _ in range(2))
    assert first != second
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_95_percent_intervals_of_sums_hold_95_percent_of_sums() -> None:
    parts = [(DiscreteLaplace(Epsilon.of(0.5), 1), 3), (DiscreteLaplace(Epsilon.of(0.2), 1), 1)]
    from pipeline.privacy.noise import sum_half_width

    sums = np.sum([add_noise([0] * 20_000, noise.randomiser()) for noise, times in parts for _ in range(times)], axis=0)
    inside = float(np.mean(np.abs(sums) <= sum_half_width(parts)))
    assert 0.94 < inside < 0.965
