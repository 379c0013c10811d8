import dataclasses
import io
import time

import pytest
from rich.console import Console

from pipeline.cli_plan import show_plan
from pipeline.measures import Measured, Scope
from pipeline.periods import PeriodKind
from pipeline.privacy.accountant import charge, compose
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.calibration import share_out
from pipeline.privacy.levels import level_keys
from pipeline.privacy.planning import PERIODS_A_YEAR, Kind, alternatives, noise_plan, plan
from pipeline.privacy.selection import threshold
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, NoiseChoice, ReleaseSpecification, bind
from tests.builders import specification_document
from tests.counts import with_noise

LAPLACE, GAUSSIAN = NoiseChoice.LAPLACE, NoiseChoice.GAUSSIAN


@pytest.fixture
def with_events(site: SiteFile) -> BoundSpecification:
    document = specification_document()
    document["tables"][2]["measures"] = [
        {"kind": "events", "name": "requests", "title": "Requests", "max_per_group": 20},
        {"kind": "events", "name": "at_most", "title": "Requests, bounded", "max_in_all": 20},
        {"kind": "mean", "name": "each", "title": "Requests each", "of": "requests", "per": "people"},
    ]
    return bind(ReleaseSpecification.model_validate(document), site)


def shown(bound: BoundSpecification, width: int = 300) -> str:
    output = io.StringIO()
    show_plan(bound, Console(file=output, width=width))
    return output.getvalue()


@pytest.mark.parametrize("choice", [LAPLACE, GAUSSIAN])
def test_the_sizes_are_the_smallest_that_are_released_so_often(bound: BoundSpecification, choice: NoiseChoice) -> None:
    bound = with_noise(bound, choice)
    levels = {level.key: level for level in share_out(bound)}
    for table, expected in zip(bound.tables, plan(bound).tables, strict=True):
        level = levels[level_keys(table)[-1]]
        assert level.noise.mechanism == choice
        least = threshold(level, bound.k)
        for size, probability in ((expected.size_for_half, 0.5), (expected.size_for_almost_all, 0.99)):
            assert level.noise.upper_tail(least - size) >= probability > level.noise.upper_tail(least - size + 1)


def test_a_year_that_exceeds_the_cap_says_how_many_periods_fit(bound: BoundSpecification) -> None:
    dear = dataclasses.replace(bound, epsilon=Epsilon.of(10))
    year, one = plan(dear).year, charge(share_out(dear))
    assert year.epsilon > year.cap_epsilon
    assert 3 <= year.affordable < year.periods == PERIODS_A_YEAR[PeriodKind.WEEK]
    fits, exceeds = (compose([one] * times, year.cap_delta).epsilon for times in (year.affordable, year.affordable + 1))
    assert fits <= year.cap_epsilon < exceeds


def test_more_epsilon_releases_smaller_groups_and_costs_more(bound: BoundSpecification) -> None:
    found, by_change = plan(bound), {other.change: other.plan for other in alternatives(bound)}
    more, less = by_change["epsilon doubled"], by_change["epsilon halved"]
    for one, smaller, larger in zip(found.tables, more.tables, less.tables, strict=True):
        assert smaller.size_for_half < one.size_for_half < larger.size_for_half
    assert more.year.epsilon > found.year.epsilon > less.year.epsilon
    assert len(by_change["without by_section"].tables) == len(found.tables) - 1


def test_a_table_without_its_deepest_dimension_leaves_more_budget_to_the_others(bound: BoundSpecification) -> None:
    found, others = plan(bound), list(alternatives(bound))
    (less,) = (other for other in others if other.change == "by_country_and_system without operating_system")
    assert less.kind is Kind.TABLES
    assert [table.dimensions for table in less.plan.tables] == [("country",), ("country",), ("section",)]
    (before, _, sections), (after, _, more) = found.tables, less.plan.tables
    assert after.noise_sd < before.noise_sd
    assert more.noise_sd < sections.noise_sd


