"""What was published reaches recipients: bundles of parts, their stores, and notices. DAG and command line call this.

As in ``flow``, heavy parts are imported where they are used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pipeline.errors import AccessError, DeliveryError, DemographicsError
from pipeline.progress import Progress, silent
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.delivery.entitlements import Entitlements
    from pipeline.delivery.notices import NoticeReport
    from pipeline.delivery.sending import SendingReport

DELIVERY: Final = "delivery"
_Result = TypeVar("_Result")


@dataclass
class Delivered:
    """What came of one round of delivery.

    Attributes:
        written: Folders of bundles of parts that were not there yet.
        sending: What came of the stores; None where that could not begin.
        notices: What came of notices; None where that could not begin.
        failures: What could not be done at all.
    """

    written: tuple[Path, ...] = ()
    sending: SendingReport | None = None
    notices: NoticeReport | None = None
    failures: list[DemographicsError] = field(default_factory=list)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that could not be done, in words. A notice that waits for its next try is none of it."""
        told = [str(failure) for failure in self.failures]
        told += self.sending.problems if self.sending else ()
        told += self.notices.problems if self.notices and self.notices.failed else ()
        return tuple(told)

    def require(self) -> None:
        """Refuse a round in which something could not be done.

        Raises:
            DemographicsError: One step failed as a whole, and nothing else did.
            DeliveryError: Something could not be done; everything else was.
        """
        if len(self.failures) == 1 == len(self.problems):
            raise self.failures[0]
        if self.problems:
            raise DeliveryError(
                "everything that recipients may read must reach them",
                value="; ".join(self.problems),
                remedy="All else was done; demographics deliver tries the rest again.",
            )


def deliver(recipient: str | None = None, progress: Progress = silent) -> Delivered:
    """Write bundles of parts that are missing, bring stores up to date, and send notices; each in any case.

    Args:
        recipient: Whose stores are brought up to date; all, if left out.
        progress: Told of each edition that is sent.

    Returns:
        What came of it; ``Delivered.require`` says what could not be done.

    Raises:
        AccessError: There is no such recipient.
        LedgerError: The ledger's database cannot be reached.
    """
    from pipeline.delivery.approvals import in_force
    from pipeline.delivery.bundles import write_missing
    from pipeline.delivery.notices import announce
    from pipeline.delivery.sending import send

    workspace, done = Workspace.from_environment(), Delivered()
    entitlements = in_force(workspace)
    _require_known(entitlements, recipient)
    done.written = _tried(done, lambda: write_missing(workspace, entitlements)) or ()
    done.sending = _tried(done, lambda: send(workspace, entitlements, progress=progress, recipient=recipient))
    done.notices = _tried(done, lambda: announce(workspace, entitlements, dt.datetime.now(dt.UTC)))
    return done


def deliver_everything() -> str:
    """Bring all recipients up to date; returns ``delivery``.

    Raises:
        DemographicsError: Something could not be done, such as a store that does not answer, or a notice was given up;
            everything else was.
    """
    deliver().require()
    return DELIVERY


def _tried(done: Delivered, step: Callable[[], _Result]) -> _Result | None:
    try:
        return step()
    except DemographicsError as failure:
        done.failures.append(failure)
        return None


def _require_known(entitlements: Entitlements, recipient: str | None) -> None:
    if recipient is not None and entitlements.find(recipient) is None:
        raise AccessError(
            "a recipient must be named in the entitlements in force", remedy="demographics recipient list"
        )
