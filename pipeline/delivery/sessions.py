"""Sessions of recipients in a browser: begun with a token, and ended with it."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field

import sqlalchemy as sa

from pipeline.delivery.tables import SESSIONS, TOKENS
from pipeline.delivery.tokens import Holder
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.sessions import IDLE, LONGEST, Ticket, csrf_of, digest_of
from pipeline.review.tables import instant_of, now_utc, text_of, writing
from pipeline.workspace import Workspace

_NOTED = dt.timedelta(minutes=1)  # pages in between do not each wait for a writer's lock


@dataclass(frozen=True)
class RecipientSession:
    """A session that lives.

    Attributes:
        recipient: Who has logged in.
        token: With which token, by its number.
        csrf: What a form of this session must hold.
        began: When.
        ends: When it ends even if it is used all the time.
    """

    recipient: str
    token: int
    csrf: str = field(repr=False)
    began: dt.datetime
    ends: dt.datetime

    @property
    def name(self) -> str:
        """Who has logged in, as pages call it."""
        return self.recipient


@dataclass(frozen=True)
class RecipientSessions:
    """All sessions of recipients.

    Attributes:
        database: Of the ledger, up to date.
        idle: For how long one lives unused.
        longest: For how long one lives at most.
    """

    database: Database
    idle: dt.timedelta = IDLE
    longest: dt.timedelta = LONGEST

    @classmethod
    def of(cls, workspace: Workspace, idle: dt.timedelta = IDLE, longest: dt.timedelta = LONGEST) -> RecipientSessions:
        """The sessions of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger), idle, longest)

    def begin(self, holder: Holder, now: dt.datetime | None = None) -> Ticket:
        """Begin a session of whoever has shown a token; those that have ended are forgotten."""
        now, secret = now or now_utc(), secrets.token_urlsafe(32)
        row = {"sha256": digest_of(secret), "token": holder.token, "began": text_of(now), "seen": text_of(now)}
        over = sa.or_(SESSIONS.c.began <= text_of(now - self.longest), SESSIONS.c.seen <= text_of(now - self.idle))
        with writing(self.database) as connection:
            connection.execute(SESSIONS.delete().where(over))
            connection.execute(SESSIONS.insert(), row)
        return Ticket(secret, csrf_of(secret))

    def find(self, secret: str, now: dt.datetime | None = None) -> RecipientSession | None:
        """The living session of a secret, which lives on by this.

        Returns:
            None where it has ended or never was, and where its token has expired or was revoked.
        """
        now, digest = now or now_utc(), digest_of(secret)
        query = (
            sa.select(SESSIONS.c.token, SESSIONS.c.began, SESSIONS.c.seen, TOKENS.c.recipient)
            .select_from(SESSIONS.join(TOKENS, SESSIONS.c.token == TOKENS.c.number))
            .where(SESSIONS.c.sha256 == digest, TOKENS.c.revoked.is_(None), TOKENS.c.expires > text_of(now))
        )
        with self.database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        began, seen = instant_of(row.began), instant_of(row.seen)
        if now >= began + self.longest or now >= seen + self.idle:
            return None
        if now >= seen + _NOTED:
            self._see(digest, now)
        return RecipientSession(row.recipient, row.token, csrf_of(secret), began, began + self.longest)

    def end(self, secret: str) -> None:
        """End a session, if it lives."""
        with writing(self.database) as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.sha256 == digest_of(secret)))

    def _see(self, digest: str, now: dt.datetime) -> None:
        seen = SESSIONS.update().where(SESSIONS.c.sha256 == digest, SESSIONS.c.seen < text_of(now))
        with writing(self.database) as connection:
            connection.execute(seen.values(seen=text_of(now)))
