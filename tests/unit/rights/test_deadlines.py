"""The 48 hours of a request: the clock is moved, and what is told at each time is read."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline import flow_rights
from pipeline.errors import RequestError
from pipeline.rights.contents import Unusable
from pipeline.rights.deadlines import Watch, ages, alert, watch
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.store import Incoming, Origin, RequestStore
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, Workspace

EMAIL, CUSTOMER = "jane.doe@example.org", "C-PLANTED-7755"
RECEIVED = dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC)  # the clocks of Europe go back in the night after
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.delenv(LEDGER_VARIABLE, raising=False)
    return Workspace(tmp_path)


def request(received: dt.datetime = RECEIVED, email: str = EMAIL) -> SubjectRequest:
    return SubjectRequest(RequestKind.ERASE, Population.CUSTOMERS, received, email=email)


def receive(workspace: Workspace, received: dt.datetime = RECEIVED, email: str = EMAIL) -> str:
    return RequestStore.open(workspace).receive(request(received, email), Origin.DROP_FOLDER).id


def refuse(workspace: Workspace, received: dt.datetime = RECEIVED) -> str:
    unusable = Unusable({"email": EMAIL}, "file 12345678, line 3: a request must say what is asked for", received)
    return RequestStore.open(workspace).receive_unusable(unusable, Origin.DROP_FOLDER).id


def report(workspace: Workspace) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((workspace.home / "reports" / "requests" / "report.json").read_bytes())
    return told


def page(seen: Watch) -> str:
    return seen.report.read_text("utf-8")


@pytest.mark.parametrize(
    ("after", "warned", "overdue"),
    [
        (0 * HOUR, False, False),
        (24 * HOUR - MINUTE, False, False),
        (24 * HOUR, True, False),
        (48 * HOUR - MINUTE, True, False),
        (48 * HOUR, False, True),
        (500 * HOUR, False, True),
    ],
)
def test_a_request_is_warned_of_at_24_hours_and_overdue_at_48(
    workspace: Workspace, after: dt.timedelta, warned: bool, overdue: bool
) -> None:
    one = receive(workspace)
    seen = watch(workspace, RECEIVED + after)
    assert [age.id for age in seen.warned] == [one] * warned
    assert [age.id for age in seen.overdue] == [one] * overdue


def test_an_overdue_request_fails_with_its_number_and_age_and_names_nobody(workspace: Workspace) -> None:
    one = receive(workspace)
    watch(workspace, RECEIVED + 47 * HOUR).require()
    with pytest.raises(RequestError, match="must be in force within 48 hours") as refused:
        watch(workspace, RECEIVED + 50 * HOUR).require()
    assert refused.value.exit_code == 12
    assert f"{one} (open, 50.0 h)" in str(refused.value)
    assert EMAIL not in str(refused.value)


def test_many_overdue_requests_are_not_all_listed_in_the_error(workspace: Workspace) -> None:
    for number in range(8):
        receive(workspace, email=f"jane.{number}@example.org")
    with pytest.raises(RequestError, match="and 3 more"):
        watch(workspace, RECEIVED + 50 * HOUR).require()


def test_a_refused_request_has_the_same_deadline_and_tells_its_reason(workspace: Workspace) -> None:
    one = refuse(workspace)
    seen = watch(workspace, RECEIVED + 30 * HOUR)
    assert [(age.id, age.state) for age in seen.warned] == [(one, "refused")]
    assert "line 3: a request must say what is asked for" in page(seen)
    with pytest.raises(RequestError):
        watch(workspace, RECEIVED + 48 * HOUR).require()


def test_what_is_in_force_or_closed_is_not_watched_any_more(workspace: Workspace) -> None:
    applied, closed = receive(workspace), refuse(workspace)
    store = RequestStore.open(workspace)
    store.mark_applied([applied], "removed from what was held", RECEIVED + 2 * HOUR)
    store.close(closed, "ana", "asked again by telephone")
    seen = watch(workspace, RECEIVED + 100 * HOUR)
    assert seen.ages == ()
    seen.require()


def test_the_report_shows_how_long_settled_requests_took(workspace: Workspace) -> None:
    quick, late = receive(workspace), receive(workspace, email="late@example.org")
    store = RequestStore.open(workspace)
    store.mark_applied([quick], "removed from what was held", RECEIVED + 90 * MINUTE)
    store.mark_applied([late], "removed from what was held", RECEIVED + 49 * HOUR)
    seen = watch(workspace, RECEIVED + 100 * HOUR)
    settled = {one["id"]: (one["hours"], one["in_time"]) for one in report(workspace)["settled"]}
    assert settled == {quick: (1.5, True), late: (49.0, False)}
    assert "in 90 days, 1 late" in page(seen)
    assert "applied, late" in page(seen)
    assert watch(workspace, RECEIVED + dt.timedelta(days=93)).settled == ()


def test_a_file_that_nobody_took_in_is_watched_without_its_name(workspace: Workspace) -> None:
    workspace.inbox.mkdir(mode=0o700)
    for name in ("jane.doe.csv", "0123.taken", ".hidden"):
        (workspace.inbox / name).write_text(f"request,population,email\nerase,customers,{EMAIL}\n", "utf-8")
        os.utime(workspace.inbox / name, (RECEIVED.timestamp(),) * 2)
    seen = watch(workspace, RECEIVED + 25 * HOUR)
    assert [(age.id, age.state, age.hours) for age in seen.warned] == [
        ("file 1", "not taken in", 25.0),
        ("file 2", "not taken in", 25.0),
    ]
    assert "jane" not in page(seen)
    with pytest.raises(RequestError, match="file 1"):
        watch(workspace, RECEIVED + 48 * HOUR).require()


def test_nothing_is_late_where_there_are_no_requests(workspace: Workspace) -> None:
    seen = watch(workspace, RECEIVED)
    seen.require()
    assert "None waits." in page(seen)
    assert report(workspace)["waiting"] == []


def test_the_report_names_nobody_and_has_what_an_operator_needs(workspace: Workspace) -> None:
    one = receive(workspace)
    seen = watch(workspace, RECEIVED + 30.25 * HOUR)
    (told,) = report(workspace)["waiting"]
    assert told == {
        "id": one,
        "kind": "erase",
        "population": "customers",
        "state": "open",
        "received": RECEIVED.isoformat(),
        "age_hours": 30.2,
        "hours_left": 17.7,
        "warned": True,
        "overdue": False,
        "reason": "",
    }
    assert one in page(seen)
    assert EMAIL not in page(seen) + json.dumps(report(workspace))


def test_the_page_needs_nothing_from_outside_and_is_bounded(workspace: Workspace) -> None:
    store = RequestStore.open(workspace)
    people = [request(email=f"jane.{number}@example.org") for number in range(300)]
    store.receive_all([Incoming(person, Origin.DROP_FOLDER) for person in people])
    told = page(watch(workspace, RECEIVED))
    assert told.count('<th scope="row">R-') == 200
    assert len(report(workspace)["waiting"]) == 300
    for outside in ("http://", "https://", "src=", "<script", "<link", "@import", "url("):
        assert outside not in told


def test_ages_are_told_of_those_that_wait_the_oldest_first(workspace: Workspace) -> None:
    later = receive(workspace, RECEIVED + HOUR)
    earlier = refuse(workspace)
    rows = RequestStore.open(workspace).rows()
    found = ages(reversed(rows), RECEIVED + 2 * HOUR)
    assert [(age.id, age.hours) for age in found] == [(earlier, 2.0), (later, 1.0)]


def test_an_age_is_counted_in_hours_that_passed_also_where_clocks_go_back(workspace: Workspace) -> None:
    receive(workspace, RECEIVED.astimezone(ZoneInfo("Europe/Berlin")))
    now = dt.datetime(2026, 10, 25, 13, tzinfo=ZoneInfo("Europe/Berlin"))  # 23 hours by the clock, 24 in fact
    assert len(watch(workspace, now.astimezone(dt.UTC)).warned) == 1
    assert len(watch(workspace, now).warned) == 1


def test_a_report_that_cannot_be_written_is_an_error(workspace: Workspace) -> None:
    (workspace.home / "reports").write_text("a file where the folder should be", "utf-8")
    with pytest.raises(RequestError, match="report on people's requests must be writable"):
        watch(workspace, RECEIVED)


def test_the_task_warns_of_a_request_past_24_hours(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    one = receive(workspace, dt.datetime.now(dt.UTC) - 25 * HOUR)
    with caplog.at_level(logging.WARNING):
        assert flow_rights.watch_requests() == "reports/requests/report.html"
    assert f"Past 24 hours, and not in force: {one} (open, 25.0 h)" in caplog.text
    assert EMAIL not in caplog.text


def test_the_task_fails_with_a_request_past_48_hours_and_has_written_the_report(workspace: Workspace) -> None:
    receive(workspace, dt.datetime.now(dt.UTC) - 49 * HOUR)
    with pytest.raises(RequestError):
        flow_rights.watch_requests()
    assert report(workspace)["waiting"][0]["overdue"]


def alerts(workspace: Workspace) -> list[dict[str, Any]]:
    folder = workspace.home / "reports" / "requests" / "alerts"
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def test_an_alert_tells_the_run_and_how_many_requests_wait(workspace: Workspace) -> None:
    one = receive(workspace)
    alert(workspace, RECEIVED + 30 * HOUR, 23, "scheduled__2026-10-24T13:00:00+00:00", "running")
    (told,) = alerts(workspace)
    assert (told["run"], told["state"], told["hours"]) == ("scheduled__2026-10-24T13:00:00+00:00", "running", 23)
    assert told["level"] == "warning"
    assert (told["waiting"], told["past 24 hours"], told["past 48 hours"], told["oldest"]) == (1, 1, 0, one)


def test_the_first_deadline_of_a_run_warns_and_the_second_fails(workspace: Workspace) -> None:
    told = flow_rights.alert_deadline("23", "scheduled__1", "running")
    assert (workspace.home / told).is_file()
    with pytest.raises(RequestError, match="scheduled__1, running after 47 hours"):
        flow_rights.alert_deadline("47", "scheduled__1", "running")
    assert [one["level"] for one in alerts(workspace)] == ["warning", "failure"]
