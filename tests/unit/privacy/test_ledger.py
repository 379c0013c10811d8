import datetime as dt
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BudgetError, LedgerError
from pipeline.privacy.accountant import Charge
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

CAP = BudgetCap(epsilon=3.05, delta=1e-5)
KEY = ReleaseKey("weekly", "2026-W41")


def reservation(week: int = 0, epsilon: float = 1.0, digest: str = "a" * 64) -> Reservation:
    start = dt.date(2026, 10, 5) + dt.timedelta(weeks=week)
    return Reservation(
        population=Population.VISITORS,
        period_start=start,
        period_end=start + dt.timedelta(weeks=1),
        specification_sha256=digest,
        charge=Charge(counts={f"{epsilon:g}": 1}, pure={}, delta=1e-9),
    )


def key(week: int) -> ReleaseKey:
    return ReleaseKey("weekly", f"week {week}")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger.db")


def test_a_reservation_is_charged_once(ledger: Ledger) -> None:
    assert ledger.reserve(KEY, reservation(), CAP) is True
    spent = ledger.spent(Population.VISITORS, dt.date(2026, 12, 31), CAP)
    assert ledger.reserve(KEY, reservation(), CAP) is False
    assert ledger.spent(Population.VISITORS, dt.date(2026, 12, 31), CAP) == spent
    assert len(ledger.entries()) == 1


def test_a_reservation_beyond_the_cap_is_refused_and_changes_nothing(ledger: Ledger) -> None:
    for week in range(3):
        ledger.reserve(key(week), reservation(week), CAP)
    before = ledger.entries()
    with pytest.raises(BudgetError, match=r"at most epsilon=3\.05 .* was left"):
        ledger.reserve(key(3), reservation(3), CAP)
    assert ledger.entries() == before


def test_a_backfilled_period_counts_in_the_years_after_it(ledger: Ledger) -> None:
    for week in range(3):
        ledger.reserve(key(week), reservation(week), CAP)
    with pytest.raises(BudgetError):
        ledger.reserve(key(-4), reservation(-4), CAP)


def test_what_is_over_a_year_old_no_longer_counts(ledger: Ledger) -> None:
    for week in range(3):
        ledger.reserve(key(week), reservation(week), CAP)
    assert ledger.reserve(key(60), reservation(60), CAP)


def test_another_population_has_a_budget_of_its_own(ledger: Ledger) -> None:
    for week in range(3):
        ledger.reserve(key(week), reservation(week), CAP)
    other = reservation(3).model_copy(update={"population": Population.CUSTOMERS})
    assert ledger.reserve(key(3), other, CAP)


def test_a_changed_specification_does_not_pass_for_the_one_that_was_reserved(ledger: Ledger) -> None:
    ledger.reserve(KEY, reservation(), CAP)
    with pytest.raises(LedgerError, match="another specification_sha256"):
        ledger.reserve(KEY, reservation(digest="b" * 64), CAP)


def test_the_first_draw_stands(ledger: Ledger) -> None:
    ledger.reserve(KEY, reservation(), CAP)
    assert ledger.record_draw(KEY, b"first") == b"first"
    assert ledger.record_draw(KEY, b"second") == b"first"
    assert ledger.artefact(KEY) == b"first"


def test_nothing_is_drawn_without_a_reservation(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="reserved before"):
        ledger.record_draw(KEY, b"first")
    assert ledger.artefact(KEY) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET payload = '{}'",
        "DELETE FROM entries",
        "UPDATE artefacts SET content = x'00'",
        "DELETE FROM artefacts",
    ],
)
def test_the_database_refuses_changes(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    ledger.reserve(KEY, reservation(), CAP)
    ledger.record_draw(KEY, b"tables")
    with (
        sqlite3.connect(tmp_path / "ledger.db") as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET payload = replace(payload, '2026-10-05', '2020-10-05') WHERE number = 1",
        "DELETE FROM entries WHERE number = 1",
    ],
)
def test_a_change_behind_the_triggers_breaks_the_chain(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    for week in range(2):
        ledger.reserve(key(week), reservation(week), CAP)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.executescript("DROP TRIGGER entries_keep_update; DROP TRIGGER entries_keep_delete;")
        connection.execute(statement)
    with pytest.raises(LedgerError, match="a break at entry 1"):
        ledger.entries()


def test_a_drawn_release_whose_tables_are_gone_fails_closed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.reserve(KEY, reservation(), CAP)
    ledger.record_draw(KEY, b"tables")
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.executescript("DROP TRIGGER artefacts_keep_delete; DELETE FROM artefacts;")
    with pytest.raises(LedgerError, match="Restore the ledger"):
        ledger.artefact(KEY)
    with pytest.raises(LedgerError, match="Restore the ledger"):
        ledger.record_draw(KEY, b"others")


def test_the_same_verdicts_are_recorded_once_and_others_beside_them(ledger: Ledger) -> None:
    ledger.reserve(KEY, reservation(), CAP)
    ledger.record_draw(KEY, b"tables")
    for content in (b"[1]", b"[1]", b"[2]", b"[1]"):
        ledger.record_checks(KEY, content, passed=True)
    kinds = [entry.kind for entry in ledger.entries()]
    assert kinds.count(EntryKind.CHECKED) == 3
    assert ledger.checks(KEY) == b"[1]"


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="readable, writable"):
        Ledger.open(tmp_path / "missing" / "ledger.db")


# Runs in an interpreter of its own, which forks before any library has started threads.
RACE = """
import multiprocessing, sys
import dp_accounting.pld.privacy_loss_distribution
from pathlib import Path
from pipeline.errors import BudgetError
from pipeline.privacy.ledger import Ledger, Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey

path, reservations = Path(sys.argv[1]), [Reservation.model_validate_json(text) for text in sys.argv[3:]]
cap = BudgetCap.model_validate_json(sys.argv[2])

def race(number):
    week = number % len(reservations)
    ledger, key = Ledger.open(path), ReleaseKey("weekly", f"week {week}")
    try:
        ledger.reserve(key, reservations[week], cap)
    except BudgetError:
        return
    print(week, ledger.record_draw(key, f"draw of {number}".encode()).decode(), sep=":", flush=True)

context = multiprocessing.get_context("fork")
racers = [context.Process(target=race, args=(number,)) for number in range(32)]
for racer in racers:
    racer.start()
for racer in racers:
    racer.join()
sys.exit(any(racer.exitcode for racer in racers))
"""


def test_racing_writers_never_overdraw_and_never_draw_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    asked = [reservation(week).model_dump_json() for week in range(8)]
    command = [sys.executable, "-c", RACE, str(path), CAP.model_dump_json(), *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert ledger.spent(Population.VISITORS, dt.date(2026, 12, 31), CAP).epsilon <= CAP.epsilon
    reserved = [entry.key for entry in ledger.entries() if entry.kind is EntryKind.RESERVED]
    assert len(reserved) == len(set(reserved)) == 3
    drawn = {f"{one.period.removeprefix('week ')}:{(ledger.artefact(one) or b'').decode()}" for one in reserved}
    # Every one of the twelve racers of these weeks was told the one draw that stands.
    assert sorted(done.stdout.split("\n")[:-1]) == sorted(line for line in drawn for _ in range(4))
