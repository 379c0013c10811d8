"""Lays settled levels out as tables that people read: totals, groups, remainders, withheld rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.privacy.budget import K
from pipeline.privacy.consistency import Family, SettledLevel, follow, settle
from pipeline.privacy.levels import LevelKey, level_keys
from pipeline.privacy.noisy import Group
from pipeline.release.artefact import TableFacts, column_types
from pipeline.release.numbers import Number, listed, quotient, remainder_of
from pipeline.spec import BoundTable
from pipeline.vocabulary import PEOPLE, REMAINDER_KEY, TOTAL_KEY

Row = dict[str, Any]
Shown = Mapping[str, int]  # total -> displayed number
# Made once: pandas would look a name up for every column of every table.
_TYPES = {kind: pd.api.types.pandas_dtype(kind) for kind in ("string", "Int64", "Float64", "float64")}
_WITHHELD: Row = {
    "value": None,
    "value_lo": None,
    "value_hi": None,
    "estimate": None,
    "noise_sd": None,
    "obs_status": "Q",
}


def table_frame(table: BoundTable, facts: TableFacts, settled: Mapping[LevelKey, SettledLevel], k: K) -> pd.DataFrame:
    """One table.

    Returns:
        One row a group and measure: the total first, then each listed parent followed by its children, withheld ones
        included (once, as counts of people), and the remainder last. Columns: ``artefact.column_types``.
    """
    levels = {total.name: [settled[key] for key in level_keys(table, total.measured)] for total in table.totals}
    rows = list(_Layout(table, facts, levels, k).rows())
    columns = {name: ([row[name] for row in rows], _TYPES[kind]) for name, kind in column_types(facts).items()}
    return pd.DataFrame({name: pd.array(items, dtype=kind) for name, (items, kind) in columns.items()}, copy=False)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Layout:
    """One table being laid out: ``levels`` holds for each total its levels, from the table's total down."""

    table: BoundTable
    facts: TableFacts
    levels: Mapping[str, Sequence[SettledLevel]]
    k: K

    def rows(self) -> Iterator[Row]:
        root = self.levels[PEOPLE][0]
        if () not in root.estimates:
            # The list of keys is public: that each is withheld says no more than that the total is.
            yield self._withheld((), "total", "C")
            for key in self._keys((), 0) or ():
                yield self._withheld(key, "group", "C")
            return
        shown = {name: levels[0].displayed(()) for name, levels in self.levels.items()}
        yield from self._group((), "total", shown)
        yield from self._children((), shown)

    def _children(self, group: Group, shown: Shown) -> Iterator[Row]:
        depth = len(group)
        if depth == len(self.table.dimensions):
            return
        keys = self._keys(group, depth)
        people = self.levels[PEOPLE]
        family = settle(people[depth], people[depth + 1], group, shown[PEOPLE], keys, self.k)
        parts = {name: self._parts(name, group, family, shown[name]) for name in self.levels}
        for key in sorted({*family.values, *family.folded}) if keys is None else keys:
            if key in family.values:
                numbers = {name: parts[name][key] for name in self.levels}
                yield from self._group(key, "group", numbers)
                yield from self._children(key, numbers)
            else:
                yield self._withheld(key, "group", "D" if key in family.folded else "C")
        if family.remainder is not None:
            rest = (*group, REMAINDER_KEY)
            yield from self._remainder(group, family, {name: parts[name][rest] for name in self.levels})

    def _keys(self, group: Group, depth: int) -> list[Group] | None:
        dimension = self.table.dimensions[depth]
        return None if dimension.name in self.table.private_keys else [(*group, key) for key in dimension.keys]

    def _parts(self, name: str, group: Group, family: Family, value: int) -> Mapping[Group, int]:
        rest = (*group, REMAINDER_KEY)
        if name == PEOPLE:
            return dict(family.values) | ({} if family.remainder is None else {rest: family.remainder})
        parent, child = self.levels[name][len(group) : len(group) + 2]
        left = parent.estimates[group].value - sum(child.estimates[key].value for key in family.values)
        return follow(child, family, value, left, rest)

    def _group(self, group: Group, kind: str, shown: Shown) -> Iterator[Row]:
        depth = len(group)
        numbers = {name: listed(levels[depth], group, shown[name]) for name, levels in self.levels.items()}
        yield from self._measures(group, kind, numbers)

    def _remainder(self, group: Group, family: Family, shown: Shown) -> Iterator[Row]:
        depth = len(group)
        numbers = {
            name: remainder_of(levels[depth], levels[depth + 1], group, family, shown[name])
            for name, levels in self.levels.items()
        }
        yield from self._measures((*group, REMAINDER_KEY), "remainder", numbers)

    def _measures(self, group: Group, kind: str, numbers: Mapping[str, Number]) -> Iterator[Row]:
        means = {mean.name: quotient(numbers[mean.numerator], numbers[mean.denominator]) for mean in self.table.means}
        every = {**numbers, **means}
        for measure, facts in zip(self.table.measures, self.facts.measures, strict=True):
            number, place = every[measure.name], self._place(group, kind, facts.name)
            status = {"conf_status": "F"} if number is not None else {**_WITHHELD, "conf_status": "C"}
            yield place | (number.row() if number is not None else {}) | status

    def _withheld(self, group: Group, kind: str, status: str) -> Row:
        return {**self._place(group, kind, self.facts.measure), **_WITHHELD, "conf_status": status}

    def _place(self, group: Group, kind: str, measure: str) -> Row:
        padded = (*group, *[TOTAL_KEY] * (len(self.table.dimensions) - len(group)))
        names = (dimension.name for dimension in self.table.dimensions)
        return {"kind": kind, "measure": measure, **dict(zip(names, padded, strict=True))}
