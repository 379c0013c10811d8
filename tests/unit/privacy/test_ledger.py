"""What a ledger holds to, on SQLite and on PostgreSQL alike."""

import datetime as dt
import subprocess
import sys

import pytest
import sqlalchemy as sa

from pipeline.errors import BudgetError, LedgerError
from pipeline.privacy.accountant import Charge
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

CAP = BudgetCap(epsilon=3.05, delta=1e-5)
KEY = ReleaseKey("weekly", "2026-W41")
SECOND = ReleaseKey("weekly", "2026-W41", 2)


def reservation(week: int = 0, epsilon: float = 1.0, digest: str = "a" * 64, revises: str = "") -> Reservation:
    start = dt.date(2026, 10, 5) + dt.timedelta(weeks=week)
    return Reservation(
        population=Population.VISITORS,
        period_start=start,
        period_end=start + dt.timedelta(weeks=1),
        specification_sha256=digest,
        charge=Charge(counts={f"{epsilon:g}": 1}, pure={}, delta=1e-9),
        revises=revises,
    )


def key(week: int) -> ReleaseKey:
    return ReleaseKey("weekly", f"week {week}")


@pytest.fixture
def ledger(address: str) -> Ledger:
    return Ledger.open(address)


def drawn(ledger: Ledger) -> Ledger:
    ledger.reserve(KEY, reservation(), CAP)
    ledger.record_draw(KEY, b"tables")
    return ledger


def behind_the_back(address: str, *statements: str) -> None:
    """Do as somebody does who can write to the database and knows nothing of ledgers."""
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def unguarded(address: str, table: str, change: str) -> str:
    """The statement that removes a trigger."""
    return f"DROP TRIGGER {table}_keep_{change}" + (f" ON {table}" if "postgresql" in address else "")


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


def test_what_another_program_reserved_in_between_counts(ledger: Ledger, address: str) -> None:
    ledger.reserve(key(0), reservation(0), CAP)
    assert len(ledger.reservations()) == 1
    other = Ledger.open(address)
    for week in (1, 2):
        other.reserve(key(week), reservation(week), CAP)
    with pytest.raises(BudgetError):
        ledger.reserve(key(3), reservation(3), CAP)


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


def test_what_is_drawn_is_returned_even_if_this_program_would_charge_it_otherwise(ledger: Ledger) -> None:
    ledger.reserve(KEY, reservation(), CAP)
    with pytest.raises(LedgerError, match="draw it with that one"):
        ledger.reserve(KEY, reservation(epsilon=0.5), CAP)
    ledger.record_draw(KEY, b"tables")
    assert ledger.reserve(KEY, reservation(epsilon=0.5), CAP) is False
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
        "UPDATE artefacts SET content = ''",
        "DELETE FROM artefacts",
    ],
)
def test_the_database_refuses_changes(ledger: Ledger, address: str, statement: str) -> None:
    drawn(ledger)
    with pytest.raises(sa.exc.DBAPIError, match="the ledger is append-only"):
        behind_the_back(address, statement)
    assert ledger.artefact(KEY) == b"tables"


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["entries", "artefacts"])
def test_a_table_is_not_emptied_at_one_stroke(ledger: Ledger, address: str, table: str) -> None:
    drawn(ledger)
    with pytest.raises(sa.exc.DBAPIError, match="the ledger is append-only"):
        behind_the_back(address, f"TRUNCATE {table}")
    assert ledger.artefact(KEY) == b"tables"


@pytest.mark.parametrize(
    ("change", "statement"),
    [
        ("update", "UPDATE entries SET payload = replace(payload, '2026-10-05', '2020-10-05') WHERE number = 1"),
        ("delete", "DELETE FROM entries WHERE number = 1"),
    ],
)
def test_a_change_behind_the_triggers_breaks_the_chain(
    ledger: Ledger, address: str, change: str, statement: str
) -> None:
    for week in range(2):
        ledger.reserve(key(week), reservation(week), CAP)
    behind_the_back(address, unguarded(address, "entries", change), statement)
    with pytest.raises(LedgerError, match="a break at entry 1"):
        ledger.entries()


def test_a_drawn_release_whose_tables_are_gone_fails_closed(ledger: Ledger, address: str) -> None:
    drawn(ledger)
    behind_the_back(address, unguarded(address, "artefacts", "delete"), "DELETE FROM artefacts")
    with pytest.raises(LedgerError, match="Restore the ledger"):
        ledger.artefact(KEY)
    with pytest.raises(LedgerError, match="Restore the ledger"):
        ledger.record_draw(KEY, b"others")


