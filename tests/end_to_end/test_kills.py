"""Killing the export at any moment and running it again gives one release, drawn once, paid once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import flow
from pipeline.errors import NotApprovedError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication.verify import verify_bundle
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace

RELEASES = Path(__file__).parents[2] / "dags" / "releases"
RELEASE, PERIOD = "weekly_audience", "2026-W41"
KEY = ReleaseKey(RELEASE, PERIOD)
KILLS = 20


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    write_sample(tmp_path, lines=20_000, visitors=4_000, customers=1_000)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(RELEASES_VARIABLE, str(RELEASES))
    flow.stage("visitors", PERIOD)
    flow.check_staging("visitors", PERIOD)
    return Workspace(tmp_path)


# Runs in an interpreter of its own: it imports everything, so that the moments of the kills fall into work and not into
# imports, and forks before any library has started threads.
KILLER = f"""
import multiprocessing, os, random, signal, sys
import great_expectations
from pipeline import flow
from pipeline.deidentify import customers, visitors
from pipeline.people import bounding
from pipeline.publication import bundle, report
from pipeline.release import draw
from pipeline.validation import release

def export():
    flow.draw("{RELEASE}", "{PERIOD}")
    flow.validate("{RELEASE}", "{PERIOD}")
    if ("{RELEASE}", "{PERIOD}") in flow.waiting():
        flow.approve("{RELEASE}", "{PERIOD}", "test", "the test approves")
    flow.publish("{RELEASE}", "{PERIOD}")

context, moments, killed = multiprocessing.get_context("fork"), random.Random(41), 0
for _ in range({KILLS}):
    child = context.Process(target=export)
    child.start()
    child.join(moments.uniform(0.02, 2.5))
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
        killed += 1
    child.join()
export()
print(killed)
"""


def killed_exports() -> int:
    """Export in processes that are killed at random moments, then once to the end; how many were killed."""
    done = subprocess.run([sys.executable, "-c", KILLER], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def published(workspace: Workspace) -> dict[str, str]:
    folder = workspace.published
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_after_any_number_of_kills_there_is_one_release_drawn_once_and_paid_once(workspace: Workspace) -> None:
    assert killed_exports() >= KILLS // 3, "too few of the kills met a running export to mean anything"
    ledger = Ledger.open(workspace.ledger)
    kinds = [entry.kind for entry in ledger.entries(KEY)]
    for once in (EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.APPROVED, EntryKind.PUBLISHED):
        assert kinds.count(once) == 1
    for audience in Audience:
        verify_bundle(workspace.bundle(audience, RELEASE, PERIOD, 1))
    before = published(workspace)
    flow.draw(RELEASE, PERIOD)
    flow.publish(RELEASE, PERIOD)
    assert published(workspace) == before
    assert not [path for path in workspace.home.rglob(".*") if path.is_dir() and path.parts[-2] != "data_docs"]


def test_without_an_approval_nothing_is_published(workspace: Workspace) -> None:
    flow.draw(RELEASE, PERIOD)
    flow.validate(RELEASE, PERIOD)
    with pytest.raises(NotApprovedError, match="must approve"):
        flow.publish(RELEASE, PERIOD)
    assert not workspace.published.exists()
