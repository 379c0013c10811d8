"""What is kept for a declared time only, and how it ends."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import yaml

from pipeline import flow, flow_rights
from pipeline.deidentify.key_store import destroy_key
from pipeline.deidentify.locks import held, lock_file, locked_periods
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.rights.access import write_packet
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.retention import Purged, due_at, purge_expired, require_unpurged
from pipeline.rights.sweeping import sweep
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import pseudonym, site_document, write_visitors
from tests.privileges import open_folder, without_root
from tests.unit.rights.homes import draw_weekly, enter, publish_weekly, write_home

VISITORS, CUSTOMERS = Population.VISITORS, Population.CUSTOMERS
WEEK = Period.parse("2026-W41")  # ends on 12 October 2026
BERLIN, UTC = ZoneInfo("Europe/Berlin"), dt.UTC
SITE = SiteFile.model_validate(site_document() | {"time_zone": "Europe/Berlin"})  # 90 days
DUE = dt.datetime(2027, 1, 9, 23, tzinfo=UTC)  # midnight of 10 January in Berlin
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def keep(workspace: Workspace, period: Period = WEEK, population: Population = VISITORS) -> None:
    """A period that is kept: staging and its key."""
    key = period_key(workspace, population, period)
    write_visitors(workspace.staging(population, period), pd.DataFrame({"person": [key.pseudonym("a")]}), period)


def kept_files(workspace: Workspace) -> list[str]:
    """Whatever is left under staging and keys."""
    rooms = (workspace.home / "staging", workspace.home / "keys")
    found = (path for room in rooms for path in room.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(workspace.home)) for path in found)


@pytest.mark.parametrize(
    ("end", "midnight"),
    [
        ("2026-10-25", "2026-10-24T22:00:00+00:00"),  # clocks go back that night, after midnight
        ("2026-10-26", "2026-10-25T23:00:00+00:00"),  # and have gone back
        ("2027-03-28", "2027-03-27T23:00:00+00:00"),  # clocks go forward that night, after midnight
        ("2027-03-29", "2027-03-28T22:00:00+00:00"),  # and have gone forward
    ],
)
def test_staging_is_due_at_local_midnight_across_a_change_of_clocks(
    workspace: Workspace, end: str, midnight: str
) -> None:
    period = Period.parse(str(dt.date.fromisoformat(end) - dt.timedelta(days=91)))  # ends 90 days before
    instant = dt.datetime.fromisoformat(midnight)
    assert due_at(period, 90, BERLIN).astimezone(UTC) == instant
    keep(workspace, period)
    assert purge_expired(workspace, SITE, instant - HOUR) == Purged()
    assert load_staging(workspace, VISITORS, period)
    assert purge_expired(workspace, SITE, (instant + HOUR).astimezone(BERLIN)) == Purged((f"visitors/{period}",))
    assert kept_files(workspace) == []


def test_the_hour_that_comes_twice_does_not_make_staging_due_early_or_late(workspace: Workspace) -> None:
    # Days end at midnight; in Havana the clock goes from 1:00 back to midnight, which therefore comes twice.
    site = SiteFile.model_validate(site_document() | {"time_zone": "America/Havana"})
    period = Period.parse("2026-08-02")  # 90 days after its end it is 1 November 2026
    first = dt.datetime(2026, 11, 1, 4, tzinfo=UTC)
    keep(workspace, period)
    assert not purge_expired(workspace, site, first - dt.timedelta(seconds=1)).periods
    assert purge_expired(workspace, site, (first + dt.timedelta(minutes=90)).astimezone(site.zone)).periods


def test_what_is_due_goes_with_its_key_and_the_rest_stays(workspace: Workspace) -> None:
    keep(workspace)
    keep(workspace, WEEK.next)
    keep(workspace, Period.parse("2026-09"), CUSTOMERS)
    purged = purge_expired(workspace, SITE, DUE)
    assert purged.periods == ("visitors/2026-W41", "customers/2026-09")
    kept = load_staging(workspace, VISITORS, WEEK.next)
    assert kept_files(workspace) == [
        "keys/visitors/2026-W42.key",
        *(f"staging/visitors/2026-W42/{one}" for one in (*kept.manifest.names, "manifest.json")),
    ]
    assert locked_periods(workspace, VISITORS) == [WEEK.next]


def test_a_purge_is_in_the_ledger_and_says_nothing_of_people(workspace: Workspace) -> None:
    keep(workspace)
    purge_expired(workspace, SITE, DUE)
    (note,) = Ledger.open(workspace.ledger).notes(EntryKind.PURGED, "staging.visitors")
    assert note.key.period == "2026-W41"
    staged = dt.datetime.fromisoformat(note.payload["staged"])
    assert abs(staged - dt.datetime.now(UTC)) < HOUR
    assert dict(note.payload) == {
        "population": "visitors",
        "period": "2026-W41",
        "due": "2027-01-10T00:00:00+01:00",
        "staged": note.payload["staged"],
        "key": "destroyed",
        "staging": "deleted",
    }


def test_a_period_is_purged_once_and_again_when_it_was_ingested_again(workspace: Workspace) -> None:
    keep(workspace)
    assert purge_expired(workspace, SITE, DUE).periods
    assert not purge_expired(workspace, SITE, DUE).periods
    keep(workspace)
    assert purge_expired(workspace, SITE, DUE).periods
    assert len(Ledger.open(workspace.ledger).notes(EntryKind.PURGED)) == 2


def test_nothing_due_leaves_no_ledger(workspace: Workspace) -> None:
    keep(workspace)
    purge_expired(workspace, SITE, DUE - HOUR)
    assert not (workspace.home / "ledger.db").exists()


def test_a_key_without_staging_goes_when_its_period_is_due(workspace: Workspace) -> None:
    period_key(workspace, VISITORS, WEEK)
    assert purge_expired(workspace, SITE, DUE - HOUR).periods == ()
    assert purge_expired(workspace, SITE, DUE).periods == ("visitors/2026-W41",)
    assert kept_files(workspace) == []


def test_a_key_goes_with_its_twins_and_drafts(workspace: Workspace) -> None:
    keep(workspace)
    path = workspace.period_key(VISITORS, WEEK)
    os.link(path, path.with_name(f".{path.name}.0a1b2c3d"))
    path.with_name(f".{path.name}.99999999").write_text("half a k")
    purge_expired(workspace, SITE, DUE)
    assert kept_files(workspace) == []


def test_destroying_a_key_overwrites_its_bytes_first(workspace: Workspace) -> None:
    period_key(workspace, VISITORS, WEEK)
    path = workspace.period_key(VISITORS, WEEK)
    with path.open("rb") as held_open:
        assert destroy_key(path) is True
        assert set(held_open.read()) == {0}
    assert destroy_key(path) is False


def test_drafts_of_a_purged_period_go_with_it(workspace: Workspace) -> None:
    keep(workspace)
    staging = workspace.staging(VISITORS, WEEK)
    for name in ("drafts/0a1b2c3d/requests.parquet", "events/b0000-0a1b2c3d0a1b2c3d.parquet"):
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).write_bytes(pseudonym(1).encode())
    purge_expired(workspace, SITE, DUE)
    assert kept_files(workspace) == []
    assert not staging.exists()


def test_a_purge_waits_for_whoever_holds_the_period(workspace: Workspace) -> None:
    keep(workspace)
    with held(workspace, VISITORS, WEEK):
        purging = threading.Thread(target=purge_expired, args=(workspace, SITE, DUE))
        purging.start()
        purging.join(0.3)
        assert purging.is_alive()
        assert load_staging(workspace, VISITORS, WEEK)
    purging.join(20)
    assert kept_files(workspace) == []
    assert not lock_file(workspace, VISITORS, WEEK).exists()


def test_one_period_that_cannot_be_purged_does_not_keep_the_others() -> None:
    with open_folder() as home:
        home.chmod(0o777)
        with without_root():
            refused_then_purged(Workspace(home / "site"))


def refused_then_purged(workspace: Workspace) -> None:
    keep(workspace)
    keep(workspace, Period.parse("2026-09"), CUSTOMERS)
    keys = workspace.home / "keys" / "visitors"
    keys.chmod(0o500)
    with pytest.raises(StagingError, match=r"1 left: visitors/2026-W41 \(Permission denied\)"):
        purge_expired(workspace, SITE, DUE)
    assert not workspace.staging(CUSTOMERS, Period.parse("2026-09")).exists()
    assert workspace.staging(VISITORS, WEEK).exists()  # the key comes first
    keys.chmod(0o700)
    assert purge_expired(workspace, SITE, DUE).periods == ("visitors/2026-W41",)
    notes = Ledger.open(workspace.ledger).notes(EntryKind.PURGED, "staging.visitors")
    assert len(notes) == 1


def packet(workspace: Workspace, name: str, kept_until: str) -> Path:
    folder = workspace.access / name
    folder.mkdir(parents=True)
    (folder / "held.json").write_text(json.dumps({"kept_until": kept_until}))
    (folder / "index.html").write_text("<p>What is held")
    return folder


def test_an_access_packet_goes_after_the_day_that_it_says(workspace: Workspace) -> None:
    due, later = packet(workspace, "R-1", "2027-01-09"), packet(workspace, "R-2", "2027-01-10")
    assert purge_expired(workspace, SITE, DUE - HOUR).packets == 0
    assert purge_expired(workspace, SITE, DUE).packets == 1
    assert (due.exists(), later.exists()) == (False, True)


def test_a_packet_as_it_is_made_is_kept_for_the_declared_days_and_goes_after_the_last(workspace: Workspace) -> None:
    made = dt.datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # the 23rd in Berlin
    asked = SubjectRequest(RequestKind.ACCESS, VISITORS, made, address="8.8.4.7", agent="x", since=made, until=made)
    folder = write_packet(workspace, SITE, "R-12345678", asked, (), made)
    last = dt.datetime(2026, 12, 7, tzinfo=BERLIN)  # 14 days later
    assert purge_expired(workspace, SITE, last + 23 * HOUR).packets == 0
    assert folder.exists()
    assert purge_expired(workspace, SITE, last + 24 * HOUR).packets == 1
    assert not folder.exists()


def test_an_access_packet_that_says_nothing_goes_by_its_age_and_one_in_the_making_stays(workspace: Workspace) -> None:
    broken, making = packet(workspace, "R-1", "no day"), packet(workspace, ".R-2.0a1b2c3d.partial", "2020-01-01")
    made = dt.datetime.now(UTC)
    assert purge_expired(workspace, SITE, made + dt.timedelta(days=13)).packets == 0
    assert purge_expired(workspace, SITE, made + dt.timedelta(days=15)).packets == 1
    assert (broken.exists(), making.exists()) == (False, True)


def test_a_release_that_is_drawn_is_published_after_the_purge(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_home(workspace.home)
    enter(monkeypatch, workspace.home)
    draw_weekly(workspace)
    assert purge_expired(workspace, SITE, DUE).periods
    assert publish_weekly(workspace) == "weekly/2026-W41/r1"


def test_what_was_not_drawn_is_told_that_its_staging_was_purged(workspace: Workspace) -> None:
    ledger = Ledger.open(workspace.ledger)
    keep(workspace)
    require_unpurged(workspace, ledger, VISITORS, WEEK)
    purge_expired(workspace, SITE, DUE)
    with pytest.raises(StagingError, match=r"got staging of visitors in 2026-W41, purged on 20\d\d-"):
        require_unpurged(workspace, ledger, VISITORS, WEEK)
    require_unpurged(workspace, ledger, VISITORS, WEEK.next)  # never there: the ledger does not know why
    keep(workspace)
    require_unpurged(workspace, ledger, VISITORS, WEEK)


# Purges in children that are killed at random moments, until one comes through; prints how many were.
DRIVER = """
import datetime as dt, os, random, signal, sys, time
from pathlib import Path
import alembic.command
from pipeline.privacy.ledger import Ledger
from pipeline.rights.access import write_packet
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.retention import purge_expired
from pipeline.site import load_site
from pipeline.workspace import Workspace