def test_the_same_verdicts_are_recorded_once_and_others_beside_them(ledger: Ledger) -> None:
    drawn(ledger)
    for content in (b"[1]", b"[1]", b"[2]", b"[1]"):
        ledger.record_checks(KEY, content, passed=True)
    kinds = [entry.kind for entry in ledger.entries()]
    assert kinds.count(EntryKind.CHECKED) == 3
    assert ledger.checks(KEY) == b"[1]"


def test_a_state_follows_the_way_of_a_release(ledger: Ledger) -> None:
    assert ledger.state(KEY) is None
    ledger.reserve(KEY, reservation(), CAP)
    assert ledger.state(KEY) is EntryKind.RESERVED
    ledger.record_draw(KEY, b"tables")
    assert ledger.state(KEY) is EntryKind.DRAWN
    ledger.record_checks(KEY, b"[]", passed=True)
    assert ledger.state(KEY) is EntryKind.CHECKED
    for kind in (EntryKind.APPROVED, EntryKind.REJECTED, EntryKind.PUBLISHED, EntryKind.WITHDRAWN):
        ledger.record(kind, KEY, {})
        assert ledger.state(KEY) is kind


def test_checks_of_a_later_day_leave_what_is_published_published(ledger: Ledger) -> None:
    drawn(ledger).record(EntryKind.PUBLISHED, KEY, {})
    ledger.record_checks(KEY, b"[2]", passed=True)
    assert ledger.state(KEY) is EntryKind.PUBLISHED


def test_only_what_was_published_can_be_withdrawn_and_once(ledger: Ledger) -> None:
    drawn(ledger)
    with pytest.raises(LedgerError, match="must be published before it is withdrawn"):
        ledger.record(EntryKind.WITHDRAWN, KEY, {"reason": "wrong week"})
    ledger.record(EntryKind.PUBLISHED, KEY, {})
    assert ledger.record(EntryKind.WITHDRAWN, KEY, {"reason": "wrong week"}) is True
    assert ledger.record(EntryKind.WITHDRAWN, KEY, {"reason": "another"}) is False
    withdrawn = ledger.newest(EntryKind.WITHDRAWN, KEY)
    assert withdrawn is not None
    assert withdrawn.payload == {"reason": "wrong week"}


@pytest.mark.parametrize("kind", [EntryKind.APPROVED, EntryKind.REJECTED])
def test_nothing_is_decided_of_what_is_withdrawn(ledger: Ledger, kind: EntryKind) -> None:
    drawn(ledger).record(EntryKind.PUBLISHED, KEY, {})
    ledger.record(EntryKind.WITHDRAWN, KEY, {})
    with pytest.raises(LedgerError, match=f"a withdrawn release is not {kind} again"):
        ledger.record(kind, KEY, {})


def test_the_stages_act_on_the_newest_revision_that_was_drawn(ledger: Ledger) -> None:
    assert ledger.standing("weekly", "2026-W41") == KEY
    drawn(ledger)
    ledger.reserve(SECOND, reservation(revises="late log files"), CAP)
    assert ledger.standing("weekly", "2026-W41") == KEY
    ledger.record_draw(SECOND, b"other tables")
    assert ledger.standing("weekly", "2026-W41") == SECOND
    assert ledger.artefact(KEY) == b"tables"


def test_a_revision_is_charged_like_any_release(ledger: Ledger) -> None:
    drawn(ledger)
    for number in (2, 3):
        ledger.reserve(ReleaseKey("weekly", "2026-W41", number), reservation(revises=f"reason {number}"), CAP)
        ledger.record_draw(ReleaseKey("weekly", "2026-W41", number), b"tables")
    with pytest.raises(BudgetError):
        ledger.reserve(ReleaseKey("weekly", "2026-W41", 4), reservation(revises="reason 4"), CAP)


def test_a_reason_to_revise_makes_one_revision_however_often_it_is_tried(ledger: Ledger) -> None:
    drawn(ledger)
    assert ledger.revision_for("weekly", "2026-W41", "late log files") == SECOND
    ledger.reserve(SECOND, reservation(revises="late log files"), CAP)
    assert ledger.revision_for("weekly", "2026-W41", "late log files") == SECOND
    assert ledger.reserve(SECOND, reservation(revises="late log files"), CAP) is False
    ledger.record_draw(SECOND, b"other tables")
    assert ledger.revision_for("weekly", "2026-W41", "late log files") == SECOND
    assert ledger.revision_for("weekly", "2026-W41", "a lost column") == ReleaseKey("weekly", "2026-W41", 3)


