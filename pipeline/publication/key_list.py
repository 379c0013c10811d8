"""The publisher's keys as recipients read them: which signs today, which signed before, and which nobody may trust.

The list is signed by the current key, and each key is signed by the one before it: whoever trusts an earlier key can
follow it to the current one. Past a revoked key nothing can be followed, since whoever has it can sign any successor.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import minisign
from pydantic import Field

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import VerificationError
from pipeline.publication.manifest import json_bytes
from pipeline.publication.signing import (
    KEY_COMMENT,
    key_id,
    public_key_bytes,
    signature_holds,
    signed_at,
    signer_id,
)

KEYS_NAME: Final = "keys.json"
KEYS_SIGNATURE_NAME: Final = "keys.json.minisig"
_ANOTHER_WAY: Final = "Get the publisher's current key by another way than the one the files came by."


class KeyState(StrEnum):
    """Whether a key signs, and whether what it signed counts."""

    CURRENT = "current"
    RETIRED = "retired"
    REVOKED = "revoked"


class ListedKey(Document):
    """One key of the publisher."""

    id: Annotated[str, Field(pattern="^[0-9A-F]{16}$")]
    """As the minisign program prints it."""
    public_key: Annotated[str, Field(pattern="^[A-Za-z0-9+/]{56}$")]
    """Base64, the second line of ``minisign.pub``."""
    made: str
    """ISO 8601, UTC."""
    state: KeyState
    """What a retired key signed while it was current stays good; what a revoked key signed proves nothing."""
    since: str
    """When it was retired or revoked, ISO 8601, UTC; empty for the current one."""
    reason: str
    """Why, in a line; empty for the current one."""
    predecessor: str
    """The signature of this key's ``minisign.pub`` by the key before; empty where there is none to be trusted."""

    @property
    def key(self) -> minisign.PublicKey:
        """The key itself.

        Raises:
            VerificationError: It is none.
        """
        try:
            return minisign.PublicKey.from_base64(self.public_key)
        except minisign.Error:
            raise _untrusted("a public key that is none", "Download it again.") from None

    def vouches_for(self, after: ListedKey) -> bool:
        """Whether this key signed the one after it."""
        return signature_holds(self.key, public_key_bytes(after.key), after.predecessor.encode(), KEY_COMMENT)


class KeyList(Document):
    """All keys of the publisher, the current one last."""

    number: Annotated[int, Field(ge=1)]
    """How often keys were changed: a list with a lower number is an earlier one."""
    changed: str
    """When they were changed last, ISO 8601, UTC."""
    keys: Annotated[tuple[ListedKey, ...], Field(min_length=1, max_length=1_000)]

    @property
    def current(self) -> ListedKey:
        """The key that signs today."""
        return self.keys[-1]

    def find(self, name: str) -> ListedKey | None:
        """The key of this id; None where it is none of the publisher's."""
        return next((one for one in self.keys if one.id == name), None)

    def to_bytes(self) -> bytes:
        """JSON for people to read, the same bytes for the same list."""
        return json_bytes(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, content: bytes) -> KeyList:
        """Read what ``to_bytes`` wrote.

        Raises:
            VerificationError: It is no list of keys, or one that contradicts itself.
        """
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise VerificationError(f"{KEYS_NAME} must be a JSON object", remedy="Download it again.")
        listed = documents.parse(document, cls, VerificationError, KEYS_NAME)
        current = [one for one in listed.keys if one.state is KeyState.CURRENT]
        ids = [one.id for one in listed.keys]
        if (
            current != [listed.current]
            or len(set(ids)) != len(ids)
            or any(key_id(one.key) != one.id for one in listed.keys)
        ):
            raise _untrusted("a list that contradicts itself", "Download it again.")
        return listed

    def require_way_from(self, anchor: minisign.PublicKey) -> None:
        """Check that each key from this one to the current one was signed by the one before.

        Raises:
            VerificationError: The key is not listed, or the way from it to the current one passes a key that was
                revoked, or a signature does not hold.
        """
        place = next((place for place, one in enumerate(self.keys) if one.key == anchor), None)
        if place is None:
            raise _untrusted(f"a list without the key that you trust, {key_id(anchor)}", _ANOTHER_WAY)
        for before, after in itertools.pairwise(self.keys[place:]):
            if before.state is KeyState.REVOKED:
                raise _untrusted(f"{_revoked(before)}; nothing that it signed leads on from it", _ANOTHER_WAY)
            if not before.vouches_for(after):
                raise _untrusted(f"{after.id}, which {before.id} did not sign", _ANOTHER_WAY)


@dataclass(frozen=True)
class Judged:
    """What is thought of a signature.

    Attributes:
        holds: Whether it is to be trusted.
        told: By which key it is, in words.
    """

    holds: bool
    told: str


@dataclass(frozen=True)
class Trusted:
    """The keys that somebody trusts.

    Attributes:
        anchor: The one key that they had from the publisher.
        source: Where it is from, in words.
        listed: All keys of the publisher, where the anchor leads to them; without it the anchor alone is trusted.
    """

    anchor: minisign.PublicKey
    source: str
    listed: KeyList | None = None

    @classmethod
    def following(cls, anchor: minisign.PublicKey, source: str, path: Path) -> Trusted:
        """Trust the keys in a list that the anchor leads to.

        Args:
            anchor: The key that is trusted.
            source: Where it is from, in words.
            path: ``keys.json``; its signature lies beside it.

        Raises:
            VerificationError: The list cannot be read, or is not to be trusted.
        """
        try:
            content, signature = path.read_bytes(), path.with_name(f"{path.name}.minisig").read_bytes()
        except OSError as failure:
            raise _untrusted(
                f"{type(failure).__name__} for {path.name} or its signature", "Download both again."
            ) from None
        listed = KeyList.from_bytes(content)
        listed.require_way_from(anchor)
        if not signature_holds(listed.current.key, content, signature, KEY_COMMENT):
            raise _untrusted(f"a signature that is not of {listed.current.id}", "Download both again.")
        return cls(anchor, source, listed)

    def judge(self, content: bytes, signature: bytes) -> Judged:
        """Whether these keys vouch for something, by a signature in the form that ``sign`` writes."""
        name = signer_id(signature)
        if self.listed is None:
            holds = signature_holds(self.anchor, content, signature)
            told = "" if not name or name == key_id(self.anchor) else f"signed by another key, {name}"
            return Judged(holds, told)
        found = self.listed.find(name)
        if found is None:
            return Judged(False, f"signed by an unknown key, {name}" if name else "")
        if found.state is KeyState.REVOKED:
            return Judged(False, f"signed by {_revoked(found)}: that proves nothing; fetch the signature again")
        holds = signature_holds(found.key, content, signature)
        return (
            self._of_retired(found, signature, holds) if found.since else Judged(holds, f"by the current key, {name}")
        )

    @staticmethod
    def _of_retired(found: ListedKey, signature: bytes, holds: bool) -> Judged:
        at, until = signed_at(signature), dt.datetime.fromisoformat(found.since)
        told = f"the key {found.id}, which was retired on {found.since[:10]}"
        if at is None or at > until:
            return Judged(False, f"signed by {told}, with a later date")
        return Judged(holds, f"by {told}, later than this was decided")


def _revoked(key: ListedKey) -> str:
    return f"the revoked key {key.id} (on {key.since[:10]}: {key.reason})"


def _untrusted(found: str, remedy: str) -> VerificationError:
    return VerificationError(
        "a list of keys must be signed by its current key, to which the key that you trust leads",
        value=found,
        remedy=remedy,
    )
