"""Which versions of the policy bind a customer, and who opted out."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.staging import Staging
from pipeline.errors import PolicyError, SourceError
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.workspace import Workspace
from tests.builders import write_policy
from tests.staged import file_of

OCTOBER = Period.parse("2026-10")
ALL = {"accepted": "accepted", "notified": "notified", "notified_on": "notified_on", "opted_out": "out"}
COLUMNS = ("id", "plan", "since", "accepted", "notified", "notified_on", "out")


def version(name: str, effective: str) -> dict[str, Any]:
    return {"version": name, "effective": effective, "purposes": {}}


VERSIONS = [version("v1", "2024-01-01"), version("v2", "2026-06-01"), version("v3", "2026-11-01")]


def site_of(policy: dict[str, str], source: dict[str, Any] | None = None, **more: Any) -> SiteFile:
    dimensions = {"plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["free", "paid"]}}
    customers = {
        "source": source or {"kind": "csv", "path": "customers.csv"},
        "person": "id",
        "policy": policy,
        "dimensions": dimensions,
        "max_rejected_share": 1,
        **more,
    }
    budget = {"customers": {"epsilon": 1, "delta": 1e-6}}
    return SiteFile.model_validate(
        {"site": "Test", "time_zone": "Europe/Berlin", "customers": customers, "budget": budget}
    )


def stage(home: Path, rows: Sequence[tuple[str, ...]], policy: dict[str, str], **more: Any) -> Staging:
    """Staging of rows of ``COLUMNS``, of which those to the right may be left out."""
    if not (home / "policy.yaml").exists():
        write_policy(home, {"notice_days": 30, "versions": VERSIONS})
    lines = [",".join((*row, *[""] * (len(COLUMNS) - len(row)))) for row in rows]
    (home / "customers.csv").write_text("\n".join([",".join(COLUMNS), *lines]), "utf-8")
    return stage_customers(Workspace(home), site_of(policy, **more), OCTOBER)


def versions(staging: Staging) -> list[str]:
    with duckdb.connect() as connection:
        query = f"SELECT policy_versions FROM '{file_of(staging.persons)}' ORDER BY ALL"
        return [value for (value,) in connection.execute(query).fetchall()]


def bound_by(home: Path, accepted: str = "", notified: str = "", notified_on: str = "") -> str:
    """The versions that bind a customer of these columns."""
    (found,) = versions(stage(home, [("1", "free", "2020-01-01", accepted, notified, notified_on)], ALL))
    return found


@pytest.mark.parametrize(
    ("raw", "told"),
    [("v1", "v1"), (" v2 ", "v2"), ("v3", "v3"), ("", ""), ("v4", ""), ("V1", ""), ("v1 v2", ""), ("ada@x.org", "")],
)
def test_a_customer_is_bound_by_the_version_they_accepted_and_by_no_unknown_one(
    tmp_path: Path, raw: str, told: str
) -> None:
    assert bound_by(tmp_path, raw) == told


@pytest.mark.parametrize(
    ("notified_on", "told"),
    [
        ("2026-10-02", "v1 v2"),  # thirty days later it is the first of November, when the period has just ended
        ("2026-10-03", "v1"),
        ("2026-10-02T23:59:59+02:00", "v1 v2"),
        ("2026-10-02T22:30:00Z", "v1"),  # the third, in the site's time zone
        ("2026-10-02T21:30:00Z", "v1 v2"),
        ("2020-01-01", "v1 v2"),
        ("", "v1"),
        ("soon", "v1"),
        ("02.10.2026", "v1"),
        ("infinity", "v1"),
        ("-infinity", "v1"),
        ("2026-02-30", "v1"),
    ],
)
def test_a_notified_version_binds_once_the_notice_has_passed_by_the_periods_end(
    tmp_path: Path, notified_on: str, told: str
) -> None:
    assert bound_by(tmp_path, "v1", "v2", notified_on) == told


@pytest.mark.parametrize(("days", "told"), [(29, "v1 v2"), (30, "v1 v2"), (31, "v1"), (0, "v1 v2")])
def test_the_days_of_notice_are_the_policys(tmp_path: Path, days: int, told: str) -> None:
    write_policy(tmp_path, {"notice_days": days, "versions": VERSIONS})
    assert bound_by(tmp_path, "v1", "v2", "2026-10-02") == told


@pytest.mark.parametrize(("notified_on", "told"), [("2026-10-31", "v1 v2"), ("2026-11-01", "v1")])
def test_without_days_of_notice_a_version_binds_at_once(tmp_path: Path, notified_on: str, told: str) -> None:
    write_policy(tmp_path, {"notice_days": 0, "versions": VERSIONS})
    assert bound_by(tmp_path, "v1", "v2", notified_on) == told


def test_a_version_that_comes_into_force_after_the_period_binds_nobody_by_notice(tmp_path: Path) -> None:
    assert bound_by(tmp_path, "v1", "v3", "2026-09-01") == "v1"


@pytest.mark.parametrize(
    ("accepted", "notified", "told"),
    [("v2", "v2", "v2"), ("v2", "v1", "v2 v1"), ("", "v2", "v2"), ("v1", "v9", "v1"), ("v9", "v9", "")],
)
def test_versions_are_told_once_each(tmp_path: Path, accepted: str, notified: str, told: str) -> None:
    assert bound_by(tmp_path, accepted, notified, "2026-01-01") == told


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("2023-12-31", ""),
        ("2024-01-01", "v1"),
        ("2026-05-31", "v1"),
        ("2026-06-01", "v2"),
        ("2026-05-31T22:00:00Z", "v2"),  # midnight in the site's time zone
        ("2026-05-31T21:59:59Z", "v1"),
        ("2026-10-31", "v2"),
    ],
)
def test_without_a_column_it_is_the_version_of_the_day_of_sign_up(tmp_path: Path, since: str, told: str) -> None:
    assert versions(stage(tmp_path, [("1", "free", since)], {}, signed_up="since")) == [told]


def test_a_column_of_accepted_versions_counts_and_not_the_day_of_sign_up(tmp_path: Path) -> None:
    row = ("1", "free", "2026-07-01", "")
    assert versions(stage(tmp_path, [row], {"accepted": "accepted"}, signed_up="since")) == [""]


def test_a_notice_adds_to_the_version_of_the_day_of_sign_up(tmp_path: Path) -> None:
    row = ("1", "free", "2024-07-01", "", "v2", "2026-07-01")
    told = {"notified": "notified", "notified_on": "notified_on"}
    assert versions(stage(tmp_path, [row], told, signed_up="since")) == ["v1 v2"]


def test_without_any_column_no_version_is_known(tmp_path: Path) -> None:
    assert versions(stage(tmp_path, [("1", "free", "2026-07-01", "v1")], {})) == [""]


def test_without_a_policy_no_version_is_known(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text(",".join(COLUMNS) + "\n1,free,2026-07-01,v1,v2,2026-07-01,", "utf-8")
    staging = stage_customers(Workspace(tmp_path), site_of(ALL, signed_up="since"), OCTOBER)
    assert versions(staging) == [""]


def test_a_policy_that_breaks_a_rule_stops_ingestion(tmp_path: Path) -> None:
    write_policy(tmp_path, {"versions": []})
    with pytest.raises(PolicyError, match="at least 1"):
        stage(tmp_path, [("1", "free", "2026-07-01", "v1")], ALL)


@pytest.mark.parametrize("raw", ["", "0", "false", "no", "n", "f", "False", " NO ", "0.0", "0.00", "-0"])
def test_who_did_not_opt_out_counts(tmp_path: Path, raw: str) -> None:
    staging = stage(tmp_path, [("1", "free", "", "v1", "", "", raw)], ALL)
    assert (versions(staging), staging.manifest.sources["customers"].left_out) == (["v1"], {})


@pytest.mark.parametrize(
    "raw", ["1", "true", "yes", "y", "t", "2026-10-05", "2026-10-05T10:00:00Z", "2099-01-01", "nan", "?", "x"]
)
def test_who_opted_out_is_left_out(tmp_path: Path, raw: str) -> None:
    staging = stage(tmp_path, [("1", "free", "", "v1", "", "", raw), ("2", "free", "", "v2")], ALL)
    assert versions(staging) == ["v2"]
    counts = staging.manifest.sources["customers"]
    assert (counts.used, counts.left_out, counts.rejected) == (1, {"opted out": 1}, {})


def test_who_opted_out_in_one_of_several_rows_is_left_out(tmp_path: Path) -> None:
    rows = [("1", "free"), ("1", "paid", "", "", "", "", "yes"), ("2", "free")]
    counts = stage(tmp_path, rows, ALL).manifest.sources["customers"]
    assert (counts.used, counts.left_out, counts.rejected) == (1, {"opted out": 1}, {"repeated key": 1})


def test_orders_of_whom_was_left_out_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("who,day,item\n1,2026-10-05,Editor\n2,2026-10-05,Editor\n", "utf-8")
    orders = {
        "source": {"kind": "csv", "path": "orders.csv"},
        "person": "who",
        "placed": "day",
        "product": "item",
        "products": ["Editor"],
    }
    rows = [("1", "free", "", "v1", "", "", "yes"), ("2", "free", "", "v1")]
    counts = stage(tmp_path, rows, ALL, orders=orders).manifest.sources["orders"]
    assert (counts.used, counts.left_out) == (1, {"no such customer": 1})


@pytest.mark.parametrize(
    ("kind", "values", "left_out"),
    [
        ("BOOLEAN", (0, 1, None), 1),
        ("INTEGER", (0, 1, None), 1),
        ("REAL", (0.0, 1.0, None), 1),
        ("DATE", ("2026-01-01", None), 1),
    ],
)
def test_an_opt_out_of_a_database_may_be_of_any_type(
    tmp_path: Path, kind: str, values: tuple[Any, ...], left_out: int
) -> None:
    write_policy(tmp_path)
    with sqlite3.connect(tmp_path / "crm.db") as database:
        database.execute(f"CREATE TABLE people (id INTEGER, plan TEXT, out {kind})")
        database.executemany("INSERT INTO people VALUES (?, 'free', ?)", enumerate(values))
    source = {"kind": "database", "url": "sqlite:///crm.db", "table": "people"}
    staging = stage_customers(Workspace(tmp_path), site_of({"opted_out": "out"}, source), OCTOBER)
    assert staging.manifest.sources["customers"].left_out == {"opted out": left_out}


def test_a_declared_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="consented"):
        stage(tmp_path, [("1", "free")], {"accepted": "consented"})


def test_versions_stand_in_staging_by_way_of_a_dictionary(tmp_path: Path) -> None:
    staging = stage(tmp_path, [(str(n), "free", "", f"v{1 + n % 2}") for n in range(100)], ALL)
    column = pq.read_metadata(file_of(staging.persons)).row_group(0).column(1)
    assert column.path_in_schema == "policy_versions"
    assert any("DICTIONARY" in encoding for encoding in column.encodings)


def test_no_dimension_is_named_as_the_versions_are() -> None:
    column = {"kind": "country", "column": "land"}
    with pytest.raises(ValidationError, match="give the dimension another name"):
        site_of({}, dimensions={"policy_versions": column})


def test_many_versions_are_told_apart(tmp_path: Path) -> None:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=n) for n in range(60)]
    write_policy(tmp_path, {"versions": [version(f"v{n}", str(day)) for n, day in enumerate(days)]})
    rows = [(str(n), "free", "", f"v{n}", f"v{59 - n}", "2021-01-01") for n in range(60)]
    assert set(versions(stage(tmp_path, rows, ALL))) == {f"v{n} v{59 - n}" for n in range(60)}
