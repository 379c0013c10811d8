"""Sessions: who has logged in, by a random secret that only their browser holds."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.tables import SESSIONS, instant_of, now_utc, text_of, writing
from pipeline.workspace import Workspace

IDLE: Final = dt.timedelta(minutes=30)
LONGEST: Final = dt.timedelta(hours=8)
_SECRET: Final = 32  # bytes
_NOTED: Final = dt.timedelta(minutes=1)  # pages in between do not each wait for a writer's lock


@dataclass(frozen=True)
class Ticket:
    """What a new session is known by.

    Attributes:
        secret: For the cookie; the database has its digest alone.
        csrf: For the forms of the session's pages.
    """

    secret: str = field(repr=False)
    csrf: str = field(repr=False)


@dataclass(frozen=True)
class Session:
    """A session that lives.

    Attributes:
        name: Of the reviewer's account.
        csrf: What a form of this session must hold.
        began: When its reviewer logged in.
        ends: When it ends even if it is used all the time.
    """

    name: str
    csrf: str = field(repr=False)
    began: dt.datetime
    ends: dt.datetime


@dataclass(frozen=True)
class Sessions:
    """The sessions of a deployment.

    Attributes:
        database: Of the ledger, up to date.
        idle: For how long one lives unused.
        longest: For how long one lives at most.
    """

    database: Database
    idle: dt.timedelta = IDLE
    longest: dt.timedelta = LONGEST

    @classmethod
    def of(cls, workspace: Workspace, idle: dt.timedelta = IDLE, longest: dt.timedelta = LONGEST) -> Sessions:
        """The sessions of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger), idle, longest)

    def begin(self, name: str, now: dt.datetime | None = None) -> Ticket:
        """Begin a session of somebody who has shown who they are; those that have ended are forgotten."""
        now, secret = now or now_utc(), secrets.token_urlsafe(_SECRET)
        row = {"sha256": digest_of(secret), "account": name, "began": text_of(now), "seen": text_of(now)}
        over = sa.or_(SESSIONS.c.began <= text_of(now - self.longest), SESSIONS.c.seen <= text_of(now - self.idle))
        with writing(self.database) as connection:
            connection.execute(SESSIONS.delete().where(over))
            connection.execute(SESSIONS.insert(), row)
        return Ticket(secret, csrf_of(secret))

    def find(self, secret: str, now: dt.datetime | None = None) -> Session | None:
        """The living session of a secret, which lives on by this; None where it has ended or never was."""
        now, digest = now or now_utc(), digest_of(secret)
        with self.database.reading() as connection:
            row = connection.execute(SESSIONS.select().where(SESSIONS.c.sha256 == digest)).first()
        if row is None:
            return None
        began, seen = instant_of(row.began), instant_of(row.seen)
        if now >= began + self.longest or now >= seen + self.idle:
            return None
        if now >= seen + _NOTED:
            self._see(digest, now)
        return Session(row.account, csrf_of(secret), began, began + self.longest)

    def end(self, secret: str) -> None:
        """End a session, if it lives."""
        with writing(self.database) as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.sha256 == digest_of(secret)))

    def _see(self, digest: str, now: dt.datetime) -> None:
        seen = SESSIONS.update().where(SESSIONS.c.sha256 == digest, SESSIONS.c.seen < text_of(now))
        with writing(self.database) as connection:
            connection.execute(seen.values(seen=text_of(now)))


def end_all(connection: sa.Connection, name: str) -> None:
    """End every session of an account, in the caller's writing transaction."""
    connection.execute(SESSIONS.delete().where(SESSIONS.c.account == name))


def digest_of(secret: str) -> str:
    """By which a session's secret is kept: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_of(secret: str) -> str:
    """What forms of a session hold: made of the secret, so that who reads the database cannot forge a form."""
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), b"form", "sha256").hex()
