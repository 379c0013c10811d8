from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from expectations.base import VerdictExpectation
from pipeline.validation import runs
from pipeline.validation.release import check_release
from pipeline.validation.suites import Check, Part, SuiteFile
from pipeline.workspace import Workspace
from tests.unit.validation.made_releases import good_release

ROOT = Path(__file__).parents[3]
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
check_release(Workspace(Path(sys.argv[2])), release).require()
"""


def test_every_run_is_on_the_index_and_has_its_pages(tmp_path: Path) -> None:
    workspace, release = Workspace(tmp_path), good_release()
    later = release.header.model_copy(update={"period": "2026-W42"})
    check_release(workspace, release)
    check_release(workspace, type(release)(later, release.tables))
    check_release(workspace, type(release)(later, release.tables))
    index = (workspace.data_docs / "index.html").read_text("utf-8")
    assert "weekly_audience.2026-W41.r1" in index
    assert "weekly_audience.2026-W42.r1" in index
    results = [path.relative_to(workspace.data_docs / "records" / "results") for path in _files(workspace, "results")]
    assert len(results) == 3 * 7
    for result in results:
        page = Path("validations") / result.with_suffix(".html")
        assert (workspace.data_docs / page).is_file()
        assert str(page) in index


def _files(workspace: Workspace, room: str) -> list[Path]:
    return list((workspace.data_docs / "records" / room).rglob("*.json"))


def test_a_run_waits_until_another_has_written_its_pages(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.data_docs.mkdir()
    with ThreadPoolExecutor(1) as pool:
        with (workspace.data_docs / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            run = pool.submit(check_release, workspace, good_release())
            with pytest.raises(TimeoutError):
                run.result(timeout=3)
            assert not (workspace.data_docs / "index.html").exists()
        run.result(timeout=60).require()
    assert (workspace.data_docs / "index.html").exists()


def test_the_pages_say_in_plain_words_what_was_checked(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    verdicts = check_release(workspace, good_release())
    pages = "".join(path.read_text("utf-8") for path in (workspace.data_docs / "validations").rglob("*.html"))
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


def test_results_keep_no_fingerprint_of_what_was_checked(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    check_release(workspace, good_release())
    results = _files(workspace, "results")
    assert results
    assert not [path for path in results if "fingerprint" in path.read_text("utf-8")]
