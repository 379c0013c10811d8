"""The log of recipients' tokens: append-only, with no secret and no network address."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from pipeline.delivery.tables import EVENTS
from pipeline.review.tables import instant_of, text_of

_LAST: Final = sa.select(sa.func.max(EVENTS.c.number))
_NEWEST: Final = EVENTS.select().order_by(EVENTS.c.number.desc())


class What(StrEnum):
    """What was done. Meanings never change; new ones are added."""

    ISSUED = "token issued"
    ROTATED = "token rotated"
    REVOKED = "token revoked"
    SIGNING = "webhook secret made"
    LOGGED_IN = "logged in"
    LOGGED_OUT = "logged out"


@dataclass(frozen=True)
class Event:
    """One line of the log.

    Attributes:
        number: Its place, from 1.
        at: When; UTC.
        recipient: Whose token.
        what: What was done.
        about: Which token: ``token 3``.
    """

    number: int
    at: dt.datetime
    recipient: str
    what: What
    about: str


def append(connection: sa.Connection, recipient: str, what: What, about: str, now: dt.datetime) -> None:
    """Write one event down, in the caller's writing transaction."""
    number = (connection.execute(_LAST).scalar() or 0) + 1
    row = {"number": number, "at": text_of(now), "recipient": recipient, "what": what.value, "about": about}
    connection.execute(EVENTS.insert(), row)


def newest(connection: sa.Connection, limit: int) -> tuple[Event, ...]:
    """The last events, the newest first."""
    rows = connection.execute(_NEWEST.limit(limit))
    return tuple(Event(row.number, instant_of(row.at), row.recipient, What(row.what), row.about) for row in rows)
