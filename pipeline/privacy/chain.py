"""The ledger's rows: an append-only chain of entries, and recorded bytes beside it."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
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


# Of these a release has one at most.
ONCE: Final = frozenset({EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.PUBLISHED})


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


METADATA = sa.MetaData()
ENTRIES = sa.Table(
    "entries",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False, unique=True),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("once", sa.Text, unique=True),  # kind and release where there may be one only
)
ARTEFACTS = sa.Table(
    "artefacts",
    METADATA,
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # release | checks/<sha256>
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)


def connect(path: Path) -> sa.Engine:
    """An engine on a SQLite file, of mode 0600, whose transactions hold the write lock from their start."""
    if path.parent.is_dir():
        with contextlib.suppress(OSError):  # whoever cannot make it is told so by the first transaction
            path.touch(mode=0o600, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 60}, poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", _leave_transactions_to_us)
    sa.event.listen(engine, "begin", _lock_at_once)
    return engine


def create(connection: sa.Connection) -> None:
    """Make tables and the triggers that refuse any change of a row, where they are not there yet."""
    METADATA.create_all(connection)
    for table in (ENTRIES.name, ARTEFACTS.name):
        for change in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS {table}_keep_{change.lower()} BEFORE {change} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            )


def append(connection: sa.Connection, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> None:
    """Append one entry to the chain."""
    last = connection.execute(ENTRIES.select().order_by(ENTRIES.c.number.desc()).limit(1)).first()
    number, previous = (1, _GENESIS) if last is None else (last.number + 1, last.sha256)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    entry = Entry(number, at, kind, key, payload, previous, "")
    once = f"{kind.value}:{key}" if kind in ONCE else None
    connection.execute(ENTRIES.insert(), {**_row(entry), "sha256": _digest(entry), "once": once})


def find(connection: sa.Connection, kind: EntryKind, key: ReleaseKey) -> Entry | None:
    """The newest entry of a kind about a release."""
    columns = ENTRIES.c
    query = (
        ENTRIES.select()
        .where(columns.kind == kind.value, columns.release == key.release)
        .where(columns.period == key.period, columns.revision == key.revision)
        .order_by(columns.number.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _entry(row)


def read(connection: sa.Connection, kind: EntryKind | None = None) -> tuple[Entry, ...]:
    """Entries in order, of one kind or of all."""
    query = ENTRIES.select().order_by(ENTRIES.c.number)
    rows = connection.execute(query if kind is None else query.where(ENTRIES.c.kind == kind.value))
    return tuple(_entry(row) for row in rows)


def keep(connection: sa.Connection, key: ReleaseKey, kind: str, content: bytes) -> str:
    """Keep bytes about a release, once; returns their digest."""
    digest = hashlib.sha256(content).hexdigest()
    row = {"release": key.release, "period": key.period, "revision": key.revision, "kind": kind}
    connection.execute(ARTEFACTS.insert(), {**row, "sha256": digest, "content": content})
    return digest


def kept(connection: sa.Connection, key: ReleaseKey, kind: str, digest: str) -> bytes:
    """Bytes that were kept.

    Raises:
        LedgerError: They are missing, or not the ones of this digest: fails closed.
    """
    columns = ARTEFACTS.c
    query = (
        ARTEFACTS.select()
        .where(columns.release == key.release, columns.period == key.period)
        .where(columns.revision == key.revision, columns.kind == kind)
    )
    row = connection.execute(query).first()
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


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own


def _lock_at_once(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # check and reserve see one state


def _entry(row: Any) -> Entry:
    key = ReleaseKey(row.release, row.period, row.revision)
    return Entry(row.number, row.at, EntryKind(row.kind), key, json.loads(row.payload), row.previous, row.sha256)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "kind": entry.kind.value,
        "release": entry.key.release,
        "period": entry.key.period,
        "revision": entry.key.revision,
        "payload": _canonical(entry.payload),
        "previous": entry.previous,
    }


def _canonical(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(entry: Entry) -> str:
    return hashlib.sha256(_canonical(_row(entry)).encode()).hexdigest()
