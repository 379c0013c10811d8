"""What killed runs leave behind is swept, and nothing that is used or published."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from pipeline.deidentify.locks import held, lock_file
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.publication import files
from pipeline.rights.sweeping import leftovers, sweep
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import pseudonym, write_visitors
from tests.privileges import open_folder, without_root
from tests.staged import contents
from tests.unit.rights.homes import write_home

WEEK, VISITORS = Period.parse("2026-W41"), Population.VISITORS
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
NOBODY = 2**22 + 1  # more than any number of a process that Linux gives


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def write_staging(folder: Path) -> Path:
    write_visitors(folder, pd.DataFrame({"person": [pseudonym(1)]}))
    return folder


def draft_of_staging(workspace: Workspace) -> Path:
    """Beside staging that is whole."""
    write_staging(workspace.staging(VISITORS, WEEK))
    return put(workspace.staging(VISITORS, WEEK) / "drafts" / "0a1b2c3d" / "requests.parquet")


def put(path: Path, content: bytes = b"left") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_draft_of_staging_that_nobody_writes_is_swept_at_once_and_staging_stays(workspace: Workspace) -> None:
    draft = draft_of_staging(workspace)
    assert sweep(workspace, dt.datetime.now(dt.UTC)).removed == {"drafts of staging": 1}
    assert not draft.exists()
    assert load_staging(workspace, VISITORS, WEEK)


def test_a_draft_of_staging_whose_lock_is_held_stays_however_old_it_is(workspace: Workspace) -> None:
    draft = draft_of_staging(workspace)
    with held(workspace, VISITORS, WEEK):
        assert not sweep(workspace, LATER).removed
    assert draft.exists()


def test_half_of_staging_goes_with_the_lock_that_named_its_period(workspace: Workspace) -> None:
    put(workspace.staging(VISITORS, WEEK) / "events" / "b0000-0a1b2c3d0a1b2c3d.parquet")
    with held(workspace, VISITORS, WEEK):
        pass
    assert sweep(workspace, LATER).removed == {"drafts of staging": 1}
    assert not lock_file(workspace, VISITORS, WEEK).exists()
    assert not workspace.staging(VISITORS, WEEK).exists()


def test_the_lock_of_a_period_that_nobody_holds_and_that_has_no_staging_goes(workspace: Workspace) -> None:
    with held(workspace, VISITORS, WEEK):
        assert not sweep(workspace, LATER).removed
        assert lock_file(workspace, VISITORS, WEEK).exists()
    sweep(workspace, LATER)
    assert not lock_file(workspace, VISITORS, WEEK).exists()
    write_staging(workspace.staging(VISITORS, WEEK))
    with held(workspace, VISITORS, WEEK):
        pass
    sweep(workspace, LATER)
    assert lock_file(workspace, VISITORS, WEEK).exists()


def test_a_change_of_staging_that_was_not_decided_is_undone_and_verdicts_on_what_it_was_stay(
    workspace: Workspace,
) -> None:
    staging = write_staging(workspace.staging(VISITORS, WEEK))
    put(staging / "checks.json", b"[]")
    before = contents(staging)
    put(staging / "events" / "b0000-0a1b2c3d0a1b2c3d.parquet")
    put(staging / ".manifest.json.partial")
    assert sweep(workspace, LATER).removed == {"drafts of staging": 2}
    assert contents(staging) == before


def test_spilled_rows_of_a_living_process_stay_and_those_of_a_dead_one_go(workspace: Workspace) -> None:
    spill = workspace.home / "spill"
    own, dead = spill / f".spill-{os.getpid()}-abcdefgh", spill / f".spill-{NOBODY}-abcdefgh"
    put(own / "rows.tmp")
    put(dead / "rows.tmp")
    assert not sweep(workspace, dt.datetime.now(dt.UTC)).removed  # it may be of a process in another container
    assert sweep(workspace, LATER).removed == {"spilled rows": 1}
    assert (own.exists(), dead.exists()) == (True, False)


def test_spilled_rows_go_although_their_process_number_has_another_process_now(workspace: Workspace) -> None:
    old = workspace.home / "spill" / f".spill-{os.getpid()}-abcdefgh"
    put(old / "rows.tmp")
    for path in (old / "rows.tmp", old):
        os.utime(path, (1_700_000_000, 1_700_000_000))  # years before this process began
    assert sweep(workspace, LATER).removed == {"spilled rows": 1}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("drafts of keys", "keys/visitors/.2026-W41.key.0a1b2c3d"),
        ("drafts of keys", "keys/.subjects.key.0a1b2c3d"),
        ("drafts of keys", "keys/signing/.minisign.key.0a1b2c3d"),
        ("drafts of keys", "keys/signing/.minisign.pub.0a1b2c3d.partial"),
        ("drafts of staging", "staging/visitors/..2026-W41.purging.0a1b2c3d.partial"),
        ("other drafts", "reports/weekly/2026-W41/r1/.report.html.0a1b2c3d.partial"),
        ("other drafts", "reports/periodic/2026-11/.report.json.0a1b2c3d.partial"),
        ("other drafts", "access/.R-12345678.0a1b2c3d.partial/held.json"),
        ("other drafts", ".sources.draft/logs/access.log"),
        ("other drafts", ".site.yaml.draft"),
        ("other drafts", ".policy.yaml.draft"),
        ("other drafts", ".first-site-abcd1234/site.yaml"),
    ],
)
def test_a_draft_of_a_moment_stays_for_an_hour_and_goes_then(workspace: Workspace, kind: str, name: str) -> None:
    path = put(workspace.home / name)
    assert not sweep(workspace, dt.datetime.now(dt.UTC)).removed
    assert path.exists()
    assert [left.kind for left in leftovers(workspace, LATER, dt.timedelta(hours=1))] == [kind]
    assert sweep(workspace, LATER).removed == {kind: 1}
    assert not path.exists()


def test_a_second_name_of_a_key_goes_and_the_key_stays(workspace: Workspace) -> None:
    key = period_key(workspace, VISITORS, WEEK)
    path = workspace.period_key(VISITORS, WEEK)
    os.link(path, path.with_name(f".{path.name}.0a1b2c3d"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert sweep(workspace, LATER).removed == {"drafts of keys": 1}
    assert period_key(workspace, VISITORS, WEEK, make=False) == key


def test_a_draft_of_a_bundle_goes_when_nobody_publishes(workspace: Workspace) -> None:
    period = workspace.published / "partner" / "weekly" / "2026-W41"
    draft, bundle = put(period / ".r2.partial" / "manifest.json"), put(period / "r1" / "manifest.json")
    with files.exclusive(workspace.published):
        sweeping = threading.Thread(target=sweep, args=(workspace, LATER))
        sweeping.start()
        sweeping.join(0.3)
        assert draft.exists()  # somebody publishes, it may be theirs
    sweeping.join(20)
    assert (draft.parent.exists(), bundle.exists()) == (False, True)


def test_a_site_where_nothing_was_published_gets_no_folder_for_it(workspace: Workspace) -> None:
    assert str(sweep(workspace, LATER)) == "nothing"
    assert list(workspace.home.iterdir()) == []


def test_the_only_sources_of_a_sample_are_not_swept(workspace: Workspace) -> None:
    old = put(workspace.home / ".sources.old" / "logs" / "access.log")
    assert not sweep(workspace, LATER).removed
    put(workspace.home / "sources" / "logs" / "access.log")
    assert sweep(workspace, LATER).removed == {"other drafts": 1}
    assert not old.exists()


def test_what_people_and_programs_keep_is_no_leftover(workspace: Workspace) -> None:
    names = (
        "inbox/requests.csv", "access/R-12345678/held.json", "published/.lock", "published/minisign.pub",
        "published/partner/weekly/latest.json", "reports/requests/report.html", "keys/subjects.key", "site.yaml",
        "staging/visitors/.2026-W41.purging", ".subject_requests.lock", "sources/access.log", ".env",
    )  # fmt: skip
    for name in names:
        put(workspace.home / name)
    assert not sweep(workspace, LATER).removed
    assert all((workspace.home / name).exists() for name in names)


def test_what_cannot_be_removed_is_told_after_everything_else_was_removed() -> None:
    with open_folder() as home:
        home.chmod(0o777)
        with without_root():
            workspace = Workspace(home)
            stuck, other = put(home / "keys" / ".a.key.0a1b2c3d"), put(home / ".site.yaml.draft")
            stuck.parent.chmod(0o500)
            with pytest.raises(StagingError, match=r"removable, got keys/\.a\.key\.0a1b2c3d"):
                sweep(workspace, LATER)
            assert (stuck.exists(), other.exists()) == (True, False)
            stuck.parent.chmod(0o700)


# Runs of the program's stages in children that are killed at random moments; then what they left is listed and swept.
DRIVER = """
import datetime as dt, json, os, random, shutil, signal, sys, time
from pathlib import Path
import alembic.command
from pipeline import flow, flow_staging
from pipeline.deidentify import visitors
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging, place_of, read_checks, strays
from pipeline.people import bounding
from pipeline.periods import Period
from pipeline.privacy.accountant import Charge, compose
from pipeline.privacy.ledger import Ledger
from pipeline.publication import budget_chart, bundle, report
import pipeline.validation.bundle
import pipeline.validation.people
from pipeline.local.reviewing import scripted_reviewer
from pipeline.release import draw
from pipeline.review.decisions import Register
from pipeline.rights import applying
from pipeline.rights.sweeping import leftovers, sweep
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

