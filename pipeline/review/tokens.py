"""Tokens: a reviewer's secret for scripts, shown once, that expires and can be revoked."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import AccessError
from pipeline.review import sealing
from pipeline.review.passwords import PREFIX_OF_TOKENS
from pipeline.review.tables import TOKENS, instant_of, text_of

MOST_DAYS: Final = 366
_BYTES: Final = 32
_LAST: Final = sa.select(sa.func.max(TOKENS.c.number))


@dataclass(frozen=True)
class Token:
    """What may be told of a token.

    Attributes:
        number: By which it is revoked.
        made: When it was issued.
        expires: From when on it opens nothing.
    """

    number: int
    made: dt.datetime
    expires: dt.datetime

    def has_expired(self, now: dt.datetime) -> bool:
        """Whether it opens nothing any more."""
        return now >= self.expires


def new_token() -> str:
    """A token of 256 random bits."""
    return PREFIX_OF_TOKENS + secrets.token_urlsafe(_BYTES)


def is_token(secret: str) -> bool:
    """Whether a secret is meant as a token; a password may begin so too, and is none then."""
    return secret.startswith(PREFIX_OF_TOKENS)


def require_days(days: int) -> None:
    """Refuse a token that lives too long, or not at all.

    Raises:
        AccessError: Not 1 to 366 days.
    """
    if not 1 <= days <= MOST_DAYS:
        raise AccessError(f"a token must live 1 to {MOST_DAYS} days", value=f"{days} days", remedy="Say --days 90.")


def keep(
    connection: sa.Connection, name: str, token: str, key: Ed25519PrivateKey, span: tuple[dt.datetime, dt.datetime]
) -> int:
    """Keep a token's digest and the private key that it opens; returns its number.

    Args:
        connection: The caller's writing transaction.
        name: Of the account.
        token: That was made.
        key: Sealed under it.
        span: When it was made, and when it expires.
    """
    number = (connection.execute(_LAST).scalar() or 0) + 1
    row = {"number": number, "account": name, "sha256": _digest(token), "made": text_of(span[0])}
    row |= {"sealed": sealing.seal_by_token(key, name, token), "expires": text_of(span[1])}
    connection.execute(TOKENS.insert(), row)
    return number


def find(connection: sa.Connection, name: str, token: str, now: dt.datetime) -> bytes | None:
    """The sealed private key of an account's living token; None where there is none such."""
    query = sa.select(TOKENS.c.sealed).where(
        TOKENS.c.account == name, TOKENS.c.sha256 == _digest(token), TOKENS.c.expires > text_of(now)
    )
    found = connection.execute(query).scalar()
    return None if found is None else bytes(found)


def listed(connection: sa.Connection, name: str) -> tuple[Token, ...]:
    """An account's tokens that were not revoked, by number; those that have expired among them."""
    query = TOKENS.select().where(TOKENS.c.account == name, TOKENS.c.sha256.is_not(None)).order_by(TOKENS.c.number)
    return tuple(Token(row.number, instant_of(row.made), instant_of(row.expires)) for row in connection.execute(query))


def revoke(connection: sa.Connection, name: str, number: int | None = None) -> int:
    """Empty one token of an account, or all; their numbers are not given again. Returns how many it were."""
    living = TOKENS.update().where(TOKENS.c.account == name, TOKENS.c.sha256.is_not(None))
    chosen = living if number is None else living.where(TOKENS.c.number == number)
    return connection.execute(chosen.values(sha256=None, sealed=None)).rowcount


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