def test_what_a_person_has_one_of_needs_no_bound_once_what_he_has_many_of_is_gone(site: SiteFile) -> None:
    table = {"name": "by_both", "title": "By both", "dimensions": ["country", "section"], "max_groups": 2}
    document = specification_document(tables=[table], audiences={"partner": ["by_both"]})
    bound = bind(ReleaseSpecification.model_validate(document), site)
    (less,) = (other.plan.tables[0] for other in alternatives(bound) if other.kind is Kind.TABLES)
    assert (less.dimensions, less.max_groups) == (("country",), 1)


def test_the_other_noise_is_an_alternative(bound: BoundSpecification) -> None:
    for choice, other in ((LAPLACE, GAUSSIAN), (GAUSSIAN, LAPLACE)):
        by_change = {one.change: one.plan for one in alternatives(with_noise(bound, choice))}
        assert by_change[f"{other} noise"] == plan(with_noise(bound, other))


def test_the_noise_is_told_with_the_errors_of_both(bound: BoundSpecification) -> None:
    found = noise_plan(bound)
    assert (found.choice, found.asked) == (GAUSSIAN, NoiseChoice.LEAST_ERROR)
    gaussian, laplace = found.errors[GAUSSIAN], found.errors[LAPLACE]
    assert gaussian is not None
    assert laplace is not None
    assert gaussian.hidden < laplace.hidden  # which decides, although
    assert gaussian.shown > laplace.shown
    told = f"{gaussian.shown:.1f} and {gaussian.hidden:.1f}; discrete Laplace: {laplace.shown:.1f} and "
    assert f"{told}{laplace.hidden:.1f}." in shown(bound)
    assert "because the specification names it" in shown(with_noise(bound, LAPLACE))


def test_noise_that_cannot_be_drawn_has_no_error_and_is_no_alternative(site: SiteFile) -> None:
    document = specification_document()
    document["tables"][0]["measures"] = [
        {"kind": "events", "name": "requests", "title": "Requests", "max_per_group": 10**6}
    ]
    bound = bind(ReleaseSpecification.model_validate(document), site)
    assert noise_plan(bound).errors[GAUSSIAN] is None
    assert "discrete Gaussian noise" not in {other.change for other in alternatives(bound)}
    assert "it alone can be drawn exactly" in shown(bound)


def test_measures_are_told_with_their_bound_and_noise_in_their_unit(with_events: BoundSpecification) -> None:
    levels = {level.key: level for level in share_out(with_events)}
    requests, at_most = plan(with_events).tables[2].measures
    assert [requests.measured, at_most.measured] == [Measured("events", 20), Measured("events", 20, Scope.ALL)]
    for found in (requests, at_most):
        noise = levels[level_keys(with_events.tables[2], found.measured)[-1]].noise
        assert (found.noise_sd, found.half_width) == (noise.sd, noise.half_width())
    assert requests.noise_sd > 20  # hides all that one person may add to a group
    told = shown(with_events)
    for words in ("20 in each group", "20 in all", f"{requests.noise_sd:,.1f}", requests.unit):
        assert words in told


def test_a_plan_is_shown_in_words(bound: BoundSpecification) -> None:
    found = shown(bound)
    for words in (
        "one visitor in one week",
        "by_country_and_system",
        "without by_section",
        "All of them fit.",
        "Counts get discrete Gaussian noise, because it has the smaller error over all rows, hidden ones included.",
    ):
        assert words in found


@pytest.mark.parametrize("width", [100, 140])
def test_a_plan_fits_on_screens(with_events: BoundSpecification, width: int) -> None:
    lines = shown(with_events, width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)


def test_a_plan_takes_seconds(with_events: BoundSpecification) -> None:
    started = time.process_time()  # of a core: tests may share theirs
    shown(with_events)
    assert time.process_time() - started < 8


@pytest.mark.parametrize("size", [100, 1_000])
def test_the_error_is_half_the_interval_as_a_share(bound: BoundSpecification, size: int) -> None:
    table = plan(bound).tables[0]
    assert table.relative_error(size) == table.half_width / size
