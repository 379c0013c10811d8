"""What ``make run`` does after the installation, on a small sample: real Airflow, twice, and once into an error."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipeline.errors import DemographicsError
from pipeline.local.airflow import DAGS
from pipeline.local.summary import Summary
from pipeline.local.up import up
from pipeline.periods import Period
from pipeline.privacy.ledger import Ledger
from pipeline.publication.verify import verify_bundle
from pipeline.sample import write_sample
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

pytestmark = pytest.mark.airflow

PERIODS = ((Population.CUSTOMERS, Period.parse("2026-10")), (Population.VISITORS, Period.parse("2026-W41")))
RELEASES = DAGS / "releases"


@dataclass(frozen=True)
class Ran:
    summary: Summary
    told: str
    listening: frozenset[str]
    left_running: int
    published: dict[str, bytes]
    entries: int


def run_once(workspace: Workspace) -> Ran:
    output = io.StringIO()
    with watched_sockets() as listening:
        summary = up(workspace, PERIODS, RELEASES, Console(file=output, width=160))
    left = len(children())
    entries = len(Ledger.open(workspace.ledger).entries())
    return Ran(summary, output.getvalue(), frozenset(listening), left, published_files(workspace), entries)


# What tests before these have started and still use: a database, and the tracker of Python's own multiprocessing.
EARLIER: set[psutil.Process] = set()


@pytest.fixture(scope="module", autouse=True)
def earlier() -> None:
    EARLIER.update(psutil.Process().children(recursive=True))


def children() -> list[psutil.Process]:
    """What these tests started, but for the database that others share, which may be given new workers."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child not in EARLIER and child.name() != "postgres":
                found.append(child)
    return found


@contextmanager
def watched_sockets() -> Iterator[set[str]]:
    """Collect the addresses on which anything that this process started listens."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            ours = {child.pid for child in children()}
            for socket in psutil.net_connections("inet"):
                if socket.laddr and socket.pid in ours and socket.status == psutil.CONN_LISTEN:
                    seen.add(socket.laddr[0])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def published_files(workspace: Workspace) -> dict[str, bytes]:
    files = (path for path in workspace.published.rglob("*") if path.is_file())
    return {str(path.relative_to(workspace.published)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = tmp_path_factory.mktemp("site")
    write_sample(home, lines=30_000, visitors=4_000, customers=3_000)
    return Workspace(home)


@pytest.fixture(scope="module")
def first(workspace: Workspace) -> Ran:
    return run_once(workspace)


@pytest.fixture(scope="module")
def second(workspace: Workspace, first: Ran) -> Ran:
    return run_once(workspace)


def test_every_release_is_published_to_every_audience_and_verifies(workspace: Workspace, first: Ran) -> None:
    keys = {str(release.key) for release in first.summary.releases}
    assert keys == {"monthly_customers/2026-10/r1", "weekly_audience/2026-W41/r1", "weekly_movements/2026-W41/r1"}
    for release in first.summary.releases:
        assert len(release.bundles) == 4
        assert release.report.is_file()
        for bundle in release.bundles.values():
            verify_bundle(bundle, None)


def test_the_summary_tells_what_a_person_wants_to_know(first: Ran) -> None:
    for words in (
        "The sources are synthetic",
        "visitor logs",
        "format",  # a reason for rejecting lines
        "People counted",
        "Noisy on purpose",
        "Visitors by country and operating system",
        "withheld",
        "the year to",
        "by a script, not by a person",
        "drawn now",
        "report.html",
        "bundle for partners",
    ):
        assert words in first.told


def test_people_are_counted_near_the_truth_of_the_sample(first: Ran) -> None:
    people = {release.key.release: release.people for release in first.summary.releases}
    customers = people["monthly_customers"]
    assert customers is not None
    # Of three thousand, some opted out, and some are bound by no version of the policy that has advertisers.
    assert abs(customers.value - 2_700) < 300
    assert customers.low <= customers.value <= customers.high


def test_budget_is_spent_once_for_each_release(first: Ran) -> None:
    assert first.summary.reserved_now == 3
    assert all(0 < budget.spent_epsilon < budget.cap_epsilon for budget in first.summary.budgets)


def test_a_second_run_gives_the_same_bytes_and_spends_nothing(first: Ran, second: Ran) -> None:
    assert second.published == first.published
    assert second.entries == first.entries
    assert second.summary.reserved_now == 0
    assert all(release.unchanged and not release.drawn_now for release in second.summary.releases)
    assert second.told.count("byte for byte") == 3
    assert "Nothing was spent." in second.told


def test_nothing_listens_beyond_this_machine_and_nothing_is_left_running(first: Ran, second: Ran) -> None:
    for ran in (first, second):
        assert ran.listening == {"127.0.0.1"}
        assert ran.left_running == 0


def test_a_failing_task_stops_the_run_with_its_own_message_and_its_log(workspace: Workspace, second: Ran) -> None:
    with pytest.raises(DemographicsError) as stopped:
        up(workspace, [(Population.VISITORS, Period.parse("2026-W30"))], RELEASES, Console(file=io.StringIO()))
    message = str(stopped.value)
    assert "finish of ingest_visitors must succeed for 2026-W30" in message
    log = Path(message.rpartition("Its log: ")[2])
    assert log.is_file()
    assert "2026-W30" in log.read_text()
    assert published_files(workspace) == second.published
    assert children() == []
