"""Generalised least squares written down as a dense projection, to check faster ways against."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from pipeline.privacy.least_squares import Grouping, least_squares

Matrix = NDArray[np.float64]
Keys = Mapping[str, tuple[str, ...] | None]


def cell_sums(groupings: Sequence[Grouping], keys: Keys) -> Matrix:
    """One row a released cell, one column a kind of person (one key of each dimension): 1 where the cell counts them.

    A dimension with private keys has one key that no cell shows.
    """
    shown: dict[str, set[str]] = {name: set() for name in keys}
    for grouping in groupings:
        for cell in grouping.counts:
            for name, key in zip(grouping.dimensions, cell, strict=True):
                shown[name].add(key)
    lists = [listed or (*sorted(shown[name]), "unseen") for name, listed in keys.items()]
    people = [dict(zip(keys, person, strict=True)) for person in itertools.product(*lists)]
    rows = [
        [all(person[name] == key for name, key in zip(grouping.dimensions, cell, strict=True)) for person in people]
        for grouping in groupings
        for cell in grouping.counts
    ]
    return np.array(rows, dtype=float)


def noisy_counts(groupings: Sequence[Grouping]) -> tuple[Matrix, Matrix]:
    """Counts and variances of all released cells, in order."""
    pairs = [(count, grouping.variance) for grouping in groupings for count in grouping.counts.values()]
    counts, variances = np.array(pairs, dtype=float).T
    return counts, variances


def projected(groupings: Sequence[Grouping], keys: Keys) -> tuple[Matrix, Matrix]:
    """Estimates and their variances: x = y - S C' (C S C')^-1 C y, C being all relations that always hold."""
    counts, variances = noisy_counts(groupings)
    relations = null_space(cell_sums(groupings, keys).T).T
    spread = np.diag(variances)
    off = spread @ relations.T @ np.linalg.solve(relations @ spread @ relations.T, relations)
    return counts - off @ counts, np.diag(spread - off @ spread)


def estimated(groupings: Sequence[Grouping], keys: Keys) -> tuple[Matrix, Matrix, Matrix]:
    """Values, variances and own weights of all released cells, in order."""
    estimates = least_squares(groupings, keys)
    cells = [estimates[grouping.dimensions][cell] for grouping in groupings for cell in grouping.counts]
    values, variances, weights = np.array([(e.value, e.variance, e.own_weight) for e in cells]).T
    return values, variances, weights


def as_matrix(groupings: Sequence[Grouping], keys: Keys) -> Matrix:
    """What the estimates do to the noisy counts: the matrix M of estimates = M counts, one unit count at a time."""
    cells = [(number, cell) for number, grouping in enumerate(groupings) for cell in grouping.counts]
    columns = []
    for unit in cells:
        ones = [
            Grouping(g.dimensions, {cell: float((number, cell) == unit) for cell in g.counts}, g.variance)
            for number, g in enumerate(groupings)
        ]
        columns.append(estimated(ones, keys)[0])
    return np.array(columns).T
