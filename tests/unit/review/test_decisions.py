"""Decisions count with a reviewer's signature, on exactly what was read, and on nothing else."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.errors import ConfigurationError, LedgerError, NotApprovedError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Origin
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Signer, signed
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from tests.hostile_texts import HOSTILE
from tests.reviewing import KEY, Desk, draw, reviewer, specification

NEXT = ReleaseKey("weekly", "2026-W42")
SECOND = ReleaseKey("weekly", "2026-W41", 2)


def test_without_a_decision_publishing_fails_closed(waiting: Desk) -> None:
    assert waiting.register.waiting() == (KEY,)
    with pytest.raises(NotApprovedError, match="no decision on weekly"):
        waiting.register.approval(KEY)


def test_an_approval_names_who_decided_and_that_a_script_did(waiting: Desk) -> None:
    script = reviewer(waiting.reviewers, "script", scripted=True)
    waiting.register.approve(KEY, script, "trial run")
    approval = waiting.register.approval(KEY)
    assert (approval.reviewer, approval.scripted, approval.rests_on) == ("script", True, None)
    assert waiting.register.waiting() == ()


def test_a_rejection_is_final_and_keeps_its_reason(waiting: Desk) -> None:
    waiting.register.reject(KEY, waiting.ana, "shares look wrong")
    with pytest.raises(NotApprovedError, match="shares look wrong"):
        waiting.register.approval(KEY)
    with pytest.raises(NotApprovedError, match="decided once"):
        waiting.register.approve(KEY, waiting.ben, "fine")
    assert waiting.register.rejection(KEY) == "ana: shares look wrong"


def test_an_approval_does_not_outlive_a_change_of_the_checks(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, "fine")
    waiting.ledger.record_checks(KEY, b"[1]", passed=True)
    with pytest.raises(NotApprovedError, match="has changed since"):
        waiting.register.approval(KEY)
    assert waiting.register.waiting() == (KEY,)


def test_an_approval_does_not_come_back_with_the_checks_that_it_was_given_for(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, "fine")
    waiting.ledger.record_checks(KEY, b"[1]", passed=False)
    waiting.ledger.record_checks(KEY, b"[]", passed=True)
    assert waiting.register.waiting() == (KEY,)


def test_a_candidate_that_changed_since_it_was_read_is_not_decided(waiting: Desk) -> None:
    read = waiting.register.candidate(KEY).sha256
    waiting.ledger.record_checks(KEY, b"[1]", passed=True)
    for decide in (waiting.register.approve, waiting.register.reject):
        with pytest.raises(NotApprovedError, match="on what was read"):
            decide(KEY, waiting.ana, "fine", read)
    waiting.register.approve(KEY, waiting.ana, "fine", waiting.register.candidate(KEY).sha256)
    assert waiting.register.approval(KEY)


def test_what_failed_its_checks_cannot_be_approved(desk: Desk) -> None:
    draw(desk.ledger, KEY)
    desk.ledger.record_checks(KEY, b"[]", passed=False)
    with pytest.raises(NotApprovedError, match="must have passed"):
        desk.register.approve(KEY, desk.ana, "fine")


def test_what_was_not_checked_cannot_be_approved(desk: Desk) -> None:
    draw(desk.ledger, KEY)
    with pytest.raises(NotApprovedError, match="Run draw and validate"):
        desk.register.approve(KEY, desk.ana, "fine")


def test_what_has_no_recorded_specification_cannot_be_approved(desk: Desk) -> None:
    draw(desk.ledger, ReleaseKey("other", "2026-W41"))
    asked = desk.ledger.reservations()[0][1]
    desk.ledger.reserve(KEY, asked, _cap())
    desk.ledger.record_draw(KEY, b"tables")
    desk.ledger.record_checks(KEY, b"[]", passed=True)
    assert desk.register.waiting() == (KEY,)  # somebody should look
    with pytest.raises(LedgerError, match="what the ledger kept"):
        desk.register.approve(KEY, desk.ana, "fine")


def test_what_is_drawn_is_what_was_reserved_for(desk: Desk) -> None:
    draw(desk.ledger, ReleaseKey("other", "2026-W41"))
    desk.ledger.reserve(KEY, desk.ledger.reservations()[0][1], _cap())
    with pytest.raises(LedgerError, match="must be what was reserved for"):
        desk.ledger.record_draw(KEY, b"tables", origin=Origin(specification(reviewers=2).canonical))
    assert desk.ledger.artefact(KEY) is None


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 501, "an escape \x1b[31m"])
def test_a_decision_has_a_reason_in_one_line(waiting: Desk, reason: str) -> None:
    with pytest.raises(NotApprovedError, match="must name its reason"):
        waiting.register.approve(KEY, waiting.ana, reason)


def test_a_reason_is_kept_as_it_is_written(waiting: Desk) -> None:
    waiting.register.reject(KEY, waiting.ana, "<script>alert(1)</script>")
    assert waiting.register.rejection(KEY) == "ana: <script>alert(1)</script>"


def test_who_is_no_reviewer_decides_nothing(waiting: Desk) -> None:
    stranger = Signer("mallory", Ed25519PrivateKey.generate())
    with pytest.raises(NotApprovedError, match="a reviewer's own account, got mallory"):
        waiting.register.approve(KEY, stranger, "fine")


@pytest.mark.parametrize("name", [*HOSTILE, "../ana", "ana.pub", "ANA", ""])
def test_no_name_reaches_another_file(desk: Desk, name: str) -> None:
    assert desk.reviewers.find(name) is None


def test_a_reviewer_who_decides_no_more_has_no_word(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, "fine")
    found = waiting.reviewers.find("ana")
    assert found is not None
    waiting.reviewers.put(found.model_copy(update={"active": False}))
    assert waiting.register.waiting() == (KEY,)
    with pytest.raises(NotApprovedError, match="decides no more"):
        waiting.register.approval(KEY)
    with pytest.raises(NotApprovedError, match="own account"):
        waiting.register.approve(KEY, waiting.ana, "fine")
    assert Register(waiting.ledger, waiting.reviewers, of_old=True).approval(KEY).reviewer == "ana"


def test_a_former_key_publishes_nothing_and_what_it_published_stays_approved(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, "fine")
    before = waiting.reviewers.find("ana")
    assert before is not None
    reviewer(waiting.reviewers, "ana")
    after = waiting.reviewers.find("ana")
    assert after is not None
    waiting.reviewers.put(after.model_copy(update={"former_keys": (before.public_key,)}))
    with pytest.raises(NotApprovedError, match="decides no more"):
        waiting.register.approval(KEY)
    assert waiting.register.unsigned(KEY) == ()
    assert Register(waiting.ledger, waiting.reviewers, of_old=True).approval(KEY).reviewer == "ana"


def test_a_reviewers_file_that_is_none_is_named(desk: Desk) -> None:
    (desk.reviewers.folder / "carl.pub").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"carl\.pub"):
        desk.reviewers.find("carl")


# What somebody who can write into the ledger might try.


def test_a_row_without_a_signature_approves_nothing(waiting: Desk) -> None:
    candidate = waiting.register.candidate(KEY)
    forged = {"candidate_sha256": candidate.sha256, "checked": candidate.checked, "reason": "fine"}
    waiting.ledger.record(EntryKind.APPROVED, KEY, {**forged, "reviewer": "ana", "scripted": False})
    waiting.ledger.record(EntryKind.APPROVED, KEY, {**forged, "reviewer": "ana", "scripted": False, "signature": "ab"})
    assert waiting.register.waiting() == (KEY,)
    assert len(waiting.register.unsigned(KEY)) == 2
    with pytest.raises(NotApprovedError, match="an entry that no reviewer signed"):
        waiting.register.approval(KEY)


def test_a_row_that_another_key_signed_approves_nothing(waiting: Desk) -> None:
    candidate = waiting.register.candidate(KEY)
    said = {"candidate_sha256": candidate.sha256, "checked": candidate.checked, "reason": "fine"}
    impostor = Signer("ana", Ed25519PrivateKey.generate())
    waiting.ledger.record(EntryKind.APPROVED, KEY, signed(EntryKind.APPROVED, KEY, said, impostor))
    with pytest.raises(NotApprovedError, match="no reviewer signed"):
        waiting.register.approval(KEY)


@pytest.mark.parametrize("changed", ["reason", "candidate_sha256", "scripted", "checked", "reviewer"])
def test_a_signed_row_that_is_changed_approves_nothing(waiting: Desk, changed: str) -> None:
    candidate = waiting.register.candidate(KEY)
    said = {"candidate_sha256": candidate.sha256, "checked": candidate.checked, "reason": "fine"}
    row = signed(EntryKind.APPROVED, KEY, said, waiting.ana) | {changed: "ben" if changed == "reviewer" else "x"}
    waiting.ledger.record(EntryKind.APPROVED, KEY, row)
    with pytest.raises(NotApprovedError):
        waiting.register.approval(KEY)


def test_an_approval_that_is_copied_holds_for_no_other_release(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, "fine")
    copied = waiting.register.history(KEY)[-1]
    waiting.candidate(NEXT)
    candidate = waiting.register.candidate(NEXT)
    waiting.ledger.record(EntryKind.APPROVED, NEXT, copied.payload)
    rewritten = {**copied.payload, "candidate_sha256": candidate.sha256, "checked": candidate.checked}
    waiting.ledger.record(EntryKind.APPROVED, NEXT, rewritten)
    assert waiting.register.waiting() == (NEXT,)
    with pytest.raises(NotApprovedError, match="no reviewer signed"):
        waiting.register.approval(NEXT)


def test_a_rejection_cannot_be_made_an_approval(waiting: Desk) -> None:
    waiting.register.reject(KEY, waiting.ana, "wrong")
    waiting.ledger.record(EntryKind.APPROVED, KEY, waiting.register.history(KEY)[-1].payload)
    with pytest.raises(NotApprovedError, match="rejected"):
        waiting.register.approval(KEY)


# Revisions and withdrawals.


def test_a_revision_waits_for_a_decision_of_its_own(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, "fine")
    draw(waiting.ledger, SECOND, revises="a log file came late")
    waiting.ledger.record_checks(SECOND, b"[]", passed=True)
    assert waiting.register.waiting() == (SECOND,)
    with pytest.raises(NotApprovedError, match="no decision on weekly/2026-W41/r2"):
        waiting.register.approval(SECOND)


def test_a_revised_candidate_is_no_longer_decided_on(waiting: Desk) -> None:
    draw(waiting.ledger, SECOND, revises="a log file came late")
    assert waiting.register.waiting() == ()
    with pytest.raises(NotApprovedError, match=r"r2 was drawn\. .* --revision 2"):
        waiting.register.approve(KEY, waiting.ana, "fine")


def test_a_withdrawn_release_is_neither_published_nor_decided_on_again(waiting: Desk) -> None:
    waiting.publish()
    assert waiting.register.withdraw(KEY, waiting.ben, "a column was wrong") is True
    assert waiting.register.withdraw(KEY, waiting.ana, "again") is False
    with pytest.raises(NotApprovedError, match="withdrawn by ben: a column was wrong"):
        waiting.register.approval(KEY)
    waiting.ledger.record_checks(KEY, b"[1]", passed=True)
    for decide in (waiting.register.approve, waiting.register.reject):
        with pytest.raises(NotApprovedError, match="is not approved or published again"):
            decide(KEY, waiting.ana, "fine")
    assert waiting.register.waiting() == ()


def test_a_withdrawn_release_can_be_revised(waiting: Desk) -> None:
    waiting.publish()
    waiting.register.withdraw(KEY, waiting.ben, "a column was wrong")
    draw(waiting.ledger, SECOND, revises="the column is right now")
    waiting.ledger.record_checks(SECOND, b"[]", passed=True)
    waiting.register.approve(SECOND, waiting.ana, "fine")
    assert waiting.register.approval(SECOND).reviewer == "ana"


def test_what_was_not_published_is_not_withdrawn(waiting: Desk) -> None:
    with pytest.raises(LedgerError, match="must be published before"):
        waiting.register.withdraw(KEY, waiting.ben, "a column was wrong")


def test_a_decision_says_nothing_but_what_it_is_about(waiting: Desk) -> None:
    waiting.register.approve(KEY, waiting.ana, " fine ")
    payload = waiting.register.history(KEY)[-1].payload
    assert set(payload) == {"candidate_sha256", "checked", "reason", "reviewer", "scripted", "signature"}
    assert json.loads(json.dumps(payload["reason"])) == "fine"
    assert "private_key" not in repr(waiting.ana)


def _cap() -> BudgetCap:
    return BudgetCap(epsilon=200, delta=1e-5)
