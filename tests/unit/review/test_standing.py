"""Where a release stands, its checks' history, and what its specification had when somebody approved it last."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.privacy.chain import EntryKind
from pipeline.review.difference import Line, approved_before, difference, hunks
from pipeline.review.series import CheckSeries, Mark, Outcome, earlier, outcome_of, series
from pipeline.review.standing import State, standing_of
from pipeline.spec import ReleaseKey, ReleaseSpecification
from pipeline.validation.verdicts import Verdict, Verdicts
from tests.recorded import RecordedSite, small

ONE, TWO = Verdict("release", "by_browser", "one", True), Verdict("release", "by_browser", "two", True)
WEEKS = tuple(ReleaseKey("weekly", f"2026-W{week:02d}") for week in range(1, 4))


@pytest.fixture
def site(tmp_path: Path) -> RecordedSite:
    return RecordedSite(tmp_path / "site")


def state(site: RecordedSite, key: ReleaseKey) -> State:
    return standing_of(site.register, key).state


def test_a_release_comes_from_state_to_state(site: RecordedSite) -> None:
    ana, key = site.reviewer(), site.draw(small(), "2026-W41")
    seen = [state(site, key)]
    site.check(key, failed=(1,))
    seen.append(state(site, key))
    site.check(key)
    seen.append(state(site, key))
    site.register.approve(key, ana, "fine")
    seen.append(state(site, key))
    site.publish(key)
    seen.append(state(site, key))
    site.register.withdraw(key, ana, "wrong")
    seen.append(state(site, key))
    assert seen == [
        State.UNCHECKED,
        State.FAILED,
        State.WAITING,
        State.APPROVED,
        State.PUBLISHED,
        State.WITHDRAWN,
    ]
    said = standing_of(site.register, key).said
    assert [(one.verb, one.reviewer, one.reason) for one in said] == [
        ("approved", "ana", "fine"),
        ("withdrawn", "ana", "wrong"),
    ]


def test_a_rejected_release_stays_so(site: RecordedSite) -> None:
    key = site.waiting(small(), "2026-W41")
    site.register.reject(key, site.reviewer(), "no")
    assert state(site, key) is State.REJECTED


def test_a_candidate_that_was_revised_is_replaced(site: RecordedSite) -> None:
    first = site.waiting(small(), "2026-W41")
    second = site.draw(small(), "2026-W41", revises="a log file came late")
    site.check(second)
    assert (state(site, first), state(site, second)) == (State.REPLACED, State.WAITING)


def test_the_first_of_two_approvals_is_counted(site: RecordedSite) -> None:
    key = site.waiting(small(reviewers=2), "2026-W41")
    site.register.approve(key, site.reviewer(), "fine")
    standing = standing_of(site.register, key)
    assert (standing.state, standing.approvals, standing.needed) == (State.WAITING, 1, 2)


def test_an_approval_that_changed_checks_voided_counts_no_more(site: RecordedSite) -> None:
    key = site.waiting(small(), "2026-W41")
    site.register.approve(key, site.reviewer(), "fine")
    site.check(key, warned=(2,))
    standing = standing_of(site.register, key)
    assert standing.state is State.WAITING
    assert [one.counts for one in standing.said] == [False]


def test_a_release_rests_on_the_approval_of_one_like_it(site: RecordedSite) -> None:
    before = site.published(small(review="on change"), "2026-W40", site.reviewer())
    key = site.waiting(small(review="on change"), "2026-W41")
    standing = standing_of(site.register, key)
    assert (standing.state, standing.rests_on, standing.said) == (State.APPROVED, before, ())


def test_what_nobody_signed_is_not_among_what_was_said(site: RecordedSite) -> None:
    key = site.waiting(small(), "2026-W41")
    site.ledger.record(EntryKind.APPROVED, key, {"reviewer": "ana", "reason": "by hand", "scripted": False})
    standing = standing_of(site.register, key)
    assert standing.said == ()
    assert [entry.kind for entry in standing.unsigned] == [EntryKind.APPROVED]


def test_the_history_of_a_check_goes_by_its_words() -> None:
    failed = Verdict("release", "by_browser", "two", False)
    warned = Verdict("release", "by_browser", "one", False, "warning")
    before = [(WEEKS[0], Verdicts((ONE,))), (WEEKS[1], Verdicts((warned, TWO))), (WEEKS[2], Verdicts((ONE, TWO)))]
    first, second = series(Verdicts((ONE, failed)), before)
    assert (first.verdict, first.outcome) == (failed, Outcome.FAILED)
    assert [mark.outcome for mark in first.marks] == [Outcome.ABSENT, Outcome.HELD, Outcome.HELD]
    assert [mark.outcome for mark in second.marks] == [Outcome.HELD, Outcome.WARNED, Outcome.HELD]
    assert second.words == "Warned in 2026-W02; held in 2 of the 3 before."
    assert first.words == "Did not exist in 2026-W01; held in 2 of the 3 before."


def test_a_steady_history_is_told_in_few_words() -> None:
    def told(*outcomes: Outcome) -> tuple[str, bool]:
        marks = tuple(Mark(key, outcome) for key, outcome in zip(WEEKS, outcomes, strict=False))
        found = CheckSeries(ONE, outcome_of(ONE), marks)
        return found.words, found.is_steady

    assert told(Outcome.HELD, Outcome.HELD, Outcome.HELD) == ("Held in all 3 before.", True)
    assert told(Outcome.HELD) == ("Held in the one before.", True)
    assert told(Outcome.FAILED) == ("Failed in 2026-W01.", False)
    assert told() == ("There is no earlier release.", True)


def test_releases_of_the_name_that_were_checked_before_are_compared(site: RecordedSite) -> None:
    for week in (38, 39, 40):
        site.waiting(small(), f"2026-W{week}")
    site.waiting(small(release="trends"), "2026-W40")
    key = site.waiting(small(), "2026-W41")
    site.waiting(small(), "2026-W42")
    assert [one.period for one in earlier(site.register, key)] == ["2026-W38", "2026-W39", "2026-W40"]
    assert [one.period for one in earlier(site.register, key, most=2)] == ["2026-W39", "2026-W40"]


def test_what_was_approved_last_is_found(site: RecordedSite) -> None:
    ana = site.reviewer()
    site.published(small(), "2026-W38", ana)
    last = site.published(small(), "2026-W39", ana)
    rejected = site.waiting(small(), "2026-W40")
    site.register.reject(rejected, ana, "no")
    key = site.waiting(small(), "2026-W41")
    found = approved_before(site.register, key)
    assert found is not None
    assert (found.key, found.said.reviewer) == (last, "ana")


def test_half_an_approval_is_none(site: RecordedSite) -> None:
    half = site.waiting(small(reviewers=2), "2026-W40")
    site.register.approve(half, site.reviewer(), "fine")
    assert approved_before(site.register, site.waiting(small(), "2026-W41")) is None


def test_a_later_release_is_no_earlier_approval(site: RecordedSite) -> None:
    key = site.waiting(small(), "2026-W40")
    site.published(small(), "2026-W41", site.reviewer())
    assert approved_before(site.register, key) is None


def test_lines_that_differ_are_told_with_their_neighbours() -> None:
    before, now = (
        ReleaseSpecification.model_validate(small(privacy={"epsilon": epsilon, "delta": 1e-7, "k": 50}))
        for epsilon in (1, 1.5)
    )
    lines = difference(before, now)
    changed = [line for line in lines if line.kind != "same"]
    assert changed == [Line("removed", "  epsilon: 1.0"), Line("added", "  epsilon: 1.5")]
    shown = hunks(lines, context=1)
    assert [line.kind for line in shown] == ["skipped", "same", "removed", "added", "same", "skipped"]
    assert shown[0].text == f"{lines.index(changed[0]) - 1} lines as before"


def test_what_was_never_approved_is_told_whole() -> None:
    now = ReleaseSpecification.model_validate(small())
    lines = difference(None, now)
    assert {line.kind for line in lines} == {"same"}
    assert lines[0] == Line("same", "release: weekly")
