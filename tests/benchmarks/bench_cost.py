"""What an event costs on Spark: work, shuffled bytes, memory of the largest task; `docs/scale.md` reckons with them.

People by country, system and browser, l0 = 4, as in ``bench_bounding``: bounded, as a release runs it, beside the plain
``count(DISTINCT person)``, both on Spark `local[2]`, of a million events and of four times as many. The numbers are
Spark's own, out of a log of events that is this benchmark's alone: the product keeps none.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.deidentify.tables import EVENTS
from tests.benchmarks.bench_bounding import NAMES, bounded, made_staging, staging_in
from tests.benchmarks.measuring import MEGABYTE, Median, alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, LeftOut, Ratio

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SIZES: Final = (1_000_000, 4_000_000)
BESIDE: Final = "plain distinct count on Spark"
MEMORY: Final = "2g"


@dataclass(frozen=True)
class Cost:
    """One number of a task, and how those of all tasks are put together.

    Attributes:
        name: As ``told``.
        title: In the table.
        unit: Of an event's share, or of the whole where ``an_event`` is false.
        scale: Of Spark's unit to ours.
        an_event: Whether it is shared out over the events.
    """

    name: str
    title: str
    unit: str
    scale: float
    an_event: bool = True

    def amount(self, found: Median, events: int) -> Amount:
        """Of one plan."""
        return Amount(found.told(self.name) * self.scale / (events if self.an_event else 1))


COSTS: Final = (
    Cost("cpu", "work on Spark an event", "µs", 1e-3),
    Cost("shuffled", "shuffled on Spark an event", "bytes", 1),
    Cost("largest", "memory of the largest task on Spark", "MB", 1 / MEGABYTE, an_event=False),
)


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """The costs of an event at each size, and how they grow."""
    if small or not shutil.which("java"):
        yield LeftOut("Spark", "it starts for longer than it counts" if small else "there is no Java")
        return
    found = {}
    for events in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            made_staging(Path(folder), events)
            rivals = {one.__name__: partial(alone, one, folder) for one in (plain_cost, bounded_cost)}
            found[events] = in_turns(rivals, rounds=1, warm_up=0)
        for cost in COSTS:
            yield of_cost(cost, events, found[events])
    for cost in COSTS:
        yield growth(cost, found)


def of_cost(cost: Cost, events: int, found: Mapping[str, Median]) -> Figure:
    """One cost at one size, bounded beside plain."""
    ours, theirs = (cost.amount(found[name], events) for name in ("bounded_cost", "plain_cost"))
    return Figure(f"{cost.title}, of {events:,}", BESIDE, ours, theirs, Ratio.MUCH, unit=cost.unit)


def growth(cost: Cost, found: Mapping[int, Mapping[str, Median]]) -> Figure:
    """One cost of many events beside the same of few; where it is shared out, one is constant."""
    fewer, more = (cost.amount(found[events]["bounded_cost"], events) for events in SIZES)
    name, beside = f"{cost.title}, four times the events", "the same of a quarter of them"
    return Figure(name, beside, more, fewer, Ratio.MUCH, unit=cost.unit)


def bounded_cost(folder: str) -> dict[str, float]:
    """What a release runs."""
    with logged() as log:
        bounded(folder, "spark")
    return added_up(log)


def plain_cost(folder: str) -> dict[str, float]:
    """Spark's own distinct count, unbounded."""
    table = staging_in(Path(folder)).table(EVENTS)
    assert table is not None
    with logged() as log:
        spark = running()
        names = ", ".join(NAMES)
        spark.read.parquet(*(f"file://{path}" for path in table.paths())).createOrReplaceTempView("events")
        spark.sql(f"SELECT {names}, count(DISTINCT person) FROM events GROUP BY {names}").toArrow()
    return added_up(log)


@contextmanager
def logged() -> Iterator[Path]:
    """A Spark that logs what its tasks do; counting uses the one that runs in its process. The log is whole after."""
    from pyspark.sql import SparkSession

    folder = Path(tempfile.mkdtemp())
    log = folder / "log"
    log.mkdir()
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": MEMORY,
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{log}",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.rolling.enabled": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": "32",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("cost")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield log
    finally:
        session.stop()
        shutil.rmtree(folder / "local", ignore_errors=True)


def running() -> SparkSession:
    """The Spark of this process."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    return session


def added_up(log: Path) -> dict[str, float]:
    """Nanoseconds of work, bytes that were shuffled, and bytes of memory of the task that took most."""
    tasks = list(finished_tasks(log))
    shutil.rmtree(log.parent)
    return {
        "cpu": float(sum(task["Executor CPU Time"] for task in tasks)),
        "shuffled": float(sum(task["Shuffle Write Metrics"]["Shuffle Bytes Written"] for task in tasks)),
        "largest": float(max(task["Peak Execution Memory"] for task in tasks)),
    }


def finished_tasks(log: Path) -> Iterator[dict[str, Any]]:
    """Spark's metrics of each task."""
    for path in log.iterdir():
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event["Event"] == "SparkListenerTaskEnd":
                yield event["Task Metrics"]
