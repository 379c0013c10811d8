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
import json, sys, traceback
from pipeline import flow, flow_rights
from pipeline.errors import BudgetError
from pipeline.local.tasks import call, deadline_missed

def over_budget(release, period):
    raise BudgetError("the budget must hold", value="epsilon=2", remedy="Wait.")

def quoting_a_line(release, period):
    try:
        int(sys.argv[1])
    except ValueError as failure:
        raise OSError(sys.argv[1]) from failure

flow.draw, flow.validate, flow.publish = over_budget, quoting_a_line, lambda release, period: f"{release}/{period}/r1"
flow_rights.watch_requests = lambda: "reports/requests/report.html"
told = []
flow_rights.alert_deadline = lambda *references: told.append(references) or ""
outcomes = {"publish": call("publish", "weekly", "2026-W41"), "watch": call("watch_requests"), "alerts": told}
for state in ("queued", "running", "failed", "success"):
    deadline_missed(23, {"dag_run": {"dag_run_id": f"run that is {state}", "state": state}})
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
