from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline.privacy.budget import Epsilon
from pipeline.privacy.intervals import gaussian_half_widths, laplace_half_widths, two_laplace_tail
from pipeline.privacy.least_squares import Grouping
from pipeline.privacy.noise import DiscreteLaplace
from tests.projection import as_matrix, estimated, noisy_counts

SCALES = [(1.0, 3.0), (2.0, 2.0), (2.0, 2.00001), (1.0, 1.01), (0.0, 2.0), (0.01, 1.0)]


@pytest.mark.parametrize(("one", "other"), SCALES)
def test_the_tail_of_two_laplace_variables_is_the_integral_of_their_densities(one: float, other: float) -> None:
    grid = np.linspace(-60, 60, 1_200_001)
    density = np.exp(-np.abs(grid) / other) / (2 * other)
    for q in (0.0, 0.5, 2.0, 9.0):
        beyond = q - grid
        below = np.exp(-np.abs(beyond) / (one or 1e-9)) / 2
        above = np.where(beyond > 0, below, 1 - below)  # P[X > q - y] of the first variable, given the second
        integral = 2 * np.trapezoid(above * density, grid)
        assert float(two_laplace_tail(q, one, other)) == pytest.approx(integral, abs=1e-4)
        assert float(two_laplace_tail(q, other, one)) == float(two_laplace_tail(q, one, other))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("lenders", [1, 2, 5, 40])
def test_intervals_cover_95_to_96_and_a_half_percent(share: float, lenders: int) -> None:
    chance = np.random.default_rng(lenders)
    draws = 200_000
    weights = chance.uniform(0.2, 1, lenders)
    weights *= np.sqrt((1 - share) / 2) / np.linalg.norm(weights)
    error = np.sqrt(share / 2) * chance.laplace(0, 1, draws)
    for weight in weights:
        error += weight * chance.laplace(0, 1, draws)
    covered = np.mean(np.abs(error) <= laplace_half_widths(np.sqrt(share), 1 - share))
    assert 0.9485 < covered < 0.9665


def test_intervals_of_estimates_cover_95_to_96_and_a_half_percent_in_every_cell() -> None:
    keys = {"a": ("1", "2", "3"), "b": ("x", "y", "z", "w"), "c": ("m", "n")}
    levels = [((), 9.0), (("a",), 4.0), (("b",), 4.0), (("a", "b"), 1.0), (("a", "b", "c"), 2.0)]
    groupings = []
    for names, variance in levels:
        cells = list(itertools.product(*(keys[name] for name in names)))
        released = cells[:-5] if len(names) == 3 else cells  # the deepest level is not complete
        groupings.append(Grouping(names, dict.fromkeys(released, 0.0), variance))
    _, variances, weights = estimated(groupings, keys)
    sd = np.sqrt(noisy_counts(groupings)[1])
    widths = laplace_half_widths(weights * sd, variances - (weights * sd) ** 2)
    noise = np.random.default_rng(7).laplace(0, sd / np.sqrt(2), (60_000, len(sd)))
    covered = (np.abs(noise @ as_matrix(groupings, keys).T) <= widths).mean(axis=0)
    assert covered.min() > 0.947
    assert covered.max() < 0.9665
    assert 0.95 < covered.mean() < 0.965


def test_one_noise_alone_and_none_at_all_are_exact() -> None:
    assert laplace_half_widths([1.0, 0.0], [-1e-17, 1.0]) == pytest.approx(np.log(20) / np.sqrt(2))
    assert laplace_half_widths(0.0, 0.0) == 0
    assert gaussian_half_widths([4.0, 0.0]) == pytest.approx([2 * 1.959964, 0.0])


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_half_widths_reach_the_confidence_asked_for(confidence: float) -> None:
    own, rest = np.array([0.3, 1.0, 2.0]), np.array([4.0, 1.0, 0.01])
    widths = laplace_half_widths(own, rest, confidence)
    assert two_laplace_tail(widths, own / np.sqrt(2), np.sqrt(rest / 2)) == pytest.approx(1 - confidence, abs=1e-7)


def test_rounded_outwards_an_interval_is_no_narrower_than_that_of_noise_on_whole_numbers() -> None:
    for epsilon in ("0.001", "0.05", "0.3", "0.7", "1", "2", "4", "10"):
        noise = DiscreteLaplace(Epsilon.of(epsilon), 1)
        assert 0 <= np.ceil(laplace_half_widths(noise.sd, 0.0)) - noise.half_width() <= 1
