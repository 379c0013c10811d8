"""Which entitlements are in force: those that a reviewer has signed, and nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from pipeline.delivery.approvals import Approvals, digest_of, in_force, parsed
from pipeline.delivery.entitlements import NOBODY
from pipeline.delivery.tables import APPROVALS
from pipeline.errors import ConfigurationError, NotApprovedError
from pipeline.review.reviewers import Signer
from tests.delivering import ENTITLEMENTS, DeliveredSite, sample

PRODUCT = "weekly_audience"


@pytest.fixture
def site(tmp_path: Path) -> DeliveredSite:
    made = DeliveredSite(tmp_path)
    for name in (PRODUCT, "monthly_customers"):
        made.offer(sample(name))
    return made


@pytest.fixture
def ana(site: DeliveredSite) -> Signer:
    return site.reviewer("ana")


def names(site: DeliveredSite) -> list[str]:
    return [one.name for one in in_force(site.workspace).recipients]


def only(*wanted: str) -> dict[str, Any]:
    return {"recipients": [one for one in ENTITLEMENTS["recipients"] if one["name"] in wanted]}


def forge(site: DeliveredSite, **changes: Any) -> None:
    """Write a row by hand as a newer approval, made from the newest one there is."""
    with sqlite3.connect(str(site.workspace.ledger)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM entitlement_approvals ORDER BY number").fetchall()
        row = dict(found[changes.pop("of", -1)]) | {"number": len(found) + 1} | changes
        connection.execute(
            "INSERT INTO entitlement_approvals VALUES (:number, :at, :reviewer, :sha256, :content, :signature)", row
        )


def test_a_file_alone_lets_nobody_in(site: DeliveredSite) -> None:
    site.workspace.entitlements_file.write_text(yaml.safe_dump(ENTITLEMENTS), "utf-8")
    assert in_force(site.workspace) == NOBODY


def test_an_approved_file_is_in_force_until_another_is_approved(site: DeliveredSite, ana: Signer) -> None:
    site.entitle(ana, only("acme"))
    assert names(site) == ["acme"]
    site.workspace.entitlements_file.write_text(yaml.safe_dump(only("north")), "utf-8")
    assert names(site) == ["acme"]
    site.entitle(ana, only("north"))
    assert names(site) == ["north"]


def test_what_was_approved_stands_when_the_file_is_gone(site: DeliveredSite, ana: Signer) -> None:
    site.entitle(ana)
    site.workspace.entitlements_file.unlink()
    assert len(names(site)) == len(ENTITLEMENTS["recipients"])


def test_an_approval_is_of_exactly_what_was_read(site: DeliveredSite, ana: Signer) -> None:
    path, approvals = site.workspace.entitlements_file, Approvals.of(site.workspace)
    path.write_text(yaml.safe_dump(only("acme")), "utf-8")
    seen = digest_of(path.read_bytes())
    path.write_text(yaml.safe_dump(only("north")), "utf-8")
    with pytest.raises(NotApprovedError, match="exactly"):
        approvals.approve(ana, seen)
    assert names(site) == []


def test_who_is_no_reviewer_puts_nothing_into_force(site: DeliveredSite, ana: Signer) -> None:
    stranger = Signer("ana", DeliveredSite(site.home / "elsewhere").reviewer("ana").private_key)
    with pytest.raises(NotApprovedError, match="reviewer"):
        site.entitle(stranger)
    assert ana.name == "ana"
    assert names(site) == []


@pytest.mark.parametrize(
    "forged",
    [
        {"of": 0},
        {"of": 0, "number": 9},
        {"content": yaml.safe_dump(ENTITLEMENTS).encode()},
        {"signature": "00" * 64},
        {"signature": ""},
        {"reviewer": "ben"},
    ],
    ids=str,
)
def test_a_row_that_somebody_writes_changes_or_copies_counts_for_nothing(
    site: DeliveredSite, ana: Signer, forged: dict[str, Any]
) -> None:
    site.reviewer("ben")
    site.entitle(ana, only("acme", "north"))
    site.entitle(ana, only("acme"))
    forge(site, **forged)
    assert names(site) == ["acme"]


def test_a_new_approval_counts_after_a_forged_row(site: DeliveredSite, ana: Signer) -> None:
    site.entitle(ana, only("acme"))
    forge(site, signature="00" * 64)
    site.entitle(ana, only("north"))
    assert names(site) == ["north"]


def test_what_a_former_reviewer_approved_stays_in_force(site: DeliveredSite, ana: Signer) -> None:
    site.entitle(ana, only("acme"))
    site.reviewer("ana")  # with another key
    assert names(site) == ["acme"]


def test_approvals_are_never_changed(site: DeliveredSite, ana: Signer) -> None:
    site.entitle(ana, only("acme"))
    for change in (APPROVALS.delete(), APPROVALS.update().values(reviewer="ben")):
        with pytest.raises(Exception, match="append-only"), Approvals.of(site.workspace).database.writing() as writer:
            writer.execute(change)
    with Approvals.of(site.workspace).database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(APPROVALS)).scalar() == 1


def recipient(**changes: Any) -> dict[str, Any]:
    one = {"name": "north", "title": "North", "audience": "reseller", "receives": {PRODUCT: {}}}
    return {"recipients": [one | changes]}


def granted(product: str = PRODUCT, **grant: Any) -> dict[str, Any]:
    return recipient(receives={product: grant})


def columns(*names: str) -> dict[str, Any]:
    return granted("monthly_customers", columns={"customers_by_product": list(names)})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (granted("weekly_sums"), "no such product"),
        (recipient(audience="guest"), "audience"),
        (granted(tables=["visitors_by_shoe_size"]), "no table"),
        (granted("monthly_customers", tables=["customers_by_year"]), "no table"),
        (granted(rows={"country": ["XX"]}), "no XX"),
        (granted(rows={"shoe_size": ["42"]}), "shoe_size"),
        (granted(rows={"country": []}), "at least 1"),
        (granted(totals=True), "beside rows"),
        (columns("seats"), "no column seats"),
        (columns("orders"), "from the first on"),
        (columns("product", "revenue_per_order"), "made of"),
        (granted(embargo_hours=-1), "embargo_hours"),
        (granted(kept_days=0), "kept_days"),
        (granted(secret=True), "secret"),
        (recipient(webhook="http://example.org/hook"), "https"),
        (recipient(webhook="https://name:word@example.org/"), "https"),
        (recipient(stores=["ftp://example.org/x"]), "store"),
        (recipient(stores=["sftp://name:word@example.org/x"]), "store"),
        (recipient(stores=["s3://bucket/../other"]), "store"),
        (recipient(email="a@example.org\r\nBcc: b@example.org"), "email"),
        (recipient(name="North Ltd"), "name"),
        ({"recipients": [recipient()["recipients"][0]] * 2}, "differ"),
        ({"recipient": []}, "recipients"),
    ],
    ids=str,
)
def test_entitlements_that_cannot_be_are_refused_with_their_place(
    site: DeliveredSite, ana: Signer, document: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        site.entitle(ana, document)
    assert names(site) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"a: [", b"recipients: 3", b"&a [*a]"], ids=str)
def test_a_file_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        parsed(content)


def test_the_file_of_the_sample_is_valid(site: DeliveredSite, ana: Signer) -> None:
    site.entitle(ana)
    assert Approvals.of(site.workspace).proposed() is None


def test_a_key_that_is_there_twice_is_refused_since_a_reader_may_see_the_first_and_the_program_the_last() -> None:
    narrow = "recipients: [{name: a, title: A, audience: partner, receives: {one: {rows: {country: [DE]}}}}]"
    assert len(parsed(narrow.encode()).recipients) == 1
    for wide in (narrow.replace("{country: [DE]}", "{country: [DE]}, rows: {}"), f"{narrow}\nrecipients: []"):
        with pytest.raises(ConfigurationError, match="each key once"):
            parsed(wide.encode())
