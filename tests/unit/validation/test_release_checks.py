from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import expectations.base
from pipeline.errors import ChecksFailedError
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.validation import runs
from pipeline.validation.release import check_release, subjects
from pipeline.validation.suites import Check, Part, SuiteFile, load_suite
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY
from pipeline.workspace import Workspace
from tests.unit.validation.made_releases import K, frame, good_release

SUITE = load_suite("release")
Breakage = Callable[[PrivateRelease], PrivateRelease]


def _with_table(release: PrivateRelease, name: str, table: pd.DataFrame) -> PrivateRelease:
    return dataclasses.replace(release, tables={**release.tables, name: table})


def _set(table: str, group: tuple[str, ...], **values: Any) -> Breakage:
    """Write values into the row of one group."""

    def breaks(release: PrivateRelease) -> PrivateRelease:
        copy = release.tables[table].copy()
        row = (copy.iloc[:, : len(group)] == list(group)).all(axis=1)
        assert row.sum() == 1
        for column, value in values.items():
            copy.loc[row, column] = value
        return _with_table(release, table, copy)

    return breaks


def _reshape(table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Breakage:
    return lambda release: _with_table(release, table, change(release.tables[table].copy()))


def _header(**changes: Any) -> Breakage:
    return lambda release: dataclasses.replace(release, header=release.header.model_copy(update=changes))


def _level(place: int, **changes: Any) -> Breakage:
    def breaks(release: PrivateRelease) -> PrivateRelease:
        levels = list(release.header.levels)
        levels[place] = levels[place].model_copy(update=changes)
        return _header(levels=tuple(levels))(release)

    return breaks


def _add_row(table: str, **values: Any) -> Breakage:
    return _reshape(table, lambda old: pd.concat([old, old.tail(1).assign(**values)], ignore_index=True))


def _declare_key(key: str) -> Breakage:
    """Someone wrote this key into the site file, so that it is on the public list."""

    def breaks(release: PrivateRelease) -> PrivateRelease:
        facts = list(release.header.tables)
        facts[0] = facts[0].model_copy(update={"keys": ((*facts[0].keys[0], key),)})
        return _set("by_country", ("GB",), country=key)(_header(tables=tuple(facts))(release))

    return breaks


def _threshold_less(place: int, by: int) -> Breakage:
    return lambda release: _level(place, threshold=release.header.levels[place].threshold - by)(release)


_US = ("US", TOTAL_KEY)
_WITHHELD = {
    **dict.fromkeys(("value", "value_lo", "value_hi", "estimate", "noise_sd"), pd.NA),
    "obs_status": "Q",
    "conf_status": "C",
}

# name of the check -> releases that break it
BREAKAGES: dict[str, list[Breakage]] = {
    "table.expect_columns_to_be_declared": [
        _reshape("by_country", lambda table: table.assign(person="x")),
        _reshape("by_country", lambda table: table.drop(columns="noise_sd")),
    ],
    "table.expect_column_values_to_be_in_set": [_set("by_country", ("GB",), country="XX")],
    "table.expect_column_values_to_hold_no_personal_data": [
        _declare_key("jane.doe@example.org"),
        _declare_key("198.51.100.7"),
        _set("by_country", ("GB",), conf_status="4111 1111 1111 1111"),
    ],
    "table.expect_keys_to_fit_the_kind_of_row": [
        _set("by_country", ("US",), kind="remainder"),
        _set("by_country", ("US",), kind="total"),
        _set("by_country", (TOTAL_KEY,), kind="group"),
        _set("by_country", ("GB",), country=TOTAL_KEY, kind="total"),
        _set("by_system", ("DE", "Linux"), country=TOTAL_KEY),
        _set("by_system", ("DE", "Linux"), country=REMAINDER_KEY),
        _set("by_country", ("US",), kind="median"),
    ],
    "table.expect_each_group_to_stand_once": [_set("by_country", ("GB",), country="FR")],
    "table.expect_status_to_agree_with_values": [
        _set("by_country", ("GB",), noise_sd=2.8),
        _set("by_country", ("US",), obs_status="Q"),
        _set("by_country", ("US",), conf_status="C"),
        _set("by_country", ("GB",), obs_status="A", conf_status="F"),
        _set("by_country", ("US",), value_hi=pd.NA),
    ],
    "table.expect_counts_to_be_whole_numbers": [
        _reshape("by_country", lambda table: table.astype({"value_hi": "float64"})),
        _set("by_country", ("US",), value_lo=-3),
    ],
    "table.expect_column_values_to_be_between.value": [_set("by_country", (REMAINDER_KEY,), value=K - 1)],
    "table.expect_estimates_to_reach_their_threshold": [
        _set("by_country", ("US",), estimate=float(K + 3)),
        _set("by_section", (TOTAL_KEY,), estimate=float(K + 3)),
    ],
    "table.expect_parts_to_add_up_to_their_parent": [
        _set("by_country", (REMAINDER_KEY,), value=199),
        _set("by_system", ("US", "Linux"), value=200),
        _set("by_section", ("docs",), value=1501),
    ],
    "table.expect_nothing_under_a_withheld_parent": [
        _set("by_system", _US, **_WITHHELD),
        _reshape("by_system", lambda table: table[table["country"].ne("US") | table["operating_system"].ne(TOTAL_KEY)]),
    ],
    "table.expect_intervals_to_hold_their_value": [
        _set("by_country", ("US",), value_lo=501),
        _set("by_country", ("US",), value_hi=499),
    ],
    "table.expect_intervals_to_be_as_wide_as_the_noise": [
        _set("by_country", ("US",), value_lo=499),
        _set("by_country", ("US",), value_hi=600),
        _set("by_country", (REMAINDER_KEY,), value_hi=201),
    ],
    "table.expect_noise_to_be_that_of_the_level": [
        _set("by_country", ("US",), noise_sd=1.0),
        _set("by_country", (REMAINDER_KEY,), noise_sd=DiscreteLaplace(Epsilon.of("0.5"), 1).sd),
    ],
    "groups.expect_column_distinct_values_to_equal_set.table": [
        lambda release: dataclasses.replace(release, tables={"by_country": release.tables["by_country"]}),
        lambda release: _with_table(release, "by_person", release.tables["by_country"]),
    ],
    "groups.expect_shared_groups_to_read_the_same": [
        _set("by_system", _US, value_hi=511),
        _set("by_system", ("FR", TOTAL_KEY), conf_status="C"),
        _set("by_system", (REMAINDER_KEY, TOTAL_KEY), estimate=201.0),
    ],
    "levels.expect_column_distinct_values_to_contain_set.level": [
        lambda release: _header(levels=release.header.levels[:-1])(release)
    ],
    "levels.expect_column_values_to_be_between.k": [_header(k=1)],
    "levels.expect_shares_to_stay_within_the_budget.epsilon": [_header(epsilon="2.9"), _level(0, epsilon="0.51")],
    "levels.expect_shares_to_stay_within_the_budget.delta": [
        _header(delta="9e-07"),
        _level(0, delta_remainder="2e-07"),
    ],
    "levels.expect_noise_unless_epsilon_is_infinite": [
        _level(0, mechanism="none"),
        _level(0, scale=0.0),
        _level(0, epsilon="inf"),
    ],
    "levels.expect_scale_to_follow_epsilon": [_level(0, scale=1.0), _level(3, max_groups=1)],
    "levels.expect_deviation_to_follow_scale": [_level(0, noise_sd=1.0)],
    "levels.expect_column_pair_values_a_to_be_greater_than_b": [_level(0, threshold=K - 1)],
    "levels.expect_threshold_to_keep_delta": [_threshold_less(0, 1), _threshold_less(3, 1), _threshold_less(4, 1)],
    "entitlements.expect_column_values_to_be_in_set.audience": [_header(audiences={"everybody": ("by_country",)})],
    "entitlements.expect_column_values_to_be_in_set.table": [_header(audiences={"partner": ("by_person",)})],
}


def _name(part: str, check: Check) -> str:
    column = check.kwargs.get("column")
    return f"{part}.{check.type}" + (f".{column}" if isinstance(column, str) else "")


def _only(name: str) -> SuiteFile:
    """The suite with one of its checks."""
    part = name.split(".", maxsplit=1)[0]
    checks = tuple(check for check in SUITE.parts[part].checks if _name(part, check) == name)
    return SUITE.model_copy(update={"parts": {part: Part(about=SUITE.parts[part].about, checks=checks)}})


def test_a_release_that_keeps_all_rules_passes(tmp_path: Path) -> None:
    verdicts = check_release(Workspace(tmp_path), good_release()).require()
    assert {verdict.subject for verdict in verdicts.checks} == {"by_country", "by_system", "by_section", "release"}
    assert {verdict.suite for verdict in verdicts.checks} == {"release"}


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        pytest.param(name, breakage, id=f"{name}-{place}")
        for name, breakages in BREAKAGES.items()
        for place, breakage in enumerate(breakages)
    ],
)
@pytest.mark.usefixtures("without_docs")
def test_a_broken_release_is_caught_by_the_check_that_is_meant_to(
    name: str, breakage: Breakage, tmp_path: Path
) -> None:
    suite, broken = _only(name), breakage(good_release())
    held = [subject for subject in subjects(broken) if subject.part in suite.parts]
    with pytest.raises(ChecksFailedError):
        runs.run(Workspace(tmp_path), suite, "weekly_audience", "broken", held).require()


