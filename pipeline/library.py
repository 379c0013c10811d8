"""The pipeline as one function: people or events and a specification go in, noisy tables come out.

For whoever has records of their own and wants neither sources nor Airflow, and for the audit, which asks for the same
release thousands of times.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pipeline.offer import Offer, Publisher
from pipeline.periods import Period, PeriodKind
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import reservation_of
from pipeline.records import Records, checked, grouped
from pipeline.release.artefact import PrivateRelease
from pipeline.release.draw import draw_release
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseKey
from pipeline.vocabulary import EVENTS, Dimension, Quantity

_SECRET_BYTES: Final = 32


def own_offer(
    period: PeriodKind,
    dimensions: Mapping[str, Sequence[str] | None],
    cap: BudgetCap,
    *,
    many: Collection[str] = (),
    quantities: Mapping[str, str] | None = None,
    publisher: str = "own records",
) -> Offer:
    """What one's own records offer to a specification, where no site file says it.

    Args:
        period: In which a person is one person.
        dimensions: Names of columns, each with the closed list of its keys, which must be public: they may not be taken
            from the records. None where no such list exists: keys are then told of groups that are released only.
        cap: What all releases about these people may spend together over a rolling year.
        many: Dimensions of which one person may have several; a table over them needs ``max_groups``.
        quantities: Columns of whole numbers that tables may add up, each with what one of it is (``cents``).
        publisher: Who publishes, as the header of the release says it.

    Returns:
        What ``pipeline.spec.bind_to`` takes. Events can be counted too, under the name ``events``.
    """
    named = {
        name: Dimension(name, name.replace("_", " ").capitalize(), name not in many, tuple(keys or ()), keys is None)
        for name, keys in dimensions.items()
    }
    units = {EVENTS: EVENTS, **(quantities or {})}
    offered = {name: Quantity(name, name.replace("_", " ").capitalize(), unit) for name, unit in units.items()}
    return Offer(period, named, offered, cap, Publisher(publisher))


def release(
    bound: BoundSpecification,
    period: Period,
    ledger: Ledger,
    *,
    people: Records | None = None,
    events: Records | None = None,
    secret: bytes | None = None,
) -> PrivateRelease:
    """Reserve budget, bound what each person adds, draw noise once, record, and return the noisy tables.

    >>> from pipeline.library import own_offer, release
    >>> from pipeline.periods import Period, PeriodKind
    >>> from pipeline.privacy.ledger import Ledger
    >>> from pipeline.site import BudgetCap
    >>> from pipeline.spec import ReleaseSpecification, bind_to
    >>> import pandas as pd
    >>> offer = own_offer(
    ...     PeriodKind.MONTH, {"country": ["AT", "CH", "DE"]}, BudgetCap(epsilon=4, delta=1e-6)
    ... )
    >>> specification = ReleaseSpecification.model_validate({
    ...     "release": "readers", "title": "Readers", "description": "Readers of a month.", "owner": "Press",
    ...     "purpose": "aggregated demographics", "population": "visitors", "period": "month",
    ...     "privacy": {"epsilon": 1, "delta": 1e-7, "k": 20},
    ...     "tables": [{"name": "by_country", "title": "Readers by country", "dimensions": ["country"]}],
    ...     "audiences": {"partner": ["by_country"]},
    ... })
    >>> bound = bind_to(specification, offer)
    >>> readers = pd.DataFrame({"person": range(900), "country": ["AT", "CH", "DE"] * 300})
    >>> ledger = Ledger.in_memory()
    >>> october = release(bound, Period.parse("2026-10"), ledger, people=readers)
    >>> october.tables["by_country"]["country"].tolist()
    ['all', 'AT', 'CH', 'DE']
    >>> again = release(bound, Period.parse("2026-10"), ledger, people=readers)
    >>> again.to_bytes() == october.to_bytes()
    True

    Args:
        bound: The specification, bound to what is offered (``pipeline.spec.bind_to``).
        period: Of which the records are; of the length that the specification names.
        ledger: Where budget is reserved and the tables are recorded; ``Ledger.in_memory()`` will do for trying out.
        people: One row a person, as a pandas frame, an Arrow table or a Parquet file: a text column for each dimension
            of which a person has one, and ``person`` if there are events too. Without it, such a dimension has the
            value that most of a person's events have, of equals the first by alphabet.
        events: Any number of rows a person, likewise: ``person``, a text column for each other
            dimension of the tables, and an integer column for each quantity. Other columns are not read.
        secret: Decides which groups of a person count where there are more than ``max_groups``; the same people and
            the same secret choose alike. A fresh one unless it is given.

    Returns:
        The noisy tables, (epsilon, delta)-DP for adding or removing one person with all their rows. The same release
        and period again return the recorded tables, whatever the records are by then.

    Raises:
        StagingError: A column is missing or of another type, a value is missing, a key is not on its list, or a person
            stands twice in ``people``. Nothing was spent.
        BudgetError: The budget would be overdrawn. Nothing was spent.
        LedgerError: It was reserved under another specification.
    """
    reservation = reservation_of(bound, period)
    key = ReleaseKey(bound.specification.release, str(period))
    recorded = ledger.artefact(key)
    if recorded is not None:
        newest = ledger.standing(key.release, key.period)
        ledger.reserve(newest, reservation, bound.cap)  # costs nothing; refuses another specification
        return PrivateRelease.from_bytes(recorded if newest == key else ledger.artefact(newest) or recorded)
    inputs = checked(bound, people, events)
    ledger.reserve(key, reservation, bound.cap)
    groups = grouped(bound, period, inputs, secret or secrets.token_bytes(_SECRET_BYTES))
    drawn = draw_release(bound, groups)
    content = drawn.to_bytes()
    standing = ledger.record_draw(key, content)
    return drawn if standing == content else PrivateRelease.from_bytes(standing)
