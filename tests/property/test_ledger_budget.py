"""Whatever is reserved in whatever order, no rolling year of any population costs more than its cap."""

import datetime as dt
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BudgetError
from pipeline.privacy.accountant import Charge, compose
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

CAP = BudgetCap(epsilon=2.5, delta=1e-6)
ROOMY = BudgetCap(epsilon=100, delta=1e-4)
FIRST = dt.date(2026, 1, 5)


@st.composite
def reservations(draw: st.DrawFn) -> Reservation:
    start = FIRST + dt.timedelta(weeks=draw(st.integers(0, 110)))
    return Reservation(
        population=draw(st.sampled_from(Population)),
        period_start=start,
        period_end=start + dt.timedelta(weeks=1),
        specification_sha256="a" * 64,
        charge=Charge(
            counts={draw(st.sampled_from(["0.25", "0.5", "1"])): draw(st.integers(1, 2))},
            pure={},
            delta=draw(st.sampled_from([1e-9, 4e-7])),
        ),
    )


def costs(reserved: Sequence[Reservation], population: Population, year_to: dt.date, cap: BudgetCap) -> float:
    """Epsilon of a year, computed from the reservations alone."""
    year = [one for one in reserved if one.population is population]
    within = [one.charge for one in year if dt.timedelta() <= year_to - one.period_end < dt.timedelta(days=365)]
    return compose(within, cap.delta).epsilon


def reserved_of(asked: Sequence[Reservation], cap: BudgetCap) -> tuple[Ledger, list[Reservation]]:
    """A ledger that was asked for these one after the other, and those it granted."""
    ledger, granted = Ledger.in_memory(), []
    for number, one in enumerate(asked):
        try:
            ledger.reserve(ReleaseKey("weekly", str(number)), one, cap)
            granted.append(one)
        except BudgetError:
            continue
    return ledger, granted


@settings(max_examples=60, deadline=None)
@given(st.lists(reservations(), max_size=9), st.integers(0, 900))
def test_no_year_is_ever_overdrawn(asked: list[Reservation], day: int) -> None:
    ledger, granted = reserved_of(asked, CAP)
    for year_to in {FIRST + dt.timedelta(days=day), *(one.period_end for one in asked)}:
        for population in Population:
            spent = ledger.spent(population, year_to, CAP).epsilon
            assert spent == costs(granted, population, year_to, CAP)
            assert spent <= CAP.epsilon


@settings(max_examples=60, deadline=None)
@given(st.lists(reservations(), min_size=1, max_size=9))
def test_nothing_is_refused_that_fits(asked: list[Reservation]) -> None:
    *before, last = asked
    ledger, granted = reserved_of(before, CAP)
    together = [*granted, last]
    fits = all(costs(together, last.population, one.period_end, CAP) <= CAP.epsilon for one in together)
    try:
        ledger.reserve(ReleaseKey("weekly", "last"), last, CAP)
        assert fits
    except BudgetError:
        assert not fits


@settings(max_examples=40, deadline=None)
@given(st.lists(reservations(), max_size=6), st.randoms(use_true_random=False))
def test_totals_are_the_same_in_any_order(asked: list[Reservation], order: Random) -> None:
    shuffled = list(asked)
    order.shuffle(shuffled)
    first, second = (reserved_of(some, ROOMY)[0] for some in (asked, shuffled))
    for one in asked:
        assert first.spent(one.population, one.period_end, ROOMY) == second.spent(one.population, one.period_end, ROOMY)
