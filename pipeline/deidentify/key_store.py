"""Where the keys of periods are kept: a file of mode 0600 for each, alone or under a master secret of the deployment.

``DEMOGRAPHICS_KEYS`` says which:

- ``file``, or nothing: the file holds the key itself, 64 hexadecimal digits.
- ``environment``: the master secret is in ``DEMOGRAPHICS_MASTER_KEY``.
- ``airflow:NAME``: the master secret is the password of the Airflow connection NAME, from Airflow's secrets backends.

A master secret is 64 hexadecimal digits at least. With one, the file holds 32 random bytes of the period's own, and
the key is HKDF-SHA-256 (RFC 5869) of the master secret, salted with these bytes, for this population and period. Who
steals the disk has no key, because the master secret is elsewhere; who has the master secret has no key either once
the file is gone, because HMAC keyed with bytes that nobody knows tells nothing. So destroying the file destroys the
period's key, and all its pseudonyms with it, although the master secret lives on (cryptographic erase, NIST SP
800-88).
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from pipeline.disk import sync_folder
from pipeline.errors import ConfigurationError
from pipeline.workspace import KEYS_VARIABLE, MASTER_KEY_VARIABLE

KEY_BYTES: Final = 32
MASTER_DIGITS: Final = 64
FILE: Final = "file"
ENVIRONMENT: Final = "environment"
AIRFLOW: Final = "airflow:"

_UNDER_MASTER: Final = "hkdf-sha256"
_PURPOSE: Final = b"demographics period key "
_CHECK: Final = b"key check"
_LEAST_VALUES: Final = 16  # different bytes among 32; random ones have fewer once in 1e14
_MASTER_PATTERN: Final = re.compile(f"(?:[0-9a-fA-F]{{2}}){{{MASTER_DIGITS // 2},}}")
_FILE_PATTERN: Final = re.compile(
    rf"(?:(?P<kind>{_UNDER_MASTER}) )?(?P<secret>[0-9a-fA-F]{{64}})(?: (?P<check>[0-9a-f]{{8}}))?"
)
_MAKE_ONE: Final = "Make one with: python -c 'import secrets; print(secrets.token_hex(32))'"


@dataclass(frozen=True)
class MasterSecret:
    """A secret of the deployment, from which keys of periods are derived; never shown."""

    secret: bytes = field(repr=False)

    def period_secret(self, seed: bytes, period: str) -> bytes:
        """The key of a period, 32 bytes.

        Args:
            seed: The period's own random bytes, the salt.
            period: What the key is for: a seed that is put beside another period makes another key.
        """
        return hkdf(self.secret, seed, _PURPOSE + period.encode())

    def check(self, seed: bytes, period: str) -> str:
        """Eight digits that tell whether this is the master secret with which a period began.

        They are the first 32 bits of an HMAC of a constant under the period's key. HMAC is a pseudorandom function:
        without the key they are like random digits, also for who sees pseudonyms, which are made under a key derived
        for another purpose. All they allow is to test a guess of the master secret, and of 256 random bits no guess is
        right.
        """
        return hmac.digest(self.period_secret(seed, period), _CHECK, "sha256")[:4].hex()


@dataclass(frozen=True)
class _KeyFile:
    """What a key file holds: a key, or under a master secret a seed and its check value."""

    secret: bytes = field(repr=False)
    check: str | None = None

    @classmethod
    def parse(cls, content: bytes) -> _KeyFile | None:
        """Read a key file; None where it is none."""
        found = _FILE_PATTERN.fullmatch(content.decode("latin-1").removesuffix("\n"))
        if found is None or (found["kind"] is None) is not (found["check"] is None):
            return None
        return cls(bytes.fromhex(found["secret"]), found["check"])

    def to_bytes(self) -> bytes:
        if self.check is None:
            return self.secret.hex().encode()
        return f"{_UNDER_MASTER} {self.secret.hex()} {self.check}".encode()


def hkdf(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) with one block of output: 32 bytes."""
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


def master_secret(setting: str) -> MasterSecret | None:
    """The master secret that the setting leads to; None where key files stand alone.

    Args:
        setting: ``file``, ``environment`` or ``airflow:NAME``, as ``DEMOGRAPHICS_KEYS`` has it.

    Raises:
        ConfigurationError: It is no such setting, or there is no master secret where it leads, or a weak one.
    """
    if setting == FILE:
        return None
    if setting == ENVIRONMENT:
        return _strong(_parsed(os.environ.get(MASTER_KEY_VARIABLE, "")), MASTER_KEY_VARIABLE)
    if setting.startswith(AIRFLOW):
        from pipeline.filesystems.connections import find_connection  # noqa: PLC0415 - only this store needs it

        found = find_connection(setting.removeprefix(AIRFLOW), ConfigurationError)
        return _strong(_parsed(found.password), f"the password of the Airflow connection {found.name}")
    raise ConfigurationError(
        f"{KEYS_VARIABLE} must be {FILE}, {ENVIRONMENT}, or {AIRFLOW} with the name of a connection",
        value="something else",  # which may be a secret that was put there by mistake
        remedy="Correct it where the deployment sets it.",
    )


