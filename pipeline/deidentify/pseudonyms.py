"""Keyed pseudonyms: HMAC-SHA-256 (RFC 2104) with a key of the period, computed inside DuckDB.

Without the key nobody can tell whether a pseudonym is of a given person; when the key is destroyed, nobody ever can.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from typing import Final

import duckdb

from pipeline.errors import ConfigurationError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

KEY_BYTES: Final = 32
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
        """Give the connection ``pseudonym(text)``, the first 32 hexadecimal digits of the HMAC of the text.

        RFC 2104: H((K xor opad) || H((K xor ipad) || message)); the padded keys are bound, not written into SQL.
        """
        padded = self.derive("pseudonym").ljust(_BLOCK, b"\0")
        connection.execute("SET VARIABLE inner_key = ?::BLOB", [bytes(byte ^ 0x36 for byte in padded)])
        connection.execute("SET VARIABLE outer_key = ?::BLOB", [bytes(byte ^ 0x5C for byte in padded)])
        connection.execute(
            "CREATE OR REPLACE TEMP MACRO pseudonym(message) AS left(sha256(getvariable('outer_key') || "
            f"unhex(sha256(getvariable('inner_key') || encode(message)))), {PSEUDONYM_DIGITS})"
        )

    def pseudonym(self, message: str) -> str:
        """The same as the SQL macro, for one message."""
        return hmac.digest(self.derive("pseudonym"), message.encode(), "sha256").hex()[:PSEUDONYM_DIGITS]


def period_key(workspace: Workspace, population: Population, period: Period) -> PeriodKey:
    """The period's key, made where there is none yet: a file of mode 0600.

    Raises:
        ConfigurationError: The key file is not one, or others can read it.
    """
    path = workspace.period_key(population, period)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails where another task was first: its key stands
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            "a key file must be readable by its owner only",
            value=f"{path.name} with mode {path.stat().st_mode & 0o777:o}",
            remedy=f"chmod 600 {path}",
        )
    try:
        secret = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise ConfigurationError(
            f"a key file must hold {2 * KEY_BYTES} hexadecimal digits",
            value=path.name,
            remedy="Restore it from a backup; a new key makes other pseudonyms.",
        )
    return PeriodKey(secret)
