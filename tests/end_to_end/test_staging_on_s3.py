"""Staging in an object store: ingested, checked, drawn from, erased from and purged there, on a real S3 server."""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

from pipeline import flow, flow_staging
from pipeline.deidentify import tables
from pipeline.deidentify.obeying import obey_held, settled
from pipeline.deidentify.places import ObjectStore
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import Staging, is_checked, load_staging, place_of
from pipeline.deidentify.tables import bucket_of
from pipeline.deidentify.tombstones import Effects
from pipeline.errors import DemographicsError
from pipeline.people.bounding import bounded_groups
from pipeline.policy import bind_covered
from pipeline.rights.requests import RequestKind
from pipeline.rights.retention import kept_periods, purge_expired
from pipeline.rights.sweeping import leftovers, sweep
from pipeline.site import SiteFile, load_site
from pipeline.vocabulary import Population
from pipeline.workspace import STAGING_VARIABLE, Workspace
from tests.asking import (
    GERMANS,
    MONTHS,
    NOW,
    RELEASE,
    WEEKS,
    apply,
    ask,
    customer,
    enter,
    pseudonym_of,
    stage_all,
    visitor,
    write_home,
)
from tests.engines import SHORT_LIVED, with_java
from tests.staged import rows_of
from tests.staging_stores import SECRET, s3_staging, untouched
from tests.stores import wire_to

VISITORS, CUSTOMERS = Population.VISITORS, Population.CUSTOMERS
PERIODS: Final = [*((VISITORS, week) for week in WEEKS), *((CUSTOMERS, month) for month in MONTHS)]


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with s3_staging() as place:
        yield place


