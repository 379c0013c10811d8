"""What a ledger adds up to, by period and by release."""

import datetime as dt

import pytest

from pipeline.privacy.accountant import Charge, compose
from pipeline.privacy.balance import MOST_PERIODS, around, by_period, by_release, periods_of
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

CAP = BudgetCap(epsilon=20, delta=1e-5)
CHARGE = Charge(counts={"0.5": 1}, pure={}, delta=1e-9)
VISITORS, CUSTOMERS = Population.VISITORS, Population.CUSTOMERS


def reserve(ledger: Ledger, key: ReleaseKey, week: int, population: Population = VISITORS, revises: str = "") -> None:
    start = dt.date(2026, 1, 5) + dt.timedelta(weeks=week)
    reservation = Reservation(
        population=population,
        period_start=start,
        period_end=start + dt.timedelta(weeks=1),
        specification_sha256="a" * 64,
        charge=CHARGE,
        revises=revises,
    )
    ledger.reserve(key, reservation, CAP)


def epsilon(releases: int) -> float:
    return compose([CHARGE] * releases, CAP.delta).epsilon


@pytest.fixture
def ledger() -> Ledger:
    """Two releases of week 0, of which one was revised, one of week 1, and one about others."""
    made = Ledger.in_memory()
    reserve(made, ReleaseKey("weekly", "week 1"), 1)
    reserve(made, ReleaseKey("weekly", "week 0"), 0)
    reserve(made, ReleaseKey("trends", "week 0"), 0)
    made.record_draw(ReleaseKey("weekly", "week 0"), b"tables")
    reserve(made, ReleaseKey("weekly", "week 0", 2), 0, revises="a log file came late")
    reserve(made, ReleaseKey("buyers", "week 0"), 0, CUSTOMERS)
    return made


def test_a_period_costs_what_all_its_releases_and_revisions_cost_together(ledger: Ledger) -> None:
    reservations = ledger.reservations()
    assert tuple(periods_of(reservations, VISITORS)) == ("week 0", "week 1")
    first, second = by_period(reservations, VISITORS, CAP, ("week 0", "week 1"))
    assert (first.releases, first.epsilon, first.year_epsilon) == (3, epsilon(3), epsilon(3))
    assert (second.releases, second.epsilon, second.year_epsilon) == (1, epsilon(1), epsilon(4))
    assert second.left == CAP.epsilon - epsilon(4)


def test_a_release_stands_with_its_own_cost_and_state(ledger: Ledger) -> None:
    rows = by_release(ledger, {VISITORS: CAP})
    assert [str(row.key) for row in rows] == [
        "trends/week 0/r1",
        "weekly/week 0/r1",
        "weekly/week 0/r2",
        "weekly/week 1/r1",
    ]
    assert [row.state for row in rows] == [
        EntryKind.RESERVED,
        EntryKind.DRAWN,
        EntryKind.RESERVED,
        EntryKind.RESERVED,
    ]
    assert {row.epsilon for row in rows} == {epsilon(1)}
    assert [row.revises for row in rows] == ["", "", "a log file came late", ""]


def test_the_periods_about_one_share_a_year_with_it() -> None:
    made = Ledger.in_memory()
    for week in (-60, -51, -1, 0, 51, 60):
        reserve(made, ReleaseKey("weekly", f"week {week}"), week)
    near = around(made.reservations(), VISITORS, "week 0")
    assert near == ("week -51", "week -1", "week 0", "week 51")
    assert around(made.reservations(), CUSTOMERS, "week 0") == ()


def test_of_many_periods_the_nearest_are_shown() -> None:
    made = Ledger.in_memory()
    for day in range(80):
        start = dt.date(2026, 1, 1) + dt.timedelta(days=day)
        one = Reservation(
            population=VISITORS,
            period_start=start,
            period_end=start + dt.timedelta(days=1),
            specification_sha256="a" * 64,
            charge=Charge(counts={"0.01": 1}, pure={}, delta=0),
        )
        made.reserve(ReleaseKey("daily", f"day {day}"), one, BudgetCap(epsilon=1e6, delta=0.5))
    near = around(made.reservations(), VISITORS, "day 79")
    assert near == tuple(f"day {day}" for day in range(80 - MOST_PERIODS, 80))
