r"""Complete noisy tables over the same people, reconciled exactly and without a solver.

A table of counts is a sum of parts that do not overlap, its analysis of variance: for every set S of its dimensions a
residual r_S, which is what S says beyond all its subsets. Tables that share S all measure the same r_S, with noise that
is independent between tables and uncorrelated between residuals. So the generalised least squares estimate is, residual
by residual, a mean weighted by precision::

    r_S = sum over tables A that contain S of w_A * centre_S(sum over A\S of y_A),   w_A ~ 1 / (n_{A\S} * variance_A)
    table A = sum over S within A of r_S / n_{A\S}

where n is a number of cells and centring takes the mean off along every dimension of S. Source: the residual basis of
Xiao, He, Zhang and Kifer, "An Optimal and Scalable Matrix Mechanism for Noisy Marginals under Convex Loss Functions"
(arXiv 2305.08175), for any variances and any set of tables.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cell = tuple[str, ...]
Dimensions = tuple[str, ...]
Keys = Mapping[str, tuple[str, ...] | None]
Counts = NDArray[np.float64]
Sizes = dict[str, int]


@dataclass(frozen=True)
class Marginal:
    """A table in which every combination of keys has a count.

    Attributes:
        dimensions: Its dimensions, none twice; empty for the total.
        counts: One axis a dimension, in that order; keys are in the same order in all tables.
        variance: Of each count, at least 0; 0 means exact.
    """

    dimensions: Dimensions
    counts: Counts
    variance: float


@dataclass(frozen=True)
class _Residual:
    """What a set of dimensions says beyond its subsets; axes in order of name.

    Attributes:
        counts: Adds up to 0 along every axis.
        variance: Of a cell before centring, which multiplies it by the product of (1 - 1 / n) over the axes.
    """

    counts: Counts
    variance: float


def reconcile(tables: Sequence[Marginal]) -> list[Marginal]:
    """The tables that agree on all they share and are nearest to the noisy ones, by generalised least squares.

    Args:
        tables: Over the same people, with independent noise. Two may have the same dimensions.

    Returns:
        The estimates, in order, each with its variance, which is the same in all cells of a table.
    """
    if all(table.variance == 0 for table in tables):
        return list(tables)
    sizes = {name: size for table in tables for name, size in zip(table.dimensions, table.counts.shape, strict=True)}
    ordered = [_in_order(table) for table in tables]
    wanted = {part for table in ordered for part in subsets(table.dimensions)}
    residuals = {part: _residual(part, ordered, sizes) for part in wanted}
    return [_assembled(table, residuals, sizes) for table in tables]


def all_cells(dimensions: Dimensions, keys: Keys) -> Iterable[Cell]:
    """Every combination of public keys, the last dimension fastest."""
    return itertools.product(*(keys[name] or () for name in dimensions))


def as_array(counts: Mapping[Cell, float], dimensions: Dimensions, keys: Keys) -> Counts:
    """A complete table with one axis a dimension, keys in the order of their lists."""
    values = np.array([counts[cell] for cell in all_cells(dimensions, keys)], dtype=np.float64)
    return values.reshape([len(keys[name] or ()) for name in dimensions])


def cells(dimensions: Iterable[str], sizes: Sizes) -> int:
    """How many combinations of keys there are."""
    return math.prod(sizes[name] for name in dimensions)


def margin(counts: Counts, dimensions: Dimensions, onto: Iterable[str]) -> Counts:
    """Sums over all dimensions but those of ``onto``; the axes keep their order."""
    kept = set(onto)
    gone = tuple(axis for axis, name in enumerate(dimensions) if name not in kept)
    return np.asarray(counts.sum(axis=gone))


def in_order(counts: Counts, dimensions: Dimensions) -> Counts:
    """The same table with its axes in order of name."""
    return counts.transpose(sorted(range(len(dimensions)), key=dimensions.__getitem__))


def _in_order(table: Marginal) -> Marginal:
    return Marginal(tuple(sorted(table.dimensions)), in_order(table.counts, table.dimensions), table.variance)


def subsets(dimensions: Dimensions) -> Iterable[Dimensions]:
    """All parts of a set of dimensions, the empty one first, itself last."""
    return (part for size in range(len(dimensions) + 1) for part in itertools.combinations(dimensions, size))


def _residual(part: Dimensions, tables: Sequence[Marginal], sizes: Sizes) -> _Residual:
    sources = [table for table in tables if set(part) <= set(table.dimensions)]
    variances = [cells(set(table.dimensions) - set(part), sizes) * table.variance for table in sources]
    exact = min(variances) == 0
    # Beside an exact table a noisy one weighs nothing.
    precisions = [float(variance == 0) if exact else 1 / variance for variance in variances]
    whole = sum(precisions)
    counts = np.zeros([sizes[name] for name in part])
    for table, precision in zip(sources, precisions, strict=True):
        if precision:
            counts += precision / whole * margin(table.counts, table.dimensions, part)
    for axis in range(len(part)):
        counts -= counts.mean(axis=axis, keepdims=True)
    return _Residual(counts, 0.0 if exact else 1 / whole)


def _assembled(table: Marginal, residuals: dict[Dimensions, _Residual], sizes: Sizes) -> Marginal:
    names = tuple(sorted(table.dimensions))
    counts = np.zeros([sizes[name] for name in names])
    variance = 0.0
    for part in subsets(names):
        residual, share = residuals[part], cells(set(names) - set(part), sizes)
        counts += residual.counts.reshape([sizes[name] if name in part else 1 for name in names]) / share
        variance += residual.variance * math.prod(1 - 1 / sizes[name] for name in part) / share**2
    return Marginal(table.dimensions, counts.transpose([names.index(name) for name in table.dimensions]), variance)
