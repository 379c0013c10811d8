"""Databases read by whole columns (ADBC): the same as row by row, whatever the columns hold."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.site import DatabaseSource
from pipeline.sources.columnar import PostgresTable, SqliteTable, libpq_address, open_columnar
from pipeline.sources.databases import DatabaseTable
from pipeline.sources.rows import Span
from pipeline.sources.tables import Table, open_table

Rows = list[tuple[Any, ...]]


@pytest.fixture
def schema(postgresql_server: sa.URL) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """A schema of its own, and a connection to fill it."""
    name = f"source_{uuid4().hex}"
    with psycopg.connect(libpq_address(postgresql_server) or "", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}; SET search_path = {name}")
        yield name, connection
        connection.execute(f"DROP SCHEMA {name} CASCADE")


def source_of(url: sa.URL, table: str) -> DatabaseSource:
    return DatabaseSource(kind="database", url=url.render_as_string(hide_password=False), table=table)


def rows(table: Table | DatabaseTable, *names: str, span: Span | None = None, typed: bool = False) -> Rows:
    kept = frozenset(names) if typed else frozenset()
    batches = list(table.batches(names, kept, span))
    return [tuple(row.values()) for row in pa.Table.from_batches(batches).to_pylist()] if batches else []


SAME = {
    "smallint": ["1", "-32768"],
    "int": ["-5", "2147483647"],
    "bigint": ["9000000000", "0"],
    "real": ["0.1", "1e10", "25000"],
    "double precision": ["25000", "0.1", "1e300", "-0.5", "0.30000000000000004"],
    "numeric": ["1249.90", "0.1", "1e60", "-0.00", "12345678901234567890.123456789"],
    "numeric(10,2)": ["0.1", "1249.90", "-5"],
    "boolean": ["true", "false"],
    "text": ["'héé'", "''", "'a\nb'", "'  x '", "'\u202e'"],
    "varchar(10)": ["'x '"],
    "char(5)": ["'ab'"],
    "name": ["'nn'"],
    "date": ["'2026-03-01'", "'0001-01-01'", "'9999-12-31'"],
    "timestamp": ["'2026-03-01 10:00:00.5'", "'0100-01-01 00:00:00'"],
    "timestamptz": ["'2026-03-01 10:00:00+02'", "'2026-03-29 02:30:00 Europe/Berlin'"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    "mood": ["'happy'"],
    "posint": ["7"],
    "money": ["'12.34'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(3)": ["B'101'"],
    "point": ["'(1,2)'"],
    "oid": ["12", "4294967295"],
    "comp": ["row(1,'a')"],
}  # fmt: skip


@pytest.mark.parametrize("kind", SAME)
def test_both_ways_read_the_same_from_postgresql(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]], kind: str
) -> None:
    name, connection = schema
    connection.execute("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN posint AS int CHECK (value > 0)")
    connection.execute("CREATE TYPE comp AS (a int, b text)")
    connection.execute(f'CREATE TABLE odd (place int, "the ""value""" {kind})')
    for place, value in enumerate([*SAME[kind], "NULL"]):
        connection.execute(f"INSERT INTO odd VALUES ({place}, {value})")
    source, asked = source_of(postgresql_server, f"{name}.odd"), ("place", 'the "value"')
    fast = open_table(source, Path("/"))
    assert isinstance(fast, PostgresTable)
    read = sorted(rows(fast, *asked))
    assert read == sorted(rows(DatabaseTable.open(source, Path("/")), *asked))
    assert len(read) == len(SAME[kind]) + 1
    assert read[-1][1] is None


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("json", "'{\"a\": [1, null]}'", '{"a": [1, null]}'),
        ("jsonb", "'{\"a\":1}'", '{"a": 1}'),
        ("int[]", "'{1,2}'", "{1,2}"),
        ("text[]", "'{a,\"b c\"}'", '{a,"b c"}'),
        ("bytea", "'\\xff41'", "\\xff41"),
        ("interval", "'1 day 2 hours'", "1 day 02:00:00"),
        ("time", "'10:00'", "10:00:00"),
        ("timetz", "'10:00+02'", "10:00:00+02"),
        ("int4range", "'[1,5)'", "[1,5)"),
        ("inet", "'10.0.0.1'", "10.0.0.1/32"),
        ("tsvector", "'a b'", "'a' 'b'"),
    ],
)
def test_what_arrow_has_no_word_for_comes_as_the_databases_own_text(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]], kind: str, value: str, text: str
) -> None:
    name, connection = schema
    connection.execute(f"CREATE TABLE odd AS SELECT {value}::{kind} AS c UNION ALL SELECT NULL::{kind}")
    assert rows(open_table(source_of(postgresql_server, f"{name}.odd"), Path("/")), "c") == [(text,), (None,)]


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_an_infinite_time_is_no_time(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]], kind: str
) -> None:
    name, connection = schema
    values = "('infinity'), ('-infinity'), ('0044-03-15 BC'), ('2026-03-01')"
    connection.execute(f"CREATE TABLE odd (c {kind}); INSERT INTO odd VALUES {values}")
    table = open_table(source_of(postgresql_server, f"{name}.odd"), Path("/"))
    assert [row[0] is None for row in rows(table, "c")] == [True, True, True, False]
    assert [row[0] is None for row in rows(table, "c", typed=True)] == [True, True, True, False]


