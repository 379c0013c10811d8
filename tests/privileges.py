"""Runs a piece of a test without root's rights, which would make every file readable and writable."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from pathlib import Path

_NOBODY = 65534


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that others can reach, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def error_without_root(action: Callable[[], object]) -> BaseException | None:
    """What an action raises for somebody who is not root; None where it raises nothing."""
    context = multiprocessing.get_context("fork")
    answers: SimpleQueue[BaseException | None] = context.SimpleQueue()
    child = context.Process(target=_attempt, args=(action, answers))
    child.start()
    answer = answers.get()
    child.join()
    return answer


def _attempt(action: Callable[[], object], answers: SimpleQueue[BaseException | None]) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    try:
        action()
    except Exception as failure:  # noqa: BLE001  any is the answer
        # The class and the message: an error of ours does not survive pickling with its parts.
        answers.put(RuntimeError(f"{type(failure).__name__}: {failure}"))
    else:
        answers.put(None)
