"""Identifiers are planted in every source; the DAGs run; nothing under the site's folder holds one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local.run import run_site
from pipeline.periods import Period
from pipeline.sample import write_sample
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.end_to_end.planting import ADDRESS_V4, AGENT, leaks, plant

RELEASES = Path(__file__).parents[2] / "dags" / "releases"
PERIODS = [(Population.VISITORS, Period.parse("2026-W41")), (Population.CUSTOMERS, Period.parse("2026-10"))]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = tmp_path_factory.mktemp("planted")
    write_sample(home, lines=20_000, visitors=4_000, customers=3_000)
    plant(home)
    shutil.rmtree(home / "airflow", ignore_errors=True)
    return Workspace(home)


def test_the_search_finds_what_is_there(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "seen.txt").write_text(f"visit of {ADDRESS_V4}", "utf-8")
    assert leaks(tmp_path)
    import hashlib

    (tmp_path / "seen.txt").write_text(hashlib.sha256(AGENT.encode()).hexdigest(), "utf-8")
    assert leaks(tmp_path)


@pytest.mark.airflow
def test_no_planted_identifier_is_left_by_the_dags(workspace: Workspace) -> None:
    from pipeline.local.board import Board

    run_site(workspace, PERIODS, RELEASES, Board(Console(quiet=True)))
    for expected in ("staging", "ledger.db", "airflow", "data_docs", "published", "reports"):
        assert (workspace.home / expected).exists(), f"the run left no {expected}, so nothing was searched there"
    assert leaks(workspace.home) == []
