"""The part of Airflow's REST API that a run on one machine needs, over loopback."""

from __future__ import annotations

import datetime as dt
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from pipeline.errors import DemographicsError
from pipeline.local.partitions import partition_key, period_label
from pipeline.periods import Period

HOST: Final = "127.0.0.1"
_TIMEOUT: Final = 30  # seconds


@dataclass(frozen=True, order=True)
class DagRun:
    """One run of a DAG.

    Attributes:
        dag: Its id.
        run: Id of the run.
        period: The period's label, ``2026-W41``; empty for a run that is of none.
        state: ``queued``, ``running``, ``success`` or ``failed``.
    """

    dag: str
    run: str
    period: str
    state: str

    @property
    def finished(self) -> bool:
        """Whether its state is final."""
        return self.state in ("success", "failed")


@dataclass(frozen=True)
class TaskRun:
    """One task of a DAG run, as it stands: ``state`` is empty before Airflow took it up.

    ``place`` tells those of one task apart that is run for each of several values; it is -1 of any other.
    """

    task: str
    state: str
    attempt: int
    place: int = -1


class AirflowApi:
    """A client of one API server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._token = ""

    def login(self, name: str, password: str) -> None:
        """Get a token for the calls that follow."""
        answer = self.call("POST", "/auth/token", {"username": name, "password": password})
        self._token = str(answer["access_token"])

    def unhealthy(self) -> list[str]:
        """Components that do not work yet; all of them while the server does not answer."""
        needed = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        try:
            health = self.call("GET", "/api/v2/monitor/health")
        except (OSError, http.client.HTTPException, DemographicsError):
            return ["api_server", *needed]
        return [name for name in needed if health.get(name, {}).get("status") != "healthy"]

    def dags(self) -> set[str]:
        """Ids of the DAGs that were parsed."""
        return {dag["dag_id"] for dag in self.call("GET", "/api/v2/dags?limit=100")["dags"]}

    def import_errors(self) -> list[str]:
        """The last line of each DAG file's import error: for our errors rule, value and remedy."""
        errors = self.call("GET", "/api/v2/importErrors?limit=100")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def let_run(self, dag: str) -> None:
        """Unpause a DAG."""
        self.call("PATCH", f"/api/v2/dags/{quote(dag)}", {"is_paused": False})

    def trigger(self, dag: str, period: str = "", as_of: dt.datetime | None = None) -> DagRun:
        """Start a run.

        Args:
            dag: Its id.
            period: The period it is for, of a DAG that has periods.
            as_of: The instant that it stands for, of a DAG that goes by the clock; now if left out.
        """
        body = {
            "logical_date": as_of.isoformat() if as_of else None,
            "partition_key": partition_key(Period.parse(period)) if period else None,
        }
        return _dag_run(self.call("POST", f"/api/v2/dags/{quote(dag)}/dagRuns", body))

    def runs(self) -> list[DagRun]:
        """All runs of all DAGs, oldest first."""
        query = urlencode({"limit": 100, "order_by": "id"})
        return [_dag_run(run) for run in self.call("GET", f"/api/v2/dags/~/dagRuns?{query}")["dag_runs"]]

    def refreshed(self, run: DagRun) -> DagRun:
        """A run as it stands now."""
        return _dag_run(self.call("GET", f"/api/v2/dags/{quote(run.dag)}/dagRuns/{quote(run.run)}"))

    def tasks(self, run: DagRun) -> list[TaskRun]:
        """The tasks of a run."""
        path = f"/api/v2/dags/{quote(run.dag)}/dagRuns/{quote(run.run)}/taskInstances"
        found = self.call("GET", path)["task_instances"]
        return [TaskRun(task["task_id"], task["state"] or "", task["try_number"], task["map_index"]) for task in found]

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Call the API.

        Returns:
            What it answers, parsed.

        Raises:
            DemographicsError: It refuses.
        """
        # http.client knows no proxies, so that a proxy in the environment cannot come between.
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_TIMEOUT)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise DemographicsError(
                f"Airflow's API must accept {method} {path.partition('?')[0]}",
                value=f"status {answer.status}",
                remedy="Read api-server.log in the workspace's airflow/logs folder.",
            )
        return json.loads(content)


def _dag_run(found: dict[str, Any]) -> DagRun:
    return DagRun(found["dag_id"], found["dag_run_id"], period_label(found["partition_key"] or ""), found["state"])