workspace = Workspace(Path(sys.argv[1]))
site, now = load_site(workspace.site_file), dt.datetime.fromisoformat(sys.argv[2])
moments, kills = random.Random(7), 0
Ledger.open(workspace.ledger)
while True:
    child = os.fork()
    if not child:
        purge_expired(workspace, site, now)
        os._exit(0)
    time.sleep(moments.uniform(0.002, 0.05 + 0.01 * kills))  # longer each time, so that one comes through
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] == 0:
        break
    kills += 1
print(kills)
"""


def test_a_purge_that_is_killed_again_and_again_ends_with_every_period_gone_and_noted_once(
    workspace: Workspace,
) -> None:
    periods = [Period.containing(dt.date(2026, 1, 5) + dt.timedelta(days=day), WEEK.kind) for day in range(0, 210, 7)]
    for period in periods:
        keep(workspace, period)
    workspace.site_file.write_text(yaml.safe_dump(site_document()), "utf-8")
    found = subprocess.run(
        [sys.executable, "-c", DRIVER, str(workspace.home), DUE.isoformat()], check=True, capture_output=True, text=True
    )
    print(found.stdout)
    assert int(found.stdout) >= 3, "too few kills met a purge"
    sweep(workspace, DUE)  # the lock of a period whose purge was killed at its very end
    assert kept_files(workspace) == []
    notes = Ledger.open(workspace.ledger).notes(EntryKind.PURGED)
    assert sorted(note.key.period for note in notes) == sorted(map(str, periods))
    Ledger.open(workspace.ledger).entries()


def test_flow_draws_nothing_from_a_purged_period(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    write_home(workspace.home)
    enter(monkeypatch, workspace.home)
    purge_expired(workspace, SITE, DUE)
    with pytest.raises(StagingError, match="purged on"):
        flow.draw("weekly", "2026-W41")
    assert Ledger.open(workspace.ledger).reservations() == ()


def test_the_task_destroys_what_was_due_at_its_instant_and_refuses_one_that_has_not_come(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_home(workspace.home)
    enter(monkeypatch, workspace.home)
    old = Period.parse("2024-W10")
    keep(workspace, old)
    due = due_at(old, 90, BERLIN)
    assert flow_rights.purge_expired((due - HOUR).isoformat()) == "retention"
    assert workspace.staging(VISITORS, old).exists()
    flow_rights.purge_expired(due.isoformat())
    assert not workspace.staging(VISITORS, old).exists()
    tomorrow = dt.datetime.now(UTC) + dt.timedelta(days=1)
    with pytest.raises(ConfigurationError, match="nothing is destroyed before it is due"):
        flow_rights.purge_expired(tomorrow.isoformat())
    with pytest.raises(ConfigurationError, match="with a time zone"):
        flow_rights.purge_expired("2026-11-01T03:30:00")
    assert workspace.staging(VISITORS, WEEK).exists()


def test_the_task_that_sweeps_tells_kinds_and_numbers(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, workspace.home)
    assert flow_rights.sweep_leftovers() == "nothing"
    keep(workspace)
    (workspace.staging(VISITORS, WEEK) / "events" / "b0000-0a1b2c3d0a1b2c3d.parquet").write_bytes(b"left")
    assert flow_rights.sweep_leftovers() == "drafts of staging: 1"
