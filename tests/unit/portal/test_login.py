"""Logging in and out, over HTTP."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from pipeline.portal.forms import HOME, LogInForms, local_path
from pipeline.review.trail import What
from pipeline.workspace import Workspace
from tests.accounts import OTHER, PASSWORD, WRONG
from tests.hostile_texts import HOSTILE
from tests.portals import Browser, Portal, hidden, serving

NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
MANY = "1000/minute"
PACKET = "/releases/weekly/2026-W41/r1"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal where Ana has an account, and nobody is slowed down."""
    workspace = Workspace(tmp_path_factory.mktemp("home"))
    with serving(workspace, log_in_rate=MANY, address_rate=MANY, decision_rate=MANY) as found:
        found.accounts.add("ana", PASSWORD)
        yield found


@pytest.fixture
def browser(portal: Portal) -> Iterator[Browser]:
    portal.accounts.unlock("ana")
    with portal.browser() as found:
        yield found


def cookie(answer: httpx.Response, name: str = "demographics_session") -> str:
    """The line that sets a cookie."""
    return next((line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}=")), "")


def last(portal: Portal) -> tuple[str, What]:
    event = portal.accounts.events(1)[0]
    return event.account, event.what


def with_session_of(portal: Portal, hours_ago: float) -> Browser:
    """A browser whose reviewer logged in some hours ago, and did nothing since."""
    began = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours_ago)
    found = portal.browser()
    found.cookies.set("demographics_session", portal.app.state.sessions.begin("ana", began).secret)
    return found


def test_who_is_not_logged_in_is_sent_to_log_in_and_back(browser: Browser) -> None:
    answer = browser.get(f"{PACKET}?view=all")
    assert (answer.status_code, answer.text) == (303, "")
    assert answer.headers["location"] == "/login?next=%2Freleases%2Fweekly%2F2026-W41%2Fr1%3Fview%3Dall"
    assert browser.get("/releases").headers["location"] == "/login"


def test_the_right_password_logs_in_and_leads_on(portal: Portal, browser: Browser) -> None:
    answer = browser.log_in(after="/budget")
    assert (answer.status_code, answer.headers["location"]) == (303, "/budget")
    assert last(portal) == ("ana", What.LOGGED_IN)
    assert browser.get("/audit").status_code == 200
    assert browser.get("/login", params={"next": "/budget"}).headers["location"] == "/budget"


def test_a_token_logs_in_as_well(portal: Portal, browser: Browser) -> None:
    assert browser.log_in(secret=portal.accounts.issue_token("ana", PASSWORD)).status_code == 303


def test_a_wrong_name_and_a_wrong_password_get_the_same_page(portal: Portal, browser: Browser) -> None:
    answers = [browser.log_in("ana", WRONG), browser.log_in("hunter2hunter2", PASSWORD), browser.log_in("", "")]
    pages = {re.sub(r'name="csrf" value="[^"]*"', "", answer.text) for answer in answers}
    assert [answer.status_code for answer in answers] == [403] * 3
    assert len(pages) == 1
    assert 'role="alert">An account&#39;s name and its password or token must belong together' in answers[0].text
    assert last(portal) == ("unknown", What.FAILED)
    assert not cookie(answers[0])


def test_a_locked_account_gets_that_page_too(portal: Portal, browser: Browser) -> None:
    wrong = browser.log_in("ana", WRONG)
    for _ in range(9):
        browser.log_in("ana", WRONG)
    locked = browser.log_in()
    assert locked.status_code == 403
    assert len(locked.text) == len(wrong.text)
    portal.accounts.unlock("ana")
    assert browser.log_in().status_code == 303


def test_the_cookie_of_a_session_is_out_of_reach_of_scripts_and_other_sites(browser: Browser) -> None:
    line = cookie(browser.log_in())
    assert re.fullmatch(r"demographics_session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", line)


def test_by_https_the_cookie_is_of_this_host_and_of_https_alone(tmp_path: Path) -> None:
    with serving(Workspace(tmp_path), url="https://review.example.org") as portal:
        portal.accounts.add("ana", PASSWORD)
        with portal.browser(Host="review.example.org") as browser:
            shown = browser.get("/login")
            line = cookie(shown, "__Host-demographics_form")
            assert line.endswith("; HttpOnly; Path=/; SameSite=strict; Secure")
            browser.headers["Cookie"] = line.partition(";")[0]  # which a browser would send by HTTPS alone
            answer = browser.send_log_in(hidden(shown.text))
            assert re.fullmatch(
                r"__Host-demographics_session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure",
                cookie(answer, "__Host-demographics_session"),
            )


