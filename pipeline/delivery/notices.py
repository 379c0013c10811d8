"""Notices: recipients who gave an address are told of new, corrected and withdrawn releases, by webhook or e-mail."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.delivery.channels import Channel
from pipeline.delivery.entitlements import Entitlements
from pipeline.delivery.mail import Mail
from pipeline.delivery.message import Message
from pipeline.delivery.occasions import Occasions
from pipeline.delivery.outbox import Notice, Outbox, State
from pipeline.delivery.webhooks import Webhooks
from pipeline.errors import DemographicsError, LedgerError, kind_and_place
from pipeline.review.links import portal
from pipeline.workspace import Workspace

_PATIENCE: Final = 20.0  # seconds that one recipient's failures may take in a round
_Send = Callable[[Message], None]


@dataclass(frozen=True)
class NoticeReport:
    """What came of one round of notices.

    Attributes:
        sent: How many were sent.
        waiting: How many wait for their next try.
        failed: How many were given up in this round; ``demographics notices`` lists them until they are put back.
        problems: What went wrong, in words, without an address or a secret.
    """

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    problems: tuple[str, ...] = ()


def announce(workspace: Workspace, entitlements: Entitlements, now: dt.datetime) -> NoticeReport:
    """Put into the outbox what happened to what recipients may read, and send what is due.

    Any number of programs may do so at once, and one that dies leaves to the next what it had begun.

    Args:
        workspace: Of the site.
        entitlements: In force.
        now: The moment.

    Raises:
        LedgerError: The ledger's database cannot be reached or written.
        PublicationError: What is published cannot be read.
        ConfigurationError: The portal's address or a setting of mail or webhooks breaks a rule.
    """
    outbox, origin = Outbox.of(workspace), portal()
    occasions = Occasions.of(workspace, entitlements, now)
    outbox.put(occasions.subjects(), origin, now)
    senders = {Channel.WEBHOOK: Webhooks.of(workspace).send, Channel.EMAIL: Mail.of().send}
    round_ = _Round(outbox, occasions, senders, origin)
    began = time.monotonic()
    while round_.send_next(now + dt.timedelta(seconds=time.monotonic() - began)):
        pass
    return NoticeReport(round_.sent, outbox.waiting(), round_.failed, tuple(round_.problems))


@dataclass
class _Round:
    """One round of sending. Whoever fails slowly is left alone for the rest of it: one receiver holds up no other."""

    outbox: Outbox
    occasions: Occasions
    senders: Mapping[Channel, _Send]
    origin: str
    sent: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)
    lost: dict[tuple[str, Channel], float] = field(default_factory=dict)
    """Seconds that failures of each have taken."""

    def send_next(self, now: dt.datetime) -> bool:
        """Try what is due next; False where nothing is."""
        notice = self.outbox.claim(now, [slow for slow, seconds in self.lost.items() if seconds > _PATIENCE])
        if notice is None:
            return False
        occasion = self.occasions.find(notice.subject)
        if occasion is None:
            self.outbox.drop(notice)
            return True
        began = time.monotonic()
        problem = self._tried(notice, Message(notice.id, occasion, self.origin))
        if problem:
            self._note(notice, problem, now, time.monotonic() - began)
        else:
            self.outbox.sent(notice)
            self.sent += 1
        return True

    def _tried(self, notice: Notice, message: Message) -> str:
        """Why a notice was not sent; empty where it was."""
        try:
            self.senders[notice.subject.channel](message)
        except LedgerError:
            raise
        except DemographicsError as failure:
            return failure.rule
        except Exception as failure:  # noqa: BLE001  whatever it is, the others are sent
            return f"an error of the program: {kind_and_place(failure)}"
        return ""

    def _note(self, notice: Notice, problem: str, now: dt.datetime, seconds: float) -> None:
        given_up = self.outbox.postpone(notice, problem, now) is State.FAILED
        self.failed += given_up
        recipient, channel = notice.subject.recipient, notice.subject.channel
        end = f"; given up after {notice.tries} tries" if given_up else ""
        told = f"{recipient} by {channel.value}: {problem}{end}"
        self.problems += [told] if told not in self.problems else []
        self.lost[recipient, channel] = self.lost.get((recipient, channel), 0.0) + seconds
