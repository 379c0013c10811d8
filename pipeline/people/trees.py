"""Trees of levels: what is grouped by the deepest level of a tree, and the levels above it by adding up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from pipeline.measures import Measured
from pipeline.privacy.levels import LevelKey, level_keys
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Dimension

Counts = Mapping[str, np.ndarray]
"""Columns of one length: dimensions, ``_people``, and ``_m0``, ``_m1``, ... of the further measures (int64)."""

# Counts end here, so that they fit 64 bits; what draws from them refuses smaller ones already.
LARGEST_COUNT: Final = 2**62
PEOPLE_COLUMN: Final = "_people"


@dataclass(frozen=True)
class Tree:
    """Levels that are counted together: the deepest groups, whatever is told of them, and all groups above.

    Attributes:
        key: The deepest level, of people.
        dimensions: Of the deepest level.
        measured: What is counted beside people.
    """

    key: LevelKey
    dimensions: tuple[Dimension, ...]
    measured: tuple[Measured, ...]

    @cached_property
    def per_person(self) -> bool:
        """Whether a person is in one group only, by construction."""
        return all(dimension.per_person for dimension in self.dimensions)

    @cached_property
    def only_events(self) -> bool:
        """Whether no dimension is one of people."""
        return not any(dimension.per_person for dimension in self.dimensions)

    @cached_property
    def measures(self) -> tuple[tuple[str, Measured], ...]:
        """What is counted beside people, each with its column; no dimension's name begins with an underscore."""
        return tuple((f"_m{number}", measured) for number, measured in enumerate(self.measured))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns of counts, people first."""
        return (PEOPLE_COLUMN, *(column for column, _ in self.measures))


def trees_of(bound: BoundSpecification) -> tuple[Tree, ...]:
    """The fewest trees that have every level of a specification, and no other."""
    dimensions: dict[LevelKey, tuple[Dimension, ...]] = {}
    measured: dict[LevelKey, set[Measured]] = {}
    for table in bound.tables:
        key = level_keys(table)[-1]
        dimensions[key] = table.dimensions
        measured.setdefault(key, set()).update(total.measured for total in table.totals[1:])
    return tuple(
        Tree(key, dimensions[key], tuple(sorted(measured[key])))
        for key in dimensions
        if not any(_within(key, other) and measured[key] <= measured[other] for other in dimensions)
    )


def levels_of(tree: Tree, leaves: Counts) -> dict[LevelKey, pd.DataFrame]:
    """All levels of a tree.

    Contributions add up exactly. People add up where a person is in one group only; elsewhere ``people`` is what there
    must be at least: the most of any group below, or the contributions shared out, max_groups to each.

    Args:
        tree: Which levels.
        leaves: Of the deepest one, a row a group, in the order of their keys, so that a parent's groups are neighbours.

    Returns:
        Frames in the same order. Every level of a tree has the same groups, also where a further measure is 0.
    """
    levels: dict[LevelKey, pd.DataFrame] = {}
    names = tree.key.dimensions
    for depth, starts in enumerate(_starts([leaves[name] for name in names], len(leaves["_people"]))):
        groups = {name: leaves[name][starts] for name in names[:depth]}
        counted = _added(leaves["_people"], starts)
        # The largest child stands for its parent where more contributions would be needed to tell of more people.
        people = np.maximum(np.maximum.reduceat(leaves["_people"], starts), -(-counted // tree.key.max_groups))
        for column, measured in (("_people", None), *tree.measures):
            key = LevelKey(tree.key.table, names[:depth], tree.key.max_groups, *([measured] if measured else []))
            told = {"people": people} if measured is None else {}
            levels[key] = pd.DataFrame({**groups, **told, "contributions": _added(leaves[column], starts)}, copy=False)
    return levels


def _within(key: LevelKey, other: LevelKey) -> bool:
    """Whether a level lies on the way down to another."""
    return key != other and key == LevelKey(other.table, other.dimensions[: len(key.dimensions)], other.max_groups)


def _starts(columns: list[np.ndarray], rows: int) -> list[np.ndarray]:
    """The rows in which groups begin, for each depth from the total down."""
    begins = np.arange(rows) == 0
    starts = [np.flatnonzero(begins)]
    for column in columns:
        begins[1:] |= (column[1:] != column[:-1]).astype(bool)
        starts.append(np.flatnonzero(begins))
    return starts


def _added(counts: np.ndarray, starts: np.ndarray) -> np.ndarray:
    if counts.sum(dtype=np.float64) < LARGEST_COUNT:
        return np.add.reduceat(counts, starts)
    # Whole numbers without an end to them, cut off where 64 bits could no longer hold them.
    return np.minimum(np.add.reduceat(counts.astype(object), starts), LARGEST_COUNT).astype(np.int64)
