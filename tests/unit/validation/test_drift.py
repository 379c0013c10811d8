from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from expectations.base import VerdictExpectation
from expectations.drift import (
    ExpectGroupsToComeAndGoNearTheThreshold,
    ExpectMovesToStayWithinToleranceAndNoise,
    ExpectWithheldShareToHold,
)
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.drift import drift_of
from pipeline.validation.release import subjects
from pipeline.validation.runs import Subject, run
from pipeline.validation.suites import load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import TOTAL_KEY
from pipeline.workspace import Workspace
from tests.unit.validation.breakages import WITHHELD, Breakage, put
from tests.unit.validation.breakages_beside import regions
from tests.unit.validation.made_releases import Case, case, good_release

SUITE = load_suite("release")
_COMING = "expect_groups_to_come_and_go_near_the_threshold"
MOVES: dict[str, Any] = {"dimensions": ["country"], "measure": "people", "kind": "group", "tolerance": 0.5, "limit": 4}


def _table(when: str, **rows: Any) -> pd.DataFrame:
    """Rows of people by country: an estimate and its deviation, or the reason why it is withheld."""
    told = {TOTAL_KEY: (1000, 1.0), **rows}
    return pd.DataFrame(
        [
            {
                "when": when,
                "country": key,
                "kind": "total" if key == TOTAL_KEY else "group",
                "measure": "people",
                "value": pd.NA if isinstance(row, str) else round(row[0]),
                "value_lo": pd.NA,
                "value_hi": pd.NA,
                "estimate": np.nan if isinstance(row, str) else row[0],
                "noise_sd": np.nan if isinstance(row, str) else row[1],
                "obs_status": "Q" if isinstance(row, str) else "A",
                "conf_status": row if isinstance(row, str) else "F",
            }
            for key, row in told.items()
        ]
    )


def _two(now: dict[str, Any], before: dict[str, Any]) -> pd.DataFrame:
    return pd.concat([_table("now", **now), _table("before", **before)])


def _moves(now: tuple[float, float], before: tuple[float, float], **changes: Any) -> bool:
    rule = ExpectMovesToStayWithinToleranceAndNoise(**{**MOVES, **changes})
    return rule.holds(_two({"DE": now}, {"DE": before}))


@pytest.mark.parametrize(
    ("now", "before", "holds"),
    [
        ((150 + 20, 3.0), (100, 4.0), True),  # z = 20 / 5
        ((150 + 20.1, 3.0), (100, 4.0), False),
        ((50 - 20, 3.0), (100, 4.0), True),
        ((50 - 20.1, 3.0), (100, 4.0), False),
        ((15_000, 3.0), (10_000, 4.0), True),  # a z of 1,000 without a tolerance
        ((30, 40.0), (5, 30.0), True),  # six times as many, which noise explains
        ((200, 50.0), (-10, 0.0), False),  # of less than nothing no share is tolerated, nor taken off
        ((200, 53.0), (-10, 0.0), True),
    ],
)
def test_a_move_is_remarkable_beyond_the_tolerance_and_the_noise_of_both(
    now: tuple[float, float], before: tuple[float, float], holds: bool
) -> None:
    assert _moves(now, before) is holds


def test_without_noise_and_without_tolerance_any_move_is_remarkable() -> None:
    assert _moves((100, 0.0), (100, 0.0), tolerance=0)
    assert not _moves((101, 0.0), (100, 0.0), tolerance=0)


def test_a_move_that_cannot_be_computed_does_not_pass() -> None:
    assert not _moves((100, np.nan), (100, 1.0))


def test_totals_and_groups_are_judged_apart() -> None:
    frame = _two({TOTAL_KEY: (5000, 1.0), "DE": (100, 1.0)}, {"DE": (100, 1.0)})
    assert ExpectMovesToStayWithinToleranceAndNoise(**MOVES).holds(frame)
    assert not ExpectMovesToStayWithinToleranceAndNoise(**{**MOVES, "kind": "total"}).holds(frame)


def test_noise_alone_is_remarked_in_unchanged_groups_as_rarely_as_is_said() -> None:
    """The difference of two Laplace variables is beyond 4 deviations with probability (1 + 4) exp(-2 * 4)."""
    source, scale, groups, tables = np.random.default_rng(20_261_005), 20.0, 50, 150
    rule = ExpectMovesToStayWithinToleranceAndNoise(**{**MOVES, "tolerance": 0.0})
    frame = _two(*[{f"{place}": (1.0, np.sqrt(2) * scale) for place in range(groups)}] * 2)
    is_group = frame["kind"].eq("group")
    quiet = 0
    for _ in range(tables):
        frame.loc[is_group, "estimate"] = 100 + source.laplace(scale=scale, size=2 * groups)
        quiet += rule.holds(frame)
    assert quiet / tables == pytest.approx((1 - 5 * np.exp(-8)) ** groups, abs=0.06)


