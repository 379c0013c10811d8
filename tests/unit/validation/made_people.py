"""Bounded counts of small crowds, by the very steps that count for a release."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pipeline.library import own_offer
from pipeline.people.groups import BoundedGroups
from pipeline.periods import PeriodKind
from pipeline.records import checked, grouped
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind_to
from tests.builders import WEEK, pseudonym, specification_document

COUNTRIES, SYSTEMS, BROWSERS = ("AT", "CH", "DE"), ("Linux", "Windows"), ("Firefox", "Safari")
PAGES, SHOPS = ("blog", "docs", "home"), ("one.example", "other.example", "third.example")
SECRET = b"s" * 32
_PEOPLE = 40


@cache
def bound() -> BoundSpecification:
    """Tables that cross, one with events, and one over what a person may have many of, with sums and private keys."""
    visits = {"kind": "events", "name": "visits", "title": "Visits", "max_per_group": 5}
    spent = {"kind": "sum", "name": "spent", "title": "Spent", "of": "cents", "max_in_all": 900}
    tables: list[dict[str, Any]] = [
        {"name": "by_country", "title": "A", "dimensions": ["country", "system"], "measures": [visits]},
        {"name": "by_browser", "title": "B", "dimensions": ["country", "browser"]},
        {
            "name": "by_page",
            "title": "C",
            "dimensions": ["country", "page", "shop"],
            "max_groups": 2,
            "measures": [visits, spent],
        },
        {
            "name": "by_first_page",
            "title": "D",
            "dimensions": ["page", "shop"],
            "max_groups": 1,
            "measures": [visits | {"max_per_group": None, "max_in_all": 3}],
        },
    ]
    document = specification_document(tables=tables, audiences={"partner": ["by_country"]})
    lists: dict[str, Any] = {"country": COUNTRIES, "system": SYSTEMS, "browser": BROWSERS, "page": PAGES, "shop": None}
    offer = own_offer(
        PeriodKind.WEEK,
        lists,
        BudgetCap(epsilon=10, delta=1e-5),
        many=("page", "shop"),
        quantities={"cents": "cents"},
    )
    return bind_to(ReleaseSpecification.model_validate(document), offer)


@cache
def counted(seed: int = 1, people: int = _PEOPLE, largest: int = 2_000) -> BoundedGroups:
    """A crowd of so many, made up by a seed, as it is counted."""
    dice = np.random.default_rng(seed)
    names = np.array([pseudonym(number) for number in range(people)], dtype=object)
    lists = {"country": COUNTRIES, "system": SYSTEMS, "browser": BROWSERS}
    persons = pd.DataFrame({"person": names} | {name: dice.choice(keys, people) for name, keys in lists.items()})
    rows = int(dice.integers(0, 8 * people + 1))
    events = pd.DataFrame({"person": dice.choice(names, rows) if rows else names[:0]}, dtype="string")
    events = events.assign(page=dice.choice(PAGES, rows), shop=dice.choice(SHOPS, rows))
    events["cents"] = dice.integers(-largest, largest, rows, endpoint=True)
    return grouped(bound(), WEEK, checked(bound(), persons.astype("string"), events), SECRET)
