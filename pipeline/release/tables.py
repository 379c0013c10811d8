"""Lays noisy levels out as tables that people read: totals, groups, remainders, withheld rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pipeline.privacy.budget import K
from pipeline.privacy.consistency import Family, Group, NoisyLevel, settle
from pipeline.privacy.levels import LevelKey, level_keys
from pipeline.privacy.noise import DiscreteLaplace, sum_half_width
from pipeline.release.artefact import ROW_COLUMNS
from pipeline.spec import BoundTable
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

Row = dict[str, Any]
_WITHHELD: Row = {
    "value": None,
    "value_lo": None,
    "value_hi": None,
    "estimate": None,
    "noise_sd": None,
    "obs_status": "Q",
}


def table_frame(table: BoundTable, noisy: Mapping[LevelKey, NoisyLevel], k: K) -> pd.DataFrame:
    """One table.

    Returns:
        One row a group: the total first, then each listed parent followed by its children, withheld ones included, and
        the remainder last. Columns: dimensions, then ``ROW_COLUMNS``.
    """
    levels = [noisy[key] for key in level_keys(table)]
    names = [dimension.name for dimension in table.dimensions]
    rows = list(_rows(table, levels, k))
    types = {**dict.fromkeys(names, "string"), **ROW_COLUMNS}
    return pd.DataFrame({name: pd.array([row[name] for row in rows], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]


def _rows(table: BoundTable, levels: list[NoisyLevel], k: K) -> Iterator[Row]:
    root = levels[0]
    if () not in root.counts:
        # The list of keys is public: that each is withheld says no more than that the total is.
        yield {**_place(table, (), "total"), **_WITHHELD, "conf_status": "C"}
        for key in table.dimensions[0].keys:
            yield {**_place(table, (key,), "group"), **_WITHHELD, "conf_status": "C"}
        return
    total = root.counts[()]
    yield {**_place(table, (), "total"), **_drawn(total, total, root.level.noise, k)}
    yield from _children(table, levels, (), total, k)


def _children(table: BoundTable, levels: list[NoisyLevel], group: Group, value: int, k: K) -> Iterator[Row]:
    depth = len(group)
    if depth == len(table.dimensions):
        return
    parent, child = levels[depth], levels[depth + 1]
    keys = [(*group, key) for key in table.dimensions[depth].keys]
    family = settle(parent, child, group, value, keys, k)
    for key in keys:
        if key in family.values:
            shown = family.values[key]
            yield {**_place(table, key, "group"), **_drawn(shown, child.counts[key], child.level.noise, k)}
            yield from _children(table, levels, key, shown, k)
        else:
            yield {**_place(table, key, "group"), **_WITHHELD, "conf_status": "D" if key in family.folded else "C"}
    if family.remainder is not None:
        yield {**_place(table, (*group, REMAINDER_KEY), "remainder"), **_remainder(family, parent, child, group, k)}


def _place(table: BoundTable, group: Group, kind: str) -> Row:
    padded = (*group, *[TOTAL_KEY] * (len(table.dimensions) - len(group)))
    return {"kind": kind, **{d.name: key for d, key in zip(table.dimensions, padded, strict=True)}}


def _drawn(value: int, count: int, noise: DiscreteLaplace, k: K) -> Row:
    return _listed(value, count, noise.half_width(), noise.sd, k)


def _remainder(family: Family, parent: NoisyLevel, child: NoisyLevel, group: Group, k: K) -> Row:
    assert family.remainder is not None
    listed = len(family.values)
    estimate = parent.counts[group] - sum(child.counts[key] for key in family.values)
    parts = [(parent.level.noise, 1), (child.level.noise, listed)]
    sd = math.sqrt(sum(times * noise.sd**2 for noise, times in parts))
    return _listed(family.remainder, estimate, sum_half_width(parts), sd, k)


def _listed(value: int, estimate: int, half_width: int, sd: float, k: K) -> Row:
    # Nothing listed has fewer than k people, so no interval need reach below; and it holds the displayed value.
    return {
        "value": value,
        "value_lo": min(max(estimate - half_width, k.value), value),
        "value_hi": max(estimate + half_width, value),
        "estimate": float(estimate),
        "noise_sd": sd,
        "obs_status": "A",
        "conf_status": "F",
    }
