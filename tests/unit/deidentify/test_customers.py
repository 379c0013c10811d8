import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import Staging, load_staging
from pipeline.errors import ConfigurationError, PaymentDataError, RejectShareError, SourceError, StagingError
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.staged import contents, file_of, folder_of

OCTOBER = Period.parse("2026-10")
DIMENSIONS = {
    "country": {"kind": "country", "column": "country"},
    "plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["free", "team plan"]},
    "income": {"kind": "band", "column": "income", "title": "Income", "edges": [20_000, 40_000]},
    "born": {"kind": "year", "column": "born", "title": "Born", "first": 1980, "last": 1990},
}
HEADER = "id,email,country,plan,income,born,since\n"


def site(source: Mapping[str, Any], **more: Any) -> SiteFile:
    customers = {"source": source, "person": "id", "dimensions": DIMENSIONS, **more}
    budget = {"customers": {"epsilon": 30, "delta": 1e-4}}
    return SiteFile.model_validate(
        {"site": "Test", "time_zone": "Europe/Berlin", "budget": budget, "customers": customers}
    )


def csv_site(home: Path, lines: Iterable[str], **more: Any) -> SiteFile:
    (home / "customers.csv").write_text(HEADER + "\n".join(lines), encoding="utf-8")
    return site({"kind": "csv", "path": "customers.csv"}, **more)


def orders_of(
    home: Path, lines: Iterable[str], header: str = "customer,placed,item,how", **more: Any
) -> dict[str, Any]:
    (home / "orders.csv").write_text(header + "\n" + "\n".join(lines), encoding="utf-8")
    source = {"kind": "csv", "path": "orders.csv"}
    declared = {"source": source, "person": "customer", "placed": "placed", "product": "item", "products": ["Editor"]}
    return {"orders": {**declared, **more}}


