from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.privacy import whole_numbers
from pipeline.privacy.marginals import as_array
from pipeline.privacy.whole_numbers import agreeing, apportion

Tables = dict[tuple[str, ...], dict[tuple[str, ...], float]]
KEYS = {"a": tuple("123"), "b": tuple("wxyz"), "c": tuple("pqr")}
TWO_WAY = [(), ("a",), ("b",), ("a", "b"), ("b", "c"), ("c", "a")]


def tables_of(people: NDArray[np.float64], levels: list[tuple[str, ...]]) -> Tables:
    """Marginals of one joint table over a, b and c."""
    tables: Tables = {}
    for names in levels:
        gone = tuple(axis for axis, name in enumerate("abc") if name not in names)
        ordered = people.sum(axis=gone).transpose([sorted(names).index(name) for name in names])
        keys = itertools.product(*(KEYS[name] for name in names))
        tables[names] = dict(zip(keys, ordered.ravel().tolist(), strict=True))
    return tables


def disagreement(whole: dict[tuple[str, ...], dict[tuple[str, ...], int]]) -> float:
    """Largest difference of any total that two tables share."""
    worst = 0.0
    for (one, cells), (other, others) in itertools.combinations(whole.items(), 2):
        shared = [name for name in "abc" if name in one and name in other]
        sums = []
        for names, counts in ((one, cells), (other, others)):
            letters = "".join(names)
            sums.append(np.einsum(f"{letters}->{''.join(shared)}", as_array(counts, names, KEYS)))
        worst = max(worst, float(np.abs(sums[0] - sums[1]).max()))
    return worst


def distances(tables: Tables, whole: dict[tuple[str, ...], dict[tuple[str, ...], int]]) -> NDArray[np.float64]:
    return np.array(
        [abs(whole[names][cell] - value) for names, cells in tables.items() for cell, value in cells.items()]
    )


@pytest.mark.parametrize("seed", range(5))
def test_crossed_two_way_tables_are_rounded_and_agree(seed: int) -> None:
    people = np.random.default_rng(seed).gamma(1, 200, (3, 4, 3)) + 60
    tables = tables_of(people, TWO_WAY)
    whole = agreeing(tables, KEYS, 50)
    assert disagreement(whole) == 0
    assert distances(tables, whole).max() < 1
    assert all(type(count) is int for cells in whole.values() for count in cells.values())


def test_tables_of_three_dimensions_agree() -> None:
    people = np.random.default_rng(1).gamma(1, 200, (3, 4, 3)) + 60
    tables = tables_of(people, [*TWO_WAY, ("c", "a", "b")])
    whole = agreeing(tables, KEYS, 50)
    assert disagreement(whole) == 0
    assert distances(tables, whole).max() < 2


def test_bounds_widen_until_no_cell_is_under_the_minimum() -> None:
    people = np.full((3, 4, 3), 100.0)
    people[0, 0] = 11.0  # the cell (1, w) has 33 people, 17 under the minimum
    tables = tables_of(people, TWO_WAY)
    whole = agreeing(tables, KEYS, 50)
    assert disagreement(whole) == 0
    assert min(count for cells in whole.values() for count in cells.values()) == 50
    assert distances(tables, whole).max() == 17
    # People added to the cell and to every total above it would come to 102.
    assert distances(tables, whole).sum() == pytest.approx(70)


def test_without_time_to_solve_the_tables_agree_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_numbers, "SECONDS", 0.0)
    people = np.random.default_rng(2).gamma(1, 200, (3, 4, 3)) + 60
    tables = tables_of(people, [*TWO_WAY, ("a", "b", "c")])
    whole = agreeing(tables, KEYS, 50)
    assert disagreement(whole) == 0
    assert distances(tables, whole).max() < 8
    assert min(count for cells in whole.values() for count in cells.values()) >= 50


def test_a_total_alone_is_rounded() -> None:
    assert agreeing({(): {(): 70.6}}, {}, 50) == {(): {(): 71}}


def test_apportioned_estimates_keep_their_order_and_their_total() -> None:
    assert apportion({("a",): 10.6, ("b",): 20.3, ("c",): 30.1}, 61, 1) == {("a",): 11, ("b",): 20, ("c",): 30}


def test_equal_remainders_go_to_the_largest_estimate_then_by_key() -> None:
    assert apportion({("a",): 100, ("b",): 51, ("c",): 50}, 170, 50) == {("a",): 70, ("b",): 50, ("c",): 50}
    assert apportion({("b",): 0.1, ("a",): 0.1, ("c",): 0.1}, 1, 0) == {("b",): 0, ("a",): 1, ("c",): 0}


def test_whole_estimates_are_shared_out_as_before() -> None:
    assert apportion({("a",): 7, ("b",): 9, ("c",): 8}, 29, 2) == {("a",): 8, ("b",): 11, ("c",): 10}
