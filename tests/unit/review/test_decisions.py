import pytest

from pipeline.errors import LedgerError, NotApprovedError
from pipeline.privacy.accountant import Charge
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Reservation
from pipeline.review.decisions import approve, reject, require_approval, require_newest, waiting, withdraw
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

KEY = ReleaseKey("weekly", "2026-W41")
SECOND = ReleaseKey("weekly", "2026-W41", 2)


def draw(ledger: Ledger, key: ReleaseKey, revises: str = "") -> None:
    reservation = Reservation.model_validate(
        {
            "population": Population.VISITORS,
            "period_start": "2026-10-05",
            "period_end": "2026-10-12",
            "specification_sha256": "a" * 64,
            "charge": Charge(counts={"1": 1}, pure={}, delta=1e-9),
            "revises": revises,
        }
    )
    ledger.reserve(key, reservation, BudgetCap(epsilon=10, delta=1e-5))
    ledger.record_draw(key, b"tables")


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger.in_memory()
    draw(made, KEY)
    return made


@pytest.fixture
def published(ledger: Ledger) -> Ledger:
    ledger.record_checks(KEY, b"[]", passed=True)
    approve(ledger, KEY, "ana", "fine")
    ledger.record(EntryKind.PUBLISHED, KEY, {})
    return ledger


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


def test_a_revision_waits_for_a_decision_of_its_own(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    approve(ledger, KEY, "ana", "fine")
    draw(ledger, SECOND, "a log file came late")
    ledger.record_checks(SECOND, b"[]", passed=True)
    assert waiting(ledger) == (SECOND,)
    with pytest.raises(NotApprovedError, match="no decision on weekly/2026-W41/r2"):
        require_approval(ledger, SECOND)


def test_a_revised_candidate_is_no_longer_decided_on(ledger: Ledger) -> None:
    ledger.record_checks(KEY, b"[]", passed=True)
    draw(ledger, SECOND, "a log file came late")
    assert waiting(ledger) == ()
    with pytest.raises(NotApprovedError, match=r"only the newest revision .*r2 replaces it"):
        approve(ledger, KEY, "ana", "fine")


def test_a_withdrawn_release_is_neither_published_nor_decided_on_again(published: Ledger) -> None:
    assert withdraw(published, KEY, "ben", "a column was wrong") is True
    assert withdraw(published, KEY, "ana", "again") is False
    with pytest.raises(NotApprovedError, match="withdrawn by ben: a column was wrong"):
        require_approval(published, KEY)
    published.record_checks(KEY, b"[1]", passed=True)
    for decide in (approve, reject):
        with pytest.raises(NotApprovedError, match="is not approved or published again"):
            decide(published, KEY, "ana", "fine")
    assert waiting(published) == ()


def test_a_withdrawn_release_can_be_revised(published: Ledger) -> None:
    withdraw(published, KEY, "ben", "a column was wrong")
    draw(published, SECOND, "the column is right now")
    published.record_checks(SECOND, b"[]", passed=True)
    approve(published, SECOND, "ana", "fine")
    assert require_approval(published, SECOND).reviewer == "ana"


def test_what_was_not_published_is_not_withdrawn(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="must be published before"):
        withdraw(ledger, KEY, "ben", "a column was wrong")


@pytest.mark.parametrize(("reviewer", "reason"), [("", "wrong"), ("ben", " ")])
def test_a_withdrawal_names_who_and_why(published: Ledger, reviewer: str, reason: str) -> None:
    with pytest.raises(NotApprovedError, match="must name"):
        withdraw(published, KEY, reviewer, reason)


def test_a_decision_on_a_revision_that_was_revised_since_is_refused(ledger: Ledger) -> None:
    require_newest(ledger, KEY)
    draw(ledger, SECOND, revises="wrong logs")
    with pytest.raises(NotApprovedError, match=r"weekly/2026-W41/r2 was drawn\. .* --revision 2"):
        require_newest(ledger, KEY)
    require_newest(ledger, SECOND)
