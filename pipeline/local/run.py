"""Runs a site's DAGs for given periods in an Airflow of its own, with a scripted reviewer, and watches them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline import flow
from pipeline.errors import DemographicsError
from pipeline.local.airflow import LocalAirflow
from pipeline.local.api import DagRun, TaskRun
from pipeline.local.board import Board
from pipeline.local.reviewing import entitle, scripted_reviewer
from pipeline.periods import Period
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey, ReleaseSpecification, load_specifications
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace

_REASON: Final = "Approved by a script because all checks passed; nobody looked."
_POLL: Final = 0.5  # seconds
_EXPORT: Final = "export_"

_WORDS: Final = {
    "running": "runs",
    "up_for_retry": "waits to be tried again",
    "deferred": "waits for the reviewer",
    "failed": "failed",
}

Ingestion = tuple[Population, Period]


@dataclass(frozen=True)
class RunSummary:
    """What ran.

    Attributes:
        ingested: Populations with their periods.
        releases: Every release that was published, in this run or before.
        approved: Those of them that the scripted reviewer approved in this run.
        seconds: How long it took, Airflow's start included.
    """

    ingested: tuple[Ingestion, ...]
    releases: tuple[ReleaseKey, ...]
    approved: tuple[ReleaseKey, ...]
    seconds: float


def run_site(workspace: Workspace, periods: Sequence[Ingestion], releases: Path, board: Board) -> RunSummary:
    """Ingest the periods, which starts the exports over them, and approve what passes its checks.

    Args:
        workspace: Of a site whose ``site.yaml`` is there.
        periods: What to ingest.
        releases: Folder of the specifications.
        board: Shows how far it is.

    Raises:
        DemographicsError: A run failed: names its task, its message and its log; or Airflow did not start.
    """
    specifications = load_specifications(releases)
    with _environment(workspace, releases), LocalAirflow(workspace, releases, progress=board.progress) as airflow:
        watch = _Watch(airflow, board, _expected(periods, specifications))
        entitle(workspace)
        for population, period in periods:
            airflow.api.trigger(f"ingest_{population}", str(period))
        while not watch.look():
            time.sleep(_POLL)
        keys, approved = (_as_they_stand(of) for of in (watch.expected.values(), watch.approved))
    return RunSummary(tuple(periods), keys, approved, board.elapsed)


def _as_they_stand(keys: Iterable[ReleaseKey | None]) -> tuple[ReleaseKey, ...]:
    # Somebody may have revised a release since it was first made.
    made = [key for key in keys if key is not None and not rejection(key)]
    return tuple(sorted(flow.standing(key.release, key.period) for key in made))


def rejection(key: ReleaseKey) -> str:
    """Who rejected a release that was drawn and checked, and why; empty where nobody did."""
    decided = flow.decision(key.release, key.period)
    return decided if decided.startswith(flow.REJECTED) else ""


@contextmanager
def _environment(workspace: Workspace, releases: Path) -> Iterator[None]:
    # The reviewer's part of the flow runs in this process and finds its workspace as a task does.
    before = {name: os.environ.get(name) for name in (HOME_VARIABLE, RELEASES_VARIABLE)}
    os.environ |= {HOME_VARIABLE: str(workspace.home), RELEASES_VARIABLE: str(releases)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _expected(
    periods: Sequence[Ingestion], specifications: Sequence[ReleaseSpecification]
) -> dict[tuple[str, str], ReleaseKey | None]:
    """(DAG, period) of every run that must succeed -> the release it makes, None for ingestion."""
    expected: dict[tuple[str, str], ReleaseKey | None] = {}
    for population, period in periods:
        expected[f"ingest_{population}", str(period)] = None
        for one in specifications:
            if one.population is population:
                expected[f"{_EXPORT}{one.release}", str(period)] = ReleaseKey(one.release, str(period))
    return expected


class _Watch:
    """Looks at all runs again and again until all that are expected have succeeded."""

    def __init__(self, airflow: LocalAirflow, board: Board, expected: dict[tuple[str, str], ReleaseKey | None]) -> None:
        self.expected = expected
        self.approved: set[ReleaseKey] = set()
        self._airflow = airflow
        self._board = board
        self._done: set[tuple[str, str]] = set()

    def look(self) -> bool:
        """Show how far all runs are and approve candidates; True when all have succeeded.

        Raises:
            DemographicsError: One has failed.
        """
        self._airflow.require_alive()
        for run in self._airflow.api.runs():
            name = (run.dag, run.period)
            if name in self.expected and name not in self._done:
                self._follow(run)
                if run.state == "success":
                    self._done.add(name)
        return self._done == set(self.expected)

    def _follow(self, run: DagRun) -> None:
        tasks = self._airflow.api.tasks(run) if run.state in ("running", "failed") else []
        under_way = [f"{task.task} {_WORDS[task.state]}" for task in tasks if task.state in _WORDS]
        key = self.expected[run.dag, run.period]
        ended = rejection(key) if key is not None and run.state == "success" else ""
        self._board.update(run, ended or ", ".join(under_way))
        if run.state == "failed":
            raise _failure(self._airflow, run, tasks)
        checked = any(task.task == "validate" and task.state == "success" for task in tasks)
        if key is not None and checked and key not in self.approved:
            self._review(key)

    def _review(self, key: ReleaseKey) -> None:
        if flow.standing(key.release, key.period) in flow.waiting():
            workspace = Workspace.from_environment()
            Register.of(workspace).approve(key, scripted_reviewer(workspace), _REASON)
            self.approved.add(key)


def _failure(airflow: LocalAirflow, run: DagRun, tasks: list[TaskRun]) -> DemographicsError:
    failed = next((task for task in tasks if task.state == "failed"), None)
    if failed is None:
        return DemographicsError(
            f"{run.dag} must succeed for {run.period}",
            value="a failed run",
            remedy=f"Read {airflow.logs / 'scheduler.log'}.",
        )
    log = airflow.task_log(run, failed)
    return DemographicsError(
        f"{failed.task} of {run.dag} must succeed for {run.period}",
        value=f"this error: {error_in(log)}" if error_in(log) else "a failed task",
        remedy=f"Its log: {log}",
    )


def error_in(log: Path) -> str:
    """The message of the last exception in a task's log (JSON lines); empty where there is none."""
    found = ""
    try:
        lines = log.read_text("utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        try:
            details = json.loads(line).get("error_detail") or []
        except (ValueError, AttributeError):
            continue  # not one of Airflow's own lines
        found = next((detail["exc_value"] for detail in details if detail.get("exc_value")), found)
    return found