def test_every_check_has_a_release_that_it_catches() -> None:
    parts = SUITE.parts
    assert set(BREAKAGES) == {_name(part, check) for part, held in parts.items() for check in held.checks}


@pytest.mark.usefixtures("without_docs")
def test_a_release_whose_total_is_withheld_passes(tmp_path: Path) -> None:
    empty = frame(("country",), {(): "C"}, DiscreteLaplace(Epsilon.of("0.5"), 1))
    empty["kind"] = pd.array(["total"], dtype="string")
    release = good_release()
    tables = {"by_country": empty, "by_system": empty.assign(operating_system="all"), "by_section": empty}
    tables["by_system"] = tables["by_system"][list(release.tables["by_system"].columns)]
    tables["by_section"] = empty.rename(columns={"country": "section"})
    check_release(Workspace(tmp_path), dataclasses.replace(release, tables=tables)).require()


@pytest.mark.usefixtures("without_docs")
def test_a_release_without_noise_passes_where_epsilon_is_infinite(tmp_path: Path) -> None:
    silent = DiscreteLaplace(Epsilon.infinite(), 1)
    rows = {(): ("total", 30, 30, 0), ("DE",): ("group", 18, 18, 0), (REMAINDER_KEY,): ("remainder", 12, 12, 0)}
    facts: TableFacts = good_release().header.tables[0]
    exact = {"mechanism": "none", "epsilon": "inf", "scale": 0.0, "noise_sd": 0.0, "threshold": K}
    levels = tuple(level.model_copy(update=exact) for level in good_release().header.levels[:2])
    changes = {"levels": levels, "tables": (facts,), "epsilon": "inf", "audiences": {"partner": ("by_country",)}}
    header = good_release().header.model_copy(update=changes)
    check_release(
        Workspace(tmp_path), PrivateRelease(header, {"by_country": frame(("country",), rows, silent)})
    ).require()


@pytest.mark.usefixtures("without_docs")
def test_the_same_release_always_has_the_same_verdicts(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = check_release(workspace, good_release())
    again = check_release(workspace, PrivateRelease.from_bytes(good_release().to_bytes()))
    assert first == again
    assert first.sha256 == again.sha256


def test_expectations_and_releases_use_the_same_words_for_totals_and_remainders() -> None:
    assert (expectations.base.TOTAL, expectations.base.REMAINDER) == (TOTAL_KEY, REMAINDER_KEY)
