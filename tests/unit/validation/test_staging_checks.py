from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ChecksFailedError, StagingError
from pipeline.validation.suites import load_suite
from tests.builders import WEEK
from tests.staged import file_of
from tests.unit.validation.made_staging import (
    PEOPLE,
    PLANTED,
    checked,
    customers,
    failed,
    name_of,
    rewrite,
    visitors,
)
from tests.unit.validation.staging_breakages import BREAKAGES, SECOND_NAMES, Broken, one_odd, with_aliases


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("made", [visitors, customers])
def test_staging_that_keeps_all_rules_passes(made: Any, tmp_path: Path) -> None:
    verdicts = checked(made(tmp_path)).require()
    assert {verdict.subject for verdict in verdicts.checks} == {"staging"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize(
    ("broken", "names"),
    [
        pytest.param(*row, id=f"{suite}: {fault}")
        for suite, breakages in BREAKAGES.items()
        for fault, row in breakages.items()
    ],
)
def test_a_fault_of_staging_is_caught_by_the_checks_that_are_meant_to(
    broken: Broken, names: set[str], tmp_path: Path
) -> None:
    assert failed(broken(tmp_path)) == names


@pytest.mark.parametrize("suite", BREAKAGES)
def test_every_check_has_a_fault_that_it_catches(suite: str) -> None:
    caught = set().union(*(names for _, names in BREAKAGES[suite].values()))
    assert caught == {name_of(check) for part in load_suite(suite).parts.values() for check in part.checks}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("planted", PLANTED.values(), ids=list(PLANTED))
def test_planted_personal_data_is_caught(planted: str, tmp_path: Path) -> None:
    assert "expect_column_values_to_hold_no_personal_data" in failed(one_odd("language", planted, "de")(tmp_path))


def test_planted_personal_data_is_told_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = list(PLANTED.values())
    values = planted + ["de"] * (PEOPLE - len(planted))
    columns: dict[str, Any] = {"language": values, "person": values, planted[0]: values}
    verdicts = checked(visitors(tmp_path, **columns))
    with pytest.raises(ChecksFailedError) as raised:
        verdicts.require()
    written = [path for path in (tmp_path / "home" / "data_docs").rglob("*") if path.is_file()]
    assert {".html", ".json"} <= {path.suffix for path in written}
    told = b"".join([*(path.read_bytes() for path in written), verdicts.to_bytes(), caplog.text.encode()])
    told += "".join([str(raised.value), repr(raised.value), *capfd.readouterr()]).encode()
    for value in planted:
        assert value.encode() not in told
        assert hashlib.sha256(value.encode()).hexdigest().encode() not in told
        assert hashlib.md5(value.encode(), usedforsecurity=False).hexdigest().encode() not in told


def test_amounts_are_told_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    verdicts = checked(customers(tmp_path, revenue=[31_415_926_535, -(10**12) - 1]))
    written = [path for path in (tmp_path / "home" / "data_docs").rglob("*") if path.is_file()]
    told = b"".join([*(path.read_bytes() for path in written), verdicts.to_bytes(), caplog.text.encode()])
    assert {".html", ".json"} <= {path.suffix for path in written}
    assert b"31415926535" not in told
    assert b"1000000000001" not in told


@pytest.mark.usefixtures("without_docs")
def test_a_value_outside_its_closed_list_is_told_by_the_name_of_its_dimension(tmp_path: Path) -> None:
    verdicts = one_odd("country", "Atlantis", "DE")(tmp_path)
    assert [verdict.check for verdict in verdicts.checks if not verdict.success] == [
        "Country: every value is on the closed list"
    ]


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("rows", [SECOND_NAMES, {"person": [], "alias": []}])
def test_some_customers_may_have_a_second_name(rows: dict[str, Any], tmp_path: Path) -> None:
    assert not failed(with_aliases(customers(tmp_path), rows))


@pytest.mark.usefixtures("without_docs")
def test_an_open_dimension_may_hold_any_registered_domain(tmp_path: Path) -> None:
    domains = ["other", "none", "google.com", "partner-shop.co.uk", "360.cn", f"{'a' * 56}.com"]
    verdicts = checked(visitors(tmp_path, referrer_domain=domains * 2), referrer_domains="any").require()
    assert "Referring site: every value is on the closed list" not in {verdict.check for verdict in verdicts.checks}


@pytest.mark.usefixtures("without_docs")
def test_verdicts_do_not_depend_on_how_many_people_there_are(tmp_path: Path) -> None:
    few = visitors(tmp_path / "few")
    many = visitors(tmp_path / "many", used=2 * PEOPLE)
    twice = f"FROM '{file_of(few.events)}'"
    rewrite(many.events, f"{twice} UNION ALL {twice}")
    assert checked(few).sha256 == checked(many).sha256


def test_a_file_that_is_no_parquet_stops_without_quoting_it(tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    file_of(staging.events).write_text("jane.planted@example.org", "utf-8")
    with pytest.raises(StagingError, match="readable Parquet") as caught:
        checked(staging)
    assert "planted" not in str(caught.value)
    assert staging.period == WEEK


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("column", ["visits", "page_views"])
@pytest.mark.parametrize("value", [2, -1])
def test_a_request_begins_at_most_one_visit_and_is_at_most_one_page_view(
    column: str, value: int, tmp_path: Path
) -> None:
    assert failed(checked(visitors(tmp_path, **{column: value}))) == {"amounts_are_as_declared"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("kind", ["BIGINT", "DOUBLE", "VARCHAR"])
def test_visits_are_small_whole_numbers(kind: str, tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    rewrite(staging.events, f"SELECT * REPLACE (visits::{kind} AS visits) FROM read_parquet('{{held}}')")
    assert failed(checked(staging)) == {"amount_type"}


@pytest.mark.usefixtures("without_docs")
def test_a_partial_dimension_may_be_missing_and_holds_keys_of_its_list_where_it_is_not(tmp_path: Path) -> None:
    staging = visitors(tmp_path, entry_section=[None] * (PEOPLE - 1) + ["home"])
    assert not failed(checked(staging))
    rewrite(staging.events, "SELECT * REPLACE ('elsewhere' AS entry_section) FROM read_parquet('{held}')")
    assert failed(checked(staging))


@pytest.mark.usefixtures("without_docs")
def test_a_dimension_that_every_request_has_may_not_be_missing(tmp_path: Path) -> None:
    assert failed(checked(visitors(tmp_path, section=[None] + ["home"] * (PEOPLE - 1))))
