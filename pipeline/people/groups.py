"""Bounded groups: true counts, which only the draw may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.periods import Period
from pipeline.privacy.levels import LevelKey
from pipeline.vocabulary import Population


@dataclass(frozen=True)
class BoundedGroups:
    """Counts of each level after contribution bounding.

    Attributes:
        population: Who.
        period: When.
        levels: One frame a level, one row a group that has anybody; columns: the level's dimensions, ``people``
            (distinct; in the totals of a table over groups a lower bound of them) and ``contributions`` (people times
            the groups below in which they count). True values, so ``repr`` does not show them.
    """

    population: Population
    period: Period
    levels: Mapping[LevelKey, pd.DataFrame] = field(repr=False)