def _comes_and_goes(now: Any, before: Any, threshold_now: int = 41, threshold_before: int = 41) -> bool:
    at = {"now": threshold_now, "before": threshold_before}
    rule = ExpectGroupsToComeAndGoNearTheThreshold(
        dimensions=["country"],
        people="people",
        thresholds={when: [41, least] for when, least in at.items()},
        deviations={"now": [3.0, 3.0], "before": [3.0, 3.0]},
        tolerance=0.5,
        limit=4,
    )
    return rule.holds(_two({"DE": now} if now else {}, {"DE": before} if before else {}))


@pytest.mark.parametrize(
    ("now", "before", "holds"),
    [
        ("C", (120, 4.0), True),  # from 120 to 40 at most: 80 - 60 = 4 * 5
        ("C", (120.1, 4.0), False),
        ((80, 4.0), "C", True),  # from 40 at most to 80: 40 - 20 = 4 * 5
        ((80.1, 4.0), "C", False),
        ("C", (41, 4.0), True),
        ("D", (5000, 4.0), True),  # folded: says nothing of its number
        ((5000, 4.0), "D", True),
        ("C", "D", True),
        ((5000, 4.0), (5000, 4.0), True),
        (None, (5000, 4.0), False),  # of private keys those that are withheld are not named
        ((5000, 4.0), None, False),
    ],
)
def test_a_group_comes_or_goes_unremarked_near_the_threshold_only(now: Any, before: Any, holds: bool) -> None:
    assert _comes_and_goes(now, before) is holds


def test_a_group_that_was_withheld_was_so_by_the_threshold_of_its_release() -> None:
    assert _comes_and_goes((500, 4.0), "C", threshold_before=400)
    assert not _comes_and_goes((500, 4.0), "C", threshold_now=400)
    assert _comes_and_goes("C", (500, 4.0), threshold_now=400)


@pytest.mark.usefixtures("without_docs")
def test_under_a_withheld_parent_nothing_is_said_of_a_group(tmp_path: Path) -> None:
    def folded(release: PrivateRelease) -> PrivateRelease:
        told = put("by_system", ("US", TOTAL_KEY), **{**WITHHELD, "conf_status": "D"})(release)
        rows = told.tables["by_system"].query(f"country != 'US' or operating_system == '{TOTAL_KEY}'")
        return dataclasses.replace(told, tables={**told.tables, "by_system": rows})

    assert not _checked(case(), folded, tmp_path).warnings
    assert _checked(case(), put("by_system", ("US", "Linux"), **WITHHELD), tmp_path).warnings


def _checked(made: Case, change: Breakage, folder: Path) -> Verdicts:
    """What the suite says of groups that come and go in the table by system, of a release that is changed."""
    table = next(facts for facts in made.release.header.tables if facts.name == "by_system")
    return _run(drift_of(change(made.release), made.previous, table), _COMING, folder)


def _run(subject: Subject, only: str, folder: Path) -> Verdicts:
    part = SUITE.parts[subject.part]
    checks = tuple(check for check in part.checks if check.type == only)
    suite = SUITE.model_copy(update={"parts": {subject.part: part.model_copy(update={"checks": checks})}})
    return run(Workspace(folder), suite, "weekly_audience", "drift", [subject])


def _shares(listed: int, before: int, of: int) -> bool:
    now, then = ({f"{place}": (100, 1.0) if place < many else "C" for place in range(of)} for many in (listed, before))
    rule = ExpectWithheldShareToHold(dimensions=["country"], people="people", tolerance=0.1, limit=2)
    return rule.holds(_two(now, then))


@pytest.mark.parametrize(
    ("now", "before", "of", "holds"),
    [
        (10, 10, 20, True),
        (10, 16, 20, True),  # (6 - 2) / sqrt(6) = 1.6
        (10, 19, 20, False),  # (9 - 2) / sqrt(9) = 2.3
        (19, 10, 20, False),
        (90, 100, 100, True),  # a tenth
    ],
)
def test_the_withheld_share_jumps_by_more_than_a_tenth_and_chance(now: int, before: int, of: int, holds: bool) -> None:
    assert _shares(now, before, of) is holds


def test_groups_that_come_and_go_in_equal_number_change_no_share() -> None:
    keys = [f"{place}" for place in range(20)]
    now = {key: (100, 1.0) if place % 2 else "C" for place, key in enumerate(keys)}
    before = {key: "C" if place % 2 else (100, 1.0) for place, key in enumerate(keys)}
    rule = ExpectWithheldShareToHold(dimensions=["country"], people="people", tolerance=0.1, limit=2)
    assert rule.holds(_two(now, before))


