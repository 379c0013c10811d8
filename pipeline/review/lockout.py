"""What a wrong secret costs: failures in a row are counted, and lock an account for longer and longer."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import sqlalchemy as sa

from pipeline.review import trail
from pipeline.review.tables import ACCOUNTS, instant_of, text_of
from pipeline.review.trail import UNKNOWN, What

MOST_FAILURES: Final = 10  # in a row before an account is locked, and again before it is locked anew
FIRST_LOCK: Final = dt.timedelta(minutes=15)
LONGEST_LOCK: Final = dt.timedelta(days=1)


def settle(connection: sa.Connection, row: Any, *, fits: bool, now: dt.datetime) -> bool:
    """Whether somebody is let in, and what follows of it for the account.

    Each attempt is settled by itself, under the lock of all writers: of many that were made at once, those that come
    after the tenth failure find the account locked, whatever they knew.

    Args:
        connection: The caller's writing transaction.
        row: Of the account, as it is in that transaction; None where there is none of the name that was given.
        fits: Whether the secret was the account's.
        now: When.
    """
    if row is not None and fits and not is_locked(row, now):
        if row.failures:
            unlock(connection, row.name)
        return True
    trail.append(connection, UNKNOWN if row is None else row.name, What.FAILED, "", now)
    if row is not None and not is_locked(row, now):
        _count(connection, row, now)
    return False


def is_locked(row: Any, now: dt.datetime) -> bool:
    """Whether an account lets nobody in for now."""
    return row.locked_until is not None and now < instant_of(row.locked_until)


def unlock(connection: sa.Connection, name: str) -> None:
    """Forget failures."""
    connection.execute(ACCOUNTS.update().where(ACCOUNTS.c.name == name).values(failures=0, locked_until=None))


def lock_of(failures: int) -> dt.timedelta:
    """How long so many failures in a row lock an account: 15 minutes at ten, twice as long at each ten more."""
    times = failures // MOST_FAILURES
    return min(FIRST_LOCK * 2 ** min(times - 1, 10), LONGEST_LOCK) if times else dt.timedelta(0)


def _count(connection: sa.Connection, row: Any, now: dt.datetime) -> None:
    failures, locked_until = row.failures + 1, row.locked_until
    if failures % MOST_FAILURES == 0:
        locked_until = text_of(now + lock_of(failures))
        trail.append(connection, row.name, What.LOCKED_OUT, "", now)
    chosen = ACCOUNTS.update().where(ACCOUNTS.c.name == row.name)
    connection.execute(chosen.values(failures=failures, locked_until=locked_until))
