"""What a release tells, looked up by group: numbers to attack, and whether every row may be there at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from pipeline.audit.people import Truth
from pipeline.privacy.noisy import Group
from pipeline.release.artefact import PrivateRelease
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY


@dataclass(frozen=True)
class Row:
    """One published row."""

    value: float
    estimate: float
    status: str  # SDMX: F listed, C under the threshold, D folded

    @property
    def listed(self) -> bool:
        """Whether it has a number."""
        return self.status == "F" and not math.isnan(self.value)


class Reading:
    """One table of a release.

    Attributes:
        rows: (measure, group) -> row; the group of a remainder ends with its own key.
        measure: Under which name people stand.
    """

    def __init__(self, release: PrivateRelease, name: str) -> None:
        facts = next(one for one in release.header.tables if one.name == name)
        frame = release.tables[name]
        groups = zip(*(frame[one].tolist() for one in facts.dimensions), strict=True)
        cut = (tuple(key for key in group if key != TOTAL_KEY) for group in groups)
        values = (_floats(frame[column]) for column in ("value", "estimate"))
        contents = zip(*values, frame["conf_status"].tolist(), strict=True)
        places = zip(frame["measure"].tolist(), cut, strict=True)
        self.rows: Mapping[tuple[str, Group], Row] = {
            place: Row(*content) for place, content in zip(places, contents, strict=True)
        }
        self.measure = facts.measure

    def row(self, measure: str, group: Group) -> Row | None:
        """One row; None where it is not there."""
        return self.rows.get((measure, group))

    def people(self) -> Iterator[tuple[Group, Row]]:
        """Rows about people."""
        return ((group, row) for (measure, group), row in self.rows.items() if measure == self.measure)

    def children(self, parent: Group) -> Iterator[tuple[Group, Row]]:
        """Rows about people directly below a group, its remainder among them."""
        depth = len(parent) + 1
        return ((group, row) for group, row in self.people() if len(group) == depth and group[:-1] == parent)


def _floats(column: pd.Series) -> list[float]:
    return column.to_numpy(dtype="float64", na_value=math.nan).tolist()


Readings = Mapping[str, Reading]


@dataclass(frozen=True)
class Cell:
    """A group in a statistic.

    Attributes:
        group: Which.
        instead: What stands for its number where it is not listed.
        weight: By which its number is multiplied.
    """

    group: Group
    instead: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True)
class Estimates:
    """The sum of the estimates of some groups."""

    table: str
    measure: str
    cells: tuple[Cell, ...]

    def __call__(self, readings: Readings) -> float:
        """Of one release."""
        rows = ((cell, readings[self.table].row(self.measure, cell.group)) for cell in self.cells)
        return sum(cell.weight * (row.estimate if row and row.listed else cell.instead) for cell, row in rows)


@dataclass(frozen=True)
class Together:
    """Several sums added up."""

    parts: tuple[Estimates, ...]

    def __call__(self, readings: Readings) -> float:
        """Of one release."""
        return sum(part(readings) for part in self.parts)


@dataclass(frozen=True)
class Parts:
    """The displayed numbers of people in all rows directly below the total, the remainder among them."""

    table: str

    def __call__(self, readings: Readings) -> float:
        """Of one release."""
        return sum(row.value for _, row in readings[self.table].children(()) if row.listed)


@dataclass(frozen=True)
class Released:
    """1 where a group was released, whether it is listed or folded to protect another; otherwise 0."""

    table: str
    group: Group

    def __call__(self, readings: Readings) -> float:
        """Of one release."""
        reading = readings[self.table]
        row = reading.row(reading.measure, self.group)
        return float(row is not None and row.status != "C")


Statistic = Estimates | Together | Parts | Released


def violations(reading: Reading, truth: Truth, k: int) -> tuple[int, int]:
    """Rows that speak of fewer than k people, or say that a group of fewer was released, for certain.

    Returns:
        How many rows were looked at, and how many of them are such.
    """
    looked = wrong = 0
    listed: dict[Group, set[str]] = {}
    for group, row in reading.people():
        if row.listed and group:
            listed.setdefault(group[:-1], set()).add(group[-1])
    for group, row in reading.people():
        if row.status not in ("F", "D"):
            continue
        looked += 1
        if group[-1:] == (REMAINDER_KEY,):
            people = truth.hidden(group[:-1], listed.get(group[:-1], set()) - {REMAINDER_KEY})
        else:
            people = truth.people.get(group, 0)
        wrong += people < k
    return looked, wrong
