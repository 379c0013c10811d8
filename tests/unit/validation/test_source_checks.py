from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ChecksFailedError
from pipeline.validation import runs, sources
from pipeline.validation.sources import check_sources
from pipeline.validation.staging import check_staging
from pipeline.validation.suites import Check, Part, SuiteFile, load_suite
from pipeline.validation.verdicts import Verdicts
from tests.unit.validation import made_staging
from tests.unit.validation.source_breakages import (
    BREAKAGES,
    Breakage,
    Read,
    counts,
    customers,
    declared,
    files,
    manifest,
    moved,
    renamed,
    visitors,
)

SUITE = load_suite("sources")
ROOT = Path(__file__).parents[3] / "pipeline"


def _name(part: str, check: Check) -> str:
    column = check.kwargs.get("column")
    return f"{part}.{check.type}" + (f".{column}" if column else "")


def _only(name: str) -> SuiteFile:
    """The suite with one of its checks, of one part."""
    part = name.split(".", maxsplit=1)[0]
    checks = tuple(check for check in SUITE.parts[part].checks if _name(part, check) == name)
    assert checks
    return SUITE.model_copy(update={"parts": {part: Part(about=SUITE.parts[part].about, checks=checks)}})


def checked(read: Read) -> Verdicts:
    return check_sources(read.workspace, read.site_file, read.staging)


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("made", [visitors, customers])
def test_a_period_that_was_read_by_all_rules_passes(made: Callable[[Path], Read], tmp_path: Path) -> None:
    verdicts = checked(made(tmp_path)).require()
    assert {(verdict.suite, verdict.subject) for verdict in verdicts.checks} == {("sources", "sources")}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        pytest.param(name, breakage, id=f"{name}-{place}")
        for name, breakages in BREAKAGES.items()
        for place, breakage in enumerate(breakages)
    ],
)
@pytest.mark.usefixtures("without_docs")
def test_a_fault_of_reading_is_caught_by_the_check_that_is_meant_to(
    name: str, broken: Callable[[Path], Read], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = _only(name)

    def run_one(workspace: Any, _suite: SuiteFile, family: str, run_name: str, subjects: list[Any]) -> Verdicts:
        return runs.run(workspace, suite, family, run_name, [one for one in subjects if one.part in suite.parts])

    monkeypatch.setattr(sources, "run", run_one)
    with pytest.raises(ChecksFailedError):
        checked(broken(tmp_path)).require()


def test_every_check_has_a_fault_that_it_catches() -> None:
    parts = SUITE.parts
    assert set(BREAKAGES) == {_name(part, check) for part, held in parts.items() for check in held.checks}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize(
    ("made", "change"),
    [
        # of one hundred lines one may be rejected, and no file's lines need be known
        pytest.param(visitors, declared("visitors", "max_rejected_share", value=0.01), id="a share at its limit"),
        pytest.param(visitors, manifest(contents={}), id="files of which nothing was written down"),
        pytest.param(customers, counts("orders", read=0, used=0, left_out={}), id="no orders at all"),
        pytest.param(customers, counts("customers", read=999, rejected={}, carried=999), id="nobody changed"),
        pytest.param(customers, declared("customers", "person", value="email"), id="an address as the key"),
        pytest.param(customers, declared("customers", "orders", "product", value="name"), id="names of products"),
    ],
)
def test_what_may_be_passes(made: Callable[[Path], Read], change: Breakage, tmp_path: Path) -> None:
    checked(change(made(tmp_path))).require()


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("column", ["plan_name", "email_opt_in", "device", "company size", "job title", "Ausweis"])
def test_a_column_that_is_named_after_something_else_may_be_a_dimension(column: str, tmp_path: Path) -> None:
    plan = {"kind": "category", "column": column, "title": "Plan", "values": ["basic"]}
    checked(declared("customers", "dimensions", "plan", value=plan)(customers(tmp_path))).require()


def test_every_reason_that_reading_gives_is_on_the_list() -> None:
    """Otherwise a line that is rejected for it would stop the period, however few there are."""
    outcomes = re.compile(r"THEN '([^'{]+)'|outcome = '([^'{]+)'")
    judges = [ROOT / "deidentify" / f"{name}.py" for name in ("requests", "errors", "customer_rows", "orders")]
    found = {one for path in judges for names in outcomes.findall(path.read_text("utf-8")) for one in names if one}
    unread = re.compile(r'rejected\["([^"]+)"\]')
    found |= {one for path in (ROOT / "sources").glob("*.py") for one in unread.findall(path.read_text("utf-8"))}
    assert len(found) > 15
    known = {reason for reasons in sources._REASONS.values() for reason in frozenset().union(*reasons)}
    assert found - known == {"campaign"}  # which is a class of referrers


def test_what_stands_in_a_reason_is_told_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = ["jane.planted@example.org", "Jane Planted", "4111111111111111", "203.0.113.77", "31415926535"]
    read = visitors(tmp_path)
    for breakage in (
        moved("visitor logs", "rejected", planted[0]),
        moved("visitor logs", "left_out", planted[1]),
        renamed("error logs", planted[2]),
        manifest(formats={planted[3]: 1}),
        counts("visitor logs", read=31_415_926_535),
        files(planted[1], *read.staging.manifest.contents["error logs"]),
    ):
        read = breakage(read)
    verdicts = checked(read)
    with pytest.raises(ChecksFailedError) as raised:
        verdicts.require()
    written = [path for path in (tmp_path / "data_docs").rglob("*") if path.is_file()]
    assert {".html", ".json"} <= {path.suffix for path in written}
    told = b"".join([*(path.read_bytes() for path in written), verdicts.to_bytes()]).decode(errors="replace")
    told += "".join([caplog.text, str(raised.value), repr(raised.value), *capfd.readouterr()])
    assert [value for value in planted if value in told] == []
    assert not [path for path in tmp_path.rglob("*") if any(value in path.name for value in planted)]


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("made", [made_staging.visitors, made_staging.customers])
def test_the_verdicts_on_staging_begin_with_those_on_its_sources(made: Any, tmp_path: Path) -> None:
    staging = made(tmp_path)
    workspace, site = made_staging.home_of(staging)
    verdicts = check_staging(workspace, site, staging)
    assert {verdict.suite for verdict in verdicts.checks} == {"sources", f"staging_{staging.population}"}
    verdicts.require()
    (source, held), *others = staging.manifest.sources.items()
    short = held.model_copy(update={"read": held.read + 1})
    broken = staging.manifest.model_copy(update={"sources": {source: short, **dict(others)}})
    with pytest.raises(ChecksFailedError, match="sources: Every line that was read"):
        check_staging(workspace, site, dataclasses.replace(staging, manifest=broken)).require()
