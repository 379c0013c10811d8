"""Turn a period's customer records and orders into de-identified staging.

One run a period; a month's partition key is `2026-10`. `stage` replaces the period's staging as a whole
or not at all, so a retry or a backfill is safe; `check` keeps verdicts and no values. When both are done, the exports
over customers start for the same period. Earlier periods:
`airflow backfill create --dag-id ingest_customers --from-date 2026-08-01 --to-date 2026-10-01`.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline.local.partitions import PERIOD
from pipeline.local.tasks import TASK_DEFAULTS, call, period_schedule, staging_asset
from pipeline.periods import PeriodKind
from pipeline.vocabulary import Population


@dag(
    schedule=period_schedule(Population.CUSTOMERS, PeriodKind.MONTH),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["ingest", "customers"],
)
def ingest_customers() -> None:
    """See the module."""

    @task
    def stage(period: str) -> object:
        return call("stage", Population.CUSTOMERS.value, period)

    @task(outlets=[staging_asset(Population.CUSTOMERS)])
    def check(period: str) -> object:
        return call("check_staging", Population.CUSTOMERS.value, period)

    stage(PERIOD) >> check(PERIOD)


ingest_customers()
