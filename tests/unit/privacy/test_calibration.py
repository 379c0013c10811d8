import dataclasses
import math
from fractions import Fraction

import pytest

from pipeline.errors import SpecificationError
from pipeline.measures import Measured, Scope
from pipeline.privacy import calibration
from pipeline.privacy.accountant import charge, compose
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.calibration import Calibration, calibrate, share_out
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.levels import Demand, Level, LevelKey, demands
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.privacy.selection import threshold
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, NoiseChoice, ReleaseSpecification, bind
from pipeline.vocabulary import PEOPLE
from tests.builders import specification_document
from tests.counts import with_noise

LAPLACE, GAUSSIAN, LEAST = NoiseChoice.LAPLACE, NoiseChoice.GAUSSIAN, NoiseChoice.LEAST_ERROR
EPSILON, DELTA = Epsilon.of(1), Delta.of("1e-7")


def demand(
    name: str = "by_page",
    max_groups: int = 1,
    rows: float = 10,
    limit: int = 1,
    scope: Scope = Scope.GROUP,
    *,
    deepest: bool = True,
) -> Demand:
    quantity = PEOPLE if limit == 1 else "cents"
    return Demand(LevelKey(name, ("page",), max_groups, Measured(quantity, limit, scope)), deepest, rows)


def tables(number: int, rows: float = 10) -> tuple[Demand, ...]:
    return tuple(demand(f"table_{index}", rows=rows) for index in range(number))


# What a specification may ask for: few and many levels, drill-downs, several groups a person, sums bounded either way.
ASKED = {
    "one count": (demand(),),
    "two tables": (demand(rows=7), demand("by_country", rows=250)),
    "several groups": (demand(max_groups=3), demand("total", 3, 1, deepest=False), demand("by_country", rows=250)),
    "many groups": (demand(max_groups=40), demand("total", 40, 1, deepest=False)),
    "sums": (demand(), demand("sum", 2, limit=500), demand("bounded", 2, limit=700, scope=Scope.ALL)),
    "many tables": tables(40),
    "weights": (demand(rows=0.01), demand("by_country", rows=2.5e5), demand("drilled", 5, 33.3)),
}


def levels(asked: tuple[Demand, ...], found: Calibration) -> list[Level]:
    return [Level(one, noise, None, None) for one, noise in zip(asked, found.noises, strict=True)]


@pytest.mark.parametrize("choice", [LAPLACE, GAUSSIAN])
@pytest.mark.parametrize("epsilon", ["0.1", "1", "4"])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_noises_never_cost_more_than_they_may_and_hardly_less(
    asked: tuple[Demand, ...], epsilon: str, choice: NoiseChoice
) -> None:
    found = calibrate(asked, Epsilon.of(epsilon), DELTA, choice)
    cost = compose([charge(levels(asked, found))], float(found.delta))
    assert 0.999 * float(epsilon) <= cost.epsilon <= float(epsilon)


@pytest.mark.parametrize("epsilon", ["0.07", "1", "3"])
@pytest.mark.parametrize(
    ("delta", "choice"),
    [("1e-6", LAPLACE), ("1e-6", GAUSSIAN), ("3.3e-9", GAUSSIAN), ("3.3e-9", LEAST), ("1e-13", LAPLACE)],
)
def test_a_release_costs_its_epsilon_and_delta_at_most(
    bound: BoundSpecification, epsilon: str, delta: str, choice: NoiseChoice
) -> None:
    asked = dataclasses.replace(with_noise(bound, choice), epsilon=Epsilon.of(epsilon), delta=Delta.of(delta))
    shared = share_out(asked)
    cost = compose([charge(shared)], float(delta))
    assert cost.epsilon <= float(epsilon)
    taken = calibrate(demands(asked), asked.epsilon, asked.delta, choice).delta
    rules = [part.exact for level in shared for part in (level.delta_selection, level.delta_remainder) if part]
    assert taken + sum(rules) == Fraction(delta)


@pytest.mark.parametrize(("epsilon", "groups"), [("0.1", 3), ("1", 4), ("4", 5)])
def test_a_person_in_many_groups_is_where_gaussian_noise_becomes_less(epsilon: str, groups: int) -> None:
    for max_groups, choice in ((groups - 1, LAPLACE), (groups, GAUSSIAN)):
        asked = (demand(max_groups=max_groups),)
        assert calibrate(asked, Epsilon.of(epsilon), Delta.of("2e-8"), LEAST).choice is choice