def test_numbers_and_times_keep_their_type_where_that_is_asked_for(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]]
) -> None:
    name, connection = schema
    connection.execute("CREATE TABLE odd AS SELECT 1::int AS n, now() AS t, DATE '2026-03-01' AS d, 'x'::text AS x")
    table = open_table(source_of(postgresql_server, f"{name}.odd"), Path("/"))
    typed = frozenset({"n", "t", "d", "x"})
    (batch,) = table.batches(("n", "t", "d", "x", "n"), typed)
    assert batch.schema.types == [pa.int32(), pa.timestamp("us", "UTC"), pa.date32(), pa.string(), pa.int32()]
    (batch,) = table.batches(("n", "t", "d"))
    assert set(batch.schema.types) == {pa.string()}


def test_an_empty_table_has_columns_and_no_rows(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]]
) -> None:
    name, connection = schema
    connection.execute("CREATE TABLE odd (a int, b text)")
    table = open_table(source_of(postgresql_server, f"{name}.odd"), Path("/"))
    assert table.columns == ("a", "b")
    assert rows(table, "a", "b") == []


def test_postgresql_is_read_in_a_transaction_that_can_only_read(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]]
) -> None:
    name, connection = schema
    connection.execute("CREATE TABLE seen (i int)")
    connection.execute(
        "CREATE FUNCTION sneaky() RETURNS int LANGUAGE sql AS 'INSERT INTO seen VALUES (1) RETURNING i';"
        "CREATE VIEW odd AS SELECT sneaky() AS c"
    )
    table = open_table(source_of(in_path(postgresql_server, name), "odd"), Path("/"))
    with pytest.raises(SourceError, match="must be there and readable"):
        rows(table, "c")
    assert connection.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def in_path(url: sa.URL, schema: str) -> sa.URL:
    return url.update_query_dict({"options": f"-csearch_path={schema}"})


ODD_VALUES = [
    1, -5, 2**62, 0.1, 25_000.0, 0.1 + 0.2, 1e300, "text", "", "  ", "1", "héé", None, b"bytes", b"", "2026-01-02",
    "\u202e", "a\nb", 1e16, -0.0,
]  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(columns=st.lists(st.tuples(st.sampled_from(ODD_VALUES), st.sampled_from(ODD_VALUES)), max_size=30))
def test_both_ways_read_the_same_from_sqlite(columns: list[tuple[Any, Any]], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("sqlite")
    source = sqlite(folder, columns)
    fast = open_table(source, folder)
    assert isinstance(fast, SqliteTable)
    assert rows(fast, "a", "b", "a") == rows(DatabaseTable.open(source, folder), "a", "b", "a")


def sqlite(folder: Path, columns: list[tuple[Any, Any]]) -> DatabaseSource:
    with sqlite3.connect(folder / "crm.db") as connection:
        connection.execute("CREATE TABLE people (a, b)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", columns)
    connection.close()
    return DatabaseSource(kind="database", url="sqlite:///crm.db", table="people")


def test_a_column_of_sqlite_whose_type_changes_late_is_read_to_its_end(tmp_path: Path) -> None:
    many: list[tuple[Any, Any]] = [(number, None) for number in range(120_000)]
    table = open_table(sqlite(tmp_path, [*many, ("late text", 2.5), (2.5, "later text")]), tmp_path)
    read = rows(table, "a", "b")
    assert len(read) == 120_002
    assert read[-3:] == [("119999", None), ("late text", "2.5"), ("2.5", "later text")]


SPAN = (dt.datetime(2026, 10, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 1, tzinfo=dt.UTC))


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date", "text"])
def test_a_span_asks_for_its_rows_and_for_those_without_a_date(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]], kind: str
) -> None:
    name, connection = schema
    connection.execute(f"CREATE TABLE odd (id int, placed {kind})")
    days = [
        "2026-08-01",
        "2026-10-01",
        "2026-10-31",
        "2026-12-01",
        None,
        *(["soon", " 2026-10-05"] if kind == "text" else []),
    ]
    for number, day in enumerate(days):
        connection.execute(f"INSERT INTO odd VALUES (%s, %s::{kind})", (number, day))
    table = open_table(source_of(in_path(postgresql_server, name), "odd"), Path("/"))
    found = {row[0] for row in rows(table, "id", span=Span("placed", *SPAN))}
    assert found == {"1", "2", "4"} | ({"5"} if kind == "text" else set())
    since = {row[0] for row in rows(table, "id", span=Span("placed", SPAN[0]))}
    assert since == found | {"3"}


