"""Dimensions of customers: regions, months, ages, bands with decimals, what orders came to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg
import pycountry
import pytest
import sqlalchemy as sa

from pipeline.deidentify.countries import region_codes
from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.staging import Staging
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.sources.columnar import libpq_address
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.staged import file_of

OCTOBER = Period.parse("2026-10")
Column = dict[str, Any]
REGION: Column = {"kind": "region", "column": "raw", "countries": ["DE", "AT"]}
MONTH: Column = {"kind": "month", "column": "raw", "title": "Since", "first": "2025-11", "last": "2026-10"}
AGE: Column = {"kind": "age", "column": "raw", "edges": [18, 65]}
BAND: Column = {"kind": "band", "column": "raw", "title": "Rate", "edges": [0.5, 9.99, 20]}
YEAR: Column = {"kind": "year", "column": "raw", "title": "Year", "first": 2020, "last": 2026}


def site_of(column: Column, source: dict[str, Any], **more: Any) -> SiteFile:
    customers = {"source": source, "person": "id", "dimensions": {"told": column}, **more}
    budget = {"customers": {"epsilon": 1, "delta": 1e-6}}
    return SiteFile.model_validate(
        {"site": "Test", "time_zone": "Europe/Berlin", "customers": customers, "budget": budget}
    )


def told(staging: Staging) -> list[str]:
    with duckdb.connect() as connection:
        return [key for (key,) in connection.execute(f"SELECT told FROM '{file_of(staging.persons)}'").fetchall()]


def of_text(home: Path, column: Column, raw: str) -> str:
    (home / "people.csv").write_text(f'id,raw\n1,"{raw}"\n', "utf-8")
    (key,) = told(stage_customers(Workspace(home), site_of(column, {"kind": "csv", "path": "people.csv"}), OCTOBER))
    return key


@pytest.mark.parametrize(
    ("raw", "key"),
    [("DE-BE", "DE-BE"), ("de-by", "DE-BY"), (" Bayern ", "DE-BY"), ("WIEN", "AT-9"), ("Thuringen", "DE-TH"),
     ("FR-IDF", "other"), ("Texas", "other"), ("BE", "unknown"), ("Atlantis", "unknown"), ("", "unknown")],
)  # fmt: skip
def test_a_region_is_generalised_to_its_code(tmp_path: Path, raw: str, key: str) -> None:
    assert of_text(tmp_path, REGION, raw) == key


def test_codes_without_the_country_are_understood_where_there_is_one_country(tmp_path: Path) -> None:
    assert of_text(tmp_path, {**REGION, "countries": ["US"]}, "ca") == "US-CA"


def test_a_name_that_two_declared_countries_have_is_unknown() -> None:
    assert region_codes(["Limburg"], ("BE", "NL")) == {}
    assert region_codes(["Limburg"], ("BE",)) == {"Limburg": "BE-VLI"}


def test_every_region_is_found_by_its_code_and_is_a_key() -> None:
    countries = tuple(sorted({region.country_code for region in pycountry.subdivisions}))
    column = site_of({**REGION, "countries": countries}, {"kind": "csv", "path": "x"}).dimensions(Population.CUSTOMERS)
    codes = [region.code for region in pycountry.subdivisions]
    assert region_codes(codes, countries) == {code: code for code in codes}
    assert set(codes) <= set(column["told"].keys)


@pytest.mark.parametrize(
    ("raw", "key"),
    [("2026-10-05", "2026-10"), ("2025-11-01", "2025-11"), ("2025-10-31", "other"), ("2026-11-01", "other"),
     ("2026-02-30", "unknown"), ("05/10/2026", "unknown"), ("", "unknown"),
     ("2025-10-31T23:30:00Z", "2025-11"), ("2026-01-31 23:59:59", "2026-01")],
)  # fmt: skip
def test_of_a_date_year_and_month_are_kept(tmp_path: Path, raw: str, key: str) -> None:
    assert of_text(tmp_path, MONTH, raw) == key


@pytest.mark.parametrize(
    ("raw", "key"),
    [("2008-10-01", "18 to 64"), ("2008-10-02", "under 18"), ("1961-10-01", "65 and more"),
     ("1961-10-02", "18 to 64"), ("2026-10-01", "under 18"), ("2026-10-02", "unknown"), ("1895-01-01", "unknown"),
     ("2000-02-29", "18 to 64"), ("no date", "unknown"), ("", "unknown")],
)  # fmt: skip
def test_of_a_date_of_birth_the_age_at_the_periods_start_is_kept(tmp_path: Path, raw: str, key: str) -> None:
    assert of_text(tmp_path, AGE, raw) == key


@pytest.mark.parametrize(
    ("raw", "key"),
    [("0.49", "under 0.50"), ("0.5", "0.50 to 9.98"), ("9.98", "0.50 to 9.98"), ("9.99", "9.99 to 19.99"),
     ("19.999", "9.99 to 19.99"), ("20", "20.00 and more"), ("-3", "under 0.50"), ("nan", "unknown")],
)  # fmt: skip
def test_bands_may_have_decimals(tmp_path: Path, raw: str, key: str) -> None:
    assert of_text(tmp_path, BAND, raw) == key


@pytest.fixture
def typed(postgresql_server: sa.URL) -> Iterator[tuple[dict[str, Any], psycopg.Connection[Any]]]:
    name = f"typed_{uuid4().hex}"
    with psycopg.connect(libpq_address(postgresql_server) or "", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        connection.execute(f"SET search_path = {name}")
        url = postgresql_server.render_as_string(hide_password=False)
        yield {"kind": "database", "url": url, "table": f"{name}.people"}, connection
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (MONTH, "timestamptz", ["2025-10-31 23:30:00+00", "2026-10-31 22:59:59+00", "2026-10-31 23:00:00+00", None]),
        (MONTH, "timestamp", ["2025-11-01", "2025-10-31 23:59:59", "infinity"]),
        (MONTH, "date", ["2025-11-01", "2025-10-31", "-infinity", None]),
        (YEAR, "timestamptz", ["2020-01-01 00:30:00+01", "2019-12-31 23:30:00+00", "2019-12-31 22:30:00+00"]),
        (YEAR, "date", ["2020-01-01", "2027-01-01", None]),
        (YEAR, "int", ["2020", "20", None]),
        (AGE, "date", ["2008-10-01", "2008-10-02", "2030-01-01", None]),
        (AGE, "timestamptz", ["2008-09-30 22:00:00+00", "2008-10-01 22:00:00+00"]),
        (BAND, "int", ["0", "1", "20", None]),
        (BAND, "smallint", ["0", "10", "-1"]),
        (BAND, "bigint", ["9000000000000000000", "0"]),
        (BAND, "numeric(8,3)", ["0.499", "0.5", "9.990", None]),
        (BAND, "double precision", ["0.499", "0.5", "9.99", "NaN", "Infinity"]),
        (BAND, "date", ["2020-01-01"]),
        (REGION, "text", ["DE-BE", "nowhere", None]),
    ],
)  # fmt: skip
def test_a_typed_column_gives_the_same_keys_as_its_text(
    tmp_path: Path, typed: tuple[dict[str, Any], psycopg.Connection[Any]], column: Column, kind: str, values: list[Any]
) -> None:
    source, connection = typed
    connection.execute(f"CREATE TABLE people (id int, raw {kind})")
    for number, value in enumerate(values):
        connection.execute(f"INSERT INTO people VALUES (%s, %s::text::{kind})", (number, value))
    as_typed = told(stage_customers(Workspace(tmp_path), site_of(column, source), OCTOBER))
    connection.execute("ALTER TABLE people ALTER raw TYPE text")
    assert as_typed == told(stage_customers(Workspace(tmp_path), site_of(column, source), OCTOBER))
    assert len(as_typed) == len(values)


def with_orders(home: Path, lines: list[str], column: Column, **amount: Any) -> list[str]:
    (home / "people.csv").write_text("id,raw\n1,x\n2,x\n3,x\n", "utf-8")
    (home / "orders.csv").write_text("id,placed,item,total,currency\n" + "\n".join(lines), "utf-8")
    declared = {"column": "total", **amount}
    orders = {"source": {"kind": "csv", "path": "orders.csv"}, "person": "id", "placed": "placed", "product": "item",
              "products": ["Editor"], "amount": declared, "max_rejected_share": 1}  # fmt: skip
    site = site_of(column, {"kind": "csv", "path": "people.csv"}, orders=orders)
    staging = stage_customers(Workspace(home), site, OCTOBER)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT person, told FROM '{file_of(staging.persons)}'").fetchall()
    assert [person for person, _ in rows] == sorted(person for person, _ in rows)
    assert {key for _, key in rows} <= set(site.dimensions(Population.CUSTOMERS)["told"].keys)
    return sorted(key for _, key in rows)


VALUE: Column = {"kind": "order_value", "edges": [10, 99.5]}


def test_what_orders_came_to_is_put_into_bands(tmp_path: Path) -> None:
    lines = [
        "1,2026-10-05,Editor,5.00,",
        "1,2026-10-06,Other,4.99,",
        "2,2026-10-05,Editor,100.00,",
        "2,2026-10-07,x,-0.50,",
    ]
    found = with_orders(tmp_path, lines, VALUE, currency="EUR")
    assert found == ["99.5 and more", "none", "under 10.0"]


def test_orders_outside_the_period_and_in_other_currencies_do_not_count(tmp_path: Path) -> None:
    lines = ["1,2026-09-05,Editor,500.00,USD", "2,2026-10-05,Editor,500.00,EUR", "3,2026-10-05,Editor,0.00,USD"]
    amount = {"currency_column": "currency", "currencies": ["EUR", "USD"]}
    assert with_orders(tmp_path, lines, {**VALUE, "currency": "USD"}, **amount) == ["none", "none", "under 10.0"]


def test_edges_of_order_values_are_whole_units_of_a_currency_without_cents(tmp_path: Path) -> None:
    lines = ["1,2026-10-05,Editor,9,", "2,2026-10-05,Editor,10,", "3,2026-10-05,Editor,100,"]
    found = with_orders(tmp_path, lines, {**VALUE, "edges": [10, 100]}, currency="JPY")
    assert found == ["10 to 99", "100 and more", "under 10"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({**REGION, "countries": ["XX"]}, "with regions: 'XX'"),
        ({**REGION, "countries": []}, "at least 1"),
        ({**MONTH, "first": "2026-13"}, "written as 2026-03"),
        ({**MONTH, "first": "2026-3"}, "written as 2026-03"),
        ({**MONTH, "first": "2026-11"}, "first must not be after last"),
        ({**AGE, "edges": [65, 18]}, "must ascend"),
        ({**AGE, "edges": [0]}, "greater than or equal to 1"),
        ({**BAND, "edges": [0.5, 0.5]}, "must ascend"),
        ({**BAND, "edges": [float("nan")]}, "finite number"),
        (VALUE, "needs orders with an amount"),
    ],
)
def test_a_column_that_makes_no_sense_is_refused(column: Column, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        site_of(column, {"kind": "csv", "path": "x"})


def test_an_order_value_in_several_currencies_must_name_one_of_them(tmp_path: Path) -> None:
    amount = {"currency_column": "currency", "currencies": ["EUR", "USD"]}
    for column in (VALUE, {**VALUE, "currency": "GBP"}):
        with pytest.raises(ValueError, match="must name one of the currencies"):
            with_orders(tmp_path, [], column, **amount)


def test_numbers_of_sqlite_are_put_into_bands_whatever_their_type(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        connection.execute("CREATE TABLE people (id, raw)")
        rows = [(1, 0.25), (2, 5), (3, "9.99"), (4, 20.0), (5, None), (6, b"text")]
        connection.executemany("INSERT INTO people VALUES (?, ?)", rows)
    connection.close()
    source = {"kind": "database", "url": "sqlite:///crm.db", "table": "people"}
    found = told(stage_customers(Workspace(tmp_path), site_of(BAND, source), OCTOBER))
    expected = ["under 0.50", "0.50 to 9.98", "9.99 to 19.99", "20.00 and more", "unknown", "unknown"]
    assert sorted(found) == sorted(expected)
