"""What Airflow adds to the stages: the sample site through ``demographics up``, beside the same stages in one process.

Seconds of each task are those of Airflow's own database, from its start to its end, added up over all runs and
attempts; each task is a process of its own, which imports what it needs. In one process the stages are called one after
the other, as tasks call them, and imports are paid for once. Two tasks run at once in Airflow, and none there.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from pipeline import flow, flow_staging
from pipeline.local.airflow import DAGS
from pipeline.local.reviewing import entitle, scripted_reviewer
from pipeline.local.sites import sample_site
from pipeline.progress import silent
from pipeline.review.decisions import Register
from pipeline.spec import load_specifications
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.benchmarks.measuring import Run, alone, command
from tests.benchmarks.reporting import Amount, Figure, LeftOut, Ratio

RELEASES: Final = DAGS / "releases"
# Tasks, as Airflow names them -> the stage that they are.
STAGES: Final = {
    "plan": "ingestion",
    "read": "ingestion",
    "finish": "ingestion",
    "stage": "ingestion",
    "check": "checks of staging",
    "draw": "bounding and drawing",
    "validate": "validation and report",
    "publish": "publication",
}
ALL: Final = "all stages"


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """By stage, and of everything."""
    if small:
        yield LeftOut("Airflow", "it takes minutes, and is not started for a small run")
        return
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, name) for name in ("airflow", "process")]
        for home in homes:
            sample_site(home, silent)
        platform = in_airflow(homes[0])
        of_tasks = task_seconds(homes[0] / "airflow" / "airflow.db")
        process = alone(in_one_process, str(homes[1]))
    for stage in dict.fromkeys(STAGES.values()):
        yield compared(f"sample site in Airflow, tasks: {stage}", of_tasks[stage], process.told[stage])
    yield compared("sample site in Airflow, all tasks", sum(of_tasks.values()), process.told[ALL])
    yield Figure(
        "sample site from nothing to bundles in Airflow, its start and end in it",
        "the stages in one process",
        Amount.of(platform),
        Amount(process.told[ALL], process.megabytes),
        Ratio.LONGER,
    )


def compared(name: str, ours: float, theirs: float) -> Figure:
    """One figure."""
    return Figure(name, "the same stage in one process", Amount(ours), Amount(theirs), Ratio.LONGER)


def in_airflow(home: Path) -> Run:
    """``demographics up`` as people run it."""
    program = Path(sys.executable).with_name("demographics")
    return command([program, "up"], {HOME_VARIABLE: str(home), RELEASES_VARIABLE: str(RELEASES)})


def task_seconds(database: Path) -> Mapping[str, float]:
    """Seconds of all tasks by stage, added up; waiting for reviewers is no stage."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT task_id, duration FROM task_instance WHERE state = 'success'").fetchall()
    added: dict[str, float] = defaultdict(float)
    for task, seconds in rows:
        if task in STAGES:
            added[STAGES[task]] += seconds
    return added


def in_one_process(home: str) -> dict[str, float]:
    """Every stage of the sample, one after the other; seconds of each."""
    os.environ |= {HOME_VARIABLE: home, RELEASES_VARIABLE: str(RELEASES)}
    workspace, taken = Workspace(Path(home)), defaultdict[str, float](float)

    def timed(stage: str, work: Callable[..., object], *references: str) -> None:
        begun = time.perf_counter()
        work(*references)
        taken[stage] += time.perf_counter() - begun

    entitle(workspace)
    specifications = load_specifications(RELEASES)
    for population, period in sample_site(workspace.home, silent):
        when = str(period)
        timed("ingestion", flow_staging.stage, population.value, when)
        timed("checks of staging", flow_staging.check_staging, population.value, when)
        for release in [one.release for one in specifications if one.population is population]:
            timed("bounding and drawing", flow.draw, release, when)
            timed("validation and report", flow.validate, release, when)
            signer = scripted_reviewer(workspace)
            Register.of(workspace).approve(flow.standing(release, when), signer, "Approved by a script.")
            timed("publication", flow.publish, release, when)
    return {**taken, ALL: sum(taken.values())}
