"""Nothing started twice, nothing left behind: a lock on the workspace, and ending processes with their offspring."""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

from pipeline.errors import ConfigurationError

STOP_GRACE: Final = 8.0  # seconds between asking and killing
# A process is told from a later one of the same id by when it was created.
_TOLERANCE: Final = 0.1  # seconds


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep a second run out; the lock goes when this process does, however it ends.

    Raises:
        ConfigurationError: Another process holds it.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                "one run at a time may use a workspace", value=str(path.parent), remedy="Wait until the other ends."
            ) from None
        yield


@contextlib.contextmanager
def termination_raises() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into ``SystemExit``, so that what the block started is ended on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; the lock and the leftovers still hold
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def with_descendants(pids: Iterable[int]) -> list[psutil.Process]:
    """Those of the processes that live, and everything they started: tasks are in groups of their own."""
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def end(processes: list[psutil.Process], grace: float = STOP_GRACE) -> None:
    """Ask processes to stop, and kill after ``grace`` seconds those that have not."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)


def write_down(path: Path, pids: Iterable[int]) -> None:
    """Record which processes were started, for a start after this process was killed."""
    rows: list[tuple[int, float]] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            rows.append((pid, psutil.Process(pid).create_time()))
    path.write_text(json.dumps(rows), encoding="utf-8")


def end_leftovers(path: Path) -> None:
    """End what a killed run left; call it under the lock only, when that run can no longer do so itself."""
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return
    ours: list[int] = []
    for pid, created in rows:
        with contextlib.suppress(psutil.NoSuchProcess):
            if abs(psutil.Process(pid).create_time() - created) < _TOLERANCE:
                ours.append(pid)
    end(with_descendants(ours))
