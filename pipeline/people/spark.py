"""Spark as an engine: started in this process for one count, or a Spark Connect server that is asked for it.

Rows stay in Spark; groups alone come back. Nothing is cached, because a server would keep it, and would find it again
by its path when staging has changed.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pyarrow as pa

from pipeline.errors import ConfigurationError
from pipeline.people.dialect import SECRET_RELATION, SPARK, Dialect
from pipeline.people.engine import spilling
from pipeline.people.settings import SPARK_VARIABLE, EngineSettings
from pipeline.people.trees import Counts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# How long a server may take to answer at first, in seconds; and how often it is asked again when it is gone: with
# waits that grow from 50 ms to 8 s, for about half a minute.
_FIRST_ANSWER: Final = 10
MOST_RETRIES: Final = 7
_LONGEST_WAIT: Final = 8_000
_DEFAULT_PORT: Final = 15002
# What must hold for the definitions to mean the same as on DuckDB, whatever a server's own settings are.
_SEMANTICS: Final = {
    "spark.sql.ansi.enabled": "true",  # numbers that overflow and texts that are no numbers are errors, not NULL
    "spark.sql.caseSensitive": "false",
    "spark.sql.orderByOrdinal": "true",
}


@dataclass(frozen=True)
class Spark:
    """Spark, by a session that knows the relations."""

    session: SparkSession
    dialect: Dialect = SPARK

    def keep(self, name: str, query: str) -> None:
        """See ``Engine``; in a view, which is computed each time."""
        self.session.sql(query).createOrReplaceTempView(name)

    def fetched(self, query: str, secret: bytes | None = None) -> Counts:
        """See ``Engine``."""
        if secret is not None:
            rows = pa.table({"secret": [secret.hex()]})
            self.session.createDataFrame(rows).createOrReplaceTempView(SECRET_RELATION)
        table = self.session.sql(query).toArrow()
        return {name: table[name].to_numpy() for name in table.column_names}


@contextmanager
def spark_session(settings: EngineSettings, spill: Path) -> Iterator[SparkSession]:
    """A session for one count. A Spark that runs in this process already is used and left running.

    Args:
        settings: Where Spark is.
        spill: Folder for temporary files of a Spark that is started here, de-identified rows only.

    Raises:
        ConfigurationError: PySpark or Java is not installed, or the server does not answer.
    """
    _require_pyspark()
    with spilling(spill, "spark") as folder:  # Java looks up once in a process where it may write
        running = None if settings.server else _running()
        session = running or (_asked(settings) if settings.server else _started(settings, folder))
        try:
            for name, value in _SEMANTICS.items():
                session.conf.set(name, value)
            yield session
        finally:
            if running is None:
                with suppress(Exception):  # it may be gone already
                    session.stop()


def _running() -> SparkSession | None:
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def _started(settings: EngineSettings, folder: str) -> SparkSession:
    """Start Spark; this machine alone can reach it, and it logs nothing, because its messages may quote rows."""
    from pyspark.sql import SparkSession

    _require_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # what this program is installed for
    builder = SparkSession.builder.master(settings.spark).appName("demographics")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": settings.spark_memory,
        "spark.local.dir": folder,
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": "32",  # merged where they are small
        "spark.sql.warehouse.dir": f"file://{folder}/warehouse",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _asked(settings: EngineSettings) -> SparkSession:
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as RemoteSession

    _require_answer(settings.server)
    session = RemoteSession.builder.remote(settings.spark).create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=MOST_RETRIES, max_backoff=_LONGEST_WAIT)])
    return cast("SparkSession", session)  # the same methods, without a common class


def _require_pyspark() -> None:
    try:
        import pyspark  # noqa: F401  it is an extra
    except ImportError:
        raise ConfigurationError(
            "counting on Spark needs PySpark",
            value="none is installed",
            remedy="Install demographics-export[spark], or set DEMOGRAPHICS_ENGINE=duckdb.",
        ) from None


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME", "")
    if not shutil.which(f"{home}/bin/java" if home else "java"):
        raise ConfigurationError(
            "Spark on this machine needs Java 17 or newer",
            value=f"no java in {'JAVA_HOME' if home else 'PATH'}",
            remedy=f"Install a Java runtime, or name a Spark Connect server in {SPARK_VARIABLE}.",
        )


def _require_answer(server: str) -> None:
    """Look whether anybody listens, because Spark's own client would try again for ten minutes."""
    host, _, port = server.rpartition(":") if server[-1:].isdigit() and ":" in server else (server, "", "")
    try:
        with socket.create_connection((host.strip("[]"), int(port or _DEFAULT_PORT)), _FIRST_ANSWER):
            pass
    except (OSError, ValueError, OverflowError) as failure:
        raise ConfigurationError(
            "the Spark Connect server must answer",
            value=f"{type(failure).__name__} at {server}",
            remedy=f"Start it, or correct {SPARK_VARIABLE}.",
        ) from None
