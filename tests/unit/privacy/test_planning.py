import dataclasses
import io

import pytest
from rich.console import Console

from pipeline.cli_plan import show_plan
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.levels import level_keys, share_out
from pipeline.privacy.planning import alternatives, plan
from pipeline.privacy.selection import threshold
from pipeline.spec import BoundSpecification


def test_the_sizes_are_the_smallest_that_are_released_so_often(bound: BoundSpecification) -> None:
    levels = {level.key: level for level in share_out(bound)}
    for table, expected in zip(bound.tables, plan(bound).tables, strict=True):
        level = levels[level_keys(table)[-1]]
        least = threshold(level, bound.k)
        for size, probability in ((expected.size_for_half, 0.5), (expected.size_for_almost_all, 0.99)):
            assert level.noise.upper_tail(least - size) >= probability > level.noise.upper_tail(least - size + 1)


def test_a_year_that_exceeds_the_cap_says_how_many_periods_fit(bound: BoundSpecification) -> None:
    year = plan(dataclasses.replace(bound, epsilon=Epsilon.of(10))).year
    assert year.epsilon > year.cap_epsilon
    assert 3 <= year.affordable < 52


def test_more_epsilon_releases_smaller_groups_and_costs_more(bound: BoundSpecification) -> None:
    found, by_change = plan(bound), {other.change: other.plan for other in alternatives(bound)}
    more, less = by_change["epsilon doubled"], by_change["epsilon halved"]
    for one, smaller, larger in zip(found.tables, more.tables, less.tables, strict=True):
        assert smaller.size_for_half < one.size_for_half < larger.size_for_half
    assert more.year.epsilon > found.year.epsilon > less.year.epsilon
    assert len(by_change["without by_section"].tables) == len(found.tables) - 1


def test_a_plan_is_shown_in_words(bound: BoundSpecification) -> None:
    output = io.StringIO()
    show_plan(bound, Console(file=output, width=300))
    for words in ("one visitor in one week", "by_country_and_system", "without by_section", "All of them fit."):
        assert words in output.getvalue()


@pytest.mark.parametrize("size", [100, 1_000])
def test_the_error_is_half_the_interval_as_a_share(bound: BoundSpecification, size: int) -> None:
    table = plan(bound).tables[0]
    assert table.relative_error(size) == table.half_width / size
