"""Who has logged in, and for how long."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from pipeline.review.accounts import Accounts
from pipeline.review.sessions import IDLE, LONGEST, Sessions
from pipeline.review.tables import SESSIONS
from pipeline.workspace import Workspace
from tests.hostile_texts import HOSTILE

NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
MINUTE, SECOND = dt.timedelta(minutes=1), dt.timedelta(seconds=1)


@pytest.fixture
def sessions(accounts: Accounts) -> Sessions:
    return Sessions(accounts.database)


def test_a_session_is_found_by_its_secret_alone(sessions: Sessions) -> None:
    ticket, other = sessions.begin("ana", NOW), sessions.begin("ben", NOW)
    found = sessions.find(ticket.secret, NOW)
    assert found is not None
    assert (found.name, found.csrf, found.ends) == ("ana", ticket.csrf, NOW + LONGEST)
    assert len({ticket.secret, ticket.csrf, other.secret, other.csrf}) == 4
    assert len(ticket.secret) == 43


def test_what_is_no_secret_finds_nothing(sessions: Sessions) -> None:
    secret = sessions.begin("ana", NOW).secret
    for text in (*HOSTILE.values(), "\ud800", secret[:-1], f"{secret} "):
        assert sessions.find(text, NOW) is None


def test_the_database_holds_neither_secret_nor_what_forms_hold(sessions: Sessions) -> None:
    ticket = sessions.begin("ana", NOW)
    with sessions.database.reading() as connection:
        rows = repr(connection.execute(SESSIONS.select()).all())
    assert "ana" in rows
    assert ticket.secret not in rows
    assert ticket.csrf not in rows
    assert ticket.secret not in repr(ticket)
    assert ticket.csrf not in repr((ticket, sessions.find(ticket.secret, NOW)))


def test_a_session_ends_when_it_is_not_used(sessions: Sessions) -> None:
    secret = sessions.begin("ana", NOW).secret
    assert sessions.find(secret, NOW + IDLE - SECOND)
    assert sessions.find(secret, NOW + 2 * IDLE - 2 * SECOND)
    assert sessions.find(secret, NOW + 3 * IDLE) is None


def test_a_session_ends_however_much_it_is_used(sessions: Sessions) -> None:
    secret, at = sessions.begin("ana", NOW).secret, NOW
    while at < NOW + LONGEST:
        assert sessions.find(secret, at)
        at += 20 * MINUTE
    assert sessions.find(secret, NOW + LONGEST) is None


def test_how_long_a_session_lives_can_be_set(accounts: Accounts) -> None:
    short = Sessions(accounts.database, MINUTE, 2 * MINUTE)
    secret = short.begin("ana", NOW).secret
    assert short.find(secret, NOW + MINUTE) is None
    assert Sessions(accounts.database).find(secret, NOW + MINUTE)


def test_a_session_that_was_ended_is_not_found(sessions: Sessions) -> None:
    ticket, other = sessions.begin("ana", NOW), sessions.begin("ana", NOW)
    sessions.end(ticket.secret)
    sessions.end(ticket.secret)
    assert sessions.find(ticket.secret, NOW) is None
    assert sessions.find(other.secret, NOW)


def test_sessions_that_have_ended_are_forgotten_at_the_next_log_in(sessions: Sessions) -> None:
    for hours in range(3):
        sessions.begin("ana", NOW + dt.timedelta(hours=hours))
    with sessions.database.reading() as connection:
        assert len(connection.execute(SESSIONS.select()).all()) == 1


def test_looking_at_pages_does_not_wait_for_who_writes(sessions: Sessions) -> None:
    secret = sessions.begin("ana", NOW).secret
    with sessions.database.writing():
        assert sessions.find(secret, NOW + 59 * SECOND)


def test_a_site_keeps_its_sessions_in_its_ledger_s_database(tmp_path: Path) -> None:
    secret = Sessions.of(Workspace(tmp_path)).begin("ana").secret
    assert Sessions.of(Workspace(tmp_path)).find(secret)
    assert (tmp_path / "ledger.db").is_file()
