"""The 48 hours in which a request must be in force: who watches them, and what is told of them.

A request that cannot be used is watched like one that waits, and so is a file in the drop folder that was not taken in:
a deadline runs from when the company received the request, whatever is in its way.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.alerts import write_alert
from pipeline.errors import RequestError
from pipeline.publication import files
from pipeline.rights import pages
from pipeline.rights.requests import DEADLINE
from pipeline.rights.rows import RequestRow
from pipeline.rights.store import RequestStore
from pipeline.workspace import Workspace

WARNING: Final = dt.timedelta(hours=24)
SETTLED_SHOWN: Final = dt.timedelta(days=90)
NOT_TAKEN_IN: Final = "not taken in"
_HOUR: Final = dt.timedelta(hours=1)
_MOST_ROWS: Final = 200  # of a table on the page; the JSON has all
_MOST_NAMED: Final = 5


@dataclass(frozen=True)
class Age:
    """A request whose deadline runs, as it stands at a moment.

    Attributes:
        id: Of the request, or of its file in the drop folder: a number.
        kind: What is asked for; empty where that is not known yet.
        population: Of whom; empty where that is not known yet.
        state: ``open``, ``refused`` or ``not taken in``.
        received: When the company received it.
        age: For how long it has waited.
        reason: Why it was refused, or what is in its way; names nobody.
    """

    id: str
    kind: str
    population: str
    state: str
    received: dt.datetime
    age: dt.timedelta
    reason: str

    @property
    def left(self) -> dt.timedelta:
        """How long there is until it must be in force; negative when it is overdue."""
        return DEADLINE - self.age

    @property
    def overdue(self) -> bool:
        """Whether it should be in force."""
        return self.age >= DEADLINE

    @property
    def warned(self) -> bool:
        """Whether half of its time is over, and it is not overdue."""
        return WARNING <= self.age < DEADLINE

    @property
    def hours(self) -> float:
        """Its age in hours, to a tenth, cut off so that none reads as older than it is."""
        return self.age // (_HOUR / 10) / 10

    @property
    def hours_left(self) -> float:
        """What is left in hours, to a tenth."""
        return self.left // (_HOUR / 10) / 10


@dataclass(frozen=True)
class Settled:
    """A request that is in force, or was closed."""

    row: RequestRow
    took: dt.timedelta

    @property
    def hours(self) -> float:
        """From its receipt, in hours, to a tenth, rounded up."""
        return -(-self.took // (_HOUR / 10)) / 10

    @property
    def in_time(self) -> bool:
        """Whether that was within the deadline."""
        return self.took <= DEADLINE


@dataclass(frozen=True)
class Watch:
    """What was seen at a moment.

    Attributes:
        now: The moment.
        ages: Requests whose deadline runs, the oldest first.
        settled: Requests that were settled in the last 90 days, the newest first.
        report: The page that says so; ``report.json`` is beside it.
    """

    now: dt.datetime
    ages: tuple[Age, ...]
    settled: tuple[Settled, ...]
    report: Path

    @property
    def warned(self) -> tuple[Age, ...]:
        """Those past 24 hours and not past 48."""
        return tuple(age for age in self.ages if age.warned)

    @property
    def overdue(self) -> tuple[Age, ...]:
        """Those past 48 hours."""
        return tuple(age for age in self.ages if age.overdue)

    def require(self) -> None:
        """Fail where a request is overdue.

        Raises:
            RequestError: One is; names its id.
        """
        if late := self.overdue:
            raise RequestError(
                "a person's request must be in force within 48 hours",
                value=named(late),
                remedy=f"Read {self.report}, and settle each: correct what its reason says and run demographics "
                "subject apply, or retry or close it.",
            )


def named(ages: Iterable[Age]) -> str:
    """Some requests by id, age and state, the first few of them."""
    found = list(ages)
    words = [f"{age.id} ({age.state}, {age.hours:.1f} h)" for age in found[:_MOST_NAMED]]
    return ", ".join(words) + (f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else "")


def ages(rows: Iterable[RequestRow], now: dt.datetime) -> tuple[Age, ...]:
    """The ages of those whose deadline runs, the oldest first.

    Args:
        rows: Of the store, in any order and state.
        now: The moment, with a time zone.
    """
    found = (
        Age(row.id, row.kind, row.population, row.state.value, row.received, now - row.received, row.reason)
        for row in rows
        if row.waits
    )
    return tuple(sorted(found, key=lambda age: (age.received, age.id)))


def look(workspace: Workspace, now: dt.datetime) -> Watch:
    """See how old requests are, and write nothing."""
    rows = RequestStore.open(workspace).rows()
    waiting = sorted([*ages(rows, now), *_not_taken_in(workspace, now)], key=lambda age: (age.received, age.id))
    settled = [Settled(row, row.applied - row.received) for row in rows if row.applied and not row.waits]
    recent = [one for one in settled if one.row.applied and now - one.row.applied <= SETTLED_SHOWN]
    recent.sort(key=lambda one: (one.row.applied or now, one.row.id), reverse=True)
    return Watch(now, tuple(waiting), tuple(recent), reports(workspace) / "report.html")


def watch(workspace: Workspace, now: dt.datetime) -> Watch:
    """See how old requests are, and write it down in ``reports/requests/``: ``report.html`` and ``report.json``.

    Args:
        workspace: Whose.
        now: The moment, with a time zone.

    Raises:
        LedgerError: The ledger's database cannot be read.
        RequestError: The report cannot be written.
    """
    seen = look(workspace, now)
    page = pages.render(
        "deadlines.html.j2",
        watch=seen,
        most=_MOST_ROWS,
        warning=WARNING // _HOUR,
        deadline=DEADLINE // _HOUR,
        late=[one for one in seen.settled if not one.in_time],
    )
    _write(seen.report, page.encode())
    _write(seen.report.with_name("report.json"), json.dumps(_facts(seen), indent=2).encode())
    return seen


def alert(workspace: Workspace, now: dt.datetime, hours: int, run: str, state: str) -> Path:
    """Write down that a run of the DAG is past one of its deadlines: a file of its own in ``reports/requests/alerts``.

    Args:
        workspace: Whose.
        now: The moment.
        hours: After how many hours of the run.
        run: Its id, as Airflow made it.
        state: Its state, as Airflow has it.

    Returns:
        The file: the run, and how many requests are past which of their hours. It names nobody.

    Raises:
        LedgerError: The ledger's database cannot be read.
        RequestError: The report cannot be written.
        ConfigurationError: The alert cannot be written.
    """
    seen = watch(workspace, now)
    told = {
        "level": "failure" if is_failure(hours) else "warning",
        "run": run,
        "state": state,
        "waiting": len(seen.ages),
        f"past {WARNING // _HOUR} hours": len(seen.warned),
        f"past {DEADLINE // _HOUR} hours": len(seen.overdue),
        "oldest": seen.ages[0].id if seen.ages else None,
    }
    return write_alert(reports(workspace) / "alerts", now, hours, **told)


def is_failure(hours: int) -> bool:
    """Whether a run that has taken so many hours is a failure; up to the first deadline it is a warning."""
    return hours * _HOUR > WARNING


def reports(workspace: Workspace) -> Path:
    """Where reports on requests are."""
    return workspace.home / "reports" / "requests"


def _not_taken_in(workspace: Workspace, now: dt.datetime) -> Iterator[Age]:
    """Files in the drop folder, also those that a killed run took, by number: their names may name somebody."""
    if not workspace.inbox.is_dir():
        return
    waiting = []
    for path in workspace.inbox.iterdir():
        try:
            if path.is_file() and not path.name.startswith("."):
                waiting.append(dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC))
        except FileNotFoundError:
            continue  # taken in at this moment
    for number, received in enumerate(sorted(waiting), 1):
        reason = "a file in the drop folder; the log of the task that collects says why it is still there"
        # A file that says to be of tomorrow is as old as one of today.
        age = max(now - received, dt.timedelta(0))
        yield Age(f"file {number}", "", "", NOT_TAKEN_IN, received, age, reason)


def _facts(seen: Watch) -> dict[str, Any]:
    return {
        "at": seen.now.isoformat(timespec="seconds"),
        "warning_hours": WARNING // _HOUR,
        "deadline_hours": DEADLINE // _HOUR,
        "waiting": [
            {
                "id": age.id,
                "kind": age.kind,
                "population": age.population,
                "state": age.state,
                "received": age.received.isoformat(),
                "age_hours": age.hours,
                "hours_left": age.hours_left,
                "warned": age.warned,
                "overdue": age.overdue,
                "reason": age.reason,
            }
            for age in seen.ages
        ],
        "settled": [
            {
                "id": one.row.id,
                "kind": one.row.kind,
                "population": one.row.population,
                "state": one.row.state.value,
                "received": one.row.received.isoformat(),
                "hours": one.hours,
                "in_time": one.in_time,
                "outcome": one.row.outcome,
            }
            for one in seen.settled
        ],
    }


def _write(path: Path, content: bytes) -> None:
    try:
        files.replace(path, content)
    except OSError as failure:
        raise RequestError(
            "the report on people's requests must be writable",
            value=f"{failure.strerror or type(failure).__name__} under {path.parent}",
            remedy="Check permissions and free space there.",
        ) from None
