"""One at a time in the staging of a period."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.deidentify.locks import held, held_if_free, lock_file, locked_periods
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.privileges import open_folder, without_root

WEEK, NEXT = Period.parse("2026-W41"), Period.parse("2026-W42")
WHO = Population.VISITORS

HOLDER = """
import sys, time
from pathlib import Path
from pipeline.deidentify.locks import held
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
with held(Workspace(Path(sys.argv[1])), Population.VISITORS, Period.parse("2026-W41")):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_who_comes_second_waits_for_the_first(workspace: Workspace) -> None:
    order: list[str] = []

    def second() -> None:
        with held(workspace, WHO, WEEK):
            order.append("second")

    with held(workspace, WHO, WEEK):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_another_period_and_another_population_are_free(workspace: Workspace) -> None:
    with (
        held(workspace, WHO, WEEK),
        held_if_free(workspace, WHO, NEXT) as other,
        held_if_free(workspace, Population.CUSTOMERS, WEEK) as others,
        held_if_free(workspace, WHO, WEEK) as same,
    ):
        assert (other, others, same) == (True, True, False)


def test_a_killed_holder_leaves_no_lock(workspace: Workspace) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(workspace.home)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with held_if_free(workspace, WHO, WEEK) as free:
        assert not free
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with held_if_free(workspace, WHO, WEEK) as free:
        assert free
    holder.stdout.close()


def test_a_lock_that_its_holder_removes_is_made_anew_for_who_waits(workspace: Workspace) -> None:
    inside = threading.Event()

    def waiting() -> None:
        with held(workspace, WHO, WEEK):
            inside.set()
            time.sleep(0.3)

    with held(workspace, WHO, WEEK):
        thread = threading.Thread(target=waiting)
        thread.start()
        time.sleep(0.1)
        lock_file(workspace, WHO, WEEK).unlink()
    assert inside.wait(5)
    with held_if_free(workspace, WHO, WEEK) as free:
        assert not free  # the one who waited holds the file that is there now
    thread.join()


def test_periods_with_staging_and_those_that_are_being_written_are_listed(workspace: Workspace) -> None:
    assert locked_periods(workspace, WHO) == []
    (workspace.home / "staging" / "visitors" / "2026-W40").mkdir(parents=True)
    (workspace.home / "staging" / "visitors" / ".2026-W39.a1b2c3d4").mkdir()  # what a killed run left
    with held(workspace, WHO, WEEK):
        assert [str(period) for period in locked_periods(workspace, WHO)] == ["2026-W40", "2026-W41"]


def test_a_lock_that_cannot_be_written_is_an_error() -> None:
    with open_folder() as folder, without_root():
        workspace = Workspace(folder)
        with pytest.raises(StagingError, match="lock of a period must be writable"), held(workspace, WHO, WEEK):
            raise AssertionError
