"""Turn a period's visitor logs into de-identified staging.

One run a period; a week's partition key is its Monday, `2026-W41-1`. `plan` shares the logs out into units, `read`
reads each of them, on as many workers as there are, and `finish` replaces the period's staging as a whole or not at
all, so a retry or a backfill is safe; `check` keeps verdicts and no values. When all are done, the exports over
visitors start for the same period. Earlier periods:
`airflow backfill create --dag-id ingest_visitors --from-date 2026-10-01 --to-date 2026-10-31`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from pipeline.deidentify.settings import ReadingSettings
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
    def plan(period: str) -> object:
        return call("plan_reading", period).split()

    @task(max_active_tis_per_dagrun=ReadingSettings.from_environment().readers)
    def read(period: str, unit: str) -> object:
        return call("read_unit", period, unit)

    @task
    def finish(period: str, units: Any) -> object:
        return call("finish_reading", period, units[0])

    @task(outlets=[staging_asset(Population.VISITORS)])
    def check(period: str) -> object:
        return call("check_staging", Population.VISITORS.value, period)

    planned = plan(PERIOD)
    finished = finish(PERIOD, planned)
    read.partial(period=PERIOD).expand(unit=planned) >> finished >> check(PERIOD)


ingest_visitors()
