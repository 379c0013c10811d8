"""Backups are sealed with age (https://age-encryption.org/v1): public keys close them, a secret key opens them.

The machine that makes a backup holds public keys alone and cannot open what it made. Any program that knows the
format opens it, without this one: ``age --decrypt -i KEY FILE | tar --extract --gzip``. What was changed, cut off or
added is noticed in each piece of 64 KiB before anything of it is used.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import pyrage
from pyrage import passphrase as by_passphrase
from pyrage import x25519

from pipeline.disk import create_once
from pipeline.errors import RecoveryError

PUBLIC_ENDING: Final = ".pub"
_PUBLIC: Final = "age1"
_SECRET: Final = "AGE-SECRET-KEY-"  # noqa: S105 - how a line of such a file begins
_SEALED: Final = b"age-encryption.org/"
_MOST_KEY_BYTES: Final = 100_000


@dataclass(frozen=True)
class BackupKey:
    """A secret key that opens backups; never shown."""

    identity: Any

    @classmethod
    def read(cls, path: Path, passphrase: str = "") -> BackupKey:
        """The key in a file that ``make_key`` wrote, or ``age-keygen``.

        Raises:
            RecoveryError: It cannot be read, holds no such key, or the passphrase is missing or another one.
        """
        content = _key_file(path)
        if content.startswith(_SEALED):
            content = _with_passphrase(path, content, passphrase)
        lines = (line.strip() for line in content.decode("ascii", "replace").splitlines())
        try:
            return cls(x25519.Identity.from_str(next(line for line in lines if line.startswith(_SECRET))))
        except (StopIteration, pyrage.IdentityError):
            raise RecoveryError(
                "the key of backups must be a file with a line that begins with AGE-SECRET-KEY-",
                value=f"another content in {path}",
                remedy="Name the file that demographics backup --make-key wrote.",
            ) from None


def needs_passphrase(path: Path) -> bool:
    """Whether a key file is sealed by a passphrase.

    Raises:
        RecoveryError: It cannot be read.
    """
    return _key_file(path).startswith(_SEALED)


def make_key(path: Path, passphrase: str = "") -> str:
    """Make a key: its secret half in a file (0600), the public one beside it with the ending ``.pub``.

    Args:
        path: Where it is put; nothing may be there.
        passphrase: Seals the file, so that it is of no use without; empty for none.

    Returns:
        The public half.

    Raises:
        RecoveryError: Something is there already.
    """
    shown = path.with_name(path.name + PUBLIC_ENDING)
    for there in (path, shown):
        if there.exists():
            raise RecoveryError(
                "a key of backups is put where nothing is", value=there, remedy="Choose another name; never lose a key."
            )
    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    content = f"# public key: {public}\n{identity}\n".encode()
    create_once(path, by_passphrase.encrypt(content, passphrase) if passphrase else content)
    create_once(shown, f"{public}\n".encode())
    return public


def recipients(given: str | Sequence[str]) -> tuple[Any, ...]:
    """The public keys that are named, or are in files that are named.

    Raises:
        RecoveryError: None is named, or one is no such key.
    """
    words = given.split() if isinstance(given, str) else list(given)
    keys = [key for word in words for key in ([word] if word.startswith(_PUBLIC) else _in_file(Path(word)))]
    if not keys:
        raise RecoveryError(
            "a backup must be sealed for somebody: it holds private keys",
            value="no public key",
            remedy="Name one with --to or in DEMOGRAPHICS_BACKUP_TO; demographics backup --make-key makes one.",
        )
    try:
        return tuple(x25519.Recipient.from_str(key) for key in keys)
    except pyrage.RecipientError:
        raise RecoveryError(
            "backups are sealed for public keys that begin with age1, or for files of them",
            value="one that is no such key",
            remedy="Copy it from the .pub file that demographics backup --make-key wrote.",
        ) from None


def seal(pieces: Iterator[bytes], into: BinaryIO, keys: Sequence[Any]) -> None:
    """Write the pieces, sealed.

    Raises:
        RecoveryError: They cannot be written; what ``pieces`` raises is raised as it is.
    """
    source = _Pieces(pieces)
    try:
        pyrage.encrypt_io(source, into, list(keys))
    except (pyrage.EncryptError, OSError) as failure:
        if source.failure is not None:
            raise source.failure from None
        raise RecoveryError(
            "a backup must be written whole",
            value=str(failure).partition(" (")[0],
            remedy="Check the folder, its permissions and its free space; there is no backup under this name.",
        ) from None


@contextmanager
def unsealed(path: Path, key: BackupKey) -> Iterator[IO[bytes]]:
    """What is in a sealed file, piece by piece; nothing of it is kept anywhere.

    Who reads it must read it to its end: that it ends there is the last thing that is noticed.

    Raises:
        RecoveryError: The key is another one, or the file was changed, cut off or is none.
    """
    with _opened(path) as sealed:
        reading, writing = os.pipe()
        opener = _Opener(sealed, key, writing, path.name)
        opener.start()
        try:
            with os.fdopen(reading, "rb") as stream:
                yield stream
                while stream.read(1 << 20):
                    pass
        except RecoveryError:
            if opener.failure is None:
                raise
        finally:
            opener.join()
        if opener.failure is not None:
            raise opener.failure


class _Opener(threading.Thread):
    """Opens a file into a pipe: the library writes, and archives are read."""

    def __init__(self, sealed: BinaryIO, key: BackupKey, writing: int, name: str) -> None:
        super().__init__(name="unsealing", daemon=True)
        self._sealed, self._key, self._writing, self._name = sealed, key, writing, name
        self.failure: RecoveryError | None = None

    def run(self) -> None:
        # What went wrong is known before the pipe ends, by which its reader learns that something did.
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._writing, "wb") as into:
            try:
                pyrage.decrypt_io(self._sealed, into, [self._key.identity])
            except (pyrage.DecryptError, OSError) as failure:
                if "Broken pipe" not in str(failure):  # it is not read any further
                    self.failure = _unopened(self._name, failure)


class _Pieces(io.RawIOBase):
    """Pieces, to be read like a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return 0
                self._rest = memoryview(piece)
        except BaseException as failure:
            self.failure = failure  # the library would tell its words alone
            raise
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _unopened(name: str, failure: Exception) -> RecoveryError:
    if "No matching keys" in str(failure):
        return RecoveryError(
            "a backup is opened by the key that it was sealed for",
            value=f"another key, or a file that was changed: {name}",
            remedy="Name the secret key that belongs to DEMOGRAPHICS_BACKUP_TO as it was when the backup was made.",
        )
    return altered(name)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as failure:
        raise RecoveryError(
            "a backup must be a readable file", value=f"{path} ({failure.strerror})", remedy="Check the path."
        ) from None


def altered(found: str) -> RecoveryError:
    """The error of a backup that is not whole, or not as it was made."""
    return RecoveryError(
        "a backup must be whole, and as it was made",
        value=f"one that was cut off or changed, or that is none: {found}",
        remedy="Nothing was restored. Take another copy of it, or another backup.",
    )


def _key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_KEY_BYTES)
    except OSError as failure:
        raise RecoveryError(
            "the key of backups must be a readable file", value=f"{path} ({failure.strerror})", remedy="Check the path."
        ) from None


def _with_passphrase(path: Path, content: bytes, passphrase: str) -> bytes:
    if passphrase:
        with contextlib.suppress(pyrage.DecryptError):
            opened: bytes = by_passphrase.decrypt(content, passphrase)
            return opened
    raise RecoveryError(
        f"the passphrase must be the one with which {path.name} was made",
        value="another one" if passphrase else "none",
        remedy="Type it, or put it into DEMOGRAPHICS_BACKUP_PASSPHRASE.",
    )


def _in_file(path: Path) -> list[str]:
    content = _key_file(path).decode("ascii", "replace")
    return [line.strip() for line in content.splitlines() if line.strip() and not line.startswith("#")]
