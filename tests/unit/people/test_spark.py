"""Spark as it is found in the world: away, without Java, started and ended, killed; and what it tells then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkRuntimeError, SparkRuntimeException

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.errors import ConfigurationError, DemographicsError, StagingError
from pipeline.people import spark as module
from pipeline.people.bounding import bounded_groups
from pipeline.people.counting import Counting
from pipeline.people.relations import Relations, added_up, tree_queries
from pipeline.people.settings import EngineName, EngineSettings
from pipeline.people.spark import Spark
from pipeline.people.spark_failures import explained
from pipeline.people.spark_staging import _work
from pipeline.spec import BoundSpecification
from tests.builders import SECTIONS, pseudonym, write_visitors
from tests.engines import SHORT_LIVED, with_java
from tests.kinds_of_tables import table
from tests.spark_servers import SparkServer, free_port, spark_server
from tests.staged import file_of, folder_of

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    people = [number for number in range(40) for _ in SECTIONS]
    frame = pd.DataFrame({"person": [pseudonym(number) for number in people], "section": [*SECTIONS] * 40})
    return write_visitors(tmp_path / "staging", frame)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")


def refusal(bound: BoundSpecification, staging: Staging, secret: PeriodKey, **given: Any) -> DemographicsError:
    with pytest.raises(DemographicsError) as refused:
        bounded_groups(bound, staging, secret, folder_of(staging) / "spill", **given)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return refused.value


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("variable", ["PATH", "JAVA_HOME"])
def test_without_java_the_error_says_what_to_install_or_to_set(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setattr(module, "_running", lambda: None)  # another test's
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv(variable, str(folder_of(staging)))
    refused = refusal(bound, staging, secret)
    assert isinstance(refused, ConfigurationError)
    assert f"no java in {variable}" in str(refused)
    assert "DEMOGRAPHICS_SPARK" in refused.remedy


@pytest.mark.usefixtures("chosen")
def test_without_pyspark_the_error_names_the_extra(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert "demographics-export[spark]" in refusal(bound, staging, secret).remedy


@pytest.mark.usefixtures("chosen")
def test_a_server_that_is_away_is_named_without_its_token(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("DEMOGRAPHICS_SPARK", f"sc://127.0.0.1:{port}/;token=hush")
    refused = refusal(bound, staging, secret)
    assert isinstance(refused, ConfigurationError)
    assert f"ConnectionRefusedError at 127.0.0.1:{port}" in str(refused)
    assert "DEMOGRAPHICS_SPARK" in refused.remedy
    assert "hush" not in str(refused)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkServer]:
    with spark_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def asked(server: SparkServer, chosen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_SPARK", server.url)


# The tests of the server follow one another: the last one kills it.


@with_java
def test_a_server_counts_what_duckdb_counts(
    bound: BoundSpecification,
    staging: Staging,
    secret: PeriodKey,
    asked: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = bounded_groups(bound, staging, secret, folder_of(staging) / "spill")
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "duckdb")
    expected = bounded_groups(bound, staging, secret, folder_of(staging) / "spill")
    assert set(found.levels) == set(expected.levels)
    for key, frame in expected.levels.items():
        pd.testing.assert_frame_equal(frame, found.levels[key])


@with_java
@pytest.mark.usefixtures("asked")
def test_a_server_that_cannot_see_staging_is_told_of_its_folder(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey
) -> None:
    file_of(staging.events).write_bytes(b"no Parquet")
    refused = refusal(bound, staging, secret)
    assert isinstance(refused, StagingError)
    assert str(folder_of(staging)) in refused.remedy


@with_java
@pytest.mark.usefixtures("asked")
def test_a_server_that_is_killed_while_it_counts_is_an_error_to_try_again(
    bound: BoundSpecification,
    staging: Staging,
    secret: PeriodKey,
    server: SparkServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_RETRIES", 2)

    def kill_after_the_first_tree(_what: str, done: int, _total: int | None) -> None:
        if done:
            server.kill()

    refused = refusal(bound, staging, secret, progress=kill_after_the_first_tree)
    assert isinstance(refused, ConfigurationError)
    assert f"Spark 127.0.0.1:{server.port} must stay there" in str(refused)
    assert "try again, and look at DEMOGRAPHICS_SPARK" in refused.remedy


# What a task of Airflow does, in an interpreter of its own: Spark is started and ended twice, and killed at last.
ALONE = """
import json, sys, types
from pathlib import Path
project, folder = Path(sys.argv[1]), Path(sys.argv[2])
tests = types.ModuleType("tests")
tests.__path__ = [str(project / "tests")]
sys.modules["tests"], sys.path[:0] = tests, [str(project)]

