"""Nothing is published without a reviewer's decision, whatever anybody does in a running Airflow, or to the ledger.

One Airflow serves the whole module, and its tests follow one another: what one of them needs it makes sure of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import flow
from pipeline.errors import NotApprovedError
from pipeline.local.api import DagRun
from pipeline.privacy.chain import EntryKind
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Signer, signed
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from tests.end_to_end.ledger_forgery import change_artefact, change_draw, opened_up, unseen, write_entry
from tests.end_to_end.review_site import AWAIT, DRIVER, PERIOD, ReviewSite, review_airflow, write_review_site
from tests.end_to_end.rights_site import Ran, until
from tests.reviewing import reviewer

pytestmark = pytest.mark.airflow

RELEASES = ("forced", "marked", "changed", "late", "scheduled")
NOBODY = "a privacy reviewer must approve a release before it is published"
UNSIGNED = "a decision holds only with the signature of a reviewer's account"
OTHER_LEDGER = "the ledger must hold every entry that this site has seen"
OTHER_BYTES = "an approval holds for exactly the bytes it was given for"
WITHDRAWN = "a withdrawn release is not approved or published again"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewSite]:
    workspace = write_review_site(tmp_path_factory.mktemp("site"), RELEASES)
    with review_airflow(workspace, unpaused=["scheduled"]) as running:
        yield running


@pytest.fixture(scope="module")
def ana(site: ReviewSite) -> Signer:
    return reviewer(site.workspace, "ana")


@pytest.fixture(scope="module")
def starter(site: ReviewSite) -> Signer:
    """A reviewer who goes by another name in Airflow, by which all exports here are started but the scheduled one."""
    return reviewer(site.workspace, "bob", also_known_as=(DRIVER.upper(),))


@pytest.fixture(scope="module")
def waiting(site: ReviewSite) -> Mapping[str, DagRun]:
    """Exports that wait for their reviewers, more than this Airflow has workers."""
    return site.exporting("forced", "marked", "changed", "late")


@pytest.fixture(scope="module")
def forced(site: ReviewSite, waiting: Mapping[str, DagRun]) -> Ran:
    """An export whose wait somebody wrote an approval for, and set to success."""
    run = waiting["forced"]
    site.write_xcom(run, AWAIT, "approved by ana", there=False)
    site.set_state(run, AWAIT, "success")
    return site.ended(run)


# Waiting


def test_more_exports_wait_than_there_are_workers_and_others_still_run(
    site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    assert len(waiting) > 2
    assert {site.task_state(run, AWAIT) for run in waiting.values()} == {"deferred"}


def test_a_waiting_task_links_to_the_page_of_exactly_its_candidate(
    site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    page = f"http://127.0.0.1:8600/releases/forced/{PERIOD}/r1"
    until(lambda: site.links(waiting["forced"]) == {"Review page": page}, "the link is there")
    assert f"Reviewers decide at {page}" in site.logs(waiting["forced"])[AWAIT]


def test_the_draw_records_who_started_the_run_and_nobody_where_a_schedule_did(
    site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    (by_schedule,) = (run for run in site.airflow.api.runs() if run.dag == "export_scheduled")
    site.await_deferred(by_schedule)
    found = {name: site.entry(EntryKind.DRAWN, name) for name in (*waiting, "scheduled")}
    assert {name: entry and entry.payload["triggered_by"] for name, entry in found.items()} == {
        **dict.fromkeys(waiting, DRIVER),
        "scheduled": "",
    }


def test_who_started_the_run_cannot_decide_on_it(
    site: ReviewSite, waiting: Mapping[str, DagRun], starter: Signer
) -> None:
    assert "marked" in waiting
    with pytest.raises(NotApprovedError, match="who triggered the draw does not decide on it"):
        site.decide(EntryKind.APPROVED, "marked", starter, "looks good")


def test_a_release_that_a_schedule_drew_is_published_when_a_reviewer_approves(
    site: ReviewSite, waiting: Mapping[str, DagRun], starter: Signer
) -> None:
    assert waiting
    (run,) = (run for run in site.airflow.api.runs() if run.dag == "export_scheduled")
    site.await_deferred(run)
    assert not site.is_published("scheduled")
    site.decide(EntryKind.APPROVED, "scheduled", starter, "read every table")
    ended = site.ended(run)
    assert (ended.run.state, ended.tasks["publish"]) == ("success", "success"), ended.errors
    assert site.xcom(run, AWAIT) == "approved by bob"
    assert site.is_published("scheduled")


# Round the reviewer, by Airflow


def test_a_wait_that_is_set_to_success_with_an_edited_result_publishes_nothing(site: ReviewSite, forced: Ran) -> None:
    assert site.xcom(forced.run, AWAIT) == "approved by ana"
    assert (forced.run.state, forced.tasks[AWAIT], forced.tasks["publish"]) == ("failed", "success", "failed")
    assert NOBODY in forced.errors["publish"]
    assert not site.is_published("forced")


def test_a_result_that_is_edited_afterwards_publishes_nothing(site: ReviewSite, forced: Ran) -> None:
    site.write_xcom(forced.run, AWAIT, "approved by ana and bob", there=True)
    again = site.clear(forced.run, "publish")
    assert (again.run.state, again.tasks["publish"]) == ("failed", "failed")
    assert NOBODY in again.errors["publish"]
    assert not site.is_published("forced")


def test_a_wait_that_is_cleared_waits_again_and_its_edited_result_is_gone(site: ReviewSite, forced: Ran) -> None:
    site.clear_only(forced.run, AWAIT, "publish")
    site.await_deferred(forced.run)
    assert AWAIT not in site.left_by(forced.run)
    assert not site.is_published("forced")
    site.set_state(forced.run, AWAIT, "success")
    again = site.ended(forced.run)
    assert NOBODY in again.errors["publish"]
    assert not site.is_published("forced")


def test_a_draw_that_is_cleared_and_run_again_stays_the_first(site: ReviewSite, forced: Ran) -> None:
    before = site.entry(EntryKind.DRAWN, "forced")
    again = site.clear(forced.run, "draw", "validate", "publish")
    assert (again.tasks["draw"], again.tasks["validate"], again.tasks["publish"]) == ("success", "success", "failed")
    assert site.entry(EntryKind.DRAWN, "forced") == before
    assert not site.is_published("forced")


def test_all_that_is_set_to_success_together_publishes_nothing(site: ReviewSite, waiting: Mapping[str, DagRun]) -> None:
    run = waiting["marked"]
    site.set_state(run, AWAIT, "success", downstream=True)
    assert site.ended(run).tasks["publish"] == "success"  # as Airflow was told, without having run
    assert not site.is_published("marked")
    again = site.clear(run, "publish")
    assert NOBODY in again.errors["publish"]
    assert not site.is_published("marked")


def test_another_run_with_a_configuration_waits_like_the_first_and_marked_as_success_publishes_nothing(
    site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    assert waiting
    conf = {"approved": True, "reviewer": "ana", "decision": "approved by ana"}
    run = site.trigger("export_marked", dag_run_id="approved-by-ana", conf=conf)
    site.await_deferred(run)
    assert not site.is_published("marked")
    site.mark(run, "success")
    assert site.ended(run).run.state == "success"
    assert not site.is_published("marked")


# Round the reviewer, by the ledger


def unsigned(_site: ReviewSite, said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "reviewer": "ana", "scripted": False}


def made_up(site: ReviewSite, said: dict[str, Any]) -> dict[str, Any]:
    return {**unsigned(site, said), "signature": "ab" * 64}


def by_an_unknown_key(site: ReviewSite, said: dict[str, Any]) -> dict[str, Any]:
    return signed(EntryKind.APPROVED, key_of("forced"), said, Signer("ana", Ed25519PrivateKey.generate()))


def by_an_unknown_reviewer(site: ReviewSite, said: dict[str, Any]) -> dict[str, Any]:
    return signed(EntryKind.APPROVED, key_of("forced"), said, Signer("eve", Ed25519PrivateKey.generate()))


def of_another_release(site: ReviewSite, said: dict[str, Any]) -> dict[str, Any]:
    """The approval that published another release."""
    entry = site.entry(EntryKind.APPROVED, "scheduled")
    assert entry
    return dict(entry.payload)


def of_another_release_made_to_fit(site: ReviewSite, said: dict[str, Any]) -> dict[str, Any]:
    return {**of_another_release(site, said), **said}


def test_an_approval_that_who_started_the_run_signed_into_the_ledger_publishes_nothing(
    site: ReviewSite, forced: Ran, starter: Signer
) -> None:
    write_entry(site.ledger_file, EntryKind.APPROVED, key_of("forced"), by(starter, site))
    again = site.clear(forced.run, "publish")
    assert again.tasks["publish"] == "failed"
    assert "who triggered the draw" in again.errors["publish"]
    assert not site.is_published("forced")


@pytest.mark.parametrize(
    "forgery",
    [unsigned, made_up, by_an_unknown_key, by_an_unknown_reviewer, of_another_release, of_another_release_made_to_fit],
)
def test_an_approval_that_no_reviewer_signed_publishes_nothing(
    site: ReviewSite, forced: Ran, ana: Signer, forgery: Callable[[ReviewSite, dict[str, Any]], dict[str, Any]]
) -> None:
    assert ana
    write_entry(site.ledger_file, EntryKind.APPROVED, key_of("forced"), forgery(site, said(site, "forced")))
    assert site.ledger.entries()  # the chain holds
    again = site.clear(forced.run, "publish")
    assert (again.run.state, again.tasks["publish"]) == ("failed", "failed")
    assert UNSIGNED in again.errors["publish"]
    assert not site.is_published("forced")


def test_tables_that_are_changed_after_the_approval_are_not_published_and_the_right_ones_are(
    site: ReviewSite, waiting: Mapping[str, DagRun], ana: Signer
) -> None:
    run, key = waiting["changed"], key_of("changed")
    site.pause("export_changed")  # so that the tables are changed between the decision and the publication
    site.decide(EntryKind.APPROVED, "changed", ana, "read every table")
    with opened_up(site.ledger_file) as connection:
        digest = change_artefact(connection, key, b"The changed release", b"The forged release!")
        site.pause("export_changed", paused=False)
        ended = site.ended(run)
        assert (ended.tasks[AWAIT], ended.tasks["publish"]) == ("success", "failed")
        assert "what the ledger kept of a release must be what was recorded" in ended.errors["publish"]
        assert not site.is_published("changed")
        change_draw(connection, key, digest)  # now the ledger agrees with itself
        assert site.ledger.entries()
        assert OTHER_LEDGER in site.clear(run, "publish").errors["publish"]
        with unseen(site.workspace.ledger_head):  # nor does the site's folder say otherwise
            assert OTHER_BYTES in site.clear(run, "publish").errors["publish"]
        assert not site.is_published("changed")
    right = site.clear(run, "publish")
    assert (right.run.state, right.tasks["publish"]) == ("success", "success"), right.errors
    assert site.is_published("changed")


def test_the_approval_of_an_earlier_revision_publishes_no_later_one(site: ReviewSite, ana: Signer) -> None:
    assert site.is_published("changed")
    flow.draw("changed", PERIOD, revise="a log file came late")
    (run,) = site.exporting("changed").values()
    old = site.entry(EntryKind.APPROVED, "changed")
    assert old
    key = key_of("changed", 2)
    page = {"Review page": f"http://127.0.0.1:8600/releases/changed/{PERIOD}/r2"}
    until(lambda: site.links(run) == page, "the link is there, which comes when the task has ended its part")
    write_entry(site.ledger_file, EntryKind.APPROVED, key, old.payload)
    site.set_state(run, AWAIT, "success")
    assert UNSIGNED in site.ended(run).errors["publish"]
    write_entry(site.ledger_file, EntryKind.APPROVED, key, {**old.payload, **said(site, "changed", 2)})
    assert UNSIGNED in site.clear(run, "publish").errors["publish"]
    assert not site.is_published("changed", 2)
    site.decide(EntryKind.APPROVED, "changed", ana, "read every table", revision=2)
    assert site.clear(run, "publish").run.state == "success"
    assert site.is_published("changed", 2)


# When nobody decides, or decides against it


def test_nobody_who_decides_in_time_is_told_of_in_a_file(site: ReviewSite, waiting: Mapping[str, DagRun]) -> None:
    run, checked = waiting["late"], site.entry(EntryKind.CHECKED, "late")
    assert checked
    site.move(run, to="deadline")
    until(lambda: bool(site.alerts()), "the deadline is told of")
    (told,) = site.alerts()
    assert (told["release"], told["period"], told["revision"], told["hours"]) == ("late", PERIOD, 1, 48)
    assert (told["waits for"], told["since"], told["run"]) == ("its reviewers", checked.at, run.run)
    assert told["page"] == f"http://127.0.0.1:8600/releases/late/{PERIOD}/r1"
    assert site.task_state(run, AWAIT) == "deferred"


def test_after_two_weeks_the_wait_fails_and_says_so_and_publishes_nothing(
    site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    site.move(waiting["late"], to="timeout")
    ended = site.ended(waiting["late"])
    assert (ended.tasks[AWAIT], ended.tasks["publish"]) == ("failed", "upstream_failed")
    assert "a privacy reviewer must decide on a release within 14 days" in ended.errors[AWAIT]
    assert f"/releases/late/{PERIOD}/r1" in ended.errors[AWAIT]
    assert not site.is_published("late")


def test_a_rejection_ends_the_run_well_with_its_reason_and_skips_the_publication(
    site: ReviewSite, waiting: Mapping[str, DagRun], ana: Signer
) -> None:
    run, reason = waiting["late"], "the third table tells too much of one country"
    site.clear_only(run, AWAIT, "publish")
    site.await_deferred(run)
    site.decide(EntryKind.REJECTED, "late", ana, reason)
    ended = site.ended(run)
    assert (ended.run.state, ended.tasks[AWAIT], ended.tasks["publish"]) == ("success", "success", "skipped")
    assert site.xcom(run, AWAIT) == f"rejected by ana: {reason}"
    assert f"rejected by ana: {reason}" in ended.logs[AWAIT]
    assert not site.is_published("late")


def test_a_rejected_release_whose_publication_is_cleared_is_not_published(
    site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    again = site.clear(waiting["late"], "publish")
    assert again.tasks["publish"] == "failed"
    assert "a rejected release is not published" in again.errors["publish"]
    assert not site.is_published("late")


# And a real one


def test_a_real_approval_publishes_what_no_forged_one_did(site: ReviewSite, forced: Ran, ana: Signer) -> None:
    assert not site.is_published("forced")
    site.decide(EntryKind.APPROVED, "forced", ana, "read every table")
    site.clear_only(forced.run, AWAIT, "publish")
    ended = site.ended(forced.run)
    assert (ended.run.state, ended.tasks["publish"]) == ("success", "success"), ended.errors
    assert site.xcom(forced.run, AWAIT) == "approved by ana"
    assert site.is_published("forced")


def test_a_withdrawn_release_is_not_published_again(site: ReviewSite, forced: Ran, ana: Signer) -> None:
    bundle = site.workspace.bundle(Audience.PARTNER, "forced", PERIOD, 1)
    before = {path.name: path.stat().st_mtime_ns for path in bundle.iterdir()}
    site.decide(EntryKind.WITHDRAWN, "forced", ana, "a source was wrong")
    written = site.clear(forced.run, "publish")
    assert WITHDRAWN in written.errors["publish"]
    write_entry(site.ledger_file, EntryKind.APPROVED, key_of("forced"), by(ana, site))
    waited = site.clear(forced.run, AWAIT, "publish")
    assert (waited.tasks[AWAIT], waited.tasks["publish"]) == ("failed", "upstream_failed")
    assert WITHDRAWN in waited.errors[AWAIT]
    assert {path.name: path.stat().st_mtime_ns for path in bundle.iterdir()} == before


def key_of(release: str, revision: int = 1) -> ReleaseKey:
    return ReleaseKey(release, PERIOD, revision)


def said(site: ReviewSite, release: str, revision: int = 1) -> dict[str, Any]:
    """What an approval of the candidate as it stands says."""
    candidate = Register.of(site.workspace).candidate(key_of(release, revision))
    return {"candidate_sha256": candidate.sha256, "checked": candidate.checked, "reason": "read every table"}


def by(signer: Signer, site: ReviewSite) -> dict[str, Any]:
    """An approval that a reviewer signed, of the candidate as it stands."""
    return signed(EntryKind.APPROVED, key_of("forced"), said(site, "forced"), signer)
