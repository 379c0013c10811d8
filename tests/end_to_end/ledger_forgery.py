"""What somebody may do who reaches the ledger's database and knows how its chain is made, but has no reviewer's key."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.privacy import chain, database
from pipeline.privacy.chain import EntryKind
from pipeline.spec import ReleaseKey

_COLUMNS = ("number", "at", "kind", "release", "period", "revision", "payload", "previous")


def write_entry(ledger: Path, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> None:
    """Append an entry that continues the chain as it should."""
    with database.opened(ledger).writing() as connection:
        chain.append(connection, kind, key, payload)


@contextlib.contextmanager
def opened_up(ledger: Path) -> Iterator[sqlite3.Connection]:
    """The database without its triggers against changes; put back as it was afterwards."""
    working = sqlite3.connect(ledger, timeout=30, isolation_level=None)
    with contextlib.closing(working) as connection, contextlib.closing(sqlite3.connect(":memory:")) as before:
        connection.backup(before)
        try:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f'DROP TRIGGER "{name}"')
            yield connection
        finally:
            before.backup(connection)


@contextlib.contextmanager
def unseen(head: Path) -> Iterator[None]:
    """A site that has never seen its ledger: without the file that says how far it had come; put back afterwards."""
    content = head.read_bytes()
    head.unlink()
    try:
        yield
    finally:
        head.write_bytes(content)


def change_artefact(connection: sqlite3.Connection, key: ReleaseKey, old: bytes, new: bytes) -> str:
    """Change the recorded tables of a release; the digest of what they are now."""
    place = [key.release, key.period, key.revision]
    where = "release = ? AND period = ? AND revision = ? AND kind = 'release'"
    (content,) = connection.execute(f"SELECT content FROM artefacts WHERE {where}", place).fetchone()
    assert old in content
    changed = content.replace(old, new)
    digest = hashlib.sha256(changed).hexdigest()
    connection.execute(f"UPDATE artefacts SET content = ?, sha256 = ? WHERE {where}", [changed, digest, *place])
    return digest


def change_draw(connection: sqlite3.Connection, key: ReleaseKey, digest: str) -> None:
    """Let the ledger say that these tables were drawn, and make the whole chain anew, so that it holds."""
    place = [key.release, key.period, key.revision]
    where = "release = ? AND period = ? AND revision = ? AND kind = 'drawn'"
    (payload,) = connection.execute(f"SELECT payload FROM entries WHERE {where}", place).fetchone()
    said = _canonical(json.loads(payload) | {"artefact_sha256": digest})
    connection.execute(f"UPDATE entries SET payload = ? WHERE {where}", [said, *place])
    previous = "0" * 64
    for row in connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM entries ORDER BY number").fetchall():
        entry = dict(zip(_COLUMNS, row, strict=True)) | {"previous": previous}
        sha256 = hashlib.sha256(_canonical(entry).encode()).hexdigest()
        values = [previous, sha256, entry["number"]]
        connection.execute("UPDATE entries SET previous = ?, sha256 = ? WHERE number = ?", values)
        previous = sha256


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
