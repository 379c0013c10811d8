"""The ledger's rows: an append-only chain of entries, and recorded bytes beside it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from pipeline.errors import LedgerError
from pipeline.spec import ReleaseKey

_GENESIS: Final = "0" * 64


class EntryKind(StrEnum):
    """What an entry says. Meanings never change; new ones are added."""

    RESERVED = "reserved"
    DRAWN = "drawn"
    CHECKED = "checked"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"
    PURGED = "purged"
    OBEYED = "obeyed"
    SIGNING = "signing"


# Of these a revision of a release has one at most.
ONCE: Final = frozenset({EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.PUBLISHED, EntryKind.WITHDRAWN})
# These are about no release: that staging and key of a period are gone, that people's requests were obeyed, which keys
# sign what is published and what they signed. Their revision is 0, which no release has.
NOTES: Final = frozenset({EntryKind.PURGED, EntryKind.OBEYED, EntryKind.SIGNING})


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    number: int
    at: str
    kind: EntryKind
    key: ReleaseKey
    payload: Mapping[str, Any]
    previous: str
    sha256: str


# The tables as queries name them; how they are made stands in ``migrations``.
ENTRIES: Final = sa.table(
    "entries",
    *(sa.column(name, sa.Integer) for name in ("number", "revision")),
    *(sa.column(name, sa.Text) for name in ("at", "kind", "release", "period", "payload", "previous", "sha256")),
    sa.column("once", sa.Text),  # kind and release where there may be one only: unique
)
ARTEFACTS: Final = sa.table(
    "artefacts",
    *(sa.column(name, sa.Text) for name in ("release", "period")),
    sa.column("revision", sa.Integer),
    sa.column("kind", sa.Text),  # release | checks/<number>
    sa.column("sha256", sa.Text),
    sa.column("content", sa.LargeBinary),
)


# Statements are made once: SQLAlchemy then finds the compiled text by the object alone.
_ABOUT: Final = ENTRIES.select().where(
    ENTRIES.c.release == sa.bindparam("release"),
    ENTRIES.c.period == sa.bindparam("period"),
    ENTRIES.c.revision == sa.bindparam("revision"),
)
_KIND: Final = ENTRIES.c.kind == sa.bindparam("kind")
_NEWEST: Final = _ABOUT.where(_KIND).order_by(ENTRIES.c.number.desc()).limit(1)
_KINDS: Final = _ABOUT.order_by(ENTRIES.c.number)
_REVISIONS: Final = (
    ENTRIES.select()
    .where(_KIND, ENTRIES.c.release == sa.bindparam("release"), ENTRIES.c.period == sa.bindparam("period"))
    .order_by(ENTRIES.c.revision, ENTRIES.c.number)
)
_LAST: Final = sa.select(ENTRIES.c.number, ENTRIES.c.sha256).order_by(ENTRIES.c.number.desc()).limit(1)
_EVERY: Final = ENTRIES.select().order_by(ENTRIES.c.number)
_SAME: Final = sa.select(ENTRIES.c.number).where(ENTRIES.c.once == sa.bindparam("once"))
_AFTER: Final = _EVERY.where(_KIND, ENTRIES.c.number > sa.bindparam("after"))
_APPEND: Final = ENTRIES.insert()
_KEEP: Final = ARTEFACTS.insert()
_KEPT: Final = sa.select(ARTEFACTS.c.content).where(
    *(ARTEFACTS.c[name] == sa.bindparam(name) for name in ("release", "period", "revision", "kind"))
)


def append(connection: sa.Connection, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> None:
    """Append one entry to the chain."""
    _append(connection, kind, key, payload, once=f"{kind.value}:{key}" if kind in ONCE else None)


def append_note(connection: sa.Connection, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> bool:
    """Append a note unless the very same one stands; returns whether it was appended."""
    once = f"{kind.value}:{key}:{hashlib.sha256(_canonical(payload).encode()).hexdigest()}"
    if connection.execute(_SAME, {"once": once}).first() is not None:
        return False
    _append(connection, kind, key, payload, once)
    return True


def _append(
    connection: sa.Connection, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any], once: str | None
) -> None:
    last = connection.execute(_LAST).first()
    number, previous = (1, _GENESIS) if last is None else (last.number + 1, last.sha256)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    entry = Entry(number, at, kind, key, payload, previous, "")
    connection.execute(_APPEND, {**_row(entry), "sha256": _digest(entry), "once": once})


def find(connection: sa.Connection, kind: EntryKind, key: ReleaseKey) -> Entry | None:
    """The newest entry of a kind about a revision of a release."""
    row = connection.execute(_NEWEST, {**_place(key), "kind": kind.value}).first()
    return None if row is None else _entry(row)


def kinds(connection: sa.Connection, key: ReleaseKey) -> tuple[EntryKind, ...]:
    """The kinds of all entries about a revision of a release, in order."""
    return tuple(_kind(row.kind) for row in connection.execute(_KINDS, _place(key)))


def revisions(connection: sa.Connection, kind: EntryKind, release: str, period: str) -> tuple[Entry, ...]:
    """The entries of a kind about all revisions of a release, by revision."""
    rows = connection.execute(_REVISIONS, {"release": release, "period": period, "kind": kind.value})
    return tuple(_entry(row) for row in rows)


def read(connection: sa.Connection) -> tuple[Entry, ...]:
    """All entries, in order."""
    return tuple(_entry(row) for row in connection.execute(_EVERY))


def last(connection: sa.Connection) -> tuple[int, str]:
    """Number and digest of the last entry; 0 and nothing where there is none."""
    row = connection.execute(_LAST).first()
    return (0, "") if row is None else (row.number, row.sha256)


def read_after(connection: sa.Connection, kind: EntryKind, number: int) -> tuple[Entry, ...]:
    """Entries of a kind that come after the one of this number, in order."""
    return tuple(_entry(row) for row in connection.execute(_AFTER, {"kind": kind.value, "after": number}))


def keep(connection: sa.Connection, key: ReleaseKey, kind: str, content: bytes) -> str:
    """Keep bytes about a release, once; returns their digest."""
    digest = hashlib.sha256(content).hexdigest()
    connection.execute(_KEEP, {**_place(key), "kind": kind, "sha256": digest, "content": content})
    return digest


def kept(connection: sa.Connection, key: ReleaseKey, kind: str, digest: str) -> bytes:
    """Bytes that were kept.

    Raises:
        LedgerError: They are missing, or not the ones of this digest: fails closed.
    """
    row = connection.execute(_KEPT, {**_place(key), "kind": kind}).first()
    if row is None or hashlib.sha256(row.content).hexdigest() != digest:
        raise LedgerError(
            "what the ledger kept of a release must be what was recorded",
            value=f"{key}, {kind}: missing or changed",
            remedy="Restore the ledger from a backup; drawing again would spend the budget twice.",
        )
    return bytes(row.content)


def require_chain(entries: tuple[Entry, ...]) -> None:
    """Check that each entry continues the one before.

    Raises:
        LedgerError: One does not; names its place.
    """
    previous = _GENESIS
    for number, entry in enumerate(entries, start=1):
        if entry.number != number or entry.previous != previous or entry.sha256 != _digest(entry):
            raise LedgerError(
                "each entry of the ledger must continue the chain of hashes",
                value=f"a break at entry {number}",
                remedy="Somebody changed the ledger: restore it from a backup.",
            )
        previous = entry.sha256


def _place(key: ReleaseKey) -> dict[str, Any]:
    return {"release": key.release, "period": key.period, "revision": key.revision}


def _entry(row: Any) -> Entry:
    key = ReleaseKey(row.release, row.period, row.revision)
    return Entry(row.number, row.at, _kind(row.kind), key, json.loads(row.payload), row.previous, row.sha256)


def _kind(name: str) -> EntryKind:
    try:
        return EntryKind(name)
    except ValueError:
        raise LedgerError(
            "entries of the ledger must be of kinds that this program knows",
            value=repr(name[:20]),
            remedy="A later release of the program wrote it: use that one.",
        ) from None


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "kind": entry.kind.value,
        **_place(entry.key),
        "payload": _canonical(entry.payload),
        "previous": entry.previous,
    }


def _canonical(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(entry: Entry) -> str:
    return hashlib.sha256(_canonical(_row(entry)).encode()).hexdigest()
