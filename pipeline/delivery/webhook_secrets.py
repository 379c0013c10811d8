"""The secrets with which webhooks are signed: one a recipient, two while it is changed.

A secret is HMAC-SHA-256, under the site's key of webhooks, of whose it is and its number. The database has the numbers,
and of each secret its SHA-256: so a copy of the database signs nothing, the one key file is kept like the site's other
keys, and changing a secret is a transaction, however many machines send.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from pipeline.delivery import events
from pipeline.delivery.channels import NotSentError
from pipeline.delivery.events import What
from pipeline.delivery.tables import WEBHOOK_SECRETS
from pipeline.errors import AccessError
from pipeline.keys import key_at
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.tables import instant_of, text_of, writing
from pipeline.workspace import Workspace

MOST_OVERLAP: Final = dt.timedelta(days=30)
_PREFIX: Final = "whsec_"  # as Standard Webhooks writes a secret
_LAST: Final = sa.select(sa.func.max(WEBHOOK_SECRETS.c.number))


@dataclass(frozen=True)
class Made:
    """A secret just made.

    Attributes:
        number: Its number.
        secret: Shown this once.
        others_end: Until when earlier ones sign beside it; None where there were none.
    """

    number: int
    secret: str = field(repr=False)
    others_end: dt.datetime | None


@dataclass(frozen=True)
class WebhookSecrets:
    """All secrets of a site.

    Attributes:
        database: Of the ledger, up to date.
        key_file: The site's key of webhooks.
    """

    database: Database
    key_file: Path

    @classmethod
    def of(cls, workspace: Workspace) -> WebhookSecrets:
        """The secrets of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger), workspace.webhook_key)

    def make(self, recipient: str, overlap: dt.timedelta, now: dt.datetime) -> Made:
        """Make a secret; earlier ones sign beside it for a while.

        Args:
            recipient: Whose; whether there is such a recipient is for the caller to ask.
            overlap: For how long; 0 to 30 days.
            now: From when on.

        Raises:
            AccessError: The time cannot be so.
            ConfigurationError: The key file cannot be used.
        """
        if not dt.timedelta(0) <= overlap <= MOST_OVERLAP:
            raise AccessError("an earlier secret may sign on for 0 to 30 days", value=overlap, remedy="Say fewer days.")
        key_at(self.key_file)  # made before the transaction, so that nothing is written down without it
        with writing(self.database) as connection:
            living = _living(connection, recipient, now)
            number = (connection.execute(_LAST).scalar() or 0) + 1
            secret = self._secret(recipient, number)
            row = {"number": number, "recipient": recipient, "sha256": _digest(secret), "made": text_of(now)}
            connection.execute(WEBHOOK_SECRETS.insert(), row | {"ends": None})
            _end(connection, living, now + overlap)
            events.append(connection, recipient, What.SIGNING, f"webhook secret {number}", now)
        return Made(number, secret, now + overlap if living and overlap else None)

    def living(self, recipient: str, now: dt.datetime) -> tuple[str, ...]:
        """The secrets that sign at a moment, the newest first.

        Raises:
            NotSentError: There is none, or the key file is another than the one they were made with.
        """
        with self.database.reading() as connection:
            rows = _living(connection, recipient, now)
        if not rows:
            raise NotSentError(f"there is no secret to sign with: demographics recipient webhook-secret {recipient}")
        found = tuple(self._secret(recipient, row.number) for row in reversed(rows))
        if any(_digest(secret) != row.sha256 for secret, row in zip(found, reversed(rows), strict=True)):
            raise NotSentError(f"{self.key_file.name} is another than the one with which the secret was made")
        return found

    def _secret(self, recipient: str, number: int) -> str:
        made = hmac.digest(key_at(self.key_file), f"webhook {recipient} {number}".encode(), "sha256")
        return _PREFIX + base64.b64encode(made).decode()


def _living(connection: sa.Connection, recipient: str, now: dt.datetime) -> list[Any]:
    own = WEBHOOK_SECRETS.select().where(WEBHOOK_SECRETS.c.recipient == recipient)
    rows = connection.execute(own.order_by(WEBHOOK_SECRETS.c.number))
    return [row for row in rows if row.ends is None or now < instant_of(row.ends)]


def _end(connection: sa.Connection, rows: list[Any], when: dt.datetime) -> None:
    for row in rows:
        ends = text_of(min(when, instant_of(row.ends)) if row.ends else when)
        chosen = WEBHOOK_SECRETS.update().where(WEBHOOK_SECRETS.c.number == row.number)
        connection.execute(chosen.values(ends=ends))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
