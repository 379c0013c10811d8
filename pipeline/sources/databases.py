"""Tables and views of databases that SQLAlchemy reaches, read and never written.

What is here reads any of them row by row; where a driver hands over whole columns, ``columnar`` reads faster.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections import Counter
from collections.abc import Generator, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from pipeline.errors import SourceError
from pipeline.site import DatabaseSource
from pipeline.sources.rows import Span

ROWS_A_BATCH: Final = 20_000
SQLITE_PATIENCE: Final = 5  # seconds that SQLite waits for somebody else's lock
_UNDECODABLE: Final = "\N{REPLACEMENT CHARACTER}"
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True)
class DatabaseTable:
    """A table or view whose columns are known."""

    engine: sa.Engine = field(repr=False)
    name: str
    label: str
    columns: tuple[str, ...]
    rejected: Counter[str] = field(default_factory=Counter)

    @classmethod
    def open(cls, source: DatabaseSource, base: Path) -> DatabaseTable:
        """Connect and look up the columns; no row is read.

        Raises:
            SourceError: The database cannot be reached, or has no such table.
        """
        engine = open_database(address_of(source), base)
        label = f"table {source.table} of {describe(engine)}"
        statement = sa.select(sa.text("*")).select_from(_table(source.table)).where(sa.false())
        try:
            with engine.connect() as connection:
                columns = tuple(connection.execute(statement).keys())
        except (sa.exc.SQLAlchemyError, OSError) as failure:
            raise unreadable(label, failure) from None
        return cls(engine, source.table, label, columns)

    @property
    def place(self) -> str:
        """Which table of which database this is, without credentials."""
        url = self.engine.url.set(username=None, password=None)
        return f"{url.render_as_string()} {self.name}"

    def batches(
        self, names: Sequence[str], typed: Set[str] = frozenset(), span: Span | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The named columns, all as text; see ``Table.batches``.

        Raises:
            SourceError: The database stops answering.
        """
        # Untyped on purpose: a type's own reading of a value may fail, and quote the value.
        chosen: list[sa.ColumnElement[Any]] = [
            sa.column(_quoted(name)).label(f"c{place}") for place, name in enumerate(names)
        ]
        statement = sa.select(*chosen).select_from(_table(self.name))
        if span is not None:
            statement = statement.where(_within(span))
        options = {"stream_results": True, "yield_per": ROWS_A_BATCH, "postgresql_readonly": True}
        try:
            with self.engine.connect().execution_options(**options) as connection:
                _tolerate_undecodable(connection)
                for rows in connection.execute(statement).partitions():
                    yield self._decodable(_as_text(rows, len(names)))
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError, UnicodeDecodeError) as failure:
            raise unreadable(self.label, failure) from None

    def _decodable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        broken = pa.array([False] * len(batch))
        for column in batch.columns:
            broken = pc.or_(broken, pc.fill_null(pc.match_substring(column, _UNDECODABLE), fill_value=False))
        if count := pc.sum(broken).as_py():
            self.rejected["encoding"] += count
            return batch.filter(pc.invert(broken))
        return batch


def address_of(source: DatabaseSource) -> str:
    """The SQLAlchemy address of a source, which may hold a password: of its own, or of its Airflow connection.

    Raises:
        SourceError: There is no such connection, or it is of no database that is read.
    """
    if source.connection is not None:
        from pipeline.sources.connections import database_url  # noqa: PLC0415 - needs Airflow

        return database_url(source.connection)
    assert source.url is not None
    return os.path.expandvars(source.url)


def open_database(address: str, base: Path) -> sa.Engine:
    """An engine for reading; ``$NAME`` and ``${NAME}`` in the address are taken from the environment.

    Args:
        address: SQLAlchemy URL; SQLite must name a file, which is opened read-only and never created.
        base: What a relative SQLite path is relative to.

    Raises:
        SourceError: It is no address, its driver is not installed, or the SQLite file is missing or none.
    """
    try:
        url = sa.make_url(os.path.expandvars(address))
        if url.get_backend_name() == "sqlite":
            return _sqlite(base / (url.database or ""))
        return sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)  # nothing stays open after a table
    except (sa.exc.ArgumentError, ImportError, ValueError) as failure:
        raise SourceError(
            "a database must have an SQLAlchemy address whose driver is installed",
            value=type(failure).__name__,  # the address may hold a password
            remedy="Check the address in the site file, and install the driver it names.",
        ) from None


