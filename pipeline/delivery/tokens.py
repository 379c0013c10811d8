"""Recipients' tokens: shown once, kept as a digest, for some uses, for some days, and revoked at once."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from pipeline.delivery import events
from pipeline.delivery.entitlements import RECIPIENT_PATTERN
from pipeline.delivery.events import Event, What
from pipeline.delivery.tables import SESSIONS, TOKENS
from pipeline.delivery.together import Together, turns_at
from pipeline.errors import AccessError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.tables import instant_of, now_utc, text_of, writing
from pipeline.workspace import Workspace

PREFIX: Final = "dgx_"  # another than that of reviewers (``dgr_``); whatever looks for leaked secrets knows it by it
MOST_DAYS: Final = 366
MOST_OVERLAP: Final = dt.timedelta(days=30)
_BYTES: Final = 32
_SECRET: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_LABEL: Final = 80  # characters
_LAST: Final = sa.select(sa.func.max(TOKENS.c.number))
_Lookup = tuple[sa.Select[Any], str | int]  # and what is wanted
_BY_SECRET: Final = TOKENS.select().where(TOKENS.c.sha256 == sa.bindparam("wanted"))
_BY_NUMBER: Final = TOKENS.select().where(TOKENS.c.number == sa.bindparam("wanted"))


class Scope(StrEnum):
    """What a token opens."""

    READ = "read"
    """Pages, the API, the feed and files."""
    SHARING = "sharing"
    """Delta Sharing, and nothing else: its profile file lies about on machines."""
    FEED = "feed"
    """The feed of what is new, and nothing else: readers of feeds keep passwords as they like."""


@dataclass(frozen=True)
class Issued:
    """A token just made.

    Attributes:
        number: By which it is revoked.
        secret: Shown this once.
        expires: From when on it opens nothing.
    """

    number: int
    secret: str = field(repr=False)
    expires: dt.datetime


@dataclass(frozen=True)
class Holder:
    """Whoever shows a living token.

    Attributes:
        recipient: Whose it is.
        token: Its number.
        scopes: What it opens.
        expires: From when on it opens nothing.
    """

    recipient: str
    token: int
    scopes: frozenset[Scope]
    expires: dt.datetime


@dataclass(frozen=True)
class Token:
    """What may be told of a token.

    Attributes:
        number: By which it is revoked.
        recipient: Whose it is.
        scopes: What it opens.
        label: What it is for, in the words of who made it.
        made: When.
        expires: From when on it opens nothing.
        revoked: Since when it opens nothing; None where it was not revoked.
        made_with: The token with which its recipient made it, by number; None where the publisher did.
    """

    number: int
    recipient: str
    scopes: frozenset[Scope]
    label: str
    made: dt.datetime
    expires: dt.datetime
    revoked: dt.datetime | None
    made_with: int | None = None

    def is_living(self, now: dt.datetime) -> bool:
        """Whether it opens anything."""
        return now < self.expires and self.revoked is None


@dataclass(frozen=True)
class Tokens:
    """All recipients' tokens.

    A token is found by its SHA-256: who measures how long that takes learns something of a digest and nothing of a
    secret of 256 random bits.

    Attributes:
        database: Of the ledger, up to date.
    """

    database: Database

    @classmethod
    def of(cls, workspace: Workspace) -> Tokens:
        """The tokens of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger))

    def issue(
        self,
        recipient: str,
        scopes: Iterable[Scope] = (Scope.READ,),
        days: int = 90,
        label: str = "",
        now: dt.datetime | None = None,
    ) -> Issued:
        """Make a token.

        Args:
            recipient: Whose; whether there is such a recipient is for the caller to ask.
            scopes: What it opens, at least one thing.
            days: For how long, 1 to 366.
            label: What it is for; a line of at most 80 characters.
            now: From when on.

        Raises:
            AccessError: The name, the label, the scopes or the days cannot be so.
        """
        now = now or now_utc()
        row = _row(recipient, frozenset(scopes), days, label, now)
        with writing(self.database) as connection:
            return _keep(connection, row, What.ISSUED, "", now)

    def issue_with(
        self,
        number: int,
        scopes: Iterable[Scope],
        days: int = MOST_DAYS,
        label: str = "",
        now: dt.datetime | None = None,
    ) -> Issued:
        """Make a token with another one of the same recipient: it ends and is revoked when that one is.

        Args:
            number: Of the other.
            scopes: What it opens, at least one thing.
            days: For how long at most, 1 to 366; never longer than the other.
            label: What it is for; a line of at most 80 characters.
            now: From when on.

        Raises:
            AccessError: There is no such living token, or the label, the scopes or the days cannot be so.
        """
        now = now or now_utc()
        with writing(self.database) as connection:
            other = _living(connection, number, now)
            row = _row(other.recipient, frozenset(scopes), days, label, now)
            expires = min(other.expires, instant_of(row["expires"]))
            row |= {"expires": text_of(expires), "made_with": number}
            return _keep(connection, row, What.ISSUED, f" with token {number}", now)

    def find(self, secret: str, now: dt.datetime | None = None) -> Holder | None:
        """Who holds a secret; None where it is malformed, unknown, expired or revoked."""
        if not _SECRET.fullmatch(secret):
            return None
        return self._holder((_BY_SECRET, _digest(secret)), now or now_utc())

    def living(self, number: int, now: dt.datetime | None = None) -> Holder | None:
        """Who holds a token, by its number, which is no secret: only what is signed may name it.

        Returns:
            None where it opens nothing.
        """
        return self._holder((_BY_NUMBER, number), now or now_utc())

    @functools.cached_property
    def _lookups(self) -> Together[_Lookup, Any]:
        return Together(self._rows)

    def _rows(self, lookups: Sequence[_Lookup]) -> list[Any]:
        with turns_at(self.database.name), self.database.reading() as connection:
            return [connection.execute(query, {"wanted": wanted}).first() for query, wanted in lookups]

    def _holder(self, lookup: _Lookup, now: dt.datetime) -> Holder | None:
        row = self._lookups.ask(lookup)
        token = None if row is None else _token(row)
        if token is None or not token.is_living(now):
            return None
        return Holder(token.recipient, token.number, token.scopes, token.expires)

    def listed(self, recipient: str | None = None) -> tuple[Token, ...]:
        """Tokens of one recipient or of all, by number, with those that open nothing any more."""
        query = TOKENS.select().order_by(TOKENS.c.number)
        if recipient is not None:
            query = query.where(TOKENS.c.recipient == recipient)
        with self.database.reading() as connection:
            return tuple(_token(row) for row in connection.execute(query))

    def rotate(
        self,
        number: int,
        days: int = 90,
        overlap: dt.timedelta = dt.timedelta(0),
        now: dt.datetime | None = None,
    ) -> Issued:
        """Make a token in the place of another, for the same uses.

        Args:
            number: Of the other.
            days: For how long the new one lives, 1 to 366.
            overlap: For how long the other lives on; 30 days at most, and never longer than it would have.
            now: From when on.

        Raises:
            AccessError: There is no such living token, or the times cannot be so.
        """
        now = now or now_utc()
        if not dt.timedelta(0) <= overlap <= MOST_OVERLAP:
            raise AccessError("a rotated token may live on for 0 to 30 days", value=overlap, remedy="Say fewer days.")
        with writing(self.database) as connection:
            old = _living(connection, number, now)
            row = _row(old.recipient, old.scopes, days, old.label, now) | {"made_with": old.made_with}
            if overlap:
                ends = text_of(min(old.expires, now + overlap))
                connection.execute(TOKENS.update().where(TOKENS.c.number == number).values(expires=ends))
            else:
                _revoke(connection, (number,), now)
            issued = _keep(connection, row, What.ROTATED, f" for token {number}", now)
            made_with_it = TOKENS.update().where(TOKENS.c.made_with == number)
            connection.execute(made_with_it.values(made_with=issued.number))
            return issued

    def revoke(self, number: int, now: dt.datetime | None = None) -> None:
        """Make a token open nothing, from the next request on, nor any that was made with it.

        Raises:
            AccessError: There is no such living token.
        """
        now = now or now_utc()
        with writing(self.database) as connection:
            token = _living(connection, number, now)
            _revoke_noted(connection, token.recipient, _and_made_with(connection, number, now), now)

    def revoke_all(self, recipient: str, now: dt.datetime | None = None) -> int:
        """Make all tokens of a recipient open nothing; returns how many opened something before."""
        now = now or now_utc()
        with writing(self.database) as connection:
            rows = connection.execute(TOKENS.select().where(TOKENS.c.recipient == recipient))
            living = tuple(token.number for token in map(_token, rows) if token.is_living(now))
            _revoke_noted(connection, recipient, living, now)
        return len(living)

    def note(self, recipient: str, what: What, token: int, now: dt.datetime | None = None) -> None:
        """Write down what somebody did with a token."""
        with writing(self.database) as connection:
            events.append(connection, recipient, what, f"token {token}", now or now_utc())

    def events(self, limit: int = 200) -> tuple[Event, ...]:
        """The log, the newest first."""
        with self.database.reading() as connection:
            return events.newest(connection, limit)


