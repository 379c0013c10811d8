"""What people ask for meets releases under way: who is counted in the noise, and what becomes of who is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import flow, flow_staging
from pipeline.deidentify.locks import held
from pipeline.deidentify.staging import is_checked as has_verdicts
from pipeline.deidentify.staging import load_staging, strays
from pipeline.errors import ChecksFailedError, ConfigurationError, RequestError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease
from pipeline.rights.requests import RequestKind
from pipeline.rights.store import RequestStore, State
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.asking import (
    AMERICANS,
    GERMANS,
    MONTHS,
    RELEASE,
    WEEKS,
    apply,
    ask,
    customer,
    enter,
    files_with,
    people_in,
    pseudonym_of,
    stage_all,
    visitor,
    write_home,
)
from tests.staged import rows_of

ACCESS, CORRECT, ERASE, OPT_OUT = RequestKind.ACCESS, RequestKind.CORRECT, RequestKind.ERASE, RequestKind.OPT_OUT
VISITORS, BUYERS = Population.VISITORS, Population.CUSTOMERS
WEEK = str(WEEKS[0])
KEY = ReleaseKey(RELEASE, WEEK)
# As the release shows them: where nobody is left over, the smallest group is the remainder.
EVERYBODY = {"all": 70, "US": 40, "all other": 30}
WITHOUT_ONE = {"all": 69, "US": 40, "all other": 29}
KILLS, RACES_RUN = 20, 4


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose visitors of the first week are checked, so that a release about them could be drawn."""
    workspace = write_home(tmp_path_factory.mktemp("asked") / "home")
    stage_all(workspace)
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, workspace)
        flow_staging.check_staging("visitors", WEEK)
    return workspace.home


