"""Both engines for tests: the same relations under the same names, or the same staging."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.people.engine import DuckDb, Engine
from pipeline.people.spark import Spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

with_java = pytest.mark.skipif(
    shutil.which("java") is None and not os.environ.get("CI"),
    reason="Java is not installed (Debian: openjdk-17-jre-headless)",
)
# A Java that runs for a minute takes half the time where it compiles quickly rather than well.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
ENGINES = ("duckdb", pytest.param("spark", marks=with_java))


class Relating(Protocol):
    """An engine that can be given relations."""

    @property
    def engine(self) -> Engine: ...

    def register(self, name: str, frame: pd.DataFrame) -> None: ...


@dataclass(frozen=True)
class OnDuckDb:
    engine: DuckDb

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return self.engine.connection

    def register(self, name: str, frame: pd.DataFrame) -> None:
        self.connection.register(name, frame)


@dataclass(frozen=True)
class OnSpark:
    engine: Spark

    def register(self, name: str, frame: pd.DataFrame) -> None:
        rows = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        self.engine.session.createDataFrame(rows).createOrReplaceTempView(name)


def on_duckdb(connection: duckdb.DuckDBPyConnection) -> OnDuckDb:
    return OnDuckDb(DuckDb(connection))


def on_spark(session: SparkSession) -> OnSpark:
    return OnSpark(Spark(session))
