"""What a ledger's reservations add up to: by period and by release. Reads nothing about anybody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.privacy.accountant import compose
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, state_of
from pipeline.privacy.reservations import Reservation, in_year
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

# A year of weeks. Composing a year of daily releases for each of its days would take half a minute.
MOST_PERIODS: Final = 53

Reservations = Sequence[tuple[ReleaseKey, Reservation]]


@dataclass(frozen=True)
class PeriodBalance:
    """One period of one population.

    Attributes:
        population: Whose budget.
        period: Its label.
        releases: How many were reserved for it, revisions included.
        epsilon: What they cost together, at the cap's delta.
        year_epsilon: What the year to the period's end costs.
        left: What is left of the cap in that year.
    """

    population: Population
    period: str
    releases: int
    epsilon: float
    year_epsilon: float
    left: float


@dataclass(frozen=True)
class ReleaseBalance:
    """One revision of one release.

    Attributes:
        key: Which.
        population: Whose budget.
        state: How far it has come.
        epsilon: What it costs alone, at the cap's delta.
        cap_delta: That delta.
        revises: Why it was made anew; empty for a first revision.
    """

    key: ReleaseKey
    population: Population
    state: EntryKind
    epsilon: float
    cap_delta: float
    revises: str


def periods_of(reservations: Reservations, population: Population) -> dict[str, dt.date]:
    """The periods for which something was reserved, by their last: label -> end (exclusive)."""
    ends = {key.period: one.period_end for key, one in reservations if one.population is population}
    return dict(sorted(ends.items(), key=lambda item: (item[1], item[0])))


def by_period(
    reservations: Reservations, population: Population, cap: BudgetCap, periods: Iterable[str]
) -> tuple[PeriodBalance, ...]:
    """Balances of these periods of a population, in the order given; each takes up to a tenth of a second."""
    ends = periods_of(reservations, population)
    own = [(key, one) for key, one in reservations if one.population is population]
    found = []
    for period in periods:
        charges = [one.charge for key, one in own if key.period == period]
        year = compose((one.charge for _, one in own if in_year(one, ends[period])), cap.delta).epsilon
        of_period = compose(charges, cap.delta).epsilon
        left = max(cap.epsilon - year, 0.0)
        found.append(PeriodBalance(population, period, len(charges), of_period, year, left))
    return tuple(found)


def alone(reservations: Reservations, population: Population, cap: BudgetCap) -> dict[ReleaseKey, float]:
    """What each release about a population costs by itself, at the cap's delta."""
    own = ((key, one) for key, one in reservations if one.population is population)
    return {key: compose([one.charge], cap.delta).epsilon for key, one in own}


def around(reservations: Reservations, population: Population, period: str) -> tuple[str, ...]:
    """The periods that share a rolling year with one, in order; the nearest where they are many."""
    ends = periods_of(reservations, population)
    if period not in ends:
        return ()
    distances = {label: abs(end - ends[period]) for label, end in ends.items()}
    near = sorted((label for label in ends if distances[label].days < 365), key=distances.__getitem__)[:MOST_PERIODS]
    return tuple(label for label in ends if label in near)


def by_release(ledger: Ledger, caps: Mapping[Population, BudgetCap]) -> tuple[ReleaseBalance, ...]:
    """Balances of all releases of the populations that have a cap, by period, name and revision.

    Raises:
        LedgerError: The chain of hashes is broken.
    """
    kinds: dict[ReleaseKey, tuple[EntryKind, ...]] = {}
    for entry in ledger.entries():
        kinds[entry.key] = (*kinds.get(entry.key, ()), entry.kind)
    rows = [(key, one, caps[one.population]) for key, one in ledger.reservations() if one.population in caps]
    rows.sort(key=lambda row: (row[1].population, row[1].period_end, row[0]))
    return tuple(
        ReleaseBalance(
            key,
            one.population,
            state_of(kinds[key]) or EntryKind.RESERVED,
            compose([one.charge], cap.delta).epsilon,
            cap.delta,
            one.revises,
        )
        for key, one, cap in rows
    )
