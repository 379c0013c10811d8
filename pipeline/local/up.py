"""``demographics up``: a site's DAGs in an Airflow of its own, from the sources to a summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.local.board import Board
from pipeline.local.run import Ingestion, run_site
from pipeline.local.summary import Summary, snapshot, summarise
from pipeline.local.words import show
from pipeline.workspace import Workspace


def up(workspace: Workspace, periods: Sequence[Ingestion], releases: Path, console: Console) -> Summary:
    """Run the DAGs for these periods, with a scripted reviewer, and print the summary.

    Args:
        workspace: Of a site whose ``site.yaml`` is there.
        periods: What to ingest; the releases over them follow.
        releases: Folder of the specifications.
        console: Where progress and summary go.

    Raises:
        DemographicsError: Airflow did not start, or a task failed.
    """
    before = snapshot(workspace)
    with Board(console) as board:
        ran = run_site(workspace, periods, releases, board)
    summary = summarise(workspace, ran.ingested, ran.releases, before, ran.seconds)
    show(summary, console)
    return summary
