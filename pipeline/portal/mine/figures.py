"""Numbers of a table as its page tells them: shares and indices, changes, the meaning of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from pipeline.periods import Period
from pipeline.publication.datapackage import field_of
from pipeline.publication.derived.across import (
    FALLS,
    NOT_COMPARABLE,
    PERIOD_BEFORE,
    RISES,
    YEAR_BEFORE,
    previous,
    year_before,
)
from pipeline.publication.derived.within import INDEX, STATISTICS
from pipeline.publication.sections import ordered
from pipeline.publication.views import column_order
from pipeline.publication.words import heading_of, key_label, number_of
from pipeline.release.artefact import MeasureFacts, TableFacts

_AVERAGE: Final = 100.0
_NAMED: Final = 12  # of the keys that a column allows


@dataclass(frozen=True)
class Told:
    """One number as it is read; empty texts where it cannot be told.

    Attributes:
        value: ``12.3 %``.
        interval: ``11.9 to 12.7``.
        word: What to make of it: of an index ``above``, ``below`` or ``like everybody``.
    """

    value: str = ""
    interval: str = ""
    word: str = ""


@dataclass(frozen=True)
class Shares:
    """Shares and indices of a table.

    Attributes:
        headings: Of the columns, ``People: share of all``.
        indexed: Whether there are indices among them.
        rows: Labels of a group, and of each column what is told.
    """

    headings: tuple[str, ...]
    indexed: bool
    rows: tuple[tuple[tuple[str, ...], tuple[Told, ...]], ...]


@dataclass(frozen=True)
class Change:
    """How one number of a group changed.

    Attributes:
        labels: Of the group.
        measure: Of what, where a table has several; otherwise empty.
        now: What it is.
        before: What it was.
        change: By how much, with its interval.
        percent: The same in per cent.
        verdict: ``rises``, ``falls`` or ``within the noise``.
        note: What is to be known of it; empty where nothing is.
    """

    labels: tuple[str, ...]
    measure: str
    now: str
    before: str
    change: Told
    percent: Told
    verdict: str
    note: str


@dataclass(frozen=True)
class Comparison:
    """A table against another period.

    Attributes:
        against: ``period before`` or ``year before``.
        period: Which that is.
        changes: Of what can be compared, in the order of the table.
        refused: Why others cannot, and of how many numbers that is so.
    """

    against: str
    period: str
    changes: tuple[Change, ...]
    refused: Mapping[str, int]

    @property
    def moved(self) -> int:
        """How many changes exceed the noise."""
        return sum(change.verdict in (RISES, FALLS) for change in self.changes)


def shares_of(derived: pd.DataFrame, frame: pd.DataFrame, facts: TableFacts) -> Shares | None:
    """Shares and indices of the groups that a table lists; None where there are none.

    Args:
        derived: All of the edition.
        frame: The table.
        facts: About it.
    """
    own = derived[derived["table"] == facts.name]
    if own.empty:
        return None
    names = [*facts.dimensions, "measure", "statistic"]
    told = {tuple(map(str, record[:-1])): record[-1] for record in _records(own, names)}
    columns = [
        (measure, statistic)
        for measure in facts.measures
        for statistic in STATISTICS
        if any(key[-2:] == (measure.name, statistic) for key in told)
    ]
    rows = [
        (_labels(facts, place), tuple(told.get((*place, measure.name, kind), Told()) for measure, kind in columns))
        for place in _places(frame, facts)
    ]
    several = len(facts.measures) > 1
    headings = tuple(f"{heading_of(measure)}: {kind}" if several else kind.capitalize() for measure, kind in columns)
    indexed = any(kind == INDEX for _, kind in columns)
    return Shares(headings, indexed, tuple(row for row in rows if any(one.value for one in row[1])))


def _records(own: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for record in own[own["value"].notna()].to_dict("records"):
        ends = (record["value"], record["value_lo"], record["value_hi"])
        yield (*(record[name] for name in names), _statistic(str(record["statistic"]), *map(float, ends)))


def _statistic(kind: str, value: float, low: float, high: float) -> Told:
    if kind == INDEX:
        word = "like everybody" if low <= _AVERAGE <= high else "above" if low > _AVERAGE else "below"
        return Told(f"{value:,.0f}", f"{low:,.0f} to {high:,.0f}", word)
    return Told(f"{100 * value:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}")


def comparisons_of(changes: pd.DataFrame, frame: pd.DataFrame, facts: TableFacts) -> tuple[Comparison, ...]:
    """What ``across.compared`` found, as people read it.

    Args:
        changes: What it found.
        frame: The table, whose order is kept.
        facts: About it.
    """
    order = {place: rank for rank, place in enumerate(_places(frame, facts))}
    return tuple(
        _comparison(str(against), str(period), _in_order(rows, facts, order), facts)
        for (against, period), rows in changes.groupby(["against", "other_period"], sort=False)
    )


def absent_of(label: str, found: Sequence[Comparison]) -> tuple[tuple[str, str], ...]:
    """With what a period would be compared that is not there: against what, and which period that would be."""
    period, there = Period.parse(label), {one.against for one in found}
    others = {PERIOD_BEFORE: previous(period), YEAR_BEFORE: year_before(period)}
    return tuple((against, str(other)) for against, other in others.items() if other and against not in there)


def _places(frame: pd.DataFrame, facts: TableFacts) -> list[tuple[str, ...]]:
    """The keys of the listed groups, as people read them."""
    return list(ordered(frame, facts)[list(facts.dimensions)].astype(str).itertuples(index=False, name=None))


def _in_order(rows: pd.DataFrame, facts: TableFacts, order: Mapping[tuple[str, ...], int]) -> pd.DataFrame:
    places = rows[list(facts.dimensions)].astype(str).itertuples(index=False, name=None)
    ranked = rows.assign(rank=[order.get(place, len(order)) for place in places])
    return ranked.sort_values("rank", kind="stable").drop(columns="rank")


def _comparison(against: str, period: str, rows: pd.DataFrame, facts: TableFacts) -> Comparison:
    told = rows["verdict"] != NOT_COMPARABLE
    measures = {measure.name: measure for measure in facts.measures}
    changes = tuple(_change(record, facts, measures) for record in rows[told].to_dict("records"))
    refused = {str(note): int(number) for note, number in rows[~told]["note"].value_counts().items()}
    return Comparison(against, period, changes, refused)


def _change(record: Mapping[Any, Any], facts: TableFacts, measures: Mapping[str, MeasureFacts]) -> Change:
    measure = measures[record["measure"]]
    absolute = [number_of(measure, float(record[name])) for name in ("change", "change_lo", "change_hi")]
    relative = [float(record[name]) for name in ("percent", "percent_lo", "percent_hi")]
    return Change(
        _labels(facts, tuple(str(record[name]) for name in facts.dimensions)),
        heading_of(measure) if len(measures) > 1 else "",
        number_of(measure, float(record["value"])),
        number_of(measure, float(record["before"])),
        Told(_signed(absolute[0]), f"{_signed(absolute[1])} to {_signed(absolute[2])}"),
        _percent(*relative) if np.isfinite(relative).all() else Told(),
        str(record["verdict"]),
        str(record["note"]),
    )


def _percent(value: float, low: float, high: float) -> Told:
    return Told(f"{value:+,.1f} %", f"{low:+,.1f} to {high:+,.1f}")


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _labels(facts: TableFacts, place: Sequence[str]) -> tuple[str, ...]:
    return tuple(key_label(name, key) for name, key in zip(facts.dimensions, place, strict=True))


@dataclass(frozen=True)
class Column:
    """One column of a table's files."""

    name: str
    type: str
    meaning: str
    allowed: str


def columns_of(facts: TableFacts) -> tuple[Column, ...]:
    """The dictionary of a table: each column, its type, what it means, and what may stand there."""
    return tuple(_column(name, facts) for name in column_order(facts.dimensions))


def _column(name: str, facts: TableFacts) -> Column:
    field = field_of(name, facts)
    meaning = str(field.get("description") or field.get("title", ""))
    constraints = cast("Mapping[str, Any]", field.get("constraints", {}))
    listed = [str(one) for one in constraints.get("enum", ())]
    allowed = ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")
    return Column(name, str(field["type"]), meaning, allowed)
