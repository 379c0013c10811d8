"""Killing the export at any moment and running it again gives one release, drawn once, paid once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from pipeline import flow, flow_staging
from pipeline.errors import NotApprovedError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication.verify import verify_bundle
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests import postgresql
from tests.builders import specification_document

RELEASE, PERIOD = "weekly", "2026-W41"
KEY = ReleaseKey(RELEASE, PERIOD)
KILLS_ON_SQLITE, KILLS_ON_POSTGRESQL = 200, 40
DRIVERS = 2  # each keeps one core busy

# Runs in an interpreter of its own: it imports everything, so that the moments of the kills fall into work and not into
# imports, and forks before any library has started threads. Homes are exported over and over, each time killed at a
# moment that is drawn uniformly from the time a whole export takes, until one came through before its kill.
#
# Of twenty homes, nineteen record verdicts that the checks gave on another home, and leave out those of people and of
# bundles: the checks and their pages take most of the time of an export, and leave one entry.
DRIVER = """
import json, os, random, shutil, signal, sys, time
import alembic.command, altair, diffprivlib.mechanisms, great_expectations, narwhals, opendp.prelude, vl_convert
import sqlalchemy as sa
import sqlalchemy.dialects.postgresql.psycopg
from pathlib import Path
from pipeline import flow
from pipeline.people import bounding
from pipeline.privacy.accountant import Charge, compose
from pipeline.privacy.ledger import Ledger
from pipeline.publication import budget_chart, bundle, report
from pipeline.release import draw
from pipeline.validation import people, release
from pipeline.validation.verdicts import Verdicts
import pipeline.validation.bundle
from pipeline.workspace import Workspace
from pipeline.local.reviewing import scripted_reviewer
from pipeline.review.decisions import Register

template, folder, server, seed, *kills = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:7])
moments = random.Random(seed)
compose([Charge(counts={"1": 1}, pure={"1": 1}, delta=1e-9)], 1e-6)

def ledger():
    return Ledger.open(Workspace.from_environment().ledger)

def export(verdicts):
    if verdicts:
        people.check_people = lambda *_: Verdicts.from_bytes(verdicts)
        bundle._inspect = lambda *_: None
    flow.draw("weekly", "2026-W41")
    if verdicts:
        ledger().record_checks(flow.standing("weekly", "2026-W41"), verdicts, passed=True)
    else:
        flow.validate("weekly", "2026-W41")
    if flow.waiting():
        workspace = Workspace.from_environment()
        key = flow.standing("weekly", "2026-W41")
        Register.of(workspace).approve(key, scripted_reviewer(workspace), "the test approves")
    flow.publish("weekly", "2026-W41")

def attempt(verdicts, seconds):
    # How long it took, and whether it was killed after so many seconds.
    begun, child = time.monotonic(), os.fork()
    if not child:
        code = 1
        try:
            export(verdicts)
            code = 0
        finally:
            os._exit(code)
    while True:
        took = time.monotonic() - begun
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, "an export that nobody killed failed"
            return took, False
        if took > seconds:
            os.kill(child, signal.SIGKILL)
            return took, os.waitpid(child, 0)[1] == signal.SIGKILL
        time.sleep(0.001)

def enter(name, on_server):
    home = folder / name
    shutil.copytree(template, home)
    os.environ["DEMOGRAPHICS_HOME"] = str(home)
    os.environ["DEMOGRAPHICS_LEDGER"] = ""
    if on_server:
        engine = sa.create_engine(server, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(f"{folder.name}_{name}"))
        address = sa.make_url(server).update_query_dict({"options": f"-csearch_path={folder.name}_{name}"})
        os.environ["DEMOGRAPHICS_LEDGER"] = address.render_as_string(hide_password=False)

whole = {}
enter("first", False)
whole["full"], _ = attempt(b"", 600)
verdicts = ledger().checks(flow.standing("weekly", "2026-W41"))
enter("second", False)
whole["short"], _ = attempt(verdicts, 600)

def kill_homes(ledgers, wanted):
    killed = tried = 0
    for number in range(wanted):
        if killed == wanted:
            break
        enter(f"{ledgers}{number}", ledgers == "postgresql")
        kind, given = ("full", b"") if number % 20 == 2 else ("short", verdicts)
        for again in range(8):
            took, met = attempt(given, moments.uniform(0, whole[kind]))
            killed, tried = killed + met, tried + 1
            if not met and not again:
                whole[kind] = took  # the machine has more time for us now
            if not met or killed == wanted:
                break
        attempt(given, 600)
    return {"killed": killed, "tried": tried}

