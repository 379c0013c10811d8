"""The sample, exported on Spark: equal before noise, and drawn once whatever becomes of Spark or an engine's disk."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import psutil
import pytest

from pipeline import flow, flow_staging
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.errors import ConfigurationError, StagingError
from pipeline.people import spark as module
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.policy import bind_covered
from pipeline.privacy.ledger import Ledger
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.engines import with_java
from tests.full_disks import files_up_to
from tests.spark_servers import spark_server

pytestmark = with_java

RELEASES = Path(__file__).parents[2] / "dags" / "releases"
WEEK, MONTH = "2026-W41", "2026-10"
KEY = ReleaseKey("weekly_audience", WEEK)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The sample, smaller, with both populations staged and checked."""
    home: Path = tmp_path_factory.mktemp("home")
    write_sample(home, lines=12_000, visitors=2_500, customers=600)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ((HOME_VARIABLE, home), (RELEASES_VARIABLE, RELEASES), (LEDGER_VARIABLE, "")):
            patch.setenv(name, str(value))
        for population, period in (("visitors", WEEK), ("customers", MONTH)):
            flow_staging.stage(population, period)
            flow_staging.check_staging(population, period)
    return Workspace(home)


@pytest.fixture(autouse=True)
def on_spark(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ((HOME_VARIABLE, workspace.home), (RELEASES_VARIABLE, RELEASES), (LEDGER_VARIABLE, "")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(
    ("release", "period"), [("weekly_audience", WEEK), ("weekly_movements", WEEK), ("monthly_customers", MONTH)]
)
def test_the_specifications_of_the_sample_count_alike_on_both(
    workspace: Workspace, release: str, period: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = Period.parse(period)
    bound, covering = bind_covered(workspace, release, when)
    population = bound.specification.population
    staging, key = load_staging(workspace, population, when), period_key(workspace, population, when, make=False)
    spark = bounded_groups(bound, staging, key, workspace.home / "spill", covering=covering)
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "duckdb")
    duck = bounded_groups(bound, staging, key, workspace.home / "spill", covering=covering)
    assert set(spark.levels) == set(duck.levels)
    for level, frame in duck.levels.items():
        pd.testing.assert_frame_equal(frame, spark.levels[level], obj=str(level))
        assert frame["contributions"].sum() > 0 or not level.of_people


def test_a_server_that_dies_while_it_counts_costs_nothing_and_the_next_try_is_the_one_release(
    workspace: Workspace, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(workspace.ledger)
    monkeypatch.setattr(module, "MOST_RETRIES", 2)
    with spark_server(tmp_path) as server, monkeypatch.context() as patch:
        patch.setenv("DEMOGRAPHICS_SPARK", server.url)

        def kill(what: str, done: int, _total: int | None) -> None:
            if what == "counting people" and done:
                server.kill()

        with pytest.raises(ConfigurationError, match="must stay there while people are counted"):
            flow.draw(KEY.release, WEEK, kill)
        with pytest.raises(ConfigurationError, match="the Spark Connect server must answer"):
            flow.draw(KEY.release, WEEK)
    assert not list(ledger.reservations())
    assert ledger.artefact(KEY) is None

    request.getfixturevalue("spark")
    assert flow.run(KEY.release, WEEK) == str(KEY)
    drawn = ledger.artefact(KEY)
    assert flow.waiting() == [KEY]
    assert flow.draw(KEY.release, WEEK) == str(KEY)
    assert ledger.artefact(KEY) == drawn is not None
    assert len(list(ledger.reservations())) == 1


def test_memory_that_is_too_small_costs_nothing_and_names_the_setting(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "duckdb")
    monkeypatch.setenv("DEMOGRAPHICS_MEMORY", "1m")
    ledger = Ledger.open(workspace.ledger)
    before = list(ledger.reservations())
    with pytest.raises(ConfigurationError, match="raise DEMOGRAPHICS_MEMORY, or DEMOGRAPHICS_SPILL"):
        flow.draw("monthly_customers", MONTH)
    assert list(ledger.reservations()) == before


# Each engine another release, so that each is the first of its own.
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(
    ("engine", "release", "period"), [("duckdb", "weekly_movements", WEEK), ("spark", "monthly_customers", MONTH)]
)
def test_a_disk_that_is_full_while_people_are_counted_costs_nothing_and_the_next_try_is_the_one_release(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, engine: str, release: str, period: str
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", engine)
    key, ledger = ReleaseKey(release, period), Ledger.open(workspace.ledger)
    before = list(ledger.reservations())
    with ExitStack() as full, monkeypatch.context() as little:
        little.setenv("DEMOGRAPHICS_MEMORY", "8m")  # so that DuckDB writes temporary files
        java = next(child for child in psutil.Process().children(recursive=True) if child.name() == "java")

        def fill(what: str, done: int, _total: int | None) -> None:
            if what == "counting people" and not done:
                full.enter_context(files_up_to(100, java if engine == "spark" else None))

        with pytest.raises(StagingError, match=r"there must be room for .*temporary files"):
            flow.draw(release, period, fill)
    assert list(ledger.reservations()) == before
    assert ledger.artefact(key) is None
    assert key not in flow.waiting()

    assert flow.run(release, period) == str(key)
    drawn = ledger.artefact(key)
    assert flow.draw(release, period) == str(key)
    assert ledger.artefact(key) == drawn is not None
    assert len(list(ledger.reservations())) == len(before) + 1