def query(statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(statement).fetchall()


def persons(staging: Staging, columns: str = "* EXCLUDE (person, policy_versions)") -> list[tuple[str, ...]]:
    return query(f"SELECT {columns} FROM '{file_of(staging.persons)}' ORDER BY ALL")


def stage(home: Path, described: SiteFile) -> Staging:
    return stage_customers(Workspace(home), described, OCTOBER)


@pytest.mark.parametrize(
    ("raw", "key"),
    [("Germany", "DE"), ("de", "DE"), ("DEU", "DE"), ("276", "DE"), ("UK", "GB"), ("USA", "US"), (" russia ", "RU"),
     ("Czech Republic", "CZ"), ("South Korea", "KR"), ("Viet Nam", "VN"), ("Côte d'Ivoire", "CI"),
     ("Bavaria", "unknown"),
     ("Türkiye", "TR"), ("Bolivia", "BO"), ("", "unknown"), ("Atlantis", "unknown"), ("Texas", "unknown")],
)  # fmt: skip
def test_a_country_is_generalised_to_its_code(tmp_path: Path, raw: str, key: str) -> None:
    assert persons(stage(tmp_path, csv_site(tmp_path, [f"1,a@x.org,{raw},free,1,1985,"])), "country") == [(key,)]


@pytest.mark.parametrize(
    ("raw", "key"),
    [("free", "free"), (" team plan ", "team plan"), ("Free", "other"), ("  ", "unknown"), ("'", "other")],
)
def test_a_category_keeps_declared_values_only(tmp_path: Path, raw: str, key: str) -> None:
    assert persons(stage(tmp_path, csv_site(tmp_path, [f"1,a@x.org,DE,{raw},1,1985,"])), "plan") == [(key,)]


@pytest.mark.parametrize(
    ("raw", "key"),
    [('"$19,999.99 "', "under 20000"), ("20000", "20000 to 39999"), ('"€ 39,999"', "20000 to 39999"),
     ("-5", "under 20000"),
     ("40000.0", "40000 and more"), ("1 000 000", "40000 and more"), ("much", "unknown"), ("", "unknown"),
     ("nan", "unknown"),
     ('"1.234,56"', "unknown"), ('"1,5"', "unknown"), ("inf", "unknown")],
)  # fmt: skip
def test_a_number_is_put_into_its_band(tmp_path: Path, raw: str, key: str) -> None:
    assert persons(stage(tmp_path, csv_site(tmp_path, [f"1,a@x.org,DE,free,{raw},1985,"])), "income") == [(key,)]


@pytest.mark.parametrize(
    ("raw", "key"),
    [("1985-04-08", "1985"), ("04/08/1985", "1985"), ("8.4.1985", "1985"), ("1985-04-08T10:00:00Z", "1985"),
     ("1985", "1985"),
     ("1985/4/8", "1985"), ("1979-01-01", "other"), ("1991-01-01", "other"), ("08/04/85", "unknown"), ("", "unknown"),
     ("infinity", "unknown"), ("1985-12-31T23:30:00Z", "1986")],
)  # fmt: skip
def test_of_a_date_the_year_is_kept(tmp_path: Path, raw: str, key: str) -> None:
    assert persons(stage(tmp_path, csv_site(tmp_path, [f"1,a@x.org,DE,free,1,{raw},"])), "born") == [(key,)]


def test_staging_holds_pseudonyms_and_generalised_text_only(tmp_path: Path) -> None:
    staging = stage(tmp_path, csv_site(tmp_path, ["c-77,ada@example.org,Germany,free,30000,1985-04-08,"]))
    schema = query(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{file_of(staging.persons)}')")
    assert schema == [(name, "VARCHAR") for name in ("person", "policy_versions", "country", "plan", "income", "born")]
    key = period_key(Workspace(tmp_path), Population.CUSTOMERS, OCTOBER)
    assert persons(staging, "person") == [(key.pseudonym("c-77"),)]
    written = b"".join(contents(folder_of(staging)).values())
    assert not any(raw in written for raw in (b"c-77", b"ada@", b"Germany", b"1985-04"))
    assert load_staging(Workspace(tmp_path), Population.CUSTOMERS, OCTOBER) == staging
    assert staging.events is None


def test_a_person_without_key_is_rejected_and_of_a_repeated_key_the_first_is_kept(tmp_path: Path) -> None:
    lines = ["1,a,DE,free,1,1985,", " ,b,DE,free,1,1985,", "1 ,c,FR,free,1,1985,", "2,d,IT,free,1,1985,"]
    staging = stage(tmp_path, csv_site(tmp_path, lines, max_rejected_share=0.5))
    assert staging.manifest.sources["customers"].model_dump() == {
        "read": 4, "used": 2, "left_out": {}, "rejected": {"no key": 1, "repeated key": 1},
        "carried": 0,
    }  # fmt: skip
    assert persons(staging, "country") == [("DE",), ("IT",)]


def test_who_signed_up_at_the_end_of_the_period_is_not_of_it(tmp_path: Path) -> None:
    since = ["2026-10-31 23:59:59", "2026-11-01", "2026-10-31T22:59:00Z", "2026-10-31T23:00:00Z", "2020-02-30", ""]
    lines = [f"{number},a,DE,free,1,1985,{day}" for number, day in enumerate(since)]
    staging = stage(tmp_path, csv_site(tmp_path, lines, signed_up="since", max_rejected_share=0.5))
    counts = staging.manifest.sources["customers"]
    assert (counts.used, counts.left_out, counts.rejected) == (2, {"signed up later": 2}, {"date": 2})


def test_orders_of_the_period_and_its_customers_are_used_and_others_left_out(tmp_path: Path) -> None:
    orders = ["1,2026-10-05,Editor,card", "1,2026-10-31T23:30:00Z,Editor,card", "1,2026-09-30T23:30:00Z,Server,card",
              "2,2026-10-05,,card", "9,2026-10-05,Editor,card", ",2026-10-05,Editor,card",
              "1,yesterday,Editor,card"]  # fmt: skip
    customers = ["1,a,DE,free,1,1985,", "2,b,FR,free,1,1985,"]
    described = csv_site(tmp_path, customers, **orders_of(tmp_path, orders, max_rejected_share=0.5))
    staging = stage(tmp_path, described)
    assert staging.manifest.sources["orders"].model_dump() == {
        "read": 7,
        "used": 3,
        "left_out": {"no such customer": 1, "outside the period": 1},
        "rejected": {"date": 1, "no key": 1},
        "carried": 0,
    }
    events, persons = file_of(staging.events), file_of(staging.persons)
    joined = f"SELECT country, product FROM '{events}' JOIN '{persons}' USING (person) ORDER BY ALL"
    assert query(joined) == [("DE", "Editor"), ("DE", "other"), ("FR", "unknown")]


def test_a_key_is_the_same_person_in_a_database_and_in_the_orders_file(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        connection.execute("CREATE TABLE people (id INTEGER, country TEXT, plan TEXT, income REAL, born DATE)")
        connection.execute("INSERT INTO people VALUES (7, 'France', 'free', 25000, '1985-04-08')")
    connection.close()
    source = {"kind": "database", "url": "sqlite:///crm.db", "table": "people"}
    staging = stage(tmp_path, site(source, **orders_of(tmp_path, ["7,2026-10-05,Editor,card"])))
    assert persons(staging) == [("FR", "free", "20000 to 39999", "1985")]
    assert staging.manifest.sources["orders"].used == 1


def test_of_repeated_keys_in_a_database_the_same_row_is_kept_whatever_their_order(tmp_path: Path) -> None:
    kept = []
    for number, order in enumerate(("ASC", "DESC")):
        home = tmp_path / str(number)
        home.mkdir()
        with sqlite3.connect(home / "crm.db") as connection:
            connection.execute("CREATE TABLE raw (id, country, plan, income, born)")
            connection.execute("INSERT INTO raw VALUES (1, 'FR', 'free', 1, 1985), (1, 'DE', 'free', 1, 1985)")
            connection.execute(f"CREATE TABLE people AS SELECT * FROM raw ORDER BY country {order}")
        connection.close()
        source = {"kind": "database", "url": "sqlite:///crm.db", "table": "people"}
        kept += persons(stage(home, site(source, max_rejected_share=0.5)), "country")
    assert kept == [("DE",), ("DE",)]


def test_too_many_rejected_rows_stop_and_leave_earlier_staging_as_it_was(tmp_path: Path) -> None:
    before = stage(tmp_path, csv_site(tmp_path, ["1,a,DE,free,1,1985,"]))
    described = csv_site(tmp_path, ["1,a,DE,free,1,1985,", "2,secret@example.org,short"])
    with pytest.raises(RejectShareError, match="number of columns") as caught:
        stage(tmp_path, described)
    assert "secret" not in str(caught.value)
    assert load_staging(Workspace(tmp_path), Population.CUSTOMERS, OCTOBER) == before


def test_too_many_rejected_orders_stop_as_well(tmp_path: Path) -> None:
    described = csv_site(tmp_path, ["1,a,DE,free,1,1985,"], **orders_of(tmp_path, ["1,not a date,Editor,card"]))
    with pytest.raises(RejectShareError, match="orders"):
        stage(tmp_path, described)
    assert not Workspace(tmp_path).staging(Population.CUSTOMERS, OCTOBER).exists()


@pytest.mark.parametrize("lines", [[], ["1,a,DE,free,1,1985,2026-11-05"]])
def test_a_period_without_customers_is_an_error(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(StagingError, match="the period has no customers"):
        stage(tmp_path, csv_site(tmp_path, lines, signed_up="since"))


def test_a_column_that_the_source_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'signup'"):
        stage(tmp_path, csv_site(tmp_path, ["1,a,DE,free,1,1985,"], signed_up="signup"))


def test_orders_with_a_column_of_card_numbers_are_refused_even_if_it_is_not_declared(tmp_path: Path) -> None:
    orders = orders_of(tmp_path, ["1,2026-10-05,Editor,4111111111111111"], header="customer,placed,item,card_number")
    with pytest.raises(PaymentDataError, match=r"orders: .*'card_number'") as caught:
        stage(tmp_path, csv_site(tmp_path, ["1,a,DE,free,1,1985,"], **orders))
    assert "4111" not in str(caught.value)


def test_card_numbers_in_a_declared_column_are_refused_whatever_its_name(tmp_path: Path) -> None:
    orders = orders_of(tmp_path, ["1,2026-10-05,4111111111111111,x"])
    with pytest.raises(PaymentDataError, match="'item'"):
        stage(tmp_path, csv_site(tmp_path, ["1,a,DE,free,1,1985,"], **orders))
    assert not Workspace(tmp_path).staging(Population.CUSTOMERS, OCTOBER).exists()


def test_customers_with_an_iban_column_are_refused(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id,country,plan,income,born,IBAN\n1,DE,free,1,1985,x\n")
    with pytest.raises(PaymentDataError, match=r"customers: .*'IBAN'"):
        stage(tmp_path, site({"kind": "csv", "path": "customers.csv"}))


def test_a_period_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must be a month"):
        stage_customers(Workspace(tmp_path), csv_site(tmp_path, []), Period.parse("2026-W41"))


def test_progress_tells_rows_and_nothing_else(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    described = csv_site(tmp_path, ["1,a,DE,free,1,1985,", "2,b,DE,free,1,1985,"])
    stage_customers(Workspace(tmp_path), described, OCTOBER, lambda *told: seen.append(told))
    assert seen == [("reading customers", 2, None)]


def test_rows_are_staged_in_an_order_that_says_nothing_about_the_source(tmp_path: Path) -> None:
    staging = stage(tmp_path, csv_site(tmp_path, [f"{number},a,DE,free,1,1985," for number in range(200)]))
    stored = [row[0] for row in query(f"SELECT person FROM '{file_of(staging.persons)}'")]
    assert stored == sorted(stored)
    assert len(set(stored)) == 200
