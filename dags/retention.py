"""Destroy what is kept for a declared time only, and remove what killed runs have left.

Every day at half past three, in the site's time zone. `purge` destroys the key of each period whose declared time is
over, then deletes its staging, and notes both in the ledger; access packets go on the day after the one that they say.
From then on nobody can tell any more whose a pseudonym was. `sweep` removes drafts that no running task uses. Neither
waits for the other. A run that was killed is finished by the next. A run that is started by hand may be given an
earlier date, and never a later one: nothing is destroyed before it is due.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline.local.tasks import AS_OF, TASK_DEFAULTS, call, clock_schedule


@dag(
    schedule=clock_schedule("30 3 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["rights", "retention"],
)
def retention() -> None:
    """See the module."""

    @task
    def purge(as_of: str) -> object:
        return call("purge_expired", as_of)

    @task
    def sweep() -> object:
        return call("sweep_leftovers")

    purge(AS_OF)
    sweep()


retention()
