"""What a ledger is asked for before a release is drawn, and when it refuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from pipeline.documents import Document
from pipeline.errors import BudgetError, LedgerError, StagingError
from pipeline.periods import Period
from pipeline.privacy.accountant import Charge, Sum, charge, compose, loss_of, quick_bound, total
from pipeline.privacy.calibration import share_out
from pipeline.privacy.levels import Level
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseKey
from pipeline.vocabulary import Population

# What was reserved for one population: the ends of its periods, and what releases of each cost.
Standing = Mapping[dt.date, Sum]

_YEAR: Final = dt.timedelta(days=365)
# What a reservation says of the release. The rest is what a program makes of it, which another one may do otherwise.
_ASKED: Final = ("population", "period_start", "period_end", "specification_sha256")


class Reservation(Document):
    """Payload of ``reserved``: everything that decides what a release costs whom."""

    population: Population
    period_start: dt.date
    period_end: dt.date
    specification_sha256: str
    charge: Charge
    revises: str = ""
    """Why the revision before it is released anew; empty for the first revision, and for it alone."""


def reservation_of(bound: BoundSpecification, period: Period, revises: str = "") -> Reservation:
    """The reservation of a release, or of a revision for the reason ``revises``.

    Raises:
        StagingError: The period is of another length than the specification's.
    """
    if period.kind is not bound.specification.period:
        raise StagingError(
            f"{bound.specification.release} is released by the {bound.specification.period}",
            value=period,
            remedy="Name such a period.",
        )
    return Reservation(
        population=bound.specification.population,
        period_start=period.start,
        period_end=period.end,
        specification_sha256=bound.specification.sha256,
        charge=_charge(share_out(bound)),
        revises=revises,
    )


@lru_cache(maxsize=256)  # the levels of a specification are the same each time
def _charge(levels: tuple[Level, ...]) -> Charge:
    return charge(levels)


def in_year(reservation: Reservation, year_to: dt.date) -> bool:
    """Whether a release's period ends within the year before a day."""
    return _holds(year_to, reservation.period_end)


def _holds(year_to: dt.date, end: dt.date) -> bool:
    return year_to - _YEAR < end <= year_to


def require_same(key: ReleaseKey, standing: Reservation, asked: Reservation, *, drawn: bool) -> None:
    """Refuse another reservation under the same key.

    What is drawn is paid for and not drawn again: there it is enough that the same was asked for, even if this program
    would charge it otherwise.
    """
    compared = [*_ASKED, *(["revises"] if asked.revises or not drawn else []), *([] if drawn else ["charge"])]
    differing = [name for name in compared if getattr(standing, name) != getattr(asked, name)]
    if differing:
        raise LedgerError(
            f"{key} was reserved once and keeps its parameters",
            value=f"another {', '.join(differing)}",
            remedy=_remedy(differing, standing),
        )


def _remedy(differing: list[str], standing: Reservation) -> str:
    if differing == ["charge"]:
        return "Another version of the program reserved it: draw it with that one."
    if differing == ["revises"]:
        return f"It was reserved for this reason: {standing.revises!r}."
    return "Restore the specification, give the changed one a new name, or release a revision: --revise --reason."


def standing_with(standing: Standing, reservations: Iterable[Reservation]) -> Standing:
    """What stood before, and reservations of the same population beside it."""
    sums = dict(standing)
    for one in reservations:
        sums[one.period_end] = sums.get(one.period_end, Sum()).plus(one.charge)
    return sums


def require_budget(standing: Standing, asked: Reservation, cap: BudgetCap) -> None:
    """Refuse where any rolling year that holds the new period would exceed the cap."""
    over = over_cap(standing, asked, cap)
    if over is None:
        return
    end, epsilon = over
    before = loss_of(_year(standing, end), cap.delta)
    alone = compose([asked.charge], cap.delta).epsilon
    raise BudgetError(
        f"{asked.population}: the year to {end} may cost at most epsilon={cap.epsilon:g} at delta={cap.delta:.3g}",
        value=f"epsilon={epsilon:.4g} with this release ({alone:.4g} alone; "
        f"{max(cap.epsilon - before.epsilon, 0.0):.4g} was left)",
        remedy="Wait until earlier periods leave the year, lower epsilon, or raise the cap in the site file.",
    )


def over_cap(standing: Standing, asked: Reservation, cap: BudgetCap) -> tuple[dt.date, float] | None:
    """The end of the first rolling year that a reservation would overdraw, and its epsilon then."""
    for end, year in _years(standing, asked):
        # Composing takes milliseconds, and is needed where a bound that is known at once does not fit.
        if quick_bound(year, cap.delta) > cap.epsilon:
            epsilon = loss_of(year, cap.delta).epsilon
            if epsilon > cap.epsilon:
                return end, epsilon
    return None


def fits_at_once(standing: Standing, asked: Reservation, cap: BudgetCap) -> bool:
    """Whether ``over_cap`` finds nothing and has nothing to compose."""
    return all(quick_bound(year, cap.delta) <= cap.epsilon for _, year in _years(standing, asked))


def _years(standing: Standing, asked: Reservation) -> Iterator[tuple[dt.date, Sum]]:
    """The rolling years that hold the period asked for: their ends, and what each costs with it."""
    every = standing_with(standing, [asked])
    for end in sorted(end for end in every if asked.period_end <= end < asked.period_end + _YEAR):
        yield end, _year(every, end)


def _year(standing: Standing, year_to: dt.date) -> Sum:
    return total(charges for end, charges in standing.items() if _holds(year_to, end))
