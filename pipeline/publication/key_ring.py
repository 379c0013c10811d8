"""The keys that sign what is published: the secret one in a file, all public ones in the ledger.

Which key signs, since when, and which one is not to be trusted any more are notes in the ledger, which no row of is
ever changed. A new key stands there with the signature of the key before: the database alone makes no key. What is
signed stands there too before anybody sees it, so that it is known after a key was stolen what the publisher signed.

Whoever calls holds ``files.exclusive``: one program at a time signs or changes keys.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import minisign
from minisign import KeyPair

from pipeline.disk import create_once, sync_folder
from pipeline.errors import LedgerError, PublicationError
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files
from pipeline.publication.key_list import KEYS_NAME, KEYS_SIGNATURE_NAME, KeyList, KeyState, ListedKey, Trusted
from pipeline.publication.signing import (
    PUBLIC_KEY_NAME,
    RESTORE,
    base64_of,
    key_id,
    public_key_bytes,
    read_pair,
    read_public_key,
    sign_keys,
)
from pipeline.workspace import Workspace

SECRET_KEY_NAME: Final = "minisign.key"  # noqa: S105 - a file name
NEXT_KEY_NAME: Final = "minisign.next.key"  # a key that is made and perhaps not yet in the ledger
KEYS: Final = "signing_keys"  # what notes about keys are about
SIGNATURES: Final = "signatures"  # and those about what was signed


class What(StrEnum):
    """What a note about keys says."""

    MADE = "made"
    ROTATED = "rotated"
    REVOKED = "revoked"
    RESEALED = "resealed"


@dataclass(frozen=True)
class KeyRing:
    """The publisher's keys, ready to sign.

    Attributes:
        ledger: Where changes are noted.
        pair: The current key.
        listed: All public keys.
    """

    ledger: Ledger
    pair: KeyPair
    listed: KeyList

    @property
    def trusted(self) -> Trusted:
        """The keys by which the site checks what stands."""
        return Trusted(self.pair.public_key, "the site's keys", self.listed)

    def note_signed(self, digests: Mapping[str, str]) -> None:
        """Write down what is signed, before anybody sees it.

        Args:
            digests: By place, ``partner/weekly/2026-W41/r1``: SHA-256 of the manifest.
        """
        self.ledger.note(EntryKind.SIGNING, SIGNATURES, "", {"places": dict(digests)})

    def note_resealed(self, places: Sequence[str]) -> None:
        """Write down which places get a signature by the current key instead of a revoked one's."""
        told = {"what": What.RESEALED, "key_id": self.listed.current.id, "places": list(places)}
        self.ledger.note(EntryKind.SIGNING, KEYS, "", told)


def open_ring(workspace: Workspace) -> KeyRing:
    """The publisher's keys; the first is made when it is needed, and a change that was killed is completed.

    Raises:
        PublicationError: The secret key cannot be read or written, or is not the one that recipients know.
        LedgerError: The ledger cannot be reached or written.
    """
    with files.as_publication_errors(workspace.home):
        workspace.signing_keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        ledger = Ledger.open(workspace.ledger)
        listed = list_of(ledger) or _first(workspace, ledger)
        settle(workspace, listed)
        ring = KeyRing(ledger, _current(workspace, listed), listed)
        _show(workspace, ring)
    return ring


def signing_key(workspace: Workspace) -> KeyPair:
    """The key that signs today."""
    return open_ring(workspace).pair


def list_of(ledger: Ledger) -> KeyList | None:
    """All public keys, as the ledger's notes make them; None before the first.

    Raises:
        LedgerError: The ledger cannot be reached, or has a key that the one before did not sign.
    """
    keys: tuple[ListedKey, ...] = ()
    number, changed = 0, ""
    for note in ledger.notes(EntryKind.SIGNING, KEYS):
        if note.payload["what"] != What.RESEALED:
            keys, number, changed = _after(keys, note), number + 1, note.at
    for before, after in itertools.pairwise(keys):
        _require_vouched(before, after)
    return KeyList(number=number, changed=changed, keys=keys) if keys else None


def site_keys(workspace: Workspace, ledger: Ledger) -> Trusted:
    """The keys by which somebody checks what stands who may change nothing.

    Raises:
        VerificationError: There is no public key.
    """
    listed = list_of(ledger)
    if listed is not None:
        return Trusted(listed.current.key, "the site's keys", listed)
    own = workspace.signing_keys / PUBLIC_KEY_NAME
    path = own if own.is_file() else workspace.published / PUBLIC_KEY_NAME
    return Trusted(read_public_key(str(path)), f"the key in {path.name}")


def shown_files(ring: KeyRing) -> dict[str, bytes]:
    """What recipients find at the top of the published folder, by name, in the order of writing."""
    content = ring.listed.to_bytes()
    at = dt.datetime.fromisoformat(ring.listed.changed)
    return {
        KEYS_NAME: content,
        KEYS_SIGNATURE_NAME: sign_keys(ring.pair, content, at, KEYS_NAME),
        PUBLIC_KEY_NAME: public_key_bytes(ring.pair.public_key),
    }


