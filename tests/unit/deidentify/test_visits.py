"""Visits and movements of visitors, followed through their requests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deidentify.visits import NOWHERE, SILENCE, Requests, Steps, follow

SECOND = 1_000_000
HOME, DOCS, STORE = range(3)


def requests(*rows: tuple[int, int, int, bool]) -> Requests:
    """Of (person, seconds, section, viewed)."""
    person, moment, section, viewed = zip(*rows, strict=True)
    return Requests(
        np.array(person, np.uint64),
        np.array(moment, np.int64) * SECOND,
        np.arange(len(rows)),
        np.array(section, np.int16),
        np.array(viewed, bool),
    )


def test_thirty_minutes_of_silence_end_a_visit_and_a_second_less_does_not() -> None:
    steps = follow(requests((1, 0, HOME, True), (1, 1_800, HOME, True), (1, 3_601, HOME, True)))
    assert steps.begins.tolist() == [True, False, True]


def test_a_visit_is_entered_and_left_once_on_its_first_and_last_page() -> None:
    steps = follow(requests((1, 0, HOME, True), (1, 5, DOCS, True), (1, 9, STORE, True)))
    assert steps.enters.tolist() == [True, False, False]
    assert steps.leaves.tolist() == [False, False, True]


def test_a_visit_of_one_page_is_entered_and_left_there() -> None:
    steps = follow(requests((1, 0, DOCS, True)))
    assert (steps.enters.tolist(), steps.leaves.tolist(), steps.came_from.tolist()) == ([True], [True], [NOWHERE])


def test_a_movement_is_told_where_the_section_changes() -> None:
    steps = follow(requests((1, 0, HOME, True), (1, 5, HOME, True), (1, 9, DOCS, True), (1, 12, HOME, True)))
    assert steps.came_from.tolist() == [NOWHERE, NOWHERE, HOME, DOCS]


def test_images_and_failures_begin_visits_and_keep_them_alive_but_are_no_pages_of_them() -> None:
    steps = follow(
        requests((1, 0, STORE, False), (1, 1_000, HOME, True), (1, 2_000, STORE, False), (1, 3_000, DOCS, True))
    )
    assert steps.begins.tolist() == [True, False, False, False]
    assert steps.enters.tolist() == [False, True, False, False]
    assert steps.leaves.tolist() == [False, False, False, True]
    assert steps.came_from.tolist() == [NOWHERE, NOWHERE, NOWHERE, HOME]


def test_people_are_followed_each_for_themselves_in_whatever_order_lines_come() -> None:
    steps = follow(requests((2, 10, DOCS, True), (1, 20, STORE, True), (2, 5, HOME, True), (1, 10, DOCS, True)))
    assert steps.came_from.tolist() == [HOME, DOCS, NOWHERE, NOWHERE]


def test_of_requests_of_one_moment_the_lines_order_counts() -> None:
    steps = follow(requests((1, 7, HOME, True), (1, 7, DOCS, True)))
    assert steps.came_from.tolist() == [NOWHERE, HOME]


def test_a_new_visit_is_no_movement() -> None:
    steps = follow(requests((1, 0, HOME, True), (1, 9_000, DOCS, True)))
    assert steps.came_from.tolist() == [NOWHERE, NOWHERE]
    assert steps.enters.all()
    assert steps.leaves.all()


def by_hand(requests: Requests) -> Steps:
    """The definition, request by request."""
    found = Steps.none(len(requests.person))
    order = sorted(range(len(requests.person)), key=lambda at: (requests.moment[at], requests.place[at]))
    last: dict[int, int] = {}
    page: dict[int, int] = {}
    for at in order:
        person = int(requests.person[at])
        if person not in last or requests.moment[at] - requests.moment[last[person]] > SILENCE:
            found.begins[at] = True
            page.pop(person, None)
        last[person] = at
        if requests.viewed[at]:
            if person not in page:
                found.enters[at] = True
            else:
                found.leaves[page[person]] = False
                if requests.section[page[person]] != requests.section[at]:
                    found.came_from[at] = requests.section[page[person]]
            found.leaves[at] = True
            page[person] = at
    return found


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from((0, 1, 1_799, 1_800, 1_801, 3_600, 3_601, 5_401)),
            st.integers(0, 2),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_following_agrees_with_the_definition(rows: list[tuple[int, int, int, bool]]) -> None:
    made = requests(*rows)
    found, expected = follow(made), by_hand(made)
    for name in ("begins", "enters", "leaves", "came_from"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name


@pytest.mark.parametrize("rows", [0, 1])
def test_nobody_and_one_request_are_followed(rows: int) -> None:
    made = Requests(
        np.zeros(rows, np.uint64),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int16),
        np.ones(rows, bool),
    )
    assert follow(made).begins.tolist() == [True] * rows
