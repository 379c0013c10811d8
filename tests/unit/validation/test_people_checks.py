from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from great_expectations.expectations.registry import get_expectation_impl

from expectations.base import VerdictExpectation
from pipeline.errors import ChecksFailedError
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.budget import K
from pipeline.release.draw import draw_release
from pipeline.spec import BoundSpecification
from pipeline.validation import runs
from pipeline.validation.people import check_people, subjects
from pipeline.validation.suites import Check, Part, SuiteFile, load_suite
from pipeline.workspace import Workspace
from tests.builders import pseudonym
from tests.unit.validation.made_people import bound, counted
from tests.unit.validation.people_breakages import BREAKAGES, COUNTRIES, SHOPS, Breakage, both, put, reshape

SUITE = load_suite("people")
ROOT = Path(__file__).parents[3]


def _name(part: str, check: Check) -> str:
    column = check.each or check.kwargs.get("column")
    return f"{part}.{check.type}" + (f".{column}" if column else "")


def _only(name: str) -> SuiteFile:
    """The suite with one of its checks."""
    part = name.split(".", maxsplit=1)[0]
    checks = tuple(check for check in SUITE.parts[part].checks if _name(part, check) == name)
    return SUITE.model_copy(update={"parts": {part: Part(about=SUITE.parts[part].about, checks=checks)}})


@pytest.mark.usefixtures("without_docs")
def test_counts_as_they_are_made_pass(tmp_path: Path) -> None:
    verdicts = check_people(Workspace(tmp_path), bound(), counted()).require()
    assert {verdict.suite for verdict in verdicts.checks} == {"people"}
    assert {verdict.subject for verdict in verdicts.checks} == {"bounded groups"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("people", [0, 1, 2])
def test_that_there_is_nobody_or_hardly_anybody_changes_no_verdict(people: int, tmp_path: Path) -> None:
    """Otherwise the verdicts would tell of it."""
    few = check_people(Workspace(tmp_path), bound(), counted(people=people))
    assert few.to_bytes() == check_people(Workspace(tmp_path), bound(), counted()).to_bytes()


@pytest.mark.parametrize("people", [0, 1, 2, 5, 25, 400])
def test_whoever_the_people_are_every_rule_about_their_counts_holds(people: int) -> None:
    for seed in range(10):
        # sums beyond their limits, and beyond what 64 bits hold
        _assert_all_hold(bound(), counted(seed, people, largest=2_000 if seed % 2 else 2**62))


def _assert_all_hold(specification: BoundSpecification, groups: BoundedGroups) -> None:
    (subject,) = (one for one in subjects(specification, groups) if one.part == "groups")
    for check in SUITE.parts["groups"].filled(subject.parameters):
        rule: Any = get_expectation_impl(check.type)(**check.kwargs)
        assert isinstance(rule, VerdictExpectation)
        assert rule.holds(subject.frame), check.description


def test_counts_that_were_cut_off_where_64_bits_end_add_up_still() -> None:
    cut = {
        key: frame.assign(**{column: 2**62 for column in ("people", "contributions") if column in frame})
        for key, frame in counted().levels.items()
    }
    _assert_all_hold(bound(), dataclasses.replace(counted(), levels=cut))


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        pytest.param(name, breakage, id=f"{name}-{place}")
        for name, breakages in BREAKAGES.items()
        for place, breakage in enumerate(breakages)
    ],
)
@pytest.mark.usefixtures("without_docs")
def test_broken_counts_are_caught_by_the_check_that_is_meant_to(name: str, breakage: Breakage, tmp_path: Path) -> None:
    suite = _only(name)
    held = [subject for subject in subjects(bound(), breakage(counted())) if subject.part in suite.parts]
    with pytest.raises(ChecksFailedError):
        runs.run(Workspace(tmp_path), suite, "weekly", "broken", held).require()


def test_every_check_has_counts_that_it_catches() -> None:
    parts = SUITE.parts
    assert set(BREAKAGES) == {_name(part, check) for part, held in parts.items() for check in held.checks}


def test_no_count_and_no_key_of_a_person_is_told_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = ["jane.planted@example.org", pseudonym(7), "planted column", "31415926535"]
    breakage = both(
        put(COUNTRIES, country=planted[0], contributions=31_415_926_535),
        put(SHOPS, shop=planted[1]),
        reshape(SHOPS, lambda frame: frame.assign(**{planted[2]: planted[1]})),
    )
    verdicts = check_people(Workspace(tmp_path), bound(), breakage(counted()))
    with pytest.raises(ChecksFailedError) as raised:
        verdicts.require()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {".html", ".json"} <= {path.suffix for path in written}
    told = b"".join([*(path.read_bytes() for path in written), verdicts.to_bytes()]).decode(errors="replace")
    told += "".join([caplog.text, str(raised.value), repr(raised.value), *capfd.readouterr()])
    assert [value for value in planted if value in told] == []
    assert not [path for path in tmp_path.rglob("*") if any(value in path.name for value in planted)]


def test_what_passes_can_be_drawn(tmp_path: Path) -> None:
    groups = counted(people=400)
    specification = dataclasses.replace(bound(), k=K(2))
    check_people(Workspace(tmp_path), specification, groups).require()
    draw_release(specification, groups)


def test_a_release_of_own_records_is_drawn_without_great_expectations() -> None:
    """A check takes longer there than a hundred releases, and nobody reads its page."""
    code = "import sys, pipeline.library, pipeline.audit.auditing; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
