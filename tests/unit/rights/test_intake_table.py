"""The database table of requests: read only, declared columns only, each id once."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.errors import ConfigurationError, SourceError
from pipeline.rights.intake import Collected
from pipeline.rights.request_table import collect_table
from pipeline.rights.store import RequestStore, State
from pipeline.site import SiteFile
from pipeline.workspace import Workspace
from tests import postgresql
from tests.unit.rights.asking import ADDRESS, AGENT, CUSTOMER, EMAIL, NOW, open_store, site, write_site

COLUMNS = "id, request, population, customer, email, address, agent, since, received, note"
ROWS: list[tuple[Any, ...]] = [
    ("1", "erase", "customers", CUSTOMER, None, None, None, None, None, "a secret note"),
    ("2", "opt-out", "visitors", None, None, ADDRESS, AGENT, "2026-10-01", "2026-10-05 10:00:00", None),
    ("3", "forget", "customers", None, EMAIL, None, None, None, None, None),
]


class Requests:
    """A table that somebody else writes."""

    def __init__(self, path: Path, workspace: Workspace) -> None:
        self.path, self.workspace = path, workspace
        self.run(f"CREATE TABLE requests ({COLUMNS})")

    def run(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement, values)
        connection.close()

    def add(self, *rows: tuple[Any, ...]) -> None:
        for row in rows:
            self.run(f"INSERT INTO requests VALUES ({', '.join('?' * 10)})", *row)

    @property
    def store(self) -> RequestStore:
        return open_store(self.workspace)

    def collect(self, **changes: Any) -> Collected:
        return collect_table(self.store, self.workspace, declared(**changes), NOW)


def declared(**changes: Any) -> SiteFile:
    source = {"kind": "database", "url": "sqlite:///requests.db", "table": "requests"} | changes
    return site(subject_requests={"source": source})


@pytest.fixture
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Requests:
    workspace = write_site(tmp_path / "home", monkeypatch)
    return Requests(workspace.home / "requests.db", workspace)


def test_each_row_is_a_request(requests: Requests) -> None:
    requests.add(*ROWS)
    assert requests.collect() == Collected(received=2, refused=1)
    found = {row.kind: requests.store.unseal(row) for row in requests.store.open_requests()}
    assert (found["erase"].customer, found["erase"].received) == (CUSTOMER, NOW)
    assert (found["opt-out"].address, found["opt-out"].agent) == (ADDRESS, AGENT)
    assert found["opt-out"].received == dt.datetime(2026, 10, 5, 8, tzinfo=dt.UTC)
    (refused,) = (row for row in requests.store.rows() if row.state is State.REFUSED)
    assert refused.reason.startswith("request must be one of")
    kept = requests.store.refused_fields(refused.id)[1]
    assert kept is not None
    assert kept["email"] == EMAIL
    assert "note" not in kept  # what is no field of a request is not read


def test_a_site_without_a_table_has_nothing_to_take(requests: Requests) -> None:
    assert collect_table(requests.store, requests.workspace, site(), NOW) == Collected()


def test_each_id_is_taken_once(requests: Requests) -> None:
    requests.add(*ROWS)
    requests.collect()
    assert requests.collect() == Collected()
    store = requests.store
    store.mark_applied([row.id for row in store.open_requests()], "in force", NOW)
    requests.run("UPDATE requests SET customer = 'another' WHERE id = '1'")
    assert requests.collect() == Collected()
    requests.add(("4", *ROWS[0][1:]))
    assert requests.collect() == Collected(received=1)
    assert len(store.rows()) == 4


def test_the_table_is_not_written(requests: Requests) -> None:
    requests.add(*ROWS)
    before = requests.path.read_bytes()
    requests.collect()
    assert requests.path.read_bytes() == before


def test_an_id_of_two_different_rows_loses_neither(requests: Requests) -> None:
    requests.add(ROWS[0], ("1", *ROWS[1][1:]))
    assert requests.collect() == Collected(refused=2)
    assert requests.collect() == Collected()
    assert {row.reason for row in requests.store.rows()} == {"an id must be of one row"}
    requests.run("DELETE FROM requests WHERE request = 'opt-out'")
    assert requests.collect() == Collected(received=1)


def test_a_row_that_a_view_shows_twice_is_one(requests: Requests) -> None:
    requests.add(ROWS[0], ROWS[0])
    assert requests.collect() == Collected(received=1)


def test_a_row_without_an_id_is_kept_once(requests: Requests) -> None:
    requests.add((None, *ROWS[0][1:]), ("  ", *ROWS[1][1:]))
    assert requests.collect() == Collected(refused=2)
    assert requests.collect() == Collected()


def test_numbers_are_ids_and_customers_too(requests: Requests) -> None:
    requests.add((7, "erase", "customers", 4711, None, None, None, None, None, None))
    requests.collect()
    (row,) = requests.store.open_requests()
    assert requests.store.unseal(row).customer == "4711"


@pytest.mark.parametrize("column", ["id", "request", "population"])
def test_a_column_that_is_missing_stops_with_its_name(requests: Requests, column: str) -> None:
    requests.add(*ROWS)
    requests.run(f"ALTER TABLE requests RENAME COLUMN {column} TO other")
    with pytest.raises(SourceError, match=f"something else of {column}"):
        requests.collect()


def test_columns_that_a_table_does_not_have_are_as_if_empty(requests: Requests) -> None:
    requests.run("ALTER TABLE requests DROP COLUMN email")
    requests.run("INSERT INTO requests (id, request, population, customer) VALUES ('1', 'erase', 'customer', 'x')")
    assert requests.collect() == Collected(received=1)


@pytest.mark.parametrize("changes", [{"table": "gone"}, {"url": "sqlite:///gone.db"}])
def test_a_table_that_is_gone_stops(requests: Requests, changes: dict[str, str]) -> None:
    requests.add(*ROWS)
    with pytest.raises(SourceError):
        requests.collect(**changes)
    assert requests.store.rows() == ()


def test_a_row_that_is_no_text_stops_when_the_others_are_taken(requests: Requests) -> None:
    requests.add(*ROWS)
    requests.add(("9", *ROWS[0][1:]))
    requests.run("UPDATE requests SET customer = CAST(x'ff' AS TEXT) WHERE id = '9'")
    with pytest.raises(SourceError, match="the others were taken"):
        requests.collect()
    assert len(requests.store.rows()) == 3


def test_without_the_key_nothing_is_taken(requests: Requests) -> None:
    requests.add(ROWS[0])
    requests.collect()
    requests.add(*ROWS[1:])
    requests.workspace.subject_key.unlink()
    with pytest.raises(ConfigurationError, match="key"):
        requests.collect()
    assert len(requests.store.rows()) == 1


@pytest.fixture
def asked(postgresql_server: sa.URL) -> Iterator[sa.Engine]:
    with postgresql.schema(postgresql_server) as address:
        engine = sa.create_engine(address, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE requests (id bigint, request text, population text, customer bigint, "
                "received timestamptz, since date, secret text)"
            )
        yield engine


def test_a_table_of_postgresql_is_read_by_an_airflow_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: sa.Engine
) -> None:
    workspace = write_site(tmp_path / "home", monkeypatch)
    with asked.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO requests VALUES (1, 'erase', 'customers', 4711, '2026-10-05 10:00:00+02', NULL, 'not read'), "
            "(2, 'access', 'customers', 4712, NULL, NULL, 'not read')"
        )
    url = asked.url
    extra = f'{{"options": "{url.query["options"]}"}}'
    monkeypatch.setenv(
        "AIRFLOW_CONN_REQUESTS",
        f'{{"conn_type": "postgres", "host": "{url.query["host"]}", "login": "postgres", "schema": "postgres", '
        f'"extra": {extra}}}',
    )
    by_connection = site(
        subject_requests={"source": {"kind": "database", "connection": "requests", "table": "requests"}}
    )
    store = open_store(workspace)
    assert collect_table(store, workspace, by_connection, NOW) == Collected(received=2)
    found = {row.kind: store.unseal(row) for row in store.open_requests()}
    assert (found["erase"].customer, found["access"].received) == ("4711", NOW)
    assert found["erase"].received == dt.datetime(2026, 10, 5, 8, tzinfo=dt.UTC)
