"""A recipient's own tokens on its page: made, shown once, revoked; profiles; what was downloaded."""

from __future__ import annotations

import json
import logging
import re

import pytest

from pipeline.delivery.tokens import Scope, Tokens
from tests.delivering import DeliveredSite
from tests.portals import Browser, Portal, hidden
from tests.visiting import NEWEST, send_token, token, visitor

ACCOUNT = "/my/account"
SECRET = re.compile(r"dgx_[\w-]{43}")
SCRIPT = '"><script>alert(1)</script>'


def send(browser: Browser, more: str = "tokens", **fields: str) -> tuple[int, str]:
    """Send a form of the account's page; the status and the page that comes of it."""
    csrf = hidden(browser.get(ACCOUNT).text)
    answer = browser.post(f"{ACCOUNT}/{more}", data={"csrf": csrf, **fields})
    return answer.status_code, answer.text


@pytest.mark.parametrize(("purpose", "scopes"), [("programs", {Scope.READ}), ("feed", {Scope.FEED})])
def test_a_token_is_made_for_what_was_chosen_and_shown_once(
    visited: DeliveredSite,
    visits: Portal,
    caplog: pytest.LogCaptureFixture,
    purpose: str,
    scopes: set[Scope],
) -> None:
    caplog.set_level(logging.DEBUG)
    with visitor(visited, visits) as browser:
        status, page = send(browser, purpose=purpose, label=SCRIPT)
        assert status == 200
        (secret,) = SECRET.findall(page)
        holder = Tokens.of(visited.workspace).find(secret)
        assert holder is not None
        assert (holder.recipient, set(holder.scopes)) == ("acme", scopes)
        later = browser.get(ACCOUNT).text
    assert not SECRET.findall(later)
    assert "<script" not in later
    assert "&lt;script&gt;" in later
    assert secret not in caplog.text
    ledger = b"".join(path.read_bytes() for path in visited.workspace.home.glob("ledger.db*"))
    assert secret.encode() not in ledger


def test_a_token_lives_no_longer_than_the_one_it_was_made_with(visited: DeliveredSite, visits: Portal) -> None:
    tokens = Tokens.of(visited.workspace)
    with visits.browser() as browser:
        parent = token(visited, "acme", days=20)
        send_token(browser, parent.secret)
        _, page = send(browser, purpose="programs", label="child")
        child = tokens.find(SECRET.findall(page)[0])
        _, profile = send(browser, "profile")
        sharing = tokens.find(json.loads(profile)["bearerToken"])
    assert child is not None
    assert sharing is not None
    for one in (child, sharing):
        assert one.expires <= parent.expires


def test_a_token_of_the_last_day_makes_one_that_ends_with_it(visited: DeliveredSite, visits: Portal) -> None:
    tokens = Tokens.of(visited.workspace)
    parent = tokens.issue("acme", (Scope.READ,), 1)
    with visits.browser() as browser:
        send_token(browser, parent.secret)
        _, page = send(browser, purpose="programs")
    child = tokens.find(SECRET.findall(page)[0])
    assert child is not None
    assert child.expires == parent.expires


def test_what_was_made_with_a_token_is_revoked_with_it(visited: DeliveredSite, visits: Portal) -> None:
    tokens = Tokens.of(visited.workspace)
    parent = token(visited, "acme", days=20)
    with visits.browser() as browser:
        send_token(browser, parent.secret)
        made = [
            SECRET.findall(send(browser, purpose="feed")[1])[0],
            json.loads(send(browser, "profile")[1])["bearerToken"],
        ]
    assert all(tokens.find(secret) for secret in made)
    tokens.revoke(parent.number)
    assert not any(tokens.find(secret) for secret in made)


@pytest.mark.parametrize("purpose", ["", "sharing", "read", "everything"])
def test_a_token_for_anything_else_is_not_made(visited: DeliveredSite, visits: Portal, purpose: str) -> None:
    with visitor(visited, visits) as browser:
        status, page = send(browser, purpose=purpose)
    assert status == 403
    assert "for programs or for a feed reader" in page
    assert not SECRET.findall(page)


def test_a_label_of_several_lines_is_refused(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits) as browser:
        assert send(browser, purpose="feed", label="a\nb")[0] == 403


def test_a_token_is_revoked_at_once_and_only_by_its_owner(visited: DeliveredSite, visits: Portal) -> None:
    tokens = Tokens.of(visited.workspace)
    mine, theirs = token(visited, "acme"), token(visited, "north")
    with visitor(visited, visits) as browser:
        page = browser.get(ACCOUNT).text
        assert f"{ACCOUNT}/tokens/{mine.number}/revoke" in page
        assert f"{ACCOUNT}/tokens/{theirs.number}/revoke" not in page
        for other in (theirs.number, 999_999):
            assert send(browser, f"tokens/{other}/revoke")[0] == 404
        assert tokens.find(theirs.secret) is not None
        assert send(browser, f"tokens/{mine.number}/revoke")[0] == 303
        assert tokens.find(mine.secret) is None
        assert send(browser, f"tokens/{mine.number}/revoke")[0] == 404
        assert f"{ACCOUNT}/tokens/{mine.number}/revoke" not in browser.get(ACCOUNT).text


def test_revoking_the_token_of_the_session_ends_the_session(visited: DeliveredSite, visits: Portal) -> None:
    issued = token(visited, "acme")
    with visits.browser() as browser:
        send_token(browser, issued.secret)
        assert f'{issued.number} <span class="mark">this session</span>' in browser.get(ACCOUNT).text
        assert send(browser, f"tokens/{issued.number}/revoke")[0] == 303
        assert browser.get(ACCOUNT).headers["location"].startswith("/my/login?why=ended")


def test_a_profile_opens_delta_sharing_and_nothing_else(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits, "north") as browser:
        csrf = hidden(browser.get(ACCOUNT).text)
        answer = browser.post(f"{ACCOUNT}/profile", data={"csrf": csrf})
        assert answer.headers["Content-Disposition"] == 'attachment; filename="north.share"'
        assert answer.headers["Cache-Control"] == "no-store"
        profile = answer.json()
        assert profile["endpoint"] == f"{visits.settings.origin}/sharing"
        bearer = {"Authorization": f"Bearer {profile['bearerToken']}"}
    with visits.browser() as program:
        assert program.get("/sharing/shares", headers=bearer).status_code == 200
        assert program.get("/api/v1/products", headers=bearer).status_code == 403
        assert send_token(program, profile["bearerToken"]).status_code == 403


def test_the_page_tells_what_was_downloaded_by_this_recipient_alone(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits, "north") as north, visitor(visited, visits) as acme:
        assert acme.get(f"{NEWEST}/files/by_section.csv").status_code == 200
        assert north.get(f"{NEWEST}/files/by_browser.parquet").status_code == 200
        assert "by_section.csv" in acme.get(ACCOUNT).text
        told = north.get(ACCOUNT).text
    assert "by_browser.parquet" in told
    assert "by_section.csv" not in told
    assert "2026-W43, revision 1" in told
