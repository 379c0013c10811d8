"""Customers who asked to be left out or corrected are, in every reading; and e-mail addresses become second names."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.locks import held_if_free
from pipeline.deidentify.pseudonyms import PeriodKey, period_key
from pipeline.deidentify.staging import Staging, load_staging
from pipeline.deidentify.subject_key import subject_key
from pipeline.deidentify.tables import StagedTable
from pipeline.deidentify.tombstones import Tombstone, customer_handle, email_handle, put_up
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import policy_document, write_policy
from tests.staged import file_of

OCTOBER = Period.parse("2026-10")
WHO = Population.CUSTOMERS
LONG_AGO, NOW = "2020-01-01T00:00:00Z", dt.datetime.now(dt.UTC).isoformat()
PEOPLE = [("c1", "ada@example.org", "free"), ("c2", " Bob@Example.org", "paid"), ("c3", "", "free")]


def put(home: Path, rows: Iterable[tuple[str | None, ...]], changed: str = LONG_AGO) -> None:
    """Write customers: number, e-mail address, plan, and the version that they accepted, ``2024`` if left out."""
    with closing(sqlite3.connect(home / "crm.db")) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS people (id, email, plan, accepted, out, changed)")
        connection.executemany("DELETE FROM people WHERE id = ?", [(row[0],) for row in rows])
        filled = [(*row, *("2024", None)[len(row) - 3 :], changed) for row in rows]
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", filled)


def order(home: Path, *customers: str) -> None:
    lines = [f"{customer},2026-10-05,Editor" for customer in customers]
    (home / "orders.csv").write_text("\n".join(["who,day,item", *lines]), "utf-8")


def site_of(home: Path, **more: Any) -> SiteFile:
    customers: dict[str, Any] = {
        "source": {"kind": "database", "url": "sqlite:///crm.db", "table": "people"},
        "person": "id",
        "email": "email",
        "changed": "changed",
        "policy": {"accepted": "accepted", "opted_out": "out"},
        "dimensions": {"plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["free", "paid"]}},
        **more,
    }
    if (home / "orders.csv").exists():
        source = {"kind": "csv", "path": "orders.csv"}
        declared = {"person": "who", "placed": "day", "product": "item", "products": ["Editor"]}
        customers["orders"] = {"source": source, **declared}
    budget = {"customers": {"epsilon": 1, "delta": 1e-6}}
    return SiteFile.model_validate({"site": "Test", "customers": customers, "budget": budget})


def stage(home: Path, **more: Any) -> Staging:
    if not (home / "policy.yaml").exists():
        write_policy(home)
    return stage_customers(Workspace(home), site_of(home, **more), OCTOBER)


def key(home: Path) -> PeriodKey:
    return period_key(Workspace(home), WHO, OCTOBER)


def rows(table: StagedTable | None) -> dict[str, tuple[str, ...]]:
    with duckdb.connect() as connection:
        return {person: tuple(told) for person, *told in connection.execute(f"FROM '{file_of(table)}'").fetchall()}


def ask(home: Path, handle: str, **values: str) -> None:
    """Put up the tombstone of a request."""
    store = database.opened(Workspace(home).ledger)
    digest = subject_key(Workspace(home), store).digest(handle)
    with store.writing() as connection:
        put_up(connection, [Tombstone(digest, WHO, None, None, values, f"R {handle}", NOW)])


def test_no_group_of_rows_is_empty(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE[:1])
    staging = stage(tmp_path)
    for table in (staging.persons, staging.aliases):
        assert [group.num_rows for group in groups_of(file_of(table))] == [1]


def groups_of(path: Path) -> list[pq.RowGroupMetaData]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number) for number in range(metadata.num_row_groups)]


def test_an_address_becomes_a_second_name_however_it_is_written(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    staging, pseudonym = stage(tmp_path), key(tmp_path).pseudonym
    assert rows(staging.aliases) == {
        pseudonym("c1"): (pseudonym(email_handle("ADA@example.org ")),),
        pseudonym("c2"): (pseudonym(email_handle("bob@example.org")),),
    }


def test_second_names_are_in_the_order_of_pseudonyms(tmp_path: Path) -> None:
    put(tmp_path, [(f"c{n}", f"{n}@example.org", "free") for n in range(200)])
    found = [*rows(stage(tmp_path).aliases)]
    assert found == sorted(found)


def test_without_the_declaration_no_address_is_read(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    assert stage(tmp_path, email=None).aliases is None


def test_who_is_not_used_has_no_second_name(tmp_path: Path) -> None:
    put(tmp_path, [*PEOPLE, ("c4", "cleo@example.org", "free", "2024", "yes")])
    assert key(tmp_path).pseudonym("c4") not in rows(stage(tmp_path).aliases)


@pytest.mark.parametrize("handle", [customer_handle("c2"), email_handle("BOB@example.org")])
def test_who_asked_is_left_out_with_all_that_they_did(tmp_path: Path, handle: str) -> None:
    put(tmp_path, PEOPLE)
    order(tmp_path, "c1", "c2", "c2")
    ask(tmp_path, handle)
    staging, gone = stage(tmp_path), key(tmp_path).pseudonym("c2")
    for table in (staging.persons, staging.aliases, staging.events):
        assert rows(table)
        assert gone not in rows(table)
    counts = staging.manifest.sources
    assert (counts["customers"].used, counts["customers"].left_out) == (2, {AT_REQUEST: 1})
    assert (counts["orders"].used, counts["orders"].left_out) == (1, {AT_REQUEST: 2})


def test_what_somebody_corrected_is_corrected(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    ask(tmp_path, email_handle("bob@example.org"), plan="free")
    staging = stage(tmp_path)
    assert rows(staging.persons)[key(tmp_path).pseudonym("c2")] == ("2024", "free")
    assert staging.manifest.sources["customers"].used == 3


def test_who_was_left_out_by_an_address_stays_so_when_it_changes(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    ask(tmp_path, email_handle("bob@example.org"))
    stage(tmp_path)
    put(tmp_path, [("c2", "robert@example.org", "paid")], NOW)
    assert key(tmp_path).pseudonym("c2") not in rows(stage(tmp_path, changed=None).persons)


def test_who_takes_over_an_address_is_left_out_too(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    ask(tmp_path, email_handle("bob@example.org"))
    stage(tmp_path)
    put(tmp_path, [("c5", "bob@example.org", "free")], NOW)
    assert set(rows(stage(tmp_path).persons)) == {key(tmp_path).pseudonym(name) for name in ("c1", "c3")}


def test_all_who_share_an_address_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, [*PEOPLE, ("c4", "ada@example.org", "free")])
    ask(tmp_path, email_handle("ada@example.org"))
    assert len(rows(stage(tmp_path).persons)) == 2


def test_an_empty_address_is_nobodys_name(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    ask(tmp_path, email_handle(""))
    assert len(rows(stage(tmp_path).persons)) == 3


def test_a_request_of_whom_nobody_knows_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    ask(tmp_path, customer_handle("c77"))
    assert stage(tmp_path).manifest.sources["customers"].left_out == {}


def test_who_was_left_out_stays_so_in_a_reading_of_what_changed(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    ask(tmp_path, customer_handle("c2"))
    stage(tmp_path)
    put(tmp_path, [("c3", "", "paid")], NOW)
    staging = stage(tmp_path)
    counts = staging.manifest.sources["customers"]
    assert (counts.used, counts.carried, len(rows(staging.persons))) == (2, 1, 2)
    put(tmp_path, [("c2", "bob@example.org", "free")], NOW)  # is read again, and met again
    assert key(tmp_path).pseudonym("c2") not in rows(stage(tmp_path).persons)


def test_second_names_are_carried_over(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    before = rows(stage(tmp_path).aliases)
    put(tmp_path, [("c1", "ada@other.example", "free")], NOW)
    staging, pseudonym = stage(tmp_path), key(tmp_path).pseudonym
    assert staging.manifest.sources["customers"].carried == 2
    assert rows(staging.aliases) == before | {pseudonym("c1"): (pseudonym(email_handle("ada@other.example")),)}


def test_versions_are_carried_over(tmp_path: Path) -> None:
    write_policy(tmp_path)
    put(tmp_path, [("c1", "", "free", "2024"), ("c2", "", "free", "2026"), ("c3", "", "free", None)])
    stage(tmp_path)
    put(tmp_path, [("c1", "", "free", "2026")], NOW)
    staging, pseudonym = stage(tmp_path), key(tmp_path).pseudonym
    assert staging.manifest.sources["customers"].carried == 2
    told = {pseudonym("c1"): "2026", pseudonym("c2"): "2026", pseudonym("c3"): ""}
    assert {person: versions for person, (versions, _) in rows(staging.persons).items()} == told


def test_who_opts_out_is_not_carried_over(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    stage(tmp_path)
    put(tmp_path, [("c2", "bob@example.org", "paid", "2024", "2026-10-20")], NOW)
    staging = stage(tmp_path)
    assert key(tmp_path).pseudonym("c2") not in rows(staging.persons) | rows(staging.aliases)
    assert staging.manifest.sources["customers"].left_out == {"opted out": 1}


def changed_policy(**changes: Any) -> dict[str, Any]:
    document = policy_document()
    for name, value in changes.items():
        if name == "notice_days":
            document[name] = value
        else:
            document["versions"][1][name] = value
    return document


@pytest.mark.parametrize(
    "change",
    [{"notice_days": 14}, {"version": "2026b"}, {"effective": "2026-02-01"}],
    ids=lambda change: next(iter(change)),
)
def test_another_policy_reads_everything_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    put(tmp_path, PEOPLE)
    stage(tmp_path)
    assert stage(tmp_path).manifest.sources["customers"].carried == 3
    write_policy(tmp_path, changed_policy(**change))
    assert stage(tmp_path).manifest.sources["customers"].carried == 0


def test_other_words_of_the_policy_do_not(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    stage(tmp_path)
    write_policy(tmp_path, changed_policy(purposes={}))
    assert stage(tmp_path).manifest.sources["customers"].carried == 3


@pytest.mark.parametrize("more", [{"email": None}, {"policy": {"accepted": "accepted"}}])
def test_another_declaration_reads_everything_anew(tmp_path: Path, more: dict[str, Any]) -> None:
    put(tmp_path, PEOPLE)
    stage(tmp_path)
    assert stage(tmp_path, **more).manifest.sources["customers"].carried == 0


def test_second_names_that_cannot_be_read_are_read_anew(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    staging = stage(tmp_path)
    before = rows(staging.aliases)
    file_of(staging.aliases).write_bytes(b"no Parquet")
    staging = stage(tmp_path)
    assert (staging.manifest.sources["customers"].carried, rows(staging.aliases)) == (0, before)


def test_nobody_is_extracted_while_the_key_of_tombstones_is_missing(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    before = rows(stage(tmp_path).persons)
    ask(tmp_path, customer_handle("c2"))
    Workspace(tmp_path).subject_key.unlink()
    with pytest.raises(ConfigurationError, match="key"):
        stage(tmp_path)
    assert rows(load_staging(Workspace(tmp_path), WHO, OCTOBER).persons) == before


def test_no_address_is_in_what_an_error_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, PEOPLE)
    order(tmp_path, "c1")
    (tmp_path / "staging").write_text("in the way")
    with pytest.raises(StagingError) as failed:
        stage(tmp_path)
    told = "".join((str(failed.value), *capfd.readouterr()))
    assert "example.org" not in told.lower()


def test_the_periods_lock_is_held_while_it_is_read(tmp_path: Path) -> None:
    put(tmp_path, PEOPLE)
    write_policy(tmp_path)
    free = []

    def look(*_: object) -> None:
        with held_if_free(Workspace(tmp_path), WHO, OCTOBER) as is_free:
            free.append(is_free)

    stage_customers(Workspace(tmp_path), site_of(tmp_path), OCTOBER, look)
    look()
    assert (set(free[:-1]), free[-1]) == ({False}, True)
