"""Spark counts what DuckDB counts, table by table, of the same staging: what is drawn from is equal before noise."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import EVENTS, PERSONS
from pipeline.people.bounding import bounded_groups
from pipeline.people.groups import BoundedGroups
from pipeline.periods import Period
from pipeline.privacy.levels import LevelKey
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Population
from tests.builders import SECTIONS, pseudonym, write_visitors
from tests.engines import with_java
from tests.kinds_of_tables import COUNTRY, KINDS, table
from tests.staged import folder_of, put_staging

pytestmark = [with_java, pytest.mark.usefixtures("spark")]


def visitors(folder: Path) -> Staging:
    """A hundred people of whom many are beyond every bound, and amounts that no 64 bits can add up."""
    rows = random.Random(8)  # noqa: S311  test rows
    people = [number for number in range(100) for _ in range(rows.randint(1, 12))]
    frame = pd.DataFrame({"person": [pseudonym(number) for number in people]})
    choices: dict[str, tuple[object, ...]] = {
        "country": COUNTRY.keys,
        "language": ("de", "fr", None),
        "section": SECTIONS,
        "entry_section": (*SECTIONS, None, None),
        "referrer_domain": ("none", "Ärzte.example", "it's.example", "a\\b.example", "z.example"),
        "amount": (-40, 0, 7, 30, 60, 2**62, -(2**62)),
    }
    for name, values in choices.items():
        frame[name] = pd.Series([rows.choice(values) for _ in people], dtype="Int64" if name == "amount" else "string")
    return write_visitors(folder / "staging's", frame, buckets=4)


def customers(folder: Path, tables: Mapping[str, pd.DataFrame], buckets: int = 1) -> Staging:
    rows = {name: duckdb.from_df(frame).to_arrow_table() for name, frame in tables.items()}
    return put_staging(Folder(str(folder)), (Population.CUSTOMERS, Period.parse("2026-10")), rows, {}, buckets)


def both(
    bound: BoundSpecification,
    staging: Staging,
    secret: PeriodKey,
    monkeypatch: pytest.MonkeyPatch,
    covering: Collection[str] = (),
) -> tuple[BoundedGroups, BoundedGroups]:
    found = []
    for engine in ("duckdb", "spark"):
        monkeypatch.setenv("DEMOGRAPHICS_ENGINE", engine)
        found.append(bounded_groups(bound, staging, secret, folder_of(staging) / "spill", covering=covering))
    return found[0], found[1]


def assert_equal(one: BoundedGroups, other: BoundedGroups) -> None:
    assert set(one.levels) == set(other.levels)
    for key, frame in one.levels.items():
        pd.testing.assert_frame_equal(frame, other.levels[key], obj=str(key))


def test_every_kind_of_table_of_visitors(
    bound: BoundSpecification, secret: PeriodKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tuple(table(number, kind) for number, kind in enumerate(KINDS))
    duck, spark = both(replace(bound, tables=tables), visitors(tmp_path), secret, monkeypatch)
    assert_equal(duck, spark)
    assert all(
        len(frame) == 1 and frame["contributions"][0] for key, frame in duck.levels.items() if not key.dimensions
    )
    assert duck.levels[LevelKey("table_2", (), 2)]["contributions"][0] > 150  # of 200: nearly everybody is cut


def test_another_choice_of_groups_would_show(
    bound: BoundSpecification, secret: PeriodKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_groups = replace(bound, tables=(table(2, "groups"),))
    duck, _ = both(of_groups, visitors(tmp_path), secret, monkeypatch)
    _, other = both(of_groups, visitors(tmp_path), PeriodKey(b"j" * 32), monkeypatch)
    with pytest.raises(AssertionError, match="values are different"):
        assert_equal(duck, other)


def test_customers_whom_versions_of_the_policy_bind(
    bound: BoundSpecification, secret: PeriodKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [pseudonym(number) for number in range(60)]
    versions = ["", "v1", "v1 v2", "v2", None, "it's v1"]
    persons = pd.DataFrame({"person": people, "policy_versions": versions * 10, "country": list(COUNTRY.keys) * 20})
    orders = pd.DataFrame({"person": people * 4, "section": list(SECTIONS) * 60, "amount": range(-40, 200)})
    staging = customers(tmp_path, {PERSONS: persons, EVENTS: orders}, buckets=2)
    tables = (table(0, "people with events and sums"), table(1, "groups with events and sums"))
    for covering, counted in ((("v1",), 30), (("", "v2"), 30), ((), 0)):
        duck, spark = both(replace(bound, tables=tables), staging, secret, monkeypatch, covering)
        assert_equal(duck, spark)
        assert duck.levels[LevelKey("", (), 1)]["people"].sum() == counted


def test_customers_without_orders(
    bound: BoundSpecification, secret: PeriodKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    persons = pd.DataFrame({"person": [pseudonym(1)], "policy_versions": ["v1"], "country": ["DE"]})
    staging = customers(tmp_path, {PERSONS: persons})
    tables = (table(0, "people with events and sums"), table(1, "groups with events and sums"))
    duck, spark = both(replace(bound, tables=tables), staging, secret, monkeypatch, ["v1"])
    assert_equal(duck, spark)
    assert duck.levels[LevelKey("", (), 1)]["people"].tolist() == [1]
