"""Turn a period's visitor logs into de-identified staging.

One run a period; a week's partition key is its Monday, `2026-W41-1`. `stage` replaces the period's staging as a whole
or not at all, so a retry or a backfill is safe; `check` keeps verdicts and no values. When both are done, the exports
over visitors start for the same period. Earlier periods:
`airflow backfill create --dag-id ingest_visitors --from-date 2026-10-01 --to-date 2026-10-31`.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline.local.partitions import PERIOD
from pipeline.local.tasks import TASK_DEFAULTS, call, period_schedule, staging_asset
from pipeline.periods import PeriodKind
from pipeline.vocabulary import Population


@dag(
    schedule=period_schedule(Population.VISITORS, PeriodKind.WEEK),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["ingest", "visitors"],
)
def ingest_visitors() -> None:
    """See the module."""

    @task
    def stage(period: str) -> object:
        return call("stage", Population.VISITORS.value, period)

    @task(outlets=[staging_asset(Population.VISITORS)])
    def check(period: str) -> object:
        return call("check_staging", Population.VISITORS.value, period)

    stage(PERIOD) >> check(PERIOD)


ingest_visitors()
