"""Check everything that was published, and all that is kept, against what was promised.

On the first of each month at five, in the site's time zone: signatures and sums of all bundles, what stands on the
shelves of recipients, who receives which tables, approvals, purposes, the ledger's chain, the caps of every rolling
year, specifications, people's requests, retention, keys. The report is `reports/periodic/{month}/report.html`, with
`report.json` beside it. The run fails where anything fails, after the report is written.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline.local.tasks import TASK_DEFAULTS, call, clock_schedule


@dag(
    schedule=clock_schedule("0 5 1 * *"),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["rights", "review"],
)
def periodic_review() -> None:
    """See the module."""

    @task
    def review() -> object:
        return call("review_everything")

    review()


periodic_review()
