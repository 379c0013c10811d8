"""Whatever the noise and whatever is missing: estimates equal the projection, displayed counts agree exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.privacy.least_squares import Grouping
from pipeline.privacy.marginals import margin
from pipeline.privacy.whole_numbers import agreeing, apportion, by_construction
from tests.projection import Keys, estimated, noisy_counts, projected

Shape = tuple[int, ...]
Tables = dict[tuple[str, ...], NDArray[np.float64]]
KEYS: Keys = {"a": ("1", "2", "3"), "b": ("x", "y"), "c": None, "d": ("m", "n")}
# A tree: these share no dimension outside the beginning that they share.
TREE = [(), ("a",), ("a", "b"), ("a", "c"), ("d",)]


@st.composite
def trees(draw: st.DrawFn) -> list[Grouping]:
    """Any cells released, any counts, any variances."""
    groupings = []
    for names in TREE:
        possible = list(itertools.product(*(KEYS[name] or ("s", "t") for name in names)))
        released = draw(st.lists(st.sampled_from(possible), unique=True)) if names else [()]
        counts = {cell: draw(st.floats(-1e4, 1e4)) for cell in released}
        groupings.append(Grouping(names, counts, draw(st.sampled_from([0.1, 1.0, 7.0, 100.0]))))
    return groupings


@given(trees())
@settings(max_examples=60, deadline=None)
def test_drill_downs_equal_the_projection(groupings: list[Grouping]) -> None:
    values, variances, weights = estimated(groupings, KEYS)
    expected, expected_variances = projected(groupings, KEYS)
    assert values == pytest.approx(expected, abs=1e-6)
    assert variances == pytest.approx(expected_variances, rel=1e-8)
    assert weights == pytest.approx(variances / noisy_counts(groupings)[1], rel=1e-8)


fractions = st.dictionaries(
    st.integers().map(lambda n: (str(n),)), st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=20
)


@given(fractions, st.integers(0, 10**7), st.integers(1, 60))
def test_apportioned_counts_add_up_and_keep_their_order(
    estimates: dict[tuple[str, ...], float], extra: int, least: int
) -> None:
    total = least * len(estimates) + extra
    shares = apportion(estimates, total, least)
    assert sum(shares.values()) == total
    assert min(shares.values()) >= least
    ascending = sorted(estimates, key=lambda cell: estimates[cell])
    assert all(shares[one] <= shares[other] + 1 for one, other in itertools.pairwise(ascending))


@given(fractions)
def test_estimates_that_add_up_are_only_rounded(estimates: dict[tuple[str, ...], float]) -> None:
    total = round(sum(estimates.values()))
    shift = (total - sum(estimates.values())) / len(estimates)
    shares = apportion(estimates, total, -(10**8))
    assert all(abs(shares[cell] - estimates[cell] - shift) < 1 + 1e-6 for cell in estimates)


@st.composite
def crossed(draw: st.DrawFn) -> Tables:
    """Marginals of any table over a, b and c, cells under the minimum included; at least one pair crosses."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    cell = st.one_of(st.floats(-20, 60), st.floats(0, 5000))
    people = np.array(draw(st.lists(cell, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))).reshape(shape)
    pairs = draw(
        st.lists(st.sampled_from([("a", "b"), ("b", "c"), ("a", "c"), ("a", "b", "c")]), min_size=1, unique=True)
    )
    levels = {(), *((name,) for pair in pairs for name in pair), *pairs}
    return {names: margin(people, ("a", "b", "c"), names) for names in sorted(levels)}


def agree_exactly(whole: Tables) -> bool:
    pairs = itertools.combinations(whole, 2)
    shared = [(one, other, sorted(set(one) & set(other))) for one, other in pairs]
    return all(
        np.array_equal(margin(whole[one], one, part), margin(whole[other], other, part)) for one, other, part in shared
    )


@given(crossed(), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_displayed_counts_of_crossed_tables_agree_on_every_total_they_share(tables: Tables, least: int) -> None:
    sizes = {name: size for names, table in tables.items() for name, size in zip(names, table.shape, strict=True)}
    keys = {name: tuple(str(number) for number in range(size)) for name, size in sizes.items()}
    cells = {
        names: dict(zip(itertools.product(*(keys[name] for name in names)), table.ravel().tolist(), strict=True))
        for names, table in tables.items()
    }
    shown = agreeing(cells, keys, least)
    whole = {names: np.array(list(shown[names].values())).reshape(tables[names].shape) for names in tables}
    assert agree_exactly(whole)
    assert min(int(table.min()) for table in whole.values()) >= least


@given(crossed(), st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_counts_by_construction_agree_too(tables: Tables, least: int) -> None:
    whole = by_construction(tables, least)
    assert agree_exactly({names: table.astype(float) for names, table in whole.items()})
    assert min(int(table.min()) for table in whole.values()) >= least
