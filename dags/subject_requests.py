"""Put people's requests into force within the hour, and watch their deadline of 48 hours.

Every hour `collect` takes in what is in the drop folder and in the database table; `apply` puts what waits into force
in all staging that is held, also where something could not be collected; `watch` comes last, whatever became of these:
it writes `reports/requests/report.html`, warns of requests past 24 hours and fails where one is past 48. The run fails
with any of the three. Who asked is in neither conf nor Params: nothing of a person is given to this DAG, and it tells
nothing of one.

A run that hangs is told of by Airflow's deadlines at 23 and 47 hours, an hour early, because a run begins up to an hour
after a request came in. Each puts a file into `reports/requests/alerts/`. A try of `apply` that takes more than six
hours is ended, so that its worker is free for that.
"""

from __future__ import annotations

import datetime as dt

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, task

from pipeline.local.tasks import TASK_DEFAULTS, call, deadline_missed, run_deadline

ALERTS = [run_deadline(hours, f"A run takes more than {hours} hours", deadline_missed) for hours in (23, 47)]


@dag(
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    deadline=ALERTS,
    doc_md=__doc__,
    tags=["rights"],
)
def subject_requests() -> None:
    """See the module."""

    @task
    def collect() -> object:
        return call("collect_requests")

    @task(trigger_rule="all_done", execution_timeout=dt.timedelta(hours=6))
    def apply() -> object:
        return call("apply_requests")

    @task(trigger_rule="all_done")
    def watch() -> object:
        return call("watch_requests")

    taken, applied, watched = collect(), apply(), watch()
    taken >> applied >> watched
    # A run is what its last tasks are: this one, which does nothing, is not reached where one of the others failed.
    [taken, applied, watched] >> EmptyOperator(task_id="done")


subject_requests()
