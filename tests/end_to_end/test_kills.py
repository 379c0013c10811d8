"""Killing the export at any moment and running it again gives one release, drawn once, paid once."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
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
KILLS = 25


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    write_sample(tmp_path, lines=20_000, visitors=4_000, customers=1_000)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(RELEASES_VARIABLE, str(RELEASES))
    flow.stage("visitors", PERIOD)
    flow.check_staging("visitors", PERIOD)
    return Workspace(tmp_path)


def export() -> None:
    """What the tasks of the export do, the reviewer's part included."""
    flow.draw(RELEASE, PERIOD)
    flow.validate(RELEASE, PERIOD)
    if (RELEASE, PERIOD) in flow.waiting():
        flow.approve(RELEASE, PERIOD, "test", "the test approves")
    flow.publish(RELEASE, PERIOD)


def killed_exports(seconds: Iterator[float]) -> int:
    """Run the export in processes of its own, each killed after so many seconds; how many were killed."""
    context = multiprocessing.get_context("fork")  # everything is imported here: moments fall into work, not imports
    killed = 0
    for patience in seconds:
        process = context.Process(target=export)
        process.start()
        process.join(patience)
        if process.is_alive():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join()
    return killed


def published(workspace: Workspace) -> dict[str, str]:
    folder = workspace.published
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_after_any_number_of_kills_there_is_one_release_drawn_once_and_paid_once(workspace: Workspace) -> None:
    import great_expectations  # noqa: F401

    moments = random.Random(41)  # noqa: S311  moments of a test, no secret
    killed = killed_exports(moments.uniform(0.02, 2.5) for _ in range(KILLS))
    assert killed >= KILLS // 3, "too few of the kills met a running export to mean anything"
    ledger = Ledger.open(workspace.ledger)
    drawn = ledger.artefact(KEY)
    export()
    kinds = [entry.kind for entry in ledger.entries(KEY)]
    for once in (EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.APPROVED, EntryKind.PUBLISHED):
        assert kinds.count(once) == 1
    if drawn is not None:
        assert ledger.artefact(KEY) == drawn
    for audience in Audience:
        verify_bundle(workspace.bundle(audience, RELEASE, PERIOD, 1))
    before = published(workspace)
    export()
    assert published(workspace) == before
    assert not [path for path in workspace.home.rglob(".*") if path.is_dir() and path.parts[-2] != "data_docs"]


def test_without_an_approval_nothing_is_published(workspace: Workspace) -> None:
    flow.draw(RELEASE, PERIOD)
    flow.validate(RELEASE, PERIOD)
    with pytest.raises(NotApprovedError, match="must approve"):
        flow.publish(RELEASE, PERIOD)
    assert not workspace.published.exists()
