"""The ledger's tables as lines of JSON, the same from SQLite and from PostgreSQL: from either into either.

A piece of a table is a line with the names of its columns, and a line a row; its name tells the version of the tables.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from pipeline.errors import LedgerError, RecoveryError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.recovery.archive import LEDGER, Member
from pipeline.recovery.sealing import altered

# Who is logged in is not restored: whoever logged out since would be in again.
LEFT_OUT: Final = frozenset({"reviewer_sessions", "recipient_sessions"})
_VERSIONS: Final = "alembic_version"
_PIECE: Final = 1 << 22  # bytes of a piece, at least; one row is never divided
_AT_ONCE: Final = 16  # rows that are fetched together
_BYTES: Final = "base64"


@contextmanager
def snapshot(store: Database) -> Iterator[sa.Connection]:
    """One state of the database, however long it is read, whoever writes meanwhile.

    Of SQLite every transaction that reads sees one state, and writers wait for its end; PostgreSQL keeps one for it.
    """
    with store.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


def tables_of(connection: sa.Connection) -> dict[str, sa.Table]:
    """The tables that are backed up, by name."""
    found = sa.MetaData()
    found.reflect(connection)
    names = sorted(set(found.tables) - LEFT_OUT - {_VERSIONS})
    return {name: found.tables[name] for name in names}


def pieces(connection: sa.Connection, rows: dict[str, int]) -> Iterator[Member]:
    """All rows of all tables, piece by piece.

    Args:
        connection: In a snapshot.
        rows: Filled with the number of rows by table.
    """
    for name, table in tables_of(connection).items():
        rows[name] = 0
        for number, (count, content) in enumerate(_pieces_of(connection, table), start=1):
            rows[name] += count
            yield f"{LEDGER}{database.VERSIONS[-1]}/{name}/{number:06}.jsonl", content


def _pieces_of(connection: sa.Connection, table: sa.Table) -> Iterator[tuple[int, bytes]]:
    head = _line([column.name for column in table.columns])
    count, lines, size = 0, [head], 0
    query = sa.select(table).order_by(*table.primary_key.columns)
    for row in connection.execute(query, execution_options={"yield_per": _AT_ONCE}):
        lines.append(_line([_plain(value) for value in row]))
        count, size = count + 1, size + len(lines[-1])
        if size >= _PIECE:
            yield count, b"".join(lines)
            count, lines, size = 0, [head], 0
    if count or len(lines) == 1:
        yield count, b"".join(lines)


def put(connection: sa.Connection, tables: dict[str, sa.Table], member: Member) -> None:
    """Write the rows of a piece into their table.

    Raises:
        RecoveryError: It is no piece of these tables.
    """
    name, content = member
    try:
        table = tables[name.split("/")[2]]
        columns, *rows = (json.loads(line) for line in content.splitlines())
        names = table.columns.keys()
        if columns != names:
            raise altered(name)
        insert(connection, table, [dict(zip(names, map(_value, values), strict=True)) for values in rows])
    except (ValueError, LookupError, TypeError, sa.exc.StatementError):
        raise altered(name) from None


def version_in(name: str) -> str:
    """The version of the tables that a piece is of.

    Raises:
        RecoveryError: A later program made it.
    """
    version = name.split("/")[1]
    if version in database.VERSIONS:
        return version
    raise RecoveryError(
        f"the ledger in a backup must be of a version that this program knows, {database.VERSIONS[-1]} or earlier",
        value=repr(version[:20]),
        remedy="Restore it with the version of the program that made it, or a later one.",
    )


def insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Write rows into a table."""
    if rows:
        connection.execute(table.insert(), rows)


def require_room(source: Database, target: Database) -> None:
    """Refuse to restore into a ledger that holds anything else than what is restored.

    Raises:
        LedgerError: It does, or it cannot be reached.
    """
    with source.reading() as found, target.reading() as into:
        if not is_empty(into):
            _require_same(found, into, target.name)


def copy(source: Database, target: Database) -> None:
    """Write all rows of a ledger into an empty one, in one transaction: all of them or none.

    A target that holds these very rows already is left as it is.

    Args:
        source: Up to date.
        target: Likewise, or without tables.

    Raises:
        LedgerError: The target holds something else.
    """
    database.bring_up_to_date(target)
    with source.reading() as found, target.writing() as into:
        if not is_empty(into):
            _require_same(found, into, target.name)
            return
        targets = tables_of(into)
        for name, table in tables_of(found).items():
            query = sa.select(table)
            for part in found.execute(query, execution_options={"yield_per": _AT_ONCE}).partitions():
                insert(into, targets[name], [dict(row._mapping) for row in part])


def is_empty(connection: sa.Connection) -> bool:
    """Whether no table holds a row, or there is none."""
    return not any(connection.execute(sa.select(table).limit(1)).first() for table in tables_of(connection).values())


def _require_same(found: sa.Connection, into: sa.Connection, name: str) -> None:
    if any(one != other for one, other in itertools.zip_longest(pieces(found, {}), pieces(into, {}))):
        raise occupied(name)


def occupied(name: str) -> LedgerError:
    """The error of a ledger that is not empty."""
    return LedgerError(
        "a backup is restored into an empty ledger only",
        value=f"rows in {name}",
        remedy="Name another database in DEMOGRAPHICS_LEDGER, or move this one away; nothing was restored.",
    )


def _line(values: list[Any]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {_BYTES: base64.b64encode(value).decode()}
    assert value is None or isinstance(value, int | str), type(value)
    return value


def _value(value: Any) -> Any:
    return base64.b64decode(value[_BYTES]) if isinstance(value, dict) else value
