"""Bounded groups of staging, in one bucket and in many."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.errors import StagingError
from pipeline.measures import Measured, Scope, Total, people_total
from pipeline.people import duckdb_staging
from pipeline.people.bounding import bounded_groups, require_dimensions
from pipeline.people.groups import BoundedGroups
from pipeline.spec import BoundSpecification
from tests.builders import SECTIONS, pseudonym, write_visitors

MEASURES = (
    people_total("visitors"),
    Total("events", "Events", "event", Measured("events", 3, Scope.ALL)),
    Total("amount", "Amount", "cent", Measured("amount", 40)),
)


@pytest.fixture
def measured(bound: BoundSpecification) -> BoundSpecification:
    """Events and a quantity told of every table."""
    return replace(bound, tables=tuple(replace(table, measures=MEASURES) for table in bound.tables))


def staging_with(folder: Path, amounts: object, buckets: int = 1) -> Staging:
    people = [number for number in range(40) for _ in range(1 + number % 5)]
    frame = pd.DataFrame(
        {
            "person": [pseudonym(number) for number in people],
            "country": ["FR" if number % 3 else "DE" for number in people],
            "section": [SECTIONS[place % 4] for place in range(len(people))],
            "amount": amounts,
        }
    )
    return write_visitors(folder / f"staging of {buckets}", frame, buckets=buckets)


@pytest.mark.parametrize(("memory", "shares"), [(90, 1), (2_000_000, 2), (10**9, 8)])
def test_shares_of_events_and_sums_add_up_to_the_whole(
    measured: BoundSpecification,
    secret: PeriodKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory: int,
    shares: int,
) -> None:
    whole = bounded_groups(measured, staging_with(tmp_path, range(-20, 100)), secret, tmp_path / "spill")
    staging = staging_with(tmp_path, range(-20, 100), buckets=8)
    monkeypatch.setattr(duckdb_staging, "MEMORY_A_ROW", memory)
    told: list[tuple[int, int | None]] = []
    parts = bounded_groups(measured, staging, secret, tmp_path / "spill", lambda _, *at: told.append(at))
    assert told == [(number, shares) for number in range(shares + 1)]
    assert_equal(whole, parts)


def assert_equal(one: BoundedGroups, other: BoundedGroups) -> None:
    assert set(one.levels) == set(other.levels)
    for key, frame in one.levels.items():
        pd.testing.assert_frame_equal(frame, other.levels[key])


def test_a_key_list_too_long_for_codes_counts_the_same(
    measured: BoundSpecification, secret: PeriodKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = staging_with(tmp_path, 7)
    coded = bounded_groups(measured, staging, secret, tmp_path / "spill")
    monkeypatch.setattr(duckdb_staging, "MOST_CODES", 1)
    assert_equal(coded, bounded_groups(measured, staging, secret, tmp_path / "spill"))


def test_staging_without_a_quantity_of_the_tables_is_refused(measured: BoundSpecification, tmp_path: Path) -> None:
    require_dimensions(measured, staging_with(tmp_path, 7))
    renamed = replace(MEASURES[2], measured=Measured("revenue", 40))
    changed = tuple(replace(table, measures=(*MEASURES, renamed)) for table in measured.tables)
    with pytest.raises(StagingError, match="no revenue in visitors"):
        require_dimensions(replace(measured, tables=changed), staging_with(tmp_path, 7))


def test_a_quantity_that_is_no_whole_number_is_refused(measured: BoundSpecification, tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="no amount in visitors"):
        require_dimensions(measured, staging_with(tmp_path, 7.5))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("person", ["ada@example.org", "grace.hopper@mail.example.org.uk"])  # one of 32 characters
def test_a_person_that_is_no_pseudonym_stops_without_being_quoted(
    capfd: pytest.CaptureFixture[str], person: str, measured: BoundSpecification, secret: PeriodKey, tmp_path: Path
) -> None:
    staging = write_visitors(tmp_path / "staging", pd.DataFrame({"person": [person], "amount": [7]}))
    with pytest.raises(StagingError, match="staging must be readable") as refused:
        bounded_groups(measured, staging, secret, tmp_path / "spill")
    assert "example.org" not in f"{refused.value}{capfd.readouterr()}"
    assert refused.value.__suppress_context__
