"""Recipients' tokens, and the sessions that they begin."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from pipeline.delivery.events import What
from pipeline.delivery.sessions import RecipientSessions
from pipeline.delivery.tables import EVENTS
from pipeline.delivery.tokens import PREFIX, Scope, Tokens, is_token
from pipeline.errors import AccessError, LedgerError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from tests.hostile_texts import HOSTILE

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def base(address: str) -> Database:
    return database.opened(address)


@pytest.fixture
def tokens(base: Database) -> Tokens:
    return Tokens(base)


def test_a_token_is_found_by_its_secret(tokens: Tokens) -> None:
    issued = tokens.issue("acme", (Scope.READ, Scope.FEED), days=30, now=NOW)
    holder = tokens.find(issued.secret, NOW)
    assert holder is not None
    assert (holder.recipient, holder.token, set(holder.scopes)) == ("acme", issued.number, {Scope.READ, Scope.FEED})
    assert holder.expires == issued.expires == NOW + 30 * DAY


def test_the_secret_is_nowhere_in_the_database(tokens: Tokens, base: Database) -> None:
    secret = tokens.issue("acme", now=NOW).secret
    assert is_token(secret)
    assert secret not in repr(tokens.issue("acme", now=NOW))
    with base.reading() as connection:
        tables = sa.inspect(connection).get_table_names()
        content = repr([connection.execute(sa.text(f"SELECT * FROM {name}")).all() for name in tables])
    assert secret not in content
    assert secret.removeprefix(PREFIX) not in content


def test_a_token_opens_nothing_from_its_last_moment_on(tokens: Tokens) -> None:
    secret = tokens.issue("acme", days=1, now=NOW).secret
    assert tokens.find(secret, NOW + DAY - dt.timedelta(microseconds=1))
    assert tokens.find(secret, NOW + DAY) is None


def test_a_token_made_with_another_ends_with_it_at_the_latest(tokens: Tokens) -> None:
    other = tokens.issue("acme", days=20, now=NOW)
    assert tokens.issue_with(other.number, (Scope.FEED,), now=NOW).expires == other.expires
    assert tokens.issue_with(other.number, (Scope.FEED,), 7, now=NOW).expires == NOW + 7 * DAY
    with pytest.raises(AccessError):
        tokens.issue_with(other.number, (Scope.FEED,), now=other.expires)


def test_whatever_was_made_with_a_revoked_token_opens_nothing(tokens: Tokens) -> None:
    other, apart = (tokens.issue("acme", now=NOW) for _ in range(2))
    child = tokens.issue_with(other.number, (Scope.READ,), now=NOW)
    grandchild = tokens.issue_with(child.number, (Scope.FEED,), now=NOW)
    tokens.revoke(other.number, NOW)
    assert not any(tokens.find(one.secret, NOW) for one in (other, child, grandchild))
    assert tokens.find(apart.secret, NOW)
    told = [event.about for event in tokens.events() if event.what is What.REVOKED]
    assert set(told) == {f"token {one.number}" for one in (other, child, grandchild)}


def test_what_was_made_with_a_rotated_token_belongs_to_the_new_one(tokens: Tokens) -> None:
    other = tokens.issue("acme", now=NOW)
    child = tokens.issue_with(other.number, (Scope.FEED,), now=NOW)
    new = tokens.rotate(other.number, now=NOW)
    assert tokens.find(child.secret, NOW)
    tokens.revoke(new.number, NOW)
    assert tokens.find(child.secret, NOW) is None


def test_a_revoked_token_opens_nothing_at_once(tokens: Tokens) -> None:
    kept, gone = tokens.issue("acme", now=NOW), tokens.issue("acme", now=NOW)
    tokens.revoke(gone.number, NOW)
    assert tokens.find(gone.secret, NOW) is None
    assert tokens.find(kept.secret, NOW)


def test_all_tokens_of_one_recipient_are_revoked_and_no_other(tokens: Tokens) -> None:
    mine = [tokens.issue("acme", now=NOW) for _ in range(3)]
    other = tokens.issue("north", now=NOW)
    assert tokens.revoke_all("acme", NOW) == 3
    assert [tokens.find(one.secret, NOW) for one in mine] == [None] * 3
    assert tokens.find(other.secret, NOW)


def test_whatever_is_sent_as_a_secret_finds_nothing(tokens: Tokens) -> None:
    issued = tokens.issue("acme", now=NOW).secret
    wrong = [issued[:-1], issued + "A", issued.upper(), f"dgr_{issued[4:]}", "", f" {issued}"]
    assert [tokens.find(one, NOW) for one in (*wrong, *HOSTILE.values())] == [None] * (len(wrong) + len(HOSTILE))
    assert [tokens.find(f"{PREFIX}{text}", NOW) for text in HOSTILE.values()] == [None] * len(HOSTILE)


def test_a_rotated_token_has_the_same_uses_and_ends_the_old_one(tokens: Tokens) -> None:
    old = tokens.issue("acme", (Scope.SHARING,), label="nightly", now=NOW)
    new = tokens.rotate(old.number, 60, now=NOW + DAY)
    assert tokens.find(old.secret, NOW + DAY) is None
    holder = tokens.find(new.secret, NOW + DAY)
    assert holder is not None
    assert holder.scopes == {Scope.SHARING}
    assert [one.label for one in tokens.listed("acme")] == ["nightly", "nightly"]


def test_an_overlap_lets_the_old_token_live_on_for_a_while_and_never_longer_than_before(tokens: Tokens) -> None:
    old = tokens.issue("acme", days=2, now=NOW)
    tokens.rotate(old.number, overlap=7 * DAY, now=NOW)
    assert tokens.find(old.secret, NOW + DAY)
    assert tokens.find(old.secret, NOW + 2 * DAY) is None


@pytest.mark.parametrize(
    "given",
    [
        {"days": 0},
        {"days": 367},
        {"scopes": ()},
        {"recipient": "Acme"},
        {"recipient": "a" * 41},
        {"label": "x" * 81},
        {"label": "a\nb"},
    ],
    ids=str,
)
def test_a_token_that_cannot_be_is_refused(tokens: Tokens, given: dict[str, object]) -> None:
    with pytest.raises(AccessError):
        tokens.issue(**({"recipient": "acme", "now": NOW} | given))  # type: ignore[arg-type]
    assert tokens.listed() == ()


def test_what_does_not_live_is_neither_rotated_nor_revoked(tokens: Tokens) -> None:
    issued = tokens.issue("acme", days=1, now=NOW)
    for number, when in ((issued.number, NOW + DAY), (99, NOW)):
        with pytest.raises(AccessError):
            tokens.revoke(number, when)
        with pytest.raises(AccessError):
            tokens.rotate(number, now=when)


def test_a_session_ends_with_its_token(tokens: Tokens, base: Database) -> None:
    sessions, issued = RecipientSessions(base), tokens.issue("acme", now=NOW)
    holder = tokens.find(issued.secret, NOW)
    assert holder is not None
    ticket = sessions.begin(holder, NOW)
    found = sessions.find(ticket.secret, NOW)
    assert found is not None
    assert (found.recipient, found.csrf) == ("acme", ticket.csrf)
    tokens.revoke(issued.number, NOW)
    assert sessions.find(ticket.secret, NOW) is None


def test_a_session_ends_when_its_token_expires_or_nobody_uses_it(tokens: Tokens, base: Database) -> None:
    sessions = RecipientSessions(base, idle=2 * DAY, longest=9 * DAY)
    holders = [tokens.find(tokens.issue("acme", days=days, now=NOW).secret, NOW) for days in (1, 30)]
    short, long = (sessions.begin(holder, NOW) for holder in holders if holder)
    assert sessions.find(short.secret, NOW + DAY) is None
    assert sessions.find(long.secret, NOW + DAY)
    assert sessions.find(long.secret, NOW + 3 * DAY) is None


def test_what_was_done_is_written_down_for_ever(tokens: Tokens, base: Database) -> None:
    first = tokens.issue("acme", now=NOW)
    second = tokens.rotate(first.number, now=NOW)
    tokens.revoke(second.number, NOW)
    told = [(event.what.value, event.about) for event in reversed(tokens.events())]
    assert told == [("token issued", "token 1"), ("token rotated", "token 2 for token 1"), ("token revoked", "token 2")]
    with pytest.raises(LedgerError), base.writing() as connection:
        connection.execute(EVENTS.delete())
