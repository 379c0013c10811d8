"""What the year of a release has cost, as its bundles say it."""

from __future__ import annotations

from pipeline.errors import LedgerError
from pipeline.privacy.balance import by_period
from pipeline.privacy.ledger import Ledger
from pipeline.publication.manifest import YearOfBudget
from pipeline.site import load_site
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace


def year_of(workspace: Workspace, ledger: Ledger, key: ReleaseKey) -> YearOfBudget:
    """Spent and cap of the year to the end of a release's period.

    Counted is what was reserved up to this release and not what came after it, so that a bundle that is written later,
    or once more after a crash, says the same. Epsilons have four significant digits.

    Args:
        workspace: Its site file has the caps.
        ledger: Of the site.
        key: Of a release for which budget was reserved.

    Raises:
        LedgerError: Nothing was reserved for it.
    """
    reservations = ledger.reservations()
    place = next((place for place, (reserved, _) in enumerate(reservations) if reserved == key), None)
    if place is None:
        raise LedgerError("budget must be reserved before a release is published", value=key, remedy="Draw it first.")
    own = reservations[place][1]
    cap = load_site(workspace.site_file).budget[own.population]
    (balance,) = by_period(reservations[: place + 1], own.population, cap, (key.period,))
    return YearOfBudget(
        year_to=own.period_end.isoformat(),
        spent_epsilon=f"{balance.year_epsilon:.4g}",
        cap_epsilon=f"{cap.epsilon:.4g}",
        delta=f"{cap.delta:.4g}",
    )
