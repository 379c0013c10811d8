"""Every route is asked as a stranger, as a reviewer, as each recipient, and by sessions that ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from pipeline.delivery.tokens import Scope, Tokens
from pipeline.review.accounts import Accounts
from tests.accounts import PASSWORD, quick
from tests.delivering import DeliveredSite
from tests.portals import Browser, Portal
from tests.visiting import PRODUCT, SECRET, send_token, token, visitor

# What strangers get: log-in, the first page that leads there, the look of pages, and whether the server lives.
OPEN: Final = {
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/login"),
    ("GET", "/my/login"),
    ("GET", "/static/report.css"),
    ("POST", "/login"),
    ("POST", "/my/login"),
}
STANDS_FOR: Final = {
    "product": PRODUCT,
    "share": PRODUCT,
    "release": PRODUCT,
    "period": "2026-W43",
    "schema": "2026-W43",
    "revision": "1",
    "table": "by_browser",
    "name": "by_browser",
    "number": "1",
    "form": "csv",
    "width": "wide",
    "path": "index.html",
    "population": "visitors",
    "key_file": "minisign.pub",
}
# Of the same addresses what another recipient has: another product, a table, a file.
OF_OTHERS: Final = (
    STANDS_FOR | {"product": SECRET, "share": SECRET},
    STANDS_FOR | {"table": "by_section", "name": "by_section"},
    STANDS_FOR | {"period": "2026-W42"},
)
Asked = tuple[str, str]


def routes(portal: Portal) -> Iterator[Asked]:
    """Method and pattern of every route that there is; a new one is among them by itself."""
    for route in _flat(portal.app.router.routes):
        if isinstance(route, APIRoute):
            for method in sorted(route.methods):
                yield method, route.path


def _flat(found: list[BaseRoute]) -> Iterator[BaseRoute]:
    for route in found:
        yield from _flat(list(getattr(getattr(route, "original_router", route), "routes", [])))
        yield route


def filled(pattern: str, stands_for: dict[str, str]) -> str:
    """An address, of a file one that there is."""
    place = pattern.replace("{path:path}", "{path}").format_map(stands_for)
    return f"{place}.csv" if "/files/" in place and "/sharing" not in place else place


def ask(browser: Browser, asked: Asked, stands_for: dict[str, str]) -> tuple[int, str, str]:
    """Status, where it leads, and what it says."""
    answer = browser.request(asked[0], filled(asked[1], stands_for), headers={"Accept-Encoding": "identity"})
    return answer.status_code, answer.headers.get("location", ""), answer.text


def refused(browser: Browser, asked: Asked, stands_for: dict[str, str] = STANDS_FOR) -> None:
    """Nothing is given: an error, or the way to log in; never a number, a name of a table or a period."""
    status, leads_to, told = ask(browser, asked, stands_for)
    assert status in {303, 400, 401, 403, 404, 405, 422}, (asked, status)
    if status == 303:
        assert leads_to.startswith(("/login", "/my/login")), (asked, leads_to)
        assert not told
    assert "Firefox" not in told, asked
    assert "2026-W4" not in told, asked


@pytest.fixture(scope="module")
def every(visits: Portal) -> list[Asked]:
    return [asked for asked in routes(visits) if asked not in OPEN]


@pytest.fixture(scope="module")
def pages(every: list[Asked]) -> list[Asked]:
    return [asked for asked in every if asked[1].startswith("/my")]


def test_the_walk_finds_every_route(visits: Portal, every: list[Asked], pages: list[Asked]) -> None:
    assert len(pages) >= 15
    assert {("POST", "/my/account/tokens"), ("GET", "/my/products/{product}/history.{form}")} <= set(pages)
    assert ("POST", "/releases/{release}/{period}/r{revision}/approve") in every
    assert set(routes(visits)) >= OPEN
    mounted = [route.path for route in visits.app.router.routes if isinstance(route, Mount)]
    assert mounted == ["/static"]


def test_a_stranger_gets_nothing_anywhere(visits: Portal, every: list[Asked]) -> None:
    with visits.browser() as stranger:
        for asked in every:
            refused(stranger, asked)


@pytest.mark.parametrize("why", ["expired", "revoked", "of a recipient whose entitlement has ended", "made up"])
def test_a_session_that_has_ended_opens_nothing(
    visited: DeliveredSite, visits: Portal, every: list[Asked], why: str
) -> None:
    tokens, sessions = Tokens.of(visited.workspace), visits.app.state.recipient_sessions
    began = dt.datetime.now(dt.UTC) - dt.timedelta(days=1, seconds=2)
    issued = {
        "expired": lambda: tokens.issue("acme", tuple(Scope), 1, now=began),
        "of a recipient whose entitlement has ended": lambda: tokens.issue("gone", tuple(Scope)),
    }.get(why, lambda: tokens.issue("acme", tuple(Scope)))()
    holder = tokens.find(issued.secret, began + dt.timedelta(seconds=1) if why == "expired" else None)
    assert holder is not None
    secret = "A" * 43 if why == "made up" else sessions.begin(holder).secret
    if why == "revoked":
        tokens.revoke(issued.number)
    with visits.browser() as browser:
        browser.cookies.set("demographics_recipient", secret)
        for asked in every:
            refused(browser, asked)
        assert why != "expired" or send_token(browser, issued.secret).status_code == 403


def test_a_reviewer_gets_nothing_of_recipients(visited: DeliveredSite, visits: Portal, every: list[Asked]) -> None:
    accounts = Accounts.of(visited.workspace, quick())
    if "wilma" not in accounts.names():
        accounts.add("wilma", PASSWORD)
    with visits.browser() as browser:
        assert browser.log_in("wilma").status_code == 303
        assert browser.get("/releases").status_code == 200
        for asked in every:
            if asked[1].startswith(("/my", "/api", "/sharing", "/feed")):
                refused(browser, asked)


@pytest.mark.parametrize("who", ["acme", "north", "later"])
def test_a_recipient_gets_nothing_of_reviewers(
    visited: DeliveredSite, visits: Portal, every: list[Asked], who: str
) -> None:
    with visitor(visited, visits, who) as browser:
        for asked in every:
            if not asked[1].startswith("/my"):
                refused(browser, asked)  # nor do cookies count where programs ask


def test_a_reseller_gets_nothing_that_others_receive(
    visited: DeliveredSite, visits: Portal, pages: list[Asked]
) -> None:
    with visitor(visited, visits, "north") as browser:
        for stands_for in OF_OTHERS:
            for method, pattern in pages:
                changed = {name for name in stands_for if stands_for[name] != STANDS_FOR[name]}
                if method != "GET" or not any("{" + name in pattern for name in changed):
                    continue
                status, _, told = ask(browser, (method, pattern), stands_for)
                allowed = {410} if "period" in changed else {404}
                assert status in allowed, (pattern, status)
                assert "Firefox" not in told


def test_a_recipient_under_embargo_gets_nothing_of_an_edition(
    visited: DeliveredSite, visits: Portal, pages: list[Asked]
) -> None:
    with visitor(visited, visits, "later") as browser:
        for method, pattern in pages:
            if method == "GET" and "{period}" in pattern:
                assert ask(browser, (method, pattern), STANDS_FOR)[0] == 404, pattern


@pytest.mark.parametrize("scope", [Scope.FEED, Scope.SHARING])
def test_a_token_of_another_kind_opens_no_page(visited: DeliveredSite, visits: Portal, scope: Scope) -> None:
    with visits.browser() as browser:
        assert send_token(browser, token(visited, "acme", scope).secret).status_code == 403
        assert browser.get("/my").status_code == 303


def test_a_token_in_a_header_opens_no_page(visited: DeliveredSite, visits: Portal, pages: list[Asked]) -> None:
    with visits.browser(Authorization=f"Bearer {token(visited, 'acme').secret}") as browser:
        for asked in pages:
            refused(browser, asked)