def describe(engine: sa.Engine) -> str:
    """A database in words, without its credentials."""
    return f"{engine.url.get_backend_name()} database {Path(engine.url.database or '').name}"


def unreadable(label: str, failure: Exception) -> SourceError:
    """The error for a table that cannot be looked up or read to its end; tells the failure's kind alone."""
    state = getattr(failure, "sqlstate", None)
    kind = type(failure).__name__
    return SourceError(
        f"{label} must be there and readable",
        value=f"{kind}, SQLSTATE {state}" if state else kind,  # its message may quote a record or a password
        remedy="Check the address, the table's name and the permissions.",
    )


def _sqlite(path: Path) -> sa.Engine:
    try:
        with path.open("rb") as file:
            magic = file.read(16)
    except OSError as failure:
        raise SourceError(
            "a SQLite database must be there and readable",
            value=f"{path} ({type(failure).__name__})",
            remedy="Check the path and its permissions.",
        ) from None
    if magic != b"SQLite format 3\0":
        raise SourceError("a SQLite database must be one", value=path, remedy="Check the path in the site file.")
    return sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        creator=lambda: sqlite3.connect(sqlite_uri(path), SQLITE_PATIENCE, uri=True, check_same_thread=False),
        poolclass=sa.pool.NullPool,
        hide_parameters=True,
    )


def sqlite_uri(path: Path) -> str:
    """How SQLite is told to open a file for reading only."""
    return f"{path.resolve().as_uri()}?mode=ro"


def _tolerate_undecodable(connection: sa.Connection) -> None:
    """Let SQLite hand over text that is no UTF-8 with a mark in it, instead of failing the whole reading."""
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.dbapi_connection
        raw.text_factory = lambda stored: stored.decode("utf-8", "replace")


def _as_text(rows: Sequence[sa.Row[Any]], width: int) -> pa.RecordBatch:
    values = list(zip(*rows, strict=True)) or [()] * width
    schema = pa.schema([(f"c{place}", pa.string()) for place in range(width)])
    return pa.RecordBatch.from_arrays([_column(column) for column in values], schema=schema)


def _column(values: tuple[Any, ...]) -> pa.Array:
    try:
        found = pa.array(values)
        if pa.types.is_timestamp(found.type) and found.type.tz is not None:
            found = found.cast(pa.timestamp("us", "UTC"))
        if not pa.types.is_decimal(found.type):  # each has its own decimals: in one column all get the most of any
            return found.cast(pa.string())
    except (pa.ArrowException, OverflowError):
        pass  # of several types, as SQLite allows, or of one that Arrow does not know
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: object) -> str:
    match value:
        case bytes():
            return value.decode("utf-8", "replace")
        case float():
            return str(pa.scalar(value).cast(pa.string()))  # as a column of floats alone is written
        case Decimal():
            return f"{value:f}"
    return str(value)


def _within(span: Span) -> sa.ColumnElement[bool]:
    """Rows of a span of time, with a day to spare at both ends: databases read times without zone in their own way."""
    column: sa.ColumnElement[Any] = sa.column(_quoted(span.column))
    bounds = []
    if span.start is not None:
        bounds.append(column >= _naive(span.start - _DAY))
    if span.end is not None:
        bounds.append(column < _naive(span.end + _DAY))
    return sa.or_(column.is_(None), sa.and_(*bounds))


def _naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def _table(name: str) -> sa.TableClause:
    schema, _, table = name.rpartition(".")
    return sa.table(_quoted(table), schema=_quoted(schema) if schema else None)


def _quoted(name: str) -> sa.quoted_name:
    return sa.quoted_name(name, quote=True)
