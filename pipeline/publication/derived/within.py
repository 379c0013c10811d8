"""Shares and indices within one edition.

``share of all`` is a number over the total of its table, ``share of parent`` over the row it is a part of. ``index`` is
100 where a group is like everybody:

- of people in a table of several dimensions: how frequent the last key is among them, against how frequent it is among
  everybody, where another table over people tells the latter;
- of another total: so much a person of the group, against so much a person of everybody;
- of a mean: that of the group against that of everybody.

A table that counts people in several groups tells shares of those counts. Where a number is withheld or is not in the
bundle, nothing is told of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.publication.derived.ratios import Interval, Noisy, double_quotient, quotient
from pipeline.publication.views import level_of, means, totals
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.vocabulary import PEOPLE, REMAINDER_KEY, TOTAL_KEY

SHARE_OF_ALL: Final = "share of all"
SHARE_OF_PARENT: Final = "share of parent"
INDEX: Final = "index"
STATISTICS: Final = (SHARE_OF_ALL, SHARE_OF_PARENT, INDEX)
BEFORE: Final = ("period_start", "period_end", "table")
AFTER: Final = ("measure", "statistic", "value", "value_lo", "value_hi")
Places = npt.NDArray[np.int64]
_DIGITS: Final = {SHARE_OF_ALL: 6, SHARE_OF_PARENT: 6, INDEX: 2}
_MOST: Final = {SHARE_OF_ALL: 1.0, SHARE_OF_PARENT: 1.0, INDEX: np.inf}


def dimensions_of(tables: Sequence[TableFacts]) -> tuple[str, ...]:
    """The different dimensions of tables, in the order in which they come."""
    return tuple(dict.fromkeys(name for facts in tables for name in facts.dimensions))


def columns_of(tables: Sequence[TableFacts]) -> tuple[str, ...]:
    """The columns of derived numbers of these tables."""
    return (*BEFORE, *dimensions_of(tables), *AFTER)


def within(tables: Sequence[TableFacts], frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Shares and indices of all tables of one edition.

    Args:
        tables: What is public about each.
        frames: By name, with the published columns.

    Returns:
        One row a group, measure and statistic; columns as ``columns_of`` says. A dimension that a table does not have
        is missing there. Shares are fractions, 1 for all; an index is 100 for the average.
    """
    whole = {facts.dimensions: _Table(facts, frames[facts.name]) for facts in tables if facts.measure == PEOPLE}
    parts = [part for facts in tables for part in _of_table(_Table(facts, frames[facts.name]), whole)]
    made = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    made = made.reindex(columns=list(columns_of(tables)))
    texts = dict.fromkeys(["table", *dimensions_of(tables), "measure", "statistic"], "string")
    return made.astype(texts | dict.fromkeys(["value", "value_lo", "value_hi"], "Float64"))


@dataclass(frozen=True)
class _Table:
    facts: TableFacts
    frame: pd.DataFrame

    @cached_property
    def places(self) -> pd.Series[int]:
        # (*keys, measure) -> place of the row
        names = [*self.facts.dimensions, "measure"]
        every = pd.Series(np.arange(len(self.frame)), index=pd.MultiIndex.from_frame(self.frame[names].astype(str)))
        return every[~every.index.duplicated()]  # that a row is there twice is for verification to say

    @cached_property
    def numbers(self) -> Noisy:
        return Noisy.of(self.frame)

    @cached_property
    def depth(self) -> npt.NDArray[np.int64]:
        return np.asarray(level_of(self.frame, self.facts.dimensions), dtype=np.int64)

    def rows(self, measure: MeasureFacts, least: int = 1) -> Places:
        """Places of the rows of a measure that stand at least so deep."""
        wanted = (self.frame["measure"] == measure.name).to_numpy() & (self.depth >= least)
        return np.asarray(np.flatnonzero(wanted), dtype=np.int64)

    def find(self, keys: Sequence[npt.NDArray[np.object_]], measure: str) -> Noisy:
        """The numbers of rows with these keys, one array a dimension; none where there is no such row."""
        wanted = pd.MultiIndex.from_arrays([*keys, np.full(len(keys[0]), measure, dtype=object)])
        places: Places = np.asarray(self.places.reindex(wanted).fillna(-1), dtype=np.int64)
        return self.numbers.at(places)

    def keys(self, rows: Places) -> list[npt.NDArray[np.object_]]:
        return [self.frame[name].astype(str).to_numpy(object)[rows] for name in self.facts.dimensions]

    def totals_of(self, rows: Places, measure: str) -> Noisy:
        """The total of the table, once for each of these rows."""
        every = np.full(len(rows), TOTAL_KEY, dtype=object)
        return self.find([every] * len(self.facts.dimensions), measure)

    def parents_of(self, rows: Places, measure: str) -> Noisy:
        """The row of which each of these is a part."""
        depth = self.depth[rows]
        keys = [np.where(depth == place, TOTAL_KEY, key) for place, key in enumerate(self.keys(rows), start=1)]
        return self.find(keys, measure)


