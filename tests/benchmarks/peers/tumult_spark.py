"""Tumult Analytics on two cores: a query of groups, and a count of people in them, each at half of epsilon.

It has no hard k. Its bound on groups is of one column, so that the three are joined into one before.
"""

from __future__ import annotations

import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from tmlt.analytics import (
    AddRowsWithID,
    ApproxDPBudget,
    KeySet,
    MaxGroupsPerID,
    MaxRowsPerGroupPerID,
    QueryBuilder,
    Session,
)

from tests.benchmarks.peers.task import NAMES, PERSON, asked

MARK = "|"


def main() -> None:
    task = asked()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "8g")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.warehouse.dir", str(task.released.with_name("warehouse")))
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    events = spark.read.parquet(str(task.events)).select(PERSON, sf.concat_ws(MARK, *NAMES).alias("cell"))
    session = Session.from_dataframe(
        privacy_budget=ApproxDPBudget(task.epsilon, task.delta),
        source_id="events",
        dataframe=events,
        protected_change=AddRowsWithID(PERSON),
    )
    bounded = (
        QueryBuilder("events").enforce(MaxGroupsPerID("cell", task.groups)).enforce(MaxRowsPerGroupPerID("cell", 1))
    )
    found = session.evaluate(bounded.get_groups(["cell"]), ApproxDPBudget(task.epsilon / 2, task.delta))
    counted = bounded.groupby(KeySet.from_dataframe(found)).count(name="people")
    rows = session.evaluate(counted, ApproxDPBudget(task.epsilon / 2, 0)).collect()
    task.release((*row.cell.split(MARK), row.people) for row in rows)


if __name__ == "__main__":
    main()
