import itertools
from dataclasses import replace

import numpy as np
import pytest

from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.consistency import settle
from pipeline.privacy.levels import Level
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.privacy.noisy import Group
from pipeline.privacy.selection import remainder_threshold, threshold
from pipeline.privacy.whole_numbers import apportion
from tests.counts import level, settled

K50 = K(50)


def tail(one: Level, at_least: int) -> float:
    assert isinstance(one.noise, DiscreteLaplace)
    return one.noise.upper_tail(at_least)


@pytest.mark.parametrize(
    ("max_groups", "deepest", "epsilon"), [(1, True, 1.0), (3, True, 1.0), (3, False, 0.5), (1, True, 0.05)]
)
def test_a_group_of_k_is_released_with_at_most_its_share_of_delta(
    max_groups: int, deepest: bool, epsilon: float
) -> None:
    one = level("section", max_groups=max_groups, deepest=deepest, epsilon=epsilon)
    most = K50.value * (1 if deepest else max_groups)  # the most that k people can contribute
    released = tail(one, threshold(one, K50) - most)
    assert 1 - (1 - released) ** max_groups <= 1e-8
    assert 1 - (1 - tail(one, threshold(one, K50) - 1 - most)) ** max_groups > 1e-8


def test_the_continuous_formula_would_exceed_delta() -> None:
    continuous = 1 - (-18.42068074 + 0.69314718)  # 1 - ln(2 delta), epsilon 1, delta 1e-8
    assert tail(level("country"), -int(-continuous // 1) - 1) > 1e-8


def test_half_of_the_groups_of_69_are_kept_at_epsilon_1() -> None:
    one = level("country")
    assert tail(one, threshold(one, K50) - 69) > 0.5 > tail(one, threshold(one, K50) - 68)


def test_without_noise_the_threshold_is_k() -> None:
    exact = level("country", epsilon=Epsilon.infinite())
    assert threshold(exact, K50) == 50


@pytest.mark.parametrize("released", [0, 1, 4])
def test_the_rule_on_remainders_shows_with_at_most_its_share_of_delta(released: int) -> None:
    """Of a neighbour with one person more than k - 1, drawn 400,000 times, at a delta that draws can show."""
    delta = Delta.of("0.01")
    parent, child = (replace(level(*names), delta_remainder=delta) for names in ((), ("country",)))
    rng = np.random.default_rng(7)
    # The difference of two geometric numbers is discrete Laplace noise.
    noises = rng.geometric(-np.expm1(-1), (2, released + 1, 400_000)).astype(int)
    noise = (noises[0] - noises[1]).sum(axis=0)
    shown = float(np.mean(K50.value + noise >= remainder_threshold(parent, child, released, K50)))
    assert shown <= 0.01 / ((released + 1) * (released + 2))


def test_a_level_that_tables_cross_shares_the_delta_of_its_remainders() -> None:
    parent, child = level(), level("browser", "operating_system")
    crossed = replace(child, totals=(level("browser").key, level("operating_system").key))
    assert remainder_threshold(parent, crossed, 3, K50) > remainder_threshold(parent, child, 3, K50)


def test_a_remainder_needs_more_with_each_sibling_that_is_subtracted() -> None:
    points = [remainder_threshold(level(), level("country"), released, K50) for released in (0, 1, 10, 100)]
    assert points[0] > K50.value
    assert all(low < high for low, high in itertools.pairwise(points))


KEYS = {"country": ("a", "b", "c", "d")}


def families(counts: dict[str, int], total: int, *, exposed: bool) -> tuple[dict[str, int], set[str], int | None]:
    groups: dict[tuple[str, ...], int] = {(name,): count for name, count in counts.items()}
    levels = settled({(): {(): total}, ("country",): groups}, exposed, KEYS, K50)
    keys = [(key,) for key in KEYS["country"]]
    family = settle(levels[()], levels[("country",)], (), levels[()].displayed(()), keys, K50)
    return {k[0]: v for k, v in family.values.items()}, {k[0] for k in family.folded}, family.remainder


def test_a_large_remainder_stands_alone() -> None:
    assert families({"a": 500, "b": 200}, 1500, exposed=False) == ({"a": 500, "b": 200}, set(), 800)


def test_a_remainder_of_few_people_takes_the_smallest_sibling_in() -> None:
    assert families({"a": 500, "b": 200}, 1500, exposed=True) == ({"a": 500}, {"b"}, 1000)


def test_an_estimate_that_proves_nothing_takes_the_smallest_sibling_in() -> None:
    assert families({"a": 500, "b": 200}, 760, exposed=False) == ({"a": 500}, {"b"}, 260)


def test_where_keys_are_private_there_is_always_a_remainder() -> None:
    counts: dict[Group, int] = {(name,): 500 for name in "abcd"}
    levels = settled({(): {(): 2000}, ("country",): counts}, False, {"country": None}, K50)
    family = settle(levels[()], levels[("country",)], (), 2000, None, K50)
    assert {name for (name,) in family.values} == {"b", "c", "d"}
    assert {name for (name,) in family.folded} == {"a"}
    assert family.remainder == 500


def test_counts_near_the_threshold_are_marked() -> None:
    one = level("country")
    reach = threshold(one, K50) + one.noise.half_width()
    counts: dict[Group, int] = {("a",): reach - 1, ("b",): reach, ("c",): threshold(one, K50)}
    levels = settled({(): {(): 2000}, ("country",): counts}, False, KEYS, K50)
    assert levels[("country",)].near == {("a",), ("c",)}


def test_a_remainder_never_reads_as_fewer_than_k() -> None:
    values, folded, remainder = families({"a": 500, "b": 60, "c": 70}, 520, exposed=True)
    assert (values, folded, remainder) == ({}, {"a", "b", "c"}, 520)


def test_where_every_key_is_released_the_parts_are_shifted_to_the_total() -> None:
    values, folded, remainder = families({"a": 500, "b": 300, "c": 100, "d": 60}, 970, exposed=True)
    # Four counts against one of the same noise: the total moves by a fifth of the difference, to 968.
    assert (sum(values.values()), folded, remainder) == (968, set(), None)
    assert all(abs(values[name] - count) <= 2 for name, count in zip("abcd", (500, 300, 100, 60), strict=True))


def test_shares_are_whole_add_up_and_respect_the_minimum() -> None:
    shares = apportion({("a",): 100, ("b",): 51, ("c",): 50}, 170, 50)
    assert shares == {("a",): 70, ("b",): 50, ("c",): 50}
