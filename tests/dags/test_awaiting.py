"""The trigger by which an export waits for its reviewers, in a process of its own, as in Airflow's triggerer."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.privacy.ledger import Ledger
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.workspace import HOME_VARIABLE, Workspace
from tests.reviewing import draw, reviewer

KEY = ReleaseKey("weekly", "2026-W41")
PATIENCE = 30.0  # seconds

# Runs the trigger from what Airflow would keep of it, beside something else on the same event loop, and tells how often
# that came to its turn.
PROGRAM = """
import asyncio, importlib, sys
from pipeline.local.awaiting import ReviewTrigger

place, arguments = ReviewTrigger("weekly", "2026-W41").serialize()
module, _, name = place.rpartition(".")
trigger = getattr(importlib.import_module(module), name)(**arguments)
turns = 0

async def other():
    global turns
    while True:
        await asyncio.sleep(0.05)
        turns += 1

async def first():
    beside = asyncio.create_task(other())
    async for event in trigger.run():
        return event.payload

print(sorted(arguments.items()), flush=True)
print(asyncio.run(first()), turns, flush=True)
"""

Trigger = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A site with a release that waits for its reviewers."""
    found = Workspace(tmp_path)
    ledger = Ledger.open(found.ledger)
    draw(ledger, KEY)
    ledger.record_checks(KEY, b"[]", passed=True)
    return found


@pytest.fixture
def trigger(workspace: Workspace) -> Iterator[Trigger]:
    """Starts the trigger; waits until it is about to ask for the first time."""
    started: list[subprocess.Popen[str]] = []

    def start(poll: str = "0.1") -> subprocess.Popen[str]:
        settings = {HOME_VARIABLE: str(workspace.home), "DEMOGRAPHICS_REVIEW_POLL": poll}
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **settings, "AIRFLOW_HOME": str(workspace.home / "airflow")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(child)
        assert child.stdout
        assert child.stdout.readline() == "[('period', '2026-W41'), ('release', 'weekly')]\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def waits(child: subprocess.Popen[str], seconds: float = 1.0) -> bool:
    """Whether it still waits after this time."""
    time.sleep(seconds)
    return child.poll() is None


def ended(child: subprocess.Popen[str]) -> tuple[str, int, str]:
    """What the event says, how many turns something else had, and what was logged."""
    out, _ = child.communicate(timeout=PATIENCE)
    log, _, last = out.strip().rpartition("\n")
    payload, turns = last.split()
    return payload, int(turns), log


def test_the_trigger_wakes_when_somebody_has_decided_and_its_event_says_nothing(
    workspace: Workspace, trigger: Trigger
) -> None:
    child = trigger()
    assert waits(child)
    Register.of(workspace).reject(KEY, reviewer(workspace), "too fine")
    payload, _, log = ended(child)
    assert payload == "True"
    assert "too fine" not in log


def test_the_trigger_wakes_at_once_where_nobody_can_decide(workspace: Workspace, trigger: Trigger) -> None:
    Ledger.open(workspace.ledger).record_checks(KEY, b"[1]", passed=False)
    started = time.monotonic()
    assert ended(trigger(poll="60"))[0] == "True"
    assert time.monotonic() - started < PATIENCE


def test_a_ledger_that_answers_late_keeps_no_other_trigger_waiting(workspace: Workspace, trigger: Trigger) -> None:
    ana = reviewer(workspace)
    locking = sqlite3.connect(str(workspace.ledger), isolation_level=None)
    with contextlib.closing(locking) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        child = trigger()
        assert waits(child, 2.0)
        connection.execute("ROLLBACK")
    Register.of(workspace).approve(KEY, ana, "read")
    assert ended(child)[1] >= 20  # of 40 turns in the two seconds


def test_a_ledger_that_is_away_for_a_moment_is_asked_again(workspace: Workspace, trigger: Trigger) -> None:
    path = workspace.home / "ledger.db"
    right = path.read_bytes()
    child = trigger(poll="0.5")
    assert waits(child)
    path.write_bytes(b"jane.doe@example.org " * 1000)
    assert waits(child)
    path.write_bytes(right)
    assert waits(child)
    Register.of(workspace).approve(KEY, reviewer(workspace), "read")
    payload, _, log = ended(child)
    assert payload == "True"
    assert "failure 1 of 15: the ledger must be readable, writable and append-only" in log
    assert "jane.doe" not in log


def test_a_ledger_that_stays_away_wakes_the_task_which_says_so(workspace: Workspace, trigger: Trigger) -> None:
    (workspace.home / "ledger.db").write_bytes(b"no database " * 1000)
    payload, _, log = ended(trigger())
    assert payload == "True"
    assert "failure 15 of 15" in log
