"""Faults planted in bounded counts, by the name of the check that is meant to find each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pandas as pd

from pipeline.people.groups import BoundedGroups
from pipeline.privacy.levels import LevelKey
from tests.builders import pseudonym

Breakage = Callable[[BoundedGroups], BoundedGroups]
Which = tuple[str, tuple[str, ...], str]

ALL: Which = ("", (), "people")
COUNTRIES: Which = ("", ("country",), "people")
SYSTEMS: Which = ("", ("country", "system"), "people")
BROWSERS: Which = ("", ("country", "browser"), "people")
VISITS: Which = ("", ("country",), "events")
PAGES: Which = ("by_page", ("country", "page"), "people")
SHOPS: Which = ("by_page", ("country", "page", "shop"), "people")
SPENT: Which = ("by_page", ("country", "page"), "cents")
SPENT_IN_ALL: Which = ("by_page", (), "cents")
VISITS_OF_PAGES: Which = ("by_page", ("country", "page", "shop"), "events")
TOTAL_OF_PAGES: Which = ("by_page", (), "people")


def key_of(groups: BoundedGroups, which: Which) -> LevelKey:
    """The level of a table, or of people, by these dimensions and of this quantity."""
    table, dimensions, quantity = which
    (found,) = (
        key
        for key in groups.levels
        if (key.table, key.dimensions, key.measured.quantity) == (table, dimensions, quantity)
    )
    return found


def reshape(which: Which, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Breakage:
    """Put another frame in the place of a level's."""

    def breaks(groups: BoundedGroups) -> BoundedGroups:
        key = key_of(groups, which)
        return dataclasses.replace(groups, levels={**groups.levels, key: change(groups.levels[key].copy())})

    return breaks


def put(which: Which, row: int = 0, **values: Any) -> Breakage:
    """Write values into a row of a level."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        for column, value in values.items():
            frame[column] = frame[column].astype(object) if isinstance(value, str | None) else frame[column]
            frame.loc[row, column] = value
        return frame

    return reshape(which, change)


def add(which: Which, row: int = 0, **values: int) -> Breakage:
    """Add to counts of a row of a level."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        for column, value in values.items():
            frame[column] = frame[column] + value * (frame.index == row)
        return frame

    return reshape(which, change)


def both(*breakages: Breakage) -> Breakage:
    """One after the other."""

    def breaks(groups: BoundedGroups) -> BoundedGroups:
        for breakage in breakages:
            groups = breakage(groups)
        return groups

    return breaks


def without(which: Which) -> Breakage:
    """Leave a level out."""

    def breaks(groups: BoundedGroups) -> BoundedGroups:
        gone = key_of(groups, which)
        return dataclasses.replace(groups, levels={key: frame for key, frame in groups.levels.items() if key != gone})

    return breaks


def _finer(groups: BoundedGroups) -> BoundedGroups:
    finer = LevelKey("", ("country", "system", "browser"), 1)
    return dataclasses.replace(groups, levels={**groups.levels, finer: groups.levels[key_of(groups, SYSTEMS)]})


def _scaled(which: Which, column: str, factor: int) -> Breakage:
    return reshape(which, lambda frame: frame.assign(**{column: frame[column] * factor}))


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.tail(1)], ignore_index=True)


BREAKAGES: dict[str, list[Breakage]] = {
    "levels.expect_column_distinct_values_to_equal_set.level": [
        without(SHOPS),
        without(VISITS),
        _finer,
        lambda groups: dataclasses.replace(groups, levels={}),
    ],
    "levels.expect_column_distinct_values_to_equal_set.column": [
        reshape(COUNTRIES, lambda frame: frame.assign(person=pseudonym(1))),
        reshape(VISITS, lambda frame: frame.assign(people=1)),
        reshape(SYSTEMS, lambda frame: frame.drop(columns="system")),
        reshape(PAGES, lambda frame: frame.drop(columns="people")),
        reshape(ALL, lambda frame: frame.rename(columns={"contributions": pseudonym(1)})),
    ],
    "levels.expect_column_values_to_be_in_set.type": [
        reshape(SPENT, lambda frame: frame.astype({"contributions": float})),
        reshape(PAGES, lambda frame: frame.astype({"people": object})),
    ],
    "keys.expect_column_values_to_be_in_set.public": [
        put(COUNTRIES, country="Atlantis"),
        put(SYSTEMS, system="jane.planted@example.org"),
        put(VISITS, country=None),
        put(PAGES, page=pseudonym(1)),
        put(BROWSERS, browser="all other"),
    ],
    "keys.expect_column_values_to_match_regex.private": [put(SHOPS, shop="one\ntwo"), put(SHOPS, shop=None)],
    "keys.expect_column_value_lengths_to_be_between.private": [put(SHOPS, shop=""), put(SHOPS, shop="a" * 61)],
    "keys.expect_column_values_to_not_be_in_set.private": [put(SHOPS, shop="all"), put(SHOPS, shop="all other")],
    "keys.expect_column_values_to_hold_no_personal_data.private": [
        put(SHOPS, shop=pseudonym(1)),
        put(SHOPS, shop="jane.planted@example.org"),
    ],
    "groups.expect_groups_to_stand_once": [reshape(ALL, _twice), reshape(SHOPS, _twice), reshape(SPENT, _twice)],
    "groups.expect_counts_of_somebody": [
        put(COUNTRIES, people=0),
        put(SHOPS, people=-1, contributions=-1),
        put(SPENT, contributions=-1),
        put(TOTAL_OF_PAGES, contributions=0),
    ],
    "groups.expect_parts_of_levels_to_add_up": [
        add(ALL, people=1, contributions=1),
        add(BROWSERS, people=1, contributions=1),
        add(VISITS, contributions=-1),
        add(SPENT_IN_ALL, contributions=1),
        reshape(COUNTRIES, lambda frame: frame.iloc[1:]),
        reshape(COUNTRIES, lambda frame: frame.iloc[:0]),
        reshape(ALL, lambda frame: frame.iloc[:0]),
        reshape(SHOPS, lambda frame: frame.iloc[:0]),
        put(SHOPS, page="unheard of"),
        put(ALL, people=2**62, contributions=2**62),
    ],
    "groups.expect_people_to_fit_their_contributions": [
        add(COUNTRIES, people=1),
        add(SHOPS, contributions=1),
        _scaled(TOTAL_OF_PAGES, "contributions", 3),
        both(_scaled(PAGES, "contributions", 2), add(PAGES, contributions=1)),
        put(PAGES, people=10**6),
        put(PAGES, contributions=2**62),
    ],
    "groups.expect_people_of_parts_to_fit_their_whole": [
        put(TOTAL_OF_PAGES, people=1),
        put(TOTAL_OF_PAGES, people=10**6),
        add(COUNTRIES, people=-1),
        reshape(TOTAL_OF_PAGES, lambda frame: frame.iloc[:0]),
    ],
    "groups.expect_totals_of_the_groups_of_people": [
        reshape(VISITS, lambda frame: frame.iloc[1:]),
        reshape(VISITS_OF_PAGES, lambda frame: frame.iloc[:0]),
        put(SPENT, page="unheard of"),
        reshape(COUNTRIES, lambda frame: frame.iloc[1:]),
    ],
    "groups.expect_totals_to_stay_within_their_limit": [
        put(VISITS, contributions=5 * 40 + 1),
        put(SPENT, contributions=2**62),
        put(SPENT_IN_ALL, contributions=900 * 80 + 1),
        put(VISITS_OF_PAGES, page="unheard of"),
    ],
}
