"""Fixtures that all tests share: a small site, its specification, and staging that tests fill."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.people.settings import EngineName, EngineSettings
from pipeline.people.spark import spark_session
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind
from tests import postgresql
from tests.builders import StagingOf, pseudonym, site_document, specification_document, write_visitors
from tests.engines import ENGINES, SHORT_LIVED, Relating, on_duckdb, on_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="Fail where a test is skipped: the gate installs all.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and config.getoption("--no-skips"):
        terminalreporter.write_line(f"{len(skipped)} test(s) were skipped, which this run does not allow.", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """The program sets where it works for its process: no test leaves that to the next."""
    before = {name: value for name, value in os.environ.items() if name.startswith("DEMOGRAPHICS_")}
    yield
    for name in [name for name in os.environ if name.startswith("DEMOGRAPHICS_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    """A PostgreSQL of the whole run of tests, started by the first that asks for it."""
    with postgresql.server() as url:
        yield url


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A Spark of the whole run of tests, which whoever counts on Spark in this process uses."""
    settings = EngineSettings(engine=EngineName.SPARK, spark="local[2]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", SHORT_LIVED)
        with spark_session(settings, tmp_path_factory.mktemp("spark")) as session:
            session.conf.set("spark.sql.shuffle.partitions", "1")  # rows are few
            yield session


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each engine, set as the one that counts staging."""
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", request.param)
    if request.param == "spark":
        request.getfixturevalue("spark")
    return str(request.param)


@pytest.fixture
def relating(engine: str, request: pytest.FixtureRequest) -> Iterator[Relating]:
    """Each engine, to be given relations."""
    if engine == "spark":
        yield on_spark(request.getfixturevalue("spark"))
        return
    with duckdb.connect() as connection:
        yield on_duckdb(connection)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, as a URL: one of each kind that a ledger may live in."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    with postgresql.schema(request.getfixturevalue("postgresql_server")) as url:
        yield url


@pytest.fixture
def site() -> SiteFile:
    return SiteFile.model_validate(site_document())


@pytest.fixture
def bound(site: SiteFile) -> BoundSpecification:
    return bind(ReleaseSpecification.model_validate(specification_document()), site)


@pytest.fixture
def secret() -> PeriodKey:
    return PeriodKey(b"k" * 32)


@pytest.fixture
def staging_of(tmp_path: Path) -> StagingOf:
    """Make staging of rows such as ``{"person": 1, "country": "DE"}``."""

    def make(rows: Iterable[Mapping[str, Any]]) -> Staging:
        frame = pd.DataFrame(list(rows))
        frame["person"] = [pseudonym(number) for number in frame["person"]]
        return write_visitors(tmp_path / "staging", frame)

    return make
