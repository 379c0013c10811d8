import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import SourceError
from pipeline.site import CsvSource, DatabaseSource
from pipeline.sources.tables import Table, open_table, require_columns

HEADER = b"id,name,plan\n"
NAMES = ("id", "plan")


def csv_table(folder: Path, content: bytes, **declared: str) -> Table:
    (folder / "people.csv").write_bytes(content)
    return open_table(CsvSource.model_validate({"kind": "csv", "path": "people.csv", **declared}), folder)


def rows(table: Table, names: tuple[str, ...] = NAMES) -> list[tuple[str | None, ...]]:
    batches = list(table.batches(names))
    return [tuple(row.values()) for row in pa.Table.from_batches(batches).to_pylist()] if batches else []


def database(folder: Path, *statements: str) -> DatabaseSource:
    with sqlite3.connect(folder / "crm.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return DatabaseSource(kind="database", url="sqlite:///crm.db", table="people")


def test_only_the_declared_columns_of_a_file_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    table = csv_table(tmp_path, HEADER + b"1,Ada,free\n2,Bob,paid\n")
    batches = list(table.batches(("plan", "id")))
    assert [batch.schema.names for batch in batches] == [["c0", "c1"]]
    assert rows(table, ("plan", "id")) == [("free", "1"), ("paid", "2")]
    assert table.columns == ("id", "name", "plan")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_any_system_and_a_byte_order_mark_are_understood(tmp_path: Path, ending: bytes) -> None:
    content = b"\xef\xbb\xbf" + (HEADER + b"1,Ada,free\n\n2,Bob,paid").replace(b"\n", ending)
    table = csv_table(tmp_path, content)
    assert table.columns[0] == "id"
    assert rows(table) == [("1", "free"), ("2", "paid")]


def test_a_quoted_value_may_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    table = csv_table(tmp_path, HEADER + b'1,"Ada, ""A""\nLovelace","fr\nee"\n2,"5"" disk",paid\n3,5" disk,paid\n')
    assert rows(table) == [("1", "fr\nee"), ("2", "paid"), ("3", "paid")]
    assert not table.rejected


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = [b"%d,name,free\n" % number for number in range(400_000)]
    lines[10] = b'10,"open,free\n'
    lines[20] = b'20,"open,free\n'
    lines[399_990] = b'399990,name,"free\n'
    table = csv_table(tmp_path, HEADER + b"".join(lines))
    assert sum(len(batch) for batch in table.batches(NAMES)) == 399_997
    assert table.rejected == {"unclosed quote": 3}


def test_ragged_lines_are_counted_and_the_others_read(tmp_path: Path) -> None:
    table = csv_table(tmp_path, HEADER + b"1,Ada,free\n2,Bob\n3,Eve,paid,extra\n4,Dan,paid\n")
    assert rows(table) == [("1", "free"), ("4", "paid")]
    assert table.rejected == {"number of columns": 2}


def test_lines_that_cannot_be_decoded_are_counted_and_the_others_read(tmp_path: Path) -> None:
    table = csv_table(tmp_path, HEADER + b"1,Ada,free\n2,Ren\xe9e,paid\n3,Eve,paid\n")
    assert rows(table) == [("1", "free"), ("3", "paid")]
    assert table.rejected == {"encoding": 1}


def test_latin_1_is_read_as_declared(tmp_path: Path) -> None:
    table = csv_table(tmp_path, HEADER + b"1,Ada,pay\xe9\n", encoding="latin-1")
    assert rows(table) == [("1", "payé")]


def test_a_line_beyond_all_measure_is_counted_and_the_others_read(tmp_path: Path) -> None:
    table = csv_table(tmp_path, HEADER + b"1,Ada,free\n2," + b"x" * 9_000_000 + b",free\n3,Eve,paid\n")
    assert rows(table) == [("1", "free"), ("3", "paid")]
    assert table.rejected == {"too long": 1}


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    assert rows(csv_table(tmp_path, HEADER)) == []


def test_a_path_with_wildcards_in_its_name_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "p[1]*.csv").write_bytes(HEADER + b"1,Ada,free\n")
    assert rows(open_table(CsvSource(kind="csv", path="p[1]*.csv"), tmp_path)) == [("1", "free")]


def test_a_wrong_delimiter_names_the_declared_column_and_never_the_header(tmp_path: Path) -> None:
    table = csv_table(tmp_path, b"ada@example.org;Ada;free\n2;Bob;paid\n")
    with pytest.raises(
        SourceError, match=r"'plan' must be there once.*no such column among the 1.*delimiter"
    ) as caught:
        require_columns(table, ("plan",), "customers")
    assert "ada" not in str(caught.value).lower()