@pytest.fixture
def workspace(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A site whose two weeks and two months lie in the store, in some buckets each."""
    store.clear()
    monkeypatch.setattr(tables, "ROWS_A_BUCKET", 20)
    made = write_home(tmp_path / "site")
    enter(monkeypatch, made)
    stage_all(made)
    return made


def site_of(workspace: Workspace) -> SiteFile:
    return load_site(workspace.site_file)


def held(workspace: Workspace) -> list[Staging]:
    return [load_staging(workspace, *one) for one in PERIODS]


def rows(staging: Staging) -> dict[str, list[str]]:
    return {name: sorted(map(str, rows_of(staging.table(name)))) for name in staging.manifest.files}


def counts(workspace: Workspace) -> dict[Any, pd.DataFrame]:
    bound, covering = bind_covered(workspace, RELEASE, WEEKS[0])
    key = period_key(workspace, VISITORS, WEEKS[0], make=False)
    staging = load_staging(workspace, VISITORS, WEEKS[0])
    return dict(bounded_groups(bound, staging, key, workspace.home / "spill", covering=covering).levels)


def require_equal(one: dict[Any, pd.DataFrame], other: dict[Any, pd.DataFrame]) -> None:
    assert set(one) == set(other)
    for level, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[level])
        assert not frame.empty


def test_staging_in_a_store_holds_and_counts_what_it_does_in_a_folder(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_store, told = [rows(staging) for staging in held(workspace)], counts(workspace)
    assert [staging.manifest.buckets for staging in held(workspace)] == [8, 8, 2, 2]
    assert not [path for path in (workspace.home / "staging").rglob("*") if path.is_file() and path.suffix != ".lock"]
    monkeypatch.delenv(STAGING_VARIABLE)
    stage_all(workspace)
    assert [rows(staging) for staging in held(workspace)] == in_store
    require_equal(counts(workspace), told)


def test_a_release_is_drawn_and_who_is_erased_touches_the_files_of_their_bucket_alone(
    workspace: Workspace, store: ObjectStore
) -> None:
    flow_staging.check_staging("visitors", str(WEEKS[0]))
    assert flow.draw(RELEASE, str(WEEKS[0])) == f"{RELEASE}/{WEEKS[0]}/r1"
    before, gone = untouched(store), (visitor(RequestKind.ERASE, GERMANS[0]), customer(RequestKind.ERASE, 7))
    own = {
        f"{who}/{when}": bucket_of(pseudonym_of(workspace, gone[who is CUSTOMERS], when), staging.manifest.buckets)
        for (who, when), staging in zip(PERIODS, held(workspace), strict=True)
    }
    ask(workspace, *gone)
    assert not apply(workspace).waiting
    after = untouched(store)
    kept = {name: told for name, told in before.items() if name in after and name.endswith(".parquet")}
    assert {name: after[name] for name in kept} == kept
    replaced = {name for name in before.keys() ^ after.keys() if name.endswith(".parquet")}
    assert {name.rsplit("/", 2)[0] for name in replaced} == set(own)
    assert all(name.rpartition("/")[2].startswith(f"b{own[name.rsplit('/', 2)[0]]:04d}-") for name in replaced)
    people = {pseudonym_of(workspace, gone[who is CUSTOMERS], when) for who, when in PERIODS}
    told = "".join(str(rows(staging)) for staging in held(workspace))
    assert not [person for person in people if person in told]
    assert is_checked(held(workspace)[0])  # anew, so that a release under way goes on


def test_retention_removes_the_folder_of_its_period_and_touches_no_other(
    workspace: Workspace, store: ObjectStore
) -> None:
    before, due = untouched(store), dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
    assert purge_expired(workspace, site_of(workspace), due).periods == (f"customers/{MONTHS[0]}",)
    assert untouched(store) == {
        name: told for name, told in before.items() if not name.startswith("customers/2026-09/")
    }
    assert kept_periods(workspace, CUSTOMERS) == (MONTHS[1],)


def test_what_killed_runs_left_in_a_store_is_found_and_swept(workspace: Workspace, store: ObjectStore) -> None:
    before, left = untouched(store), "visitors/2026-W41/events/b0001-0a1b2c3d0a1b2c3d.parquet"
    store.replace(left, b"left")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    found = list(leftovers(workspace, later, dt.timedelta(days=1)))
    assert [str(one.path.relative_to(workspace.home / "staging")) for one in found] == [left]
    assert sweep(workspace, NOW).removed == {"drafts of staging": 1}
    assert untouched(store) == before


def test_a_line_that_is_cut_at_any_byte_leaves_staging_as_it_was_or_as_it_is_to_be(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = load_staging(workspace, CUSTOMERS, MONTHS[0])
    gone = pseudonym_of(workspace, customer(RequestKind.ERASE, 7), MONTHS[0])
    before, effects = rows(staging), Effects(frozenset({gone}))
    after = {name: [row for row in held_rows if gone not in row] for name, held_rows in before.items()}
    port, moments = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]), random.Random(7)  # noqa: S311
    with wire_to(port) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        place = place_of(workspace, CUSTOMERS, MONTHS[0])
        assert isinstance(place, ObjectStore)
        place.files.retries = 1
        found, left = [before], 0
        while found[-1] == before:
            held_now = settled(workspace, CUSTOMERS, MONTHS[0])
            left += moments.randrange(1, 9_000)
            wire.mend(left)
            with suppress(DemographicsError):
                obey_held(held_now, effects)
            wire.mend()
            now = settled(workspace, CUSTOMERS, MONTHS[0])
            found.append(rows(now))
            assert set(place.names()) == {*now.manifest.names, "manifest.json"}
    assert found[-1] == after
    assert len(found) > 3  # it was cut before anything was decided, more than once


# In a process of its own, whose Spark starts with its environment. Tells a digest of the levels.
COUNT: Final = """
import hashlib, sys
from pathlib import Path
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.policy import bind_covered
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
workspace, release, period = Workspace.from_environment(), sys.argv[1], Period.parse(sys.argv[2])
bound, covering = bind_covered(workspace, release, period)
staging, key = load_staging(workspace, Population.VISITORS, period), period_key(workspace, Population.VISITORS, period)
levels = bounded_groups(bound, staging, key, workspace.home / "spill", covering=covering).levels
print(sorted((str(level), frame.to_csv()) for level, frame in levels.items()))
"""


@with_java
def test_spark_counts_from_the_store_what_duckdb_counts(workspace: Workspace) -> None:
    settings = {
        "PYSPARK_PYTHON": sys.executable,
        "DEMOGRAPHICS_SPARK": "local[2]",
        "JAVA_TOOL_OPTIONS": SHORT_LIVED,
        "DEMOGRAPHICS_SPARK_MEMORY": "512m",
    }
    command = [sys.executable, "-c", COUNT, RELEASE, str(WEEKS[0])]
    told = {}
    for engine in ("duckdb", "spark"):
        environment = os.environ | settings | {"DEMOGRAPHICS_ENGINE": engine}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert SECRET not in ran.stdout + ran.stderr
        told[engine] = ran.stdout.splitlines()[-1]
    assert told["spark"] == told["duckdb"]
    assert "by_country" in told["spark"] or "country" in told["spark"]