template, folder, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
key, moments, found = ReleaseKey("weekly", "2026-W41"), random.Random(11), {}
checks = read_checks(load_staging(Workspace(template), Population.VISITORS, Period.parse("2026-W41")))
compose([Charge(counts={"1": 1}, pure={"1": 1}, delta=1e-9)], 1e-6)

def release(workspace):
    flow.draw("weekly", "2026-W41")
    Ledger.open(workspace.ledger).record_checks(key, checks, passed=True)
    Register.of(workspace).approve(key, scripted_reviewer(workspace), "fine")
    flow.publish("weekly", "2026-W41")

def make_keys(workspace):
    for number in range(10, 60):
        period_key(workspace, Population.CUSTOMERS, Period.parse(f"20{number}-10"))

RUNS = {
    "stage": lambda workspace: flow_staging.stage("visitors", "2026-W41"),
    "release": release,
    "keys": make_keys,
    "sample": lambda workspace: write_sample(workspace.home, lines=3000, visitors=100, customers=20),
}

def hidden(home):
    # What begins with a dot, and what lies in the place of staging and is no part of it.
    place = place_of(Workspace(home), Population.VISITORS, Period.parse("2026-W41"))
    beside = {f"staging/visitors/2026-W41/{name}" for name in strays(place, place.names())}
    return beside | {str(path.relative_to(home)) for path in home.rglob(".*") if not path.name.endswith(".lock")}

