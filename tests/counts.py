"""Levels and bounded groups for tests that need no staging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from pipeline.measures import PEOPLE_MEASURED, Measured
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.privacy.consistency import SettledLevel, reconcile
from pipeline.privacy.levels import Demand, Level, LevelKey, demands, totals_of
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.privacy.noisy import Group, NoisyLevel
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, NoiseChoice, ReleaseSpecification, bind
from pipeline.vocabulary import EVENTS, Population
from tests.builders import WEEK, site_document, specification_document

DELTA = Delta.of("1e-8")


def level(
    *dimensions: str,
    epsilon: float | Epsilon = 1.0,
    max_groups: int = 1,
    deepest: bool = True,
    measured: Measured = PEOPLE_MEASURED,
) -> Level:
    """A level with Laplace noise."""
    key = LevelKey("t" if max_groups > 1 else "", dimensions, max_groups, measured)
    demand = Demand(key, deepest, 1.0)
    share = epsilon if isinstance(epsilon, Epsilon) else Epsilon.of(epsilon)
    return Level(demand, DiscreteLaplace(share, demand.l1), DELTA, DELTA)


def settled(
    counts: Mapping[tuple[str, ...], Mapping[Group, int]],
    exposed: bool,
    keys: Mapping[str, tuple[str, ...] | None],
    k: K,
) -> dict[tuple[str, ...], SettledLevel]:
    """Levels over people with these noisy counts, by their dimensions; ``exposed`` holds for the total."""
    levels = [level(*names) for names in counts]
    totals = {one.key: totals_of(one.key, [other.key for other in levels]) for one in levels}
    noisy = {
        one.key: NoisyLevel(
            replace(one, totals=totals[one.key]),
            counts[one.key.dimensions],
            {total: frozenset([()]) if exposed else frozenset() for total in totals[one.key]},
        )
        for one in levels
    }
    return {key.dimensions: found for key, found in reconcile(noisy, keys, k).items()}


def bound_tables(*tables: Mapping[str, object], epsilon: float = 1.0, **privacy: object) -> BoundSpecification:
    """A specification of these tables on the test site."""
    document = specification_document(
        tables=list(tables),
        audiences={"partner": [table["name"] for table in tables]},
        privacy={"epsilon": epsilon, "delta": 1e-7, "k": 50, **privacy},
    )
    return bind(ReleaseSpecification.model_validate(document), SiteFile.model_validate(site_document()))


def with_noise(bound: BoundSpecification, choice: NoiseChoice) -> BoundSpecification:
    """The same specification, with this noise named."""
    privacy = bound.specification.privacy.model_copy(update={"noise": choice})
    return replace(bound, specification=bound.specification.model_copy(update={"privacy": privacy}))


def groups_of(bound: BoundSpecification, people: pd.DataFrame) -> BoundedGroups:
    """Exact groups of tables over people, from one row a kind of person.

    Args:
        bound: Its tables are all over what a person has one of.
        people: Columns: dimensions, ``people`` (how many of this kind), and ``events`` (of all of them, bounded).
    """
    levels = {}
    for demand in demands(bound):
        names = list(demand.key.dimensions)
        amounts = people.assign(contributions=people["events" if demand.key.measured.quantity == EVENTS else "people"])
        wanted = ["people", "contributions"]
        if names:
            levels[demand.key] = amounts.groupby(names, as_index=False)[wanted].sum()
        else:
            levels[demand.key] = amounts[wanted].sum().to_frame().T
    return BoundedGroups(Population.VISITORS, WEEK, levels)
