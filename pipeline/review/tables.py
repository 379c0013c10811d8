"""The tables of reviewers' accounts as queries name them; how they are made stands in ``privacy.migrations``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from pipeline.privacy.database import Database

ACCOUNTS: Final = sa.table(
    "reviewer_accounts",
    *(sa.column(name, sa.Text) for name in ("name", "hash", "sealed", "created")),
    sa.column("failures", sa.Integer),  # in a row
    sa.column("locked_until", sa.Text),
)
TOKENS: Final = sa.table(
    "reviewer_tokens",
    sa.column("number", sa.Integer),
    *(sa.column(name, sa.Text) for name in ("account", "made", "expires")),
    sa.column("sha256", sa.Text),  # of the token; nothing once it was revoked
    sa.column("sealed", sa.LargeBinary),
)
SESSIONS: Final = sa.table(
    "reviewer_sessions", *(sa.column(name, sa.Text) for name in ("sha256", "account", "began", "seen"))
)
EVENTS: Final = sa.table(
    "reviewer_events",
    sa.column("number", sa.Integer),
    *(sa.column(name, sa.Text) for name in ("at", "account", "what", "about")),
)


@contextmanager
def writing(database: Database) -> Iterator[sa.Connection]:
    """A transaction beside which nobody writes, and that leaves nothing in the file of what it overwrites."""
    with database.writing() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")  # zeros where a sealed key was
        yield connection


def text_of(moment: dt.datetime) -> str:
    """An instant as rows hold it: in UTC, so that later ones sort after earlier ones."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def instant_of(text: str) -> dt.datetime:
    """The instant that a row holds."""
    return dt.datetime.fromisoformat(text)


def now_utc() -> dt.datetime:
    """This moment."""
    return dt.datetime.now(dt.UTC)
