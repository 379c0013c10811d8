"""Units of visitor logs read inside of Spark's executors, by the very function that a task of Airflow reads one with.

Executors find keys, ledger, staging and credentials where any worker does, and put drafts and facts there. What Spark
sees are numbers of units and the rules that were broken, and never a line, a value or a key: no plan of a query, event
or shuffle holds one. A unit that Spark reads twice, because a task was tried again or a second one raced it, counts
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pipeline import errors
from pipeline.deidentify.visitors import read_visitors, unread_units
from pipeline.errors import DemographicsError, StagingError, kind_and_place
from pipeline.people.settings import SPARK_VARIABLE, EngineSettings
from pipeline.people.spark import spark_session
from pipeline.people.spark_failures import Work, told
from pipeline.periods import Period
from pipeline.site import load_site
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# One row a unit that broke a rule: which class of error, and what it says.
_BROKEN: Final = pa.schema([(name, pa.string()) for name in ("kind", "rule", "value", "remedy")])
_BROKEN_DDL: Final = ", ".join(f"`{name}` string" for name in _BROKEN.names)

Batches = Iterator[pa.RecordBatch]


def read_on_spark(workspace: Workspace, period: Period, token: str) -> None:
    """Read all units of a plan that are not read yet.

    Args:
        workspace: At the same path here and where Spark's executors run.
        period: Which.
        token: Of the run.

    Raises:
        ConfigurationError: PySpark or Java is missing, Spark has too little memory, or its server is away or died.
        DemographicsError: What reading the first unit that failed raised; the others were read.
        StagingError: An executor cannot read a unit, or there is no room for temporary files.
    """
    settings = EngineSettings.from_environment()
    units = unread_units(workspace, load_site(workspace.site_file), period, token)
    if not units:
        return
    work = Work(
        f"visitors of {period}",
        "visitor logs are read",
        "Earlier staging is as it was",
        StagingError(
            "Spark's executors must be able to read visitor logs as this process can",
            remedy=f"Let what {SPARK_VARIABLE} names see {workspace.home}, with this program installed and the same "
            "environment; then try again.",
        ),
    )
    spill = workspace.home / "spill"
    with told(work, settings, spill), spark_session(settings, spill) as session:
        for broken in _broken(session, _reader(str(workspace.home), str(period), token), units):
            kind: type[DemographicsError] = getattr(errors, broken["kind"])
            raise kind(broken["rule"], value=broken["value"], remedy=broken["remedy"])


def _broken(session: SparkSession, reader: Callable[[Batches], Batches], units: list[int]) -> list[dict[str, str]]:
    listed = session.createDataFrame(pa.table({"unit": pa.array(units, pa.int64())}))
    # A task for each, so that whoever is free takes the next.
    spread = listed.repartitionByRange(len(units), "unit")
    found: list[dict[str, str]] = spread.mapInArrow(reader, _BROKEN_DDL).toArrow().to_pylist()
    return found


def _reader(home: str, period: str, token: str) -> Callable[[Batches], Batches]:
    def read(batches: Batches) -> Batches:
        for batch in batches:
            broken = [_read(home, period, token, unit) for unit in batch.column("unit").to_pylist()]
            yield pa.RecordBatch.from_pylist([one for one in broken if one], _BROKEN)

    return read


def _read(home: str, period: str, token: str, unit: int) -> dict[str, str | None] | None:
    """Read a unit, in an executor; tells which rule it broke, if any."""
    workspace = Workspace(Path(home))
    try:
        read_visitors(workspace, load_site(workspace.site_file), Period.parse(period), token, unit)
    except DemographicsError as failure:
        value = None if failure.value is None else str(failure.value)
        return {"kind": type(failure).__name__, "rule": failure.rule, "value": value, "remedy": failure.remedy}
    except Exception as failure:  # noqa: BLE001 - whatever it is, its message must not reach Spark's logs
        raise RuntimeError(f"reading a unit stopped: {kind_and_place(failure)}") from None
    return None