@pytest.fixture
def workspace(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    found = Workspace(shutil.copytree(template, tmp_path / "home"))
    enter(monkeypatch, found)
    return found


def drawn(workspace: Workspace) -> dict[str, int]:
    """People by country in the release, which has so little noise that it has none."""
    content = Ledger.open(workspace.ledger).artefact(KEY)
    assert content is not None
    frame = PrivateRelease.from_bytes(content).tables["by_country"].dropna(subset="value")
    return {str(row["country"]): int(row["value"]) for _, row in frame.iterrows() if row["value"]}


def test_without_any_request_everybody_is_counted(workspace: Workspace) -> None:
    flow.draw(RELEASE, WEEK)
    assert drawn(workspace) == EVERYBODY


def test_who_is_erased_between_extract_and_draw_is_not_in_the_noise_nor_in_any_file(workspace: Workspace) -> None:
    request = visitor(ERASE, GERMANS[0])
    person = pseudonym_of(workspace, request, WEEKS[0])
    assert files_with(workspace.home, person)
    ask(workspace, request)
    flow.draw(RELEASE, WEEK)
    assert drawn(workspace) == WITHOUT_ONE
    assert not files_with(workspace.home, person)


@pytest.mark.parametrize("times", [1, 100])
def test_who_asks_just_before_the_noise_is_recorded_is_not_in_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    recorded, asked = Ledger.record_draw, list[str]()

    def late(ledger: Ledger, *given: Any) -> bytes:
        if len(asked) < times:
            asked.extend(ask(workspace, visitor(ERASE, GERMANS[len(asked)])))
        return recorded(ledger, *given)

    monkeypatch.setattr(Ledger, "record_draw", late)
    if times == 1:
        flow.draw(RELEASE, WEEK)
        assert drawn(workspace) == WITHOUT_ONE
    else:
        with pytest.raises(RequestError, match="new requests at each of 10 attempts"):
            flow.draw(RELEASE, WEEK)
        assert Ledger.open(workspace.ledger).artefact(KEY) is None


def test_who_is_corrected_between_extract_and_draw_counts_as_they_corrected_it(workspace: Workspace) -> None:
    ask(workspace, visitor(CORRECT, GERMANS[0], values={"country": "US"}))
    flow.draw(RELEASE, WEEK)
    assert drawn(workspace) == {"all": 70, "US": 41, "all other": 29}


def test_what_was_drawn_stays_as_it_was_while_staging_obeys(workspace: Workspace) -> None:
    flow.draw(RELEASE, WEEK)
    before = Ledger.open(workspace.ledger).artefact(KEY)
    request = visitor(ERASE, GERMANS[0])
    ask(workspace, request)
    apply(workspace)
    flow.draw(RELEASE, WEEK)
    assert Ledger.open(workspace.ledger).artefact(KEY) == before
    assert pseudonym_of(workspace, request, WEEKS[0]) not in people_in(workspace, VISITORS, WEEKS[0])
    assert drawn(workspace) == EVERYBODY


def test_a_revision_of_what_was_drawn_obeys(workspace: Workspace) -> None:
    flow.draw(RELEASE, WEEK)
    ask(workspace, visitor(OPT_OUT, GERMANS[0], until=None))
    assert flow.draw(RELEASE, WEEK, revise="somebody opted out") == f"{RELEASE}/{WEEK}/r2"
    content = Ledger.open(workspace.ledger).artefact(ReleaseKey(RELEASE, WEEK, 2))
    assert content is not None
    assert PrivateRelease.from_bytes(content).tables["by_country"]["value"].max() == 69


def test_an_opt_out_is_obeyed_by_the_next_extract(workspace: Workspace) -> None:
    ask(workspace, visitor(OPT_OUT, GERMANS[0], until=None))
    apply(workspace)
    flow_staging.stage("visitors", WEEK)
    flow_staging.check_staging("visitors", WEEK)
    flow.draw(RELEASE, WEEK)
    assert drawn(workspace) == WITHOUT_ONE


def test_where_everybody_asked_to_be_erased_the_checks_fail_and_nothing_is_spent(workspace: Workspace) -> None:
    ask(workspace, *[visitor(ERASE, address) for address in (*AMERICANS, *GERMANS)])
    with pytest.raises(ChecksFailedError):
        flow.draw(RELEASE, WEEK)
    assert not Ledger.open(workspace.ledger).reservations()
    assert not people_in(workspace, VISITORS, WEEKS[0])


def test_without_the_periods_key_nothing_is_drawn_nor_spent_and_no_key_is_made(workspace: Workspace) -> None:
    key = workspace.period_key(VISITORS, WEEKS[0])
    key.unlink()
    with pytest.raises(ConfigurationError, match="must be there"):
        flow.draw(RELEASE, WEEK)
    ask(workspace, visitor(ERASE, GERMANS[0]))
    with pytest.raises(RequestError, match=f"visitors of {WEEK}"):
        flow.draw(RELEASE, WEEK)
    assert not key.exists()
    assert not Ledger.open(workspace.ledger).reservations()


def test_without_the_key_of_requests_nothing_is_drawn_nor_spent(workspace: Workspace) -> None:
    ask(workspace, visitor(ERASE, GERMANS[0]))
    workspace.subject_key.unlink()
    with pytest.raises(ConfigurationError, match="key"):
        flow.draw(RELEASE, WEEK)
    assert not Ledger.open(workspace.ledger).reservations()


def test_a_request_of_the_other_population_that_waits_keeps_no_release(workspace: Workspace) -> None:
    workspace.period_key(BUYERS, MONTHS[0]).unlink()
    ask(workspace, customer(ERASE, 7))
    flow.draw(RELEASE, WEEK)
    assert drawn(workspace) == EVERYBODY


# A process of its own that draws; it says so when it begins.
DRAW = f"""
from pipeline import flow
from pipeline.people import bounding
from pipeline.release import draw
from pipeline.rights import applying
import great_expectations
print("begins", flush=True)
flow.draw({RELEASE!r}, {WEEK!r})
"""


@pytest.fixture
def drawing(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A process that is about to draw."""
    process = subprocess.Popen([sys.executable, "-c", DRAW], env={**os.environ}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process
    process.kill()
    process.wait()


def waits_for_a_lock(process: subprocess.Popen[str]) -> bool:
    """Whether a process waits for somebody else's lock."""
    lines = Path("/proc/locks").read_text("ascii").splitlines()
    return any(fields[1] == "->" and fields[5] == str(process.pid) for line in lines if (fields := line.split()))


def test_who_asks_while_a_draw_waits_for_the_periods_lock_is_not_in_it(
    workspace: Workspace, drawing: subprocess.Popen[str]
) -> None:
    with held(workspace, VISITORS, WEEKS[0]):
        assert drawing.stdout is not None
        assert drawing.stdout.readline() == "begins\n"
        deadline = time.monotonic() + 60
        while not waits_for_a_lock(drawing):  # it found no request
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ask(workspace, visitor(ERASE, GERMANS[0]))
    assert drawing.wait(60) == 0
    assert drawn(workspace) == WITHOUT_ONE
    kinds = [entry.kind for entry in Ledger.open(workspace.ledger).entries()]
    assert kinds == [EntryKind.RESERVED, EntryKind.OBEYED, EntryKind.DRAWN]


# Homes are drawn from, or asked to apply, over and over in forked processes of one interpreter, which has imported
# everything: moments are drawn uniformly from the time that the whole takes.
DRIVER = """
import datetime as dt, json, os, random, shutil, signal, sys, time
import great_expectations, sqlalchemy.dialects.sqlite.pysqlite
from pathlib import Path
from pipeline import flow
from pipeline.people import bounding
from pipeline.release import draw
from pipeline.rights import applying
from pipeline.site import load_site
from pipeline.validation import staging
from pipeline.workspace import Workspace

template, folder, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
moments = random.Random(7)

def apply():
    workspace = Workspace.from_environment()
    applying.apply_requests(workspace, load_site(workspace.site_file), dt.datetime.now(dt.UTC))

def begin(act):
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return child

def end(child):
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status

def whole(act):
    begun = time.monotonic()
    assert end(begin(act)) == 0
    return time.monotonic() - begun

def enter(name):
    os.environ["DEMOGRAPHICS_HOME"] = str(shutil.copytree(template, folder / name))

def pause(seconds):
    time.sleep(moments.uniform(0, seconds))
"""
KILLED = """
# Three of four homes were never checked: to check again takes most of the time.
def enter_killed(name, checked):
    enter(name)
    if not checked:
        (Path(os.environ["DEMOGRAPHICS_HOME"]) / "staging" / "visitors" / "2026-W41" / "checks.json").unlink()

enter("whole")
took = {True: whole(apply)}
enter_killed("unchecked", False)
took[False] = whole(apply)
killed = tried = 0
while killed < times and tried < 4 * times:
    checked = tried % 4 == 0
    enter_killed(f"killed{tried}", checked)
    child = begin(apply)
    pause(took[checked])
    os.kill(child, signal.SIGKILL)
    killed += end(child) != 0
    tried += 1
    whole(apply)
print(json.dumps({"killed": killed, "seconds": list(took.values())}))
"""


def driven(template: Path, folder: Path, times: int, script: str) -> dict[str, Any]:
    command = [sys.executable, "-c", DRIVER + script, str(template), str(folder), str(times)]
    output = subprocess.run(command, capture_output=True, timeout=600, check=False, env={**os.environ})
    assert output.returncode == 0, output.stderr.decode()
    found: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    return found


def end_state(workspace: Workspace, asked: list[str]) -> dict[str, Any]:
    """Everything that must be the same, however often somebody was killed on the way."""
    held = [load_staging(workspace, *one) for one in ((VISITORS, WEEKS[0]), (BUYERS, MONTHS[0]))]
    tables = [{name: rows_of(staging.table(name)) for name in staging.manifest.files} for staging in held]
    manifests = [staging.manifest.sources for staging in held]
    left = [name for staging in held for name in strays(staging.place, staging.place.names())]
    told = {one: json.loads((workspace.access / one / "held.json").read_bytes())["held"] for one in asked}
    states = {row.id: (row.state, row.sealed) for row in RequestStore.open(workspace).rows()}
    return {"tables": tables, "manifests": manifests, "left": left, "told": told, "states": states}


def is_checked(home: Path) -> bool:
    return has_verdicts(load_staging(Workspace(home), VISITORS, WEEKS[0]))


def test_after_twenty_kills_all_that_was_asked_for_is_in_force_as_if_nobody_was_killed(
    workspace: Workspace, tmp_path: Path
) -> None:
    asked = ask(workspace, visitor(ACCESS, GERMANS[0]), customer(ACCESS, 7), customer(ACCESS, 8, by_email=True))
    erased = [visitor(ERASE, GERMANS[0]), customer(ERASE, 7), customer(OPT_OUT, 8, by_email=True)]
    corrected = [visitor(CORRECT, GERMANS[1], values={"country": "US"}), customer(CORRECT, 9, values={"country": "AT"})]
    ids = asked + ask(workspace, *erased, *corrected)
    people = [pseudonym_of(workspace, erased[0], WEEKS[0])]
    people += [pseudonym_of(workspace, customer(ERASE, number), MONTHS[0]) for number in (7, 8)]
    for population, period in ((VISITORS, WEEKS[1]), (BUYERS, MONTHS[1])):  # one of each is enough
        shutil.rmtree(workspace.staging(population, period))
    assert all(files_with(workspace.home, person) for person in people)
    told = driven(workspace.home, tmp_path, KILLS, KILLED)
    print(told)  # pytest -s shows how long the whole took
    assert told["killed"] == KILLS
    whole = end_state(Workspace(tmp_path / "whole"), asked)
    assert whole["left"] == []
    assert {len(one) for one in whole["told"].values()} == {1}
    assert whole["states"] == dict.fromkeys(ids, (State.APPLIED, None))
    assert is_checked(tmp_path / "whole")
    for home in tmp_path.glob("killed*"):
        assert end_state(Workspace(home), asked) == whole
        assert is_checked(home) is (int(home.name.removeprefix("killed")) % 4 == 0)
        assert not [path for person in people for path in files_with(home, person)]
        notes = Ledger.open(Workspace(home).ledger).notes(EntryKind.OBEYED)
        assert {one for note in notes for one in note.payload["requests"]} == set(ids)


RACES = """
enter("whole")
seconds = whole(lambda: flow.draw("weekly", "{week}"))
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.store import Origin, RequestStore
from pipeline.vocabulary import Population
now = dt.datetime.now(dt.UTC)
since = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
named = dict(address={address!r}, agent={agent!r}, since=since, until=now)
request = SubjectRequest(RequestKind.ERASE, Population.VISITORS, now, **named)
for number in range(times):
    enter(f"race{{number}}")
    child = begin(lambda: flow.draw("weekly", "{week}"))
    pause(seconds)
    RequestStore.open(Workspace.from_environment()).receive(request, Origin.COMMAND_LINE)
    other = begin(apply)
    assert (end(child), end(other)) == (0, 0)
print(json.dumps({{"seconds": seconds}}))
"""


def test_who_asks_while_a_release_is_drawn_is_not_in_it_unless_it_was_drawn_before(
    template: Path, workspace: Workspace, tmp_path: Path
) -> None:
    request = visitor(ERASE, GERMANS[0])
    script = RACES.format(week=WEEK, address=request.address, agent=request.agent)
    driven(template, tmp_path, RACES_RUN, script)
    races = sorted(tmp_path.glob("race*"))
    assert len(races) == RACES_RUN
    for home in races:
        numbers = {entry.kind: entry.number for entry in Ledger.open(home / "ledger.db").entries()}
        assert set(numbers) == {EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.OBEYED}
        before = numbers[EntryKind.DRAWN] < numbers[EntryKind.OBEYED]
        assert drawn(Workspace(home)) == (EVERYBODY if before else WITHOUT_ONE)
        assert not files_with(home, pseudonym_of(workspace, request, WEEKS[0]))