def attempt(name, home, seconds):
    # How long it took, and whether it was killed after so many seconds.
    home.mkdir() if name == "sample" else shutil.copytree(template, home)
    os.environ.update(DEMOGRAPHICS_HOME=str(home), DEMOGRAPHICS_RELEASES=str(home / "releases"), DEMOGRAPHICS_LEDGER="")
    begun, child = time.monotonic(), os.fork()
    if not child:
        code = 1
        try:
            RUNS[name](Workspace(home))
            code = 0
        finally:
            os._exit(code)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - begun > seconds:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.001)
    assert ended[1] in (0, signal.SIGKILL), "a run that nobody killed failed"
    return time.monotonic() - begun, ended[1] != 0

killed, later = 0, dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
whole = {name: attempt(name, folder / name, 60)[0] for name in RUNS}
for number in range(kills):
    name, home = list(RUNS)[number % len(RUNS)], folder / str(number)
    took, met = attempt(name, home, moments.uniform(0.1, 1) * whole[name])
    killed += met
    if not met:
        whole[name] = took  # the machine has more time for us now
    left = hidden(home)
    listed = [str(one.path) for one in leftovers(Workspace(home), later, dt.timedelta(hours=1))]
    for one in left:
        inside = any(str(home / one) == path or str(home / one).startswith(path + "/") for path in listed)
        assert inside, f"a leftover that is not listed: {one}"
    found[name] = found.get(name, 0) + len(left)
    sweep(Workspace(home), later)
    assert not hidden(home), f"not swept: {hidden(home)}"
print(json.dumps({"killed": killed, "left": found}))
"""


def test_everything_that_killed_runs_leave_is_listed_and_swept(tmp_path: Path) -> None:
    template = tmp_path / "template"
    write_home(template)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
    line = '8.8.4.{} - - [06/Oct/2026:10:00:00 +0000] "GET /docs/ HTTP/1.1" 200 512 "-" "' + agent + '"\n'
    (template / "access.log").write_text("".join(line.format(number % 200 + 1) for number in range(20_000)), "utf-8")
    found = subprocess.run(
        [sys.executable, "-c", DRIVER, str(template), str(tmp_path), "24"], check=False, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout.splitlines()[-1])
    print(told)  # pytest -s shows what was left
    assert told["killed"] >= 12
    assert sum(told["left"].values()) >= 3
