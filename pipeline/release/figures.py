"""What a whole release comes to: how many people it tells there are, and how many groups it tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.vocabulary import PEOPLE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Counted:
    """A noisy count with its 95 % interval."""

    value: int
    low: int
    high: int


@dataclass(frozen=True)
class TableGroups:
    """How many groups of a table's closed list were released, and how many withheld (nobody in them included).

    ``withheld`` is None where keys are private: how many others there are is not told.
    """

    title: str
    released: int
    withheld: int | None


def people_of(release: PrivateRelease) -> Counted | None:
    """The total of the first table over people, the same in all of them; None where even that is withheld."""
    for facts in release.header.tables:
        if facts.measure == PEOPLE:
            frame = _of_people(release.tables[facts.name], facts)
            total = frame[(frame["kind"] == "total") & frame["value"].notna()]
            if not total.empty:
                row = total.iloc[0]
                return Counted(int(row["value"]), int(row["value_lo"]), int(row["value_hi"]))
    return None


def groups_of(release: PrivateRelease) -> tuple[TableGroups, ...]:
    """Groups of each table."""
    return tuple(_groups(facts, release.tables[facts.name]) for facts in release.header.tables)


def withheld_share(release: PrivateRelease) -> float | None:
    """Withheld groups of all groups of closed lists; None where no table has such a list."""
    counted = [(one.released, one.withheld) for one in groups_of(release) if one.withheld is not None]
    withheld = sum(withheld for _, withheld in counted)
    of = withheld + sum(released for released, _ in counted)
    return withheld / of if of else None


def _groups(facts: TableFacts, frame: pd.DataFrame) -> TableGroups:
    people = _of_people(frame, facts)
    groups = people[people["kind"] == "group"]
    released = int(groups["value"].notna().sum())
    return TableGroups(facts.title, released, None if facts.private else len(groups) - released)


def _of_people(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    # a group has one row of people, and may have others
    return frame[frame["measure"] == facts.measure]