def test_the_fourth_table_of_equal_size_is_where_gaussian_noise_becomes_less() -> None:
    found = [calibrate(tables(number), EPSILON, DELTA, LEAST).choice for number in (1, 3, 4, 10)]
    assert found == [LAPLACE, LAPLACE, GAUSSIAN, GAUSSIAN]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_noise_of_less_loss_is_taken_unless_one_is_named(asked: tuple[Demand, ...]) -> None:
    either = {choice: calibrate(asked, EPSILON, DELTA, choice) for choice in (LAPLACE, GAUSSIAN)}
    assert all(found.choice is choice for choice, found in either.items())
    assert calibrate(asked, EPSILON, DELTA, LEAST) == min(either.values(), key=lambda found: found.loss)


def test_what_is_hidden_counts_by_how_far_above_k_groups_are_shown_almost_always() -> None:
    asked = (demand(rows=7), demand("sum", 2, 3.5, limit=500))
    found = calibrate(asked, EPSILON, DELTA, LAPLACE)
    level = found.levels[0]
    (far,) = (
        size - 50
        for size in range(50, 500)
        if level.noise.upper_tail(threshold(level, K(50)) - size) >= 0.99
        and level.noise.upper_tail(threshold(level, K(50)) - size + 1) < 0.99
    )
    assert (found.hidden, found.loss) == (7 * far**2, found.error + 7 * far**2)


def in_three_dimensions() -> tuple[Demand, ...]:
    """A table over 60 x 6 x 6 keys, in which a person is in four groups at most: its total, and one level a step."""
    names, sizes = ("country", "system", "browser"), (1, 60, 360, 2160)
    return tuple(
        Demand(LevelKey("groups", names[:depth], 4), depth == len(names), rows) for depth, rows in enumerate(sizes)
    )


@pytest.mark.parametrize(("k", "least", "otherwise"), [(2, 100, 167), (50, 148, 215)])
def test_a_table_of_many_small_groups_gets_the_noise_with_the_lower_threshold(
    k: int, least: int, otherwise: int
) -> None:
    found = (calibrate(in_three_dimensions(), EPSILON, Delta.of("1e-8"), choice) for choice in (LEAST, LAPLACE))
    assert [threshold(one.levels[-1], K(k)) for one in found] == [least, otherwise]


@pytest.mark.parametrize("asked", [in_three_dimensions(), tables(1), tables(6), ASKED["two tables"]])
def test_the_noise_that_is_taken_shows_more_groups_of_a_long_tail_than_the_other(asked: tuple[Demand, ...]) -> None:
    sizes = [20_000 / rank for rank in range(1, 401)]  # of Zipf's law: as many between 50 and 100 as above 100
    shown = {}
    for choice in (LAPLACE, GAUSSIAN):
        level = calibrate(asked, EPSILON, Delta.of("1e-8"), choice).levels[-1]
        least = threshold(level, K(50))
        shown[choice] = math.fsum(level.noise.upper_tail(math.ceil(least - size)) for size in sizes)
    taken = calibrate(asked, EPSILON, Delta.of("1e-8"), LEAST).choice
    assert shown[taken] == max(shown.values())


def test_the_error_is_the_variance_of_all_rows_in_units_of_what_one_person_may_add() -> None:
    asked = (demand(rows=7), demand("sum", 2, 3.5, limit=500))
    found = calibrate(asked, EPSILON, DELTA, LAPLACE)
    people, cents = found.noises
    assert found.error == pytest.approx(7 * people.sd**2 + 3.5 * (cents.sd / 500) ** 2, rel=1e-12)


def test_few_tables_share_out_epsilon_alone_and_leave_delta_to_selection() -> None:
    found = calibrate(tables(5), EPSILON, DELTA, LAPLACE)
    assert found.delta == 0
    epsilons = [noise.epsilon.exact for noise in found.noises if isinstance(noise, DiscreteLaplace)]
    assert epsilons == [Fraction(1, 5)] * 5


def test_many_tables_gain_by_composition_what_adding_epsilons_would_waste() -> None:
    found = calibrate(tables(40), EPSILON, DELTA, LAPLACE)
    assert found.delta == DELTA.exact / 3
    assert found.noises[0].scale < 40 / 1.2


def test_epsilon_is_shared_by_the_cube_root_of_rows_and_squared_sensitivity() -> None:
    asked = (demand(rows=1), demand("wide", rows=1000), demand("several", 8, 1))
    first, wide, several = (noise.scale for noise in calibrate(asked, EPSILON, DELTA, LAPLACE).noises)
    assert first / wide == pytest.approx(10, rel=1e-3)
    assert several / first == pytest.approx(8 / 4, rel=1e-3)


