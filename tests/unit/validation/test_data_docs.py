from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from expectations.base import VerdictExpectation
from pipeline.release.artefact import PrivateRelease
from pipeline.validation import data_docs, runs
from pipeline.validation.data_docs import CheckRecord, RunRecord, SubjectRecord
from pipeline.validation.release import check_release
from pipeline.validation.suites import Check, Part, SuiteFile
from pipeline.validation.verdicts import Verdicts
from pipeline.workspace import Workspace
from tests.unit.validation.breakages import US, put
from tests.unit.validation.made_releases import charge_of, good_release

ROOT = Path(__file__).parents[3]
NOW = dt.datetime(2026, 10, 12, 6, 30, tzinfo=dt.UTC)
# Checks a release where nothing may be sent, home and working folder are empty, and time is taken.
_IN_A_CLOSED_NETWORK = """
import socket, sys, time
def refuse(*arguments, **named):
    raise SystemExit("something was sent")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse

began = time.monotonic()
import pipeline.validation.verdicts
if "great_expectations" in sys.modules or "pandas" in sys.modules:
    raise SystemExit("verdicts import too much")

from pathlib import Path
from pipeline.validation.release import check_release
earlier = ("pipeline.people", "pipeline.sources", "pipeline.deidentify", "pipeline.release.draw")
if read := [name for name in sys.modules if name.startswith(earlier)]:
    raise SystemExit(f"checks on a release can read {read}")

from pipeline.release.artefact import PrivateRelease
from pipeline.workspace import Workspace
release = PrivateRelease.from_bytes(Path(sys.argv[1]).read_bytes())
check_release(Workspace(Path(sys.argv[2])), release, reserved=None)
"""


def run_of(
    outcomes: Sequence[bool | None] = (True,),
    *,
    at: dt.datetime = NOW,
    suite: str = "release",
    name: str = "weekly_audience.2026-W41.r1",
    check: str = "Check",
    about: str = "A suite.",
) -> RunRecord:
    """A run with one table, and a check for each outcome: None of one that does not hold and stops nothing."""
    checks = tuple(
        CheckRecord(check=f"{check} {place}", notes="Why", critical=outcome is not None, success=bool(outcome))
        for place, outcome in enumerate(outcomes)
    )
    subjects = (SubjectRecord(subject="by_country", part="table", about="A table.", checks=checks),)
    return RunRecord(at=at, suite=suite, about=about, name=name, subjects=subjects)


def check(workspace: Workspace, release: PrivateRelease) -> Verdicts:
    return check_release(workspace, release, reserved=charge_of(release.header))


def add(folder: Path, run: RunRecord) -> RunRecord:
    data_docs.add_run(folder, run)
    data_docs.write_index(folder)
    return run


def test_every_run_is_on_the_index_the_newest_first_and_has_its_page(tmp_path: Path) -> None:
    workspace, release = Workspace(tmp_path), good_release()
    later = release.header.model_copy(update={"period": "2026-W42"})
    check(workspace, release)
    check(workspace, release)
    check(workspace, type(release)(later, release.tables))
    names = [run.name for run in data_docs.runs(workspace.data_docs)]
    assert names == [f"weekly_audience.2026-W4{week}.r1" for week in (2, 1, 1)]
    index = (workspace.data_docs / "index.html").read_text("utf-8")
    linked = re.findall(r'href="(runs/[^"]+)"', index)
    assert linked == [run.page for run in data_docs.runs(workspace.data_docs)]
    for place in linked:
        assert "weekly_audience / 2026-W4" in (workspace.data_docs / place).read_text("utf-8")


def test_runs_are_found_by_their_suite_and_name(tmp_path: Path) -> None:
    for place, (suite, name) in enumerate([("release", "a.1"), ("bundle", "a.1"), ("release", "a.2")]):
        add(tmp_path, run_of(suite=suite, name=name, at=NOW + dt.timedelta(days=place)))
    assert [run.name for run in data_docs.runs(tmp_path, suite="release")] == ["a.2", "a.1"]
    assert [run.suite for run in data_docs.runs(tmp_path, name="a.1")] == ["bundle", "release"]
    assert data_docs.runs(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([True, True], "All 2 checks hold"),
        ([True], "The one check holds"),
        ([True, False], "1 of 2 checks does not hold"),
        ([False, False, None], "2 of 3 checks do not hold"),
        ([True, None], "1 check of 2 to note</span>; no critical check fails"),
        ([], "No check was carried out"),
    ],
)
def test_an_outcome_is_told_in_words(outcomes: list[bool | None], told: str, tmp_path: Path) -> None:
    run = add(tmp_path, run_of(outcomes))
    for page in ("index.html", run.page):
        assert told in (tmp_path / page).read_text("utf-8")


def test_a_page_begins_with_what_does_not_hold(tmp_path: Path) -> None:
    run = add(tmp_path, run_of([True, None, False]))
    page = (tmp_path / run.page).read_text("utf-8")
    first = page[page.index("What does not hold") : page.index('id="s1"')]
    assert [name for name in ("Check 0", "Check 1", "Check 2") if name in first] == ["Check 1", "Check 2"]
    assert first.index("Check 2") < first.index("Check 1"), "critical ones come first"