def is_token(secret: str) -> bool:
    """Whether a secret is meant as a recipient's token."""
    return secret.startswith(PREFIX)


def _row(recipient: str, scopes: frozenset[Scope], days: int, label: str, now: dt.datetime) -> dict[str, Any]:
    if not re.fullmatch(RECIPIENT_PATTERN, recipient):
        raise AccessError("a token must be of a recipient, by its name", remedy="demographics recipient list")
    if not scopes:
        raise AccessError("a token must open something", remedy=f"Name some of: {', '.join(Scope)}.")
    if not 1 <= days <= MOST_DAYS:
        raise AccessError(f"a token must live 1 to {MOST_DAYS} days", value=f"{days} days", remedy="Say --days 90.")
    if len(label) > _LABEL or not (label.isprintable()):
        raise AccessError(f"a token's label must be one line of at most {_LABEL} characters", remedy="Shorten it.")
    words = " ".join(sorted(scopes))
    expires = text_of(now + dt.timedelta(days=days))
    return {"recipient": recipient, "scopes": words, "label": label, "made": text_of(now), "expires": expires}


def _keep(connection: sa.Connection, row: dict[str, Any], what: What, about: str, now: dt.datetime) -> Issued:
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    number = (connection.execute(_LAST).scalar() or 0) + 1
    connection.execute(TOKENS.insert(), row | {"number": number, "sha256": _digest(secret)})
    events.append(connection, row["recipient"], what, f"token {number}{about}", now)
    return Issued(number, secret, instant_of(row["expires"]))