def settle(workspace: Workspace, listed: KeyList | None) -> None:
    """Complete or undo a change of keys that was killed: the ledger says which."""
    fresh = workspace.signing_keys / NEXT_KEY_NAME
    if not fresh.exists():
        return
    if listed is not None and read_pair(fresh).public_key == listed.current.key:
        fresh.replace(workspace.signing_keys / SECRET_KEY_NAME)  # the former secret key is gone with this
    else:
        fresh.unlink()  # it has signed nothing
    sync_folder(workspace.signing_keys)


def fresh_pair(workspace: Workspace) -> KeyPair:
    """A new key in a file of its own, which ``settle`` puts in place once the ledger has its public half."""
    path = workspace.signing_keys / NEXT_KEY_NAME
    create_once(path, bytes(KeyPair.generate().secret_key) + b"\n")
    return read_pair(path)


def _require_vouched(before: ListedKey, after: ListedKey) -> None:
    vouched = before.state is KeyState.REVOKED if not after.predecessor else before.vouches_for(after)
    if not vouched or before.state is KeyState.CURRENT:
        raise LedgerError(
            "a signing key must be signed by the one before, or follow one that was revoked",
            value=f"{after.id} after {before.id}",
            remedy="Somebody changed the ledger: restore it from a backup.",
        )


def _first(workspace: Workspace, ledger: Ledger) -> KeyList:
    """Note the key of an earlier program, or make one where there never was any."""
    secret, shown = workspace.signing_keys / SECRET_KEY_NAME, workspace.published / PUBLIC_KEY_NAME
    if not secret.exists():
        if shown.exists():
            raise _another(f"none beside {shown}")
        create_once(secret, bytes(KeyPair.generate().secret_key) + b"\n")
    key = read_pair(secret).public_key
    if shown.exists() and read_public_key(str(shown)) != key:
        raise _another(f"another key than {shown}")
    ledger.note(EntryKind.SIGNING, KEYS, "", {"what": What.MADE, "public_key": base64_of(key)})
    listed = list_of(ledger)
    assert listed is not None
    return listed


def _current(workspace: Workspace, listed: KeyList) -> KeyPair:
    secret = workspace.signing_keys / SECRET_KEY_NAME
    if not secret.exists():
        raise _another(f"no {secret}")
    pair = read_pair(secret)
    if pair.public_key != listed.current.key:
        raise _another(f"{key_id(pair.public_key)} in {secret}, where the ledger has {listed.current.id}")
    return pair


def _another(found: str) -> PublicationError:
    return PublicationError(
        "bundles must be signed with the key whose public half recipients hold",
        value=found,
        remedy=f"{RESTORE} If it is lost for good: demographics keys revoke.",
    )


def _show(workspace: Workspace, ring: KeyRing) -> None:
    # The public key last: until it is there, readers trust the former one, which leads to the list.
    places = {workspace.published / name: content for name, content in shown_files(ring).items()}
    places[workspace.signing_keys / PUBLIC_KEY_NAME] = public_key_bytes(ring.pair.public_key)
    for path, content in places.items():
        if not path.is_file() or path.read_bytes() != content:
            files.replace(path, content)


def _after(keys: tuple[ListedKey, ...], note: Entry) -> tuple[ListedKey, ...]:
    """The keys after one more change."""
    told = note.payload
    if told["what"] == What.REVOKED:
        keys = tuple(_ended(one, note, KeyState.REVOKED) if one.id == told["key_id"] else one for one in keys)
    elif keys and told["what"] == What.ROTATED:
        keys = (*keys[:-1], _ended(keys[-1], note, KeyState.RETIRED))
    made = told.get("public_key", "")
    return (*keys, _made(made, note)) if made else keys


def _made(public_key: str, note: Entry) -> ListedKey:
    return ListedKey(
        id=key_id(minisign.PublicKey.from_base64(public_key)),
        public_key=public_key,
        made=note.at,
        state=KeyState.CURRENT,
        since="",
        reason="",
        predecessor=note.payload.get("predecessor", ""),
    )


def _ended(key: ListedKey, note: Entry, state: KeyState) -> ListedKey:
    return key.model_copy(update={"state": state, "since": note.at, "reason": note.payload["reason"]})


def signed_digests(ledger: Ledger) -> dict[str, set[str]]:
    """What the publisher signed, as the ledger says: digests of manifests by place."""
    found: dict[str, set[str]] = {}
    for place, digest in _told_digests(ledger):
        found.setdefault(place, set()).add(digest)
    return found


def _told_digests(ledger: Ledger) -> Iterable[tuple[str, str]]:
    for entry in ledger.entries():
        if entry.kind is EntryKind.PUBLISHED:
            yield from ((f"{shelf}/{entry.key}", digest) for shelf, digest in entry.payload["manifests"].items())
        elif entry.kind is EntryKind.SIGNING and entry.key.release == SIGNATURES:
            yield from entry.payload["places"].items()
