"""Bounds are enforced by the query: whatever staging holds, nobody counts in more groups than stated."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.people import bounding
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.levels import LevelKey
from pipeline.site import SiteFile
from pipeline.spec import ReleaseSpecification, bind
from tests.builders import SECTIONS, pseudonym, site_document, specification_document, write_visitors

BOUND = bind(ReleaseSpecification.model_validate(specification_document()), SiteFile.model_validate(site_document()))
PEOPLE = LevelKey("", (), 1)
SECTION = LevelKey("by_section", ("section",), 2)
rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["DE", "FR", "US"]), st.sampled_from(SECTIONS)),
    min_size=1,
    max_size=120,
)


def grouped(events: list[tuple[int, str, str]], secret: bytes = b"k" * 32) -> BoundedGroups:
    frame = pd.DataFrame(
        [{"person": pseudonym(number), "country": country, "section": section} for number, country, section in events]
    )
    with tempfile.TemporaryDirectory() as folder:
        staging = write_visitors(Path(folder) / "staging", frame)
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
    monkeypatch.setattr(bounding, "ROWS_A_BUCKET", 20)
    parts = grouped(events)
    for level, frame in whole.levels.items():
        pd.testing.assert_frame_equal(frame.reset_index(drop=True), parts.levels[level].reset_index(drop=True))


def test_the_choice_of_groups_repeats_with_the_key_and_differs_with_another() -> None:
    events = [(number, "DE", section) for number in range(60) for section in SECTIONS]
    first, again, other = grouped(events), grouped(events), grouped(events, b"j" * 32)
    pd.testing.assert_frame_equal(first.levels[SECTION], again.levels[SECTION])
    assert not first.levels[SECTION].equals(other.levels[SECTION])