print(json.dumps({**whole, "sqlite": kill_homes("sqlite", kills[0]), "postgresql": kill_homes("postgresql", kills[1])}))
"""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one specification, of a release so strict that it shows nobody: drawing charts would take half of
    the time of an export, and leaves nothing of its own."""
    folder: Path = tmp_path_factory.mktemp("releases")
    document = specification_document(
        privacy={"epsilon": 1, "delta": 1e-7, "k": 100_000},
        tables=[{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
        audiences={"partner": ["by_country"], "reseller": ["by_country"]},
    )
    (folder / f"{RELEASE}.yaml").write_text(yaml.safe_dump(document), "utf-8")
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Path:
    """A home with staging of a week, checked, and nothing reserved."""
    home: Path = tmp_path_factory.mktemp("home")
    write_sample(home, lines=20_000, visitors=4_000, customers=1_000)
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, home, releases)
        flow_staging.stage("visitors", PERIOD)
        flow_staging.check_staging("visitors", PERIOD)
    return home


def enter(patch: pytest.MonkeyPatch, home: Path, releases: Path, address: str = "") -> None:
    patch.setenv(HOME_VARIABLE, str(home))
    patch.setenv(RELEASES_VARIABLE, str(releases))
    patch.setenv(LEDGER_VARIABLE, address)


@pytest.fixture(scope="module")
def killed(template: Path, releases: Path, tmp_path_factory: pytest.TempPathFactory, postgresql_server: sa.URL) -> Path:
    """A folder of homes that were exported in processes killed at random moments, and then each once to the end."""
    folder: Path = tmp_path_factory.mktemp("killed")
    server = postgresql_server.render_as_string(hide_password=False)
    kills = [str(number // DRIVERS) for number in (KILLS_ON_SQLITE, KILLS_ON_POSTGRESQL)]
    environment = {**os.environ, RELEASES_VARIABLE: str(releases)}
    drivers = []
    for number in range(DRIVERS):
        place = folder / f"driver{number}"
        place.mkdir()
        command = [sys.executable, "-c", DRIVER, str(template), str(place), server, str(41 + number), *kills]
        drivers.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    found = [(driver, *driver.communicate(timeout=1200)) for driver in drivers]
    for driver, _, errors in found:
        assert driver.returncode == 0, errors.decode()
    told: list[dict[str, Any]] = [json.loads(output.splitlines()[-1]) for _, output, _ in found]
    print(told)  # pytest -s shows how many kills it took
    for ledgers, wanted in (("sqlite", KILLS_ON_SQLITE), ("postgresql", KILLS_ON_POSTGRESQL)):
        met = sum(one[ledgers]["killed"] for one in told)
        assert met == wanted, f"too few kills met a running export: {told}"
    return folder


def published(workspace: Workspace) -> dict[str, str]:
    folder = workspace.published
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_one_release(workspace: Workspace) -> None:
    """One draw, one charge, one approval, complete bundles of it, an unbroken chain, and nothing half done about."""
    ledger = Ledger.open(workspace.ledger)
    kinds = [entry.kind for entry in ledger.entries()]
    for once in (EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.APPROVED, EntryKind.PUBLISHED):
        assert kinds.count(once) == 1
    assert ledger.state(KEY) is EntryKind.PUBLISHED
    drawn = hashlib.sha256(ledger.artefact(KEY) or b"").hexdigest()
    for audience in (Audience.PARTNER, Audience.RESELLER):
        folder = workspace.bundle(audience, RELEASE, PERIOD, 1)
        verify_bundle(folder)
        assert json.loads((folder / "manifest.json").read_bytes())["provenance"]["artefact_sha256"] == drawn
    assert not [path for path in workspace.home.rglob(".*") if path.is_dir() and path.parts[-2] != "data_docs"]


def test_after_200_kills_each_release_was_drawn_once_and_paid_once(
    killed: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = sorted(killed.glob("driver*/sqlite*"))
    for home in homes:
        enter(monkeypatch, home, releases)
        assert_one_release(Workspace(home))
    before = published(Workspace(homes[-1]))
    flow.draw(RELEASE, PERIOD)
    flow.publish(RELEASE, PERIOD)
    assert published(Workspace(homes[-1])) == before


def test_after_kills_a_ledger_in_postgresql_holds_each_release_once_too(
    killed: Path, releases: Path, monkeypatch: pytest.MonkeyPatch, postgresql_server: sa.URL
) -> None:
    for home in killed.glob("driver*/postgresql*"):
        enter(monkeypatch, home, releases, postgresql.in_schema(postgresql_server, f"{home.parent.name}_{home.name}"))
        assert_one_release(Workspace(home))
        assert not (home / "ledger.db").exists()


def test_without_an_approval_nothing_is_published(
    template: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, template, releases)
    flow.draw(RELEASE, PERIOD)
    flow.validate(RELEASE, PERIOD)
    with pytest.raises(NotApprovedError, match="must approve"):
        flow.publish(RELEASE, PERIOD)
    assert not Workspace(template).published.exists()
