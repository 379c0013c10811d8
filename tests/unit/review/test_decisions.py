from pathlib import Path

import pytest

from pipeline.errors import NotApprovedError
from pipeline.privacy.accountant import Charge
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Reservation
from pipeline.review.decisions import approve, reject, require_approval, waiting
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

KEY = ReleaseKey("weekly", "2026-W41")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    opened = Ledger.open(tmp_path / "ledger.db")
    reservation = Reservation.model_validate(
        {
            "population": Population.VISITORS,
            "period_start": "2026-10-05",
            "period_end": "2026-10-12",
            "specification_sha256": "a" * 64,
            "charge": Charge(counts={"1": 1}, pure={}, delta=1e-9),
        }
    )
    opened.reserve(KEY, reservation, BudgetCap(epsilon=10, delta=1e-5))
    opened.record_draw(KEY, b"tables")
    return opened


def test_without_a_decision_publishing_fails_closed(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    assert waiting(ledger) == (KEY,)
    with pytest.raises(NotApprovedError, match="no decision"):
        require_approval(ledger, KEY)


def test_an_approval_names_who_decided_and_that_a_script_did(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    approve(ledger, KEY, "scripted-reviewer", "trial run", scripted=True)
    approval = require_approval(ledger, KEY)
    assert (approval.reviewer, approval.scripted) == ("scripted-reviewer", True)
    assert waiting(ledger) == ()


def test_a_rejection_is_final_and_keeps_its_reason(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    reject(ledger, KEY, "ana", "shares look wrong")
    with pytest.raises(NotApprovedError, match="shares look wrong"):
        require_approval(ledger, KEY)
    with pytest.raises(NotApprovedError, match="decided once"):
        approve(ledger, KEY, "ben", "fine")


def test_an_approval_does_not_outlive_a_change_of_the_checks(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    approve(ledger, KEY, "ana", "fine")
    ledger.record_checks(KEY, b"[1]", passed=True)
    with pytest.raises(NotApprovedError, match="has changed since"):
        require_approval(ledger, KEY)
    assert waiting(ledger) == (KEY,)


def test_what_failed_its_checks_cannot_be_approved(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=False)
    with pytest.raises(NotApprovedError, match="must have passed"):
        approve(ledger, KEY, "ana", "fine")


def test_what_was_not_checked_cannot_be_approved(ledger: Ledger) -> None:
    with pytest.raises(NotApprovedError, match="Run draw and validate"):
        approve(ledger, KEY, "ana", "fine")


@pytest.mark.parametrize(("reviewer", "reason"), [("", "fine"), ("ana", " ")])
def test_a_decision_names_its_reviewer_and_reason(ledger: Ledger, reviewer: str, reason: str) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    with pytest.raises(NotApprovedError, match="must name"):
        approve(ledger, KEY, reviewer, reason)


def test_an_approval_copied_from_another_release_does_not_hold(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    foreign = {"candidate_sha256": "f" * 64, "reviewer": "ana", "reason": "fine", "scripted": False}
    ledger.record(EntryKind.APPROVED, KEY, foreign)
    with pytest.raises(NotApprovedError, match="has changed since"):
        require_approval(ledger, KEY)
