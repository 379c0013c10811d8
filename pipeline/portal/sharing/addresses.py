"""Addresses of files that open by themselves for a while: signed, for one token and one file."""

from __future__ import annotations

import datetime as dt
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Final

LIVES: Final = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Opened:
    """What one address opens.

    Attributes:
        token: Number of the token for which it was signed.
        product: Name of a release.
        period: Of which period.
        revision: Which of its revisions.
        table: Name of a table.
        until: From when on it opens nothing; seconds since 1970.
    """

    token: int
    product: str
    period: str
    revision: int
    table: str
    until: int


def mark_of(key: bytes, opened: Opened) -> str:
    """The signature of an address: HMAC-SHA-256 over all that it opens."""
    return hmac.digest(key, json.dumps(asdict(opened), sort_keys=True).encode(), "sha256").hex()


def is_signed(key: bytes, opened: Opened, mark: str, now: dt.datetime) -> bool:
    """Whether an address was signed with the key, and still opens what it says."""
    same = hmac.compare_digest(mark_of(key, opened).encode(), mark.encode("utf-8", "surrogatepass"))
    return same and now.timestamp() < opened.until
