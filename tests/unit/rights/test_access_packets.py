"""What is made for a person who asks what is held about them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from pipeline.deidentify.subject_key import subject_key
from pipeline.deidentify.tombstones import Tombstone, email_handle, put_up
from pipeline.errors import PolicyError, RequestError
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.rights.access import HeldRows, write_packet
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import pseudonym, site_document, specification_document

EMAIL, ADDRESS, AGENT = "jane.doe@example.org", "8.8.113.77", "Mozilla/5.0 (X11; Linux x86_64) JanesBrowser/77"
NOW = dt.datetime(2026, 11, 23, 22, 30, tzinfo=dt.UTC)  # the 24th in Berlin
RECEIVED = NOW - dt.timedelta(hours=3)
PERSON = pseudonym(1)
WEEK, MONTH = Period.parse("2026-W41"), Period.parse("2026-10")
VISITOR = SubjectRequest(RequestKind.ACCESS, Population.VISITORS, RECEIVED, address=ADDRESS, agent=AGENT)
CUSTOMER = SubjectRequest(RequestKind.ACCESS, Population.CUSTOMERS, RECEIVED, customer="C-1", email=EMAIL)
POLICY = {
    "versions": [
        {
            "version": "2026-01",
            "effective": "2026-01-01",
            "purposes": {
                "demographics": {
                    "text": "We count visitors and customers in groups.",
                    "audiences": ["partner", "reseller"],
                },
                "campaigns": {"text": "Of customers alone.", "populations": ["customers"], "audiences": ["advertiser"]},
            },
        }
    ]
}


def visits(period: Period = WEEK) -> HeldRows:
    text = pa.dictionary(pa.int16(), pa.string())
    events = {
        "person": [PERSON] * 3,
        "country": pa.array(["DE", "DE", "DE"]),
        "language": pa.array(["de", "de", "en"]),
        "section": pa.array(["docs", "docs", "home"]).cast(text),
        "entry_section": pa.array(["docs", None, None]).cast(text),
        "visits": pa.array([1, 0, 0], pa.int8()),
        "page_views": pa.array([1, 1, 0], pa.int8()),
    }
    return HeldRows(period, None, pa.table(events))


def orders(period: Period = MONTH) -> HeldRows:
    person = {"person": [PERSON], "country": ["AT"], "kind": ["business"], "policy_versions": ["2025-07 2026-01"]}
    bought = {"person": [PERSON] * 3, "product": ["Studio", "Studio", "Cloud"], "revenue": [12900, 12900, -500]}
    return HeldRows(period, pa.table(person), pa.table(bought))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(POLICY), "utf-8")
    (tmp_path / "releases").mkdir()
    document = specification_document(purpose="demographics")
    (tmp_path / "releases" / "weekly.yaml").write_text(yaml.safe_dump(document), "utf-8")
    return Workspace(tmp_path)


@pytest.fixture
def berlin() -> SiteFile:
    document = site_document()
    document["budget"]["customers"] = {"epsilon": 30, "delta": 1e-5}
    customers = {
        "source": {"kind": "database", "url": "sqlite:///customers.db", "table": "customers"},
        "person": "id",
        "email": "email",
        "dimensions": {
            "country": {"kind": "country", "column": "country"},
            "kind": {"kind": "category", "column": "kind", "title": "Kind of customer", "values": ["business"]},
        },
        "orders": {
            "source": {"kind": "csv", "path": "orders.csv"},
            "person": "customer_id",
            "placed": "placed_at",
            "product": "product",
            "products": ["Studio", "Cloud"],
            "amount": {"column": "total", "currency": "EUR", "decimals": 2},
        },
    }
    more = {"time_zone": "Europe/Berlin", "customers": customers, "contact": "privacy@example.com"}
    return SiteFile.model_validate(document | more)


def made(workspace: Workspace, site: SiteFile, request: SubjectRequest, *found: HeldRows) -> tuple[dict[str, Any], str]:
    folder = write_packet(workspace, site, "r-7", request, found, NOW)
    told: dict[str, Any] = json.loads((folder / "held.json").read_bytes())
    return told, (folder / "index.html").read_text("utf-8")


def stand(workspace: Workspace, handle: str, values: dict[str, str], request: str) -> None:
    store = database.opened(workspace.ledger)
    digest = subject_key(workspace, store).digest(handle)
    stone = Tombstone(digest, Population.CUSTOMERS, None, None, values, request, "2026-11-20T23:30:00+00:00")
    with store.writing() as connection:
        put_up(connection, [stone])


def test_a_visitor_is_told_attributes_once_and_the_rest_as_counts(workspace: Workspace, berlin: SiteFile) -> None:
    (held,) = made(workspace, berlin, VISITOR, visits())[0]["held"]
    assert held["attributes"]["country"] == {"title": "Country", "values": ["DE"]}
    assert held["attributes"]["language"] == {"title": "Browser language", "values": ["de", "en"]}
    assert held["activity"]["section"] == {"title": "Section of the site", "events": {"docs": 2, "home": 1}}
    assert held["activity"]["entry_section"]["events"] == {"docs": 1}  # requests that begin no visit are of none
    assert held["amounts"] == {
        "visits": {"title": "Visits", "total": "1 visit"},
        "page_views": {"title": "Pages and downloads", "total": "2 page views"},
    }


def test_a_customer_is_told_their_orders_by_product_and_what_they_came_to(
    workspace: Workspace, berlin: SiteFile
) -> None:
    told, page = made(workspace, berlin, CUSTOMER, orders())
    (held,) = told["held"]
    assert held["attributes"]["kind"] == {"title": "Kind of customer", "values": ["business"]}
    assert held["activity"]["product"]["events"] == {"Studio": 2, "Cloud": 1}
    assert held["amounts"] == {"revenue": {"title": "Revenue", "total": "253.00 EUR"}}
    assert held["policy_versions"] == ["2025-07", "2026-01"]
    assert "policy_versions" not in held["attributes"]
    for words in (
        "Austria",
        "Kind of customer",
        "business",
        "Studio",
        "253.00 EUR",
        "258.00 EUR",
        "-5.00 EUR",
        "3 orders",
        "2025-07, 2026-01",
    ):
        assert words in page


def test_every_row_is_told_as_it_is_held_with_how_often(workspace: Workspace, berlin: SiteFile) -> None:
    (held,) = made(workspace, berlin, CUSTOMER, orders())[0]["held"]
    rows = held["rows"]
    assert {"product": "Studio", "revenue": 12900, "number": 2} in rows
    assert {"product": "Cloud", "revenue": -500, "number": 1} in rows
    assert {"country": "AT", "kind": "business", "policy_versions": "2025-07 2026-01", "number": 1} in rows
    assert len(rows) == 3


def test_periods_stand_in_order_each_with_the_day_from_which_it_is_not_held(
    workspace: Workspace, berlin: SiteFile
) -> None:
    told, page = made(workspace, berlin, VISITOR, visits(WEEK.next), visits())
    assert [(one["period"], one["held_until"]) for one in told["held"]] == [
        ("2026-W41", "2027-01-10"),
        ("2026-W42", "2027-01-17"),
    ]
    assert (told["held"][0]["first_day"], told["held"][0]["last_day"]) == ("2026-10-05", "2026-10-11")
    assert "Held until 10 January 2027" in page


def test_times_are_those_of_the_site_and_deletion_is_announced(workspace: Workspace, berlin: SiteFile) -> None:
    told, page = made(workspace, berlin, VISITOR, visits())
    assert told["made"] == "2026-11-23T23:30:00+01:00"
    assert told["kept_until"] == "2026-12-07"
    assert "is kept here until <strong>7 December 2026</strong>" in page
    assert "23 November 2026, 23:30 CET" in page


def test_nobody_is_named(workspace: Workspace, berlin: SiteFile) -> None:
    stand(workspace, email_handle(EMAIL), {}, "r-1")
    for request, rows in ((VISITOR, visits()), (CUSTOMER, orders())):
        folder = write_packet(workspace, berlin, "r-7", request, [rows], NOW)
        for file in folder.iterdir():
            content = file.read_text("utf-8")
            for secret in (PERSON, EMAIL, ADDRESS, AGENT, "JanesBrowser", "jane", "C-1"):
                assert secret not in content
            digest = subject_key(workspace, database.opened(workspace.ledger)).digest(email_handle(EMAIL))
            assert digest not in content


def test_who_is_not_found_is_told_that_nothing_is_held(workspace: Workspace, berlin: SiteFile) -> None:
    nothing = HeldRows(WEEK, None, visits().events.slice(0, 0))  # type: ignore[union-attr]
    for found in ((), (nothing,)):
        told, page = made(workspace, berlin, VISITOR, *found)
        assert told["held"] == []
        assert "we hold nothing about you" in page
        assert told["not_held"]


def test_requests_in_force_are_told_by_whichever_name_they_were_made_under(
    workspace: Workspace, berlin: SiteFile
) -> None:
    stand(workspace, email_handle(EMAIL.upper()), {"country": "AT"}, "r-1")
    stand(workspace, email_handle("other@example.org"), {}, "r-2")
    told, page = made(workspace, berlin, CUSTOMER)
    (effect,) = told["requests_in_force"]
    assert (effect["request"], effect["effect"], effect["in_force_since"]) == ("r-1", "corrected", "2026-11-21")
    assert effect["values"] == {"Country": "Austria"}
    assert "Corrected: Country is Austria" in page
    assert "r-2" not in page


def test_the_notice_the_releases_and_who_receives_them_are_told(workspace: Workspace, berlin: SiteFile) -> None:
    told, page = made(workspace, berlin, VISITOR, visits())
    assert told["privacy_notice"]["version"] == "2026-01"
    assert [one["title"] for one in told["privacy_notice"]["purposes"]] == ["demographics"]
    assert told["releases"] == [
        {
            "title": "Weekly visitors",
            "purpose": "We count visitors and customers in groups.",
            "goes_to": ["partners", "resellers"],
        }
    ]
    assert "Nothing about one person leaves." in page
    assert "write to privacy@example.com" in page


def test_releases_over_others_are_not_told_to_a_customer(workspace: Workspace, berlin: SiteFile) -> None:
    told, _ = made(workspace, berlin, CUSTOMER, orders())
    assert told["releases"] == []
    assert {one["title"] for one in told["privacy_notice"]["purposes"]} == {"demographics", "campaigns"}


def test_what_is_not_known_of_somebody_is_told_as_such(workspace: Workspace, berlin: SiteFile) -> None:
    events = pa.table({"person": [PERSON], "country": pa.array([None], pa.string())})
    told, page = made(workspace, berlin, VISITOR, HeldRows(WEEK, None, events))
    assert told["held"][0]["attributes"]["country"]["values"] == [None]
    assert "<dt>Country</dt><dd>not told</dd>" in page


def test_a_site_without_policy_and_specifications_has_a_packet_all_the_same(tmp_path: Path, berlin: SiteFile) -> None:
    told, _ = made(Workspace(tmp_path), berlin, VISITOR, visits())
    assert told["privacy_notice"] is None
    assert told["releases"] == []


def test_a_broken_policy_is_an_error_rather_than_half_an_answer(workspace: Workspace, berlin: SiteFile) -> None:
    workspace.policy_file.write_text("versions: []\n", "utf-8")
    with pytest.raises(PolicyError):
        write_packet(workspace, berlin, "r-7", VISITOR, [visits()], NOW)
    assert not workspace.access.exists()


def test_only_its_owner_can_read_it(workspace: Workspace, berlin: SiteFile) -> None:
    folder = write_packet(workspace, berlin, "r-7", VISITOR, [visits()], NOW)
    assert folder == workspace.access / "r-7"
    assert [path.stat().st_mode & 0o777 for path in (workspace.access, folder)] == [0o700, 0o700]
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "index.html": 0o600,
        "held.json": 0o600,
    }


def test_made_again_it_replaces_what_was_there_and_what_a_killed_run_left(
    workspace: Workspace, berlin: SiteFile
) -> None:
    write_packet(workspace, berlin, "r-7", VISITOR, [visits()], NOW)
    (workspace.access / ".r-7.0123abcd.partial").mkdir()
    told, _ = made(workspace, berlin, VISITOR)
    assert told["held"] == []
    assert [path.name for path in workspace.access.iterdir()] == ["r-7"]


def test_a_folder_that_cannot_be_written_is_an_error_that_names_nobody(workspace: Workspace, berlin: SiteFile) -> None:
    workspace.access.write_text("a file where the folder should be", "utf-8")
    with pytest.raises(RequestError) as refused:
        write_packet(workspace, berlin, "r-7", VISITOR, [visits()], NOW)
    assert refused.value.exit_code == 12
    assert ADDRESS not in str(refused.value)


def test_the_page_needs_nothing_from_outside(workspace: Workspace, berlin: SiteFile) -> None:
    _, page = made(workspace, berlin, VISITOR, visits())
    for outside in ("http://", "https://", "src=", "<script", "<link", "@import", "url("):
        assert outside not in page


def test_values_cannot_become_markup(workspace: Workspace, berlin: SiteFile) -> None:
    events = pa.table({"person": [PERSON], "referrer_domain": ["<script>alert(1)</script>"]})
    _, page = made(workspace, berlin, VISITOR, HeldRows(WEEK, None, events))
    assert "<script" not in page


def test_rows_are_never_shown(berlin: SiteFile) -> None:
    assert PERSON not in repr(visits())
    assert "docs" not in repr(visits())
