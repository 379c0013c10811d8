"""Changes of the publisher's keys: made, rotated, revoked, shown; what is killed is completed by the next.

Keys are files: whoever may write the site's folder and its ledger may change them, and nobody over the network.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pipeline.errors import PublicationError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files
from pipeline.publication.key_list import KeyList, KeyState, ListedKey
from pipeline.publication.key_ring import (
    KEYS,
    SECRET_KEY_NAME,
    What,
    fresh_pair,
    list_of,
    open_ring,
    settle,
)
from pipeline.publication.resealing import Resealed, reseal
from pipeline.publication.signing import PUBLIC_KEY_NAME, base64_of, public_key_bytes, sign_keys
from pipeline.workspace import Workspace

CURRENT: Final = "current"  # in the place of a key's id


@dataclass(frozen=True)
class Change:
    """What the keys are after a change.

    Attributes:
        listed: All of them.
        changed: False where it was done before.
        resealed: What revoked keys had signed.
    """

    listed: KeyList
    changed: bool
    resealed: Resealed


def make(workspace: Workspace) -> Change:
    """Make the first key.

    Raises:
        PublicationError: There is one.
    """
    with _exclusive(workspace) as ledger:
        if (workspace.signing_keys / SECRET_KEY_NAME).exists() or list_of(ledger) is not None:
            raise PublicationError(
                "the first key is made once", value="a key that is there", remedy="Rotate it: demographics keys rotate."
            )
        return _completed(workspace, changed=True)


def rotate(workspace: Workspace, reason: str, by: str) -> Change:
    """Put a new key in the place of the current one, which signs the new one and then is deleted.

    Args:
        workspace: Of the site.
        reason: Why, in one line. The same reason again, after a crash for example, makes no second new key.
        by: Who does it, by their name on the machine.

    Raises:
        PublicationError: There is no key yet, or the reason is none.
    """
    _require_reason(reason)
    with _exclusive(workspace) as ledger:
        _require_some(workspace, ledger)
        ring = open_ring(workspace)
        if _is_done(ring.listed, KeyState.RETIRED, reason):
            return _completed(workspace, changed=False)
        new = fresh_pair(workspace).public_key
        now = dt.datetime.now(dt.UTC)
        vouched = sign_keys(ring.pair, public_key_bytes(new), now, PUBLIC_KEY_NAME).decode()
        told = {"what": What.ROTATED, "public_key": base64_of(new), "predecessor": vouched}
        _note(ledger, told | {"reason": reason, "by": by})
        return _completed(workspace, changed=True)


def revoke(workspace: Workspace, key_id: str, reason: str, by: str) -> Change:
    """Let nothing count any more that a key signed; sign anew by another what the publisher meant.

    The current key gets a successor, which it does not sign. This needs no secret key: a lost one is revoked too.

    Args:
        workspace: Of the site.
        key_id: Of the key, or ``current``.
        reason: Why, in one line; recipients read it. The same again does what a killed run left undone.
        by: Who does it, by their name on the machine.

    Raises:
        PublicationError: There is no such key, or the reason is none.
        LedgerError: The ledger's chain is broken: nothing can be signed anew.
    """
    _require_reason(reason)
    with _exclusive(workspace) as ledger:
        _require_some(workspace, ledger)
        listed = list_of(ledger) or open_ring(workspace).listed
        settle(workspace, listed)
        key = _meant(listed, key_id, reason)
        if key.state is KeyState.REVOKED:
            return _completed(workspace, changed=False)
        told: dict[str, Any] = {"what": What.REVOKED, "key_id": key.id, "reason": reason, "by": by}
        if key.state is KeyState.CURRENT:
            told["public_key"] = base64_of(fresh_pair(workspace).public_key)
        _note(ledger, told)
        return _completed(workspace, changed=True)


def publish(workspace: Workspace) -> Change:
    """Put the keys where recipients find them, and do what a killed change left undone.

    Raises:
        PublicationError: There is no key yet.
    """
    with _exclusive(workspace) as ledger:
        _require_some(workspace, ledger)
        return _completed(workspace, changed=False)


@contextmanager
def _exclusive(workspace: Workspace) -> Iterator[Ledger]:
    with files.as_publication_errors(workspace.published), files.exclusive(workspace.published):
        files.sweep(workspace.published)
        yield Ledger.open(workspace.ledger)


def _completed(workspace: Workspace, *, changed: bool) -> Change:
    ring = open_ring(workspace)
    return Change(ring.listed, changed, reseal(workspace.published, ring))


def _note(ledger: Ledger, told: dict[str, Any]) -> None:
    ledger.note(EntryKind.SIGNING, KEYS, "", told)


def _is_done(listed: KeyList, state: KeyState, reason: str) -> bool:
    """Whether the change that made the current key is this one."""
    before = listed.keys[-2:-1]
    return bool(before) and (before[0].state, before[0].reason) == (state, reason)


def _meant(listed: KeyList, key_id: str, reason: str) -> ListedKey:
    """The key to revoke; where the current one was revoked for this reason just before, that one again."""
    if key_id == CURRENT:
        return listed.keys[-2] if _is_done(listed, KeyState.REVOKED, reason) else listed.current
    found = listed.find(key_id.upper())
    if found is None:
        raise PublicationError(
            "a key to revoke must be one of the publisher's", remedy="demographics keys list shows them."
        )
    return found


def _require_some(workspace: Workspace, ledger: Ledger) -> None:
    if list_of(ledger) is None and not (workspace.signing_keys / SECRET_KEY_NAME).exists():
        raise PublicationError("there must be a key before it is changed", remedy="Make it: demographics keys make.")


def _require_reason(reason: str) -> None:
    if not reason.strip() or not reason.isprintable() or len(reason) > 200:
        raise PublicationError(
            "a reason must be a line of 1 to 200 characters", remedy="Say why, for those who read it."
        )
