from typing import Any

import pytest

from pipeline.audit.people import Crowd, Keys, made_inputs, truth_of
from pipeline.audit.worlds import EDGE, LEAST_ROUNDS, Stage, edges, needed, worlds
from pipeline.library import own_offer
from pipeline.periods import PeriodKind
from pipeline.privacy.calibration import share_out
from pipeline.privacy.selection import threshold
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind_to


@pytest.fixture
def bound() -> BoundSpecification:
    offer = own_offer(
        PeriodKind.WEEK,
        {"country": ("AT", "CH", "DE", "LI"), "system": ("a", "b", "c"), "page": ("x", "y", "z", "other")},
        BudgetCap(epsilon=5, delta=1e-3),
        many=["page"],
        quantities={"bytes": "bytes"},
    )
    amount = {"kind": "sum", "name": "volume", "title": "Volume", "of": "bytes", "max_per_group": 100}
    document: dict[str, Any] = {
        "release": "made",
        "title": "Made",
        "description": "Made",
        "owner": "Tests",
        "purpose": "Tests",
        "population": "visitors",
        "period": "week",
        "privacy": {"epsilon": 1, "delta": 1e-5, "k": 20},
        "tables": [
            {"name": "places", "title": "Places", "dimensions": ["country", "system"]},
            {"name": "pages", "title": "Pages", "dimensions": ["page"], "max_groups": 2, "measures": [amount]},
        ],
        "audiences": {"partner": ["places", "pages"]},
    }
    return bind_to(ReleaseSpecification.model_validate(document), offer)


@pytest.fixture
def stage(bound: BoundSpecification) -> Stage:
    return Stage(bound, share_out(bound), Keys(bound), 2.0)


CROWDS = (
    Crowd(3, {"country": 0, "system": 1}, ({"page": 0}, {"page": 1}), copies=2, amount=7),
    Crowd(2, {"country": 0, "system": 0}, ({"page": 1},)),
    Crowd(0, {"country": 2}),
)


def test_records_are_as_many_as_crowds_say(bound: BoundSpecification) -> None:
    made = made_inputs(bound, CROWDS, folded=True)
    assert made.people is None
    assert made.events is not None
    events = made.events.to_pandas()
    assert len(events) == 3 * 2 * 2 + 2
    assert events["person"].nunique() == 5
    assert events["bytes"].sum() == 3 * 4 * 7 + 2


def test_people_that_are_not_folded_have_a_row_each(bound: BoundSpecification) -> None:
    made = made_inputs(bound, CROWDS, folded=False)
    assert made.people is not None
    assert made.events is not None
    assert made.people.num_rows == 5
    assert set(made.events.column_names) == {"person", "page", "bytes"}


def test_the_truth_counts_people_once_a_group(bound: BoundSpecification) -> None:
    made, keys = made_inputs(bound, CROWDS, folded=True), Keys(bound)
    places, pages = (truth_of(made, table, keys) for table in bound.tables)
    assert places.people[()] == 5
    assert places.people["AT", "b"] == 3
    assert pages.people["x",] == 3
    assert pages.people["y",] == 5


def test_who_is_hidden_is_anybody_in_a_group_that_is_not_listed(bound: BoundSpecification) -> None:
    truth = truth_of(made_inputs(bound, CROWDS, folded=True), bound.tables[1], Keys(bound))
    assert truth.hidden((), ["x", "y"]) == 0
    assert truth.hidden((), ["y"]) == 3
    assert truth.hidden((), ["x"]) == 5
    assert truth.hidden(("nowhere",), []) == 0


def test_every_pair_of_inputs_differs_in_as_many_people_as_it_says(stage: Stage) -> None:
    for world in worlds(stage):
        sizes = [sum(crowd.size for crowd in made.crowds) for made in (world.first, world.second)]
        assert sizes[0] - sizes[1] == world.people > 0


def test_large_groups_are_surely_released(stage: Stage) -> None:
    bulk = next(world for world in worlds(stage) if world.name == "bulk")
    truth = truth_of(bulk.second, stage.bound.tables[0], stage.keys)
    level = next(one for one in stage.levels if one.key.dimensions == ("country", "system"))
    assert truth.people["AT", "a"] > needed(level, stage.k) > threshold(level, stage.bound.k)


def test_a_group_at_the_edge_is_released_in_at_most_one_draw_of_ten(stage: Stage) -> None:
    found = edges(stage)
    for level in stage.levels:
        if level.key in found:
            size = found[level.key][1]
            assert level.noise.upper_tail(threshold(level, stage.bound.k) - size) <= EDGE
            assert level.noise.upper_tail(threshold(level, stage.bound.k) - size - 2) > EDGE / 2


def test_some_inputs_need_fewer_rounds_but_never_too_few(stage: Stage) -> None:
    rounds = {world.name: world.rounds(200) for world in worlds(stage)}
    assert rounds["bulk"] == 200
    assert rounds["again"] == 50
    assert min(world.rounds(LEAST_ROUNDS) for world in worlds(stage)) == LEAST_ROUNDS
