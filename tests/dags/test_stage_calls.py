"""What a task lets into its log when a stage stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECRET = "jane.doe@example.org"

# Calls stages that stop in different ways, and tells what a task would log.
PROGRAM = """
import json, os, sys, traceback
from pipeline import flow, flow_rights
from pipeline.errors import BudgetError
from pipeline.local.tasks import call, deadline_missed, hours_of, review_overdue, started_by

def over_budget(release, period):
    raise BudgetError("the budget must hold", value="epsilon=2", remedy="Wait.")

def quoting_a_line(release, period):
    try:
        int(sys.argv[1])
    except ValueError as failure:
        raise OSError(sys.argv[1]) from failure

flow.draw, flow.validate, flow.publish = over_budget, quoting_a_line, lambda release, period: f"{release}/{period}/r1"
flow.decision = lambda release, period, by: f"{release} {period} {by}"
flow_rights.watch_requests = lambda: "reports/requests/report.html"
told, late = [], []
flow_rights.alert_deadline = lambda *references: told.append(references) or ""
flow.alert_review = lambda *references: late.append(references) or ""
outcomes = {"publish": call("publish", "weekly", "2026-W41"), "watch": call("watch_requests"), "alerts": told,
            "late": late, "named": call("decision", "weekly", "2026-W41", by="ana")}
for state in ("queued", "running", "failed", "success"):
    run = {"dag_run_id": f"run that is {state}", "state": state, "partition_key": "2026-W41-1"}
    deadline_missed(23, {"dag_run": run})
    review_overdue("weekly", 48.0, {"dag_run": run})

class Run:
    triggering_user_name = None

class ByHand:
    triggering_user_name = "jane"

outcomes["started by"] = [started_by(run) for run in (Run(), ByHand(), None)]
outcomes["hours"] = [hours_of("HOURS", 48)]
for value in ("0.5", "0", "-1", "nan", "1e9", ""):
    os.environ["HOURS"] = value
    try:
        outcomes["hours"].append(hours_of("HOURS", 48))
    except Exception as failure:
        outcomes["hours"].append(str(failure))
for stage in ("draw", "validate"):
    try:
        call(stage, "weekly", "2026-W41")
    except Exception as failure:
        outcomes[stage] = [type(failure).__name__, str(failure), "".join(traceback.format_exception(failure))]
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("airflow")
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, SECRET],
        env={**os.environ, "AIRFLOW_HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def test_a_stage_that_goes_well_returns_its_reference(outcomes: dict[str, Any]) -> None:
    assert outcomes["publish"] == "weekly/2026-W41/r1"


def test_a_broken_rule_fails_at_once_with_its_own_message(outcomes: dict[str, Any]) -> None:
    kind, message, _ = outcomes["draw"]
    assert kind == "AirflowFailException"
    assert message == "the budget must hold, got epsilon=2. Wait."


def test_anything_else_may_be_tried_again_and_tells_where_and_never_what(outcomes: dict[str, Any]) -> None:
    kind, message, trace = outcomes["validate"]
    assert kind == "RuntimeError"
    assert "OSError" in message
    assert "quoting_a_line" in message
    assert SECRET not in message
    assert SECRET not in trace


def test_stages_of_rights_are_called_the_same_way(outcomes: dict[str, Any]) -> None:
    assert outcomes["watch"] == "reports/requests/report.html"


def test_a_deadline_is_told_of_only_for_a_run_that_has_not_ended(outcomes: dict[str, Any]) -> None:
    assert outcomes["alerts"] == [["23", "run that is queued", "queued"], ["23", "run that is running", "running"]]


def test_a_review_that_is_late_is_told_of_with_its_period_only_for_a_run_that_has_not_ended(
    outcomes: dict[str, Any],
) -> None:
    about = ["weekly", "2026-W41", "48"]
    assert outcomes["late"] == [[*about, f"run that is {state}", state] for state in ("queued", "running")]


def test_references_can_be_told_by_name(outcomes: dict[str, Any]) -> None:
    assert outcomes["named"] == "weekly 2026-W41 ana"


def test_who_started_a_run_is_empty_unless_somebody_did(outcomes: dict[str, Any]) -> None:
    assert outcomes["started by"] == ["", "jane", ""]


def test_a_time_in_hours_is_read_from_the_environment_and_must_be_one(outcomes: dict[str, Any]) -> None:
    unset, half, *unusable, empty = outcomes["hours"]
    assert (unset, half, empty) == (48, 0.5, 48)
    for value, told in zip(("0", "-1", "nan", "1e9"), unusable, strict=True):
        assert told == f"HOURS must be a number of hours above 0, 8784 at most, got {value!r}. Write it as 48."