def test_a_declared_column_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="2 columns of that name"):
        require_columns(csv_table(tmp_path, b"id,plan,plan\n"), ("plan",), "customers")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"\n \n", "empty"), (b"a\0b\n", "plain text"), (None, "readable")]
)
def test_a_file_that_is_no_table_stops_with_a_clear_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "people.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_table(CsvSource(kind="csv", path="people.csv"), tmp_path)


def test_a_database_gives_the_declared_columns_as_text_whatever_their_types(tmp_path: Path) -> None:
    source = database(
        tmp_path,
        'CREATE TABLE people (id INTEGER, "the ""plan""" TEXT, joined DATETIME)',
        "INSERT INTO people VALUES (1, 'free', '2026-01-02'), (2, NULL, 'no date'), ('x3', 7, 2026)",
    )
    table = open_table(source, tmp_path)
    assert table.columns == ("id", 'the "plan"', "joined")
    assert rows(table, ("joined", "id", 'the "plan"')) == [
        ("2026-01-02", "1", "free"),
        ("no date", "2", None),
        ("2026", "x3", "7"),
    ]


def test_a_view_can_be_read_and_its_schema_may_be_named(tmp_path: Path) -> None:
    source = database(
        tmp_path, "CREATE TABLE t (id)", "INSERT INTO t VALUES (5)", "CREATE VIEW people AS SELECT * FROM t"
    )
    assert rows(open_table(source.model_copy(update={"table": "main.people"}), tmp_path), ("id",)) == [("5",)]


def test_text_in_a_database_that_is_no_utf_8_is_counted(tmp_path: Path) -> None:
    source = database(
        tmp_path, "CREATE TABLE people (id)", "INSERT INTO people VALUES (CAST(x'ff41' AS TEXT)), ('good')"
    )
    table = open_table(source, tmp_path)
    assert rows(table, ("id",)) == [("good",)]
    assert table.rejected == {"encoding": 1}


def test_a_missing_sqlite_file_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="must be there"):
        open_table(DatabaseSource(kind="database", url="sqlite:///absent.db", table="people"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_sqlite_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "crm.db").write_text("id,plan\n")
    with pytest.raises(SourceError, match="must be one"):
        open_table(DatabaseSource(kind="database", url="sqlite:///crm.db", table="people"), tmp_path)


def test_a_sqlite_database_is_opened_for_reading_only(tmp_path: Path) -> None:
    from pipeline.sources.databases import open_database

    source = database(tmp_path, "CREATE TABLE people (id)")
    with open_database(source.url or "", tmp_path).connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("INSERT INTO people VALUES (1)")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    source = database(tmp_path, "CREATE TABLE others (id)")
    with pytest.raises(SourceError, match=r"table people of sqlite database crm\.db"):
        open_table(source, tmp_path)


@pytest.mark.parametrize(
    "address", ["no address", "oracle+absent://scott:tiger@host/db", "nothing://scott:tiger@host/db"]
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(tmp_path: Path, address: str) -> None:
    with pytest.raises(SourceError, match="SQLAlchemy address") as caught:
        open_table(DatabaseSource(kind="database", url=address, table="people"), tmp_path)
    assert "tiger" not in str(caught.value)


def test_an_address_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database(tmp_path, "CREATE TABLE people (id)", "INSERT INTO people VALUES (5)")
    monkeypatch.setenv("CRM_ADDRESS", "sqlite:///crm.db")
    source = DatabaseSource(kind="database", url="${CRM_ADDRESS}", table="people")
    assert rows(open_table(source, tmp_path), ("id",)) == [("5",)]


def test_an_address_may_come_from_an_airflow_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database(tmp_path, "CREATE TABLE people (id)", "INSERT INTO people VALUES (5)")
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f'{{"conn_type": "sqlite", "host": "{tmp_path}/crm.db"}}')
    source = DatabaseSource(kind="database", connection="crm", table="people")
    assert rows(open_table(source, Path("/")), ("id",)) == [("5",)]


@pytest.mark.parametrize("address", [{}, {"url": "sqlite:///crm.db", "connection": "crm"}])
def test_a_database_has_one_address(address: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either url or connection"):
        DatabaseSource.model_validate({"kind": "database", "table": "people", **address})
