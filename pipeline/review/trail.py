"""The audit log of reviewers' accounts: append-only, with no secret, no network address and nobody's mistyped name."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from pipeline.review.tables import EVENTS, instant_of, text_of

# People type passwords where a name is asked for: a name of no account is not written down.
UNKNOWN: Final = "unknown"
_LAST: Final = sa.select(sa.func.max(EVENTS.c.number))
_NEWEST: Final = EVENTS.select().order_by(EVENTS.c.number.desc())


class What(StrEnum):
    """What was done. Meanings never change; new ones are added."""

    LOGGED_IN = "logged in"
    FAILED = "failed to log in"
    """Or to decide: the name, the password or the token was wrong, or the account was locked."""
    LOCKED_OUT = "locked out"
    LOGGED_OUT = "logged out"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDREW = "withdrew"
    ISSUED = "token issued"
    REVOKED = "token revoked"
    CHANGED = "password changed"
    ADDED = "added"
    REMOVED = "removed"
    UNLOCKED = "unlocked"


@dataclass(frozen=True)
class Event:
    """One line of the log.

    Attributes:
        number: Its place, from 1.
        at: When; UTC.
        account: Whose account, or ``unknown``.
        what: What was done.
        about: A release ``weekly_audience/2026-W41/r1``, a token ``token 3``, or nothing.
    """

    number: int
    at: dt.datetime
    account: str
    what: What
    about: str


def append(connection: sa.Connection, account: str, what: What, about: str, now: dt.datetime) -> None:
    """Write one event down, in the caller's writing transaction."""
    number = (connection.execute(_LAST).scalar() or 0) + 1
    row = {"number": number, "at": text_of(now), "account": account, "what": what.value, "about": about}
    connection.execute(EVENTS.insert(), row)


def newest(connection: sa.Connection, limit: int) -> tuple[Event, ...]:
    """The last events, the newest first."""
    rows = connection.execute(_NEWEST.limit(limit))
    return tuple(Event(row.number, instant_of(row.at), row.account, What(row.what), row.about) for row in rows)