def test_a_reason_whose_revision_was_revised_since_is_refused(ledger: Ledger) -> None:
    drawn(ledger)
    for number in (2, 3):
        ledger.reserve(ReleaseKey("weekly", "2026-W41", number), reservation(revises=f"reason {number}"), CAP)
        ledger.record_draw(ReleaseKey("weekly", "2026-W41", number), b"tables")
    with pytest.raises(LedgerError, match=r"one revision, got the reason of .*r2, and .*r3 is newer"):
        ledger.revision_for("weekly", "2026-W41", "reason 2")


def test_what_was_never_drawn_is_not_revised(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="must have been drawn"):
        ledger.revision_for("weekly", "2026-W41", "late log files")
    ledger.reserve(KEY, reservation(), CAP)
    with pytest.raises(LedgerError, match="must have been drawn"):
        ledger.revision_for("weekly", "2026-W41", "late log files")
    with pytest.raises(LedgerError, match="must have been drawn"):
        ledger.reserve(SECOND, reservation(revises="late log files"), CAP)


def test_a_revision_that_waits_to_be_drawn_is_not_overtaken_by_another(ledger: Ledger) -> None:
    drawn(ledger)
    ledger.reserve(SECOND, reservation(revises="late log files"), CAP)
    with pytest.raises(LedgerError, match=r"r2, reserved only.*'late log files'"):
        ledger.revision_for("weekly", "2026-W41", "a lost column")
    with pytest.raises(LedgerError, match=r"another revises.*'late log files'"):
        ledger.reserve(SECOND, reservation(revises="a lost column"), CAP)
    with pytest.raises(LedgerError, match="another specification_sha256"):
        ledger.reserve(SECOND, reservation(revises="late log files", digest="b" * 64), CAP)


@pytest.mark.parametrize(("number", "reason"), [(1, "late log files"), (2, "")])
def test_a_revision_has_a_reason_and_a_first_release_has_none(ledger: Ledger, number: int, reason: str) -> None:
    drawn(ledger)
    other = ReleaseKey("weekly" if number > 1 else "monthly", "2026-W41", number)
    with pytest.raises(LedgerError, match="has a reason"):
        ledger.reserve(other, reservation(revises=reason), CAP)


# Runs in an interpreter of its own, which forks before any library has started threads.
RACE = """
import multiprocessing, os, sys
import alembic.command
import dp_accounting.pld.privacy_loss_distribution
import sqlalchemy.dialects.postgresql.psycopg
from pipeline.errors import BudgetError
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey

address, reservations = sys.argv[1], [Reservation.model_validate_json(text) for text in sys.argv[3:]]
cap = BudgetCap.model_validate_json(sys.argv[2])

def race(number, start):
    week = number % len(reservations)
    start.wait()
    ledger, key = Ledger.open(address), ReleaseKey("weekly", f"week {week}")
    try:
        ledger.reserve(key, reservations[week], cap)
    except BudgetError:
        return
    told = ledger.record_draw(key, f"draw of {number}".encode()).decode()
    os.write(1, f"{week}:{told}\\n".encode())  # one line in one piece

context = multiprocessing.get_context("fork")
start = context.Barrier(32)
racers = [context.Process(target=race, args=(number, start)) for number in range(32)]
for racer in racers:
    racer.start()
for racer in racers:
    racer.join()
sys.exit(any(racer.exitcode for racer in racers))
"""


def raced(address: str, weeks: int) -> list[str]:
    """Let 32 processes open a new ledger at once, reserve a week each and draw it; what each was told."""
    asked = [reservation(week).model_dump_json() for week in range(weeks)]
    command = [sys.executable, "-c", RACE, address, CAP.model_dump_json(), *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.split("\n")[:-1])


def test_32_racing_writers_never_overdraw_and_never_draw_twice(address: str) -> None:
    told = raced(address, weeks=8)
    ledger = Ledger.open(address)
    assert ledger.spent(Population.VISITORS, dt.date(2026, 12, 31), CAP).epsilon <= CAP.epsilon
    reserved = [entry.key for entry in ledger.entries() if entry.kind is EntryKind.RESERVED]
    assert len(reserved) == len(set(reserved)) == 3
    drawn = {f"{one.period.removeprefix('week ')}:{(ledger.artefact(one) or b'').decode()}" for one in reserved}
    # Every one of the twelve racers of these weeks was told the one draw that stands.
    assert told == sorted(line for line in drawn for _ in range(4))


def test_32_processes_drawing_one_release_get_one_draw_for_one_charge(address: str) -> None:
    told = raced(address, weeks=1)
    assert len(told) == 32
    assert len(set(told)) == 1
    kinds = [entry.kind for entry in Ledger.open(address).entries()]
    assert kinds == [EntryKind.RESERVED, EntryKind.DRAWN]
