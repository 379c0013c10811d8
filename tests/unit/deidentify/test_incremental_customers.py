"""A period that is ingested again from a database reads what changed, and is the same as if all had been read."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from pipeline.deidentify import customers as stage_module
from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.staging import SourceCounts, Staging
from pipeline.errors import RejectShareError, SourceError
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.sources.columnar import libpq_address
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.staged import file_of, folder_of

OCTOBER = Period.parse("2026-10")
LONG_AGO = "2020-01-01T00:00:00+00:00"


def now(ago: dt.timedelta = dt.timedelta()) -> str:
    return (dt.datetime.now(dt.UTC) - ago).isoformat()


class Crm:
    """A table of people in a database of either kind."""

    def __init__(self, run: Any, source: dict[str, Any]) -> None:
        self.run, self.source = run, source

    def put(self, number: int, plan: str, changed: str | None, since: str = "2026-01-01") -> None:
        self.run(f"DELETE FROM people WHERE id = {number}")
        told = f"'{changed}'" if changed else "NULL"
        self.run(f"INSERT INTO people VALUES ({number}, '{plan}', '{since}', {told})")


@pytest.fixture(params=["postgresql", "sqlite"])
def crm(request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: sa.URL) -> Iterator[Crm]:
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "crm.db", isolation_level=None) as connection:
            connection.execute("CREATE TABLE people (id INTEGER, plan TEXT, since TEXT, changed TEXT)")
            yield Crm(connection.execute, {"kind": "database", "url": "sqlite:///crm.db", "table": "people"})
        connection.close()
        return
    name = f"changing_{uuid4().hex}"
    with psycopg.connect(libpq_address(postgresql_server) or "", autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {name}")
        server.execute(f"SET search_path = {name}")
        server.execute("CREATE TABLE people (id int, plan text, since date, changed timestamptz)")
        url = postgresql_server.render_as_string(hide_password=False)
        yield Crm(server.execute, {"kind": "database", "url": url, "table": f"{name}.people"})
        server.execute(f"DROP SCHEMA {name} CASCADE")


def site_of(crm: Crm, **more: Any) -> SiteFile:
    dimensions = {"plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["free", "paid"]}}
    declared = {"source": crm.source, "person": "id", "signed_up": "since", "changed": "changed"}
    customers = {**declared, "dimensions": dimensions, "max_rejected_share": 1, **more}
    budget = {"customers": {"epsilon": 1, "delta": 1e-6}}
    return SiteFile.model_validate({"site": "Test", "customers": customers, "budget": budget})


def persons(staging: Staging) -> list[tuple[str, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(f"FROM '{file_of(staging.persons)}'").fetchall()


def counts(staging: Staging) -> SourceCounts:
    return staging.manifest.sources["customers"]


def again(home: Path, site: SiteFile) -> tuple[Staging, list[tuple[str, ...]]]:
    """Staging that goes on from what is there, and the rows that reading everything anew has."""
    staging = stage_customers(Workspace(home), site, OCTOBER)
    without = site.model_dump(mode="json")
    without["customers"]["changed"] = None
    anew = persons(stage_customers_elsewhere(home, SiteFile.model_validate(without)))
    return staging, anew


def stage_customers_elsewhere(home: Path, site: SiteFile) -> Staging:
    """The same pseudonyms, in another folder."""
    other = home / "other"
    (other / "keys").mkdir(parents=True, exist_ok=True)
    key = Workspace(home).period_key(Population.CUSTOMERS, OCTOBER)
    copy = Workspace(other).period_key(Population.CUSTOMERS, OCTOBER)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    if (home / "crm.db").exists():
        (other / "crm.db").write_bytes((home / "crm.db").read_bytes())
    return stage_customers(Workspace(other), site, OCTOBER)


def test_what_did_not_change_is_carried_over_and_the_rest_is_read(tmp_path: Path, crm: Crm) -> None:
    for number in range(10):
        crm.put(number, "free", LONG_AGO)
    first = stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    assert (counts(first).read, counts(first).carried) == (10, 0)
    crm.put(3, "paid", now())
    crm.put(11, "paid", now())
    second, anew = again(tmp_path, site_of(crm))
    assert counts(second) == SourceCounts(read=11, used=11, left_out={}, rejected={}, carried=9)
    assert persons(second) == anew
    assert sorted(plan for *_, plan in persons(second)) == ["free"] * 9 + ["paid"] * 2


def test_a_customer_who_is_no_longer_of_the_period_leaves(tmp_path: Path, crm: Crm) -> None:
    for number in range(4):
        crm.put(number, "free", LONG_AGO)
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    crm.put(1, "free", now(), since="2026-11-02")
    staging, anew = again(tmp_path, site_of(crm))
    assert counts(staging) == SourceCounts(read=4, used=3, left_out={"signed up later": 1}, rejected={}, carried=3)
    assert persons(staging) == anew


def test_a_row_that_cannot_be_used_any_more_leaves_and_is_counted(tmp_path: Path, crm: Crm) -> None:
    for number in range(4):
        crm.put(number, "free", LONG_AGO)
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    crm.put(1, "free", now())
    crm.put(2, "paid", now())
    crm.run(f"INSERT INTO people VALUES (2, 'free', '2026-01-01', '{now()}')")
    staging, anew = again(tmp_path, site_of(crm))
    assert counts(staging).rejected == {"repeated key": 1}
    assert (counts(staging).read, counts(staging).used, counts(staging).carried) == (5, 4, 2)
    assert persons(staging) == anew


def test_a_row_that_does_not_say_when_it_changed_is_read_every_time(tmp_path: Path, crm: Crm) -> None:
    crm.put(1, "free", LONG_AGO)
    crm.put(2, "free", None)
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    crm.put(2, "paid", None)
    staging, anew = again(tmp_path, site_of(crm))
    assert counts(staging).carried == 1
    assert persons(staging) == anew


def test_what_changed_within_an_hour_before_the_earlier_reading_is_read_again(tmp_path: Path, crm: Crm) -> None:
    crm.put(1, "free", now(dt.timedelta(minutes=50)))
    crm.put(2, "free", now(dt.timedelta(days=3)))
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    crm.put(1, "paid", now(dt.timedelta(minutes=50)))  # by a clock that is late
    staging, anew = again(tmp_path, site_of(crm))
    assert counts(staging).carried == 1
    assert persons(staging) == anew


def test_a_deleted_row_stays_until_the_period_is_read_in_full(tmp_path: Path, crm: Crm) -> None:
    crm.put(1, "free", LONG_AGO)
    crm.put(2, "free", LONG_AGO)
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    crm.run("DELETE FROM people WHERE id = 2")
    assert counts(stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)).used == 2
    assert counts(stage_customers(Workspace(tmp_path), site_of(crm, changed=None), OCTOBER)).used == 1


CHANGES: list[dict[str, Any]] = [
    {"dimensions": {"plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["free"]}}},
    {"signed_up": None},
    {"period": "month", "person": "plan"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_another_declaration_is_read_in_full(tmp_path: Path, crm: Crm, change: dict[str, Any]) -> None:
    for number in range(3):
        crm.put(number, f"plan {number}", LONG_AGO)
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    changed = stage_customers(Workspace(tmp_path), site_of(crm, **change), OCTOBER)
    assert (counts(changed).carried, counts(changed).read) == (0, 3)


@pytest.mark.parametrize("change", ["zone", "program", "key", "source"])
def test_another_zone_program_key_or_source_is_read_in_full(
    tmp_path: Path, crm: Crm, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    crm.put(1, "free", LONG_AGO)
    site = site_of(crm)
    stage_customers(Workspace(tmp_path), site, OCTOBER)
    if change == "zone":
        site = site.model_copy(update={"time_zone": "Europe/Berlin"})
    elif change == "program":
        monkeypatch.setattr(stage_module, "__version__", "another")
    elif change == "key":
        Workspace(tmp_path).period_key(Population.CUSTOMERS, OCTOBER).unlink()
    else:
        schema = crm.source["table"].rpartition(".")[0]
        other = f"{schema}.others" if schema else "others"
        crm.run(f"CREATE VIEW {other} AS SELECT * FROM {crm.source['table']}")
        site = site_of(Crm(crm.run, {**crm.source, "table": other}))
    assert counts(stage_customers(Workspace(tmp_path), site, OCTOBER)).carried == 0


@pytest.mark.parametrize("name", ["persons", "manifest.json"])
def test_earlier_staging_that_cannot_be_read_is_made_anew(tmp_path: Path, crm: Crm, name: str) -> None:
    crm.put(1, "free", LONG_AGO)
    first = stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    path = file_of(first.persons) if name == "persons" else folder_of(first) / name
    path.write_bytes(b"broken")
    assert counts(stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)).carried == 0


def test_a_period_is_read_in_full_the_first_time(tmp_path: Path, crm: Crm) -> None:
    crm.put(1, "free", LONG_AGO)
    stage_customers(Workspace(tmp_path), site_of(crm), OCTOBER)
    november = stage_customers(Workspace(tmp_path), site_of(crm), Period.parse("2026-11"))
    assert (counts(november).read, counts(november).carried) == (1, 0)


def test_the_share_of_rejects_is_of_the_rows_that_were_read(tmp_path: Path, crm: Crm) -> None:
    for number in range(50):
        crm.put(number, "free", LONG_AGO)
    site = site_of(crm, max_rejected_share=0.1)
    first = stage_customers(Workspace(tmp_path), site, OCTOBER)
    for number in range(2):
        crm.run(f"INSERT INTO people VALUES (NULL, 'free', '2026-01-0{number + 1}', '{now()}')")
    with pytest.raises(RejectShareError, match="no key 2"):
        stage_customers(Workspace(tmp_path), site, OCTOBER)
    assert persons(first)


def test_a_column_of_changes_must_be_there(tmp_path: Path, crm: Crm) -> None:
    crm.put(1, "free", LONG_AGO)
    with pytest.raises(SourceError, match="'touched' must be there once"):
        stage_customers(Workspace(tmp_path), site_of(crm, changed="touched"), OCTOBER)


def test_changes_are_for_databases_alone(crm: Crm) -> None:
    with pytest.raises(ValueError, match="changed is for databases"):
        site_of(Crm(crm.run, {"kind": "csv", "path": "people.csv"}))


def orders_of(crm: Crm, **more: Any) -> dict[str, Any]:
    schema = crm.source["table"].rpartition(".")[0]
    source = {**crm.source, "table": f"{schema}.orders" if schema else "orders"}
    return {"source": source, "person": "id", "placed": "placed", "product": "item", "products": ["Editor"],
            "max_rejected_share": 1, **more}  # fmt: skip


def test_orders_are_asked_for_by_period_and_those_without_a_date_are_counted(tmp_path: Path, crm: Crm) -> None:
    crm.put(1, "free", LONG_AGO)
    kind = "text" if crm.source["table"] == "people" else "timestamptz"
    crm.run(f"CREATE TABLE orders (id int, placed {kind}, item text)")
    for day in ("2025-01-05", "2026-10-01", "2026-10-31 23:59:59", "2027-01-05"):
        crm.run(f"INSERT INTO orders VALUES (1, '{day}', 'Editor')")
    crm.run("INSERT INTO orders VALUES (1, NULL, 'Editor')")
    asked = stage_customers(Workspace(tmp_path), site_of(crm, orders=orders_of(crm, incremental=True)), OCTOBER)
    in_full = stage_customers(Workspace(tmp_path), site_of(crm, orders=orders_of(crm)), OCTOBER)
    assert in_full.manifest.sources["orders"].left_out == {"outside the period": 2}
    assert asked.manifest.sources["orders"] == SourceCounts(read=3, used=2, left_out={}, rejected={"date": 1})


def test_orders_in_a_file_are_read_in_full(crm: Crm) -> None:
    source = {"kind": "csv", "path": "orders.csv"}
    with pytest.raises(ValueError, match="incremental is for databases"):
        site_of(crm, orders=orders_of(crm, incremental=True) | {"source": source})
