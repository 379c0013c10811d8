"""A small site whose exports wait for reviewers in a real Airflow, and what somebody may do there through its API."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

from pipeline.local.airflow import LocalAirflow
from pipeline.local.api import DagRun
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Signer
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace
from tests.builders import specification_document
from tests.end_to_end.rights_site import VISITORS, WEEK, Ran, Site, environment, until

PERIOD: Final = str(WEEK)
WAITING: Final = "deferred"
AWAIT: Final = "await_review"
DRIVER: Final = "driver"  # who is logged in to this Airflow
_MANY: Final = {"epsilon": 2000, "delta": 1e-3}


def write_review_site(home: Path, releases: Iterable[str]) -> Workspace:
    """The sample, smaller, with one specification of one table a name, for partners."""
    write_sample(home, lines=12_000, visitors=2_500, customers=500)
    site = yaml.safe_load((home / "site.yaml").read_text("utf-8"))
    (home / "site.yaml").write_text(yaml.safe_dump(site | {"budget": {"visitors": _MANY, "customers": _MANY}}), "utf-8")
    (home / "releases").mkdir()
    for name in releases:
        document = specification_document(
            release=name,
            title=f"The {name} release",
            privacy={"epsilon": 10, "delta": 1e-6, "k": 5},
            tables=[{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
            audiences={"partner": ["by_country"]},
        )
        (home / "releases" / f"{name}.yaml").write_text(yaml.safe_dump(document), "utf-8")
    return Workspace(home)


@contextlib.contextmanager
def review_airflow(workspace: Workspace, unpaused: Iterable[str] = ()) -> Iterator[ReviewSite]:
    """An Airflow in which nothing runs by itself but ingestion and what is named, and in which the week is staged."""
    running = {"ingest_visitors", *(f"export_{name}" for name in unpaused)}
    with environment(workspace), LocalAirflow(workspace, workspace.releases, unpaused=running) as airflow:
        site = ReviewSite(workspace, airflow)
        site.ingest(VISITORS, WEEK)
        yield site


class ReviewSite(Site):
    """A site whose exports wait for reviewers."""

    # What a release needs

    def exporting(self, *releases: str, period: str = PERIOD) -> dict[str, DagRun]:
        """Start exports, together, and wait until each of them waits for its reviewers."""
        for release in releases:
            self.airflow.api.let_run(f"export_{release}")
        runs = {release: self.start(f"export_{release}", period) for release in releases}
        for run in runs.values():
            self.await_deferred(run)
        return runs

    def await_deferred(self, run: DagRun) -> None:
        """Wait until an export waits for its reviewers, in the triggerer."""
        until(lambda: self.task_state(run, AWAIT) == WAITING or self.now(run).finished, f"{run.dag} waits")
        assert self.task_state(run, AWAIT) == WAITING, self.ended(run).errors

    def decide(self, kind: EntryKind, release: str, signer: Signer, reason: str, revision: int = 1) -> None:
        """Approve, reject or withdraw, as a reviewer does."""
        register, key = Register.of(self.workspace), ReleaseKey(release, PERIOD, revision)
        verbs = {EntryKind.APPROVED: register.approve, EntryKind.REJECTED: register.reject}
        verbs.get(kind, register.withdraw)(key, signer, reason)

    # What is published

    @property
    def ledger_file(self) -> Path:
        """Its ledger's database."""
        return self.workspace.home / "ledger.db"

    @property
    def ledger(self) -> Ledger:
        """Its ledger."""
        return Ledger.open(self.ledger_file)

    def entry(self, kind: EntryKind, release: str, revision: int = 1) -> Entry | None:
        """The newest entry of a kind about a release."""
        return self.ledger.newest(kind, ReleaseKey(release, PERIOD, revision))

    def is_published(self, release: str, revision: int = 1) -> bool:
        """Whether anything of a release is out: an entry of the ledger, or a recipient's folder."""
        bundle = self.workspace.bundle(Audience.PARTNER, release, PERIOD, revision)
        return bundle.exists() or self.entry(EntryKind.PUBLISHED, release, revision) is not None

    def logs(self, run: DagRun) -> Mapping[str, str]:
        """What the tasks of a run have logged so far."""
        paths = {task.task: self.airflow.task_log(run, task) for task in self.airflow.api.tasks(run)}
        return {name: path.read_text("utf-8") for name, path in paths.items() if path.is_file()}

    def left_by(self, run: DagRun) -> set[str]:
        """The tasks of a run that have a result."""
        query = "xcom_key_pattern=return_value&limit=100"
        found = self.airflow.api.call("GET", f"{_tasks(run)}/~/xcomEntries?{query}")["xcom_entries"]
        return {entry["task_id"] for entry in found if entry["key"] == "return_value"}

    # What anybody can do who may run DAGs

    def set_state(self, run: DagRun, task: str, state: str, *, downstream: bool = False) -> None:
        """Set the state of a task."""
        body = {"new_state": state, "include_downstream": downstream}
        self.airflow.api.call("PATCH", f"{_tasks(run)}/{task}", body)

    def clear(self, run: DagRun, *tasks: str) -> Ran:
        """Clear these tasks alone, and wait until the run has ended."""
        self.clear_only(run, *tasks)
        return self.ended(run)

    def clear_only(self, run: DagRun, *tasks: str) -> None:
        """Clear these tasks alone."""
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run.run, "task_ids": list(tasks)}
        self.airflow.api.call("POST", f"/api/v2/dags/{quote(run.dag)}/clearTaskInstances", body)

    def mark(self, run: DagRun, state: str) -> None:
        """Set the state of a run."""
        self.airflow.api.call("PATCH", _run(run), {"state": state})

    def pause(self, dag: str, *, paused: bool = True) -> None:
        """Pause a DAG, or let it go on."""
        self.airflow.api.call("PATCH", f"/api/v2/dags/{quote(dag)}", {"is_paused": paused})

    def trigger(self, dag: str, **body: object) -> DagRun:
        """Start a run with this body."""
        key = f"{PERIOD}-1"
        body = {"logical_date": None, "partition_key": key, **body}
        made = self.airflow.api.call("POST", f"/api/v2/dags/{quote(dag)}/dagRuns", body)
        return DagRun(dag, made["dag_run_id"], PERIOD, made["state"])

    def xcom(self, run: DagRun, task: str, key: str = "return_value") -> Any:
        """What a task left for others."""
        return self.airflow.api.call("GET", f"{_tasks(run)}/{task}/xcomEntries/{key}?deserialize=true")["value"]

    def write_xcom(self, run: DagRun, task: str, value: object, *, there: bool, key: str = "return_value") -> None:
        """Write what a task is to have left, in the place of what is there or where nothing is."""
        entries = f"{_tasks(run)}/{task}/xcomEntries"
        if there:
            self.airflow.api.call("PATCH", f"{entries}/{key}", {"value": value})
        else:
            self.airflow.api.call("POST", entries, {"key": key, "value": value})

    def links(self, run: DagRun, task: str = AWAIT) -> Mapping[str, str | None]:
        """The extra links of a task, as Airflow's pages show them."""
        found: dict[str, str | None] = self.airflow.api.call("GET", f"{_tasks(run)}/{task}/links")["extra_links"]
        return found

    # What time does

    def move(self, run: DagRun, *, to: str) -> None:
        """Set the deadlines of a run, and the time of its waiting task, into the past, in Airflow's database."""
        with sqlite3.connect(self.workspace.airflow / "airflow.db", timeout=30) as connection:
            if to == "deadline":
                connection.execute(
                    "UPDATE deadline SET deadline_time = '2026-01-01 00:00:00.000000' "
                    "WHERE dagrun_id = (SELECT id FROM dag_run WHERE dag_id = ? AND run_id = ?)",
                    [run.dag, run.run],
                )
            else:
                connection.execute(
                    "UPDATE task_instance SET trigger_timeout = '2026-01-15 00:00:00.000000', "
                    "start_date = '2026-01-01 00:00:00.000000' WHERE dag_id = ? AND run_id = ? AND task_id = ?",
                    [run.dag, run.run, AWAIT],
                )

    def alerts(self) -> list[dict[str, Any]]:
        """What the folder of alerts tells."""
        folder = self.workspace.home / "reports" / "review" / "alerts"
        return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def _run(run: DagRun) -> str:
    return f"/api/v2/dags/{quote(run.dag)}/dagRuns/{quote(run.run)}"


def _tasks(run: DagRun) -> str:
    return f"{_run(run)}/taskInstances"
