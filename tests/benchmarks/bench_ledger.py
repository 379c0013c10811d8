"""How many reservations a ledger makes a second, beside as many bare commits of the same rows in the same database.

Each is a transaction of its own, as each export makes one: budget is checked under the writers' lock, composed with all
that stands, and the entry is chained and committed durably. What the disk takes for that is the same for the bare
commits; what the ledger takes shows on files in memory (tmpfs) and with a server that does not wait for its disk.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psycopg

from pipeline.privacy.accountant import Charge, compose
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.sources.columnar import libpq_address
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population
from tests import postgresql
from tests.benchmarks.measuring import Run, alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Goal, LeftOut, Ratio, at_least, no_less_than, no_more_than

GOAL: Final = 1_000  # a second
SHARE: Final = 0.5  # of what bare commits reach where each waits for the disk
IN_MEMORY: Final = 2.0  # milliseconds for one release in memory: an audit makes a hundred a second and more
TIMES: Final = 1_000
ROUNDS: Final = 3
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what Linux has for files in memory
CAP: Final = BudgetCap(epsilon=100, delta=1e-5)
START: Final = dt.date(2026, 10, 5)
RESERVATION: Final = Reservation(
    population=Population.VISITORS,
    period_start=START,
    period_end=START + dt.timedelta(weeks=1),
    specification_sha256="a" * 64,
    charge=Charge(counts={"0.001": 4}, pure={}, delta=1e-12),
)
ROW: Final = b"x" * 500


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """Reservations a second in each database, and what one release takes in memory."""
    times = 5 if small else TIMES
    if MEMORY.is_dir():
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            yield on_sqlite("SQLite in a file in memory", folder, times, no_less_than(GOAL))
    else:
        yield LeftOut("SQLite in a file in memory", "this system has no /dev/shm")
    with tempfile.TemporaryDirectory() as folder:
        yield on_sqlite("SQLite on the disk", folder, times, at_least(SHARE))
    yield on_postgresql("off", times)
    yield on_postgresql("on", times)
    yield of_a_release(times)


def on_sqlite(name: str, folder: str, times: int, goal: Goal) -> Figure:
    """Both in files of one folder."""
    return beside(
        name, lambda: alone(reserved, folder, times), lambda: alone(sqlite_commits, folder, times), times, goal
    )


def on_postgresql(fsync: str, times: int) -> Figure:
    """Both on one server, which waits for its disk or does not."""
    name = f"PostgreSQL, {'each commit on the disk' if fsync == 'on' else 'no commit waits for the disk'}"
    goal = at_least(SHARE) if fsync == "on" else no_less_than(GOAL)
    with postgresql.server(fsync=fsync) as url:
        address = url.render_as_string(hide_password=False)
        bare = libpq_address(url) or ""
        return beside(
            name, lambda: alone(reserved, address, times), lambda: alone(postgresql_commits, bare, times), times, goal
        )


def beside(name: str, ours: Callable[[], Run], theirs: Callable[[], Run], times: int, goal: Goal) -> Figure:
    """Reservations a second beside commits a second."""
    rounds = ROUNDS if times == TIMES else 1
    found = in_turns({"ours": ours, "theirs": theirs}, rounds, warm_up=0)
    return Figure(
        f"reservations, each checked, chained and committed by itself, in {name}",
        "bare commits of one row",
        Amount(times / found["ours"].seconds, found["ours"].megabytes),
        Amount(times / found["theirs"].seconds, found["theirs"].megabytes),
        Ratio.MANY,
        "a second",
        rounds,
        (goal,),
    )


def of_a_release(times: int) -> Figure:
    """A ledger in memory of its own for each release."""
    ours, theirs = alone(released, calls=times, warm_up=1), alone(bare_release, calls=times, warm_up=1)
    return Figure(
        "opening a ledger in memory, reserving, recording a draw of 20 kB",
        "two transactions of SQLite in memory",
        Amount(ours.seconds * 1000, ours.megabytes),
        Amount(theirs.seconds * 1000, theirs.megabytes),
        Ratio.LONGER,
        "ms",
        times,
        (no_more_than(IN_MEMORY),),
    )


def reserved(place: str, times: int) -> dict[str, float]:
    """Reservations of as many releases, in a folder or at an address; the accountant is loaded, as under load it is."""
    compose([RESERVATION.charge], CAP.delta)
    number = time.monotonic_ns()
    ledger = Ledger.open(place if "://" in place else Path(place, f"{number}.db"))
    begun = time.perf_counter()
    for each in range(times):
        ledger.reserve(ReleaseKey("weekly", f"{number}-{each}"), RESERVATION, CAP)
    return {"seconds": time.perf_counter() - begun}


def sqlite_commits(folder: str, times: int) -> dict[str, float]:
    """A row each."""
    connection = sqlite3.connect(Path(folder, f"{time.monotonic_ns()}.db"), isolation_level=None)
    connection.execute("CREATE TABLE rows (content BLOB)")
    begun = time.perf_counter()
    for _ in range(times):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows VALUES (?)", (ROW,))
        connection.execute("COMMIT")
    return {"seconds": time.perf_counter() - begun}


def postgresql_commits(address: str, times: int) -> dict[str, float]:
    """A row each."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows (content BYTEA)")
        begun = time.perf_counter()
        for _ in range(times):
            connection.execute("INSERT INTO rows VALUES (%s)", (ROW,))
        return {"seconds": time.perf_counter() - begun}


def released() -> None:
    """Reserve and record one release."""
    ledger, key = Ledger.in_memory(), ReleaseKey("weekly", "2026-W41")
    ledger.reserve(key, RESERVATION, CAP)
    ledger.record_draw(key, ROW * 40)


def bare_release() -> None:
    """The same bytes in two transactions."""
    with sqlite3.connect(":memory:", isolation_level=None) as connection:
        connection.execute("CREATE TABLE rows (content BLOB)")
        for content in (ROW, ROW * 40):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO rows VALUES (?)", (content,))
            connection.execute("COMMIT")
