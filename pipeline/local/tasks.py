"""What the DAG files share: the staging assets, the schedule of a period, and how a task calls a stage."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any, Final

from airflow.sdk import Asset, CronPartitionTimetable, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowFailException

from pipeline import flow, flow_rights, site
from pipeline.errors import DemographicsError, kind_and_place
from pipeline.local.partitions import PARTITION_FORMATS
from pipeline.periods import PeriodKind
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, Workspace

TASK_DEFAULTS: Final = {"owner": "data engineering", "retries": 2, "retry_delay": dt.timedelta(seconds=20)}
# Jinja: the instant that a run stands for, by its schedule or as somebody gave it who started it by hand.
AS_OF: Final = "{{ (dag_run.logical_date or dag_run.run_after).isoformat() }}"
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


def clock_schedule(cron: str) -> CronTriggerTimetable:
    """By the clock of the site's time zone; UTC where no site is set.

    Args:
        cron: Minute, hour, day of the month, month, day of the week.

    Raises:
        ConfigurationError: The site file is invalid; Airflow shows it as an import error.
    """
    zone = "UTC"
    if os.environ.get(HOME_VARIABLE):
        zone = site.load_site(Workspace.from_environment().site_file).time_zone
    return CronTriggerTimetable(cron, timezone=zone)


def call(stage: str, *references: str) -> str | bool:
    """Run one stage in a task, and let nothing but rules and places into the task's log.

    Args:
        stage: Name of a function of ``pipeline.flow`` or ``pipeline.flow_rights``.
        references: Population or release, and period; or the instant that a run stands for.

    Returns:
        A reference, or for ``is_decided`` the answer.

    Raises:
        AirflowFailException: A rule is broken, which running the task again cannot mend.
        RuntimeError: Anything else went wrong; Airflow tries again. Says where and of which kind, never what: the
            messages of libraries may quote a line of a source.
    """
    try:
        result: str | bool = getattr(flow if hasattr(flow, stage) else flow_rights, stage)(*references)
    except DemographicsError as failure:
        raise AirflowFailException(str(failure)) from None
    except Exception as failure:  # noqa: BLE001 - whatever it is, its message must not reach the log
        raise RuntimeError(f"{stage} stopped: {kind_and_place(failure)}") from None
    return result


def deadline_missed(hours: int, context: Mapping[str, Any]) -> None:
    """What Airflow calls when a run of ``subject_requests`` is past one of its deadlines.

    It says so in a file, unless the run has ended: then it has told of itself, and later runs go on with what it left.

    Args:
        hours: Which deadline, in hours since the run was queued.
        context: Airflow's: the run, as it was at that moment.
    """
    run = context["dag_run"]
    if run["state"] not in ("success", "failed"):
        call("alert_deadline", str(hours), run["dag_run_id"], run["state"])