def _living(connection: sa.Connection, number: int, now: dt.datetime) -> Token:
    row = connection.execute(TOKENS.select().where(TOKENS.c.number == number)).first()
    token = None if row is None else _token(row)
    if token is None or not token.is_living(now):
        raise AccessError(
            "there must be a living token of that number", value=number, remedy="demographics recipient tokens"
        )
    return token


def _and_made_with(connection: sa.Connection, number: int, now: dt.datetime) -> tuple[int, ...]:
    """A token, and the living ones that were made with it, or with one of those."""
    found = [number]
    for one in found:  # grows while it is walked
        rows = connection.execute(TOKENS.select().where(TOKENS.c.made_with == one))
        found += [token.number for token in map(_token, rows) if token.is_living(now)]
    return tuple(found)


def _revoke_noted(connection: sa.Connection, recipient: str, numbers: tuple[int, ...], now: dt.datetime) -> None:
    _revoke(connection, numbers, now)
    for number in numbers:
        events.append(connection, recipient, What.REVOKED, f"token {number}", now)


def _revoke(connection: sa.Connection, numbers: tuple[int, ...], now: dt.datetime) -> None:
    chosen = TOKENS.update().where(TOKENS.c.number.in_(numbers))
    connection.execute(chosen.values(revoked=text_of(now)))
    connection.execute(SESSIONS.delete().where(SESSIONS.c.token.in_(numbers)))


def _token(row: Any) -> Token:
    scopes = frozenset(Scope(word) for word in row.scopes.split())
    revoked = instant_of(row.revoked) if row.revoked else None
    made, expires = instant_of(row.made), instant_of(row.expires)
    return Token(row.number, row.recipient, scopes, row.label, made, expires, revoked, row.made_with)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
