import dataclasses
import math
from fractions import Fraction

import pytest

from pipeline.errors import SpecificationError
from pipeline.measures import Measured, Scope
from pipeline.privacy import calibration
from pipeline.privacy.accountant import charge, compose
from pipeline.privacy.budget import Delta, Epsilon
from pipeline.privacy.calibration import Calibration, calibrate, share_out
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.levels import Demand, Level, LevelKey, demands
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, NoiseChoice, ReleaseSpecification, bind
from pipeline.vocabulary import PEOPLE
from tests.builders import specification_document

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
    asked = dataclasses.replace(_with_noise(bound, choice), epsilon=Epsilon.of(epsilon), delta=Delta.of(delta))
    shared = share_out(asked)
    cost = compose([charge(shared)], float(delta))
    assert cost.epsilon <= float(epsilon)
    taken = calibrate(demands(asked), asked.epsilon, asked.delta, choice).delta
    rules = [part.exact for level in shared for part in (level.delta_selection, level.delta_remainder) if part]
    assert taken + sum(rules) == Fraction(delta)


@pytest.mark.parametrize(("epsilon", "groups"), [("0.1", 11), ("1", 14), ("4", 16)])
def test_a_person_in_many_groups_is_where_gaussian_noise_becomes_less(epsilon: str, groups: int) -> None:
    # Half of the delta is the noise's: 1e-8, at which these are known.
    for max_groups, choice in ((groups - 1, LAPLACE), (groups, GAUSSIAN)):
        asked = (demand(max_groups=max_groups),)
        assert calibrate(asked, Epsilon.of(epsilon), Delta.of("2e-8"), LEAST).choice is choice


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_noise_of_less_error_is_taken_unless_one_is_named(asked: tuple[Demand, ...]) -> None:
    either = {choice: calibrate(asked, EPSILON, DELTA, choice) for choice in (LAPLACE, GAUSSIAN)}
    assert all(found.choice is choice for choice, found in either.items())
    assert calibrate(asked, EPSILON, DELTA, LEAST) == min(either.values(), key=lambda found: found.error)


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


def test_weights_of_tables_move_noise_between_them(site: SiteFile) -> None:
    document = specification_document()
    document["tables"][0]["weight"] = 50
    weighted = bind(ReleaseSpecification.model_validate(document), site)
    plain = bind(ReleaseSpecification.model_validate(specification_document()), site)
    before, after = ({level.key: level.noise.sd for level in share_out(one)} for one in (plain, weighted))
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
    tight = dataclasses.replace(_with_noise(bound, choice), epsilon=Epsilon.of("1e-8"))
    with pytest.raises(SpecificationError, match=r"scale of at most|sigma above 0"):
        share_out(tight)


@pytest.mark.parametrize("choice", NoiseChoice)
def test_an_infinite_epsilon_is_no_noise(bound: BoundSpecification, choice: NoiseChoice) -> None:
    exact = dataclasses.replace(_with_noise(bound, choice), epsilon=Epsilon.infinite())
    assert {level.noise.mechanism for level in share_out(exact)} == {"none"}
    assert math.isinf(compose([charge(share_out(exact))], 0.5).epsilon)


def test_a_specification_names_its_noise(bound: BoundSpecification) -> None:
    assert all(isinstance(level.noise, DiscreteGaussian) for level in share_out(_with_noise(bound, GAUSSIAN)))
    assert all(isinstance(level.noise, DiscreteLaplace) for level in share_out(_with_noise(bound, LAPLACE)))


def test_the_same_specification_is_calibrated_once(bound: BoundSpecification) -> None:
    assert share_out(bound) is share_out(dataclasses.replace(bound))


def _with_noise(bound: BoundSpecification, choice: NoiseChoice) -> BoundSpecification:
    privacy = bound.specification.privacy.model_copy(update={"noise": choice})
    return dataclasses.replace(bound, specification=bound.specification.model_copy(update={"privacy": privacy}))