def _of_table(table: _Table, whole: Mapping[tuple[str, ...], _Table]) -> Iterator[pd.DataFrame]:
    for measure in totals(table.facts):
        yield from _shares(table, measure)
        if measure.name != table.facts.measure:
            yield _per_person(table, measure)
    for mean in means(table.facts):
        yield _of_mean(table, mean)
    if table.facts.measure == PEOPLE and len(table.facts.dimensions) > 1:
        yield from _frequencies(table, whole)


def _shares(table: _Table, measure: MeasureFacts) -> Iterator[pd.DataFrame]:
    rows, deeper = table.rows(measure), table.rows(measure, 2)
    of_all = quotient(table.numbers.at(rows), table.totals_of(rows, measure.name))
    yield _told(table, rows, SHARE_OF_ALL, of_all)
    if len(deeper):
        of_parent = quotient(table.numbers.at(deeper), table.parents_of(deeper, measure.name))
        yield _told(table, deeper, SHARE_OF_PARENT, of_parent)


def _per_person(table: _Table, measure: MeasureFacts) -> pd.DataFrame:
    rows, people = table.rows(measure), table.facts.measure
    above = table.numbers.at(rows), table.totals_of(rows, people)
    below = table.find(table.keys(rows), people), table.totals_of(rows, measure.name)
    return _told(table, rows, INDEX, double_quotient(above, below, 100))


def _of_mean(table: _Table, mean: MeasureFacts) -> pd.DataFrame:
    rows = table.rows(mean)
    sure = Noisy(np.ones(len(rows)), np.zeros(len(rows)))
    found = double_quotient((table.numbers.at(rows), sure), (table.totals_of(rows, mean.name), sure), 100)
    return _told(table, rows, INDEX, found)


def _frequencies(table: _Table, whole: Mapping[tuple[str, ...], _Table]) -> Iterator[pd.DataFrame]:
    """How frequent the last key of each group is in what the group is a part of, against everybody."""
    (people,) = (measure for measure in table.facts.measures if measure.name == table.facts.measure)
    for depth, name in enumerate(table.facts.dimensions[1:], start=2):
        alone = whole.get((name,))
        rows = table.rows(people, depth)
        rows = rows[table.depth[rows] == depth]
        if alone is None or not len(rows):
            continue
        keys = table.keys(rows)[depth - 1]
        rows = rows[keys != REMAINDER_KEY]
        everybody = alone.find([table.keys(rows)[depth - 1]], PEOPLE)
        above = table.numbers.at(rows), table.totals_of(rows, PEOPLE)
        below = table.parents_of(rows, PEOPLE), everybody
        yield _told(table, rows, INDEX, double_quotient(above, below, 100))


def _told(table: _Table, rows: Places, statistic: str, found: Interval) -> pd.DataFrame:
    digits, most = _DIGITS[statistic], _MOST[statistic]
    kept = np.flatnonzero(np.isfinite(found.value) & np.isfinite(found.low) & np.isfinite(found.high))
    names = ["period_start", "period_end", *table.facts.dimensions, "measure"]
    told = table.frame.iloc[rows[kept]][names].reset_index(drop=True)
    numbers = {"value": found.value, "value_lo": found.low, "value_hi": found.high}
    limited = {name: np.round(np.clip(side[kept], 0, most), digits) for name, side in numbers.items()}
    return told.assign(table=table.facts.name, statistic=statistic, **limited)