def test_groups_that_went_with_their_parent_change_no_share_of_their_own() -> None:
    cities = [f"city {number}" for number in range(12)]
    before = [(TOTAL_KEY, TOTAL_KEY), ("DE", TOTAL_KEY), *(("DE", city) for city in cities)]
    then = _table("before", **{f"{place}": (100, 1.0) for place in range(len(before) - 1)})
    then = then.assign(**dict(zip(("country", "city"), zip(*before, strict=True), strict=True)))
    now = then[:2].assign(when="now")
    now.loc[now["country"].eq("DE"), "value"] = None
    frame = pd.concat([then, now])
    rule = ExpectWithheldShareToHold(dimensions=["country", "city"], people="people", tolerance=0.1, limit=2)
    assert rule.holds(frame)


@pytest.mark.parametrize(
    "rule",
    [
        ExpectMovesToStayWithinToleranceAndNoise(**MOVES),
        ExpectGroupsToComeAndGoNearTheThreshold(
            dimensions=["country"],
            people="people",
            thresholds={"now": [41, 41], "before": [41, 41]},
            deviations={"now": [3.0, 3.0], "before": [3.0, 3.0]},
            tolerance=0.5,
            limit=4,
        ),
        ExpectWithheldShareToHold(dimensions=["country"], people="people", tolerance=0.1, limit=2),
    ],
)
def test_without_anything_before_nothing_is_remarkable(rule: VerdictExpectation) -> None:
    assert rule.holds(_table("now", **{f"{place}": (5000, 1.0) for place in range(20)}))


@pytest.mark.usefixtures("without_docs")
def test_many_small_groups_that_go_together_are_remarked_by_their_share_alone(tmp_path: Path) -> None:
    now, before = regions(3, "2026-W41"), regions(10, "2026-W40")
    part = SUITE.model_copy(update={"parts": {"drift": SUITE.parts["drift"]}})
    subject = drift_of(now, before, now.header.tables[0])
    verdicts = run(Workspace(tmp_path), part, "weekly_audience", "drift", [subject])
    assert [verdict.check.split(" since ")[0] for verdict in verdicts.warnings] == [
        "The share of withheld groups changed"
    ]


def test_what_was_told_otherwise_before_is_not_compared() -> None:
    made = good_release()
    facts = {table.name: table for table in made.header.tables}
    bounded = [
        one.model_copy(update={"limit": 6} if one.name == "requests" else {}) for one in facts["by_system"].measures
    ]
    wider = facts["by_section"].model_copy(update={"max_groups": 4})
    tables = (facts["by_country"], facts["by_system"].model_copy(update={"measures": tuple(bounded)}), wider)
    before = PrivateRelease(made.header.model_copy(update={"tables": tables}), made.tables)
    told = {name: drift_of(made, before, table).frame for name, table in facts.items()}
    assert {name: set(frame["when"]) for name, frame in told.items()} == {
        "by_country": {"now", "before"},
        "by_system": {"now", "before"},
        "by_section": set(),
        "by_domain": set(),
    }
    assert set(told["by_system"]["measure"]) == {"people", "requests_each"}


@pytest.mark.parametrize("change", [{"release": "other"}, {"unit": "one visitor in one day"}])
def test_a_release_of_something_else_is_not_compared(change: dict[str, str]) -> None:
    made = good_release()
    before = PrivateRelease(made.header.model_copy(update=change), made.tables)
    assert drift_of(made, before, made.header.tables[0]).frame.empty


@pytest.mark.usefixtures("without_docs")
def test_a_key_that_was_not_on_the_list_before_is_not_new(tmp_path: Path) -> None:
    made, table = case(), good_release().header.tables[0]
    assert made.previous is not None
    shorter = table.model_copy(update={"keys": (tuple(key for key in table.keys[0] if key != "DE"),)})
    header = made.previous.header.model_copy(update={"tables": (shorter, *made.previous.header.tables[1:])})
    before = {**made.previous.tables, "by_country": made.previous.tables["by_country"].query("country != 'DE'")}
    subject = drift_of(made.release, PrivateRelease(header, before), table)
    assert "DE" not in set(subject.frame["country"])
    assert _run(subject, _COMING, tmp_path).checks[0].success


def test_checks_of_a_table_carry_its_name_and_no_period() -> None:
    """An audience is told nothing of tables that it does not receive, and the same outcome has the same words."""
    made = case()
    told = {one.asset: one for one in subjects(made.release, made.previous, reserved=made.reserved)}
    for table in made.release.header.tables:
        drift = told[f"{table.name}_drift"]
        assert drift.named == table.name
        words = {check.description for check in SUITE.parts["drift"].filled(drift.parameters)}
        assert not [text for text in words if "2026" in text or "{" in text]


def test_a_broken_release_is_compared_without_an_error() -> None:
    made, table = case(), good_release().header.tables[0]
    broken = made.release.tables["by_country"].drop(columns=["measure", "noise_sd", "country"])
    release = dataclasses.replace(made.release, tables={**made.release.tables, "by_country": broken})
    assert set(drift_of(release, made.previous, table).frame["when"]) == {"before"}
