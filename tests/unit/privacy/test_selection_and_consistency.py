import itertools

import pytest

from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.consistency import NoisyLevel, apportion, settle
from pipeline.privacy.levels import Level, LevelKey
from pipeline.privacy.selection import remainder_threshold, threshold

K50 = K(50)


def level(*dimensions: str, epsilon: float = 1.0, max_groups: int = 1, largest: int = 1) -> Level:
    key = LevelKey("t" if max_groups > 1 else "", dimensions, max_groups)
    return Level(key, largest, Epsilon.of(epsilon), Delta.of("1e-8"), Delta.of("1e-8"), Epsilon.of(1))


@pytest.mark.parametrize(("max_groups", "largest", "epsilon"), [(1, 1, 1.0), (3, 1, 1.0), (3, 3, 0.5), (1, 1, 0.05)])
def test_a_group_of_k_is_released_with_at_most_its_share_of_delta(
    max_groups: int, largest: int, epsilon: float
) -> None:
    one = level("section", max_groups=max_groups, largest=largest, epsilon=epsilon)
    most = K50.value * largest  # the most that k people can contribute
    released = one.noise.upper_tail(threshold(one, K50) - most)
    assert 1 - (1 - released) ** max_groups <= 1e-8
    assert 1 - (1 - one.noise.upper_tail(threshold(one, K50) - 1 - most)) ** max_groups > 1e-8


def test_the_continuous_formula_would_exceed_delta() -> None:
    noise = level("country").noise
    continuous = 1 - (-18.42068074 + 0.69314718)  # 1 - ln(2 delta), epsilon 1, delta 1e-8
    assert noise.upper_tail(-int(-continuous // 1) - 1) > 1e-8


def test_half_of_the_groups_of_69_are_kept_at_epsilon_1() -> None:
    one = level("country")
    assert one.noise.upper_tail(threshold(one, K50) - 69) > 0.5 > one.noise.upper_tail(threshold(one, K50) - 68)


def test_without_noise_the_threshold_is_k() -> None:
    exact = Level(
        LevelKey("", ("c",), 1), 1, Epsilon.infinite(), Delta.of("1e-8"), Delta.of("1e-8"), Epsilon.infinite()
    )
    assert threshold(exact, K50) == 50


def test_a_remainder_needs_more_with_each_sibling_that_is_subtracted() -> None:
    points = [remainder_threshold(level(), level("country"), released, K50) for released in (0, 1, 10, 100)]
    assert points[0] > K50.value
    assert all(low < high for low, high in itertools.pairwise(points))


KEYS = [("a",), ("b",), ("c",), ("d",)]


def families(counts: dict[str, int], total: int, *, exposed: bool) -> tuple[dict[str, int], set[str], int | None]:
    parent = NoisyLevel(level(), {(): total}, frozenset())
    groups: dict[tuple[str, ...], int] = {(name,): count for name, count in counts.items()}
    child = NoisyLevel(level("country"), groups, frozenset([()]) if exposed else frozenset())
    family = settle(parent, child, (), total, KEYS, K50)
    return {k[0]: v for k, v in family.values.items()}, {k[0] for k in family.folded}, family.remainder


def test_a_large_remainder_stands_alone() -> None:
    assert families({"a": 500, "b": 200}, 1500, exposed=False) == ({"a": 500, "b": 200}, set(), 800)


def test_a_remainder_of_few_people_takes_the_smallest_sibling_in() -> None:
    assert families({"a": 500, "b": 200}, 1500, exposed=True) == ({"a": 500}, {"b"}, 1000)


def test_an_estimate_that_proves_nothing_takes_the_smallest_sibling_in() -> None:
    assert families({"a": 500, "b": 200}, 760, exposed=False) == ({"a": 500}, {"b"}, 260)


def test_a_remainder_never_reads_as_fewer_than_k() -> None:
    values, folded, remainder = families({"a": 500, "b": 60, "c": 70}, 520, exposed=True)
    assert (values, folded, remainder) == ({}, {"a", "b", "c"}, 520)


def test_where_every_key_is_released_the_parts_are_shifted_to_the_total() -> None:
    values, folded, remainder = families({"a": 500, "b": 300, "c": 100, "d": 60}, 970, exposed=True)
    assert (sum(values.values()), folded, remainder) == (970, set(), None)
    assert all(abs(values[name] - count) <= 3 for name, count in zip("abcd", (500, 300, 100, 60), strict=True))


def test_shares_are_whole_add_up_and_respect_the_minimum() -> None:
    shares = apportion({("a",): 100, ("b",): 51, ("c",): 50}, 170, 50)
    assert shares == {("a",): 70, ("b",): 50, ("c",): 50}
