"""What a reviewer finds on the pages, and what becomes of a decision that is sent from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.privacy.chain import EntryKind
from pipeline.review.accounts import Accounts
from pipeline.review.reviewers import Signer
from pipeline.spec import ReleaseKey
from tests.accounts import OTHER, PASSWORD, WRONG, quick
from tests.portals import Browser, hidden, serving
from tests.recorded import RecordedSite, small

SCRIPT = "<script>alert(1)</script>"
EXPLANATION = "Half of all visits are missing"


class Open(NamedTuple):
    """A site, its reviewer, and a browser in which she has logged in."""

    site: RecordedSite
    ana: Signer
    browser: Browser

    def page(self, key: ReleaseKey, more: str = "") -> str:
        answer = self.browser.get(f"{address(key)}{more}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, key: ReleaseKey, verb: str, **changes: str) -> tuple[int, str]:
        """Send the form of a release's page; status, and the page that comes of it."""
        shown = self.page(key)
        seen = hidden(shown, "seen") if 'name="seen"' in shown else ""
        fields = {"csrf": hidden(shown), "seen": seen, "reason": "Read, fine.", "secret": PASSWORD}
        answer = self.browser.post(f"{address(key)}/{verb}", data=fields | changes)
        if answer.status_code != 303:
            return answer.status_code, answer.text
        return 303, self.browser.get(answer.headers["location"]).text


def address(key: ReleaseKey) -> str:
    return f"/releases/{key.release}/{key.period}/r{key.revision}"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    site = RecordedSite(tmp_path / "site")
    accounts = Accounts.of(site.workspace, quick())
    accounts.add("ana", PASSWORD, also_known_as=("a.bauer",))
    accounts.add("ben", OTHER)
    with serving(site.workspace) as portal, portal.browser() as browser:
        assert browser.log_in().status_code == 303
        yield Open(site, accounts.signer("ana", PASSWORD), browser)


def test_an_empty_site_says_what_to_do(opened: Open) -> None:
    assert "Nothing waits for a decision" in opened.browser.get("/releases").text
    assert "Nothing was reserved yet" in opened.browser.get("/budget").text
    assert "There is no such release" in opened.browser.get("/releases?state=published").text


def test_what_waits_stands_first_and_what_is_decided_below(opened: Open) -> None:
    site = opened.site
    published = site.published(small(title="Old week"), "2026-W40", opened.ana)
    waiting = site.waiting(small(title="New week"), "2026-W41")
    shown = opened.browser.get("/releases").text
    assert shown.index(address(waiting)) < shown.index("All other releases") < shown.index(address(published))
    assert "partners, resellers" in shown
    assert "5 October 2026 to 11 October 2026" in shown


def test_the_list_is_cut_by_name_and_state(opened: Open) -> None:
    site = opened.site
    one = site.published(small(), "2026-W40", opened.ana)
    other = site.published(small(release="trends"), "2026-W40", opened.ana)
    waiting = site.waiting(small(), "2026-W41")
    shown = opened.browser.get("/releases?release=weekly&state=published").text
    assert address(one) in shown
    assert address(other) not in shown
    assert address(waiting) not in shown


def test_a_long_list_has_pages(opened: Open) -> None:
    for week in range(11, 32):
        opened.site.draw(small(), f"2026-W{week}")
    first, second = (opened.browser.get(f"/releases?number={number}").text for number in (1, 2))
    assert [address(ReleaseKey("weekly", "2026-W31")) in shown for shown in (first, second)] == [True, False]
    assert [address(ReleaseKey("weekly", "2026-W11")) in shown for shown in (first, second)] == [False, True]
    assert opened.browser.get("/releases?number=nothing").status_code == 200


def test_a_packet_tells_all_that_is_decided_on(opened: Open) -> None:
    site = opened.site
    site.published(small(), "2026-W40", opened.ana)
    key = site.waiting(small(privacy={**small()["privacy"], "epsilon": 1.5}), "2026-W41", triggered_by="b.weber")
    shown = opened.page(key)
    for told in (
        "To tell partners how many people use what we make",  # the purpose in the policy's words
        "✓ gets it",
        "b.weber",
        "factor of 4.48 at most",
        "all 23 checks hold",
        "Held in the one before.",
        "1 line added and 1 line removed since",
        "epsilon: 1.5",
        'alt="Bar chart with 95 % intervals: By browser.',
        "What is withheld",
        "Compared with",
        hidden(shown, "seen"),
    ):
        assert told in shown, told
    assert site.register.candidate(key).sha256 == hidden(shown, "seen")


