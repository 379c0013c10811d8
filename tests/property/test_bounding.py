"""Bounds are enforced by the query: whatever staging holds, nobody adds more than stated to any level."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.measures import Measured, Scope, Total, people_total
from pipeline.people import bounding, duckdb_staging
from pipeline.people.engine import DuckDb
from pipeline.people.groups import BoundedGroups
from pipeline.people.relations import Relations, group_relations
from pipeline.privacy.levels import LevelKey, demands
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, BoundTable, ReleaseSpecification, bind
from pipeline.vocabulary import EVENTS, Dimension
from tests.builders import SECTIONS, pseudonym, site_document, specification_document, write_visitors
from tests.engines import on_spark, with_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BOUND = bind(ReleaseSpecification.model_validate(specification_document()), SiteFile.model_validate(site_document()))
PEOPLE = LevelKey("", (), 1)
SECTION = LevelKey("by_section", ("section",), 2)
rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["DE", "FR", "US"]), st.sampled_from(SECTIONS)),
    min_size=1,
    max_size=120,
)


def grouped(events: list[tuple[int, str, str]], secret: bytes = b"k" * 32, buckets: int = 1) -> BoundedGroups:
    frame = pd.DataFrame(
        [{"person": pseudonym(number), "country": country, "section": section} for number, country, section in events]
    )
    with tempfile.TemporaryDirectory() as folder:
        staging = write_visitors(Path(folder) / "staging", frame, buckets=buckets)
        return bounding.bounded_groups(BOUND, staging, PeriodKey(secret), Path(folder) / "spill")


def total(groups: BoundedGroups, level: LevelKey) -> tuple[int, int]:
    frame = groups.levels[level]
    return int(frame["people"].sum()), int(frame["contributions"].sum())


@given(rows)
@settings(max_examples=25, deadline=None)
def test_everybody_counts_once_in_tables_over_people_and_at_most_max_groups_times_in_others(
    events: list[tuple[int, str, str]],
) -> None:
    groups = grouped(events)
    people = {number for number, _, _ in events}
    for level in groups.levels:
        if level.max_groups == 1:
            assert total(groups, level) == (len(people), len(people))
    sections = {number: {s for n, _, s in events if n == number} for number in people}
    assert total(groups, SECTION)[1] == sum(min(len(visited), 2) for visited in sections.values())


@given(rows, st.integers(100, 110))
@settings(max_examples=15, deadline=None)
def test_one_more_person_changes_at_most_max_groups_counts_by_one_each(
    events: list[tuple[int, str, str]], newcomer: int
) -> None:
    more = [*events, *((newcomer, "DE", section) for section in SECTIONS)]
    before, after = grouped(events), grouped(more)
    counts = [
        groups.levels[SECTION].set_index("section")["contributions"].reindex(SECTIONS, fill_value=0)
        for groups in (before, after)
    ]
    change = counts[1] - counts[0]
    assert set(change) <= {0, 1}
    assert change.sum() == 2


def test_buckets_of_people_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(number, "DE" if number % 3 else "FR", SECTIONS[number % 4]) for number in range(200)]
    events += [(number, "DE", SECTIONS[(number + shift) % 4]) for number in range(0, 200, 3) for shift in (1, 2, 3)]
    whole = grouped(events)
    monkeypatch.setattr(duckdb_staging, "MEMORY_A_ROW", 10**9)
    parts = grouped(events, buckets=8)
    for level, frame in whole.levels.items():
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), parts.levels[level].reset_index(drop=True))


def test_the_choice_of_groups_repeats_with_the_key_and_differs_with_another() -> None:
    events = [(number, "DE", section) for number in range(60) for section in SECTIONS]
    first, again, other = grouped(events), grouped(events), grouped(events, b"j" * 32)
    pd.testing.assert_frame_equal(first.levels[SECTION], again.levels[SECTION])
    assert not first.levels[SECTION].equals(other.levels[SECTION])


# What follows counts events and adds up amounts too, of relations without staging.
SECRET = b"s" * 32
COUNTRIES = ("DE", "FR", "US")
LIMITED = (
    Measured(EVENTS, 3),
    Measured(EVENTS, 4, Scope.ALL),
    Measured("amount", 50),
    Measured("amount", 70, Scope.ALL),
)
UNLIMITED = tuple(replace(measured, limit=10**9) for measured in LIMITED)
Event = tuple[int, str, str, int | None]
event = st.tuples(
    st.integers(0, 6),
    st.sampled_from(COUNTRIES),
    st.sampled_from(SECTIONS),
    st.none() | st.integers(-60, 90) | st.sampled_from([2**62, 2**63 - 1, -(2**63)]),
)
events_of_all = st.lists(event, max_size=60)


def tables(measures: tuple[Measured, ...], max_groups: int) -> BoundSpecification:
    """Over people, over groups, and over both at once."""
    country = Dimension("country", "Country", True, COUNTRIES)
    section = Dimension("section", "Section", False, SECTIONS)
    totals = (people_total("people"), *(Total(f"m{n}", "M", "m", measured) for n, measured in enumerate(measures)))
    made = (
        BoundTable("by_country", "By country", (country,), 1, totals),
        BoundTable("by_section", "By section", (section,), max_groups, totals),
        BoundTable("both", "By country and section", (country, section), max_groups, totals),
    )
    return replace(BOUND, tables=made)


def frame_of(events: Iterable[Event]) -> pd.DataFrame:
    columns = list(zip(*events, strict=True)) or [(), (), (), ()]
    return pd.DataFrame(
        {
            "person": pd.array(columns[0], dtype="Int64"),
            "country": pd.array(columns[1], dtype="string"),
            "section": pd.array(columns[2], dtype="string"),
            "amount": pd.array(columns[3], dtype="Int64"),
        }
    )


def counted(bound: BoundSpecification, events: Iterable[Event]) -> dict[LevelKey, dict[tuple[str, ...], int]]:
    """Contributions of each level's groups."""
    with duckdb.connect() as connection:
        connection.register("happened", frame_of(events))
        levels = group_relations(DuckDb(connection), bound, Relations("happened", None), SECRET)
    return contributions(levels)


