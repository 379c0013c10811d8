"""Reads a million spoiled lines of every format, and what else sources are made of, guided by coverage (atheris).

    python tests/fuzz/fuzz_log_lines.py [--lines N] [--only NAME] [--without NAME]... [CRASH-FILE]

Each input that the fuzzer makes up chooses a target, and is spliced into a block of lines (``targets``). Two processes
work side by side until all lines are read. Ends with 1 where a rule does not hold or something fails: the fewest lines
that show it are printed, and the input is kept; named on the command line, it is run again alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

LINES: Final = 1_000_000
WORKERS: Final = 2
SLOWEST: Final = 120  # seconds that one input may take
MOST_MEGABYTES: Final = 4_096
ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    """Run the workers, and add up what they read."""
    parser = argparse.ArgumentParser()
    parser.add_argument("crash", nargs="?", type=Path, help="an input that failed, to run again")
    parser.add_argument("--lines", type=int, default=LINES, help="to read at least, over all targets")
    parser.add_argument("--only", default="", help="targets whose names contain this")
    parser.add_argument("--without", default=[], action="append", help="a target that is left out")
    parser.add_argument("--counter", type=Path, help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.counter:
        return work(options, rest)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        if options.crash:
            return finished(start(options, room, 1, options.crash.resolve()), room, 1)
        print(f"Reading {options.lines:,} lines; a million take about a minute.")
        begin = time.perf_counter()
        workers = [start(options, room, number) for number in range(WORKERS)]
        try:
            codes = [finished(worker, room, number) for number, worker in enumerate(workers)]
        finally:
            for worker in workers:
                worker.kill()  # those that are still at work when somebody interrupts this
        report(room, time.perf_counter() - begin)
    return int(any(codes))


def start(options: argparse.Namespace, room: Path, number: int, crash: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a worker."""
    seeds = room / f"seeds{number}"
    seeds.mkdir()
    for seed in range(40):
        (seeds / str(seed)).write_bytes(bytes([seed]) + random.Random(seed).randbytes(30))  # noqa: S311
    lines = -(-options.lines // WORKERS)
    command = [sys.executable, __file__, str(crash or seeds), "--counter", str(room / f"{number}.json")]
    command += ["--lines", str(lines), "--only", options.only, *(f"--without={name}" for name in options.without)]
    limits = [f"-timeout={SLOWEST}", f"-rss_limit_mb={MOST_MEGABYTES}", "-max_len=300", "-len_control=0"]
    limits += [f"-artifact_prefix={tempfile.gettempdir()}/fuzz-"]
    with (room / f"{number}.log").open("wb") as told:
        return subprocess.Popen([*command, *limits], cwd=ROOT, stdout=told, stderr=told)


def finished(worker: subprocess.Popen[bytes], room: Path, number: int) -> int:
    """Wait for a worker; what it told is printed where it failed."""
    if code := worker.wait():
        _, _, told = (room / f"{number}.log").read_text("utf-8", "replace").rpartition("=== Uncaught")
        print(f"=== Uncaught{told}")
    return code


def report(room: Path, took: float) -> None:
    """Tell how many lines were read, by target."""
    lines: Counter[str] = Counter()
    for counter in room.glob("*.json"):
        lines.update(json.loads(counter.read_text("utf-8")))
    for name, count in sorted(lines.items()):
        print(f"{name:24} {count:10,}")
    print(f"{'lines read':24} {lines.total():10,}  in {took:.0f} s")


def work(options: argparse.Namespace, arguments: list[str]) -> int:
    """Fuzz until enough lines were read."""
    import atheris

    # A library leaves a package of this name among those that are installed.
    sys.modules["tests"] = types.ModuleType("tests")
    sys.modules["tests"].__path__ = [str(ROOT / "tests")]
    sys.path.insert(0, str(ROOT))
    with ExitStack() as stack:
        with atheris.instrument_imports(include=["pipeline.sources", "pipeline.deidentify"]):
            targets = opened(stack)
        names = [name for name in targets if options.only in name and name not in options.without]
        counts: Counter[str] = Counter()

        def one(content: bytes) -> None:
            name = names[content[0] % len(names)] if content else names[0]
            chance = random.Random(content[:5])  # noqa: S311
            counts[name] += targets[name](chance, content[5:])
            if counts.total() >= options.lines:
                options.counter.write_text(json.dumps(counts), "utf-8")
                os._exit(0)  # the library has no other end that is not a failure

        atheris.Setup([sys.argv[0], *arguments, str(options.crash)], one)
        atheris.Fuzz()
    return 0


def opened(stack: ExitStack) -> Mapping[str, Target]:
    """The targets, by name."""
    from pipeline.sources.engine import memory_engine
    from tests.fuzz import targets
    from tests.fuzz.checks import CLOSED, OPEN, LineChecks
    from tests.fuzz.corpus import KINDS

    engines = [stack.enter_context(memory_engine("lines")) for _ in range(3)]
    for engine in engines:
        engine.execute("SET threads = 1")  # the workers are as many as there are processors
    checks = [LineChecks(engine, options) for engine, options in zip(engines, (CLOSED, OPEN), strict=False)]
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    found: dict[str, Target] = {kind.name: targets.line_target(checks, kind) for kind in KINDS}
    found |= {
        "error logs": targets.error_target(checks[0]),
        "strings of formats": targets.declaration_target(engines[2]),
        "fields of W3C": targets.directive_target(checks[1]),
        "packed files": targets.packing_target,
        "look-ups": targets.look_up_target,
        "delimited tables": targets.csv_target(folder),
    }
    return found


if __name__ == "__main__":
    sys.exit(main())
