"""Counting one period's staging on Spark, which reads the files that DuckDB reads.

Spark spreads people over its tasks itself, so that there are no buckets. Whatever fails, its message may quote a row:
it is told as a rule, and a setting to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from pipeline.deidentify.places import BLOCK, Folder
from pipeline.deidentify.tables import StagedTable
from pipeline.errors import StagingError
from pipeline.people.counting import Counting
from pipeline.people.dialect import SPARK
from pipeline.people.relations import Relations, group_relations
from pipeline.people.settings import SPARK_VARIABLE, EngineSettings
from pipeline.people.spark import Spark, spark_session
from pipeline.people.spark_failures import Work, told
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


def spark_levels(
    counting: Counting, settings: EngineSettings, spill: Path, progress: Progress
) -> Mapping[LevelKey, pd.DataFrame]:
    """Fold, bound and group staging.

    Raises:
        ConfigurationError: PySpark or Java is missing, Spark has too little memory, or its server is away or died.
        StagingError: Staging cannot be read, or there is no room for temporary files.
    """
    with told(_work(counting), settings, spill), spark_session(settings, spill) as session:
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


def _work(counting: Counting) -> Work:
    return Work(
        counting.subject,
        "people are counted",
        "Nothing was drawn",
        StagingError(
            "staging must be readable by Spark, at the same path as here",
            remedy=f"Ingest the period again, or let what {SPARK_VARIABLE} names see {counting.staging.place.address}.",
        ),
    )
