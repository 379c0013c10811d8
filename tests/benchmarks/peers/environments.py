"""Environments of peers, and runs in them."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.measuring import Run, RunFailedError, command

SCRIPTS: Final = Path(__file__).parent
UV: Final = Path(sys.executable).with_name("uv")
LONGEST: Final = 900  # seconds that a run may take
_TIMED_OUT: Final = 124  # as timeout(1) tells


class CannotRunError(Exception):
    """A peer cannot be installed or run; the message says why."""


class TooLongError(Exception):
    """A run was ended after ``LONGEST`` seconds."""


@dataclass(frozen=True)
class Release:
    """What one run released.

    Attributes:
        run: As it was measured.
        people: Released groups.
    """

    run: Run
    people: Mapping[tuple[str, ...], float]


@dataclass(frozen=True)
class Peer:
    """A library that releases the same table.

    Attributes:
        name: For people, with its version.
        module: Its script, beside this file.
        lock: Name of its lock file, without the ending.
        holds_k: Whether it can be told a hard k.
        faster: Goal: how many times as fast the product is, of ten million events.
        rounds: How often it is measured where there are that many events; the slow ones once.
        needs: A program that must be there.
    """

    name: str
    module: str
    lock: str
    holds_k: bool
    faster: float
    rounds: int
    needs: str = ""

    def released(self, events: Path, *options: str) -> Release:
        """Measure one release, from the start of its process to its end.

        Args:
            events: Parquet file, or a folder of some.
            options: As ``task`` reads them.

        Raises:
            CannotRunError: It cannot be installed, or failed.
            TooLongError: It took longer than ``LONGEST``.
        """
        if self.needs and not shutil.which(self.needs):
            raise CannotRunError(f"no {self.needs} here")
        return released(self.python(), self.module, events, *options)

    def python(self) -> Path:
        """The interpreter of its environment, which is made where it is not there.

        Raises:
            CannotRunError: It cannot be made.
        """
        lock = SCRIPTS / f"{self.lock}.lock"
        place = Path(sys.prefix) / f"peer-{self.lock}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
        python = place / "bin" / "python"
        if not (place / "ready").exists():
            _done(UV, "venv", "-q", "--clear", "--python", sys.executable, place)
            _done(UV, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", lock)
            (place / "ready").touch()
        return python


def released(python: Path, module: str, events: Path, *options: str) -> Release:
    """Measure one script; as ``Peer.released``."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "released.csv"
        script = f"tests.benchmarks.peers.{module}"
        try:
            run = command(["timeout", str(LONGEST), python, "-m", script, events, written, *options])
        except RunFailedError as failure:
            if f"ended with {_TIMED_OUT}:" in str(failure):
                raise TooLongError(f"ended after {LONGEST} s") from None
            raise CannotRunError(str(failure)[-300:]) from None
        with written.open(newline="") as file:
            rows = list(csv.reader(file))[1:]
    return Release(run, {tuple(keys): float(people) for *keys, people in rows})


def _done(*arguments: str | Path) -> None:
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotRunError(f"its environment cannot be made: {done.stderr[-300:]}")


PEERS: Final = (
    Peer("diffprivlib 0.6.6 and pandas", "diffprivlib_pandas", "diffprivlib", holds_k=True, faster=4, rounds=3),
    Peer("OpenDP 0.16.0 and Polars", "opendp_polars", "opendp", holds_k=False, faster=5, rounds=3),
    Peer("PipelineDP 0.3.1, local", "pipelinedp_local", "pipelinedp", holds_k=True, faster=25, rounds=1),
    Peer("Tumult 0.21.0, Spark local[2]", "tumult_spark", "tumult", holds_k=False, faster=50, rounds=1, needs="java"),
)


def ours(staging: Path, *options: str) -> Release:
    """The same of the product, from staging on."""
    return released(Path(sys.executable), "ours", staging, *options)


def by_hand(events: Path, *options: str) -> Release:
    """The first of the peers in the product's own environment, which has its libraries too; for small runs."""
    return released(Path(sys.executable), PEERS[0].module, events, *options)
