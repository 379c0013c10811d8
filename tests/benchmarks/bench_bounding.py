"""What contribution bounding costs: the bounded plan beside DuckDB's exact distinct count on the same file.

    python tests/benchmarks/bench_bounding.py [EVENTS]

Distinct people by country, operating system and browser, where a person may be in several groups and counts in four of
them at most. Events are made first (ten million unless told otherwise) with heavy-tailed activity. The exact count is
one query on two threads; the bounded one is what a release runs, levels and all. Each runs in a process of its own, so
that its memory is its own.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging, StagingManifest
from pipeline.measures import people_total
from pipeline.offer import offer_of
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, BoundTable, ReleaseSpecification
from pipeline.vocabulary import Dimension, Population

EVENTS = 10_000_000
PEOPLE_PER_EVENT = 10
ROUNDS = 5
GOAL = 1.75
GOAL_MB = 400
NAMES = ("country", "operating_system", "browser")
KEYS = {
    name: tuple(f"{name[0]}{number}" for number in range(size)) for name, size in zip(NAMES, (60, 6, 6), strict=True)
}
PLAN = "--plan"
WEEK = Period.parse("2026-W41")


def main() -> int:
    """Measure both in turns, print what came out, and fail above a goal."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        made_staging(Path(folder), events)
        rounds = [(alone("exact", folder), alone("bounded", folder)) for _ in range(ROUNDS)]
    (plain, plain_peak), (ours, peak) = (middle(column) for column in zip(*rounds, strict=True))
    print(f"{events:,} events, {events // PEOPLE_PER_EVENT:,} people, l0 = 4, medians of {ROUNDS}")
    print(f"exact distinct count  {plain:6.2f} s  peak {plain_peak:4.0f} MB")
    print(f"bounded groups        {ours:6.2f} s  peak {peak:4.0f} MB (goal: under {GOAL_MB})")
    print(f"ratio {ours / plain:.2f} (goal: at most {GOAL})")
    return int(ours / plain > GOAL or peak >= GOAL_MB)


def alone(name: str, folder: str) -> tuple[float, float]:
    """Seconds that a plan takes, and megabytes at the peak of a process that does nothing else, libraries and all."""
    command = [sys.executable, __file__, PLAN, name, folder]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    took, peak = map(float, ran.stdout.split())
    return took, peak


def measure(name: str, folder: Path) -> int:
    """What the process of one plan does."""
    staging = staging_in(folder)
    took = seconds(lambda: PLANS[name](staging))
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return 0


def middle(measured: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Medians of seconds and of megabytes."""
    took, peak = zip(*measured, strict=True)
    return statistics.median(took), statistics.median(peak)


def made_staging(folder: Path, events: int) -> None:
    """Events of people of whom most are in one to three groups, and few in many."""
    people = events // PEOPLE_PER_EVENT
    # A person's groups lie near one of their own; the cube of a uniform number makes activity heavy-tailed.
    picks = ", ".join(
        f"'{name[0]}' || ((hash(who, {place}) + (hash(event, {place}) % 10 = 0)::INT) % {len(KEYS[name])}) AS {name}"
        for place, name in enumerate(NAMES)
    )
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute("SELECT setseed(0.41)")
        connection.execute(
            f"COPY (SELECT left(sha256(who::VARCHAR), 32) AS person, {picks} FROM "
            f"(SELECT i AS event, (pow(random(), 2) * {people})::BIGINT AS who FROM range({events}) AS r(i))) "
            f"TO '{folder / 'events.parquet'}' (COMPRESSION zstd)"
        )


def staging_in(folder: Path) -> Staging:
    """What ``made_staging`` wrote."""
    manifest = StagingManifest(population=Population.VISITORS, period=str(WEEK), sources={})
    return Staging(Population.VISITORS, WEEK, folder, manifest)


def exact(staging: Staging) -> None:
    """DuckDB's own exact count, unbounded."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        names = ", ".join(NAMES)
        connection.execute(
            f"SELECT {names}, count(DISTINCT person) FROM read_parquet('{staging.events}') GROUP BY {names}"
        ).fetchall()


def bounded(staging: Staging) -> None:
    """What a release runs."""
    bounded_groups(specification(), staging, PeriodKey(b"k" * 32), staging.folder / "spill")


def specification() -> BoundSpecification:
    """One table over groups of which a person may have many."""
    site = SiteFile.model_validate(
        {"site": "bench", "visitors": {"logs": ["none"]}, "budget": {"visitors": {"epsilon": 9, "delta": 1e-5}}}
    )
    document = {
        "release": "bench",
        "title": "Bench",
        "description": "Bench",
        "owner": "Bench",
        "purpose": "Bench",
        "population": "visitors",
        "period": "week",
        "privacy": {"epsilon": 1, "delta": 1e-7, "k": 50},
        "tables": [{"name": "groups", "title": "Groups", "dimensions": NAMES, "max_groups": 4}],
        "audiences": {"partner": ["groups"]},
    }
    dimensions = tuple(Dimension(name, name, False, KEYS[name]) for name in NAMES)
    table = BoundTable("groups", "Groups", dimensions, 4, (people_total("visitors"),))
    release = ReleaseSpecification.model_validate(document)
    offer = offer_of(site, Population.VISITORS)
    return BoundSpecification(release, offer, (table,), Epsilon.of(1), Delta.of("1e-7"), K(50))


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


PLANS = {"exact": exact, "bounded": bounded}

if __name__ == "__main__":
    sys.exit(measure(sys.argv[2], Path(sys.argv[3])) if PLAN in sys.argv else main())
