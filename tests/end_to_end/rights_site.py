"""A small sample site whose people ask for things, and its Airflow, driven through its API."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner, Result

from pipeline import cli
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.errors import DemographicsError
from pipeline.local.airflow import LocalAirflow
from pipeline.local.api import DagRun
from pipeline.local.run import error_in
from pipeline.periods import Period
from pipeline.rights.rows import RequestRow
from pipeline.rights.store import RequestStore
from pipeline.sample import write_sample
from pipeline.vocabulary import Audience, Population
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.builders import specification_document
from tests.end_to_end.planting import ADDRESS_V4, ADDRESS_V6, AGENT, CUSTOMER, FORWARDED, plant
from tests.reviewing import approve
from tests.staged import rows_of

VISITORS, CUSTOMERS = Population.VISITORS, Population.CUSTOMERS
WEEK, NEXT_WEEK, MONTH = (Period.parse(label) for label in ("2026-W41", "2026-W42", "2026-10"))
REQUESTS: Final = "subject_requests"
PATIENCE: Final = 90.0  # seconds for anything that Airflow does here
SETTLED: Final = 10.5  # seconds for which a file must have lain in the drop folder
_LINE: Final = '{address} - - [{day}/Oct/2026:12:00:00 +0000] "GET /docs/x HTTP/1.1" 200 5 "-" "{agent}" "de-DE"\n'
_COLUMNS: Final = (
    "request",
    "population",
    "customer",
    "email",
    "address",
    "agent",
    "since",
    "until",
    "set",
    "received",
)
# So much epsilon that the noise of the total, which gets a seventh of it, is zero but once in 400 million draws: a
# release tells exactly how many people it has.
_EXACT: Final = {"epsilon": 150, "delta": 1e-6, "k": 2}


def write_site(home: Path) -> Workspace:
    """The sample, in Berlin, with planted people in two weeks, a table of requests, and releases that tell exactly."""
    write_sample(home, lines=20_000, visitors=4_000, customers=3_000)
    plant(home)
    lines = [_LINE.format(address=address, day=14, agent=AGENT) for address in (ADDRESS_V4, ADDRESS_V6, FORWARDED)]
    (home / "sources" / "logs" / "access.log.later").write_text("".join(lines), "utf-8")
    site = yaml.safe_load((home / "site.yaml").read_text("utf-8"))
    cap = {"epsilon": 2000, "delta": 1e-3}
    site |= {
        "time_zone": "Europe/Berlin",
        "budget": {"visitors": cap, "customers": cap},
        "retention": {"staging_days": 3650},
        "subject_requests": {"source": {"kind": "database", "connection": "people", "table": "requests"}},
    }
    (home / "site.yaml").write_text(yaml.safe_dump(site, sort_keys=False), "utf-8")
    with sqlite3.connect(home / "sources" / "requests.db") as connection:
        columns = ", ".join(f'"{name}" TEXT' for name in ("id", *_COLUMNS))
        connection.execute(f"CREATE TABLE requests ({columns})")
    write_releases(home / "releases")
    return Workspace(home)


def write_releases(folder: Path) -> None:
    """Specifications of one table each, for partners."""
    folder.mkdir()
    for name, population, period, purpose in (
        ("weekly", "visitors", "week", "aggregated_demographics"),
        ("trends", "visitors", "week", "site_trends"),
        ("monthly", "customers", "month", "aggregated_demographics"),
    ):
        document = specification_document(
            release=name,
            title=f"The {name} release",
            population=population,
            period=period,
            purpose=purpose,
            privacy=_EXACT,
            tables=[{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
            audiences={"partner": ["by_country"]},
        )
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document), "utf-8")


@contextlib.contextmanager
def environment(workspace: Workspace, ledger: str = "") -> Iterator[None]:
    """What a deployment sets, with an Airflow connection to the table of requests; the ledger in SQLite if unnamed."""
    people = {"conn_type": "sqlite", "host": str(workspace.home / "sources" / "requests.db")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(workspace.home))
        patch.setenv(RELEASES_VARIABLE, str(workspace.home / "releases"))
        patch.setenv(LEDGER_VARIABLE, ledger)
        patch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps(people))
        yield


@dataclass(frozen=True)
class Ran:
    """A DAG run that has ended.

    Attributes:
        run: The run.
        tasks: State of each of its tasks.
        logs: The log of each of its tasks' last try.
        errors: The message of the last exception in each of these.
    """

    run: DagRun
    tasks: Mapping[str, str]
    logs: Mapping[str, str]
    errors: Mapping[str, str]


class Site:
    """A site whose Airflow runs."""

    def __init__(self, workspace: Workspace, airflow: LocalAirflow) -> None:
        self.workspace, self.airflow = workspace, airflow

    # Airflow

    def run(self, dag: str, period: Period | str = "", **more: Any) -> Ran:
        """Start a run and wait until it has ended."""
        return self.ended(self.start(dag, period, **more))

    def start(self, dag: str, period: Period | str = "", **more: Any) -> DagRun:
        """Start a run; again where Airflow's SQLite, busy with another, refused."""
        for _ in range(3):
            with contextlib.suppress(DemographicsError):
                return self.airflow.api.trigger(dag, str(period), **more)
            time.sleep(1)
        return self.airflow.api.trigger(dag, str(period), **more)

    def ended(self, run: DagRun) -> Ran:
        """Wait until a run has ended."""
        until(lambda: self.now(run).finished, f"{run.dag} {run.run} ends")
        tasks = self.airflow.api.tasks(run)
        paths = {task.task: self.airflow.task_log(run, task) for task in tasks}
        logs = {name: path.read_text("utf-8") if path.is_file() else "" for name, path in paths.items()}
        errors = {name: error_in(path) for name, path in paths.items()}
        return Ran(self.now(run), {task.task: task.state for task in tasks}, logs, errors)

    def now(self, run: DagRun) -> DagRun:
        """A run as it stands now."""
        self.airflow.require_alive()
        return self.airflow.api.refreshed(run)

    def task_state(self, run: DagRun, task: str) -> str:
        """The state of a task of a run."""
        return next(one.state for one in self.airflow.api.tasks(run) if one.task == task)

    def let_run(self, dag: str) -> None:
        """Unpause a DAG, and wait until what its schedule starts at once has ended."""
        self.airflow.api.let_run(dag)
        time.sleep(1.5)
        until(
            lambda: all(one.finished for one in self.airflow.api.runs() if one.dag == dag), f"{dag} has nothing to do"
        )

    def ingest(self, population: Population, period: Period) -> None:
        """Ingest a period and check it."""
        ran = self.run(f"ingest_{population}", period)
        assert ran.run.state == "success", ran.errors

    def publish(self, release: str, period: Period) -> Ran:
        """Run an export to its end, approved on the way."""
        run = self.drawn(release, period)
        approve(release, str(period))
        return self.ended(run)

    def drawn(self, release: str, period: Period) -> DagRun:
        """Start an export, and wait until it waits for a reviewer."""
        run = self.start(f"export_{release}", period)
        self.await_review(run)
        return run

    def await_review(self, run: DagRun) -> None:
        """Wait until an export waits for a reviewer."""
        until(lambda: self.task_state(run, "validate") in ("success", "failed"), f"{run.dag} is drawn and checked")
        assert self.task_state(run, "validate") == "success"

    @contextlib.contextmanager
    def records(self) -> Iterator[sa.Connection]:
        """A transaction in Airflow's own database."""
        engine = sa.create_engine(self.airflow.database, poolclass=sa.NullPool)
        with engine.begin() as connection:
            yield connection

    def move_deadlines(self, run: DagRun) -> None:
        """Set the deadlines of a run into the past, in Airflow's database."""
        with self.records() as connection:
            moved = connection.execute(
                sa.text(
                    "UPDATE deadline SET deadline_time = '2026-01-01 00:00:00.000000' "
                    "WHERE dagrun_id = (SELECT id FROM dag_run WHERE dag_id = :dag AND run_id = :run)"
                ),
                {"dag": run.dag, "run": run.run},
            )
            assert moved.rowcount == 2

    def deadlines(self, run: DagRun) -> dict[int, str]:
        """What became of what Airflow called at the deadlines of a run: hours -> state."""
        with self.records() as connection:
            rows = connection.execute(
                sa.text(
                    "SELECT CAST(callback.data AS TEXT), callback.state FROM deadline "
                    "JOIN callback ON callback.id = callback_id JOIN dag_run ON dag_run.id = dagrun_id "
                    "WHERE dag_run.dag_id = :dag AND dag_run.run_id = :run"
                ),
                {"dag": run.dag, "run": run.run},
            ).all()
        return {int(hours): state for data, state in rows for hours in re.findall(r'"hours": (\d+)', data)}

    # Requests

    def ask(self, kind: str, who: str, named: str, *options: str) -> str:
        """Take a request in by the command line; its id."""
        done = demographics("subject", kind, who, *options, named=named)
        assert done.exit_code == 0, done.output
        return done.output.split()[0]

    def erase_visitor(self, address: str, period: Period) -> str:
        """Ask by the command line that a visitor of a period is erased; the request's id."""
        days = days_of(period)
        options = ("--since", days["since"], "--until", days["until"])
        return self.ask("erase", "visitor", f"address: {address}\nagent: {AGENT}\n", *options)

    def drop(self, name: str, *rows: Mapping[str, str]) -> Path:
        """Put a file of requests into the drop folder."""
        self.workspace.inbox.mkdir(mode=0o700, exist_ok=True)
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        path = self.workspace.inbox / name
        path.write_text(text.getvalue(), "utf-8")
        return path

    def enter(self, identity: str, **fields: str) -> None:
        """Put a request into the company's table of requests."""
        names = ("id", *fields)
        with sqlite3.connect(self.workspace.home / "sources" / "requests.db") as connection:
            columns = ", ".join(f'"{name}"' for name in names)
            values = [identity, *fields.values()]
            connection.execute(f"INSERT INTO requests ({columns}) VALUES ({', '.join('?' * len(names))})", values)

    @property
    def requests(self) -> list[RequestRow]:
        """All requests, without content."""
        return list(RequestStore.open(self.workspace).rows())

    def request(self, identity: str) -> RequestRow:
        """One of them."""
        return next(row for row in self.requests if row.id == identity)

    def report(self) -> dict[str, Any]:
        """The report on requests."""
        told: dict[str, Any] = json.loads((self.workspace.home / "reports/requests/report.json").read_bytes())
        return told

    # People

    def people(self, population: Population, period: Period) -> set[str]:
        """The pseudonyms of all whom staging of a period counts."""
        name = "persons" if population is CUSTOMERS else "events"
        return {row["person"] for row in rows_of(load_staging(self.workspace, population, period).table(name))}

    def pseudonym(self, population: Population, period: Period, named: str) -> str:
        """The pseudonym of somebody, by customer key, or by address and agent with a zero byte between."""
        return period_key(self.workspace, population, period, make=False).pseudonym(named)

    def country(self, customer: str) -> str:
        """The country of a customer in staging of the month."""
        persons = rows_of(load_staging(self.workspace, CUSTOMERS, MONTH).persons)
        person = self.pseudonym(CUSTOMERS, MONTH, customer)
        return next(str(row["country"]) for row in persons if row["person"] == person)

    def published_people(self, release: str, period: Period) -> int:
        """How many people a published release tells there are."""
        table = self.workspace.bundle(Audience.PARTNER, release, str(period), 1) / "by_country.parquet"
        rows = pq.read_table(table).to_pylist()
        return next(int(row["value"]) for row in rows if row["is_total"])

    @cached_property
    def sample_customers(self) -> list[tuple[str, str]]:
        """(customer key, e-mail address) of the sample's own customers whom October 2026 has, in their order."""
        with sqlite3.connect(self.workspace.home / "sources" / "customers.db") as connection:
            rows = connection.execute("SELECT customer_id, email FROM customers ORDER BY customer_id").fetchall()
        there = self.people(CUSTOMERS, MONTH)
        own = [(key, email) for key, email in rows if key != CUSTOMER]
        return [(key, email) for key, email in own if self.pseudonym(CUSTOMERS, MONTH, key) in there]


def demographics(*arguments: str, named: str = "") -> Result:
    """Run the command line in this process, with what names a person on its standard input."""
    return CliRunner().invoke(cli.main, arguments, input=named)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.3)


def settle(path: Path) -> None:
    """Wait until a file has lain in the drop folder for long enough to be taken."""
    time.sleep(max(0.0, path.stat().st_ctime + SETTLED - time.time()))


def days_of(period: Period) -> dict[str, str]:
    """First and last day of a period, as a visitor tells when an address was theirs."""
    return {"since": period.start.isoformat(), "until": (period.end - dt.timedelta(days=1)).isoformat()}


def visitor(address: str, period: Period, kind: str = "erase") -> dict[str, str]:
    """A row of a visitor who asks for something, of the days of a period."""
    return {"request": kind, "population": "visitors", "address": address, "agent": AGENT, **days_of(period)}


def customer(kind: str, **fields: str) -> dict[str, str]:
    """A row of a customer who asks for something."""
    return {"request": kind, "population": "customers", **fields}
