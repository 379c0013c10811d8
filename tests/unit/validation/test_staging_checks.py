from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from pipeline.deidentify.staging import Staging
from pipeline.errors import StagingError
from pipeline.site import SiteFile
from pipeline.validation.staging import check_staging
from pipeline.validation.suites import load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, pseudonym
from tests.unit.validation.made_staging import (
    CUSTOMER_SITE,
    FORM,
    LENGTH,
    PEOPLE,
    PERSONAL,
    PLANTED,
    SIGNS,
    checked,
    customers,
    failed,
    rewrite,
    visitors,
)


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("made", [visitors, customers])
def test_staging_that_keeps_all_rules_passes(made: Any, tmp_path: Path) -> None:
    verdicts = checked(made(tmp_path)).require()
    assert {verdict.subject for verdict in verdicts.checks} == {"staging"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("planted", PLANTED.values(), ids=list(PLANTED))
def test_planted_personal_data_is_caught(planted: str, tmp_path: Path) -> None:
    verdicts = checked(visitors(tmp_path, language=["de"] * (PEOPLE - 1) + [planted]))
    assert "expect_column_values_to_hold_no_personal_data" in failed(verdicts)


def test_planted_personal_data_is_told_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = list(PLANTED.values())
    values = planted + ["de"] * (PEOPLE - len(planted))
    columns: dict[str, Any] = {"language": values, "person": values, planted[0]: values}
    verdicts = checked(visitors(tmp_path, **columns))
    written = [path for path in (tmp_path / "home" / "data_docs").rglob("*") if path.is_file()]
    assert len(written) > 10
    told = b"".join([*(path.read_bytes() for path in written), verdicts.to_bytes(), caplog.text.encode()])
    told += "".join(capfd.readouterr()).encode()
    for value in planted:
        assert value.encode() not in told
        assert hashlib.sha256(value.encode()).hexdigest().encode() not in told
        assert hashlib.md5(value.encode(), usedforsecurity=False).hexdigest().encode() not in told


@pytest.mark.usefixtures("without_docs")
def test_a_value_outside_its_closed_list_is_caught(tmp_path: Path) -> None:
    verdicts = checked(visitors(tmp_path, country=["DE"] * (PEOPLE - 1) + ["Atlantis"]))
    assert [verdict.check for verdict in verdicts.checks if not verdict.success] == [
        "Country: every value is on the closed list"
    ]


@pytest.mark.usefixtures("without_docs")
def test_a_missing_value_is_caught(tmp_path: Path) -> None:
    verdicts = checked(visitors(tmp_path, browser=["Firefox"] * (PEOPLE - 1) + [None]))
    assert [verdict.check for verdict in verdicts.checks if not verdict.success] == [
        "Browser: every value is on the closed list"
    ]


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("made", [visitors, customers])
def test_a_column_that_nobody_declared_is_caught(made: Any, tmp_path: Path) -> None:
    assert failed(checked(made(tmp_path, shoe_size="44"))) == {"expect_column_distinct_values_to_equal_set"}


@pytest.mark.usefixtures("without_docs")
def test_a_column_that_is_missing_is_caught(tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    rewrite(staging, f"SELECT * EXCLUDE hour FROM '{staging.events}'")
    assert failed(checked(staging)) == {"expect_column_distinct_values_to_equal_set"}


@pytest.mark.usefixtures("without_docs")
def test_a_column_that_is_not_text_is_caught(tmp_path: Path) -> None:
    assert failed(checked(visitors(tmp_path, hour=10))) == {"type"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("raw", ["jane.planted@example.org", None, f"{pseudonym(0)}\n"])
def test_a_person_who_is_no_pseudonym_is_caught(raw: str | None, tmp_path: Path) -> None:
    people = [raw, *(pseudonym(number) for number in range(1, PEOPLE))]
    assert failed(checked(visitors(tmp_path, person=people))) == {"people_are_pseudonyms"}


@pytest.mark.usefixtures("without_docs")
def test_staging_without_the_person_column_is_caught(tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    rewrite(staging, f"SELECT * EXCLUDE person FROM '{staging.events}'")
    assert failed(checked(staging)) == {"expect_column_distinct_values_to_equal_set", "people_are_pseudonyms"}


@pytest.mark.usefixtures("without_docs")
def test_an_empty_period_is_caught(tmp_path: Path) -> None:
    staging = visitors(tmp_path, used=0)
    rewrite(staging, f"FROM '{staging.events}' LIMIT 0")
    assert failed(checked(staging)) == {"somebody_is_there"}


@pytest.mark.usefixtures("without_docs")
def test_a_file_that_nobody_declared_is_caught(tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    (staging.folder / "access.log").write_text("raw", "utf-8")
    assert failed(checked(staging)) == {"nothing_else_is_kept"}


@pytest.mark.usefixtures("without_docs")
def test_lines_that_nobody_accounted_for_are_caught(tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    staging.manifest.sources["visitor logs"].left_out["bot"] = 1
    assert failed(checked(staging)) == {"lines_are_accounted_for"}


@pytest.mark.usefixtures("without_docs")
def test_rows_that_no_line_was_used_for_are_caught(tmp_path: Path) -> None:
    assert failed(checked(visitors(tmp_path, used=PEOPLE - 1))) == {"rows_are_the_lines_used"}


@pytest.mark.usefixtures("without_docs")
def test_a_customer_who_stands_there_twice_is_caught(tmp_path: Path) -> None:
    people = [pseudonym(1), *(pseudonym(number) for number in range(1, PEOPLE))]
    assert failed(checked(customers(tmp_path, {"person": people}))) == {"people_stand_once"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("odd", ["2025", "2024  2026", "2024,2026", " ", "jane.planted@example.org", None])
def test_a_version_that_the_policy_does_not_have_is_caught(odd: str | None, tmp_path: Path) -> None:
    versions = ["2024"] * (PEOPLE - 1) + [odd]
    assert failed(checked(customers(tmp_path, {"policy_versions": versions}))) == {"versions_are_of_the_policy"}


@pytest.mark.usefixtures("without_docs")
def test_without_a_policy_nobody_may_be_bound_by_a_version(tmp_path: Path) -> None:
    staging = customers(tmp_path)
    (staging.folder.parent / "policy.yaml").unlink()
    assert failed(checked(staging)) == {"versions_are_of_the_policy"}


@pytest.mark.usefixtures("without_docs")
def test_customers_without_the_column_of_versions_are_caught(tmp_path: Path) -> None:
    staging = customers(tmp_path)
    draft = staging.folder / "draft"
    duckdb.execute(f"COPY (SELECT * EXCLUDE policy_versions FROM '{staging.persons}') TO '{draft}' (FORMAT parquet)")
    draft.replace(staging.persons)
    assert failed(checked(staging)) == {"expect_column_distinct_values_to_equal_set", "versions_are_of_the_policy"}


def with_aliases(staging: Staging, rows: Mapping[str, Any]) -> Verdicts:
    """Verdicts on customers who have a second name, which the site declares."""
    duckdb.from_df(pd.DataFrame(rows, dtype="string")).write_parquet(str(staging.aliases))
    document = copy.deepcopy(CUSTOMER_SITE)
    document["customers"]["email"] = "email"
    return check_staging(Workspace(staging.folder.parent), SiteFile.model_validate(document), staging)


ALIASES: dict[str, Any] = {"person": [pseudonym(0), pseudonym(1)], "alias": [pseudonym(1_000), pseudonym(1_000)]}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("rows", [ALIASES, {"person": [], "alias": []}])
def test_some_customers_may_have_a_second_name(rows: dict[str, Any], tmp_path: Path) -> None:
    assert not failed(with_aliases(customers(tmp_path), rows))


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize(
    "rows",
    [
        ALIASES | {"alias": [pseudonym(1_000), "jane.planted@example.org"]},
        ALIASES | {"alias": [pseudonym(1_000), None]},
        ALIASES | {"person": [pseudonym(0), pseudonym(PEOPLE)]},
        ALIASES | {"person": [pseudonym(0), pseudonym(0)]},
        ALIASES | {"person": [pseudonym(0), None]},
    ],
)
def test_a_second_name_that_is_no_pseudonym_of_a_customer_is_caught(rows: dict[str, Any], tmp_path: Path) -> None:
    assert failed(with_aliases(customers(tmp_path), rows)) == {"aliases_are_of_customers"}


@pytest.mark.usefixtures("without_docs")
def test_another_column_beside_second_names_is_caught(tmp_path: Path) -> None:
    found = failed(with_aliases(customers(tmp_path), ALIASES | {"email": ["a", "b"]}))
    assert found == {"expect_column_distinct_values_to_equal_set"}


@pytest.mark.usefixtures("without_docs")
def test_second_names_that_nobody_declared_are_caught(tmp_path: Path) -> None:
    staging = customers(tmp_path)
    with_aliases(staging, ALIASES)
    assert failed(checked(staging)) == {"nothing_else_is_kept"}


@pytest.mark.usefixtures("without_docs")
def test_an_order_of_something_undeclared_is_caught(tmp_path: Path) -> None:
    verdicts = checked(customers(tmp_path, product="debugger"))
    assert [verdict.check for verdict in verdicts.checks if not verdict.success] == [
        "Product: every value is on the closed list"
    ]


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("raw", [[None, 5], [10**12 + 1, 5], [5, -(10**12) - 1], [-(2**63), 5]])
def test_an_amount_that_is_missing_or_out_of_bounds_is_caught(raw: list[int | None], tmp_path: Path) -> None:
    revenue = pd.array(raw, dtype="Int64")
    assert failed(checked(customers(tmp_path, revenue=revenue))) == {"amounts_are_as_declared"}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize("raw", [[19.99, 5.0], ["1999", "500"]])
def test_amounts_that_are_no_whole_numbers_are_caught(raw: list[Any], tmp_path: Path) -> None:
    assert failed(checked(customers(tmp_path, revenue=raw))) == {"amount_type"}


@pytest.mark.usefixtures("without_docs")
def test_text_in_place_of_amounts_is_caught(tmp_path: Path) -> None:
    found = failed(checked(customers(tmp_path, revenue=["jane.planted@example.org", "5"])))
    assert found == {"amount_type", "amounts_are_as_declared"}


@pytest.mark.usefixtures("without_docs")
def test_orders_without_their_amounts_are_caught(tmp_path: Path) -> None:
    staging = customers(tmp_path)
    rewrite(staging, f"SELECT * EXCLUDE revenue FROM '{staging.events}'")
    assert failed(checked(staging)) == {"expect_column_distinct_values_to_equal_set", "amounts_are_as_declared"}


@pytest.mark.usefixtures("without_docs")
def test_amounts_that_nobody_declared_are_caught(tmp_path: Path) -> None:
    document = copy.deepcopy(CUSTOMER_SITE)
    del document["customers"]["orders"]["amount"]
    staging = customers(tmp_path)
    verdicts = check_staging(Workspace(staging.folder.parent), SiteFile.model_validate(document), staging)
    assert failed(verdicts) == {"expect_column_distinct_values_to_equal_set", "type"}


def test_amounts_are_told_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    verdicts = checked(customers(tmp_path, revenue=[31_415_926_535, -(10**12) - 1]))
    written = [path for path in (tmp_path / "home" / "data_docs").rglob("*") if path.is_file()]
    told = b"".join([*(path.read_bytes() for path in written), verdicts.to_bytes(), caplog.text.encode()])
    assert len(written) > 10
    assert b"31415926535" not in told
    assert b"1000000000001" not in told


@pytest.mark.usefixtures("without_docs")
def test_an_open_dimension_may_hold_any_registered_domain(tmp_path: Path) -> None:
    domains = ["other", "none", "google.com", "partner-shop.co.uk", "360.cn", f"{'a' * 56}.com"]
    verdicts = checked(visitors(tmp_path, referrer_domain=domains * 2), referrer_domains="any").require()
    assert "Referring site: every value is on the closed list" not in {verdict.check for verdict in verdicts.checks}


@pytest.mark.usefixtures("without_docs")
def test_every_value_of_an_open_dimension_is_looked_at(tmp_path: Path) -> None:
    staging = visitors(tmp_path, used=12_000)
    domain = "CASE WHEN n = 11_999 THEN 'Odd' ELSE 'site' || n || '.com' END"
    columns = f"SELECT * EXCLUDE n REPLACE ({domain} AS referrer_domain)"
    rewrite(staging, f"{columns} FROM (FROM '{staging.events}' LIMIT 1), (SELECT range AS n FROM range(12_000))")
    assert failed(checked(staging, referrer_domains="any")) == {FORM, SIGNS}


@pytest.mark.usefixtures("without_docs")
@pytest.mark.parametrize(
    ("odd", "checks"),
    [
        ("all", {FORM}),
        ("all other", {FORM, SIGNS}),
        ("localhost", {FORM}),
        ("Google.com", {FORM, SIGNS}),
        ("google.com\n", {SIGNS}),
        ("www.google.com/search", {FORM, SIGNS}),
        ("-google.com", {FORM}),
        ("google..com", {FORM}),
        ("xn--bcher-kva.de", {SIGNS}),
        ("bücher.de", {FORM, SIGNS}),
        (f"{'a' * 57}.com", {LENGTH}),
        ("", {FORM, LENGTH}),
        (None, {FORM, LENGTH}),
        ("jane.planted@example.org", {FORM, SIGNS, PERSONAL}),
        ("203.0.113.77", {FORM, PERSONAL}),
        ("9f86d081884c7d659a2feaa0c55ad015.com", {PERSONAL}),
        ("00493055501234.de", {PERSONAL}),
    ],
)
def test_a_value_of_an_open_dimension_that_is_no_domain_is_caught(
    odd: str | None, checks: set[str], tmp_path: Path
) -> None:
    domains = ["google.com"] * (PEOPLE - 1) + [odd]
    assert failed(checked(visitors(tmp_path, referrer_domain=domains), referrer_domains="any")) == checks


def test_every_check_on_staging_is_seen_to_fail_by_a_test_here() -> None:
    caught = {
        "amount_type",
        "amounts_are_as_declared",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_not_match_regex",
        "expect_column_value_lengths_to_be_between",
        "expect_column_distinct_values_to_equal_set",
        "expect_column_values_to_hold_no_personal_data",
        "expect_column_values_to_be_in_set",
        "type",
        "somebody_is_there",
        "people_are_pseudonyms",
        "nothing_else_is_kept",
        "lines_are_accounted_for",
        "rows_are_the_lines_used",
        "people_stand_once",
        "versions_are_of_the_policy",
        "aliases_are_of_customers",
    }
    named = set()
    for population in Population:
        for part in load_suite(f"staging_{population}").parts.values():
            for check in part.checks:
                column = check.kwargs["column"]
                is_fact = isinstance(column, str) and check.type.endswith("be_in_set")
                named.add(column if is_fact else check.type)
    assert named == caught


@pytest.mark.usefixtures("without_docs")
def test_verdicts_do_not_depend_on_how_many_people_there_are(tmp_path: Path) -> None:
    few = visitors(tmp_path / "few")
    many = visitors(tmp_path / "many", used=2 * PEOPLE)
    rewrite(many, f"FROM '{few.events}' UNION ALL FROM '{few.events}'")
    assert checked(few).sha256 == checked(many).sha256


def test_a_file_that_is_no_parquet_stops_without_quoting_it(tmp_path: Path) -> None:
    staging = visitors(tmp_path)
    staging.events.write_text("jane.planted@example.org", "utf-8")
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
    rewrite(staging, f"SELECT * REPLACE (visits::{kind} AS visits) FROM read_parquet('{staging.events}')")
    assert failed(checked(staging)) == {"amount_type"}


@pytest.mark.usefixtures("without_docs")
def test_a_partial_dimension_may_be_missing_and_holds_keys_of_its_list_where_it_is_not(tmp_path: Path) -> None:
    staging = visitors(tmp_path, entry_section=[None] * (PEOPLE - 1) + ["home"])
    assert not failed(checked(staging))
    rewrite(staging, f"SELECT * REPLACE ('elsewhere' AS entry_section) FROM read_parquet('{staging.events}')")
    assert failed(checked(staging))


@pytest.mark.usefixtures("without_docs")
def test_a_dimension_that_every_request_has_may_not_be_missing(tmp_path: Path) -> None:
    assert failed(checked(visitors(tmp_path, section=[None] + ["home"] * (PEOPLE - 1))))
