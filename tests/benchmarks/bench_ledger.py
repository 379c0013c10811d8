"""How long a ledger takes to reserve and to record a draw, beside two bare transactions of SQLite.

python tests/benchmarks/bench_ledger.py
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.privacy.accountant import Charge, compose
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

GOAL = 2.0  # milliseconds of processor time for one release in memory: an audit makes a hundred a second and more
CAP = BudgetCap(epsilon=100, delta=1e-5)
START = dt.date(2026, 10, 5)
RESERVATION = Reservation(
    population=Population.VISITORS,
    period_start=START,
    period_end=START + dt.timedelta(weeks=1),
    specification_sha256="a" * 64,
    charge=Charge(counts={"0.25": 4}, pure={}, delta=1e-9),
)
CONTENT = b"x" * 20_000


def release(ledger: Ledger, number: int = 0) -> None:
    """Reserve and record one release."""
    key = ReleaseKey("weekly", str(number))
    ledger.reserve(key, RESERVATION, CAP)
    ledger.record_draw(key, CONTENT)


def milliseconds(work: Callable[[int], object], times: int) -> float:
    """Processor time of one call."""
    begun = time.process_time()
    for number in range(times):
        work(number)
    return (time.process_time() - begun) * 1000 / times


def bare(path: str) -> Callable[[int], None]:
    """The same rows written by SQLite alone, in two transactions."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE rows (content BLOB)")

    def write(_number: int) -> None:
        for content in (b"x" * 500, CONTENT):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows VALUES (?)", (content,))
            connection.execute("COMMIT")

    return write


def main() -> int:
    """Measure, print what came out, and fail beyond the goal."""
    release(Ledger.in_memory())  # imports and composes once
    in_memory = milliseconds(lambda _: release(Ledger.in_memory()), 500)
    print(f"in memory, a ledger a release: {in_memory:.2f} ms (goal: at most {GOAL:g})")
    print(f"SQLite alone, in memory: {milliseconds(bare(':memory:'), 500):.2f} ms")
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "ledger.db"))
        print(f"in a file, composed anew for each: {milliseconds(lambda number: release(ledger, number), 50):.2f} ms")
        print(f"SQLite alone, in a file: {milliseconds(bare(f'{folder}/bare.db'), 50):.2f} ms")
    year = milliseconds(lambda number: compose([RESERVATION.charge] * (52 + number), CAP.delta), 5)
    print(f"composing a year of weekly releases: {year:.1f} ms")
    return int(in_memory > GOAL)


if __name__ == "__main__":
    sys.exit(main())
