"""Who is told of a release on which nobody decided in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import flow
from pipeline.errors import ConfigurationError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.review.decisions import Register
from pipeline.review.late import alerts
from pipeline.review.links import page_of
from pipeline.spec import ReleaseKey
from pipeline.workspace import HOME_VARIABLE, Workspace
from tests.reviewing import draw, reviewer

KEY = ReleaseKey("weekly", "2026-W41")
RUN = "manual__1"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_URL", "https://review.example.org/")
    return Workspace(tmp_path)


@pytest.fixture
def ledger(workspace: Workspace) -> Ledger:
    """With a release that waits for its reviewers."""
    found = Ledger.open(workspace.ledger)
    draw(found, KEY)
    found.record_checks(KEY, b"[]", passed=True)
    return found


def late(hours: str = "48") -> str:
    return flow.alert_review(KEY.release, KEY.period, hours, RUN, "running")


def told(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(alerts(workspace).glob("*.json"))]


def test_an_alert_tells_which_release_waits_since_when_and_where_to_decide(
    workspace: Workspace, ledger: Ledger
) -> None:
    checked = ledger.newest(EntryKind.CHECKED, KEY)
    path = workspace.home / late("7.5")
    assert path.name.endswith("-7.5h.json")
    (alert,) = told(workspace)
    assert checked
    assert alert == {
        "at": alert["at"],
        "hours": 7.5,
        "level": "warning",
        "run": RUN,
        "state": "running",
        "release": "weekly",
        "period": "2026-W41",
        "revision": 1,
        "waits for": "its reviewers",
        "since": checked.at,
        "decisions": 0,
        "page": "https://review.example.org/releases/weekly/2026-W41/r1",
    }


def test_each_alert_is_a_file_of_its_own(workspace: Workspace, ledger: Ledger) -> None:
    assert ledger.state(KEY)
    assert late() != late()
    assert len(told(workspace)) == 2


@pytest.mark.parametrize("decide", [Register.approve, Register.reject])
def test_nobody_is_told_of_what_is_decided(workspace: Workspace, ledger: Ledger, decide: Callable[..., None]) -> None:
    decide(Register.of(workspace), KEY, reviewer(workspace), "read")
    assert ledger.state(KEY) in (EntryKind.APPROVED, EntryKind.REJECTED)
    assert late() == ""
    assert told(workspace) == []


def test_a_run_that_did_not_even_draw_in_time_is_told_of(workspace: Workspace) -> None:
    assert late()
    (alert,) = told(workspace)
    assert (alert["waits for"], alert["since"], alert["decisions"]) == ("its draw and its checks", None, 0)


def test_an_alert_that_cannot_be_written_says_so(workspace: Workspace, ledger: Ledger) -> None:
    assert ledger.state(KEY)
    (workspace.home / "reports").write_text("a file where the folder should be", "utf-8")
    with pytest.raises(ConfigurationError, match="an alert must be writable"):
        late()


@pytest.mark.parametrize("address", ["ftp://example.org", "review.example.org", "javascript:alert(1)", "https://"])
def test_the_portals_address_must_be_one_of_the_web(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_URL", address)
    with pytest.raises(ConfigurationError, match="must be the address at which reviewers reach the portal"):
        page_of(KEY)


def test_without_a_setting_the_portal_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMOGRAPHICS_PORTAL_URL", raising=False)
    assert page_of(ReleaseKey("weekly", "2026-W41", 2)) == "http://127.0.0.1:8600/releases/weekly/2026-W41/r2"