import pandas as pd, psutil
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.errors import DemographicsError
from pipeline.people.bounding import bounded_groups
from pipeline.site import SiteFile
from pipeline.spec import ReleaseSpecification, bind
from tests.builders import pseudonym, site_document, specification_document, write_visitors

bound = bind(ReleaseSpecification.model_validate(specification_document()), SiteFile.model_validate(site_document()))
spill, key, listening = folder / "spill", PeriodKey(b"k" * 32), set()

def java():
    return next(child for child in psutil.Process().children(recursive=True) if child.name() == "java")

def look(*_progress):
    listening.update(one.laddr.ip for one in java().net_connections() if one.status == "LISTEN")
    listening.add("spilling" if any(spill.glob(".spill-*/*")) else "not spilling")

def count(person, progress):
    staging = write_visitors(folder / "staging", pd.DataFrame({"person": [person]}))
    try:
        levels = bounded_groups(bound, staging, key, spill, progress).levels
        return sorted({int(frame["contributions"].sum()) for frame in levels.values()})
    except DemographicsError as failure:
        return str(failure)

def kill(_what, done, _total):
    if done:
        java().kill()
        java().wait(30)

told = [count(pseudonym(1), look), count("ada@example.org", look), count(pseudonym(1), kill)]
print(json.dumps({"told": told, "left": [str(path) for path in spill.iterdir()], "seen": sorted(listening)}))
"""


@with_java
@pytest.mark.usefixtures("chosen")
def test_spark_in_a_task_listens_here_alone_leaves_nothing_and_can_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_SPARK", "local[2]")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", SHORT_LIVED)
    command = [sys.executable, "-c", ALONE, str(PROJECT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    counted, refused, killed = found["told"]
    assert counted == [1]
    assert "staging must be readable by Spark" in refused
    assert "Spark on this machine must stay there while people are counted" in killed
    assert "DEMOGRAPHICS_SPARK_MEMORY" in killed
    assert found["left"] == []
    assert {address.removeprefix("::ffff:") for address in found["seen"]} == {"127.0.0.1", "spilling"}
    assert "example.org" not in done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spill", "staging"]


@with_java
def test_the_secret_is_in_no_plan(bound: BoundSpecification, spark: Any) -> None:
    engine = Spark(spark)
    spark.createDataFrame([("a", "home")], "person string, section string").createOrReplaceTempView("plan_events")
    one_table = replace(bound, tables=(table(0, "groups"),))
    ((tree, query),) = tree_queries(engine, one_table, Relations("plan_events", None))
    engine.fetched(added_up(tree, query, engine.dialect), b"secret of the period")
    plan = spark.sql(query)._jdf.queryExecution().toString()
    assert "sha2" in plan
    assert b"secret of the period".hex() not in plan


class FullError(Exception):
    def __str__(self) -> str:
        return "java.io.IOException: No space left on device while writing ada@example.org"


class ExhaustedError(Exception):
    def __str__(self) -> str:
        return "java.lang.OutOfMemoryError: Java heap space in ada@example.org"


@pytest.mark.parametrize(
    ("failure", "here", "on_server"),
    [
        (FullError(), "Free space below /spill.", "Free space in spark.local.dir of example.com:15002."),
        (ExhaustedError(), "Raise DEMOGRAPHICS_SPARK_MEMORY.", "Give example.com:15002 more."),
        (Py4JNetworkError("ada@example.org"), "look at DEMOGRAPHICS_SPARK_MEMORY", "look at DEMOGRAPHICS_SPARK if"),
        (EOFError(), "look at DEMOGRAPHICS_SPARK_MEMORY", "look at DEMOGRAPHICS_SPARK if"),
        (PySparkRuntimeError(errorClass="JAVA_GATEWAY_EXITED", messageParameters={}), "Java 17", "Java 17"),
        (SparkRuntimeException("ada@example.org"), "Ingest the period again", "let what DEMOGRAPHICS_SPARK names see"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_names_what_to_change_and_quotes_nobody(
    bound: BoundSpecification, staging: Staging, failure: Exception, here: str, on_server: str
) -> None:
    counting = Counting(bound, staging, frozenset(), b"secret")
    for place, remedy in (("local[*]", here), ("sc://example.com:15002/;token=hush", on_server)):
        settings = EngineSettings(engine=EngineName.SPARK, spark=place)
        told = str(explained(failure, _work(counting), settings, Path("/spill")))
        assert remedy in told
        assert "visitors of 2026-W41" in told
        assert "example.org" not in told
        assert "hush" not in told
