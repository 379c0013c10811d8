"""Grouping of named relations, on both engines: what their rows may be."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import pytest

from pipeline.measures import Measured, Scope, Total, people_total
from pipeline.people.relations import Relations, group_relations
from pipeline.people.trees import LARGEST_COUNT, trees_of
from pipeline.privacy.levels import LevelKey
from pipeline.spec import BoundSpecification, BoundTable
from pipeline.vocabulary import EVENTS, PEOPLE, Dimension
from tests.engines import OnDuckDb, Relating, on_duckdb

PLAN = Dimension("plan", "Plan", True, ("free", "paid"))
ORDER = Dimension("order", "Order", False, ("new", "renewal"))  # a word of SQL, too
ENTRY = Dimension("entry", "Entry", False, ("home", "docs"), is_partial=True)
ZONE = Dimension("zone", "Zone", True, ("CET", "UTC", "unknown"), is_partial=True)
SEVERAL = Dimension("product", "Product", False, (), is_open=True)


@pytest.fixture
def duckdb_alone() -> Iterator[OnDuckDb]:
    with duckdb.connect() as connection:
        yield on_duckdb(connection)


def table(*dimensions: Dimension, max_groups: int = 1, measures: tuple[Measured, ...] = ()) -> BoundTable:
    totals = tuple(Total(f"m{number}", "M", "m", measured) for number, measured in enumerate(measures))
    return BoundTable(
        "_".join(d.name for d in dimensions), "T", dimensions, max_groups, (people_total("people"), *totals)
    )


def grouped(
    relating: Relating, bound: BoundSpecification, of: BoundTable, events: str | None, persons: str | None = None
) -> Mapping[LevelKey, pd.DataFrame]:
    return group_relations(relating.engine, replace(bound, tables=(of,)), Relations(events, persons), b"secret")


def level(
    relating: Relating,
    bound: BoundSpecification,
    of: BoundTable,
    measured: Measured | None = None,
    *,
    events: pd.DataFrame | None = None,
    persons: pd.DataFrame | None = None,
) -> dict[object, int]:
    """Contributions by the one dimension of a table."""
    names = {"events": events, "persons": persons}
    for name, frame in names.items():
        if frame is not None:
            relating.register(name, frame)
    levels = grouped(relating, bound, of, *(name if frame is not None else None for name, frame in names.items()))
    family = "" if of.per_person else of.name
    key = LevelKey(family, (of.dimensions[0].name,), of.max_groups)
    frame = levels[key if measured is None else replace(key, measured=measured)]
    column = frame[of.dimensions[0].name]
    assert frame["contributions"].dtype == np.int64
    keys = [None if missing else key for key, missing in zip(column, column.isna(), strict=True)]
    return dict(zip(keys, frame["contributions"].tolist(), strict=True))


def test_events_and_sums_of_people_without_any_are_zero(relating: Relating, bound: BoundSpecification) -> None:
    persons = pd.DataFrame({"person": ["a", "b", "c"], "plan": ["free", "free", "paid"]})
    events = pd.DataFrame({"person": ["c", "c"], "amount": [5, 6]})
    orders, revenue = Measured(EVENTS, 9), Measured("amount", 99)
    of = table(PLAN, measures=(orders, revenue))
    assert level(relating, bound, of, events=events, persons=persons) == {"free": 2, "paid": 1}
    assert level(relating, bound, of, orders, events=events, persons=persons) == {"free": 0, "paid": 2}
    assert level(relating, bound, of, revenue, events=events, persons=persons) == {"free": 0, "paid": 11}


def test_where_nobody_has_events_all_of_them_are_zero(relating: Relating, bound: BoundSpecification) -> None:
    persons = pd.DataFrame({"person": ["a"], "plan": ["free"]})
    orders = Measured(EVENTS, 9)
    assert level(relating, bound, table(PLAN, measures=(orders,)), orders, persons=persons) == {"free": 0}
    assert level(relating, bound, table(ORDER, measures=(orders,)), orders, persons=persons) == {}


def test_a_missing_amount_is_zero_and_a_negative_total_of_a_person_too(
    relating: Relating, bound: BoundSpecification
) -> None:
    events = pd.DataFrame(
        {
            "person": ["a", "a", "b", "c", "c"],
            "order": ["new"] * 5,
            "amount": pd.array([None, 7, None, 4, -30], dtype="Int64"),
        }
    )
    for scope in Scope:
        revenue = Measured("amount", 100, scope)
        assert level(relating, bound, table(ORDER, measures=(revenue,)), revenue, events=events) == {"new": 7}


@pytest.mark.parametrize("scope", Scope)
def test_amounts_that_overflow_64_bits_are_cut_to_the_limit(
    relating: Relating, bound: BoundSpecification, scope: Scope
) -> None:
    events = pd.DataFrame({"person": ["a"] * 8 + ["b"] * 3, "order": "new", "amount": 2**62})
    revenue = Measured("amount", 1_000_000_000, scope)
    assert level(relating, bound, table(ORDER, measures=(revenue,)), revenue, events=events) == {"new": 2 * 10**9}


def test_totals_beyond_64_bits_stop_at_the_largest_count_in_every_level(
    relating: Relating, bound: BoundSpecification
) -> None:
    events = pd.DataFrame({"person": range(6), "order": ["new", "renewal"] * 3, "amount": 2**62})
    revenue = Measured("amount", LARGEST_COUNT)  # a limit that no specification may have
    of = table(ORDER, measures=(revenue,))
    relating.register("events", events)
    levels = grouped(relating, bound, of, "events")
    told = [levels[LevelKey("order", names, 1, revenue)]["contributions"].tolist() for names in ((), ("order",))]
    assert told == [[LARGEST_COUNT], [LARGEST_COUNT, LARGEST_COUNT]]


@pytest.mark.parametrize("kind", [str, int])
def test_a_person_may_be_text_or_a_number(relating: Relating, bound: BoundSpecification, kind: type) -> None:
    people = [kind(number) for number in (1, 1, 1, 2)]
    events = pd.DataFrame({"person": people, "order": ["new", "renewal", "new", "new"]})
    assert sum(level(relating, bound, table(ORDER), events=events).values()) == 2


def test_a_person_may_be_a_uuid_of_duckdb(duckdb_alone: OnDuckDb, bound: BoundSpecification) -> None:
    events = pd.DataFrame({"person": [UUID(int=1)] * 2 + [UUID(int=2)], "order": ["new", "renewal", "new"]})
    assert sum(level(duckdb_alone, bound, table(ORDER), events=events).values()) == 2


def test_a_person_with_several_rows_among_people_counts_once(relating: Relating, bound: BoundSpecification) -> None:
    persons = pd.DataFrame({"person": ["a", "a", "b"], "plan": ["paid", "free", None]})
    assert level(relating, bound, table(PLAN), persons=persons) == {"free": 1, "unknown": 1}


def test_rows_of_nobody_count_for_nobody(relating: Relating, bound: BoundSpecification) -> None:
    events = pd.DataFrame({"person": ["a", None, None], "order": ["new", "new", "renewal"], "plan": "free"})
    orders = Measured(EVENTS, 9)
    for of in (table(ORDER, measures=(orders,)), table(PLAN, measures=(orders,))):
        counts = [level(relating, bound, of, told, events=events) for told in (None, orders)]
        assert [sum(count.values()) for count in counts] == [1, 1]


def test_a_missing_key_is_a_group_of_its_own(relating: Relating, bound: BoundSpecification) -> None:
    events = pd.DataFrame({"person": ["a", "a", "b"], "order": ["new", None, None]})
    counts = level(relating, bound, table(ORDER, max_groups=2), events=events)
    assert counts == {"new": 1, None: 2}


def test_what_most_of_a_persons_events_have_may_be_missing_only_where_nothing_equals_it(
    relating: Relating, bound: BoundSpecification
) -> None:
    events = pd.DataFrame({"person": ["a", "a", "b", "b", "b"], "plan": ["paid", None, None, None, "paid"]})
    counts = level(relating, bound, table(PLAN), events=events)
    assert counts == {"paid": 1, None: 1}


def test_a_person_with_a_million_groups_counts_in_max_groups_of_them_within_the_memory_limit(
    bound: BoundSpecification, tmp_path: Path, duckdb_alone: OnDuckDb
) -> None:
    relating, connection = duckdb_alone, duckdb_alone.connection
    connection.execute(f"SET memory_limit = '180MiB'; SET threads = 2; SET temp_directory = '{tmp_path}'")
    connection.execute("CREATE VIEW events AS SELECT 1 AS person, 'product ' || i AS product FROM range(1000000) r(i)")
    happened = Measured(EVENTS, 2, Scope.ALL)
    of = table(SEVERAL, max_groups=3, measures=(happened,))
    levels = grouped(relating, bound, of, "events")
    key = LevelKey("product", ("product",), 3)
    assert levels[key]["contributions"].tolist() == [1, 1, 1]
    assert sorted(levels[replace(key, measured=happened)]["contributions"]) == [0, 1, 1]


def test_an_empty_population_has_levels_without_groups(relating: Relating, bound: BoundSpecification) -> None:
    orders = Measured(EVENTS, 9)
    of = table(PLAN, ORDER, measures=(orders,))
    relating.register("events", pd.DataFrame({name: pd.array([], "string") for name in ("person", "plan", "order")}))
    levels = grouped(relating, bound, of, "events")
    assert len(levels) == 6
    assert {len(frame) for frame in levels.values()} == {0}
    assert all("people" in frame for key, frame in levels.items() if key.of_people)


def test_tables_on_the_way_to_another_are_not_counted_twice(bound: BoundSpecification) -> None:
    orders, product = Measured(EVENTS, 9), Dimension("kind", "Kind", True, ())
    above, below = table(PLAN), table(PLAN, product, measures=(orders,))
    assert [tree.key.dimensions for tree in trees_of(replace(bound, tables=(above, below)))] == [("plan", "kind")]
    above, below = table(PLAN, measures=(orders,)), table(PLAN, product)
    assert len(trees_of(replace(bound, tables=(above, below)))) == 2


def test_a_level_of_people_alone_tells_of_people(relating: Relating, bound: BoundSpecification) -> None:
    relating.register("persons", pd.DataFrame({"person": ["a"], "plan": ["free"]}))
    of = table(PLAN, measures=(Measured(EVENTS, 9),))
    levels = grouped(relating, bound, of, None, "persons")
    for key, frame in levels.items():
        told = [PEOPLE, "contributions"] if key.of_people else ["contributions"]
        assert list(frame.columns) == [*key.dimensions, *told]


def test_a_total_over_groups_tells_of_as_many_people_as_there_surely_are(
    relating: Relating, bound: BoundSpecification
) -> None:
    product = replace(SEVERAL, name="kind")
    relating.register(
        "events",
        pd.DataFrame(
            {
                "person": ["a", "a", "b", "b", "c", "d", "d"],
                "kind": ["x", "x", "x", "x", "y", "y", "y"],
                "product": ["1", "2", "1", "2", "3", "3", "4"],
            }
        ),
    )
    of = table(product, SEVERAL, max_groups=2)
    levels = grouped(relating, bound, of, "events")
    told = {
        depth: levels[LevelKey("kind_product", ("kind", "product")[:depth], 2)][
            ["people", "contributions"]
        ].values.tolist()
        for depth in range(3)
    }
    # Seven contributions are of four people at least; two people share group 3.
    assert told == {0: [[4, 7]], 1: [[2, 4], [2, 3]], 2: [[2, 2], [2, 2], [2, 2], [1, 1]]}


def test_events_without_a_value_of_a_partial_dimension_are_of_no_group(
    relating: Relating, bound: BoundSpecification
) -> None:
    events = pd.DataFrame({"person": list("aaabc"), "entry": ["home", None, "home", "docs", None]})
    orders = Measured(EVENTS, 9)
    of = table(ENTRY, measures=(orders,))
    assert level(relating, bound, of, events=events) == {"home": 1, "docs": 1}
    assert level(relating, bound, of, orders, events=events) == {"home": 2, "docs": 1}


def test_an_event_without_a_value_takes_no_place_among_a_persons_groups(
    relating: Relating, bound: BoundSpecification
) -> None:
    people = [f"p{number}" for number in range(40)]
    events = pd.DataFrame({"person": people * 2, "entry": ["home"] * 40 + [None] * 40})
    assert level(relating, bound, table(ENTRY), events=events) == {"home": 40}


def test_a_person_has_the_value_that_most_of_the_events_with_one_have_or_is_unknown(
    relating: Relating, bound: BoundSpecification
) -> None:
    zones = [None, None, None, "UTC", "CET", "CET", None]
    events = pd.DataFrame({"person": list("aaaaaab"), "zone": zones})
    assert level(relating, bound, table(ZONE), events=events) == {"CET": 1, "unknown": 1}