def counted_on_spark(
    session: SparkSession, bound: BoundSpecification, events: Iterable[Event]
) -> dict[LevelKey, dict[tuple[str, ...], int]]:
    relating = on_spark(session)
    relating.register("happened", frame_of(events))
    return contributions(group_relations(relating.engine, bound, Relations("happened", None), SECRET))


def contributions(levels: Mapping[LevelKey, pd.DataFrame]) -> dict[LevelKey, dict[tuple[str, ...], int]]:
    assert all(frame["contributions"].dtype == np.int64 for frame in levels.values())
    return {
        key: {tuple(row[:-1]): row[-1] for row in frame[[*key.dimensions, "contributions"]].itertuples(index=False)}
        for key, frame in levels.items()
    }


def expected(bound: BoundSpecification, events: list[Event]) -> dict[LevelKey, dict[tuple[str, ...], int]]:
    """The same, person by person, in plain Python."""
    levels: dict[LevelKey, Counter[tuple[str, ...]]] = {demand.key: Counter() for demand in demands(bound)}
    for person in {number for number, *_ in events}:
        own = [found for found in events if found[0] == person]
        visits = Counter(country for _, country, _, _ in own)
        home = min(country for country in visits if visits[country] == max(visits.values()))
        for key, level in levels.items():
            deepest = next(t for t in bound.tables if t.name == (key.table or "by_country"))
            names = tuple(dimension.name for dimension in deepest.dimensions)
            groups = [tuple({"country": home, "section": section}[name] for name in names) for _, _, section, _ in own]
            for group, count in contribution(key, person, own, groups).items():
                level[group[: len(key.dimensions)]] += count
    return {key: dict(counter) for key, counter in levels.items()}


def contribution(
    key: LevelKey, person: int, own: list[Event], groups: list[tuple[str, ...]]
) -> dict[tuple[str, ...], int]:
    def keyed(group: tuple[str, ...]) -> str:
        return hashlib.sha256("\x1f".join((SECRET.hex(), str(person), *group)).encode()).hexdigest()

    left, found = key.measured.limit, {}
    for group in sorted(set(groups), key=keyed)[: key.max_groups]:
        amounts = [amount or 0 for (*_, amount), mine in zip(own, groups, strict=True) if mine == group]
        total = {"people": 1, EVENTS: len(amounts), "amount": sum(amounts)}[key.measured.quantity]
        found[group] = max(0, min(total, left))
        left -= found[group] if key.measured.scope is Scope.ALL else 0
    return found


@given(events_of_all, st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_bounded_events_and_sums_are_those_of_each_person_alone_added_up(events: list[Event], max_groups: int) -> None:
    bound = tables(LIMITED, max_groups)
    assert counted(bound, events) == expected(bound, events)


@with_java
@given(events_of_all, st.integers(1, 3))
@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_spark_bounds_them_alike(spark: SparkSession, events: list[Event], max_groups: int) -> None:
    bound = tables(LIMITED, max_groups)
    assert counted_on_spark(spark, bound, events) == expected(bound, events) == counted(bound, events)


@given(events_of_all, st.lists(event, min_size=1, max_size=30), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_one_more_person_changes_each_level_by_no_more_than_its_sensitivity(
    events: list[Event], of_newcomer: list[Event], max_groups: int
) -> None:
    bound = tables(LIMITED, max_groups)
    more = [*events, *((100, *rest) for _, *rest in of_newcomer)]
    before, after = counted(bound, events), counted(bound, more)  # type: ignore[arg-type]
    for demand in demands(bound):
        old, new = before[demand.key], after[demand.key]
        changes = [abs(new.get(group, 0) - old.get(group, 0)) for group in old | new]
        assert max(changes) <= demand.largest
        assert sum(changes) <= demand.l1


@given(st.lists(st.tuples(event, st.integers(0, 90)), max_size=60))
@settings(max_examples=15, deadline=None)
def test_bounds_that_nobody_reaches_change_nothing(drawn: list[tuple[Event, int]]) -> None:
    bound = tables(UNLIMITED, len(SECTIONS))
    events: list[Event] = [(number, country, section, amount) for (number, country, section, _), amount in drawn]
    by_section = frame_of(events).groupby("section", sort=True)
    exact = pd.DataFrame(
        {"people": by_section["person"].nunique(), "events": by_section.size(), "amount": by_section["amount"].sum()}
    )
    found = counted(bound, events)
    for key in found:
        if key.table == "by_section" and key.dimensions:
            told = exact[key.measured.quantity]
            assert found[key] == {(str(section),): int(count) for section, count in told.items()}
            assert found[replace(key, dimensions=())] == ({(): int(told.sum())} if events else {})


@given(events_of_all)
@settings(max_examples=10, deadline=None)
def test_the_levels_are_those_that_are_drawn_and_no_other(events: list[Event]) -> None:
    one, two, three = tables(LIMITED, 2).tables
    bound = replace(
        BOUND, tables=(one, replace(two, measures=two.measures[:2]), replace(three, measures=three.measures[:1]))
    )
    assert set(counted(bound, events)) == {demand.key for demand in demands(bound)}