def test_an_instant_is_compared_to_the_microsecond(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]]
) -> None:
    name, connection = schema
    moments = ["2026-10-01 01:59:59.999999+02", "2026-10-01 02:00+02", "2026-11-01 00:59:59+01", "2026-11-01 01:00+01"]
    connection.execute("CREATE TABLE odd (id int, placed timestamptz)")
    for number, moment in enumerate(moments):
        connection.execute("INSERT INTO odd VALUES (%s, %s)", (number, moment))
    table = open_table(source_of(in_path(postgresql_server, name), "odd"), Path("/"))
    assert rows(table, "id", span=Span("placed", *SPAN)) == [("1",), ("2",)]


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
@pytest.mark.parametrize("kind", ["timestamp", "date", "text"])
def test_times_without_a_zone_are_not_lost_wherever_the_site_is(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]], kind: str, zone: str
) -> None:
    name, connection = schema
    connection.execute(f"CREATE TABLE odd (id int, placed {kind})")
    for number, moment in enumerate(["2026-10-01 00:30", "2026-10-31 23:30"]):
        connection.execute(f"INSERT INTO odd VALUES (%s, %s::{kind})", (number, moment))
    bounds = [dt.datetime(2026, month, 1, tzinfo=ZoneInfo(zone)) for month in (10, 11)]
    table = open_table(source_of(in_path(postgresql_server, name), "odd"), Path("/"))
    assert rows(table, "id", span=Span("placed", *bounds)) == [("0",), ("1",)]


def test_a_span_over_a_column_that_is_no_time_is_refused(
    postgresql_server: sa.URL, schema: tuple[str, psycopg.Connection[Any]]
) -> None:
    name, connection = schema
    connection.execute("CREATE TABLE odd (id int)")
    table = open_table(source_of(in_path(postgresql_server, name), "odd"), Path("/"))
    with pytest.raises(SourceError, match="must be a date, a time or text, got int4 in 'id'"):
        rows(table, "id", span=Span("id", *SPAN))


def test_a_span_of_sqlite_leaves_out_what_is_surely_outside(tmp_path: Path) -> None:
    days = [
        "2026-08-01",
        "2026-10-01T00:00:00Z",
        " 2026-10-31 23:59",
        "2026-12-01",
        None,
        "soon",
        20_261_005,
        "2026-12-01T00:00:00+02:00",
    ]
    table = open_table(sqlite(tmp_path, list(enumerate(days))), tmp_path)
    assert [row[0] for row in rows(table, "a", span=Span("b", *SPAN))] == ["1", "2", "4", "5", "6"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://ada:s3%40cret@db.org:5433/crm",
         {"user": "ada", "password": "s3@cret", "host": "db.org", "port": "5433", "dbname": "crm"}),
        ("postgresql+psycopg://ada@/crm?host=/run/pg&sslmode=require",
         {"user": "ada", "host": "/run/pg", "dbname": "crm", "sslmode": "require"}),
        ("postgresql+psycopg2://h/crm?options=-csearch_path%3Dx",
         {"host": "h", "dbname": "crm", "options": "-csearch_path=x"}),
        ("postgresql://ada@/crm?host=a:1&host=b:2", {"user": "ada", "host": "a,b", "port": "1,2", "dbname": "crm"}),
        ("postgresql://u:it's%20%5C'q'@h/d", {"user": "u", "password": "it's \\'q'", "host": "h", "dbname": "d"}),
    ],
)  # fmt: skip
def test_an_address_of_sqlalchemy_is_told_to_libpq(address: str, told: dict[str, str]) -> None:
    found = libpq_address(sa.make_url(address))
    assert found is not None
    assert psycopg.conninfo.conninfo_to_dict(found) == {**told, "client_encoding": "UTF8"}


@pytest.mark.parametrize(
    "address", ["mysql+pymysql://h/d", "postgresql+pg8000://h/d", "postgresql://h/d?prepare_threshold=5"]
)
def test_an_address_that_libpq_cannot_be_told_is_left_to_sqlalchemy(address: str) -> None:
    assert libpq_address(sa.make_url(address)) is None


def test_no_password_shows_in_errors_or_in_what_is_printed(postgresql_server: sa.URL) -> None:
    url = postgresql_server.set(password="hunter2-secret")
    with pytest.raises(SourceError, match="table absent of postgresql database postgres must be there") as caught:
        open_table(source_of(url, "absent"), Path("/"))
    table = open_columnar(source_of(url, "pg_catalog.pg_class"), Path("/"))
    assert "hunter2" not in f"{caught.value!r} {table!r} {table.place} {table.label}"


def test_a_server_that_cannot_be_reached_is_an_error_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql://ada:hunter2-secret@/crm?host={tmp_path}"
    with pytest.raises(SourceError, match="postgresql database crm must be there") as caught:
        open_table(DatabaseSource(kind="database", url=url, table="people"), tmp_path)
    assert "hunter2" not in str(caught.value)