def stored_key(path: Path, period: str, master: MasterSecret | None, *, make: bool = True) -> bytes:
    """The key of a period, 32 bytes; a key file is made where there is none yet.

    Args:
        path: The period's key file.
        period: The population and period it is for, or what else.
        master: The master secret, if the deployment has one.
        make: Whether a missing key file may be made: not where something stands under the key already.

    Raises:
        ConfigurationError: The file is missing and may not be made, is no key file, others can read it, it was made
            with a master secret and none is set or the other way round, or it was made with another master secret.
        OSError: The file cannot be written.
    """
    if not path.exists() and not make:
        raise ConfigurationError(
            "the key under which something is kept must be there",
            value=f"no {path.name}",
            remedy=f"Restore {path} from a backup; a new key would be of nobody.",
        )
    if not path.exists():
        _create(path, _new(period, master).to_bytes())
    kept = _read(path)
    if master is None and kept.check is None:
        return kept.secret
    if master is None or kept.check is None:
        raise _of_another_kind(path, with_master=kept.check is not None)
    if not hmac.compare_digest(master.check(kept.secret, period), kept.check):
        raise ConfigurationError(
            "a period's key must be opened with the master secret with which it was made",
            value=f"another one for {path.name}, or the key file of another period",
            remedy="Set the master secret of then, or delete that key file and ingest the period anew.",
        )
    return master.period_secret(kept.secret, period)


def _strong(master: MasterSecret | None, place: str) -> MasterSecret:
    # Given what was parsed, so that no frame of an error holds the digits themselves.
    if master is None:
        raise ConfigurationError(
            f"{place} must hold a master secret: {MASTER_DIGITS} hexadecimal digits at least, an even number of them",
            value="nothing, or something else",
            remedy=_MAKE_ONE,
        )
    if _is_weak(master.secret):
        raise ConfigurationError(
            f"{place} must hold a master secret of random digits",
            value="digits with a pattern",
            remedy=_MAKE_ONE,
        )
    return master


def _parsed(digits: str) -> MasterSecret | None:
    stripped = digits.strip()
    return MasterSecret(bytes.fromhex(stripped)) if _MASTER_PATTERN.fullmatch(stripped) else None


def _is_weak(secret: bytes) -> bool:
    # Few different bytes (zeros, a repeated word), even steps (counting up), or a text in hexadecimal. A digest of a
    # weak password looks as random as any other.
    steps = {(later - earlier) % 256 for earlier, later in pairwise(secret)}
    return len(set(secret)) < _LEAST_VALUES or len(steps) < _LEAST_VALUES or all(32 <= byte < 127 for byte in secret)


def _new(period: str, master: MasterSecret | None) -> _KeyFile:
    secret = secrets.token_bytes(KEY_BYTES)
    return _KeyFile(secret, master.check(secret, period) if master else None)


def _create(path: Path, content: bytes) -> None:
    """Write a key file that is there whole or not at all; where another task was first, its key stands."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)  # staging under a key that a power cut took would be nobody's


def _read(path: Path) -> _KeyFile:
    try:
        if path.stat().st_nlink > 1:
            _remove_twins(path)
        mode, kept = path.stat().st_mode, _KeyFile.parse(path.read_bytes())
    except OSError as failure:
        raise ConfigurationError(
            "a key file must be readable",
            value=f"{path.name} ({type(failure).__name__})",
            remedy=f"Check {path} and its permissions.",
        ) from None
    if mode & 0o077:
        raise ConfigurationError(
            "a key file must be readable by its owner only",
            value=f"{path.name} with mode {mode & 0o777:o}",
            remedy=f"chmod 600 {path}",
        )
    if kept is None:
        raise ConfigurationError(
            f"a key file must hold {2 * KEY_BYTES} hexadecimal digits, with a master secret also how they are used",
            value=path.name,
            remedy="Restore it from a backup; a new key makes other pseudonyms.",
        )
    return kept


def destroy_key(path: Path) -> bool:
    """Destroy a key file, and whatever other name a task that was killed may have left it, through to the disk.

    Its bytes are overwritten first: where the file system writes in place, they are not in a freed block either.

    Returns:
        Whether there was a key file.

    Raises:
        OSError: It cannot be removed.
    """
    there = path.exists()
    for name in (*path.parent.glob(f".{path.name}.*"), path):
        with suppress(FileNotFoundError):
            with suppress(PermissionError):
                _overwrite(name)
            name.unlink()
    if path.parent.is_dir():
        sync_folder(path.parent)
    return there


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * os.fstat(file.fileno()).st_size)
        file.flush()
        os.fsync(file.fileno())


def _remove_twins(path: Path) -> None:
    # A task that was killed between two steps of making the file left it a second name, under which the key would
    # outlive the file's destruction.
    for draft in path.parent.glob(f".{path.name}.*"):
        with suppress(FileNotFoundError):
            if draft.samefile(path):
                draft.unlink()


def _of_another_kind(path: Path, *, with_master: bool) -> ConfigurationError:
    made, now = ("with", "none is") if with_master else ("without", "one is")
    return ConfigurationError(
        "a period must keep the kind of key with which it began",
        value=f"{path.name}, made {made} a master secret, while {now} set",
        remedy=f"Set {KEYS_VARIABLE} as it was, or delete that key file and ingest the period anew.",
    )
