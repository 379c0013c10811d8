"""Sources that fail while they are read: a clear error, earlier staging as it was, nothing of a record told."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from pipeline.deidentify import batches
from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.staging import load_staging
from pipeline.errors import DemographicsError, SourceError
from pipeline.periods import Period
from pipeline.site import DatabaseSource, SiteFile
from pipeline.sources.columnar import libpq_address
from pipeline.sources.databases import DatabaseTable
from pipeline.sources.tables import open_table
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.staged import contents

OCTOBER = Period.parse("2026-10")
PLANTED = "planted-zx81"
READER = "reader of a broken source"
# More than what server and client hold in their buffers.
MANY = 150_000
LONG = 200  # characters

Database = tuple[sa.URL, psycopg.Connection[Any], str]


@pytest.fixture
def database(postgresql_server: sa.URL) -> Iterator[Database]:
    """The address of a schema of its own, a connection that may do anything with it, and its name."""
    name = f"broken_{uuid4().hex}"
    with psycopg.connect(libpq_address(postgresql_server) or "", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        connection.execute(f"SET search_path = {name}")
        own = {"options": f"-csearch_path={name}", "application_name": READER}
        yield postgresql_server.update_query_dict(own), connection, name
        connection.execute(f"DROP SCHEMA {name} CASCADE")


def site_of(source: dict[str, Any]) -> SiteFile:
    dimensions = {"plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["free"]}}
    declared = {"source": source, "person": "id", "dimensions": dimensions, "max_rejected_share": 1}
    return SiteFile.model_validate(
        {"site": "Test", "customers": declared, "budget": {"customers": {"epsilon": 1, "delta": 1e-6}}}
    )


def postgresql(url: sa.URL) -> dict[str, Any]:
    return {"kind": "database", "url": url.render_as_string(hide_password=False), "table": "people"}


def fill(connection: psycopg.Connection[Any], count: int) -> None:
    connection.execute(
        f"CREATE TABLE people AS SELECT rpad('{PLANTED}-' || i, {LONG}) AS id, '{PLANTED}' AS plan "
        f"FROM generate_series(1, {count}) i"
    )


def require_stopped(home: Path, site: SiteFile, progress: Callable[..., None] | None = None) -> DemographicsError:
    """Staging stops with a source error that tells nothing, and leaves what was there."""
    workspace = Workspace(home)
    folder = workspace.staging(Population.CUSTOMERS, OCTOBER)
    before = contents(folder) if folder.exists() else None
    with pytest.raises(SourceError) as caught:
        stage_customers(workspace, site, OCTOBER, *([progress] if progress else []))
    told = "".join(traceback.format_exception(caught.value))
    assert not re.search(f"{PLANTED}|hunter2", told)
    assert caught.value.exit_code == 4
    after = contents(folder) if folder.exists() else None
    assert after == before
    assert not [path for path in home.glob("staging/customers/.*") if path.is_dir()]  # a lock may stay
    return caught.value


def staged(home: Path, site: SiteFile) -> None:
    stage_customers(Workspace(home), site, OCTOBER)
    assert load_staging(Workspace(home), Population.CUSTOMERS, OCTOBER).manifest.sources["customers"].used > 0


def after_a_batch(work: Callable[[], object]) -> Callable[..., None]:
    """Progress that does the work once, when the first rows were read."""
    done: list[object] = []

    def told(*_: object) -> None:
        if not done:
            done.append(work())

    return told


def end_readers(connection: psycopg.Connection[Any]) -> int:
    ended = connection.execute(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = %s", (READER,)
    ).fetchone()
    assert ended is not None
    assert ended[0] >= 1
    return int(ended[0])


def by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "open_table", DatabaseTable.open)


@pytest.mark.parametrize("way", ["columns", "rows"])
def test_a_server_that_ends_the_connection_in_mid_read_stops_the_stage(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    url, connection, _ = database
    site = site_of(postgresql(url))
    fill(connection, 10)
    staged(tmp_path, site)
    connection.execute("DROP TABLE people")
    fill(connection, MANY)
    if way == "rows":
        by_rows(monkeypatch)
    failure = require_stopped(tmp_path, site, after_a_batch(lambda: end_readers(connection)))
    assert "table people of postgresql database postgres" in failure.rule


def test_the_stage_works_again_when_the_database_is_back(tmp_path: Path, database: Database) -> None:
    url, connection, _ = database
    site = site_of(postgresql(url))
    fill(connection, MANY)
    require_stopped(tmp_path, site, after_a_batch(lambda: end_readers(connection)))
    staged(tmp_path, site)


RENAMED = "ALTER TABLE people RENAME TO others"
CHANGES = [RENAMED, "ALTER TABLE people DROP COLUMN plan", "DROP TABLE people", "REVOKE SELECT ON people FROM reader"]


@pytest.mark.parametrize("way", ["columns", "rows"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_changes_between_look_up_and_reading_stops_the_stage(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, way: str, change: str
) -> None:
    url, connection, schema = database
    fill(connection, 10)
    connection.execute("DROP ROLE IF EXISTS reader")
    connection.execute("CREATE ROLE reader LOGIN")
    connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO reader; GRANT SELECT ON people TO reader")
    site = site_of(postgresql(url.set(username="reader", password="hunter2")))
    staged(tmp_path, site)
    opened = DatabaseTable.open if way == "rows" else open_table

    def then_changed(source: DatabaseSource, base: Path) -> Any:
        table = opened(source, base)
        connection.execute(change)
        return table

    monkeypatch.setattr(batches, "open_table", then_changed)
    try:
        require_stopped(tmp_path, site)
    finally:
        connection.execute("DROP OWNED BY reader; DROP ROLE reader")


@pytest.mark.parametrize("way", ["columns", "rows"])
def test_a_view_that_fails_in_mid_read_stops_the_stage(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    url, connection, _ = database
    connection.execute(
        f"CREATE VIEW people AS SELECT rpad('{PLANTED}-' || i, {LONG}) AS id, (1 / ({MANY} - i))::text AS plan "
        f"FROM generate_series(1, {MANY} + 1000) i"
    )
    if way == "rows":
        by_rows(monkeypatch)
    read: list[int] = []
    require_stopped(tmp_path, site_of(postgresql(url)), lambda _, rows, __: read.append(rows))
    assert read  # it failed in the middle, not before


@pytest.mark.parametrize("way", ["columns", "rows"])
def test_what_the_database_says_of_a_value_is_not_repeated(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    url, connection, _ = database
    fill(connection, 10)
    connection.execute("ALTER TABLE people RENAME TO raw")
    connection.execute("CREATE VIEW people AS SELECT id, id::int AS plan FROM raw")  # 'invalid input syntax: "..."'
    if way == "rows":
        by_rows(monkeypatch)
    require_stopped(tmp_path, site_of(postgresql(url)))


def sqlite(home: Path, count: int = 10) -> SiteFile:
    (home / "crm.db").unlink(missing_ok=True)
    with sqlite3.connect(home / "crm.db") as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("CREATE TABLE people (id, plan)")
        rows = ((f"{PLANTED}-{number}", "free") for number in range(count))
        connection.executemany("INSERT INTO people VALUES (?, ?)", rows)
    connection.close()
    return site_of({"kind": "database", "url": "sqlite:///crm.db", "table": "people"})


def test_a_locked_sqlite_file_stops_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.databases.SQLITE_PATIENCE", 1)
    site = sqlite(tmp_path)
    staged(tmp_path, site)
    # By another process: a process's own locks do not keep it out.
    program = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "connection.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "crm.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        require_stopped(tmp_path, site)
        holder.communicate("")


def test_a_corrupt_sqlite_file_stops_the_stage(tmp_path: Path) -> None:
    site = sqlite(tmp_path)
    staged(tmp_path, site)
    sqlite(tmp_path, 20_000)
    with (tmp_path / "crm.db").open("r+b") as file:
        file.seek(30 * 4096)
        file.write(b"\xa5" * 4096 * 20)
    require_stopped(tmp_path, site)


def test_a_table_of_sqlite_that_is_renamed_stops_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = sqlite(tmp_path)

    def then_renamed(source: DatabaseSource, base: Path) -> Any:
        table = open_table(source, base)
        with sqlite3.connect(tmp_path / "crm.db") as connection:
            connection.execute(RENAMED)
        connection.close()
        return table

    monkeypatch.setattr(batches, "open_table", then_renamed)
    require_stopped(tmp_path, site)


def csv(home: Path, lines: int) -> SiteFile:
    draft = home / "draft.csv"
    draft.write_text(
        "id,plan\n" + "".join(f"{f'{PLANTED}-{number}':{LONG}},free\n" for number in range(lines)), "utf-8"
    )
    draft.replace(home / "people.csv")
    return site_of({"kind": "csv", "path": "people.csv"})


def test_a_file_that_is_cut_off_while_it_is_read_stops_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.delimited.CHUNK_BYTES", 1 << 18)  # so that little is read ahead
    staged(tmp_path, csv(tmp_path, 10))
    site = csv(tmp_path, MANY)

    def cut() -> None:
        with (tmp_path / "people.csv").open("r+b") as file:
            file.truncate(25_000_000)

    require_stopped(tmp_path, site, after_a_batch(cut))


def test_a_file_that_is_written_over_while_it_is_read_stops_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.delimited.CHUNK_BYTES", 1 << 18)  # so that little is read ahead
    site = csv(tmp_path, MANY)

    def write_over() -> None:
        with (tmp_path / "people.csv").open("r+b") as file:
            file.seek(25_000_000)
            file.write(b"x" * 1_000_000)

    require_stopped(tmp_path, site, after_a_batch(write_over))


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    site = csv(tmp_path, MANY)
    stage_customers(Workspace(tmp_path), site, OCTOBER, after_a_batch(lambda: csv(tmp_path, 10)))
    counts = load_staging(Workspace(tmp_path), Population.CUSTOMERS, OCTOBER).manifest.sources["customers"]
    assert (counts.read, counts.used) == (MANY, MANY)


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_file_that_changes_between_look_up_and_reading_stops_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    site = csv(tmp_path, 10)
    staged(tmp_path, site)

    def then_changed(source: DatabaseSource, base: Path) -> Any:
        table = open_table(source, base)
        if change == "removed":
            (tmp_path / "people.csv").unlink()
        else:
            (tmp_path / "other.csv").write_text(f"plan,id\nfree,{PLANTED}\n")
            (tmp_path / "other.csv").replace(tmp_path / "people.csv")
        return table

    monkeypatch.setattr(batches, "open_table", then_changed)
    require_stopped(tmp_path, site)


def test_a_stage_that_stops_early_lets_go_of_the_connection(tmp_path: Path, database: Database) -> None:
    url, connection, _ = database
    fill(connection, MANY)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage_customers(Workspace(tmp_path), site_of(postgresql(url)), OCTOBER, stop)
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    for _ in range(100):
        if connection.execute(asked, (READER,)).fetchone() == (0,):
            break
        time.sleep(0.05)  # the server takes its time to see that nobody listens
    assert connection.execute(asked, (READER,)).fetchone() == (0,)
