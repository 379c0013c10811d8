from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local.api import DagRun
from pipeline.local.board import Board
from pipeline.local.run import error_in, rejection
from pipeline.privacy.ledger import Ledger
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.workspace import HOME_VARIABLE, Workspace
from tests.reviewing import draw, reviewer


def test_the_message_of_the_last_exception_is_found_in_a_tasks_log(tmp_path: Path) -> None:
    lines = [
        {"event": "Task failed with exception", "error_detail": [{"exc_type": "RuntimeError", "exc_value": "first"}]},
        {"event": "Task failed with exception", "error_detail": [{"exc_type": "RuntimeError", "exc_value": "last"}]},
        {"event": "Post Execute"},
    ]
    log = tmp_path / "attempt=1.log"
    log.write_text("\n".join(["no JSON", "[]", *map(json.dumps, lines)]))
    assert error_in(log) == "last"


def test_a_log_that_is_not_there_has_no_message(tmp_path: Path) -> None:
    assert error_in(tmp_path / "attempt=1.log") == ""


def test_a_run_that_ended_well_by_a_rejection_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    workspace, keys = Workspace(tmp_path), [ReleaseKey("weekly", week) for week in ("2026-W41", "2026-W42")]
    ledger = Ledger.open(workspace.ledger)
    for key in keys:
        draw(ledger, key)
        ledger.record_checks(key, b"[]", passed=True)
    ana = reviewer(workspace)
    Register.of(workspace).reject(keys[0], ana, "too fine")
    Register.of(workspace).approve(keys[1], ana, "read")
    assert [rejection(key) for key in keys] == ["rejected by ana: too fine", ""]


def test_without_a_terminal_each_change_is_told_once() -> None:
    output = io.StringIO()
    with Board(Console(file=output, width=200)) as board:
        for state, task in (("queued", ""), ("running", "stage runs"), ("running", "stage runs"), ("success", "")):
            board.update(DagRun("ingest_visitors", "1", "2026-W41", state), task)
    told = [line.split("s  ", 1)[1] for line in output.getvalue().splitlines()]
    assert told == ["ingest_visitors 2026-W41: stage runs", "ingest_visitors 2026-W41: success"]


def test_without_a_terminal_a_step_is_told_once_and_then_now_and_again() -> None:
    output = io.StringIO()
    with Board(Console(file=output, width=200)) as board:
        for done in range(100):
            board.progress("reading", done, 100)
    assert output.getvalue().count("reading") == 1


def test_a_terminal_shows_every_dag_run_with_its_state() -> None:
    output = io.StringIO()
    with Board(Console(file=output, width=200, force_terminal=True)) as board:
        board.update(DagRun("ingest_visitors", "1", "2026-W41", "running"), "stage runs")
    assert "ingest_visitors" in output.getvalue()
    assert "stage runs" in output.getvalue()