def test_what_a_suite_says_is_escaped(tmp_path: Path) -> None:
    run = add(tmp_path, run_of([False], check="<script>alert(1)</script>", about="<b>bold</b>"))
    page = (tmp_path / run.page).read_text("utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_record_that_cannot_be_read_keeps_no_run_from_being_listed(tmp_path: Path) -> None:
    broken = tmp_path / "records" / "release" / "a.1" / "20261001T000000.000000Z.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    add(tmp_path, run_of(name="a.2"))
    assert [run.name for run in data_docs.runs(tmp_path)] == ["a.2"]


def test_a_hundred_earlier_runs_cost_a_run_less_than_a_second(tmp_path: Path) -> None:
    for day in range(100):
        data_docs.add_run(tmp_path, run_of([True] * 120, at=NOW + dt.timedelta(days=day)))
    begun = time.monotonic()
    add(tmp_path, run_of([True] * 120, at=NOW - dt.timedelta(days=1)))
    assert time.monotonic() - begun < 1
    assert (tmp_path / "index.html").read_text("utf-8").count('<td class="when">') == 101


def test_no_file_of_data_docs_names_anything_outside(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    check(workspace, good_release())
    check(workspace, put("by_system", US, value=3)(good_release()))
    files = [path for path in workspace.data_docs.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".json", ""}
    for path in files:
        text = path.read_text("utf-8")
        assert not re.search(r"https?:|\bwww\.|[\"'(]//|@import|url\(|<(script|link|img|iframe|object)\b", text), path
        if path.suffix == ".html":
            assert '<html lang="en">' in text
            assert "default-src 'none'" in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_whole_in_a_browser_without_a_network_and_keep_nobody_out(
    scheme: Literal["light", "dark"], browser: Browser, tmp_path: Path
) -> None:
    add(tmp_path, run_of([True, None, True]))
    add(tmp_path, run_of([True, None, False], at=NOW + dt.timedelta(days=1)))
    page = browser.new_page(color_scheme=scheme, java_script_enabled=True, bypass_csp=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())
    seen = [page.title()]
    assert page.get_by_role("row").count() == 3
    found = [Axe().run(page).response["violations"]]
    page.get_by_role("link", name="weekly_audience / 2026-W41 / r1").first.click()
    seen.append(page.title())
    found.append(Axe().run(page).response["violations"])
    assert page.get_by_text("does not hold", exact=True).first.is_visible()
    page.get_by_role("link", name="Data Docs").click()
    assert seen == ["Data Docs: 2 runs of checks", "Release: weekly_audience / 2026-W41 / r1"]
    assert found == [[], []]
    assert [url for url in asked if not url.startswith("file://")] == []
    page.close()


def test_a_run_waits_until_another_has_written_its_pages(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.data_docs.mkdir()
    with ThreadPoolExecutor(1) as pool:
        with (workspace.data_docs / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            run = pool.submit(check, workspace, good_release())
            with pytest.raises(TimeoutError):
                run.result(timeout=3)
            assert not (workspace.data_docs / "index.html").exists()
        run.result(timeout=60).require()
    assert (workspace.data_docs / "index.html").exists()


def test_the_pages_say_in_plain_words_what_was_checked(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    verdicts = check(workspace, good_release())
    pages = "".join(path.read_text("utf-8") for path in (workspace.data_docs / "runs").rglob("*.html"))
    words = {verdict.check.replace("'", "&#39;") for verdict in verdicts.checks}
    assert {word for word in words if word not in pages and word.replace("&#39;", "'") not in pages} == set()


def test_a_check_tells_nobody_and_writes_into_the_workspace_only(tmp_path: Path) -> None:
    for name in ("home", "cwd", "workspace"):
        (tmp_path / name).mkdir()
    artefact = tmp_path / "release.json"
    artefact.write_bytes(good_release().to_bytes())
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_CLOSED_NETWORK, str(artefact), str(tmp_path / "workspace")],
        cwd=tmp_path / "cwd",
        env={"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list((tmp_path / "cwd").iterdir())
    assert not list((tmp_path / "home").rglob("*great*"))
    assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["data_docs"]


class ExpectTheTableToBeRecited(VerdictExpectation):
    def holds(self, frame: pd.DataFrame) -> bool:
        raise ValueError(frame.to_csv())


@pytest.mark.parametrize(
    ("broken", "arguments"),
    [
        ("expect_column_mean_to_be_between", {"column": "name", "min_value": 3}),
        ("expect_the_table_to_be_recited", {}),
    ],
)
def test_a_check_that_cannot_be_carried_out_fails_and_quotes_nothing(
    broken: str, arguments: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted = "jane.planted@example.org"
    check = Check(type=broken, description="It cannot be carried out", kwargs=arguments)
    suite = SuiteFile(suite="trial", about="A trial.", parts={"table": Part(about="Names.", checks=(check,))})
    subject = runs.Subject("table", "table", "table", pd.DataFrame({"name": [planted]}, dtype=object), {})
    verdicts = runs.run(Workspace(tmp_path), suite, "trial", "trial", [subject])
    assert [verdict.success for verdict in verdicts.checks] == [False]
    assert planted not in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and planted.encode() in path.read_bytes()]


def test_records_keep_verdicts_and_no_fingerprint_of_what_was_checked(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    verdicts = check(workspace, good_release())
    (record,) = (workspace.data_docs / "records").rglob("*.json")
    assert "fingerprint" not in record.read_text("utf-8")
    (run,) = data_docs.runs(workspace.data_docs)
    held = [(subject.subject, check.check, check.success) for subject in run.subjects for check in subject.checks]
    assert held == [(verdict.subject, verdict.check, verdict.success) for verdict in verdicts.checks]
