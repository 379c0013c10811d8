"""Tables of databases whose drivers hand over whole columns (ADBC): PostgreSQL and SQLite, streamed as Arrow.

What comes out is the same as what ``databases`` reads row by row, except where Arrow has no word for a type of
PostgreSQL: intervals, arrays, ranges, JSON, binary values and their like come as the database's own text.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Generator, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import adbc_driver_manager
import adbc_driver_manager.dbapi
import adbc_driver_postgresql.dbapi  # type: ignore[import-untyped]
import adbc_driver_sqlite.dbapi
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from pipeline.errors import SourceError
from pipeline.site import DatabaseSource
from pipeline.sources import databases
from pipeline.sources.databases import DatabaseTable, address_of, open_database, sqlite_uri, unreadable
from pipeline.sources.rows import Span

_Connection = adbc_driver_manager.dbapi.Connection
_FAILURES: Final = (adbc_driver_manager.Error, pa.ArrowException, OSError, UnicodeDecodeError)
_BATCH_BYTES: Final = 8 << 20
_BATCH_ROWS: Final = 50_000
_DAY: Final = dt.timedelta(days=1)

# Drivers of SQLAlchemy whose options are those of libpq.
_LIBPQ_DRIVERS: Final = frozenset({"postgresql", "postgresql+psycopg", "postgresql+psycopg2"})
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name"})
_TIMES: Final = frozenset({"date", "timestamp", "timestamptz"})
# Types that the driver hands over as they are; of any other the database is asked for its text.
_KNOWN: Final = _TEXTS | _TIMES | {"bool", "int2", "int4", "int8", "float4", "float8", "numeric"}
_ISO: Final = "^[[:space:]]*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]|[[:space:]]*$)"
# Beyond these an instant is one of PostgreSQL's infinities, which the driver does not tell from a number.
_YEAR_1, _YEAR_10000 = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True)
class PostgresTable:
    """A table or view of PostgreSQL whose columns and their types are known."""

    address: str = field(repr=False)
    name: str
    label: str
    place: str
    types: tuple[tuple[str, str], ...]
    rejected: Counter[str] = field(default_factory=Counter)

    @classmethod
    def open(cls, source: DatabaseSource, address: str, url: sa.URL) -> PostgresTable:
        """Connect and look up the columns; no row is read.

        Raises:
            SourceError: The database cannot be reached, or has no such table.
        """
        label = f"table {source.table} of postgresql database {Path(url.database or '').name}"
        try:
            with _reading(address) as connection, connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {_quoted_table(source.table)} LIMIT 0")
                schema = cursor.fetch_record_batch().schema
        except _FAILURES as failure:
            raise unreadable(label, failure) from None
        types = tuple((one.name, (one.metadata or {}).get(b"POSTGRESQL:type", b"").decode()) for one in schema)
        place = f"{url.set(username=None, password=None).render_as_string()} {source.table}"
        return cls(address, source.table, label, place, types)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the table has, read or not."""
        return tuple(name for name, _ in self.types)

    def batches(
        self, names: Sequence[str], typed: Set[str] = frozenset(), span: Span | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The named columns; see ``Table.batches``.

        Raises:
            SourceError: The database stops answering, or the column of the span is no time.
        """
        kinds = dict(self.types)
        chosen = ", ".join(
            _quoted(name) if kinds[name] in _KNOWN else f"CAST({_quoted(name)} AS text)" for name in names
        )
        where = f" WHERE {self._within(span)}" if span else ""
        kept = frozenset(place for place, name in enumerate(names) if name in typed)
        options = {adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
        try:
            with _reading(self.address) as connection:
                is_checked = _has_no_encoding(connection)
                with connection.cursor(adbc_stmt_kwargs=options) as cursor:
                    cursor.execute(f"SELECT {chosen} FROM {_quoted_table(self.name)}{where}")
                    for batch in cursor.fetch_record_batch():
                        decoded = _decodable(batch, self.rejected) if is_checked else batch
                        yield _plain(decoded, kept)
        except _FAILURES as failure:
            raise unreadable(self.label, failure) from None

    def _within(self, span: Span) -> str:
        """SQL: the rows of a span, by the column's own type.

        An instant is compared exactly. What has no zone of its own is read in the site's, which the database does not
        know: there a day is to spare at both ends.
        """
        column, kind = _quoted(span.column), dict(self.types)[span.column]
        if kind not in _TIMES | _TEXTS:
            raise SourceError(
                f"{self.label}: a column to look for times in must be a date, a time or text",
                value=f"{kind} in {span.column!r}",
                remedy="Read a view that has it as one, or leave changed or incremental out of the site file.",
            )
        spare = dt.timedelta() if kind == "timestamptz" else _DAY
        compared = f'{column} COLLATE "C"' if kind in _TEXTS else column
        bounds = []
        if span.start is not None:
            bounds.append(f"{compared} >= {_literal(span.start - spare, kind)}")
        if span.end is not None:
            bounds.append(f"{compared} < {_literal(span.end + spare, kind)}")
        without = f"{column} IS NULL" + (f" OR {column} !~ '{_ISO}'" if kind in _TEXTS else "")
        return f"({without} OR ({' AND '.join(bounds)}))"


@dataclass(frozen=True)
class SqliteTable:
    """A table or view of a SQLite file whose columns are known."""

    path: Path
    name: str
    label: str
    columns: tuple[str, ...]
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def place(self) -> str:
        """Which table of which file this is."""
        return f"{self.path} {self.name}"

    def batches(
        self, names: Sequence[str], typed: Set[str] = frozenset(), span: Span | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The named columns, all as text; see ``Table.batches``.

        Any value of SQLite may be of any type, and the driver settles on a column's type by its first values. So each
        column is asked for in two, whose types cannot change: its floats, and the text of everything else.

        Raises:
            SourceError: The file cannot be read to its end.
        """
        pairs = [part for name in names for part in _floats_and_texts(_quoted(name))]
        first = ", ".join(["0.5", "''"] * len(names))  # a row that tells the driver the types; not one of the table's
        where = f" WHERE {_sqlite_span(span)}" if span else ""
        query = f"SELECT {first} UNION ALL SELECT {', '.join(pairs)} FROM {_quoted_table(self.name)}{where}"
        options = {adbc_driver_sqlite.StatementOptions.BATCH_ROWS.value: str(_BATCH_ROWS)}
        skipped = 1
        try:
            with (
                adbc_driver_sqlite.dbapi.connect(sqlite_uri(self.path)) as connection,
                connection.cursor(adbc_stmt_kwargs=options) as cursor,
            ):
                cursor.executescript(f"PRAGMA busy_timeout = {1000 * databases.SQLITE_PATIENCE}")
                cursor.execute(query)
                for batch in cursor.fetch_record_batch():
                    yield _joined(_decodable(batch.slice(skipped), self.rejected))
                    skipped = 0
        except _FAILURES as failure:
            raise unreadable(self.label, failure) from None


def open_columnar(source: DatabaseSource, base: Path) -> PostgresTable | SqliteTable | DatabaseTable:
    """Open a table for reading by columns where there is a driver for that, and by rows otherwise.

    Raises:
        SourceError: The database cannot be reached, or has no such table.
    """
    engine = open_database(address_of(source), base)
    if engine.url.get_backend_name() == "sqlite":
        table = DatabaseTable.open(source, base)
        return SqliteTable(Path(engine.url.database or "").resolve(), table.name, table.label, table.columns)
    if (address := libpq_address(engine.url)) is not None:
        return PostgresTable.open(source, address, engine.url)
    return DatabaseTable.open(source, base)


def libpq_address(url: sa.URL) -> str | None:
    """The address of a PostgreSQL for libpq; it holds the password.

    Returns:
        None where it is another database, or has options that libpq does not know.
    """
    if url.drivername not in _LIBPQ_DRIVERS:
        return None
    options = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    if not _known_options() >= set(options):
        return None
    if "host" in options and "port" not in options and ":" in options["host"]:  # as SQLAlchemy writes several hosts
        pairs = [host.rpartition(":") if ":" in host else (host, "", "") for host in options["host"].split(",")]
        options |= {"host": ",".join(host for host, _, _ in pairs), "port": ",".join(port for _, _, port in pairs)}
    own = {"user": url.username, "password": url.password, "host": url.host, "port": url.port, "dbname": url.database}
    given = options | {name: str(value) for name, value in own.items() if value not in (None, "")}
    return psycopg.conninfo.make_conninfo(**given, client_encoding="UTF8")


def _known_options() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults())


