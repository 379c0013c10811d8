"""One DAG a release specification: draw, validate, wait for the reviewers, publish.

A run starts when the staging of the specification's population is there for a period, and bears the period's name.
`draw` reserves budget and draws noise once for a period: a retry, a second run and a backfill return the recorded
release. It records who started the run by hand, since they cannot approve what comes of it.

`await_review` waits for a decision in the ledger. It is deferred meanwhile and holds no worker. Its extra link and its
log lead to the page on which reviewers decide. When nobody has decided after 48 hours, or those that
`DEMOGRAPHICS_REVIEW_DEADLINE` sets, Airflow's deadline puts a file into `reports/review/alerts/`; after 14 days the
task fails. Where reviewers reject the release the task says so with their reason, `publish` is skipped, and the run has
ended well.

Airflow holds no decision. `publish` asks the ledger for reviewers' signatures under exactly these bytes: setting a task
to success, clearing it, or editing what it returned publishes nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import PartitionedAssetTimetable, dag, task

from pipeline.local.awaiting import AwaitReview
from pipeline.local.partitions import PERIOD
from pipeline.local.tasks import TASK_DEFAULTS, call, hours_of, review_overdue, run_deadline, staging_asset, started_by
from pipeline.review.links import portal
from pipeline.spec import ReleaseSpecification, load_specifications
from pipeline.workspace import RELEASES_VARIABLE

FOLDER = Path(os.environ.get(RELEASES_VARIABLE) or Path(__file__).parent / "releases")
os.environ.setdefault(RELEASES_VARIABLE, str(FOLDER))  # tasks read the specification where this file found it
REVIEW_HOURS = hours_of("DEMOGRAPHICS_REVIEW_DEADLINE", 48)


def export(specification: ReleaseSpecification) -> None:
    """Make the DAG of one specification."""
    release = specification.release
    late = f"Nobody decided within {REVIEW_HOURS:g} hours"

    @task
    def draw(release: str, period: str, dag_run: object = None) -> object:
        return call("draw", release, period, triggered_by=started_by(dag_run))

    @task
    def validate(release: str, period: str) -> object:
        return call("validate", release, period)

    @task
    def publish(release: str, period: str) -> object:
        return call("publish", release, period)

    @dag(
        dag_id=f"export_{release}",
        schedule=PartitionedAssetTimetable(assets=staging_asset(specification.population)),
        catchup=False,
        default_args={**TASK_DEFAULTS, "owner": specification.owner},
        deadline=[run_deadline(REVIEW_HOURS, late, review_overdue, release=release)],
        description=specification.title,
        doc_md=f"{specification.description}\n\nReviewers decide at <{portal()}/releases>.\n\n{__doc__}",
        tags=["export", specification.population.value, *(f"for {name}" for name in specification.audiences)],
    )
    def release_dag() -> None:
        reviewed = AwaitReview(task_id="await_review", release=release, period=PERIOD)
        draw(release, PERIOD) >> validate(release, PERIOD) >> reviewed >> publish(release, PERIOD)

    release_dag()


for _specification in load_specifications(FOLDER):
    export(_specification)