def test_checks_that_do_not_hold_come_first_and_are_named(opened: Open) -> None:
    key = opened.site.draw(small(), "2026-W41")
    verdicts = opened.site.check(key, warned=(7,))
    rule = next(check.check for check in verdicts.checks if not check.success)
    shown = opened.page(key)
    assert "1 warning" in shown
    before = shown[: shown.index("<details>", shown.index('id="checks"'))]
    assert rule in before


def test_an_approval_is_signed_by_whoever_gives_the_password(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    status, shown = opened.send(key, "approve", reason="Read,\r\nand  fine.")
    assert status == 303
    assert "You have approved this release" in shown
    assert "Read, and fine." in shown
    assert opened.site.register.approval(key).reviewers == ("ana",)
    assert f">{address(key).removeprefix('/releases/')}</a>" in opened.browser.get("/audit").text


def test_a_rejection_and_its_reason_stand_on_the_page_as_text(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    status, shown = opened.send(key, "reject", reason=f"{EXPLANATION} {SCRIPT}")
    assert status == 303
    assert SCRIPT not in shown
    assert f"{EXPLANATION} &lt;script&gt;" in shown
    assert opened.site.register.rejection(key).startswith("ana: ")
    assert SCRIPT not in opened.browser.get("/releases").text


def test_a_published_release_is_withdrawn_with_a_reason(opened: Open) -> None:
    key = opened.site.published(small(), "2026-W41", opened.ana)
    log = Downloads.of(opened.site.workspace)
    log.note(Download("acme", Way.API, 1, "partner", key.release, key.period, key.revision, "by_browser.csv"))
    log.close()
    status, shown = opened.send(key, "withdraw", reason="A log file was missing.")
    assert status == 303
    assert "A log file was missing." in shown
    assert re.search(r"<strong>acme</strong>, last on .*: is told by hand</li>", shown)
    assert 'name="secret"' not in shown
    assert opened.site.ledger.state(key) is EntryKind.WITHDRAWN


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_wrong_password_decides_nothing_and_keeps_the_reason(opened: Open, verb: str) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    status, shown = opened.send(key, verb, secret=WRONG, reason=EXPLANATION)
    assert status == 403
    assert "Nothing was decided" in shown
    assert EXPLANATION in shown
    assert WRONG not in shown
    assert opened.site.register.is_waiting(key)


def test_a_reason_is_asked_for(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    status, shown = opened.send(key, "approve", reason="  \n ")
    assert status == 409
    assert "must name its reason" in shown
    assert opened.site.register.is_waiting(key)


def test_what_was_decided_is_not_decided_again(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    form = opened.page(key)
    assert opened.send(key, "approve")[0] == 303
    fields = {"csrf": hidden(form), "seen": hidden(form, "seen"), "reason": "again", "secret": PASSWORD}
    answer = opened.browser.post(f"{address(key)}/reject", data=fields)
    assert answer.status_code == 409
    assert "decided once" in answer.text
    assert opened.site.register.rejection(key) == ""


@pytest.mark.parametrize("seen", ["", "f" * 64])
def test_a_decision_is_on_what_was_read(opened: Open, seen: str) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    status, shown = opened.send(key, "approve", seen=seen)
    assert status == 409
    assert "a decision is on what was read" in shown
    assert opened.site.register.is_waiting(key)


def test_checks_that_change_after_the_page_was_read_void_its_form(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    form = opened.page(key)
    opened.site.check(key, warned=(3,))
    fields = {"csrf": hidden(form), "seen": hidden(form, "seen"), "reason": "fine", "secret": PASSWORD}
    answer = opened.browser.post(f"{address(key)}/approve", data=fields)
    assert answer.status_code == 409
    assert "has changed since" in answer.text
    assert "1 warning" in answer.text


@pytest.mark.parametrize(
    ("change", "triggered_by", "why"),
    [
        ({"written_by": ["ana"]}, "", "who wrote the specification does not decide"),
        ({}, "A.Bauer", "who triggered the draw does not decide"),
    ],
)
def test_who_made_it_is_told_why_they_cannot_decide(
    opened: Open, change: dict[str, object], triggered_by: str, why: str
) -> None:
    key = opened.site.waiting(small(**change), "2026-W41", triggered_by=triggered_by)
    shown = opened.page(key)
    assert why in shown
    assert 'name="secret"' not in shown
    fields = {"csrf": hidden(shown), "seen": opened.site.register.candidate(key).sha256, "reason": "x"}
    answer = opened.browser.post(f"{address(key)}/approve", data=fields | {"secret": PASSWORD})
    assert answer.status_code == 409
    assert why in answer.text


def test_of_two_reviewers_the_first_waits_for_the_other(opened: Open) -> None:
    key = opened.site.waiting(small(reviewers=2), "2026-W41")
    status, shown = opened.send(key, "approve")
    assert status == 303
    assert "Another reviewer must approve it, too." in shown
    assert "1 of 2 reviewers have approved" in shown
    assert "two reviewers decide on this release, each once" in shown
    assert opened.site.register.is_waiting(key)


def test_a_decision_that_nobody_signed_raises_an_alarm(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    said = {"candidate_sha256": "f" * 64, "reviewer": "ana", "reason": "by hand", "scripted": False}
    opened.site.ledger.record(EntryKind.APPROVED, key, said)
    assert "Somebody wrote a decision into the ledger that no reviewer signed" in opened.page(key)
    assert "an entry that nobody signed" in opened.browser.get("/releases").text


def test_a_revision_says_why_it_was_made(opened: Open) -> None:
    first = opened.site.waiting(small(), "2026-W41")
    second = opened.site.draw(small(), "2026-W41", revises=f"late logs {SCRIPT}")
    opened.site.check(second)
    assert "late logs &lt;script&gt;" in opened.page(second)
    assert f'href="{address(second)}"' in opened.page(first)


def test_what_failed_its_checks_has_no_form(opened: Open) -> None:
    key = opened.site.draw(small(), "2026-W41")
    opened.site.check(key, failed=(2,))
    shown = opened.page(key)
    assert "Nobody can approve it" in shown
    assert 'name="secret"' not in shown


def test_what_was_not_checked_yet_has_a_page(opened: Open) -> None:
    assert "It was not checked yet" in opened.page(opened.site.draw(small(), "2026-W41"))


@pytest.mark.parametrize(
    "path",
    [
        "/releases/weekly/2026-W42/r1",
        "/releases/weekly/2026-W41/r2",
        "/releases/weekly/2026-W41/r0",
        "/releases/weekly/2026-W41/rx",
        f"/releases/{SCRIPT.replace('/', '%2F')}/2026-W41/r1",
        "/releases/weekly/2026-W41/r1/figures/nothing.svg",
        "/releases/weekly/2026-W41/r1/report",
        "/budget/nobody.svg",
    ],
)
def test_what_is_not_there_is_said_so(opened: Open, path: str) -> None:
    opened.site.draw(small(), "2026-W41")
    answer = opened.browser.get(path)
    assert answer.status_code == 404
    assert SCRIPT not in answer.text
    assert "text/html" in answer.headers["content-type"]


def test_figures_come_once_and_carry_light_and_dark_colours(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    answer = opened.browser.get(f"{address(key)}/figures/by_browser.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "immutable" in answer.headers["cache-control"]
    assert "prefers-color-scheme: dark" in answer.text
    assert "<script" not in answer.text
    assert opened.browser.get(f"{address(key)}/figures/by_browser.svg").text == answer.text


def test_every_table_has_a_figure_that_is_served(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    named = re.findall(r'<img class="chart" src="([^"]+)"', opened.page(key))
    assert len(named) == 2
    assert [opened.browser.get(one).status_code for one in named] == [200, 200]


def test_steps_and_specification_have_pages_of_their_own(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    assert "Hard minimum: a group of fewer than k = 50" in opened.page(key, "/steps")
    shown = opened.page(key, "/specification")
    assert "No release of this name was ever approved" in shown
    assert "- name: by_browser" in shown


def test_pages_have_no_style_or_script_of_their_own(opened: Open) -> None:
    key = opened.site.waiting(small(), "2026-W41")
    for path in ("/releases", address(key), f"{address(key)}/steps", "/budget", "/audit"):
        shown = opened.browser.get(path).text
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?://", shown), path
        assert shown.count("<h1") == 1


def test_what_changes_is_seen_at_once(opened: Open) -> None:
    key = opened.site.draw(small(), "2026-W41")
    assert "not checked" in opened.browser.get("/releases").text
    opened.site.check(key)
    assert "all 23" not in opened.browser.get("/releases").text
    assert "Waits for" in opened.browser.get("/releases").text
    opened.site.register.approve(key, opened.ana, "fine")
    opened.site.publish(key)
    assert "✓</span> Published" in opened.browser.get("/releases").text
