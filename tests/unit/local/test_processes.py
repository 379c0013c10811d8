from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import ConfigurationError
from pipeline.local.processes import end, end_leftovers, hold, termination_raises, with_descendants, write_down

SLEEPER = "import time; time.sleep(60)"
# Ignores being asked, and has a child in a process group of its own.
STUBBORN = (
    "import os, signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    f"subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], process_group=0)\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)


def lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def test_a_workspace_is_held_by_one_run_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with hold(lock), pytest.raises(ConfigurationError, match="one run at a time"), hold(lock):
        pass
    with hold(lock):
        pass  # free again


def test_a_process_that_does_not_listen_is_killed_with_its_offspring() -> None:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    family = with_descendants([child.pid])
    assert len(family) == 2
    end(family, grace=0.5)
    assert not any(lives(process) for process in family)
    child.stdout.close()
    child.wait()


def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", SLEEPER])
    process = psutil.Process(child.pid)
    write_down(tmp_path / "record", [child.pid])
    end_leftovers(tmp_path / "record")
    assert not lives(process)
    child.wait()


def test_a_later_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", SLEEPER])
    earlier = psutil.Process(child.pid).create_time() - 10
    (tmp_path / "record").write_text(f"[[{child.pid}, {earlier}]]")
    end_leftovers(tmp_path / "record")
    time.sleep(0.2)
    assert child.poll() is None
    child.kill()
    child.wait()


def test_no_record_of_processes_is_no_error(tmp_path: Path) -> None:
    end_leftovers(tmp_path / "record")


def test_being_terminated_leaves_the_block_as_an_exception() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left, termination_raises():
        signal.raise_signal(signal.SIGTERM)
    assert left.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
