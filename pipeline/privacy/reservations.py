"""What a ledger is asked for before a release is drawn."""

from __future__ import annotations

from functools import lru_cache

from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.privacy.accountant import Charge, charge
from pipeline.privacy.calibration import share_out
from pipeline.privacy.ledger import Reservation
from pipeline.privacy.levels import Level
from pipeline.spec import BoundSpecification


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
