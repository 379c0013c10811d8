from hypothesis import given
from hypothesis import strategies as st

from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.consistency import NoisyLevel, apportion, settle
from pipeline.privacy.levels import Level, LevelKey

LEVELS = [
    Level(LevelKey("", names, 1), 1, Epsilon.of(1), Delta.of("1e-8"), Delta.of("1e-8"), Epsilon.of(1))
    for names in ((), ("country",))
]
counts = st.dictionaries(st.sampled_from("abcdefgh").map(lambda key: (key,)), st.integers(50, 5000), max_size=8)


@given(counts, st.integers(50, 30_000), st.booleans(), st.integers(1, 8))
def test_parts_add_up_to_the_total_and_nothing_reads_as_fewer_than_k(
    released: dict[tuple[str, ...], int], total: int, exposed: bool, keys: int
) -> None:
    listed = [(key,) for key in "abcdefgh"[:keys]]
    parent = NoisyLevel(LEVELS[0], {(): total}, frozenset())
    child = NoisyLevel(LEVELS[1], released, frozenset([()]) if exposed else frozenset())
    family = settle(parent, child, (), total, listed, K(50))
    shown = [*family.values.values(), *([] if family.remainder is None else [family.remainder])]
    assert sum(shown) == total
    assert all(isinstance(count, int) and count >= 50 for count in shown)
    assert set(family.values) | family.folded <= set(listed) & set(released)
    if exposed and family.remainder is not None and set(released) & set(listed):
        assert family.folded


@given(
    st.dictionaries(st.integers().map(lambda n: (str(n),)), st.integers(0, 10**6), min_size=1), st.integers(0, 10**7)
)
def test_apportioned_counts_add_up(estimates: dict[tuple[str, ...], int], extra: int) -> None:
    total = 5 * len(estimates) + extra
    shares = apportion(estimates, total, 5)
    assert sum(shares.values()) == total
    assert min(shares.values()) >= 5
