"""What releases have cost, as pages show it. Composing takes seconds the first time, so it is never in a page's way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import cast

from pipeline.portal.archive import Archive, PageRegister
from pipeline.portal.figures import in_colours
from pipeline.privacy.balance import MOST_PERIODS, PeriodBalance, Reservations, alone, around, by_period, periods_of
from pipeline.publication.budget_chart import BudgetPoint, draw_course
from pipeline.publication.words import decimal
from pipeline.review.standing import State
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population


@dataclass(frozen=True)
class Year:
    """The rolling year to the end of one period.

    Attributes:
        population: Whose budget.
        period: The period at hand.
        cap: Of the population.
        balance: Of the period at hand.
    """

    population: Population
    period: str
    cap: BudgetCap
    balance: PeriodBalance

    @property
    def share(self) -> float:
        """How much of the cap is spent, in percent, at most 100."""
        return min(100.0, 100 * self.balance.year_epsilon / self.cap.epsilon)

    @property
    def alternative(self) -> str:
        """The plot in words, for those who do not see it."""
        return (
            f"Bar chart: epsilon of the year to the end of each period about {self.period}, against a cap of "
            f"{decimal(self.cap.epsilon)}. The year to {self.period}: {decimal(self.balance.year_epsilon)}."
        )


@dataclass(frozen=True)
class Account:
    """All that was reserved about one population.

    Attributes:
        year: To the end of its latest period.
        course: Balances of its newest periods, in order.
        epsilons: What each release costs by itself.
    """

    year: Year
    course: tuple[PeriodBalance, ...]
    epsilons: dict[ReleaseKey, float]


def year_of(archive: Archive, register: PageRegister, population: Population, period: str) -> Year | None:
    """The year to the end of a period; None while it is worked out, or where the population has no budget.

    Raises:
        ConfigurationError: The site file is missing or breaks a rule.
    """
    asked = _asked(archive, register, population)
    if asked is None:
        return None
    reservations, cap, stamp = asked
    work = partial(_year, reservations, population, cap, period)
    return cast("Year | None", archive.balances.at_hand(("year", population, period, stamp), work))


def account_of(archive: Archive, register: PageRegister, population: Population) -> Account | None:
    """A population's account; None while it is worked out, or where nothing was reserved."""
    asked = _asked(archive, register, population)
    if asked is None:
        return None
    reservations, cap, stamp = asked
    work = partial(_account, reservations, population, cap)
    return cast("Account | None", archive.balances.at_hand(("account", population, stamp), work))


def course_of(archive: Archive, register: PageRegister, population: Population, period: str) -> str:
    """The plot of the years about a period, as SVG; empty where nothing of it is finite, or there is no such period.

    It may take seconds to work out.

    Raises:
        ConfigurationError: The site file is missing or breaks a rule.
    """
    found = _plot(archive, register, population, period)
    return str(found.result()) if found else ""


def populations(archive: Archive, register: PageRegister) -> tuple[Population, ...]:
    """Those of whom something was reserved and that have a budget."""
    return tuple(one for one in sorted(archive.site.budget) if _asked(archive, register, one) is not None)


def releases_of(register: PageRegister, account: Account) -> list[tuple[ReleaseKey, State, float]]:
    """What each release costs by itself, with its state, the newest first."""
    rows = [(key, register.standing(key).state, epsilon) for key, epsilon in account.epsilons.items()]
    return rows[::-1]


def warm(archive: Archive, register: PageRegister, periods: Sequence[tuple[Population, str]]) -> None:
    """Have the years of these periods worked out, then all accounts and plots."""
    for population, period in periods:
        year_of(archive, register, population, period)
    for population in populations(archive, register):
        account_of(archive, register, population)
    for population, period in periods:
        _plot(archive, register, population, period)


def _plot(archive: Archive, register: PageRegister, population: Population, period: str) -> Future[object] | None:
    """The plot about a period, drawn or to be drawn; None where nothing was reserved for it."""
    asked = _asked(archive, register, population)
    if asked is None or period not in periods_of(asked[0], population):
        return None
    reservations, cap, stamp = asked
    work = partial(_course, reservations, population, cap, period)
    return archive.balances.soon(("course", population, period, stamp), work)


def _asked(
    archive: Archive, register: PageRegister, population: Population
) -> tuple[Reservations, BudgetCap, tuple[object, ...]] | None:
    """Reservations, the cap, and what tells whether either changed."""
    reservations = archive.once(("reservations", register.stamp), archive.ledger.reservations)
    cap = archive.site.budget.get(population)
    if cap is None or not any(one.population is population for _, one in reservations):
        return None
    return reservations, cap, (len(reservations), cap.epsilon, cap.delta)


def _year(reservations: Reservations, population: Population, cap: BudgetCap, period: str) -> Year:
    return Year(population, period, cap, by_period(reservations, population, cap, (period,))[0])


def _course(reservations: Reservations, population: Population, cap: BudgetCap, period: str) -> str:
    course = by_period(reservations, population, cap, around(reservations, population, period))
    finite = (one for one in course if math.isfinite(one.year_epsilon))
    points = [BudgetPoint(one.period, one.year_epsilon, one.period == period) for one in finite]
    return in_colours(draw_course(points, cap.epsilon)) if points else ""


def _account(reservations: Reservations, population: Population, cap: BudgetCap) -> Account:
    newest = tuple(periods_of(reservations, population))[-MOST_PERIODS:]
    course = by_period(reservations, population, cap, newest)
    year = Year(population, newest[-1], cap, course[-1])
    return Account(year, course, alone(reservations, population, cap))
