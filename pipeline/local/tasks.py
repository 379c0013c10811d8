"""What the DAG files share: the staging assets, the schedule of a period, and how a task calls a stage."""

from __future__ import annotations

import datetime as dt
import os
from typing import Final

from airflow.sdk import Asset, CronPartitionTimetable
from airflow.sdk.exceptions import AirflowFailException

from pipeline import flow, site
from pipeline.errors import DemographicsError, kind_and_place
from pipeline.local.partitions import PARTITION_FORMATS
from pipeline.periods import PeriodKind
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, Workspace

TASK_DEFAULTS: Final = {"owner": "data engineering", "retries": 2, "retry_delay": dt.timedelta(seconds=20)}
_CRONS: Final = {PeriodKind.DAY: "0 0 * * *", PeriodKind.WEEK: "0 0 * * 1", PeriodKind.MONTH: "0 0 1 * *"}


def staging_asset(population: Population) -> Asset:
    """The staging of one population, partitioned by period."""
    return Asset(f"staging_{population}")


def period_schedule(population: Population, usual: PeriodKind) -> CronPartitionTimetable:
    """At the end of each of the population's periods, in the site's time zone, for the period that just ended.

    A DAG that Airflow sees for the first time waits for the next end of a period; earlier ones are backfilled.

    Args:
        population: Whose period.
        usual: The period where no site is set, or where the site does not have this population.

    Raises:
        ConfigurationError: The site file is invalid; Airflow shows it as an import error.
    """
    kind, zone = usual, "UTC"
    if os.environ.get(HOME_VARIABLE):
        declared = site.load_site(Workspace.from_environment().site_file)
        source = declared.visitors if population is Population.VISITORS else declared.customers
        kind, zone = source.period if source else usual, declared.time_zone
    return CronPartitionTimetable(
        _CRONS[kind], timezone=zone, run_offset=-1, run_immediately=dt.timedelta(0), key_format=PARTITION_FORMATS[kind]
    )


def call(stage: str, *references: str) -> str | bool:
    """Run one stage of ``pipeline.flow`` in a task, and let nothing but rules and places into the task's log.

    Args:
        stage: Name of the function.
        references: Population or release, and period.

    Returns:
        A reference, or for ``is_decided`` the answer.

    Raises:
        AirflowFailException: A rule is broken, which running the task again cannot mend.
        RuntimeError: Anything else went wrong; Airflow tries again. Says where and of which kind, never what: the
            messages of libraries may quote a line of a source.
    """
    try:
        result: str | bool = getattr(flow, stage)(*references)
    except DemographicsError as failure:
        raise AirflowFailException(str(failure)) from None
    except Exception as failure:  # noqa: BLE001 - whatever it is, its message must not reach the log
        raise RuntimeError(f"{stage} stopped: {kind_and_place(failure)}") from None
    return result
