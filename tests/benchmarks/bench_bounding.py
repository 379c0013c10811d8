"""What contribution bounding costs: the bounded plan beside DuckDB's exact distinct count of the same files.

Distinct people by country, operating system and browser, where a person may be in several groups and counts in four
of them at most. Events are made first, with heavy-tailed activity. The exact count is one query on two threads; the
bounded one is what a release runs, levels and all.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import pyarrow.parquet as pq

from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import BUCKET_DIGITS, PeriodKey
from pipeline.deidentify.staging import Staging, StagingManifest
from pipeline.deidentify.tables import EVENTS, StagedFile, buckets_for
from pipeline.measures import people_total
from pipeline.offer import offer_of
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, BoundTable, ReleaseSpecification
from pipeline.vocabulary import Dimension, Population
from tests.benchmarks.measuring import Median, alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, at_most, no_more_than
from tests.builders import specification_document

PEOPLE_PER_EVENT: Final = 10
SIZES: Final = (1_000_000, 10_000_000, 50_000_000)
SMALL_SIZES: Final = (10_000, 20_000, 40_000)
ROUNDS: Final = (5, 5, 3)
TIMES: Final = {10_000_000: at_most(1.75)}
MEGABYTES: Final = {10_000_000: no_more_than(400), 50_000_000: no_more_than(500)}
GROWTH: Final = 6  # from ten to fifty million events
BESIDE: Final = "exact distinct count in DuckDB"
NAMES: Final = ("country", "operating_system", "browser")
KEYS: Final = {
    name: tuple(f"{name[0]}{number}" for number in range(size)) for name, size in zip(NAMES, (60, 6, 6), strict=True)
}
WEEK: Final = Period.parse("2026-W41")
# Most people have few events and some have many.
HEAVY_TAILED: Final = "(pow(random(), 2) * {people})::BIGINT"


def figures(small: bool) -> Iterator[Figure]:
    """Time and memory of both, and how ours grows."""
    found = []
    for events, rounds in zip(SMALL_SIZES if small else SIZES, ROUNDS, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            made_staging(Path(folder), events)
            rivals = {one.__name__: partial(alone, one, folder) for one in (exact, bounded)}
            found.append(in_turns(rivals, 1 if small else rounds))
        yield of_time(events, found[-1])
        yield of_memory(events, found[-1])
    smaller, larger = (turn["bounded"] for turn in found[1:])
    yield Figure(
        "bounded groups, five times the events",
        "the same of a fifth of them",
        Amount.of(larger),
        Amount.of(smaller),
        Ratio.LONGER,
        rounds=len(larger.runs),
        goals=() if small else (at_most(GROWTH),),
    )


def of_time(events: int, found: Mapping[str, Median]) -> Figure:
    """Seconds of both."""
    ours, theirs = found["bounded"], found["exact"]
    name, goals = f"bounded groups, {events:,} events", (TIMES[events],) if events in TIMES else ()
    return Figure(name, BESIDE, Amount.of(ours), Amount.of(theirs), Ratio.LONGER, rounds=len(ours.runs), goals=goals)


def of_memory(events: int, found: Mapping[str, Median]) -> Figure:
    """Megabytes of both."""
    ours, theirs = (Amount(found[name].megabytes) for name in ("bounded", "exact"))
    goals = (MEGABYTES[events],) if events in MEGABYTES else ()
    name, rounds = f"memory of bounded groups, {events:,} events", len(found["bounded"].runs)
    return Figure(name, BESIDE, ours, theirs, Ratio.MUCH, unit="MB", rounds=rounds, goals=goals)


def exact(folder: str) -> dict[str, object]:
    """DuckDB's own exact count, unbounded."""
    table = staging_in(Path(folder)).events
    assert table is not None
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        names = ", ".join(NAMES)
        query = f"SELECT {names}, count(DISTINCT person) FROM read_parquet(?) GROUP BY {names}"
        return {"groups": len(connection.execute(query, [table.paths()]).fetchall())}


