"""Keyed pseudonyms: HMAC-SHA-256 (RFC 2104) with a key of the period, computed inside DuckDB.

Without the key nobody can tell whether a pseudonym is of a given person; when the key is destroyed, nobody ever can.
Where keys are kept is said in ``key_store``.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

import duckdb

from pipeline.deidentify.key_store import master_secret, stored_key
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

BUCKET_DIGITS: Final = 8  # leading hexadecimal digits of the pseudonym that choose the bucket
PSEUDONYM_DIGITS: Final = 32  # 128 bits: no two of a billion people share one (p < 2e-21)
_BLOCK: Final = hashlib.sha256().block_size


@dataclass(frozen=True)
class PeriodKey:
    """The secret of one population and period; never shown."""

    secret: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """A secret of its own for another purpose, 32 bytes."""
        return hmac.digest(self.secret, purpose.encode(), "sha256")

    def install(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give the connection ``pseudonym(text)``, the first 32 hexadecimal digits of the HMAC of the text."""
        install_digest(connection, "pseudonym", self.derive("pseudonym"))

    def pseudonym(self, message: str) -> str:
        """The same as the SQL macro, for one message."""
        return hmac.digest(self.derive("pseudonym"), message.encode(), "sha256").hex()[:PSEUDONYM_DIGITS]


def install_digest(connection: duckdb.DuckDBPyConnection, name: str, secret: bytes) -> None:
    """Give a connection a macro of a text: the first 32 hexadecimal digits of its HMAC under a secret.

    RFC 2104: H((K xor opad) || H((K xor ipad) || message)); the padded keys are bound, not written into SQL.

    Args:
        connection: Of an engine in memory.
        name: Of the macro.
        secret: 32 bytes.
    """
    padded = secret.ljust(_BLOCK, b"\0")
    for side, byte_of in (("inner", 0x36), ("outer", 0x5C)):
        connection.execute(f"SET VARIABLE {side}_{name} = ?::BLOB", [bytes(byte ^ byte_of for byte in padded)])
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO {name}(message) AS left(sha256(getvariable('outer_{name}') || "
        f"unhex(sha256(getvariable('inner_{name}') || encode(message)))), {PSEUDONYM_DIGITS})"
    )


def period_key(workspace: Workspace, population: Population, period: Period, *, make: bool = True) -> PeriodKey:
    """The period's key, from the key store of the deployment.

    Args:
        workspace: Where the key lies.
        population: Of whom.
        period: Of when.
        make: Whether it is made where there is none yet: to ingest, and not for staging that is there already.

    Raises:
        ConfigurationError: The key store cannot be reached, or holds no key, one that others can read, or one that
            does not fit the store; see ``key_store``.
    """
    master = master_secret(workspace.key_store)
    path = workspace.period_key(population, period)
    return PeriodKey(stored_key(path, f"{population}/{period}", master, make=make))


def people_between(number: int, buckets: int) -> str:
    """SQL: whether ``person`` is in one of so many buckets, by its first digits; they are uniform, so it is even.

    Args:
        number: Of the bucket, from 0.
        buckets: How many there are; somebody without a pseudonym is in none.
    """
    low, high = (f"{point * 16**BUCKET_DIGITS // buckets:0{BUCKET_DIGITS}x}" for point in (number, number + 1))
    conditions = [
        "person IS NOT NULL",
        *[f"person >= '{low}'"] * (number > 0),
        *[f"person < '{high}'"] * (number + 1 < buckets),
    ]
    return " AND ".join(conditions)
