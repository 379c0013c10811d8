"""Tombstones know whom they are of, when, and what they change."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.deidentify.subject_key import subject_key
from pipeline.deidentify.tombstones import (
    Tombstone,
    customer_handle,
    customer_handle_sql,
    effects_of,
    email_handle,
    email_handle_sql,
    put_up,
    standing,
    visitor_handle,
    visitor_handle_sql,
)
from pipeline.errors import ConfigurationError
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

WEEK = Period.parse("2026-W41")  # 5 to 11 October
WHO = Population.VISITORS


def stone(
    digest: str = "d1", request: str = "R-1", made: str = "2026-10-20T10:00:00+00:00", **changes: str
) -> Tombstone:
    return Tombstone(digest, WHO, None, None, changes, request, made)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def keep(workspace: Workspace, *stones: Tombstone) -> None:
    with database.opened(workspace.ledger).writing() as connection:
        put_up(connection, stones)


@pytest.mark.parametrize(
    ("first", "last", "concerned"),
    [
        (None, None, True),
        ("2026-10-11", None, True),
        ("2026-10-12", None, False),
        (None, "2026-10-05", True),
        (None, "2026-10-04", False),
        ("2026-10-01", "2026-10-31", True),
        ("2026-10-07", "2026-10-07", True),
    ],
)
def test_a_tombstone_concerns_the_periods_of_its_days(first: str | None, last: str | None, *, concerned: bool) -> None:
    days = [dt.date.fromisoformat(day) if day else None for day in (first, last)]
    assert Tombstone("d", WHO, days[0], days[1], {}, "R-1", "2026").concerns(WEEK) is concerned


def test_where_nobody_asked_nothing_is_made(workspace: Workspace) -> None:
    assert not standing(workspace, WHO, WEEK)
    assert list(workspace.home.iterdir()) == []


def test_tombstones_are_kept_once_for_each_request(workspace: Workspace) -> None:
    keep(workspace, stone(), stone(), stone("d2"))
    keep(workspace, stone(), stone(request="R-2"))
    found = standing(workspace, WHO, WEEK)
    assert sorted((one.digest, one.request) for one in found.stones) == [("d1", "R-1"), ("d1", "R-2"), ("d2", "R-1")]
    assert not standing(workspace, Population.CUSTOMERS, Period.parse("2026-10"))


def test_without_their_key_nobody_is_extracted(workspace: Workspace) -> None:
    store = database.opened(workspace.ledger)
    keep(workspace, stone(subject_key(workspace, store).digest("customer\0C1")))
    workspace.subject_key.unlink()
    with pytest.raises(ConfigurationError, match="must be there"):
        standing(workspace, WHO, WEEK)


def test_who_is_met_in_the_engine_has_the_effect_of_their_tombstone(
    workspace: Workspace, engine: duckdb.DuckDBPyConnection
) -> None:
    key = subject_key(workspace, database.opened(workspace.ledger))
    keep(
        workspace,
        stone(key.digest(visitor_handle("192.0.2.1", "Mozilla"))),
        stone(key.digest(visitor_handle("192.0.2.2", "")), request="R-2", country="AT"),
    )
    found = standing(workspace, WHO, WEEK)
    found.install(engine)
    engine.execute("CREATE TABLE met AS FROM (VALUES ('192.0.2.1', 'Mozilla', 'p1'), ('192.0.2.2', NULL, 'p2'), "
                   "('192.0.2.3', 'Mozilla', 'p3')) AS met (address, agent, person)")  # fmt: skip
    engine.execute(
        "INSERT INTO asked SELECT person, digest FROM met JOIN tombstones "
        f"ON digest = tombstone({visitor_handle_sql('address', 'agent')})"
    )
    effects = found.effects(engine)
    assert effects.left_out == {"p1"}
    assert effects.corrected == {"p2": {"country": "AT"}}
    assert "p1" not in repr(effects)


@pytest.mark.parametrize(
    "text", ["C1", "  C1 ", "ZOË@Example.org", " jane@example.org", "a\tb", "İ@example.org", "ß", "ΑΣ"]
)
def test_names_are_the_same_in_the_engine(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    assert engine.execute(f"SELECT {customer_handle_sql('?')}", [text]).fetchall() == [(customer_handle(text),)]
    assert engine.execute(f"SELECT {email_handle_sql('?')}", [text]).fetchall() == [(email_handle(text),)]
    named = engine.execute(f"SELECT {visitor_handle_sql('?', '?')}", ["192.0.2.1", text]).fetchall()
    assert named == [(visitor_handle("192.0.2.1", text),)]


def test_of_two_corrections_the_later_one_stands() -> None:
    early, late = (
        stone(made="2026-10-20", country="AT", language="de"),
        stone(request="R-2", made="2026-10-21", country="CH"),
    )
    for stones in ([early, late], [late, early]):
        assert effects_of(stones, [("p", "d1")]).corrected == {"p": {"country": "CH", "language": "de"}}


def test_a_correction_under_another_name_of_the_same_person_is_in_the_order_of_time_too() -> None:
    by_key, by_email = (
        stone("key", made="2026-10-21", country="CH"),
        stone("e-mail", request="R-2", made="2026-10-20", country="AT"),
    )
    asked = [("p", "key"), ("p", "e-mail")]
    assert effects_of([by_key, by_email], asked).corrected == {"p": {"country": "CH"}}


def test_who_is_left_out_is_not_corrected() -> None:
    stones = [stone(country="AT"), stone(request="R-2")]
    effects = effects_of(stones, [("p", "d1")])
    assert effects.left_out == {"p"}
    assert not effects.corrected


def test_who_was_not_asked_for_is_left_alone() -> None:
    assert not effects_of([stone()], [("p", secrets.token_hex(16))])


def test_every_letter_is_made_small_and_every_blank_cut_as_the_engine_does(engine: duckdb.DuckDBPyConnection) -> None:
    letters = [chr(code) for code in range(1, 0xD800)]
    query = f"SELECT {email_handle_sql('letter')} FROM (SELECT unnest(?) AS letter)"
    assert [named for (named,) in engine.execute(query, [letters]).fetchall()] == list(map(email_handle, letters))
