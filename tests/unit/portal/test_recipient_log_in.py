"""Recipients log in with a token, over HTTP; whatever opens nothing gets the same page."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from pipeline.delivery.events import What
from pipeline.delivery.tokens import Scope, Tokens
from pipeline.review.accounts import Accounts
from tests.accounts import PASSWORD, quick
from tests.delivering import DeliveredSite
from tests.portals import Browser, Portal, hidden, serving
from tests.visiting import NEWEST, PRODUCT, send_token, token, visitor

TABLE = f"{NEWEST}/tables/by_browser"


def cookie(answer: httpx.Response, name: str = "demographics_recipient") -> str:
    """The line that sets a cookie."""
    return next((line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}=")), "")


@contextmanager
def with_reviewer(site: DeliveredSite, portal: Portal) -> Iterator[Browser]:
    """A browser in which a reviewer has logged in."""
    accounts = Accounts.of(site.workspace, quick())
    if "rita" not in accounts.names():
        accounts.add("rita", PASSWORD)
    with portal.browser() as browser:
        assert browser.log_in("rita").status_code == 303
        yield browser


def test_who_is_not_logged_in_is_sent_to_log_in_and_back(visits: Portal) -> None:
    with visits.browser() as browser:
        assert browser.get("/my").headers["location"] == "/my/login"
        answer = browser.get(f"{TABLE}?a=b")
        assert (answer.status_code, answer.text) == (303, "")
        told = (
            "/my/login?next=%2Fmy%2Fproducts%2Fweekly_audience%2Feditions%2F2026-W43%2F1%2Ftables%2Fby_browser%3Fa%3Db"
        )
        assert answer.headers["location"] == told


def test_a_token_logs_in_leads_on_and_is_noted(visited: DeliveredSite, visits: Portal) -> None:
    issued = token(visited, "acme")
    with visits.browser() as browser:
        answer = send_token(browser, f"  {issued.secret}\n", TABLE)
        assert (answer.status_code, answer.headers["location"]) == (303, TABLE)
        noted = ("acme", What.LOGGED_IN, f"token {issued.number}")
        assert noted in [(event.recipient, event.what, event.about) for event in Tokens.of(visited.workspace).events()]
        assert browser.get(TABLE).status_code == 200
        assert browser.get("/my/login", params={"next": TABLE}).headers["location"] == TABLE


def opening_nothing(site: DeliveredSite) -> dict[str, str]:
    """Tokens that open no page, each for a reason of its own."""
    tokens, past = Tokens.of(site.workspace), dt.datetime.now(dt.UTC) - dt.timedelta(days=3)
    revoked = tokens.issue("acme")
    tokens.revoke(revoked.number)
    good = tokens.issue("acme").secret
    return {
        "expired": tokens.issue("acme", (Scope.READ,), 1, now=past).secret,
        "revoked": revoked.secret,
        "for feeds": tokens.issue("acme", (Scope.FEED,)).secret,
        "for sharing": tokens.issue("acme", (Scope.SHARING,)).secret,
        "of a recipient whose entitlement has ended": tokens.issue("gone").secret,
        "of no recipient": tokens.issue("stranger").secret,
        "made up": "dgx_" + "A" * 43,
        "a reviewer's": "dgr_" + "A" * 43,
        "malformed": "'; DROP TABLE recipient_tokens; --",
        "oversized": good + "A" * 10_000,
        "in part": good[:-1],
        "in other letters": good.swapcase(),
        "empty": "",
    }


def test_whatever_opens_nothing_gets_the_same_page_without_a_session(visited: DeliveredSite, visits: Portal) -> None:
    pages = {}
    with visits.browser() as browser:
        for why, secret in opening_nothing(visited).items():
            answer = send_token(browser, secret)
            assert answer.status_code == 403, why
            assert not cookie(answer), why
            assert not secret or secret not in answer.text, why
            pages[why] = re.sub(r'name="csrf" value="[^"]*"', "", answer.text)
        assert browser.get("/my").status_code == 303
    assert len(set(pages.values())) == 1
    assert "This token opens nothing here" in pages["made up"]


def test_whoever_tries_too_many_tokens_has_to_wait(visited: DeliveredSite) -> None:
    good = token(visited, "acme").secret
    with serving(visited.workspace, stranger_rate="3/minute") as portal:
        with portal.browser() as browser:
            tried = [send_token(browser, "dgx_" + "A" * 43).status_code for _ in range(4)]
            assert tried == [403, 403, 403, 429]
            refused = send_token(browser, good)
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) <= 60
            assert not cookie(refused)
        with portal.browser("127.0.0.2") as elsewhere:
            assert send_token(elsewhere, good).status_code == 303


def test_a_session_ends_at_once_when_its_token_is_revoked(visited: DeliveredSite, visits: Portal) -> None:
    issued = token(visited, "acme")
    with visits.browser() as browser:
        send_token(browser, issued.secret)
        places = ("/my", TABLE, f"{NEWEST}/files/by_browser.csv", f"{NEWEST}/bundle.zip", "/my/account")
        assert {browser.get(place).status_code for place in places} == {200}
        Tokens.of(visited.workspace).revoke(issued.number)
        for place in places:
            answer = browser.get(place)
            assert (answer.status_code, answer.text) == (303, "")
            assert answer.headers["location"].startswith("/my/login?why=ended")
        assert "Your session has ended" in browser.get("/my/login?why=ended").text


def test_a_session_ends_with_its_token(visited: DeliveredSite, visits: Portal) -> None:
    tokens, sessions = Tokens.of(visited.workspace), visits.app.state.recipient_sessions
    began = dt.datetime.now(dt.UTC) - dt.timedelta(hours=23, minutes=59)
    issued = tokens.issue("acme", (Scope.READ,), 1, now=began)
    holder = tokens.find(issued.secret)
    assert holder is not None
    ticket = sessions.begin(holder)
    assert sessions.find(ticket.secret) is not None
    assert sessions.find(ticket.secret, dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2)) is None


def test_an_unused_session_ends(visited: DeliveredSite, visits: Portal) -> None:
    holder = Tokens.of(visited.workspace).find(token(visited, "acme").secret)
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=31)
    secret = visits.app.state.recipient_sessions.begin(holder, before).secret
    with visits.browser() as browser:
        browser.cookies.set("demographics_recipient", secret)
        assert browser.get("/my").headers["location"] == "/my/login?why=ended"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visited: DeliveredSite, visits: Portal) -> None:
    with visits.browser() as browser:
        line = cookie(send_token(browser, token(visited, "acme").secret))
    assert re.fullmatch(r"demographics_recipient=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", line)


def test_by_https_the_cookie_is_of_this_host_and_of_https_alone(visited: DeliveredSite) -> None:
    with (
        serving(visited.workspace, url="https://export.example.org") as portal,
        portal.browser(Host="export.example.org") as browser,
    ):
        shown = browser.get("/my/login")
        browser.headers["Cookie"] = cookie(shown, "__Host-demographics_form").partition(";")[0]
        fields = {"csrf": hidden(shown.text), "token": token(visited, "acme").secret}
        line = cookie(browser.post("/my/login", data=fields), "__Host-demographics_recipient")
    assert re.fullmatch(r"__Host-demographics_recipient=[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure", line)


def test_each_log_in_begins_a_session_of_its_own(visited: DeliveredSite, visits: Portal) -> None:
    with visits.browser() as browser:
        browser.cookies.set("demographics_recipient", "chosen-by-somebody-else")
        first = cookie(send_token(browser, token(visited, "acme").secret))
        assert "chosen-by-somebody-else" not in first
        browser.cookies.delete("demographics_recipient")
        browser.cookies.set("demographics_recipient", first.partition(";")[0].partition("=")[2])
        assert browser.get("/my").status_code == 200


@pytest.mark.parametrize("given", ["", "0", "1700000000-abc", "x" * 200])
def test_a_form_that_is_not_of_this_browser_logs_nobody_in(visited: DeliveredSite, visits: Portal, given: str) -> None:
    secret = token(visited, "acme").secret
    with visits.browser() as browser:
        browser.get("/my/login")
        answer = browser.post("/my/login", data={"csrf": given, "token": secret})
        assert answer.status_code == 403
        assert not cookie(answer)
        assert "open for too long" in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_form_of_another_site_is_refused(visited: DeliveredSite, visits: Portal, origin: str) -> None:
    with visitor(visited, visits) as browser:
        csrf = hidden(browser.get("/my/account").text)
        for place in ("/my/login", "/my/logout", "/my/account/tokens", "/my/account/profile"):
            answer = browser.post(place, data={"csrf": csrf, "purpose": "programs"}, headers={"Origin": origin})
            assert answer.status_code == 403, place
        assert browser.get("/my").status_code == 200


def test_a_form_without_this_sessions_mark_does_nothing(visited: DeliveredSite, visits: Portal) -> None:
    tokens = Tokens.of(visited.workspace)
    with visitor(visited, visits) as browser, visitor(visited, visits, "north") as other:
        of_another = hidden(other.get("/my/account").text)
        for csrf in ("", "x", of_another):
            for place in ("/my/logout", "/my/account/tokens", "/my/account/profile", "/my/account/tokens/1/revoke"):
                answer = browser.post(place, data={"csrf": csrf, "purpose": "programs", "label": "unmarked"})
                assert answer.status_code == 403, place
                assert "a page of the session" in answer.text
        assert "unmarked" not in {one.label for one in tokens.listed()}
        assert browser.get("/my").status_code == 200


def test_signing_out_ends_the_session_and_not_only_the_cookie(visited: DeliveredSite, visits: Portal) -> None:
    issued = token(visited, "acme")
    with visits.browser() as browser:
        send_token(browser, issued.secret)
        kept = browser.cookies["demographics_recipient"]
        answer = browser.post("/my/logout", data={"csrf": hidden(browser.get("/my").text)})
        assert answer.headers["location"] == "/my/login?why=out"
        noted = (What.LOGGED_OUT, f"token {issued.number}")
        assert noted in [(event.what, event.about) for event in Tokens.of(visited.workspace).events()]
        browser.cookies.set("demographics_recipient", kept)
        assert browser.get("/my").status_code == 303


def test_a_reviewers_session_is_no_recipients(visited: DeliveredSite, visits: Portal) -> None:
    with with_reviewer(visited, visits) as browser:
        assert browser.get("/releases").status_code == 200
        for place in ("/my", TABLE, f"{NEWEST}/files/by_browser.csv", "/my/account"):
            assert browser.get(place).headers["location"].startswith("/my/login"), place
        browser.cookies.set("demographics_recipient", browser.cookies["demographics_session"])
        assert browser.get("/my").headers["location"].startswith("/my/login")


def test_a_recipients_session_is_no_reviewers(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits) as browser:
        for place in ("/releases", "/budget", "/audit", "/data-docs/index.html", f"/releases/{PRODUCT}/2026-W43/r1"):
            assert browser.get(place).headers["location"].startswith("/login"), place
        browser.cookies.set("demographics_session", browser.cookies["demographics_recipient"])
        assert browser.get("/releases").headers["location"].startswith("/login")
        assert browser.get("/api/v1/products").status_code == 401


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/my/../../evil",
        "/my%0d%0aX-Evil: 1",
        "/my/logout",
        "/my/login",
        "my/products",
        "/" + "a" * 600,
        "\u202e/my",
    ],
)
def test_log_in_leads_to_pages_of_this_portal_alone(visited: DeliveredSite, visits: Portal, after: str) -> None:
    with visits.browser() as browser:
        assert hidden(browser.get("/my/login", params={"next": after}).text, "next") == "/my"
        answer = send_token(browser, token(visited, "acme").secret, after)
        assert (answer.status_code, answer.headers["location"]) == (303, "/my")


def test_the_first_page_is_the_recipients_where_one_has_logged_in(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits) as browser:
        assert browser.get("/").headers["location"] == "/my"
    with visits.browser() as stranger:
        assert stranger.get("/").headers["location"] == "/releases"
