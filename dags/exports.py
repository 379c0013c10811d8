"""One DAG a release specification: draw, validate, wait for the reviewer, publish.

A run starts when the staging of the specification's population is there for a period, and bears the period's name.
`draw` reserves budget and draws noise once for a period: a retry, a second run and a backfill return the recorded
release. `await_review` waits, without holding a worker, for a reviewer's decision in the ledger; Airflow does not hold
that decision, and setting the task to success publishes nothing.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from airflow.sdk import PartitionedAssetTimetable, dag, task

from pipeline.local.partitions import PERIOD
from pipeline.local.tasks import TASK_DEFAULTS, call, staging_asset
from pipeline.spec import ReleaseSpecification, load_specifications
from pipeline.workspace import RELEASES_VARIABLE

FOLDER = Path(os.environ.get(RELEASES_VARIABLE) or Path(__file__).parent / "releases")
os.environ.setdefault(RELEASES_VARIABLE, str(FOLDER))  # tasks read the specification where this file found it
REVIEW_POLL = float(os.environ.get("DEMOGRAPHICS_REVIEW_POLL", "60"))  # seconds
REVIEW_TIMEOUT = dt.timedelta(days=14).total_seconds()


def export(specification: ReleaseSpecification) -> None:
    """Make the DAG of one specification."""

    @task
    def draw(release: str, period: str) -> object:
        return call("draw", release, period)

    @task
    def validate(release: str, period: str) -> object:
        return call("validate", release, period)

    @task.sensor(mode="reschedule", poke_interval=REVIEW_POLL, timeout=REVIEW_TIMEOUT)
    def await_review(release: str, period: str) -> bool:
        return bool(call("is_decided", release, period))

    @task
    def publish(release: str, period: str) -> object:
        return call("publish", release, period)

    @dag(
        dag_id=f"export_{specification.release}",
        schedule=PartitionedAssetTimetable(assets=staging_asset(specification.population)),
        catchup=False,
        default_args={**TASK_DEFAULTS, "owner": specification.owner},
        description=specification.title,
        doc_md=f"{specification.description}\n\n{__doc__}",
        tags=["export", specification.population.value, *(f"for {name}" for name in specification.audiences)],
    )
    def release_dag() -> None:
        stages = [stage(specification.release, PERIOD) for stage in (draw, validate, await_review, publish)]
        stages[0] >> stages[1] >> stages[2] >> stages[3]

    release_dag()


for _specification in load_specifications(FOLDER):
    export(_specification)
