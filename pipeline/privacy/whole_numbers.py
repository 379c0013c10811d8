"""Displayed counts: whole numbers near the estimates that agree on every total, none under the hard minimum.

Drill-downs are rounded from the top, family by family (``apportion``). Tables that cross are rounded together
(``agreeing``): a small integer program, which is controlled rounding (Cox, "A Constructive Procedure for Unbiased
Controlled Rounding", 1987) where tables have two dimensions, and is then solved as fast as a linear program.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from pipeline.privacy.marginals import Cell, Counts, Dimensions, Keys, all_cells, as_array, in_order, margin, subsets

Whole = NDArray[np.int64]

# How far from its estimate a count may be moved beyond rounding, tried in turn.
WIDTHS: Final = (0, 1, 2, 4, 8, 16, 32, 64, 128)
# An attempt ends after so many nodes, which repeats on any machine; the seconds, for all together, are a guard beyond.
NODES: Final = 100
SECONDS: Final = 10.0
# So near to the least sum of distances, as a share of what it is below that of rounding down, an attempt may end.
GAP: Final = 0.01


def apportion(estimates: Mapping[Cell, float], total: int, least: int) -> dict[Cell, int]:
    """Whole numbers that add up to ``total``, as near to the estimates as an even shift allows, none under ``least``.

    Largest remainders (Hamilton), ties by estimate, then by key; computed in fractions, so that ties are ties.

    Args:
        estimates: At least one.
        total: At least ``least`` times the number of estimates.
        least: Any.
    """
    free = {cell: Fraction(estimate) for cell, estimate in estimates.items()}
    result: dict[Cell, int] = {}
    while free:
        shift = (total - sum(result.values()) - sum(free.values())) / len(free)
        whole = {cell: math.floor(estimate + shift) for cell, estimate in free.items()}
        low = [cell for cell, count in whole.items() if count < least]
        if not low:
            over = total - sum(result.values()) - sum(whole.values())
            for cell in sorted(free, key=lambda cell: (whole[cell] - free[cell], -free[cell], cell))[:over]:
                whole[cell] += 1
            return result | whole
        result |= dict.fromkeys(low, least)
        free = {cell: estimate for cell, estimate in free.items() if cell not in result}
    return result


def agreeing(
    tables: Mapping[Dimensions, Mapping[Cell, float]], keys: Keys, least: int
) -> dict[Dimensions, dict[Cell, int]]:
    """Whole numbers for complete tables over the same people, which agree on every total that tables share.

    Of numbers that agree and are at least ``least``: those within the narrowest of the bounds ``WIDTHS`` around their
    estimates in which there are any, and of these the ones with the least sum of distances, or next to it (``GAP``).
    Tables of one and two dimensions take milliseconds. With three and more, and thousands of cells, an attempt may come
    to ``NODES`` or ``SECONDS``: then the best it has found stands, or else wider bounds are tried. Where nothing is
    found in time or within the widest bounds, the numbers are those of ``by_construction``.

    Args:
        tables: By dimensions, estimates that agree, of all combinations of keys.
        keys: Public keys of every dimension.
        least: At least 0.

    Returns:
        The same cells with their counts.
    """
    estimates = _closed({names: as_array(cells, names, keys) for names, cells in tables.items()})
    whole = _nearest(estimates, least)
    result = {}
    for names in tables:
        axes = sorted(range(len(names)), key=names.__getitem__)
        counts = whole[tuple(sorted(names))].transpose(np.argsort(axes))
        result[names] = dict(zip(all_cells(names, keys), counts.ravel().tolist(), strict=True))
    return result


def _closed(tables: Mapping[Dimensions, Counts]) -> dict[Dimensions, Counts]:
    """The tables with axes in order of name, and what any of them share as tables of their own."""
    closed = {tuple(sorted(names)): in_order(counts, names) for names, counts in tables.items()}
    while True:
        pairs = itertools.combinations(closed, 2)
        shared = {tuple(sorted(set(one) & set(other))): one for one, other in pairs}
        missing = {part: whole for part, whole in shared.items() if part not in closed}
        if not missing:
            return closed
        closed |= {part: margin(closed[whole], whole, part) for part, whole in missing.items()}


@dataclass(frozen=True)
class _Program:
    """Counts as start + step + up - down, with the step 0 or 1, so that distances are linear in the three.

    Attributes:
        start: Each estimate rounded down, but at least ``least``; all tables' cells, one after the other.
        slope: Change of the distance by the step, -1 to 1.
        room: How far down a start may go.
        links: Sums of cells less their totals; counts agree where this gives 0.
    """

    start: Whole
    slope: Counts
    room: Counts
    links: sparse.csr_array


def _nearest(estimates: Mapping[Dimensions, Counts], least: int) -> dict[Dimensions, Whole]:
    program = _program(estimates, least)
    end = time.monotonic() + SECONDS
    for width in WIDTHS:
        counts = _solved(program, width, end - time.monotonic())
        if counts is not None:
            places = np.cumsum([table.size for table in estimates.values()])[:-1]
            parts = zip(estimates.items(), np.split(counts, places), strict=True)
            return {names: part.reshape(table.shape) for (names, table), part in parts}
    return by_construction(estimates, least)


def _program(estimates: Mapping[Dimensions, Counts], least: int) -> _Program:
    flat = np.concatenate([table.ravel() for table in estimates.values()])
    start = np.maximum(np.floor(flat), least)
    return _Program(start.astype(np.int64), 1 - 2 * np.clip(flat - start, 0, 1), start - least, _links(estimates))


def _links(tables: Mapping[Dimensions, Counts]) -> sparse.csr_array:
    places = dict(zip(tables, np.cumsum([0, *(table.size for table in tables.values())]), strict=False))
    blocks = [sparse.csr_array((0, sum(table.size for table in tables.values())))]
    for whole, table in tables.items():
        parts = [part for part in tables if set(part) < set(whole)]
        for part in (part for part in parts if not any(set(part) < set(between) for between in parts)):
            shape = [size if name in part else 1 for name, size in zip(whole, table.shape, strict=True)]
            total = np.broadcast_to(np.arange(tables[part].size).reshape(shape), table.shape).ravel()
            rows = np.concatenate([total, np.arange(tables[part].size)])
            columns = np.concatenate(
                [places[whole] + np.arange(table.size), places[part] + np.arange(tables[part].size)]
            )
            values = np.concatenate([np.ones(table.size), -np.ones(tables[part].size)])
            blocks.append(sparse.csr_array((values, (rows, columns)), (tables[part].size, blocks[0].shape[1])))
    return sparse.csr_array(sparse.vstack(blocks))


def _solved(program: _Program, width: int, seconds: float) -> Whole | None:
    if seconds <= 0:
        return None
    size = len(program.start)
    ones = np.ones(size)
    off = -(program.links @ program.start)
    result = milp(
        np.concatenate([program.slope, ones, ones]),
        integrality=np.ones(3 * size),
        bounds=Bounds(0, np.concatenate([ones, width * ones, np.minimum(width, program.room)])),
        constraints=LinearConstraint(sparse.hstack([program.links, program.links, -program.links]), off, off),
        options={"node_limit": NODES, "time_limit": seconds, "mip_rel_gap": GAP},
    )
    if result.x is None:
        return None
    step, up, down = np.rint(result.x).astype(np.int64).reshape(3, size)
    counts = program.start + step + up - down
    return counts if not (program.links @ counts).any() else None


def by_construction(estimates: Mapping[Dimensions, Counts], least: int) -> dict[Dimensions, Whole]:
    """Whole numbers that agree and are at least ``least`` whatever the tables are, near the estimates but not nearest.

    Set one key of every dimension apart, the largest. For all sets of dimensions, whole numbers for the cells without
    such keys can be chosen freely, here by rounding, and determine the other cells by subtraction from their totals.
    Where a cell is then too low, people are added to it who have the keys set apart in all other dimensions: that
    lowers no cell of any table.

    Args:
        estimates: By dimensions in order of name.
        least: At least 0.
    """
    sizes = {name: size for names, table in estimates.items() for name, size in zip(names, table.shape, strict=True)}
    wholes = {part: names for names in sorted(estimates, key=len, reverse=True) for part in subsets(names)}
    margins = {part: margin(estimates[names], names, part) for part, names in sorted(wholes.items(), key=_size)}
    apart = {name: int(margins[(name,)].argmax()) for name in sizes}
    counts: dict[Dimensions, Whole] = {}
    for part, estimate in margins.items():
        counts[part] = _completed(part, estimate, counts, apart)
    for names in sorted(estimates, key=len, reverse=True):
        for place in np.argwhere(counts[names] < least).tolist():
            keys = apart | dict(zip(names, place, strict=True))
            missing = least - counts[names][tuple(place)]
            for part, table in counts.items():
                table[tuple(keys[name] for name in part)] += missing
    return {names: counts[names] for names in estimates}


def _size(item: tuple[Dimensions, Dimensions]) -> int:
    return len(item[0])


def _completed(
    names: Dimensions, estimate: Counts, totals: Mapping[Dimensions, Whole], apart: Mapping[str, int]
) -> Whole:
    """Rounded cells without keys set apart; axis by axis, the others are what the totals leave."""

    def without(table: Whole, axes: Dimensions, gone: Dimensions) -> Whole:
        for name in gone:
            table = np.delete(table, apart[name], axis=axes.index(name))
        return table

    counts = without(np.array(np.rint(estimate), np.int64), names, names)
    for axis, name in enumerate(names):
        others = names[:axis] + names[axis + 1 :]
        left = without(totals[others], others, names[axis + 1 :]) - counts.sum(axis=axis)
        counts = np.insert(counts, apart[name], left, axis=axis)
    return counts
