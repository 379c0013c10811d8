"""Where a release stands in its review, and who said what of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.errors import LedgerError, NotApprovedError
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey

_SAID: Final = frozenset({EntryKind.APPROVED, EntryKind.REJECTED, EntryKind.WITHDRAWN})


class State(StrEnum):
    """How far a release has come, as its reviewers see it."""

    WAITING = "waiting"
    APPROVED = "approved"
    """And not published yet."""
    REJECTED = "rejected"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"
    """A newer revision was drawn before anybody decided."""
    FAILED = "failed its checks"
    UNCHECKED = "not checked yet"
    UNDRAWN = "not drawn yet"
    UNREADABLE = "without its specification"
    """The ledger does not hold what it was drawn from, so that nobody can decide on it."""


@dataclass(frozen=True)
class Said:
    """One decision that a reviewer signed.

    Attributes:
        at: When; ISO 8601, UTC.
        verb: ``approved``, ``rejected`` or ``withdrawn``.
        reviewer: Who.
        reason: Why.
        scripted: True where a script decided.
        counts: False where it counts no more: the candidate has changed since, or its reviewer decides no more.
    """

    at: str
    verb: str
    reviewer: str
    reason: str
    scripted: bool
    counts: bool


@dataclass(frozen=True)
class Standing:
    """Where a release stands.

    Attributes:
        key: Of the release.
        state: How far it has come.
        since: When it came there; ISO 8601, UTC.
        said: Signed decisions, in order.
        unsigned: Decisions that nobody signed: somebody wrote or copied them into the ledger.
        needed: How many reviewers must approve.
        rests_on: The release whose approval holds for this one too, where it needs none of its own.
    """

    key: ReleaseKey
    state: State
    since: str
    said: tuple[Said, ...]
    unsigned: tuple[Entry, ...]
    needed: int
    rests_on: ReleaseKey | None = None

    @property
    def approvals(self) -> int:
        """How many approvals count."""
        return sum(one.counts and one.verb == EntryKind.APPROVED for one in self.said)


def standing_of(register: Register, key: ReleaseKey) -> Standing:
    """Where a release stands that the ledger has.

    Raises:
        LedgerError: The chain of hashes is broken.
    """
    newest = {entry.kind: entry for entry in register.history(key)}
    state, rests_on, needed = _state(register, key, newest)
    unsigned = register.unsigned(key)
    return Standing(key, state, _since(newest, state), _said_of(register, key, unsigned), unsigned, needed, rests_on)


def state_of(register: Register, key: ReleaseKey) -> State:
    """The state alone, which is quicker to tell."""
    return _state(register, key, {entry.kind: entry for entry in register.history(key)})[0]


def said_of(register: Register, key: ReleaseKey) -> tuple[Said, ...]:
    """What reviewers said of a release, in order; not what nobody signed."""
    return _said_of(register, key, register.unsigned(key))


def _said_of(register: Register, key: ReleaseKey, unsigned: tuple[Entry, ...]) -> tuple[Said, ...]:
    made = [entry for entry in register.history(key) if entry.kind in _SAID]
    if not made:
        return ()
    counting = {entry.number for entry in register.decisions(key)}
    return tuple(
        _said(entry, entry.number in counting or entry.kind is EntryKind.WITHDRAWN)
        for entry in made
        if entry not in unsigned
    )


def _said(entry: Entry, counts: bool) -> Said:
    payload = entry.payload
    return Said(entry.at, entry.kind, payload["reviewer"], payload["reason"], bool(payload["scripted"]), counts)


def _state(
    register: Register, key: ReleaseKey, newest: Mapping[EntryKind, Entry]
) -> tuple[State, ReleaseKey | None, int]:
    """The state, on which approval it rests if on another's, and how many must approve."""
    for kind, state in _FINAL.items():
        if kind in newest:
            return state, None, 1
    if EntryKind.DRAWN not in newest:
        return State.UNDRAWN, None, 1
    if EntryKind.CHECKED not in newest:
        return State.UNCHECKED, None, 1
    if not newest[EntryKind.CHECKED].payload["passed"]:
        return State.FAILED, None, 1
    try:
        return _undecided(register, key)
    except LedgerError:
        return State.UNREADABLE, None, 1


_FINAL: Final = {EntryKind.WITHDRAWN: State.WITHDRAWN, EntryKind.PUBLISHED: State.PUBLISHED}


def _undecided(register: Register, key: ReleaseKey) -> tuple[State, ReleaseKey | None, int]:
    needed = register.specification(key).reviewers
    if any(entry.kind is EntryKind.REJECTED for entry in register.decisions(key)):
        return State.REJECTED, None, needed
    if _is_replaced(register, key):
        return State.REPLACED, None, needed
    if register.is_waiting(key):
        return State.WAITING, None, needed
    try:
        return State.APPROVED, register.approval(key).rests_on, needed
    except NotApprovedError:  # somebody decided since it was asked whether it waits
        return State.WAITING, None, needed


def _is_replaced(register: Register, key: ReleaseKey) -> bool:
    later = ReleaseKey(key.release, key.period, key.revision + 1)
    return any(entry.kind is EntryKind.DRAWN for entry in register.history(later))


_MADE_BY: Final = {
    State.WAITING: EntryKind.CHECKED,
    State.FAILED: EntryKind.CHECKED,
    State.REPLACED: EntryKind.CHECKED,
    State.UNREADABLE: EntryKind.DRAWN,
    State.UNCHECKED: EntryKind.DRAWN,
    State.UNDRAWN: EntryKind.RESERVED,
    State.APPROVED: EntryKind.APPROVED,
    State.REJECTED: EntryKind.REJECTED,
    State.PUBLISHED: EntryKind.PUBLISHED,
    State.WITHDRAWN: EntryKind.WITHDRAWN,
}


def _since(newest: Mapping[EntryKind, Entry], state: State) -> str:
    made = newest.get(_MADE_BY[state]) or newest.get(EntryKind.CHECKED)  # an approval may rest on another release's
    return made.at if made else next(iter(newest.values())).at
