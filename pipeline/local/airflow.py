"""Airflow on one machine, for the time of one run: four processes, loopback only, and SQLite if nothing else is named.

Airflow's own records in SQLite begin anew with each start. What must last (budget, releases, decisions) is in the
ledger. Only DAGs that a run consists of are to run: those that go by the clock stay paused, so that no hour strikes in
between.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from pipeline.errors import ConfigurationError, DemographicsError
from pipeline.local.api import HOST, AirflowApi, DagRun, TaskRun
from pipeline.local.processes import end, end_leftovers, hold, termination_raises, with_descendants, write_down
from pipeline.progress import Progress, silent
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace

DAGS: Final = Path(__file__).resolve().parents[2] / "dags"
START_TIMEOUT: Final = 180.0  # seconds; 11 are usual on two idle cores
_INGEST: Final = {"ingest_visitors", "ingest_customers"}
_EXPORT: Final = "export_"
_INHERITED: Final = ("AIRFLOW_CONN_", "AIRFLOW__METRICS__", "AIRFLOW__OPENLINEAGE__")
_RECORD: Final = "processes.json"
_NAME: Final = "driver"
_LOCAL_SETTINGS: Final = "from pipeline.observation.airflow_logs import configure_logging\n"  # see there
_COMPONENTS: Final = {
    "api-server": ("api-server", "--host", HOST, "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),  # its log server would listen on every interface
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),  # as the scheduler's
}
# Imported once and inherited by every task: Great Expectations alone takes seconds.
_PRELOADED: Final = (
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.decorators.python",
    "pipeline.local.awaiting",
    "pipeline.local.tasks",
    "pipeline.deidentify.visitors",
    "pipeline.validation.staging",
    "pipeline.validation.release",
    "pipeline.rights.applying",
    "pipeline.release.draw",
    "pipeline.publication.bundle",
    "pipeline.review.decisions",
)


class LocalAirflow:
    """Airflow, started when the block is entered and stopped when it is left, however it is left.

    Args:
        workspace: Whose site.
        releases: Folder of the specifications.
        dags: Folder of the DAG files.
        progress: Told how far the start is.
        unpaused: The DAGs that may run; those of a run, ingestion and exports, if left out. Others wait until somebody
            lets them run.
        database: Where Airflow keeps its records, as an SQLAlchemy address; a SQLite file of the workspace if left out.

    Attributes:
        api: The client, logged in.
        port: Where the API server listens, on 127.0.0.1.
        database: Where Airflow keeps its records.
    """

    def __init__(
        self,
        workspace: Workspace,
        releases: Path,
        dags: Path = DAGS,
        progress: Progress = silent,
        *,
        unpaused: Collection[str] | None = None,
        database: str = "",
    ) -> None:
        self.port = _free_port()
        self.database = database or f"sqlite:///{workspace.airflow / 'airflow.db'}"
        self.api = AirflowApi(self.port)
        self._workspace = workspace
        self._dags = dags
        self._releases = releases
        self._progress = progress
        self._unpaused = self._of_a_run() if unpaused is None else set(unpaused)
        self._password = secrets.token_urlsafe(24)
        self._environment = self._settings()
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._leaving = contextlib.ExitStack()

    @property
    def logs(self) -> Path:
        """One file a component, and Airflow's folder for each task."""
        return self._workspace.airflow / "logs"

    @property
    def processes(self) -> list[psutil.Process]:
        """All that run: the components and everything they started."""
        return with_descendants([child.pid for child in self._started.values()])

    def __enter__(self) -> Self:
        """Set up, start, and wait until Airflow works.

        Raises:
            ConfigurationError: Another run holds the workspace, or a DAG file cannot be imported.
            DemographicsError: Airflow did not start; names the log.
        """
        with contextlib.ExitStack() as leaving:
            leaving.enter_context(hold(self._workspace.home / ".airflow.lock"))
            leaving.enter_context(termination_raises())
            leaving.callback(self._stop)
            self._progress("Airflow: database", 0, 3)
            self._prepare()
            self._progress("Airflow: processes", 1, 3)
            self._start()
            self._wait()
            self._progress("Airflow: ready", 3, 3)
            self._leaving = leaving.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every process."""
        self._leaving.__exit__(kind, value, trace)

    def task_log(self, run: DagRun, task: TaskRun) -> Path:
        """Where Airflow wrote the log of a task's last attempt."""
        folder = self.logs / f"dag_id={run.dag}" / f"run_id={run.run}" / f"task_id={task.task}"
        return (folder if task.place < 0 else folder / f"map_index={task.place}") / f"attempt={task.attempt}.log"

    def require_alive(self) -> None:
        """Make sure that no component has ended.

        Raises:
            DemographicsError: One has; names its log.
        """
        for name in _COMPONENTS:
            if (code := self._started[name].poll()) is not None:
                raise self._failure(name, f"Airflow's {name} must keep running", f"exit code {code}")

    def _settings(self) -> dict[str, str]:
        # The caller's environment without any Airflow setting in it, so that a run depends on this file alone.
        # Of the environment's own settings of Airflow only connections count, and to whom it tells what it does.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") or name.startswith(_INHERITED)
        }
        home = self._workspace.airflow
        return {
            **inherited,
            HOME_VARIABLE: str(self._workspace.home),
            RELEASES_VARIABLE: str(self._releases),
            "DEMOGRAPHICS_REVIEW_POLL": "1",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            # Psycopg speaks both ways; for PostgreSQL Airflow would look for another driver, which is not installed.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": self.database.replace("sqlite:", "sqlite+aiosqlite:"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # asks no name server
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_NAME}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{self.port}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": f"http://{HOST}:{self.port}",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
            "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": ",".join(_PRELOADED),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # as long as a worker may miss that its task has ended
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
            "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(self.logs / "dag_processor"),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "pipeline.observation.airflow_logs.LOGGING",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "GX_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "NO_PROXY": f"{HOST},localhost",
            "no_proxy": f"{HOST},localhost",
            "PYTHONWARNINGS": "ignore",
        }

    def _prepare(self) -> None:
        home = self._workspace.airflow
        end_leftovers(home / _RECORD)
        shutil.rmtree(home, ignore_errors=True)
        self.logs.mkdir(parents=True, mode=0o700)
        (home / "config").mkdir()
        (home / "config" / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS, "utf-8")
        with os.fdopen(os.open(home / "passwords.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({_NAME: self._password}, file)
        if (code := self._spawn("db-migrate", ("db", "migrate")).wait()) != 0:
            raise self._failure("db-migrate", "Airflow's database must be set up", f"exit code {code}")

    def _start(self) -> None:
        for name, arguments in _COMPONENTS.items():
            port = ("--port", str(self.port)) if name == "api-server" else ()
            self._spawn(name, (*arguments, *port))

    def _spawn(self, name: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
                [sys.executable, "-m", "airflow", *arguments],
                env=self._environment,
                cwd=self._workspace.airflow,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
                umask=0o077,
            )
        self._started[name] = child
        write_down(self._workspace.airflow / _RECORD, [child.pid for child in self._started.values()])
        return child

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while missing := self.api.unhealthy():
            self._pause(deadline, missing[0])
        self._progress("Airflow: DAG files", 2, 3)
        self.api.login(_NAME, self._password)
        while not self._of_a_run() | self._unpaused <= self.api.dags():
            if errors := self.api.import_errors():
                raise ConfigurationError("every DAG file must be importable", value="; ".join(errors))
            self._pause(deadline, "dag_processor")
        for dag in sorted(self._unpaused):
            self.api.let_run(dag)

    def _of_a_run(self) -> set[str]:
        return {f"{_EXPORT}{path.stem}" for path in self._releases.glob("*.yaml")} | _INGEST

    def _pause(self, deadline: float, component: str) -> None:
        self.require_alive()
        if time.monotonic() > deadline:
            rule = f"Airflow must be ready within {START_TIMEOUT:.0f} s"
            # The API server is what cannot reach the metadata database, which has no log of its own.
            name = component.replace("_", "-").replace("metadatabase", "api-server")
            raise self._failure(name, rule, f"no sign of its {name}")
        time.sleep(0.25)

    def _failure(self, component: str, rule: str, value: str) -> DemographicsError:
        return DemographicsError(rule, value=value, remedy=f"Read {self.logs / component}.log.")

    def _stop(self) -> None:
        end(self.processes)
        (self._workspace.airflow / _RECORD).unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
