"""Counting one period's staging on Spark, which reads the files that DuckDB reads.

Spark spreads people over its tasks itself, so that there are no buckets. Whatever fails, its message may quote a row:
it is told as a rule, and a setting to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from pipeline.deidentify.places import BLOCK, Folder
from pipeline.deidentify.tables import StagedTable
from pipeline.errors import ConfigurationError, DemographicsError, StagingError
from pipeline.people.counting import Counting
from pipeline.people.dialect import SPARK
from pipeline.people.relations import Relations, group_relations
from pipeline.people.settings import MEMORY_VARIABLE, SPARK_VARIABLE, EngineSettings
from pipeline.people.spark import Spark, spark_session
from pipeline.privacy.levels import LevelKey
from pipeline.progress import Progress
from pipeline.site import POLICY_VERSIONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_EVENTS: Final = "staging_events"
_PERSONS: Final = "staging_persons"
# The sixteen bytes of a pseudonym: half of its digits to shuffle.
_BYTES: Final = (
    "CASE WHEN length(person) = 32 THEN to_binary(person, 'hex') "
    "ELSE CAST(raise_error('person must be a pseudonym') AS BINARY) END"
)
# The same bytes as DuckDB writes a UUID, so that both engines choose the same groups.
_UUID: Final = "lower(concat_ws('-', {}))".format(
    ", ".join(f"hex(substring(person, {first}, {size}))" for first, size in ((1, 4), (5, 2), (7, 2), (9, 2), (11, 6)))
)
_STAGING: Final = replace(SPARK, person=_UUID)
_NO_ROOM: Final = ("No space left on device", "Disk quota exceeded")
_NO_MEMORY: Final = ("OutOfMemoryError", "Cannot grow BufferHolder", "spark.driver.maxResultSize", "UNABLE_TO_ACQUIRE")
# Of Py4J, gRPC and sockets, when what they speak to is no more.
_GONE: Final = ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "EOFError")
_GONE_TEXTS: Final = ("UNAVAILABLE", "Answer from Java side is empty", "SESSION_NOT_FOUND", "SESSION_CLOSED")


def spark_levels(
    counting: Counting, settings: EngineSettings, spill: Path, progress: Progress
) -> Mapping[LevelKey, pd.DataFrame]:
    """Fold, bound and group staging.

    Raises:
        ConfigurationError: PySpark or Java is missing, Spark has too little memory, or its server is away or died.
        StagingError: Staging cannot be read, or there is no room for temporary files.
    """
    with _told(counting, settings, spill), spark_session(settings, spill) as session:
        relations = _relations(session, counting)
        return group_relations(Spark(session, _STAGING), counting.bound, relations, counting.secret, progress)


def _relations(session: SparkSession, counting: Counting) -> Relations:
    """Views of the rows of those who count."""
    staging, persons, events = counting.staging, None, None
    if staging.persons:
        persons = _read(session, staging.persons)
        if counting.of_customers:
            told = persons.select(POLICY_VERSIONS).distinct().toArrow()[POLICY_VERSIONS].to_pylist()
            persons = persons.where(persons[POLICY_VERSIONS].isin(counting.covered(told)))
        persons.createOrReplaceTempView(_PERSONS)
    if staging.events:
        events = _read(session, staging.events)
        if counting.of_customers:
            assert persons is not None
            events = events.join(persons.select("person"), "person", "left_semi")
        events.createOrReplaceTempView(_EVENTS)
    return Relations(None if events is None else _EVENTS, None if persons is None else _PERSONS)


def _read(session: SparkSession, table: StagedTable) -> DataFrame:
    frame = _from_folder(session, table) if isinstance(table.place, Folder) else _from_store(session, table)
    frame = frame.where("person IS NOT NULL")
    others = [f"`{name}`" for name in frame.columns if name != "person"]
    return frame.selectExpr(f"{_BYTES} AS person", *others)


def _from_folder(session: SparkSession, table: StagedTable) -> DataFrame:
    # With its scheme: a server's paths may begin elsewhere than on its disks.
    return session.read.parquet(*(f"file://{path}" for path in table.paths()))


def _from_store(session: SparkSession, table: StagedTable) -> DataFrame:
    """Each file read inside of an executor, which finds the store's address and credentials in its own environment."""
    from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415  it is an extra

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Alone in what is sent to executors, which need s3fs and nothing of this program.
        import fsspec  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        files = fsspec.filesystem("s3", use_listings_cache=False, default_block_size=block)
        for batch in batches:
            for path in batch.column("path").to_pylist():
                with files.open(path, "rb") as opened:
                    yield from pq.ParquetFile(opened).iter_batches(batch_size=65_536)

    block, paths = BLOCK, pa.table({"path": table.paths()})
    listed = session.createDataFrame(paths).repartition(len(table.files))
    return listed.mapInArrow(rows, from_arrow_schema(table.schema))


@contextmanager
def _told(counting: Counting, settings: EngineSettings, spill: Path) -> Iterator[None]:
    try:
        yield
    except DemographicsError:
        raise
    except Exception as failure:  # noqa: BLE001  any class, of Spark, Py4J or gRPC; each may quote a row
        raise _explained(failure, counting, settings, spill) from None


@dataclass(frozen=True)
class _Failure:
    """Of what failed, what may be told."""

    kind: str
    gone: bool
    no_memory: bool
    no_room: bool
    no_java: bool

    @classmethod
    def of(cls, failure: Exception) -> _Failure:
        # Spark's own name of the condition, CONVERSION_INVALID_INPUT for example, is one of a closed list.
        condition = getattr(failure, "getCondition", lambda: None)() or ""
        kind, text = " ".join(filter(None, (type(failure).__name__, condition))), str(failure)
        return cls(
            kind,
            gone=type(failure).__name__ in _GONE or any(part in text for part in _GONE_TEXTS),
            no_memory=any(part in text for part in _NO_MEMORY),
            no_room=any(part in text for part in _NO_ROOM),
            no_java=condition == "JAVA_GATEWAY_EXITED",
        )


def _explained(failure: Exception, counting: Counting, settings: EngineSettings, spill: Path) -> DemographicsError:
    found = _Failure.of(failure)
    value, server = f"{found.kind} on {counting.subject}", settings.server
    if found.no_room:
        room = f"in spark.local.dir of {server}" if server else f"below {spill}"
        return StagingError("there must be room for Spark's temporary files", value=value, remedy=f"Free space {room}.")
    if found.no_memory:
        more = f"Give {server} more" if server else f"Raise {MEMORY_VARIABLE}"
        return ConfigurationError("Spark must have enough memory", value=value, remedy=f"{more}.")
    if found.no_java:
        return ConfigurationError(
            "Spark on this machine needs Java 17 or newer",
            value=value,
            remedy=f"Install one, lower {MEMORY_VARIABLE}, or name a Spark Connect server in {SPARK_VARIABLE}.",
        )
    if found.gone:
        place, setting = (server, SPARK_VARIABLE) if server else ("on this machine", MEMORY_VARIABLE)
        return ConfigurationError(
            f"Spark {place} must stay there while people are counted",
            value=value,
            remedy=f"Nothing was drawn: try again, and look at {setting} if it happens again.",
        )
    return StagingError(
        "staging must be readable by Spark, at the same path as here",
        value=value,
        remedy=f"Ingest the period again, or let what {SPARK_VARIABLE} names see {counting.staging.place.address}.",
    )
