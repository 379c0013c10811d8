"""How an export waits for its reviewers: deferred, in Airflow's triggerer, which asks the ledger again and again.

Neither the trigger's event nor anything else that Airflow holds is a decision. The event only wakes the task, which
asks the ledger itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowFailException, TaskDeferralTimeout
from airflow.triggers.base import BaseTrigger, TriggerEvent

from pipeline import flow
from pipeline.errors import DemographicsError, NotApprovedError, kind_and_place
from pipeline.local.tasks import call

POLL_VARIABLE: Final = "DEMOGRAPHICS_REVIEW_POLL"
TIMEOUT: Final = dt.timedelta(days=14)
_POLL: Final = 60.0  # seconds
_MOST_FAILURES: Final = 15  # one after the other, of asking the ledger


class ReviewPage(BaseOperatorLink):
    """The link from a waiting task to the page on which reviewers decide."""

    name = "Review page"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """The address that the task found when it last ran; empty where it did not come so far."""
        return operator.page if isinstance(operator, AwaitReview) else ""


class ReviewTrigger(BaseTrigger):
    """Wakes its task when reviewers have decided, or when nobody can decide any more.

    The ledger may be out of reach for a while: a failure wakes the task only where it lasts, and the task then says
    what is wrong.

    Args:
        release: Its name.
        period: Its period.
    """

    def __init__(self, release: str, period: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.release, self.period = release, period

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow's database keeps of it: references only."""
        return f"{__name__}.{type(self).__name__}", {"release": self.release, "period": self.period}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until there is something to tell; the ledger is read beside the event loop that all triggers share."""
        failures, seconds = 0, float(os.environ.get(POLL_VARIABLE) or _POLL)
        while failures < _MOST_FAILURES:
            try:
                if await asyncio.to_thread(flow.decision, self.release, self.period):
                    break
                failures = 0
            except NotApprovedError:
                break
            except Exception as failure:  # noqa: BLE001 - whatever it is, the ledger may be back at the next look
                failures += 1
                known = isinstance(failure, DemographicsError)
                self.log.warning(
                    "%s/%s: failure %d of %d: %s",
                    self.release,
                    self.period,
                    failures,
                    _MOST_FAILURES,
                    failure if known else kind_and_place(failure),
                )
            await asyncio.sleep(seconds)
        yield TriggerEvent(True)  # type: ignore[no-untyped-call]


class AwaitReview(BaseOperator, SkipMixin):
    """Waits until reviewers have decided; what comes after it is skipped where they rejected the release.

    Its result is what the ledger says: ``approved by`` or ``rejected by`` whom, with the reason of a rejection. It
    opens nothing: publishing asks the ledger for itself.

    Args:
        release: Its name.
        period: Its period.
    """

    template_fields = ("release", "period")
    operator_extra_links = (ReviewPage(),)
    ui_color = "#f4e3c1"

    def __init__(self, *, release: str, period: str, **more: Any) -> None:
        super().__init__(**more)
        self.release, self.period = release, period
        self.page = ""

    def execute(self, context: Context) -> str:
        """Ask once, and wait where nobody has decided yet."""
        return self._decided(context)

    def resume(self, context: Context, event: object = None) -> str:
        """Go on when the trigger has woken the task; the event itself says nothing."""
        return self._decided(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after waiting, or fail in words of our own when its time is over."""
        with suppress(TaskDeferralTimeout):
            return super().resume_execution(next_method, next_kwargs, context)
        return self._decided(context)

    def _decided(self, context: Context) -> str:
        self.page = call("review_page", self.release, self.period)
        decided = call("decision", self.release, self.period)
        if not decided:
            self._wait(context)
        self.log.info("%s: %s", self.page, decided)
        if decided.startswith(flow.REJECTED):
            context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, decided)  # who skips returns nothing
            self.skip(context["ti"], context["task"].downstream_list)
        return decided

    def _wait(self, context: Context) -> NoReturn:
        """Wait for what is left of the time since this try began.

        Raises:
            AirflowFailException: Nothing is left.
        """
        began = context["ti"].start_date
        left = TIMEOUT - (dt.datetime.now(dt.UTC) - began)
        if left <= dt.timedelta(0):
            rule = f"a privacy reviewer must decide on a release within {TIMEOUT.days} days"
            remedy = f"Have it decided at {self.page}, then clear this task."
            late = NotApprovedError(rule, value=f"no decision since {began:%d %B %Y}", remedy=remedy)
            raise AirflowFailException(str(late))
        self.log.info("Reviewers decide at %s", self.page)
        self.defer(trigger=ReviewTrigger(self.release, self.period), method_name="resume", timeout=left)