def test_each_log_in_begins_a_new_session_and_ends_the_one_before(browser: Browser) -> None:
    browser.log_in()
    before = browser.cookies["demographics_session"]
    shown = browser.get("/login")
    assert shown.status_code == 303
    browser.cookies.delete("demographics_session")
    form = hidden(browser.get("/login").text)
    browser.cookies.set("demographics_session", before)
    assert cookie(browser.send_log_in(form)).split("=")[1] != before
    browser.cookies.clear()
    browser.cookies.set("demographics_session", before)
    assert browser.get("/audit").status_code == 303


def test_a_secret_that_somebody_else_chose_does_not_become_a_session(browser: Browser) -> None:
    browser.cookies.set("demographics_session", "A" * 43)
    assert "A" * 43 not in cookie(browser.log_in())


def test_logging_out_ends_the_session_for_whoever_has_its_cookie(portal: Portal, browser: Browser) -> None:
    browser.log_in()
    secret = browser.cookies["demographics_session"]
    answer = browser.post("/logout", data={"csrf": hidden(browser.get("/audit").text)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?why=out")
    assert 'demographics_session=""; expires=' in cookie(answer)
    assert last(portal) == ("ana", What.LOGGED_OUT)
    with portal.browser() as thief:
        thief.cookies.set("demographics_session", secret)
        assert thief.get("/audit").status_code == 303
    assert 'role="status">You have signed out.' in browser.get("/login?why=out").text


def test_logging_out_by_a_link_does_nothing(browser: Browser) -> None:
    browser.log_in()
    assert browser.get("/logout").status_code == 405
    assert browser.get("/audit").status_code == 200


@pytest.mark.parametrize("csrf", ["", "0" * 64, "\x00", "é", "4" * 10_000])
def test_a_form_without_the_session_s_own_token_does_nothing(browser: Browser, csrf: str) -> None:
    browser.log_in()
    answer = browser.post("/logout", data={"csrf": csrf})
    assert answer.status_code == 403
    assert "A form must come from a page of the session that sends it" in answer.text
    assert browser.get("/audit").status_code == 200


def test_a_token_of_another_session_is_forged(portal: Portal, browser: Browser) -> None:
    with portal.browser() as other:
        other.log_in()
        csrf = hidden(other.get("/audit").text)
    browser.log_in()
    assert browser.post("/logout", data={"csrf": csrf}).status_code == 403


def test_nobody_is_logged_in_by_a_form_that_they_did_not_open(portal: Portal, browser: Browser) -> None:
    with portal.browser() as attacker:
        csrf = hidden(attacker.get("/login").text)
    browser.get("/login")  # has a cookie of its own
    for forged in (csrf, "", "1-2", f"{10**12}-{'0' * 64}", "-", "x"):
        answer = browser.send_log_in(forged)
        assert answer.status_code == 403
        assert "This page was open for too long" in answer.text
    with portal.browser() as bare:
        assert bare.send_log_in(csrf).status_code == 403


def test_the_form_of_log_in_holds_half_an_hour_and_in_several_windows(browser: Browser) -> None:
    forms = LogInForms()
    mine = forms.cookie(None)
    token = forms.token(mine, NOW)
    assert forms.cookie(mine) == mine
    assert forms.cookie("x\r\n") != "x\r\n"
    assert forms.holds(mine, token, NOW + dt.timedelta(minutes=29))
    assert not forms.holds(mine, token, NOW + dt.timedelta(minutes=31))
    assert not forms.holds(mine, token, NOW - dt.timedelta(minutes=1))
    assert not forms.holds(forms.cookie(None), token, NOW)
    assert not LogInForms().holds(mine, token, NOW)
    first = hidden(browser.get("/login").text)
    browser.get("/login")
    assert browser.send_log_in(first).status_code == 303


def test_an_unused_session_ends_and_says_so(portal: Portal) -> None:
    with with_session_of(portal, 0.6) as browser:
        answer = browser.get("/budget")
        assert answer.headers["location"] == "/login?why=ended&next=%2Fbudget"
        assert "Your session has ended. Sign in again." in browser.get(answer.headers["location"]).text


def test_a_decision_of_a_session_that_has_ended_decides_nothing_and_leads_back_to_its_page(portal: Portal) -> None:
    with with_session_of(portal, 9) as browser:
        answer = browser.post(f"{PACKET}/approve", data={"reason": "fine", "secret": PASSWORD, "csrf": "x"})
        place = urlsplit(answer.headers["location"])
        assert (answer.status_code, place.path) == (303, "/login")
        assert parse_qs(place.query) == {"why": ["undecided"], "next": [PACKET]}
        shown = browser.get(answer.headers["location"])
        assert "Your session has ended; nothing was decided." in shown.text
        assert PASSWORD not in shown.text
        after = browser.send_log_in(hidden(shown.text), next=hidden(shown.text, "next"))
        assert after.headers["location"] == PACKET


def test_a_session_ends_with_its_account(tmp_path: Path) -> None:
    with serving(Workspace(tmp_path)) as portal, portal.browser() as browser:
        portal.accounts.add("ana", PASSWORD)
        browser.log_in()
        portal.accounts.change_password("ana", PASSWORD, OTHER)
        assert browser.get("/audit").status_code == 303
        browser.log_in(secret=OTHER)
        assert browser.get("/audit").status_code == 200
        portal.accounts.remove("ana")
        assert browser.get("/audit").status_code == 303


ELSEWHERE = [
    "https://example.net/",
    "//example.net",
    "/\\example.net",
    "\\\\example.net",
    "/%0d%0aSet-Cookie:x=y\r\nSet-Cookie: x=y",
    "/releases\r\nLocation: https://example.net",
    "/releases//example.net",
    "/../example.net",
    "/\t/example.net",
    "javascript:alert(1)",
    " /releases",
    "/login?next=/login",
    "/logout",
    "/releases/" + "a" * 1000,
    *HOSTILE.values(),
]


@pytest.mark.parametrize("after", ELSEWHERE, ids=range(len(ELSEWHERE)))
def test_log_in_leads_to_pages_of_its_own_alone(browser: Browser, after: str) -> None:
    assert local_path(after) == HOME
    if len(after) < 2000:
        assert hidden(browser.get("/login", params={"next": after}).text, "next") == HOME
    answer = browser.log_in(after=after)
    assert answer.status_code == 303 or (answer.status_code == 413 and len(after) > 65_000)
    assert answer.headers.get("location", HOME) == HOME
    assert answer.headers.get("set-cookie", "").count("x=y") == 0


def test_log_in_leads_on_to_pages_with_a_query() -> None:
    for path in (PACKET, "/releases?state=waiting&number=2", "/budget", "/data-docs/index.html", "/x%20y"):
        assert local_path(path) == path


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_typed_into_the_form_is_neither_shown_nor_logged(
    portal: Portal, browser: Browser, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = browser.log_in(text, f"{text}secret")
    assert answer.status_code in {403, 413}
    if text.strip():
        assert text[:30] not in answer.text
    assert portal.accounts.events(1)[0].account in {"unknown", "ana"}
    assert not caplog.records


def test_attempts_on_one_account_are_slowed_down_wherever_they_come_from(tmp_path: Path) -> None:
    with serving(Workspace(tmp_path), log_in_rate="3/minute") as portal:
        portal.accounts.add("ana", PASSWORD)
        answers = []
        for number in range(4):
            with portal.browser(f"127.0.0.{number + 1}") as browser:
                answers.append(browser.log_in(secret=WRONG))
        assert [answer.status_code for answer in answers] == [403, 403, 403, 429]
        assert 50 <= int(answers[-1].headers["retry-after"]) <= 60
        assert "There may be 3 per 1 minute of this at most" in answers[-1].text
        with portal.browser() as browser:
            assert browser.log_in().status_code == 429  # even with the right password
            assert browser.log_in("nobody").status_code == 403
        assert len([event for event in portal.accounts.events() if event.what is What.FAILED]) == 4


def test_attempts_from_one_address_are_slowed_down_whatever_they_try(tmp_path: Path) -> None:
    with serving(Workspace(tmp_path), address_rate="3/minute") as portal:
        portal.accounts.add("ana", PASSWORD)
        with portal.browser() as browser:
            assert [browser.log_in(f"nobody{number}").status_code for number in range(4)] == [403, 403, 403, 429]
            assert browser.log_in().status_code == 429
        with portal.browser("127.0.0.2") as browser:
            assert browser.log_in().status_code == 303


def test_forms_of_who_is_logged_in_are_slowed_down_too(tmp_path: Path) -> None:
    with serving(Workspace(tmp_path), decision_rate="2/minute") as portal, portal.browser() as browser:
        portal.accounts.add("ana", PASSWORD)
        browser.log_in()
        answers = [browser.post(f"{PACKET}/approve", data={"csrf": "forged"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [403, 403, 429]
        assert int(answers[-1].headers["retry-after"]) > 0


def test_many_who_log_in_at_once_each_get_a_session_of_their_own(portal: Portal) -> None:
    secrets: list[str] = []

    def log_in() -> None:
        with portal.browser() as browser:
            assert browser.log_in().status_code == 303
            secrets.append(browser.cookies["demographics_session"])

    threads = [threading.Thread(target=log_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(secrets)) == 8
