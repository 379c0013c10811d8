"""Checks bounded groups inside the draw, before budget is reserved and before there is any noise.

They hold true counts, and whether a rule holds for these is an answer about people that no budget pays for. So every
rule is an invariant: it holds for whatever people there are, by how they are counted, and fails only where the program
or staging is broken. Nothing but yes or no leaves the run, by the format BOOLEAN_ONLY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from pipeline.people.groups import BoundedGroups
from pipeline.people.trees import LARGEST_COUNT
from pipeline.privacy.levels import LevelKey, demands
from pipeline.spec import BoundSpecification
from pipeline.validation.runs import Subject, run
from pipeline.validation.suites import Parameters, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import KEY_PATTERN, REMAINDER_KEY, TOTAL_KEY, Dimension
from pipeline.workspace import Workspace

_GROUPS = "bounded groups"  # subject of the verdicts
_PEOPLE, _CONTRIBUTIONS = "people", "contributions"
_STEP = "\x1f"  # unit separator, which no key holds


def check_people(workspace: Workspace, bound: BoundSpecification, groups: BoundedGroups) -> Verdicts:
    """Run the suite ``people`` on bounded groups and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs.
        bound: What was to be counted.
        groups: True bounded counts, as the draw takes them.

    Returns:
        One verdict a check, without values; the same for all correct counts, whoever the people are. Call ``require``
        on it.
    """
    release = bound.specification.release
    return run(workspace, load_suite("people"), release, f"{release}.{groups.period}", subjects(bound, groups))


def subjects(bound: BoundSpecification, groups: BoundedGroups) -> list[Subject]:
    """What is checked: the levels by name, the keys of each dimension, and all groups of all levels."""
    deepest = {demand.key: demand.deepest for demand in demands(bound)}
    return [
        Subject("levels", "levels", _GROUPS, _levels(groups), _level_parameters(deepest)),
        Subject("keys", "keys", _GROUPS, _keys(bound, groups), _key_parameters(bound)),
        Subject("groups", "groups", _GROUPS, _all_groups(deepest, groups), _group_parameters(deepest)),
    ]


def _levels(groups: BoundedGroups) -> pd.DataFrame:
    # one row a column of a level; the type of counts alone
    rows = [
        (_name(key), f"{_name(key)}: {column}", str(kind) if column in (_PEOPLE, _CONTRIBUTIONS) else None)
        for key, frame in groups.levels.items()
        for column, kind in frame.dtypes.items()
    ]
    return pd.DataFrame(rows, columns=["level", "column", "type"], dtype="string")


def _level_parameters(keys: Iterable[LevelKey]) -> Parameters:
    columns = [f"{_name(key)}: {column}" for key in keys for column in _columns(key)]
    return {"levels": [_name(key) for key in keys], "columns": columns}


def _columns(key: LevelKey) -> tuple[str, ...]:
    return (*key.dimensions, *([_PEOPLE] if key.of_people else []), _CONTRIBUTIONS)


def _keys(bound: BoundSpecification, groups: BoundedGroups) -> pd.DataFrame:
    # one column a dimension: its distinct keys in all levels, then missing up to the longest column
    found: dict[str, pd.Series[str]] = {}
    for name in _dimensions(bound):
        held = [frame[name].drop_duplicates() for frame in groups.levels.values() if name in frame]
        distinct = pd.concat(held, ignore_index=True).drop_duplicates() if held else pd.Series(dtype=object)
        found[name] = distinct.astype("string").fillna("").reset_index(drop=True)
    return pd.DataFrame(found)


def _key_parameters(bound: BoundSpecification) -> Parameters:
    private = {name for table in bound.tables for name in table.private_keys}
    told = [
        {"column": name, "title": one.title, "keys": list(one.keys), "private": name in private or one.is_open}
        for name, one in _dimensions(bound).items()
    ]
    return {
        "public": [one for one in told if not one["private"]],
        "private": [{"column": one["column"], "title": one["title"]} for one in told if one["private"]],
        "key_pattern": KEY_PATTERN,
        "reserved": [TOTAL_KEY, REMAINDER_KEY],
    }


def _dimensions(bound: BoundSpecification) -> dict[str, Dimension]:
    return {dimension.name: dimension for table in bound.tables for dimension in table.dimensions}


def _all_groups(deepest: Mapping[LevelKey, bool], groups: BoundedGroups) -> pd.DataFrame:
    # one row a group of a level, as ``expectations.contributions`` has it
    # One that lacks a column is looked at no further: the check of columns catches it.
    known = {key: frame for key, frame in groups.levels.items() if set(_columns(key)) <= set(frame)}
    told = known or {LevelKey("", (), 1): pd.DataFrame(columns=[_PEOPLE, _CONTRIBUTIONS], dtype="int64")}
    return pd.concat(
        [_groups_of(key, frame, once=deepest.get(key, False)) for key, frame in told.items()], ignore_index=True
    )


def _groups_of(key: LevelKey, frame: pd.DataFrame, *, once: bool) -> pd.DataFrame:
    path = pd.Series("", index=frame.index, dtype="string")
    parent = pd.Series(pd.NA, index=frame.index, dtype="string")  # a total is a part of nothing
    for name in key.dimensions:
        path, parent = path + f"{name}=" + frame[name].astype("string").fillna("") + _STEP, path
    return pd.DataFrame(
        {
            "family": _family(key),
            "people_family": _family(key.people),
            "level": _level(key.dimensions),
            "of_people": key.of_people,
            "group": path,
            "parent": parent,
            "people": frame[_PEOPLE].astype("Int64") if key.of_people else pd.array([None] * len(frame), dtype="Int64"),
            "contributions": frame[_CONTRIBUTIONS],
            "max_groups": key.max_groups,
            "limit": key.measured.limit,
            "once": once,
        },
        index=frame.index,
    )


def _group_parameters(keys: Iterable[LevelKey]) -> Parameters:
    drilled = [
        {
            "family": _family(key),
            "people_family": _family(key.people),
            "level": _level(key.dimensions),
            "above": _level(key.dimensions[:-1]) if key.dimensions else "",
        }
        for key in keys
    ]
    return {"drilled": drilled, "largest": LARGEST_COUNT}


def _name(key: LevelKey) -> str:
    return f"{_family(key)} {_level(key.dimensions)}"


def _family(key: LevelKey) -> str:
    """What a level counts, whatever its dimensions: levels of one family drill down into each other."""
    where = f"{key.table}, {key.max_groups} groups a person" if key.table else "people"
    return where if key.of_people else f"{where}: {key.measured.quantity}, {key.measured.limit} {key.measured.scope}"


def _level(dimensions: tuple[str, ...]) -> str:
    return f"({', '.join(dimensions)})"
