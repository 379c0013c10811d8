"""What a small release costs: releases a second of 1,000 people in 20 groups, beside plain pandas and NumPy.

A release is everything: records are checked, budget is reserved in a ledger in memory, people are bounded and counted
by the engine, noise is drawn, tables are laid out, and the bytes are recorded. The plain way counts distinct people a
group and adds Laplace noise: no bounds, no threshold, no ledger, no consistency.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from pipeline.library import own_offer, release
from pipeline.periods import Period, PeriodKind
from pipeline.privacy.ledger import Ledger
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind_to
from tests.benchmarks.measuring import alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, no_less_than
from tests.builders import specification_document

RELEASES: Final = 300
PEOPLE: Final = 1_000
GROUPS: Final = tuple(f"group {number:02d}" for number in range(20))
GOAL: Final = 100
ROUNDS: Final = 3
WEEK: Final = Period.parse("2026-W41")


def figures(small: bool) -> Iterator[Figure]:
    """Releases a second."""
    calls, rounds = (3, 1) if small else (RELEASES, ROUNDS)
    rivals = {
        "ours": lambda: alone(released, calls=calls, warm_up=3),
        "theirs": lambda: alone(counted, calls=calls, warm_up=3),
    }
    found = in_turns(rivals, rounds, warm_up=0)
    ours, theirs = found["ours"], found["theirs"]
    yield Figure(
        f"small releases of {PEOPLE:,} people in {len(GROUPS)} groups, bounded, accounted and recorded",
        "pandas nunique and NumPy noise, with none of that",
        Amount(1 / ours.seconds, ours.megabytes),
        Amount(1 / theirs.seconds, theirs.megabytes),
        Ratio.MANY,
        "a second",
        rounds * calls,
        (no_less_than(GOAL),),
    )


def released() -> None:
    """One release."""
    release(specification(), WEEK, Ledger.in_memory(), people=made_people())


def counted() -> None:
    """The plain way."""
    counts = made_people().groupby("place")["person"].nunique()
    np.random.default_rng().laplace(counts, 1)


@cache
def specification() -> BoundSpecification:
    """One table over what a person has one of."""
    offer = own_offer(PeriodKind.WEEK, {"place": GROUPS}, BudgetCap(epsilon=10, delta=1e-4))
    document = specification_document(
        release="bench",
        privacy={"epsilon": 1, "delta": 1e-6, "k": 10},
        tables=[{"name": "by_place", "title": "By place", "dimensions": ["place"]}],
        audiences={"partner": ["by_place"]},
    )
    return bind_to(ReleaseSpecification.model_validate(document), offer)


@cache
def made_people() -> pd.DataFrame:
    """One row a person; groups are of different sizes."""
    generator = np.random.default_rng(20261123)
    shares = np.linspace(1, 3, len(GROUPS))
    places = generator.choice(GROUPS, PEOPLE, p=shares / shares.sum())
    return pd.DataFrame({"person": [f"person {number}" for number in range(PEOPLE)], "place": places})
