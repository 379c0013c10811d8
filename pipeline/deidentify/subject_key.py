"""The key under which people's requests wait, and under which tombstones know them again: one of the deployment.

It lies in the key store like the keys of periods, and lives as long as there are tombstones: without it a later
extract could not leave out whom it must. So its check value is kept beside the tombstones, and a key that is missing
or is another one is an error, never replaced by a new one.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

import duckdb
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipeline.deidentify.key_store import master_secret, stored_key
from pipeline.deidentify.pseudonyms import PSEUDONYM_DIGITS, install_digest
from pipeline.errors import ConfigurationError
from pipeline.privacy.database import Database
from pipeline.workspace import Workspace

_NONCE: Final = 12  # bytes, as NIST SP 800-38D recommends for GCM
_PURPOSE: Final = b"demographics subject request"
_LABEL: Final = "subjects"
_KEY_CHECKS: Final = sa.table("subject_key", sa.column("number", sa.Integer), sa.column("check", sa.Text))


@dataclass(frozen=True)
class SubjectKey:
    """The secret of people's requests; never shown."""

    secret: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """A secret of its own for one purpose, 32 bytes."""
        return hmac.digest(self.secret, purpose.encode(), "sha256")

    def seal(self, content: bytes) -> bytes:
        """Encrypt: a random nonce, then AES-256-GCM (NIST SP 800-38D)."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self.derive("sealing")).encrypt(nonce, content, _PURPOSE)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what ``seal`` made.

        Raises:
            ConfigurationError: It was sealed with another key, or changed since.
        """
        try:
            return AESGCM(self.derive("sealing")).decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE)
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                "a waiting request must open with the key of subject requests",
                value="another key, or changed content",
                remedy="Restore the key file and the ledger's database of the same time from a backup.",
            ) from None

    def digest(self, handle: str) -> str:
        """What a tombstone knows a person by: 32 hexadecimal digits of an HMAC of how they are named."""
        return hmac.digest(self.derive("tombstones"), handle.encode(), "sha256").hex()[:PSEUDONYM_DIGITS]

    def fingerprint(self, content: str) -> str:
        """What tells a request that came twice; of another purpose than a tombstone's digest."""
        return hmac.digest(self.derive("fingerprints"), content.encode(), "sha256").hex()[:PSEUDONYM_DIGITS]

    def install(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give a connection ``tombstone(text)``, the same as ``digest``."""
        install_digest(connection, "tombstone", self.derive("tombstones"))

    @property
    def check(self) -> str:
        """Eight digits that tell whether this is the key; see ``MasterSecret.check`` for what they do not tell."""
        return hmac.digest(self.secret, b"key check", "sha256")[:4].hex()


def subject_key(workspace: Workspace, database: Database) -> SubjectKey:
    """The key of the deployment; it is made, and its check value written down, when it is needed for the first time.

    Args:
        workspace: Where the key file lies.
        database: Of the ledger, up to date; keeps the check value.

    Raises:
        ConfigurationError: It was made before and is missing, or another one; or the key store cannot be used.
    """
    with database.reading() as connection:
        known = connection.execute(sa.select(_KEY_CHECKS.c.check)).scalar()
    found = SubjectKey(
        stored_key(workspace.subject_key, _LABEL, master_secret(workspace.key_store), make=known is None)
    )
    if known is None:
        known = _written_down(database, found.check)
    if not hmac.compare_digest(known, found.check):
        raise ConfigurationError(
            "the key of subject requests must be the one with which they began",
            value=f"another key in {workspace.subject_key.name}",
            remedy="Restore the key file from a backup: with another key nobody who asked to be left out would be.",
        )
    return found


def _written_down(database: Database, check: str) -> str:
    with database.writing() as connection:
        known = connection.execute(sa.select(_KEY_CHECKS.c.check)).scalar()
        if known is None:
            connection.execute(_KEY_CHECKS.insert(), {"number": 1, "check": check})
        return check if known is None else str(known)
