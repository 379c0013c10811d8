"""Accounts of tests: their passwords are hashed quickly."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

import pytest
from argon2 import PasswordHasher

from pipeline.errors import AccessError
from pipeline.privacy import database
from pipeline.review.accounts import Accounts
from pipeline.review.passwords import Hashing
from pipeline.review.reviewers import Reviewers
from pipeline.review.trail import What

PASSWORD: Final = "four grey herons wade"
OTHER: Final = "nine tin kettles sing"
WRONG: Final = "not the right words"
NOW: Final = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)


def quick() -> Hashing:
    """Hashing that costs nothing, for tests alone."""
    return Hashing(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def accounts_at(address: str, folder: Path) -> Accounts:
    """Accounts in a database, with public keys in a folder."""
    return Accounts(database.opened(address), Reviewers(folder), quick())


def guess(address: str, folder: Path, times: int) -> None:
    """Try to log in, wrongly: what a process of its own does."""
    found = accounts_at(address, folder)
    for _ in range(times):
        with pytest.raises(AccessError):
            found.check_in("ana", WRONG)


def whats(accounts: Accounts, account: str | None = None) -> list[What]:
    """What the log says, the oldest first."""
    return [event.what for event in reversed(accounts.events()) if account in {None, event.account}]


def refusal(accounts: Accounts, name: str, secret: str, now: dt.datetime = NOW) -> str:
    """In which words somebody is not let in."""
    with pytest.raises(AccessError) as failure:
        accounts.check_in(name, secret, now)
    return str(failure.value)
