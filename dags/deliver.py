"""Bring to recipients what they may read: bundles of parts, their stores, and notices.

Every five minutes: an embargo that ended, a release that was published or corrected since, and entitlements that a
reviewer put into force reach recipients' stores; what is withdrawn is taken back. Where everything is there, no store
is asked. What was cut is completed, nothing is overwritten, and each file stands in the log of downloads before it is
given out. A store that does not answer stops no other one: the run fails at its end and says which, and the next one
tries again. Exports do not wait for this.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from pipeline.local.tasks import TASK_DEFAULTS, call, clock_schedule


@dag(
    schedule=clock_schedule("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["delivery"],
)
def deliver() -> None:
    """See the module."""

    @task
    def send() -> object:
        return call("deliver_everything")

    send()


deliver()
