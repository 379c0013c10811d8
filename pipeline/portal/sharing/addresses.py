"""Addresses of files that open by themselves for a while: signed, for one token and one file."""

from __future__ import annotations

import datetime as dt
import functools
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pipeline.disk import create_once
from pipeline.errors import ConfigurationError

LIVES: Final = dt.timedelta(minutes=15)
_BYTES: Final = 32


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


@functools.lru_cache(maxsize=8)
def signing_key(path: Path) -> bytes:
    """The key of a site, made when it is first needed; of two programs that make it at once both use the key of one.

    Raises:
        ConfigurationError: It cannot be read or written, or is no such key.
    """
    try:
        if not path.exists():
            create_once(path, secrets.token_bytes(_BYTES))
        key = path.read_bytes()
    except OSError as failure:
        raise _unusable(path, type(failure).__name__) from None
    if len(key) != _BYTES:
        raise _unusable(path, f"{len(key)} bytes")
    return key


def _unusable(path: Path, value: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path.name} must be a readable file of {_BYTES} bytes", value=value, remedy="Remove it: it is made anew."
    )
