"""Passwords: which are taken, and how they are hashed so that guessing is slow (Argon2id, RFC 9106)."""

from __future__ import annotations

import base64
import secrets
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw

from pipeline.errors import AccessError

LEAST_LENGTH: Final = 12  # characters
MOST_BYTES: Final = 256
PREFIX_OF_TOKENS: Final = "dgr_"  # so that people, and what looks for secrets in files, know a token
KEY_BYTES: Final = 32
_FEWEST_DIFFERENT: Final = 5  # characters
_SHORTEST_NAME: Final = 3  # that is looked for in a password; "a" is in most of them

# The commonest of at least twelve characters in lists of passwords that became known, and this product's own name.
_COMMONEST: Final = """
123456789012 1234567890123 123456789123 0123456789012 012345678910 098765432109 987654321098
1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz2wsx3edc4rfv qazwsxedcrfv zaq12wsxcde3 zaq1xsw2cde3 q1w2e3r4t5y6
qwertyuiop12 qwertyuiop123 qwertyuiop1234 qwertyuiopasdf qwertyuiop[] qwerty123456 qwerty1234567 123456qwerty
qwertyqwerty asdfghjkl123 asdfghjklzxcvbnm abcdefghijkl abcdefghijklm abc123abc123 abcd1234abcd a1b2c3d4e5f6
password1234 password12345 password123456 password2024 password2025 password2026 passwordpassword mypassword123
thisismypassword p@ssw0rd1234 passw0rd1234 adminadmin123 administrator administrator1 admin1234567 rootrootroot
welcome12345 welcome123456 changeme1234 changemenow1 letmeinletmein letmein12345 iloveyou1234 iloveyouforever
trustno1trustno1 manchesterunited liverpoolfc1 unbelievable correcthorsebatterystaple
demographics demographics1 demographics123 demographicsexport privacyreviewer reviewer1234
"""
_COMMON: Final = frozenset(_COMMONEST.split())


def require_password(name: str, password: str) -> None:
    """Refuse a password that is easily guessed: length counts, composition does not (NIST SP 800-63B, 3.1.1.2).

    Args:
        name: Of the account.
        password: 12 characters or more, 256 bytes at most; all of it counts.

    Raises:
        AccessError: It is too short or too long, holds the account's name, is one of the commonest, repeats itself, or
            begins as a token does.
    """
    told = _normal(password)
    if told is None or len(told) > MOST_BYTES or len(told.decode()) < LEAST_LENGTH:
        raise _unfit(f"have at least {LEAST_LENGTH} characters and at most {MOST_BYTES} bytes")
    plain = told.decode().casefold()
    if len(name) >= _SHORTEST_NAME and name.casefold() in plain:
        raise _unfit("not hold the name of its account")
    if password.startswith(PREFIX_OF_TOKENS):
        raise _unfit(f"not begin as tokens do, with {PREFIX_OF_TOKENS}")
    if plain.replace(" ", "") in _COMMON or len(set(plain)) < _FEWEST_DIFFERENT:
        raise _unfit("not be one that everybody tries first")


@dataclass(frozen=True)
class Hashing:
    """How slow it is to try passwords.

    Attributes:
        hasher: The library's defaults are RFC 9106's second recommended: 64 MiB, three passes, four lanes.
        at_once: Bounds how many are hashed at once, and so how much memory strangers can ask for.
    """

    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    at_once: threading.Semaphore = field(default_factory=lambda: threading.BoundedSemaphore(2), repr=False)

    def hash(self, password: str) -> str:
        """The hash of a password with its parameters and a salt of its own."""
        with self.at_once:
            return self.hasher.hash(_require_text(password))

    def verify(self, hashed: str | None, password: str) -> bool:
        """Whether this is the password; without a hash it never is, and takes as long to say."""
        told = _normal(password)
        fit = told is not None and len(told) <= MOST_BYTES
        try:
            with self.at_once:
                return self.hasher.verify(hashed or self._of_nobody(), told if told and fit else b"") and fit
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self.hasher.check_needs_rehash(hashed)

    def key(self, password: str, salt: bytes, cost: Cost) -> bytes:
        """A key that only the password gives, 32 bytes."""
        with self.at_once:
            return hash_secret_raw(
                _require_text(password), salt, cost.passes, cost.memory, cost.lanes, KEY_BYTES, Type.ID
            )

    @property
    def cost(self) -> Cost:
        """Of a hash made now."""
        return Cost(self.hasher.time_cost, self.hasher.memory_cost, self.hasher.parallelism)

    def _of_nobody(self) -> str:
        """A hash that no password has, of today's parameters."""
        cost, salt, digest = self.cost, secrets.token_bytes(16), secrets.token_bytes(KEY_BYTES)
        return f"$argon2id$v=19$m={cost.memory},t={cost.passes},p={cost.lanes}${_base64(salt)}${_base64(digest)}"


@dataclass(frozen=True)
class Cost:
    """Parameters of Argon2id.

    Attributes:
        passes: Over the memory.
        memory: In KiB.
        lanes: That are computed side by side.
    """

    passes: int
    memory: int
    lanes: int


def _normal(password: str) -> bytes | None:
    """A password as it is hashed: the same however a keyboard composes it (NFKC); None where it is no text."""
    try:
        return unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:  # half a character, from bytes that are no UTF-8
        return None


def _require_text(password: str) -> bytes:
    told = _normal(password)
    if told is None:
        raise _unfit("be text")
    return told


def _unfit(rule: str) -> AccessError:
    return AccessError(
        f"a reviewer's password must {rule}", remedy="Choose another one: a few words that belong to no saying will do."
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).rstrip(b"=").decode()
