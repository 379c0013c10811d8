"""How everything is measured: in a process of its own, in turns, medians of several rounds, memory of the whole tree.

Memory is looked at every 25 ms, processes that were started since at every tenth look. Of one process it is the
resident memory at its highest, which the kernel keeps (exact but for the last 25 ms); of several it is the sum of their
proportional shares (PSS) where the kernel tells them, so that shared pages count once. A child that lives for less than
a quarter of a second may be missed, and a peak between two looks.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).parents[2]
MEGABYTE: Final = 1_000_000
_BETWEEN_LOOKS: Final = 0.025  # seconds
_LOOKS_BETWEEN_SEARCHES: Final = 10
_LAST_LINES: Final = 15


@dataclass(frozen=True)
class Run:
    """One measured run.

    Attributes:
        seconds: Of the whole process, or of the call alone where a function was measured.
        megabytes: At the peak, of the process and its children; a million bytes each.
        told: What the process told, as the last line of its output where that is JSON, else empty.
    """

    seconds: float
    megabytes: float
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Median:
    """Medians of several runs, the warm-up left out.

    Attributes:
        runs: Those, in order.
    """

    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def megabytes(self) -> float:
        return statistics.median(run.megabytes for run in self.runs)

    def told(self, name: str) -> float:
        """The median of a number that each run told."""
        return float(statistics.median(run.told[name] for run in self.runs))


class RunFailedError(Exception):
    """What was measured ended with an error."""


def in_turns(rivals: Mapping[str, Callable[[], Run]], rounds: int, warm_up: int = 1) -> dict[str, Median]:
    """Measure each of several in turns, so that what else the machine does falls on all.

    Args:
        rivals: What runs each once.
        rounds: How often each is measured.
        warm_up: How often each runs before that; files are read into memory, and bytecode is written.
    """
    turns = [{name: run() for name, run in rivals.items()} for _ in range(warm_up + rounds)]
    return {name: Median(tuple(turn[name] for turn in turns[warm_up:])) for name in rivals}


def alone(work: Callable[..., object], *arguments: object, calls: int = 1, warm_up: int = 0) -> Run:
    """Measure a call in a process that does nothing else; imports are in its memory, and not in its time.

    Args:
        work: A function of a module under ``tests`` or ``pipeline``. What it returns is ``told``, where that is a
            mapping; its ``seconds``, where it tells them, count instead of the call's.
        arguments: What JSON can write.
        calls: How often it is called; the time is the median of them.
        warm_up: How often it is called before that.
    """
    ours = [sys.executable, "-m", "tests.benchmarks.measuring", _address(work), json.dumps(arguments)]
    run = command([*ours, str(calls), str(warm_up)])
    return Run(run.told.pop("seconds"), max(run.megabytes, run.told.pop("megabytes")), run.told)


def command(arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Run:
    """Measure a program from its start to its end, in the project's folder.

    Args:
        arguments: The program and what it is given.
        environment: Variables beside those of this process.

    Raises:
        RunFailedError: It ended with an error; the message has its last words.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        running = subprocess.Popen(
            [str(one) for one in arguments],
            cwd=ROOT,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        with Memory(running.pid) as memory:
            code = running.wait()
            took = time.perf_counter() - begun
        if code:
            raise RunFailedError(f"{Path(arguments[0]).name} ended with {code}: {_last_words(output, errors)}")
        output.seek(0)
        return Run(took, memory.megabytes, _told(output.read()))


class Memory:
    """The memory of a process and all that descend from it, watched while the context lasts."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self.samples: list[float] = []
        self._root = psutil.Process(pid)
        self._done = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watching.join()

    def _watch(self) -> None:
        looks, tree = 0, [self._root]
        while True:
            try:
                if looks % _LOOKS_BETWEEN_SEARCHES == 0:
                    tree = [self._root, *self._root.children(recursive=True)]
            except psutil.Error:
                return
            used = _used(tree)
            self.samples.append(used / MEGABYTE)
            self.megabytes = max(self.megabytes, used / MEGABYTE)
            looks += 1
            if self._done.wait(_BETWEEN_LOOKS):
                return


def own_peak() -> float:
    """Megabytes of this process at its highest; ``getrusage`` would tell that of the one that started it, if larger."""
    return _highest(os.getpid()) / MEGABYTE


def _used(tree: Sequence[psutil.Process]) -> float:
    try:
        if len(tree) == 1:
            return _highest(tree[0].pid)
    except (OSError, psutil.Error):
        return 0.0
    return sum(map(_share, tree))


def _highest(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # no Linux
        return float(psutil.Process(pid).memory_info().rss)
    _, found, rest = status.read_text("ascii", "replace").partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if found else 0.0  # a process that has ended has none


def _share(process: psutil.Process) -> float:
    try:
        memory = process.memory_full_info()
    except (OSError, psutil.Error):  # it has ended
        return 0.0
    return float(getattr(memory, "pss", memory.rss))


def _address(work: Callable[..., object]) -> str:
    module = work.__module__
    if module == "__main__":
        module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]
    return f"{module}:{work.__qualname__}"


def _told(output: str) -> dict[str, Any]:
    try:
        told = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _last_words(*files: Any) -> str:
    words = []
    for file in files:
        file.seek(0)
        words += file.read().splitlines()[-_LAST_LINES:]
    return "\n".join(words)


def _called(address: str, arguments: str, calls: str, warm_up: str) -> dict[str, Any]:
    module, _, name = address.partition(":")
    work, given = getattr(importlib.import_module(module), name), json.loads(arguments)
    times, told = [], {}
    for _ in range(int(warm_up) + int(calls)):
        begun = time.perf_counter()
        answer = work(*given)
        took = time.perf_counter() - begun
        told = answer if isinstance(answer, dict) else {}
        times.append(told.get("seconds", took))
    return {**told, "seconds": statistics.median(times[int(warm_up) :]), "megabytes": own_peak()}


if __name__ == "__main__":
    print(f"\n{json.dumps(_called(*sys.argv[1:]))}")
