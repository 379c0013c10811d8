"""What the DAG files share: the staging assets, the schedule of a period, and how a task calls a stage."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow.sdk import (  # type: ignore[attr-defined]
    Asset,
    CronPartitionTimetable,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    SyncCallback,
)
from airflow.sdk.exceptions import AirflowFailException

from pipeline import flow, flow_delivery, flow_rights, flow_staging, site
from pipeline.errors import ConfigurationError, DemographicsError, kind_and_place
from pipeline.local import telling
from pipeline.local.partitions import PARTITION_FORMATS, period_label
from pipeline.periods import PeriodKind
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, Workspace

TASK_DEFAULTS: Final = {"owner": "data engineering", "retries": 2, "retry_delay": dt.timedelta(seconds=20)}
# Jinja: the instant that a run stands for, by its schedule or as somebody gave it who started it by hand.
AS_OF: Final = "{{ (dag_run.logical_date or dag_run.run_after).isoformat() }}"
_MOST_HOURS: Final = 24 * 366
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


def call(stage: str, *references: str, **named: str) -> str:
    """Run one stage in a task, and let nothing but rules and places into the task's log.

    Args:
        stage: Name of a function of ``pipeline.flow``, ``flow_staging``, ``flow_rights`` or ``flow_delivery``.
        references: Population or release, and period; or the instant that a run stands for.
        named: More of them, by name.

    Returns:
        A reference; for ``decision`` what was decided.

    Raises:
        AirflowFailException: A rule is broken, which running the task again cannot mend.
        RuntimeError: Anything else went wrong; Airflow tries again. Says where and of which kind, never what: the
            messages of libraries may quote a line of a source.
    """
    try:
        room = next(one for one in (flow_staging, flow, flow_rights, flow_delivery) if hasattr(one, stage))
        result: str = getattr(room, stage)(*references, **named)
    except DemographicsError as failure:
        telling.failed(stage, failure)
        raise AirflowFailException(str(failure)) from None
    except Exception as failure:  # noqa: BLE001 - whatever it is, its message must not reach the log
        telling.failed(stage, failure)
        raise RuntimeError(f"{stage} stopped: {kind_and_place(failure)}") from None
    telling.succeeded(stage, *references)
    return result


def started_by(run: object) -> str:
    """The name, as Airflow knows it, of who started a run by hand; empty where a schedule or staging did.

    Args:
        run: Airflow's, from the context of a task.
    """
    return getattr(run, "triggering_user_name", None) or ""


def hours_of(variable: str, usual: float) -> float:
    """A time in hours that the environment sets.

    Raises:
        ConfigurationError: It is no number above 0; Airflow shows it as an import error.
    """
    told = os.environ.get(variable) or str(usual)
    try:
        hours = float(told)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= _MOST_HOURS:
        raise ConfigurationError(
            f"{variable} must be a number of hours above 0, {_MOST_HOURS} at most",
            value=repr(told[:40]),
            remedy=f"Write it as {usual:g}.",
        )
    return hours


def run_deadline(hours: float, name: str, callback: Callable[..., None], **told: object) -> DeadlineAlert:
    """Have Airflow call a function when a run has not ended so many hours after it was queued.

    Args:
        hours: The deadline. A run that is cleared gets them anew.
        name: What Airflow's pages call it.
        callback: Of a module; called with ``hours``, what is told, and Airflow's ``context``.
        told: Keyword arguments for it, as JSON can hold them.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        # In seconds, not as a timedelta: Airflow 3.3 reads either, but of a timedelta it cannot clear any task of a run
        # that has not succeeded (its server answers 500), https://github.com/apache/airflow/issues/70368
        interval=hours * 3600,
        callback=SyncCallback(callback, kwargs={"hours": hours, **told}),
        name=name,
    )


def deadline_missed(hours: int, context: Mapping[str, Any]) -> None:
    """What Airflow calls when a run of ``subject_requests`` is past one of its deadlines.

    Args:
        hours: Which deadline, in hours since the run was queued.
        context: Airflow's: the run, as it was at that moment.
    """
    _alert(context, "alert_deadline", str(hours))


def review_overdue(release: str, hours: float, context: Mapping[str, Any]) -> None:
    """What Airflow calls when nobody decided on a release within the hours of its export's deadline.

    Args:
        release: Its name.
        hours: The deadline, in hours since the run was queued.
        context: Airflow's: the run, as it was at that moment.
    """
    period = period_label(context["dag_run"]["partition_key"] or "")
    _alert(context, "alert_review", release, period, f"{hours:g}")


def _alert(context: Mapping[str, Any], stage: str, *references: str) -> None:
    """Say in a file that a run is late, unless it has ended: then it has told of itself, and later ones go on."""
    run = context["dag_run"]
    if run["state"] not in ("success", "failed"):
        call(stage, *references, run["dag_run_id"], run["state"])
