"""Bad input ends with a clear message and a telling exit code; nothing is published, nothing is spent."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline import flow
from pipeline.cli import main
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.sample import write_sample
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.reviewing import approve

RELEASES = Path(__file__).parents[2] / "dags" / "releases"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pristine")
    write_sample(home, lines=5_000, visitors=1_000, customers=500)
    shutil.copytree(RELEASES, home / "releases")
    return home


@pytest.fixture
def home(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "site"
    shutil.copytree(pristine, copy)
    for name in (HOME_VARIABLE, RELEASES_VARIABLE):
        monkeypatch.setenv(name, "")  # and what the program sets there goes when the test ends
    return copy


def demographics(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "--releases", str(home / "releases"), *arguments])


def edit(path: Path, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    document = yaml.safe_load(path.read_text("utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document), "utf-8")


def site(change: Callable[[dict], object]) -> Callable[[Path], None]:  # type: ignore[type-arg]
    return lambda home: edit(home / "site.yaml", change)


def specification(change: Callable[[dict], object]) -> Callable[[Path], None]:  # type: ignore[type-arg]
    return lambda home: edit(home / "releases" / "weekly_audience.yaml", change)


def malformed(home: Path) -> None:
    (home / "sources" / "logs" / "access.log.99").write_text("no line of a log\n" * 500, "utf-8")


def empty_logs(home: Path) -> None:
    shutil.rmtree(home / "sources" / "logs")
    (home / "sources" / "logs").mkdir()
    (home / "sources" / "logs" / "access.log").touch()


def truncated(home: Path) -> None:
    path = next((home / "sources" / "logs").glob("*.gz"))
    path.write_bytes(path.read_bytes()[:-200])


PLANTED = "quagmire@unmistakable.example"


def garbage(home: Path) -> None:
    (home / "sources" / "logs" / "access.log.99").write_bytes(f"{PLANTED} \x1b[2J\x9b =1+1\n".encode() * 500)


def pipe(home: Path) -> None:
    os.mkfifo(home / "sources" / "logs" / "access.log.pipe")


def bomb(home: Path) -> None:
    (home / "sources" / "logs" / "access.log.99").write_text(f'{{"{PLANTED}":{"[" * 100_000}\n' * 500)


def renamed_to_packed(home: Path) -> None:
    (home / "sources" / "logs" / "access.log.99.gz").write_text(f"{PLANTED}\n" * 500)


VISITORS = [
    (lambda home: shutil.rmtree(home / "sources"), 4, "access.log"),
    (empty_logs, 4, "at least one line"),
    (truncated, 4, "access.log"),
    (malformed, 4, "may be rejected"),
    (garbage, 4, "format 510 (sources/logs/access.log"),
    (bomb, 4, "format 510 (sources/logs/access.log"),
    (pipe, 4, "regular files"),
    (renamed_to_packed, 4, "access.log.99.gz"),
    (site(lambda d: d["visitors"]["logs"].append("sources")), 4, "regular files"),
    (lambda home: (home / "site.yaml").unlink(), 3, "site.yaml"),
    (site(lambda d: d.update(visitors={**d["visitors"], "format": "cobol"})), 3, "visitors.format"),
    (specification(lambda d: d["tables"][0].update(dimensions=["planet"])), 3, "Use some of"),
    (specification(lambda d: d["audiences"].update(press=["visitors_by_country"])), 3, "press"),
    (specification(lambda d: d["privacy"].update(k=1)), 3, "k must be a whole number from 2"),
    (specification(lambda d: d["privacy"].update(epsilon=0)), 3, "epsilon must be a positive"),
    (specification(lambda d: d["privacy"].update(epsilon=-2)), 3, "epsilon must be a positive"),
    (specification(lambda d: d["privacy"].update(epsilon=31)), 3, "yearly cap"),
]


@pytest.mark.parametrize(("spoil", "exit_code", "message"), VISITORS)
def test_visitors(home: Path, spoil: Callable[[Path], None], exit_code: int, message: str) -> None:
    spoil(home)
    result = demographics(home, "run", "weekly_audience", "--period", "2026-W41")
    assert_refused(home, result, exit_code, message)


def wrong_delimiter(home: Path) -> None:
    edit(home / "site.yaml", lambda d: d["customers"]["orders"]["source"].update(delimiter=";"))


def drop_column(home: Path) -> None:
    with sqlite3.connect(home / "sources" / "customers.db") as connection:
        connection.execute("ALTER TABLE customers DROP COLUMN country")


def no_table(home: Path) -> None:
    with sqlite3.connect(home / "sources" / "customers.db") as connection:
        connection.execute("ALTER TABLE customers RENAME TO clients")


def card_column(home: Path) -> None:
    path = home / "sources" / "orders.csv"
    path.write_text(path.read_text("utf-8").replace('"payment_reference"', '"card_number"', 1), "utf-8")


CUSTOMERS = [
    (lambda home: (home / "sources" / "customers.db").unlink(), 4, "customers.db"),
    (lambda home: (home / "sources" / "orders.csv").unlink(), 4, "orders.csv"),
    (lambda home: (home / "sources" / "customers.db").write_bytes(b"no database"), 4, "customers"),
    (wrong_delimiter, 4, "delimiter"),
    (drop_column, 4, "country"),
    (no_table, 4, "customers"),
    (card_column, 4, "card_number"),
]


@pytest.mark.parametrize(("spoil", "exit_code", "message"), CUSTOMERS)
def test_customers(home: Path, spoil: Callable[[Path], None], exit_code: int, message: str) -> None:
    spoil(home)
    result = demographics(home, "run", "monthly_customers", "--period", "2026-10")
    assert_refused(home, result, exit_code, message)


@pytest.mark.parametrize(
    ("period", "exit_code", "message"),
    [
        ("2026-W30", 5, "the logs cover 2026-10-05 to 2026-10-18"),
        ("2026-10", 3, "week"),
        ("last week", 3, "ISO week"),
    ],
)
def test_a_period_without_people_in_it(home: Path, period: str, exit_code: int, message: str) -> None:
    assert_refused(home, demographics(home, "run", "weekly_audience", "--period", period), exit_code, message)


@pytest.mark.parametrize(("room", "exit_code"), [("staging", 5), ("keys", 5), ("data_docs", 10), ("ledger.db", 7)])
def test_a_room_that_cannot_be_written(home: Path, room: str, exit_code: int) -> None:
    if room == "ledger.db":
        (home / room).mkdir()
    else:
        (home / room).write_text("a file where a folder should be", "utf-8")
    result = demographics(home, "run", "weekly_audience", "--period", "2026-W41")
    assert result.exit_code == exit_code, result.output + result.stderr
    assert "Stopped." in result.stderr


def test_output_that_cannot_be_written_keeps_the_release_and_publishes_later(home: Path) -> None:
    assert demographics(home, "run", "weekly_audience", "--period", "2026-W41").exit_code == 0
    approve("weekly_audience", "2026-W41")
    (home / "published").write_text("in the way", "utf-8")
    refused = demographics(home, "publish", "weekly_audience", "--period", "2026-W41")
    assert (refused.exit_code, "Stopped." in refused.stderr) == (10, True), refused.stderr
    (home / "published").unlink()
    before = Ledger.open(Workspace(home).ledger).entries()
    assert demographics(home, "publish", "weekly_audience", "--period", "2026-W41").exit_code == 0
    after = Ledger.open(Workspace(home).ledger).entries()[len(before) :]
    assert [entry.kind for entry in after if entry.kind is not EntryKind.SIGNING] == [EntryKind.PUBLISHED]


def test_an_error_of_the_program_does_not_show_what_it_held(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ValueError("zebulon.quagmire@unmistakable.example")

    monkeypatch.setattr(flow, "run", broken)
    result = demographics(home, "run", "weekly_audience", "--period", "2026-W41")
    assert result.exit_code == 70
    assert "ValueError at" in result.stderr
    assert "quagmire" not in result.output + result.stderr


def assert_refused(home: Path, result: Result, exit_code: int, message: str) -> None:
    assert result.exit_code == exit_code, f"{result.exit_code}: {result.output}{result.stderr}"
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output + result.stderr
    assert PLANTED not in result.output + result.stderr
    assert all(sign.isprintable() or sign == "\n" for sign in result.output + result.stderr)
    workspace = Workspace(home)
    assert not workspace.published.exists()
    assert Ledger.open(workspace.ledger).entries() == ()
