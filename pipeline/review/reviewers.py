"""Who may decide: reviewers' public keys, and the signature that each decision bears.

A decision counts only if a reviewer's own key signed it (Ed25519, RFC 8032). The private key lies sealed under the
reviewer's password or token (``accounts``); the public one is a file of the deployment, apart from the ledger. So a row
that somebody writes into the ledger by hand, or copies there, decides nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, ValidationError

from pipeline.disk import replace_file
from pipeline.documents import Document
from pipeline.errors import ConfigurationError, NotApprovedError
from pipeline.privacy.chain import EntryKind
from pipeline.spec import ReleaseKey

NAME_PATTERN: Final = r"[a-z][a-z0-9._-]{0,39}"
_ENDING: Final = ".pub"


@dataclass(frozen=True)
class Signer:
    """A reviewer who has shown who they are: only then is there a private key to sign with.

    Attributes:
        name: Of the account.
        private_key: Never shown.
        scripted: True for an account by which a script decides, as in a trial run.
    """

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)
    scripted: bool = False

    def sign(self, statement: bytes) -> str:
        """The signature, 128 hexadecimal digits."""
        return self.private_key.sign(statement).hex()


class Reviewer(Document):
    """What is public about a reviewer."""

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    public_key: str = Field(pattern="^[0-9a-f]{64}$")
    """Ed25519, in hexadecimal digits."""
    also_known_as: tuple[str, ...] = ()
    """Names of the same person in Airflow, on the machine, and in specifications."""
    scripted: bool = False
    active: bool = True
    """False for who decides no more; what was published by their word stays so."""
    former_keys: tuple[str, ...] = ()
    """Of accounts of the same name before: nothing is published by them any more, and what was, stays so."""

    @property
    def names(self) -> frozenset[str]:
        """All names of the person, as names are compared."""
        return frozenset(compared(name) for name in (self.name, *self.also_known_as))

    def has_signed(self, statement: bytes, signature: object, *, formerly: bool = False) -> bool:
        """Whether the signature is this reviewer's, of this statement; by a former key where that counts."""
        keys = (self.public_key, *(self.former_keys if formerly else ()))
        return any(_is_signature(key, statement, str(signature)) for key in keys)


def _is_signature(public_key: str, statement: bytes, signature: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), statement)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Reviewers:
    """The reviewers of a deployment.

    Attributes:
        folder: One file a reviewer, ``{name}.pub``.
    """

    folder: Path

    def find(self, name: str) -> Reviewer | None:
        """The reviewer of that name, active or not; None where there is none.

        Raises:
            ConfigurationError: Their file cannot be read.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            return None
        try:
            content = (self.folder / f"{name}{_ENDING}").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise _unreadable(name, type(failure).__name__) from None
        try:
            found = Reviewer.model_validate_json(content)
        except ValidationError:
            raise _unreadable(name, "another content") from None
        return found if found.name == name else None

    def all(self) -> tuple[Reviewer, ...]:
        """All reviewers by name, those who decide no more among them.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        names = sorted(path.stem for path in self.folder.glob(f"*{_ENDING}"))
        return tuple(found for name in names if (found := self.find(name)))

    def put(self, reviewer: Reviewer) -> None:
        """Write a reviewer's file, or write it anew.

        Raises:
            ConfigurationError: It cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = json.dumps(reviewer.model_dump(mode="json"), indent=2) + "\n"
            replace_file(self.folder / f"{reviewer.name}{_ENDING}", content.encode(), 0o644)
        except OSError as failure:
            raise _unreadable(reviewer.name, type(failure).__name__) from None


def _unreadable(name: str, value: str) -> ConfigurationError:
    return ConfigurationError(
        "a reviewer's public key must be a readable file that demographics reviewer has written",
        value=f"{name}{_ENDING}: {value}",
        remedy="Restore it from a backup, or add the reviewer anew.",
    )


def statement(kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> bytes:
    """What is signed of a decision: all that it says, and of which release, in one form."""
    said = {name: value for name, value in payload.items() if name != "signature"}
    about = {"kind": kind.value, "release": key.release, "period": key.period, "revision": key.revision}
    return json.dumps([about, said], sort_keys=True, separators=(",", ":")).encode()


def signed(kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """A decision's payload with the reviewer's name and signature."""
    said = {**payload, "reviewer": signer.name, "scripted": signer.scripted}
    return {**said, "signature": signer.sign(statement(kind, key, said))}


def require_words(reason: str) -> str:
    """A reason as it is kept.

    Raises:
        NotApprovedError: It is empty, has several lines, or is longer than 500 characters.
    """
    if not reason.strip() or not reason.strip().isprintable() or len(reason) > 500:
        raise NotApprovedError(
            "a decision must name its reason, in one line of at most 500 characters", remedy="Give one."
        )
    return reason.strip()


def compared(name: str) -> str:
    """A name as names are compared: without regard to case and to blanks around it."""
    return name.strip().casefold()
