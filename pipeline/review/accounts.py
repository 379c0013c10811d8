"""Reviewers' accounts: who they are by password or token, and the private key that this opens.

An account lies in the ledger's database, its public key in a file of the deployment. The database alone makes no
reviewer: a private key that somebody puts there fits no public key, and one that is there opens by its secret alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from pipeline.errors import AccessError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review import lockout, sealing, sessions, tokens, trail
from pipeline.review.passwords import Hashing, require_password
from pipeline.review.reviewers import NAME_PATTERN, Reviewer, Reviewers, Signer
from pipeline.review.tables import ACCOUNTS, now_utc, text_of, writing
from pipeline.review.tokens import Token
from pipeline.review.trail import Event, What
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Accounts:
    """The accounts of a deployment.

    Attributes:
        database: Of the ledger, up to date.
        reviewers: Their public keys.
        hashing: How slow it is to try passwords.
    """

    database: Database
    reviewers: Reviewers
    hashing: Hashing = field(default_factory=Hashing)

    @classmethod
    def of(cls, workspace: Workspace, hashing: Hashing | None = None) -> Accounts:
        """The accounts of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger), Reviewers(workspace.reviewer_keys), hashing or Hashing())

    def names(self) -> tuple[str, ...]:
        """All accounts, by name."""
        with self.database.reading() as connection:
            return tuple(connection.execute(sa.select(ACCOUNTS.c.name).order_by(ACCOUNTS.c.name)).scalars())

    def add(self, name: str, password: str, *, also_known_as: Sequence[str] = (), scripted: bool = False) -> Reviewer:
        """Make an account with a key of its own.

        Args:
            name: Lower-case letters, digits, ``._-``, 40 at most.
            password: See ``passwords.require_password``.
            also_known_as: Other names of the same person, in Airflow, on the machine and in specifications.
            scripted: True for an account by which a script decides.

        Raises:
            AccessError: There is one of that name or of that person, the name or the password cannot be used.
            ConfigurationError: The public key cannot be written.
        """
        key = Ed25519PrivateKey.generate()
        reviewer = _reviewer(name, key, tuple(also_known_as), scripted=scripted)
        require_password(name, password)
        row = {"name": name, "hash": self.hashing.hash(password), "failures": 0, "locked_until": None}
        row |= {"sealed": sealing.seal_by_password(key, name, password, self.hashing), "created": text_of(now_utc())}
        with writing(self.database) as connection:
            self._require_new(connection, reviewer)
            connection.execute(ACCOUNTS.insert(), row)
            trail.append(connection, name, What.ADDED, "", now_utc())
            if known := self.reviewers.find(name):
                reviewer = reviewer.model_copy(update={"former_keys": (*known.former_keys, known.public_key)})
            self.reviewers.put(reviewer)  # a file without its account, after a crash just here, decides nothing
        return reviewer

    def check_in(self, name: str, secret: str, now: dt.datetime | None = None) -> str:
        """Let a reviewer in, by password or token; writes down that they came.

        Returns:
            The account's name.

        Raises:
            AccessError: The name, the password or the token is wrong, has expired, or the account is locked.
        """
        now = now or now_utc()
        row, _ = self._admit(name, secret, now, What.LOGGED_IN)
        if not tokens.is_token(secret) and self.hashing.is_outdated(row.hash):
            self._renew(row, secret)
        return str(row.name)

    def signer(self, name: str, secret: str, now: dt.datetime | None = None) -> Signer:
        """A reviewer who can sign, by password or token.

        Raises:
            AccessError: The name, the password or the token is wrong, has expired, or the account is locked; or the
                account's key is not the one whose public half the deployment keeps.
            ConfigurationError: The file of the public key cannot be read.
        """
        row, sealed = self._admit(name, secret, now or now_utc())
        if sealed is None:
            key = sealing.open_by_password(row.sealed, row.name, secret, self.hashing)
        else:
            key = sealing.open_by_token(sealed, row.name, secret)
        reviewer = self.reviewers.find(row.name)
        if reviewer is None or not reviewer.active or reviewer.public_key != _public(key):
            raise AccessError(
                "a reviewer's key must be the one whose public half the deployment keeps",
                value=f"another one, or none, for {row.name}",
                remedy=f"Restore keys/reviewers/{row.name}.pub from a backup, or remove the reviewer and add them.",
            )
        return Signer(row.name, key, reviewer.scripted)

    def change_password(self, name: str, old: str, new: str) -> None:
        """Take another password; sessions end, tokens stay.

        Raises:
            AccessError: The old one is wrong, or the new one cannot be used.
        """
        require_password(name.strip(), new)
        signer = self.signer(name, _no_token(old))
        changed = self._sealed_anew(signer.private_key, signer.name, new)
        with writing(self.database) as connection:
            connection.execute(ACCOUNTS.update().where(ACCOUNTS.c.name == signer.name).values(changed))
            sessions.end_all(connection, signer.name)
            trail.append(connection, signer.name, What.CHANGED, "", now_utc())

    def issue_token(self, name: str, password: str, days: int = 90, now: dt.datetime | None = None) -> str:
        """A token that signs in place of the password; it is shown this once.

        Args:
            name: Of the account.
            password: Of the account; a token makes no other token.
            days: For how long it opens anything, 1 to 366.
            now: From when on.

        Raises:
            AccessError: The password is wrong, or it would live too long.
        """
        tokens.require_days(days)
        now, token = now or now_utc(), tokens.new_token()
        signer = self.signer(name, _no_token(password), now)
        with writing(self.database) as connection:
            span = (now, now + dt.timedelta(days=days))
            number = tokens.keep(connection, signer.name, token, signer.private_key, span)
            trail.append(connection, signer.name, What.ISSUED, f"token {number}", now)
        return token

    def tokens(self, name: str) -> tuple[Token, ...]:
        """An account's tokens without their secret, by number, until they are revoked."""
        with self.database.reading() as connection:
            return tokens.listed(connection, name)

    def revoke_token(self, name: str, number: int) -> None:
        """Make a token open nothing; sessions of its account end, since it may have begun one.

        Raises:
            AccessError: The account has no such token.
        """
        with writing(self.database) as connection:
            if not tokens.revoke(connection, name, number):
                raise AccessError(
                    "a token to revoke must be one of the account", value=number, remedy="demographics reviewer tokens"
                )
            sessions.end_all(connection, name)
            trail.append(connection, name, What.REVOKED, f"token {number}", now_utc())

    def remove(self, name: str) -> None:
        """Let a reviewer decide no more; what was published by their word stays so. The name is free again.

        Raises:
            AccessError: There is no such reviewer.
            ConfigurationError: The file of the public key cannot be written.
        """
        with writing(self.database) as connection:
            known = self.reviewers.find(name)
            if _row(connection, name) is None and (known is None or not known.active):
                raise _nobody(name)
            if known is not None:  # first, since this alone ends what they can do
                self.reviewers.put(known.model_copy(update={"active": False}))
            connection.execute(ACCOUNTS.delete().where(ACCOUNTS.c.name == name))
            tokens.revoke(connection, name)
            sessions.end_all(connection, name)
            trail.append(connection, name, What.REMOVED, "", now_utc())

    def unlock(self, name: str) -> None:
        """Forget failures to log in.

        Raises:
            AccessError: There is no such account.
        """
        with writing(self.database) as connection:
            if _row(connection, name) is None:
                raise _nobody(name)
            lockout.unlock(connection, name)
            trail.append(connection, name, What.UNLOCKED, "", now_utc())

    def is_locked(self, name: str, now: dt.datetime | None = None) -> bool:
        """Whether an account lets nobody in for now: for who looks after accounts, and for nobody who logs in."""
        with self.database.reading() as connection:
            row = _row(connection, name)
        return row is not None and lockout.is_locked(row, now or now_utc())

    def note(self, account: str, what: What, about: str = "", now: dt.datetime | None = None) -> None:
        """Write down what somebody did who is known by their account."""
        with writing(self.database) as connection:
            trail.append(connection, account, what, about, now or now_utc())

    def events(self, limit: int = 200) -> tuple[Event, ...]:
        """The audit log, the newest first."""
        with self.database.reading() as connection:
            return trail.newest(connection, limit)

    def _admit(self, name: str, secret: str, now: dt.datetime, what: What | None = None) -> tuple[Any, bytes | None]:
        """The account's row, and the key that a token opens; None where it was a password that opened."""
        name, token = name.strip(), tokens.is_token(secret)
        with self.database.reading() as connection:
            before = _row(connection, name)
        # Slow, and so before the lock of all writers; done for names that do not exist as well.
        right = not token and self.hashing.verify(before.hash if before else None, secret)
        with writing(self.database) as connection:
            row = _row(connection, name)
            sealed = tokens.find(connection, name, secret, now) if token else None
            fits = sealed is not None or (right and row is not None and row.hash == before.hash)
            admitted = lockout.settle(connection, row, fits=fits, now=now)
            if admitted and what is not None:
                trail.append(connection, row.name, what, "", now)
        if not admitted:
            raise _refused()
        return row, sealed

    def _renew(self, row: Any, password: str) -> None:
        """Hash and seal with today's parameters."""
        key = sealing.open_by_password(row.sealed, row.name, password, self.hashing)
        same = sa.and_(ACCOUNTS.c.name == row.name, ACCOUNTS.c.hash == row.hash)
        changed = self._sealed_anew(key, row.name, password)
        with writing(self.database) as connection:
            connection.execute(ACCOUNTS.update().where(same).values(changed))

    def _sealed_anew(self, key: Ed25519PrivateKey, name: str, password: str) -> dict[str, str]:
        sealed = sealing.seal_by_password(key, name, password, self.hashing)
        return {"hash": self.hashing.hash(password), "sealed": sealed}

    def _require_new(self, connection: sa.Connection, reviewer: Reviewer) -> None:
        if _row(connection, reviewer.name) is not None:
            raise AccessError(
                "there is one account of a name", value=f"another {reviewer.name}", remedy="Choose another name."
            )
        for other in self.reviewers.all():
            if other.active and other.name != reviewer.name and other.names & reviewer.names:
                raise AccessError(
                    "a person has one account, so that two reviewers are two people",
                    value=f"{reviewer.name}, who is {other.name} by another name",
                    remedy="Leave that name out, or remove the other account first.",
                )


