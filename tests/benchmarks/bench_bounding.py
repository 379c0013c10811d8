"""What contribution bounding costs: the bounded plan beside DuckDB's exact distinct count on the same file.

    python tests/benchmarks/bench_bounding.py [EVENTS]

Distinct people by country, operating system and browser, where a person may be in several groups and counts in four of
them at most. Events are made first (ten million unless told otherwise) with heavy-tailed activity. The exact count is
one query on two threads; the bounded one is what a release runs, levels and all.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import SourceCounts, Staging, StagingManifest
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, BoundTable, ReleaseSpecification
from pipeline.vocabulary import Dimension, Population

EVENTS = 10_000_000
PEOPLE_PER_EVENT = 10
ROUNDS = 3
GOAL = 1.75
NAMES = ("country", "operating_system", "browser")
KEYS = {
    name: tuple(f"{name[0]}{number}" for number in range(size)) for name, size in zip(NAMES, (60, 6, 6), strict=True)
}
WEEK = Period.parse("2026-W41")


def main() -> int:
    """Measure both in turns, print what came out, and fail above the goal."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        staging = made_staging(Path(folder), events)
        rounds = [(seconds(lambda: exact(staging)), seconds(lambda: bounded(staging))) for _ in range(ROUNDS)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    plain, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{events:,} events, {events // PEOPLE_PER_EVENT:,} people, l0 = 4")
    print(f"exact distinct count  {plain:6.2f} s")
    print(
        f"bounded groups        {ours:6.2f} s  ratio {ours / plain:.2f} (goal: at most {GOAL})  peak {peak} MB of both"
    )
    return int(ours / plain > GOAL)


def made_staging(folder: Path, events: int) -> Staging:
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
    counts = SourceCounts.of(Accounting(events, events))
    manifest = StagingManifest(population=Population.VISITORS, period=str(WEEK), sources={"visitor logs": counts})
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
    table = BoundTable("groups", "Groups", dimensions, 4)
    release = ReleaseSpecification.model_validate(document)
    return BoundSpecification(release, site, (table,), Epsilon.of(1), Delta.of("1e-7"), K(50))


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
