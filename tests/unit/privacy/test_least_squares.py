"""The closed forms against the dense projection, and what every estimate must be: unbiased, agreeing, no worse."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.errors import SpecificationError
from pipeline.privacy.least_squares import Grouping, crossed_core, least_squares
from tests.projection import Keys, as_matrix, cell_sums, estimated, noisy_counts, projected

KEYS: Keys = {"a": ("1", "2", "3"), "b": ("x", "y"), "c": ("p", "q", "r"), "d": ("m", "n"), "e": None}
LISTED: Keys = {name: listed for name, listed in KEYS.items() if listed is not None}
# No two of these share a dimension outside the beginning that they share.
TREES = [
    [(), ("a",), ("a", "b"), ("a", "b", "c")],
    [(), ("a",), ("a", "b"), ("a", "c"), ("d",)],
    [(), ("b",), ("a",), ("a", "c"), ("a", "c", "d")],
    [(), ("a",), ("a", "e"), ("a", "e", "b"), ("c",), ("c", "d")],
    [(), ("e",), ("e", "a"), ("b",), ("b", "c"), ("b", "d")],
]
CROSSED = [
    [(), ("a",), ("b",), ("a", "b")],
    [(), ("a",), ("a", "b"), ("b",), ("b", "a")],
    [(), ("a",), ("a", "b"), ("c",), ("c", "b")],  # share b, which is no level
    [(), ("a",), ("b",), ("c",), ("a", "b"), ("b", "c"), ("a", "c")],
    [(), ("a",), ("a", "b"), ("a", "b", "d"), ("b",), ("b", "d"), ("c",), ("c", "a")],
]
# A core of (a), (b) and (a, b), and levels below and beside it that are not complete.
HANGING = [(), ("a",), ("b",), ("a", "b"), ("a", "b", "c"), ("b", "d"), ("b", "d", "e"), ("c",), ("c", "d")]
INCOMPLETE = (("a", "b", "c"), ("b", "d"), ("c", "d"))


def cells(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(itertools.product(*(KEYS[name] or ("s", "t") for name in names)))


def made(
    levels: Sequence[tuple[str, ...]], seed: int, missing: float = 0.0, only: Sequence[tuple[str, ...]] | None = None
) -> list[Grouping]:
    """Noise alone, levels of unequal variance; a share of the cells was not released."""
    chance = random.Random(seed)  # noqa: S311
    groupings = []
    for names in levels:
        kept = [cell for cell in cells(names) if (only is not None and names not in only) or chance.random() >= missing]
        variance = chance.choice([0.5, 1.0, 4.0, 30.0])
        groupings.append(Grouping(names, {cell: chance.gauss(0, 10) for cell in kept}, variance))
    return groupings


def test_a_family_and_its_parent_share_what_they_know() -> None:
    levels = [Grouping((), {(): 100.0}, 1.0), Grouping(("b",), {("x",): 60.0, ("y",): 50.0}, 1.0)]
    estimates = least_squares(levels, KEYS)
    total, part = estimates[()][()], estimates[("b",)][("x",)]
    # 100 with variance 1 and 110 with variance 2 have the mean 310 / 3.
    assert total.value == pytest.approx(310 / 3)
    assert part.value == pytest.approx(60 - 10 / 3)
    for estimate in (total, part):
        assert (estimate.variance, estimate.own_weight) == pytest.approx((2 / 3, 2 / 3))


@pytest.mark.parametrize("names", [("b",), ("e",)], ids=["a key is missing", "keys are private"])
def test_a_family_that_is_not_complete_stays_as_it_is(names: tuple[str, ...]) -> None:
    counts: dict[tuple[str, ...], float] = {("x",): 60.0} if names == ("b",) else {("s",): 60.0, ("t",): 50.0}
    estimates = least_squares([Grouping((), {(): 100.0}, 1.0), Grouping(names, counts, 2.0)], KEYS)
    assert estimates[()][()].value == 100
    assert {cell: estimate.value for cell, estimate in estimates[names].items()} == counts
    assert {(estimate.variance, estimate.own_weight) for estimate in estimates[names].values()} == {(2.0, 1.0)}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("levels", TREES, ids=str)
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.3])
def test_drill_downs_with_missing_cells_equal_the_projection(
    levels: list[tuple[str, ...]], missing: float, seed: int
) -> None:
    agrees_with_projection(made(levels, seed, missing))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", CROSSED, ids=str)
def test_complete_crossed_tables_equal_the_projection(levels: list[tuple[str, ...]], seed: int) -> None:
    groupings = made(levels, seed)
    assert crossed_core(groupings, KEYS) == set(levels)
    agrees_with_projection(groupings)


@pytest.mark.parametrize("seed", range(20))
def test_random_sets_of_complete_tables_equal_the_projection(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    orders = [order for size in (2, 3) for order in itertools.permutations(LISTED, size)]
    leaves = chance.sample(orders, 3)
    levels = sorted({leaf[:depth] for leaf in leaves for depth in range(len(leaf) + 1)}, key=len)
    agrees_with_projection(made(levels, seed))


@pytest.mark.parametrize("seed", range(6))
def test_a_drill_down_beside_the_core_informs_the_total(seed: int) -> None:
    levels = [(), ("a",), ("b",), ("a", "b"), ("c",), ("c", "d")]
    groupings = made(levels, seed, 0.2, only=[("c", "d")])
    assert crossed_core(groupings, KEYS) == {(), ("a",), ("b",), ("a", "b")}
    agrees_with_projection(groupings)


def agrees_with_projection(groupings: list[Grouping]) -> None:
    shown = {name for grouping in groupings for name in grouping.dimensions}
    keys = {name: listed for name, listed in KEYS.items() if name in shown}
    values, variances, weights = estimated(groupings, keys)
    expected, expected_variances = projected(groupings, keys)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    np.testing.assert_allclose(variances, expected_variances, rtol=1e-9)
    np.testing.assert_allclose(weights, expected_variances / noisy_counts(groupings)[1], rtol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_below_the_core_estimates_are_unbiased_with_exact_variances_and_weights(seed: int) -> None:
    groupings = made(HANGING, seed, 0.1, only=INCOMPLETE)
    _, variances, weights = estimated(groupings, KEYS)
    effect, sums = as_matrix(groupings, KEYS), cell_sums(groupings, KEYS)
    np.testing.assert_allclose(effect @ sums, sums, atol=1e-9)  # true counts of anybody come out as they are
    np.testing.assert_allclose(variances, effect**2 @ noisy_counts(groupings)[1], rtol=1e-9)
    np.testing.assert_allclose(weights, np.diag(effect), atol=1e-9)


def test_errors_of_thousands_of_draws_have_mean_zero_and_the_stated_variance() -> None:
    groupings = made(HANGING, 3, 0.1, only=INCOMPLETE)
    _, variances, _ = estimated(groupings, KEYS)
    sd = np.sqrt(noisy_counts(groupings)[1])
    draws = 8000
    noise = np.random.default_rng(5).laplace(0, sd / np.sqrt(2), (draws, len(sd)))
    errors = noise @ as_matrix(groupings, KEYS).T
    assert np.abs(errors.mean(axis=0) / np.sqrt(variances / draws)).max() < 4.5
    np.testing.assert_allclose(errors.var(axis=0), variances, rtol=0.15)
    assert np.mean(errors.var(axis=0) / variances) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("levels", [*TREES, *CROSSED], ids=str)
def test_no_estimate_is_worse_than_its_own_count(levels: list[tuple[str, ...]]) -> None:
    for seed in range(10):
        groupings = made(levels, seed, 0.2 if levels in TREES else 0.0, only=levels[1:])
        _, variances, weights = estimated(groupings, KEYS)
        assert (variances <= noisy_counts(groupings)[1] * (1 + 1e-12)).all()
        assert (weights <= 1 + 1e-12).all()
        assert (weights > 0).all()


def test_below_the_core_no_estimate_is_worse_where_each_family_has_more_noise_than_its_parent() -> None:
    for seed in range(10):
        groupings = [Grouping(g.dimensions, g.counts, 2.0) for g in made(HANGING, seed, 0.1, only=INCOMPLETE)]
        assert (estimated(groupings, KEYS)[1] <= 2 + 1e-12).all()


@pytest.mark.parametrize("levels", CROSSED, ids=str)
def test_tables_agree_on_every_total_they_share(levels: list[tuple[str, ...]]) -> None:
    groupings = [
        Grouping(g.dimensions, {cell: 1e6 + 1e3 * count for cell, count in g.counts.items()}, g.variance)
        for g in made(levels, 1)
    ]
    estimates = least_squares(groupings, KEYS)
    for one, other in itertools.combinations(levels, 2):
        shared = sorted(set(one) & set(other))
        totals = [summed({c: e.value for c, e in estimates[names].items()}, names, shared) for names in (one, other)]
        assert totals[0] == pytest.approx(totals[1], rel=1e-9)


def summed(
    counts: dict[tuple[str, ...], float], names: tuple[str, ...], onto: list[str]
) -> dict[tuple[str, ...], float]:
    totals: dict[tuple[str, ...], float] = {}
    for cell, count in counts.items():
        key = tuple(cell[names.index(name)] for name in onto)
        totals[key] = totals.get(key, 0) + count
    return totals


@pytest.mark.parametrize("levels", [TREES[0], CROSSED[0], HANGING], ids=str)
def test_without_noise_every_count_stays_as_it_is(levels: list[tuple[str, ...]]) -> None:
    groupings = [Grouping(g.dimensions, g.counts, 0.0) for g in made(levels, 2)]
    estimates = least_squares(groupings, KEYS)
    for grouping in groupings:
        assert {c: e.value for c, e in estimates[grouping.dimensions].items()} == grouping.counts
        assert {(e.variance, e.own_weight) for e in estimates[grouping.dimensions].values()} == {(0.0, 1.0)}


@pytest.mark.parametrize("levels", [TREES[0], CROSSED[3]], ids=str)
def test_an_exact_level_counts_like_one_with_next_to_no_noise(levels: list[tuple[str, ...]]) -> None:
    groupings = made(levels, 4)
    exact, nearly = (
        [Grouping(g.dimensions, g.counts, variance if g.dimensions == ("a",) else g.variance) for g in groupings]
        for variance in (0.0, 1e-9)
    )
    for one, other in zip(estimated(exact, KEYS), estimated(nearly, KEYS), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_level_is_in_the_core_only_if_all_of_its_prefixes_are_complete() -> None:
    groupings = made([(), ("a",), ("a", "b"), ("b",)], 1)
    short = dict(itertools.islice(groupings[1].counts.items(), 2))
    groupings[1] = Grouping(("a",), short, 1.0)
    assert crossed_core(groupings, KEYS) == set()
    assert set(least_squares(groupings, KEYS)[("a",)]) == set(short)


def test_nothing_released_gives_nothing() -> None:
    levels = [Grouping((), {}, 1.0), Grouping(("a",), {}, 1.0)]
    assert least_squares(levels, KEYS) == {(): {}, ("a",): {}}


def test_a_key_outside_its_public_list_is_refused() -> None:
    with pytest.raises(SpecificationError, match="public key lists"):
        least_squares([Grouping((), {(): 1.0}, 1.0), Grouping(("b",), {("x",): 1.0, ("z",): 2.0}, 1.0)], KEYS)
