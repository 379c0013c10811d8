"""Who may decide, how many must, and when nobody needs to."""

from __future__ import annotations

import pytest

from pipeline.errors import NotApprovedError
from pipeline.privacy.chain import EntryKind
from pipeline.review.reviewers import signed
from pipeline.spec import ReleaseKey
from tests.reviewing import KEY, Desk, draw, reviewer, specification

NEXT = ReleaseKey("weekly", "2026-W42")
SECOND = ReleaseKey("weekly", "2026-W41", 2)


# Who may decide, and how many.


def test_who_wrote_the_specification_cannot_decide_even_with_a_signature_of_their_own(desk: Desk) -> None:
    desk.candidate(asked=specification(written_by=["Ana "]))
    with pytest.raises(NotApprovedError, match="who wrote the specification"):
        desk.register.approve(KEY, desk.ana, "fine")
    candidate = desk.register.candidate(KEY)
    said = {"candidate_sha256": candidate.sha256, "checked": candidate.checked, "reason": "fine"}
    desk.ledger.record(EntryKind.APPROVED, KEY, signed(EntryKind.APPROVED, KEY, said, desk.ana))
    with pytest.raises(NotApprovedError, match="who wrote the specification"):
        desk.register.approval(KEY)
    desk.register.approve(KEY, desk.ben, "fine")
    assert desk.register.approval(KEY).reviewers == ("ben",)


def test_who_triggered_the_draw_cannot_decide_under_any_of_their_names(desk: Desk) -> None:
    desk.candidate(by="A.Roe")
    ana = reviewer(desk.reviewers, "ana", also_known_as=("a.roe",))
    for decide in (desk.register.approve, desk.register.reject):
        with pytest.raises(NotApprovedError, match="who triggered the draw"):
            decide(KEY, ana, "fine")
    desk.register.approve(KEY, desk.ben, "fine")
    assert desk.register.approval(KEY)


def test_two_reviewers_decide_where_the_specification_wants_two(desk: Desk) -> None:
    desk.candidate(asked=specification(reviewers=2))
    desk.register.approve(KEY, desk.ana, "fine")
    assert desk.register.waiting() == (KEY,)
    with pytest.raises(NotApprovedError, match="1 of 2 decisions"):
        desk.register.approval(KEY)
    with pytest.raises(NotApprovedError, match="each once"):
        desk.register.approve(KEY, desk.ana, "fine, once more")
    desk.register.approve(KEY, desk.ben, "fine too")
    assert desk.register.waiting() == ()
    assert desk.register.approval(KEY).reviewer == "ana and ben"


def test_one_rejection_stops_what_another_reviewer_approved(desk: Desk) -> None:
    desk.candidate(asked=specification(reviewers=2))
    desk.register.approve(KEY, desk.ana, "fine")
    desk.register.reject(KEY, desk.ben, "not fine")
    assert desk.register.waiting() == ()
    with pytest.raises(NotApprovedError, match="not fine"):
        desk.register.approval(KEY)


# Reviewing only what differs from what was approved.


ON_CHANGE = specification(review="on change")


def test_what_differs_in_nothing_from_what_was_approved_rests_on_that(desk: Desk) -> None:
    desk.candidate(asked=ON_CHANGE)
    assert desk.register.waiting() == (KEY,)
    desk.publish()
    desk.candidate(NEXT, ON_CHANGE)
    assert desk.register.waiting() == ()
    approval = desk.register.approval(NEXT)
    assert (approval.rests_on, approval.reviewers) == (KEY, ("ana",))
    assert approval.candidate_sha256 == desk.register.candidate(NEXT).sha256


def test_by_default_every_release_is_reviewed(waiting: Desk) -> None:
    waiting.publish()
    waiting.candidate(NEXT)
    assert waiting.register.waiting() == (NEXT,)


def test_another_specification_or_another_outcome_of_a_check_is_reviewed(desk: Desk) -> None:
    desk.candidate(asked=ON_CHANGE)
    desk.publish()
    desk.candidate(NEXT, specification(review="on change", title="Another title"))
    assert desk.register.waiting() == (NEXT,)
    third = ReleaseKey("weekly", "2026-W43")
    draw(desk.ledger, third, ON_CHANGE)
    desk.ledger.record_checks(third, b"[1]", passed=True)
    assert desk.register.waiting() == (NEXT, third)


def test_a_revision_is_always_reviewed(desk: Desk) -> None:
    desk.candidate(asked=ON_CHANGE)
    desk.publish()
    draw(desk.ledger, SECOND, ON_CHANGE, revises="a log file came late")
    desk.ledger.record_checks(SECOND, b"[]", passed=True)
    assert desk.register.waiting() == (SECOND,)


def test_nothing_rests_on_what_was_withdrawn_or_never_published(desk: Desk) -> None:
    desk.candidate(asked=ON_CHANGE)
    desk.register.approve(KEY, desk.ana, "fine")
    desk.candidate(NEXT, ON_CHANGE)
    assert desk.register.waiting() == (NEXT,)
    desk.ledger.record(EntryKind.PUBLISHED, KEY, {})
    assert desk.register.waiting() == ()
    desk.register.withdraw(KEY, desk.ben, "a column was wrong")
    assert desk.register.waiting() == (NEXT,)


def test_a_rejection_stands_above_what_could_rest_on_an_approval(desk: Desk) -> None:
    desk.candidate(asked=ON_CHANGE)
    desk.candidate(NEXT, ON_CHANGE)
    desk.register.reject(NEXT, desk.ben, "not this week")
    desk.publish()
    with pytest.raises(NotApprovedError, match="not this week"):
        desk.register.approval(NEXT)
