"""What the sample's customers and orders look like."""

import collections
import csv
import datetime as dt
import re
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pycountry
import pytest

from pipeline.deidentify.customers import stage_customers
from pipeline.periods import Period
from pipeline.sample import SampleSummary
from pipeline.sample.countries import COUNTRIES
from pipeline.site import load_site
from pipeline.workspace import Workspace
from tests.staged import file_of

STATUSES = ("paid", "refunded", "failed")


@pytest.fixture(scope="session")
def customers(home: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(home / "sources" / "customers.db")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM customers")]


@pytest.fixture(scope="session")
def orders(home: Path) -> list[dict[str, str]]:
    with (home / "sources" / "orders.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_as_many_customers_as_were_asked_for(customers: list[dict[str, Any]], summary: SampleSummary) -> None:
    assert len(customers) == summary.customers == 600
    assert len({row["customer_id"] for row in customers}) == 600


def test_customers_hold_what_a_shop_knows_of_them(customers: list[dict[str, Any]]) -> None:
    assert list(customers[0]) == [
        "customer_id", "name", "email", "country", "customer_kind", "seats", "phone", "signed_up", "newsletter",
        "policy_version", "notified_version", "notified_on", "opted_out",
    ]  # fmt: skip


def test_nobody_can_be_reached(customers: list[dict[str, Any]], orders: list[dict[str, str]]) -> None:
    assert all(row["email"].endswith("@example.org") and row["email"].isascii() for row in customers)
    assert all(row["phone"].startswith("+1-202-555-01") for row in customers)
    assert {row["customer_email"] for row in orders} <= {row["email"] for row in customers}


def test_mail_addresses_are_not_shared(customers: list[dict[str, Any]]) -> None:
    assert len({row["email"] for row in customers}) == len(customers)


def test_every_country_name_is_one_that_pycountry_knows() -> None:
    assert [country.code for country in COUNTRIES] == [
        pycountry.countries.lookup(country.name).alpha_2 for country in COUNTRIES
    ]


def test_countries_have_a_mix_with_a_long_tail(customers: list[dict[str, Any]]) -> None:
    found = collections.Counter(row["country"] for row in customers)
    assert found.most_common(1)[0][0] == "United States"
    assert len(found) > 25


def test_sign_ups_grow_from_2019_to_2026(customers: list[dict[str, Any]]) -> None:
    years = collections.Counter(dt.date.fromisoformat(row["signed_up"]).year for row in customers)
    assert min(years) == 2019
    assert max(years) == 2026
    assert years[2025] > 2 * years[2020]


def test_there_are_three_orders_to_two_customers(orders: list[dict[str, str]], summary: SampleSummary) -> None:
    assert len(orders) == summary.orders == 900


def test_most_customers_order_twice_at_most_and_some_often(orders: list[dict[str, str]]) -> None:
    each = collections.Counter(row["customer_id"] for row in orders if row["customer_id"])
    assert len(each) < 500
    assert sum(1 for count in each.values() if count > 2) < 150
    assert max(each.values()) > 6


def test_orders_are_of_two_months_in_the_order_of_time(orders: list[dict[str, str]]) -> None:
    placed = [dt.datetime.fromisoformat(row["placed_at"]) for row in orders]
    assert placed == sorted(placed)
    assert {(when.year, when.month) for when in placed} == {(2026, 9), (2026, 10)}


def test_nobody_orders_before_signing_up(customers: list[dict[str, Any]], orders: list[dict[str, str]]) -> None:
    signed_up = {row["customer_id"]: row["signed_up"] for row in customers}
    assert all(row["placed_at"][:10] >= signed_up[row["customer_id"]] for row in orders if row["customer_id"])


def test_orders_hold_nothing_about_how_they_were_paid(orders: list[dict[str, str]]) -> None:
    assert list(orders[0]) == [
        "order_id", "customer_id", "customer_email", "product", "total", "currency", "status", "placed_at",
        "payment_reference",
    ]  # fmt: skip
    runs = [value for row in orders for value in row.values() if sum(map(str.isdigit, value)) > 14]
    assert runs == []  # a card has up to 19 digits; the most that is here is a time with 14


def test_totals_are_plausible_amounts_in_euros(orders: list[dict[str, str]]) -> None:
    totals = {status: [Decimal(row["total"]) for row in orders if row["status"] == status] for status in STATUSES}
    assert {row["currency"] for row in orders} == {"EUR"}
    assert all(re.fullmatch(r"-?\d+\.\d\d", row["total"]) for row in orders)
    assert all(Decimal("49.00") <= total <= Decimal("4999.00") for total in totals["paid"])
    assert all(Decimal("-4999.00") <= total <= Decimal("-49.00") for total in totals["refunded"])
    assert set(totals["failed"]) == {0}
    assert 0 < len(totals["refunded"]) < len(orders) / 20


def test_an_order_costs_its_product_times_the_seats(
    customers: list[dict[str, Any]], orders: list[dict[str, str]]
) -> None:
    seats = {row["customer_id"]: row["seats"] for row in customers}
    mobile = [row for row in orders if row["product"] == "Mobile" and row["status"] == "paid" and row["customer_id"]]
    assert mobile
    for row in mobile:
        assert Decimal(row["total"]) == min(49 * seats[row["customer_id"]], 4_999)


def test_the_totals_are_used_whole_and_no_card_is_seen_in_them(home: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(home, tmp_path / "site")
    staging = stage_customers(Workspace(copy), load_site(copy / "site.yaml"), Period.parse("2026-10"))
    assert set(staging.manifest.sources["orders"].rejected) == {"no key"}
    revenue = pq.read_table(file_of(staging.events)).column("revenue").to_pylist()
    assert min(revenue) < 0 < max(revenue) <= 499_900