@contextmanager
def _reading(address: str) -> Iterator[_Connection]:
    """A connection in a transaction that can read only."""
    with adbc_driver_postgresql.dbapi.connect(address) as connection:
        with connection.cursor() as cursor:
            cursor.executescript("SET TRANSACTION READ ONLY")
        yield connection


def _has_no_encoding(connection: _Connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_encoding')")
        return cursor.fetchone() == ("SQL_ASCII",)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted_table(name: str) -> str:
    schema, _, table = name.rpartition(".")
    return ".".join(_quoted(part) for part in (schema, table) if part)


def _literal(moment: dt.datetime, kind: str) -> str:
    moment = moment.astimezone(dt.UTC)
    if kind == "timestamptz":
        return f"TIMESTAMPTZ '{moment.isoformat()}'"
    return f"'{moment:%Y-%m-%d %H:%M:%S}'" if kind == "timestamp" else f"'{moment:%Y-%m-%d}'"


def _sqlite_span(span: Span) -> str:
    """SQL: the rows of a span, with a day to spare, and those whose column is nothing that SQLite reads as a time."""
    column = _quoted(span.column)
    day = f"julianday(trim({column}))"
    bounds = []
    if span.start is not None:
        bounds.append(f"{day} >= julianday('{_literal_day(span.start - _DAY)}')")
    if span.end is not None:
        bounds.append(f"{day} < julianday('{_literal_day(span.end + _DAY)}')")
    return f"(typeof({column}) <> 'text' OR {day} IS NULL OR ({' AND '.join(bounds)}))"


def _literal_day(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"


def _floats_and_texts(column: str) -> tuple[str, str]:
    is_float = f"typeof({column}) = 'real'"
    return f"CASE WHEN {is_float} THEN {column} END", f"CASE WHEN NOT {is_float} THEN CAST({column} AS TEXT) END"


def _joined(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Columns of text out of pairs of floats and texts."""
    floats, texts = batch.columns[::2], batch.columns[1::2]
    columns = [
        text if number.null_count == len(number) else pc.coalesce(number.cast(pa.string()), text)
        for number, text in zip(floats, texts, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=[f"c{place}" for place in range(len(columns))])


def _plain(batch: pa.RecordBatch, kept: Set[int]) -> pa.RecordBatch:
    """Columns of text, and whole numbers, dates and times as they are where these were asked for."""
    columns = [
        _sensible(column) if place in kept else _sensible(column).cast(pa.string())
        for place, column in enumerate(batch.columns)
    ]
    return pa.RecordBatch.from_arrays(columns, names=[f"c{place}" for place in range(len(columns))])


def _sensible(column: pa.Array) -> pa.Array:
    """A column without PostgreSQL's infinite dates and times, and as its storage where Arrow does not know its type."""
    if isinstance(column, pa.ExtensionArray):
        return column.storage
    if pa.types.is_timestamp(column.type):
        low, high = (pa.scalar(bound).cast(pa.timestamp("us", "UTC")) for bound in (_YEAR_1, _YEAR_10000))
        low, high = (bound.cast(column.type) for bound in (low, high))
    elif pa.types.is_date(column.type):
        low, high = (pa.scalar(bound.date()) for bound in (_YEAR_1, _YEAR_10000))
    else:
        return column
    inside = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
    if pc.all(inside).as_py() is not False:
        return column
    return pc.if_else(inside, column, pa.scalar(None, column.type))


def _decodable(batch: pa.RecordBatch, rejected: Counter[str]) -> pa.RecordBatch:
    """The rows whose text is UTF-8; the others are counted."""
    good = list(_good_parts(batch))
    count = sum(len(part) for part in good)
    rejected["encoding"] += len(batch) - count
    if count == len(batch):
        return batch
    joined = pa.Table.from_batches(good, batch.schema).combine_chunks().to_batches()
    return joined[0] if joined else batch.slice(0, 0)


def _good_parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halves of halves, until each is wholly good or a single row: few rows are bad."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        if len(batch) > 1:
            middle = len(batch) // 2
            yield from _good_parts(batch.slice(0, middle))
            yield from _good_parts(batch.slice(middle))
    else:
        yield batch