def test_sigmas_are_shared_by_the_fourth_root_of_squared_sensitivity_over_rows() -> None:
    asked = (demand(rows=1), demand("wide", rows=10_000), demand("several", 16, 1), demand("sum", 1, 1, limit=50))
    sigmas = [noise.scale for noise in calibrate(asked, EPSILON, DELTA, GAUSSIAN).noises]
    assert [sigma / sigmas[0] for sigma in sigmas] == pytest.approx([1, 0.1, 2, 50], rel=1e-4)


@pytest.mark.parametrize("choice", [LAPLACE, GAUSSIAN])
def test_the_split_has_less_error_than_its_neighbours_of_the_same_cost(
    monkeypatch: pytest.MonkeyPatch, choice: NoiseChoice
) -> None:
    asked = (demand(rows=9), demand("by_country", rows=250), demand("several", 4, 22), demand("cents", 2, 5, limit=60))
    best = calibrate(asked, EPSILON, DELTA, choice).error
    name = "_laplace_weight" if choice is LAPLACE else "_gaussian_weight"
    weight = getattr(calibration, name)
    for place in asked:
        for factor in (0.7, 1.4):
            monkeypatch.setattr(
                calibration, name, lambda one, place=place, factor=factor: weight(one) * (factor if one == place else 1)
            )
            calibrate.cache_clear()
            assert calibrate(asked, EPSILON, DELTA, choice).error > best
    calibrate.cache_clear()


@pytest.mark.parametrize("choice", [LAPLACE, GAUSSIAN])
def test_weights_of_tables_move_noise_between_them(site: SiteFile, choice: NoiseChoice) -> None:
    document = specification_document()
    plain = bind(ReleaseSpecification.model_validate(document), site)
    document["tables"][0]["weight"] = 50
    weighted = bind(ReleaseSpecification.model_validate(document), site)
    before, after = (
        {level.key: level.noise.sd for level in share_out(with_noise(one, choice))} for one in (plain, weighted)
    )
    changed = {key: after[key] / before[key] for key in before}
    assert changed.pop(LevelKey("", ("country",), 1)) < 1
    assert changed.pop(LevelKey("", (), 1)) < 1
    assert all(ratio > 1 for ratio in changed.values())


def test_gaussian_noise_of_too_large_sums_is_refused_and_laplace_noise_taken() -> None:
    asked = (demand(), *(demand(f"groups_{index}", 50) for index in range(3)), demand("sum", 1, limit=100_000))
    with pytest.raises(SpecificationError, match=r"sigma above 0 and of at most 100000.*Choose discrete Laplace"):
        calibrate(asked, EPSILON, DELTA, GAUSSIAN)
    assert calibrate(asked, EPSILON, DELTA, LEAST).choice is LAPLACE


def test_gaussian_noise_at_a_delta_that_rounding_would_reach_is_refused_and_laplace_noise_taken() -> None:
    asked, delta = (demand(max_groups=50),), Delta.of("1e-13")
    with pytest.raises(SpecificationError, match="needs a delta of at least 2e-12, got delta=1e-13"):
        calibrate(asked, EPSILON, delta, GAUSSIAN)
    assert calibrate(asked, EPSILON, delta, LEAST).choice is LAPLACE


@pytest.mark.parametrize("choice", NoiseChoice)
def test_noise_that_cannot_be_drawn_exactly_is_refused(bound: BoundSpecification, choice: NoiseChoice) -> None:
    tight = dataclasses.replace(with_noise(bound, choice), epsilon=Epsilon.of("1e-8"))
    with pytest.raises(SpecificationError, match=r"scale of at most|sigma above 0"):
        share_out(tight)


@pytest.mark.parametrize("choice", NoiseChoice)
def test_an_infinite_epsilon_is_no_noise(bound: BoundSpecification, choice: NoiseChoice) -> None:
    exact = dataclasses.replace(with_noise(bound, choice), epsilon=Epsilon.infinite())
    assert {level.noise.mechanism for level in share_out(exact)} == {"none"}
    assert math.isinf(compose([charge(share_out(exact))], 0.5).epsilon)


def test_a_specification_names_its_noise(bound: BoundSpecification) -> None:
    assert all(isinstance(level.noise, DiscreteGaussian) for level in share_out(with_noise(bound, GAUSSIAN)))
    assert all(isinstance(level.noise, DiscreteLaplace) for level in share_out(with_noise(bound, LAPLACE)))


def test_the_same_specification_is_calibrated_once(bound: BoundSpecification) -> None:
    assert share_out(bound) is share_out(dataclasses.replace(bound))
