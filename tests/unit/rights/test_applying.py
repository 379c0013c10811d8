"""Requests are applied: to all that is held, and to whatever comes, however often and whenever they are cut short."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.obeying import obey_held
from pipeline.deidentify.staging import load_staging, write_manifest
from pipeline.deidentify.tombstones import standing, stones_of
from pipeline.errors import ConfigurationError
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.rights import applying
from pipeline.rights.applying import apply_requests
from pipeline.rights.requests import RequestKind
from pipeline.rights.store import RequestStore, State
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests import log_lines
from tests.asking import (
    CUSTOMERS,
    GERMANS,
    MONTHS,
    NOW,
    WEEKS,
    apply,
    ask,
    customer,
    email,
    files_with,
    held,
    people_in,
    pseudonym_of,
    stage_all,
    visitor,
    write_home,
)
from tests.log_lines import line, site_of
from tests.staged import file_of, folder_of

ACCESS, CORRECT, ERASE, OPT_OUT = RequestKind.ACCESS, RequestKind.CORRECT, RequestKind.ERASE, RequestKind.OPT_OUT
VISITORS, BUYERS = Population.VISITORS, Population.CUSTOMERS
FILES = ("persons", "events", "aliases")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("asked") / "home"
    stage_all(write_home(home))
    return home


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Workspace:
    """Two weeks of visitors and two months of customers, staged and never checked."""
    shutil.copytree(template, tmp_path / "home")
    return Workspace(tmp_path / "home")


def reasons(workspace: Workspace) -> dict[str, str]:
    return {row.id: row.reason for row in RequestStore.open(workspace).rows()}


def states(workspace: Workspace) -> dict[str, tuple[State, str]]:
    return {row.id: (row.state, row.outcome) for row in RequestStore.open(workspace).rows()}


def staged(workspace: Workspace) -> dict[str, bytes]:
    """Contents of all files of staging."""
    folder = workspace.home / "staging"
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".lock" not in p.name
    }


@pytest.mark.parametrize("by_email", [False, True])
@pytest.mark.parametrize("kind", [ERASE, OPT_OUT])
def test_a_customer_leaves_every_month_that_is_held(workspace: Workspace, kind: RequestKind, by_email: bool) -> None:
    gone = [pseudonym_of(workspace, customer(kind, 7), month) for month in MONTHS]
    assert all(len(files_with(workspace.home, person)) == len(FILES) for person in gone)
    (identity,) = ask(workspace, customer(kind, 7, by_email=by_email))
    applied = apply(workspace)
    assert (applied.ids, applied.waiting) == ((identity,), ())
    assert applied.periods == ("customers/2026-09", "customers/2026-10")
    assert not [path for person in gone for path in files_with(workspace.home, person)]
    for month in MONTHS:
        assert {len(held(workspace, BUYERS, month, file)) for file in FILES} == {CUSTOMERS - 1}
        sources = load_staging(workspace, BUYERS, month).manifest.sources
        assert [counts.left_out.get(AT_REQUEST) for counts in sources.values()] == [1, 1]
    assert states(workspace)[identity] == (State.APPLIED, "removed from what was held; later extracts leave them out")


def test_blanks_around_a_key_that_the_engine_cuts_are_cut_here_too(workspace: Workspace) -> None:
    (asked,) = ask(workspace, replace(customer(ERASE, 7), customer="\u00a0C7\u2003"))
    assert apply(workspace).ids == (asked,)
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == CUSTOMERS - 1


def test_a_visitor_leaves_the_weeks_of_their_days_and_no_other(workspace: Workspace) -> None:
    since, until = dt.datetime(2026, 10, 11, 22, tzinfo=dt.UTC), dt.datetime(2026, 10, 15, tzinfo=dt.UTC)
    request = visitor(ERASE, GERMANS[0], since=since, until=until)  # from Monday of the second week, Berlin's time
    before = people_in(workspace, VISITORS, WEEKS[0])
    person = pseudonym_of(workspace, request, WEEKS[1])
    ask(workspace, request)
    assert apply(workspace).periods == ("visitors/2026-W42",)
    assert people_in(workspace, VISITORS, WEEKS[0]) == before
    assert person not in people_in(workspace, VISITORS, WEEKS[1])
    assert len(people_in(workspace, VISITORS, WEEKS[1])) == len(before) - 1


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ("2026-10-24T22:00Z", "2026-10-25T23:00Z", {25}),  # the whole day, which has 25 hours in Berlin
        ("2026-10-25T22:59Z", "2026-10-25T23:00Z", {25}),  # its last minute
        ("2026-10-24T21:59Z", "2026-10-24T22:00Z", {24}),  # the minute before it
        ("2026-10-25T23:00Z", "2026-10-25T23:01Z", {26}),  # the minute after it
        ("2026-10-25T22:30Z", "2026-10-25T23:30Z", {25, 26}),
        ("2026-10-25T00:30Z", "2026-10-25T01:30Z", {25}),  # from half past two to half past two
        ("2026-10-25T23:30Z", None, {26}),
    ],
)
def test_an_hour_belongs_to_its_day_across_a_change_of_clocks(
    tmp_path: Path, since: str, until: str | None, days: set[int]
) -> None:
    site = site_of(time_zone="Europe/Berlin")
    periods = {day: Period.parse(f"2026-10-{day}") for day in (24, 25, 26)}
    lines = [line(time=f"{day}/Oct/2026:12:00:00 +0100", address=a) for day in periods for a in ("8.8.8.8", "9.9.9.9")]
    for period in periods.values():
        log_lines.stage(tmp_path, *lines, period=period, time_zone="Europe/Berlin")
    workspace = Workspace(tmp_path)
    end = dt.datetime.fromisoformat(until) if until else None
    ask(workspace, visitor(OPT_OUT, "8.8.8.8", since=dt.datetime.fromisoformat(since), until=end))
    apply_requests(workspace, site, NOW)
    left = {day for day, period in periods.items() if len(people_in(workspace, VISITORS, period)) == 1}
    assert left == days
    for period in periods.values():  # and the same where it is read again
        staging = log_lines.stage(tmp_path, *lines, period=period, time_zone="Europe/Berlin")
        assert len({row["person"] for row in log_lines.events(staging)}) == (1 if period.start.day in days else 2)


def test_a_correction_shows_in_every_period_that_is_held(workspace: Workspace) -> None:
    ask(
        workspace,
        customer(CORRECT, 7, values={"country": "AT"}),
        visitor(CORRECT, GERMANS[0], values={"country": "CH"}),
    )
    apply(workspace)
    for population, periods, file, key in ((BUYERS, MONTHS, "persons", "AT"), (VISITORS, WEEKS, "events", "CH")):
        request = customer(CORRECT, 7) if population is BUYERS else visitor(CORRECT, GERMANS[0])
        for period in periods:
            person = pseudonym_of(workspace, request, period)
            rows = held(workspace, population, period, file)
            assert {row["person"] for row in rows if row["country"] == key} == {person}
            assert {row["country"] for row in rows if row["person"] == person} == {key}


def test_of_two_corrections_at_once_the_one_received_later_stands(workspace: Workspace) -> None:
    for hours, country in ((9, "AT"), (3, "CH"), (6, "IT")):
        received = NOW - dt.timedelta(hours=hours)
        request = visitor(CORRECT, GERMANS[0], values={"country": country})
        ask(workspace, type(request)(**{**vars(request), "received": received}))
    apply(workspace)
    assert {row["country"] for row in held(workspace, VISITORS, WEEKS[0])} == {"US", "DE", "CH"}


def test_a_correction_does_not_bring_back_who_was_erased(workspace: Workspace) -> None:
    ask(workspace, customer(ERASE, 7), customer(CORRECT, 7, values={"country": "AT"}))
    apply(workspace)
    assert not [row for row in held(workspace, BUYERS, MONTHS[0], "persons") if row["country"] == "AT"]
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == CUSTOMERS - 1


def test_later_extracts_and_readings_of_past_periods_obey(workspace: Workspace) -> None:
    ask(workspace, customer(OPT_OUT, 7, by_email=True), customer(ERASE, 8), visitor(OPT_OUT, GERMANS[0], until=None))
    apply(workspace)
    stage_all(workspace)
    for month in MONTHS:
        assert len(people_in(workspace, BUYERS, month, "persons")) == CUSTOMERS - 2
    for week in WEEKS:
        request = visitor(OPT_OUT, GERMANS[0])
        assert pseudonym_of(workspace, request, week) not in people_in(workspace, VISITORS, week)


def test_of_a_person_who_is_not_there_nothing_was_held_and_their_tombstone_stands(workspace: Workspace) -> None:
    before = staged(workspace)
    (identity,) = ask(workspace, customer(ERASE, 999))
    assert apply(workspace).ids == (identity,)
    assert staged(workspace) == before
    assert states(workspace)[identity] == (State.APPLIED, "nothing was held; later extracts leave them out")
    assert [stone.request for stone in standing(workspace, BUYERS, MONTHS[0]).stones] == [identity]


def test_the_same_request_again_changes_nothing(workspace: Workspace) -> None:
    (first,) = ask(workspace, customer(ERASE, 7))
    assert ask(workspace, customer(ERASE, 7)) == [first]
    apply(workspace)
    after = staged(workspace)
    (second,) = ask(workspace, customer(ERASE, 7))
    assert second != first
    assert apply(workspace).ids == (second,)
    assert staged(workspace) == after
    assert apply(workspace) == applying.Applied()


def test_what_names_a_person_is_gone_when_their_request_was_applied(workspace: Workspace) -> None:
    ask(workspace, customer(ERASE, 7, by_email=True))
    with database.opened(workspace.ledger).reading() as connection:
        query = sa.text("SELECT sealed FROM subject_requests")
        assert connection.execute(query).scalar()
    apply(workspace)
    with database.opened(workspace.ledger).reading() as connection:
        assert connection.execute(query).scalar() is None
    (workspace.home / "customers.csv").unlink()
    assert not files_with(workspace.home, email(7))
    assert not files_with(workspace.home, email(7).upper())


def test_the_ledger_notes_what_was_obeyed_and_in_which_periods(workspace: Workspace) -> None:
    erased, corrected = ask(workspace, customer(ERASE, 7), visitor(CORRECT, GERMANS[0], values={"country": "AT"}))
    apply(workspace)
    (note,) = Ledger.open(workspace.ledger).notes(EntryKind.OBEYED, applying.ABOUT)
    assert note.key.period == "2026-11-02"
    assert note.payload == {
        "requests": {erased: "erase", corrected: "correct"},
        "periods": ["customers/2026-09", "customers/2026-10", "visitors/2026-W41", "visitors/2026-W42"],
    }
    Ledger.open(workspace.ledger).entries()  # raises where the chain is broken


def test_a_person_is_told_what_is_held_before_it_is_erased(workspace: Workspace) -> None:
    asked, erased = ask(workspace, customer(ACCESS, 7, by_email=True), customer(ERASE, 7))
    assert apply(workspace).ids == (asked, erased)
    told = json.loads((workspace.access / asked / "held.json").read_bytes())
    assert [one["period"] for one in told["held"]] == ["2026-09", "2026-10"]
    assert states(workspace)[asked] == (State.APPLIED, "told what is held")
    assert apply(workspace).ids == ()
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == CUSTOMERS - 1


def test_a_visitor_is_told_of_the_periods_of_their_days(workspace: Workspace) -> None:
    until = dt.datetime(2026, 10, 11, 22, tzinfo=dt.UTC)
    asked, nobody = ask(workspace, visitor(ACCESS, GERMANS[0], until=until), visitor(ACCESS, "192.0.2.1"))
    apply(workspace)
    told = {one: json.loads((workspace.access / one / "held.json").read_bytes())["held"] for one in (asked, nobody)}
    assert [one["period"] for one in told[asked]] == ["2026-W41"]
    assert told[nobody] == []
    assert states(workspace)[nobody] == (State.APPLIED, "told that nothing is held")


def test_nobody_is_erased_before_they_could_be_told(workspace: Workspace) -> None:
    workspace.access.write_text("in the way")
    asked, erased, other = ask(workspace, customer(ACCESS, 7), customer(ERASE, 7), customer(ERASE, 8))
    applied = apply(workspace)
    assert applied.ids == (other,)
    assert {one.id for one in applied.waiting} == {asked, erased}
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == CUSTOMERS - 1
    workspace.access.unlink()
    assert apply(workspace).ids == (asked, erased)
    assert json.loads((workspace.access / asked / "held.json").read_bytes())["held"]


def test_without_a_periods_key_its_requests_wait_and_the_others_are_applied(workspace: Workspace) -> None:
    key, people = workspace.period_key(BUYERS, MONTHS[0]), held(workspace, BUYERS, MONTHS[0], "persons")
    kept = key.read_bytes()
    key.unlink()
    waiting, other = ask(workspace, customer(ERASE, 7), visitor(ERASE, GERMANS[0]))
    applied = apply(workspace)
    assert applied.ids == (other,)
    assert [(one.id, "customers of 2026-09" in one.reason) for one in applied.waiting] == [(waiting, True)]
    assert not key.exists()
    assert states(workspace)[waiting][0] is State.OPEN
    assert "customers of 2026-09" in reasons(workspace)[waiting]
    assert held(workspace, BUYERS, MONTHS[0], "persons") == people
    assert len(people_in(workspace, BUYERS, MONTHS[1], "persons")) == CUSTOMERS - 1  # what can be done is done
    key.write_bytes(kept)
    key.chmod(0o600)
    assert apply(workspace).ids == (waiting,)
    assert reasons(workspace)[waiting] == ""
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == CUSTOMERS - 1


def test_who_is_named_by_an_address_waits_where_staging_has_no_aliases(workspace: Workspace) -> None:
    staging = load_staging(workspace, BUYERS, MONTHS[0])
    files = {name: files for name, files in staging.manifest.files.items() if name != "aliases"}
    write_manifest(staging.place, staging.manifest.model_copy(update={"files": files}))
    waiting, other = ask(workspace, customer(ERASE, 7, by_email=True), customer(ERASE, 8))
    applied = apply(workspace)
    assert [one.id for one in applied.waiting] == [waiting]
    assert applied.waiting[0].reason.startswith("customers of 2026-09: nobody is found by an e-mail address")
    assert applied.ids == (other,)
    stage_all(workspace, weeks=())
    assert apply(workspace).ids == (waiting,)
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == CUSTOMERS - 2


@pytest.mark.parametrize("spoil", [lambda key: key.unlink(), lambda key: key.write_bytes(b"0f" * 32)])
def test_without_the_key_of_requests_nothing_is_applied(workspace: Workspace, spoil: Any) -> None:
    (identity,) = ask(workspace, customer(ERASE, 7))
    before = staged(workspace)
    spoil(workspace.subject_key)
    with pytest.raises(ConfigurationError, match="key"):
        apply(workspace)
    assert staged(workspace) == before
    assert states(workspace)[identity][0] is State.OPEN


def test_a_request_that_was_changed_waits_and_the_others_are_applied(workspace: Workspace) -> None:
    spoiled, whole = ask(workspace, customer(ERASE, 7), customer(ERASE, 8))
    with database.opened(workspace.ledger).writing() as connection:
        statement = sa.text("UPDATE subject_requests SET sealed = :sealed WHERE id = :id")
        connection.execute(statement, {"sealed": b"something else" * 9, "id": spoiled})
    applied = apply(workspace)
    assert applied.ids == (whole,)
    assert [one.id for one in applied.waiting] == [spoiled]


def test_drafts_that_killed_runs_left_of_a_period_are_swept(workspace: Workspace) -> None:
    request = customer(ERASE, 7)
    person = pseudonym_of(workspace, request, MONTHS[0])
    folder = workspace.staging(BUYERS, MONTHS[0])
    shutil.copytree(folder / "events", folder / "drafts" / "0a0b0c0d")
    shutil.copy(file_of(load_staging(workspace, BUYERS, MONTHS[0]).events), folder / "events" / "left.parquet")
    ask(workspace, request)
    assert len(files_with(workspace.home, person)) == len(FILES) + 2
    apply(workspace)
    assert not files_with(workspace.home, person)


def test_two_thousand_requests_at_once_take_one_rewriting_of_each_period(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten: list[Path] = []

    def spy(staging: Any, effects: Any) -> bool:
        rewritten.append(folder_of(staging))
        return obey_held(staging, effects)

    monkeypatch.setattr(applying, "obey_held", spy)
    ids = ask(workspace, *[customer(ERASE, number) for number in range(5, 1005)])
    ids += ask(workspace, *[visitor(OPT_OUT, f"5.9.{n // 250}.{n % 250}") for n in range(1000)])
    applied = apply(workspace)
    assert (len(applied.ids), applied.waiting) == (2000, ())
    assert len(rewritten) == len(set(rewritten)) == len(MONTHS) + len(WEEKS)
    assert len(people_in(workspace, BUYERS, MONTHS[0], "persons")) == 5
    assert set(applied.ids) == set(ids)
    assert len(stones_of(database.opened(workspace.ledger), VISITORS)) == 1000


# In interpreters of their own, which start at one word. Each applies what is open.
APPLIER = """
import datetime as dt, sys
from pathlib import Path
import sqlalchemy.dialects.sqlite.pysqlite
from pipeline.rights.applying import apply_requests
from pipeline.site import load_site
from pipeline.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(len(apply_requests(workspace, load_site(workspace.site_file), dt.datetime.now(dt.UTC)).ids))
"""


def test_two_who_apply_at_once_apply_each_request_once(workspace: Workspace) -> None:
    asked = ask(workspace, *[customer(ACCESS, number) for number in range(20)])
    erased = ask(workspace, *[customer(ERASE, number) for number in range(20)])
    command = [sys.executable, "-c", APPLIER, str(workspace.home)]
    appliers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for one in appliers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    told = [one.communicate("go\n", timeout=60)[0] for one in appliers]
    assert sorted(map(int, told)) == [0, 40]
    assert all(state is State.APPLIED for state, _ in states(workspace).values())
    assert all(json.loads((workspace.access / one / "held.json").read_bytes())["held"] for one in asked)
    notes = Ledger.open(workspace.ledger).notes(EntryKind.OBEYED)
    assert [sorted(note.payload["requests"]) for note in notes] == [sorted(asked), sorted(erased)]
