"""Amounts of orders: whole numbers of the smallest unit, exactly, or rejected and counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.staging import Staging
from pipeline.errors import PaymentDataError, RejectShareError
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.staged import file_of

OCTOBER = Period.parse("2026-10")
EUROS = {"column": "total", "currency": "EUR"}
FILE = {"kind": "csv", "path": "orders.csv", "delimiter": ";"}


def site_of(amount: Mapping[str, Any] | None, orders: Mapping[str, Any] = FILE, share: float = 1.0) -> SiteFile:
    declared: dict[str, Any] = {
        "source": orders,
        "person": "customer",
        "placed": "placed",
        "product": "item",
        "products": ["Editor"],
        "max_rejected_share": share,
    }
    customers = {
        "source": {"kind": "csv", "path": "customers.csv"},
        "person": "id",
        "dimensions": {"country": {"kind": "country", "column": "country"}},
        "orders": declared | ({"amount": amount} if amount else {}),
    }
    return SiteFile.model_validate(
        {"site": "Test", "budget": {"customers": {"epsilon": 1, "delta": 1e-6}}, "customers": customers}
    )


def stage(home: Path, totals: Iterable[str], site: SiteFile) -> Staging:
    (home / "customers.csv").write_text("id,country\n1,DE\n", "utf-8")
    lines = [f"1;2026-10-05;Editor;{total}" for total in totals]
    (home / "orders.csv").write_text("\n".join(["customer;placed;item;total", *lines]), "utf-8")
    return stage_customers(Workspace(home), site, OCTOBER)


def revenue(staging: Staging) -> list[int]:
    found: list[int] = pq.read_table(file_of(staging.events)).column("revenue").to_pylist()
    return found


@pytest.mark.parametrize(
    ("decimals", "raw", "units"),
    [
        (2, "0.10", 10),
        (2, "0.29", 29),  # 28 where a float is multiplied by 100 and cut off
        (2, "1.15", 115),  # 114 likewise
        (2, "4503599627.37", 450_359_962_737),
        (2, "1249.9", 124_990),
        (2, " +49 ", 4_900),
        (2, "-19.99", -1_999),
        (2, "-0.00", 0),
        (2, "000049.00", 4_900),
        (0, "980", 980),
        (3, "1.005", 1_005),
        (2, "10000000000.00", 10**12),
        (2, "-10000000000", -(10**12)),
        (0, "1000000000000", 10**12),
    ],
)
def test_an_amount_becomes_a_whole_number_exactly(tmp_path: Path, decimals: int, raw: str, units: int) -> None:
    staging = stage(tmp_path, [raw], site_of({**EUROS, "decimals": decimals}))
    assert revenue(staging) == [units]


@pytest.mark.parametrize(
    ("decimals", "raw"),
    [
        (2, "1.005"),
        (2, "1.000"),  # a thousand to many
        (2, "0.30000000000000004"),
        (0, "980.0"),
        (2, "10000000000.01"),
        (2, "-10000000000.01"),
        (3, "1000000000.001"),
        (2, "9" * 400),
        (2, ""),
        (2, "   "),
        (2, "EUR 5"),
        (2, "5 €"),
        (2, "1,50"),
        (2, "1,249.90"),
        (2, "1e3"),
        (2, "nan"),
        (2, "inf"),
        (2, "0x10"),
        (2, "1."),
        (2, ".5"),
        (2, "--5"),
        (2, "١٢"),
        (2, "999999999999999.99"),
        (3, "-999999999999999.999"),
        (2, "5) OR (1 = 1"),
    ],
)
def test_what_is_no_amount_as_declared_is_rejected_and_counted(tmp_path: Path, decimals: int, raw: str) -> None:
    staging = stage(tmp_path, ["49.00" if decimals else "49", raw], site_of({**EUROS, "decimals": decimals}))
    counts = staging.manifest.sources["orders"]
    assert (counts.read, counts.used, counts.rejected) == (2, 1, {"amount": 1})
    assert revenue(staging) == [49 * 10**decimals]


def test_a_row_with_several_faults_is_counted_under_the_first(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id,country\n1,DE\n", "utf-8")
    lines = ["customer;placed;item;total", ";2026-10-05;Editor;x", "1;never;Editor;x", "1;2026-09-01;Editor;x",
             "9;2026-10-05;Editor;x", "9;2026-10-05;Editor;1"]  # fmt: skip
    (tmp_path / "orders.csv").write_text("\n".join(lines), "utf-8")
    counts = stage_customers(Workspace(tmp_path), site_of(EUROS), OCTOBER).manifest.sources["orders"]
    assert counts.rejected == {"amount": 1, "date": 1, "no key": 1}
    assert counts.left_out == {"no such customer": 1, "outside the period": 1}


def test_refunds_are_kept_as_negative_amounts(tmp_path: Path) -> None:
    assert sorted(revenue(stage(tmp_path, ["99.90", "-99.90", "0.00"], site_of(EUROS)))) == [-9_990, 0, 9_990]


def test_revenue_stands_beside_person_and_product_as_a_whole_number(tmp_path: Path) -> None:
    schema = pq.read_schema(file_of(stage(tmp_path, ["49.00"], site_of(EUROS)).events))
    assert schema.names == ["person", "product", "revenue"]
    assert schema.types == [pa.string(), pa.string(), pa.int64()]


def test_an_amount_that_is_not_declared_is_not_read(tmp_path: Path) -> None:
    staging = stage(tmp_path, ["not a number", "49.00"], site_of(None))
    assert pq.read_schema(file_of(staging.events)).names == ["person", "product"]
    assert staging.manifest.sources["orders"].used == 2


def test_too_many_unusable_amounts_stop_without_telling_one(tmp_path: Path) -> None:
    with pytest.raises(RejectShareError, match=r"orders: .*amount 2") as caught:
        stage(tmp_path, ["49.00", "31415.926", "27182,81"], site_of(EUROS, share=0.1))
    told = "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__context__)))
    assert not any(part in told for part in ("31415", "27182", "49.00"))
    assert not Workspace(tmp_path).staging(Population.CUSTOMERS, OCTOBER).exists()


@pytest.mark.parametrize("kind", ["REAL", "NUMERIC", "TEXT", "INTEGER"])
def test_amounts_of_a_database_are_exact_whatever_the_columns_type(tmp_path: Path, kind: str) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(f"CREATE TABLE orders (customer, placed TEXT, item TEXT, total {kind})")
        rows = [("2026-10-05", total) for total in ("0.29", "1249.9", "-19.99", "49")]
        connection.executemany("INSERT INTO orders VALUES (1, ?, 'Editor', ?)", rows)
        connection.execute("INSERT INTO orders VALUES (1, '2026-10-05', 'Editor', NULL)")
        connection.execute("INSERT INTO orders VALUES (1, '2026-10-05', 'Editor', 0.1 + 0.2)")
    connection.close()
    source = {"kind": "database", "url": "sqlite:///shop.db", "table": "orders"}
    staging = stage(tmp_path, [], site_of(EUROS, source))
    counts = staging.manifest.sources["orders"]
    # SQLite writes the sum of the last row into a TEXT column with fewer digits: 0.3.
    assert counts.rejected == {"amount": 1 if kind == "TEXT" else 2}
    assert sorted(revenue(staging)) == sorted([29, 124_990, -1_999, 4_900, *([30] if kind == "TEXT" else [])])


def test_card_numbers_in_the_column_of_amounts_are_refused(tmp_path: Path) -> None:
    cards = ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "3530111333300000"]
    with pytest.raises(PaymentDataError, match="'total'"):
        stage(tmp_path, cards, site_of(EUROS))
    assert not Workspace(tmp_path).staging(Population.CUSTOMERS, OCTOBER).exists()


def test_amounts_as_a_computer_writes_them_are_not_mistaken_for_cards(tmp_path: Path) -> None:
    # Without their point, these are numbers of a scheme that pass its check.
    totals = ["41.11111111111111", "55.55555555554444", "49.00"]
    assert revenue(stage(tmp_path, totals, site_of(EUROS))) == [4_900]


def test_a_dimension_cannot_be_named_as_the_quantity() -> None:
    document = site_of(EUROS).model_dump(mode="json")
    document["customers"]["dimensions"] = {"revenue": {"kind": "country", "column": "country"}}
    with pytest.raises(ValueError, match="'revenue' comes from the orders"):
        SiteFile.model_validate(document)


SEVERAL = {"column": "total", "currency_column": "coin", "currencies": ["EUR", "USD", "JPY"]}


def stage_several(home: Path, lines: Iterable[str], **amount: Any) -> Staging:
    (home / "customers.csv").write_text("id,country\n1,DE\n", "utf-8")
    rows = [f"1;2026-10-05;Editor;{line}" for line in lines]
    (home / "orders.csv").write_text("\n".join(["customer;placed;item;total;coin", *rows]), "utf-8")
    return stage_customers(Workspace(home), site_of({**SEVERAL, **amount}), OCTOBER)


def test_amounts_in_several_currencies_are_kept_apart_in_their_smallest_units(tmp_path: Path) -> None:
    staging = stage_several(tmp_path, ["49.90;EUR", "5.00; usd ", "980;JPY", "-1.00;EUR"])
    table = pq.read_table(file_of(staging.events))
    assert table.schema.names == ["person", "product", "revenue_eur", "revenue_usd", "revenue_jpy"]
    assert table.schema.types[2:] == [pa.int64()] * 3
    rows = {tuple(row[name] for name in table.schema.names[2:]) for row in table.to_pylist()}
    assert rows == {(4_990, 0, 0), (0, 500, 0), (0, 0, 980), (-100, 0, 0)}


def test_an_order_in_a_currency_that_is_not_declared_is_rejected_as_that(tmp_path: Path) -> None:
    counts = stage_several(tmp_path, ["49.90;EUR", "5.00;GBP", "5.00;", "5.00;E UR", "x;GBP"]).manifest.sources[
        "orders"
    ]
    assert (counts.read, counts.used, counts.rejected) == (5, 1, {"currency": 4})


def test_each_currency_has_the_decimals_of_the_standard_unless_declared(tmp_path: Path) -> None:
    lines = ["980.0;JPY", "980.50;JPY", "1.005;EUR"]
    assert stage_several(tmp_path, lines, decimals=None).manifest.sources["orders"].rejected == {"amount": 3}
    assert stage_several(tmp_path, lines, decimals=3).manifest.sources["orders"].rejected == {}


@pytest.mark.parametrize(
    ("currency", "unit"), [("EUR", "0.01 EUR"), ("JPY", "1 JPY"), ("KWD", "0.001 KWD"), ("ISK", "1 ISK")]
)
def test_a_quantity_says_in_what_unit_it_is(currency: str, unit: str) -> None:
    quantities = site_of({"column": "total", "currency": currency}).quantities(Population.CUSTOMERS)
    assert quantities["revenue"].unit == unit


def test_there_is_a_quantity_for_each_currency() -> None:
    quantities = site_of(SEVERAL).quantities(Population.CUSTOMERS)
    assert {name: (one.title, one.unit) for name, one in quantities.items() if name != "events"} == {
        "revenue_eur": ("Revenue in EUR", "0.01 EUR"),
        "revenue_usd": ("Revenue in USD", "0.01 USD"),
        "revenue_jpy": ("Revenue in JPY", "1 JPY"),
    }


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ({"column": "total"}, "either currency or currency_column"),
        ({**SEVERAL, "currency": "EUR"}, "either currency or currency_column"),
        ({**EUROS, "currencies": ["EUR"]}, "declared with currency_column"),
        ({**SEVERAL, "currencies": []}, "declared with currency_column"),
        ({**SEVERAL, "currencies": ["EUR", "EUR"]}, "named once each"),
        ({**SEVERAL, "currencies": ["eur"]}, "pattern"),
        ({"column": "total", "currency": "CLF"}, "must have decimals declared"),
    ],
)
def test_an_amount_whose_currency_cannot_be_told_is_refused(amount: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        site_of(amount)


def test_card_numbers_in_the_column_of_currencies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PaymentDataError, match="'coin'"):
        stage_several(tmp_path, ["5.00;4111111111111111"])
