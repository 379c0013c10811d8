"""Every address for programs is asked as a stranger, as each kind of recipient, and with tokens that open nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute

from pipeline.delivery.tokens import Scope, Tokens
from pipeline.portal.settings import Part
from tests.delivering import ENTITLEMENTS, DeliveredSite, small
from tests.portals import Portal, serving

PRODUCT = "weekly_audience"
RECIPIENTS = {one["name"]: one["audience"] for one in ENTITLEMENTS["recipients"]}
# What stands for each part of an address: once what is there for partners and resellers alone, once what is not.
THERE = {
    "product": PRODUCT,
    "share": PRODUCT,
    "period": "2026-W41",
    "schema": "2026-W41",
    "revision": "1",
    "table": "by_browser",
    "name": "by_browser.csv",
    "key_file": "keys.json",
}
NOT_THERE = THERE | {"product": "monthly_secrets", "share": "monthly_secrets"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    product = small(release=PRODUCT)  # of which partners and resellers receive something
    made.offer(product)
    receives: dict[str, Any] = {"receives": {PRODUCT: {}}}
    each = [one | receives for one in ENTITLEMENTS["recipients"] if one["audience"] in ("partner", "reseller")]
    made.entitle(ana, {"recipients": each})
    made.deliver(product, "2026-W41", ana)
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[Portal]:
    with serving(site.workspace, stranger_rate="100000/minute", part=Part.RECIPIENTS) as found:
        yield found


def places(portal: Portal, stands_for: dict[str, str]) -> list[tuple[str, str]]:
    """Method and address of every route for programs."""
    routes = [(str(getattr(route, "path", "")), route) for route in _routes(portal.app.router.routes)]
    return [
        (method, path.format_map({**stands_for, "path": "x"}))
        for path, route in routes
        for method in sorted(getattr(route, "methods", None) or ())
        if path.startswith(("/api", "/sharing", "/feed"))
    ]


def _routes(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        yield from _routes(list(getattr(getattr(route, "original_router", route), "routes", [])))
        yield route


def status(client: httpx.Client, method: str, place: str, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return client.request(method, place, headers=headers).status_code


def test_there_are_addresses_to_ask(portal: Portal) -> None:
    asked = places(portal, THERE)
    assert len(asked) >= 20
    assert ("GET", f"/api/v1/products/{PRODUCT}/editions/2026-W41/1/files/by_browser.csv") in asked
    assert ("POST", f"/sharing/shares/{PRODUCT}/schemas/2026-W41/tables/by_browser/query") in asked


@pytest.mark.parametrize("who", ["nobody", "expired", "revoked", "of somebody who is no recipient", "made up"])
def test_whoever_has_no_living_token_gets_nothing_anywhere(site: DeliveredSite, portal: Portal, who: str) -> None:
    tokens, every = Tokens.of(site.workspace), tuple(Scope)
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=3)
    if who == "revoked":
        issued = tokens.issue("acme", every)
        tokens.revoke(issued.number)
    secret = {
        "nobody": "",
        "expired": tokens.issue("acme", every, 1, now=past).secret,
        "revoked": issued.secret if who == "revoked" else "",
        "of somebody who is no recipient": tokens.issue("adline", every).secret,
        "made up": "dgx_" + "A" * 43,
    }[who]
    with portal.browser() as client:
        for stands_for in (THERE, NOT_THERE):
            for method, place in places(portal, stands_for):
                answer = status(client, method, place, secret)
                allowed = {400, 403} if place.startswith("/sharing/files/") else {401}
                assert answer in allowed, (method, place, answer)


@pytest.mark.parametrize("scope", Scope)
def test_a_token_opens_nothing_beyond_its_scope(site: DeliveredSite, portal: Portal, scope: Scope) -> None:
    opens = {Scope.READ: ("/api", "/feed"), Scope.SHARING: ("/sharing",), Scope.FEED: ("/feed",)}[scope]
    secret = Tokens.of(site.workspace).issue("acme", (scope,)).secret
    with portal.browser() as client:
        for method, place in places(portal, THERE):
            answer = status(client, method, place, secret)
            if place.startswith("/sharing/files/"):
                assert answer in {400, 403}
            elif place.startswith(opens):
                assert answer not in {401, 403}, (method, place)
            else:
                assert answer == 403, (method, place)


@pytest.mark.parametrize("name", ["acme", "north", "south"])
def test_a_recipient_gets_what_is_theirs_and_of_everything_else_the_same_answer(
    site: DeliveredSite, portal: Portal, name: str
) -> None:
    secret = Tokens.of(site.workspace).issue(name, tuple(Scope)).secret
    with portal.browser() as client:
        for method, place in places(portal, THERE):
            answer = status(client, method, place, secret)
            assert answer in {200, 400, 403}, (method, place, answer)
            assert answer != 403 or place.startswith("/sharing/files/")
        for method, place in places(portal, NOT_THERE):
            named = "monthly_secrets" in place and not place.startswith("/sharing/files/")
            assert not named or status(client, method, place, secret) in {400, 404}, (method, place)


def test_another_audiences_table_is_not_there(site: DeliveredSite, portal: Portal) -> None:
    tokens = Tokens.of(site.workspace)
    place = f"/api/v1/products/{PRODUCT}/editions/2026-W41/1/files/by_section.csv"
    with portal.browser() as client:
        found = {name: status(client, "GET", place, tokens.issue(name).secret) for name in ("acme", "north")}
    assert found == {"acme": 200, "north": 404}


def test_the_part_for_recipients_has_no_page_of_reviewers(portal: Portal) -> None:
    with portal.browser() as client:
        for place in ("/releases", "/budget", "/audit", "/data-docs", "/releases/weekly_audience/2026-W41/r1"):
            assert client.get(place).status_code == 404
            assert client.post(f"{place}/approve").status_code in {404, 405}


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-\r\nX-Evil: 1"},
        {"Authorization": "Bearer \r\nX-Evil: 1"},
        {"If-None-Match": '"\x00"'},
    ],
    ids=str,
)
def test_headers_with_line_ends_reach_nothing(portal: Portal, headers: dict[str, str]) -> None:
    with portal.browser() as client, pytest.raises(httpx.LocalProtocolError):
        client.get("/api/v1/products", headers=headers)


def test_answers_carry_nothing_that_was_sent(site: DeliveredSite, portal: Portal) -> None:
    secret = Tokens.of(site.workspace).issue("acme").secret
    with portal.browser() as client:
        for sent in ("%0d%0aX-Evil:%201", "<script>", "%00", "a" * 3_000, "\u202e"):
            place = f"/api/v1/products/{PRODUCT}/editions/2026-W41/1/files/{sent}"
            answer = client.get(place, headers={"Authorization": f"Bearer {secret}"})
            assert answer.status_code in {400, 404, 414}
            assert "X-Evil" not in answer.headers
            assert "<script>" not in answer.text
            assert "Traceback" not in answer.text