def _row(connection: sa.Connection, name: str) -> Any:
    """The account's row; None where there is none, which is so of everything that cannot be a name."""
    if not re.fullmatch(NAME_PATTERN, name):
        return None
    return connection.execute(ACCOUNTS.select().where(ACCOUNTS.c.name == name)).first()


def _reviewer(name: str, key: Ed25519PrivateKey, also_known_as: tuple[str, ...], *, scripted: bool) -> Reviewer:
    others = tuple(other.strip() for other in also_known_as)
    if any(not other or not other.isprintable() or len(other) > 100 for other in others):
        raise AccessError("another name of a reviewer must be a line of 1 to 100 characters", remedy="Write it so.")
    try:
        return Reviewer(name=name, public_key=_public(key), also_known_as=others, scripted=scripted)
    except ValidationError:  # what was typed is not shown: it may be a password in the wrong place
        raise AccessError(
            "the name of an account must be 1 to 40 of a-z, 0-9, dot, underscore and hyphen, a letter first",
            remedy="Choose such a name.",
        ) from None


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _no_token(secret: str) -> str:
    if tokens.is_token(secret):
        raise AccessError("this asks for the password, not for a token", remedy="Give the account's password.")
    return secret


def _refused() -> AccessError:
    return AccessError(
        "an account's name and its password or token must belong together, and the account must not be locked",
        remedy=f"Check both. {lockout.MOST_FAILURES} failures in a row lock an account for a while.",
    )


def _nobody(name: str) -> AccessError:
    return AccessError(
        "there must be a reviewer of that name",
        value=name if re.fullmatch(NAME_PATTERN, name) else "something that is no name",
        remedy="demographics reviewer list shows them.",
    )