def bounded(folder: str, engine: str = "duckdb") -> dict[str, object]:
    """What a release runs; tells how many groups there are, and a digest of all levels."""
    os.environ["DEMOGRAPHICS_ENGINE"] = engine
    staging = staging_in(Path(folder))
    levels = bounded_groups(specification(), staging, PeriodKey(b"k" * 32), Path(folder) / "spill").levels
    told = [(key.dimensions, frame.astype(str).to_numpy().tolist()) for key, frame in levels.items()]
    digest = hashlib.sha256(repr(sorted(told)).encode()).hexdigest()
    return {"groups": max(map(len, levels.values())), "digest": digest}


def made_staging(folder: Path, events: int, who: str = HEAVY_TAILED, picks: Mapping[str, str] | None = None) -> None:
    """Staging of one tenth as many people as events, in buckets of people.

    Args:
        folder: Where.
        events: How many.
        who: SQL of a person's number, given the number of an ``event``.
        picks: SQL of each dimension, given ``who`` and ``event``; otherwise most people are in one to three groups that
            lie near one of their own, and few in many.
    """
    told = ", ".join(f"{pick} AS {name}" for name, pick in (picks or usual_picks()).items())
    buckets, table = buckets_for(events), folder / EVENTS
    of_person = f"('0x' || left(person, {BUCKET_DIGITS}))::UBIGINT * {buckets} >> {4 * BUCKET_DIGITS}"
    number = who.format(people=events // PEOPLE_PER_EVENT)
    with duckdb.connect(config={"temp_directory": str(folder / "making")}) as connection:
        connection.execute("SET threads = 2; SET preserve_insertion_order = false; SET enable_progress_bar = false")
        connection.execute("SELECT setseed(0.41)")
        connection.execute(
            f"COPY (SELECT *, {of_person} AS bucket FROM (SELECT left(sha256(who::VARCHAR), 32) AS person, {told} FROM "
            f"(SELECT i AS event, {number} AS who FROM range({events}) AS r(i)))) "
            f"TO '{table}' (FORMAT parquet, PARTITION_BY (bucket), COMPRESSION zstd)"
        )
    manifest = StagingManifest(
        population=Population.VISITORS,
        period=str(WEEK),
        sources={},
        buckets=buckets,
        files={EVENTS: tuple(staged(path) for path in sorted(table.glob("*/*.parquet")))},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(), "utf-8")


def usual_picks() -> dict[str, str]:
    """SQL of each dimension of an event."""
    return {
        name: f"'{name[0]}' || ((hash(who, {place}) + (hash(event, {place}) % 10 = 0)::INT) % {len(KEYS[name])})"
        for place, name in enumerate(NAMES)
    }


def staged(path: Path) -> StagedFile:
    """One of the files that were made, moved to where staging has it."""
    bucket = int(path.parent.name.partition("=")[2])
    name = f"b{bucket:04d}-{secrets.token_hex(8)}.parquet"
    rows, size = pq.read_metadata(path).num_rows, path.stat().st_size
    shutil.move(path, path.parents[1] / name)
    return StagedFile(name=name, bucket=bucket, rows=rows, bytes=size)


def staging_in(folder: Path) -> Staging:
    """What ``made_staging`` wrote."""
    manifest = StagingManifest.model_validate_json((folder / "manifest.json").read_bytes())
    return Staging(Population.VISITORS, WEEK, Folder(str(folder)), manifest)


def specification() -> BoundSpecification:
    """One table over groups of which a person may have many."""
    site = SiteFile.model_validate(
        {"site": "bench", "visitors": {"logs": ["none"]}, "budget": {"visitors": {"epsilon": 9, "delta": 1e-5}}}
    )
    document = specification_document(
        release="bench",
        privacy={"epsilon": 1, "delta": 1e-7, "k": 50},
        tables=[{"name": "groups", "title": "Groups", "dimensions": NAMES, "max_groups": 4}],
        audiences={"partner": ["groups"]},
    )
    dimensions = tuple(Dimension(name, name, False, KEYS[name]) for name in NAMES)
    table = BoundTable("groups", "Groups", dimensions, 4, (people_total("visitors"),))
    release = ReleaseSpecification.model_validate(document)
    offer = offer_of(site, Population.VISITORS)
    return BoundSpecification(release, offer, (table,), Epsilon.of(1), Delta.of("1e-7"), K(50))
