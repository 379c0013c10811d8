from hypothesis import given
from hypothesis import strategies as st

from pipeline.privacy.budget import K
from pipeline.privacy.consistency import follow, settle
from pipeline.privacy.whole_numbers import apportion
from tests.counts import settled

counts = st.dictionaries(st.sampled_from("abcdefgh").map(lambda key: (key,)), st.integers(50, 5000), max_size=8)


@given(counts, st.integers(50, 30_000), st.booleans(), st.integers(1, 8), st.booleans())
def test_parts_add_up_to_the_total_and_nothing_reads_as_fewer_than_k(
    released: dict[tuple[str, ...], int], total: int, exposed: bool, keys: int, private: bool
) -> None:
    listed = [(key,) for key in "abcdefgh"[:keys]]
    released = {key: count for key, count in released.items() if key in listed}
    lists = {"country": None if private else tuple("abcdefgh"[:keys])}
    levels = settled({(): {(): total}, ("country",): released}, exposed, lists, K(50))
    value = levels[()].displayed(())
    family = settle(levels[()], levels[("country",)], (), value, None if private else listed, K(50))
    shown = [*family.values.values(), *([] if family.remainder is None else [family.remainder])]
    assert sum(shown) == value
    assert all(isinstance(count, int) and count >= 50 for count in shown)
    assert set(family.values) | family.folded <= set(released)
    if exposed and family.remainder is not None and released:
        assert family.folded
    following = follow(levels[("country",)], family, 7, 3.5, ("rest",))
    assert sum(following.values()) == (7 if following else 0)
    assert set(following) == {*family.values, *([] if family.remainder is None else [("rest",)])}
    assert min(following.values(), default=0) >= 0


@given(
    st.dictionaries(st.integers().map(lambda n: (str(n),)), st.integers(0, 10**6), min_size=1), st.integers(0, 10**7)
)
def test_apportioned_counts_add_up(estimates: dict[tuple[str, ...], int], extra: int) -> None:
    total = 5 * len(estimates) + extra
    shares = apportion(estimates, total, 5)
    assert sum(shares.values()) == total
    assert min(shares.values()) >= 5
