"""How a reviewer's private key lies in the database: sealed, so that only their password or token opens it.

AES-256-GCM (NIST SP 800-38D) under a key that Argon2id makes of the password, or HKDF (RFC 5869) of a token, which is
random enough without. The account's name goes into the seal: one account's key does not open as another's.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError

from pipeline.documents import Document
from pipeline.errors import AccessError
from pipeline.review.passwords import KEY_BYTES, Cost, Hashing

_NONCE: Final = 12  # bytes
_SALT: Final = 16  # bytes
_MOST_MEMORY: Final = 1 << 22  # KiB; a seal that asks for more was not made here


class _SealedByPassword(Document):
    passes: int = Field(ge=1, le=100)
    memory: int = Field(ge=8, le=_MOST_MEMORY)
    lanes: int = Field(ge=1, le=64)
    salt: str = Field(pattern="^[0-9a-f]{32}$")
    content: str = Field(pattern="^([0-9a-f]{2})+$")


def seal_by_password(key: Ed25519PrivateKey, name: str, password: str, hashing: Hashing) -> str:
    """Seal a private key; the salt and the cost are kept with it, apart from those of the password's hash."""
    salt, cost = secrets.token_bytes(_SALT), hashing.cost
    content = _seal(hashing.key(password, salt, cost), name, key)
    return _SealedByPassword(
        passes=cost.passes, memory=cost.memory, lanes=cost.lanes, salt=salt.hex(), content=content.hex()
    ).model_dump_json()


def open_by_password(sealed: str, name: str, password: str, hashing: Hashing) -> Ed25519PrivateKey:
    """The private key that was sealed.

    Raises:
        AccessError: It was sealed for another name or under another password, or was changed since.
    """
    try:
        found = _SealedByPassword.model_validate_json(sealed)
    except ValidationError:
        raise _spoilt(name) from None
    key = hashing.key(password, bytes.fromhex(found.salt), Cost(found.passes, found.memory, found.lanes))
    return _open(key, name, bytes.fromhex(found.content))


def seal_by_token(key: Ed25519PrivateKey, name: str, token: str) -> bytes:
    """Seal a private key under a token of 256 random bits."""
    salt = secrets.token_bytes(_SALT)
    return salt + _seal(_key_of(token, salt), name, key)


def open_by_token(sealed: bytes, name: str, token: str) -> Ed25519PrivateKey:
    """The private key that was sealed.

    Raises:
        AccessError: It was sealed for another name or under another token, or was changed since.
    """
    return _open(_key_of(token, sealed[:_SALT]), name, sealed[_SALT:])


def _key_of(token: str, salt: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, b"demographics reviewer token").derive(token.encode())


def _seal(secret: bytes, name: str, key: Ed25519PrivateKey) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(secret).encrypt(nonce, key.private_bytes_raw(), _purpose(name))


def _open(secret: bytes, name: str, sealed: bytes) -> Ed25519PrivateKey:
    try:
        content = AESGCM(secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], _purpose(name))
        return Ed25519PrivateKey.from_private_bytes(content)
    except (InvalidTag, ValueError):
        raise _spoilt(name) from None


def _purpose(name: str) -> bytes:
    return f"demographics reviewer key of {name}".encode()


def _spoilt(name: str) -> AccessError:
    return AccessError(
        "a reviewer's private key must open with their password or token",
        value=f"a sealed key of {name} that was changed",
        remedy="Restore the ledger's database from a backup, or remove the reviewer and add them anew.",
    )
