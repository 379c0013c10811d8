"""Tables of a release as people read them on pages: labels, figures with their intervals, what is withheld."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from pipeline.publication.views import level_name, level_names, level_of, of_people, totals
from pipeline.publication.words import bound_of, key_label, number_of
from pipeline.release.artefact import LevelFacts, MeasureFacts, TableFacts
from pipeline.vocabulary import PEOPLE, TOTAL_KEY


@dataclass(frozen=True)
class Cell:
    """One number as it is read; empty texts where it cannot be told."""

    value: str
    low: str
    high: str
    noise_sd: float
    rough: bool


@dataclass(frozen=True)
class Row:
    """One listed group, with a cell for each measure of the table."""

    labels: tuple[str, ...]
    kind: str
    depth: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Section:
    """One table as pages show it.

    Attributes:
        facts: What is public about it.
        rows: Listed groups, as people read them.
        withheld: Labels of groups of the public lists that are not listed.
        bounds: What of one person is counted at most, in sentences.
        shown: How many groups are listed.
        folded: Of the withheld, how many have people enough and would give away a smaller neighbour.
        rough: How many numbers of people lie close to the threshold.
    """

    facts: TableFacts
    rows: tuple[Row, ...]
    withheld: tuple[str, ...]
    bounds: tuple[str, ...]
    shown: int
    folded: int
    rough: int


def ordered(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    """Listed groups as people read them, one row each: a total first, then its parts, largest first, the rest last.

    Returns:
        Their rows of people, with ``depth``.
    """
    frame = of_people(frame, facts)
    depth = level_of(frame, facts.dimensions)
    ranks: dict[str, pd.Series[float]] = {}
    for level in range(1, len(facts.dimensions) + 1):
        place = _joined(frame, facts.dimensions[:level])
        size = frame["value"].astype("Float64").where(frame["row_kind"] != "remainder", -1.0)
        of_group = dict(zip(place[depth == level], size[depth == level], strict=True))
        rank = place.map(of_group).astype("Float64")
        ranks[f"rank {level}"] = rank.where(frame[facts.dimensions[level - 1]] != TOTAL_KEY, float("inf"))
    listed = frame.assign(depth=depth, **ranks)[frame["value"].notna()]
    return listed.sort_values(list(ranks), ascending=False, kind="stable").drop(columns=list(ranks))


def _joined(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series[str]:
    """The keys of each row in one text; no key holds the unit separator."""
    joined = frame[names[0]].astype(str)
    for name in names[1:]:
        joined = joined + "\x1f" + frame[name].astype(str)
    return joined


def section_of(frame: pd.DataFrame, facts: TableFacts, person: str) -> Section:
    """A published table as pages show it.

    Args:
        frame: The table, with the columns of a view.
        facts: About it.
        person: What one of its people is called: ``visitor``.
    """
    names, people = list(facts.dimensions), of_people(frame, facts)
    withheld = people[people["value"].isna()]
    places = withheld[withheld["row_kind"] == "group"][names].itertuples(index=False, name=None)
    cells = _cells(frame, facts)
    return Section(
        facts,
        tuple(_row(record, facts, cells) for record in ordered(frame, facts).to_dict("records")),
        tuple(", ".join(label for label in _key_labels(facts, place) if label != TOTAL_KEY) for place in places),
        tuple(filter(None, (bound_of(measure, person) for measure in facts.measures))),
        int(((people["row_kind"] == "group") & people["value"].notna()).sum()),
        int((withheld["conf_status"] == "D").sum()),
        int((people["obs_status"] == "U").sum()),
    )


def _cells(frame: pd.DataFrame, facts: TableFacts) -> dict[tuple[str, ...], Cell]:
    # (*group, measure) -> what stands there
    measures = {measure.name: measure for measure in facts.measures}
    names = [*facts.dimensions, "measure"]
    records = frame[frame["value"].notna()].to_dict("records")
    return {tuple(str(one[name]) for name in names): _cell(one, measures[one["measure"]]) for one in records}


def _cell(record: dict[Hashable, Any], measure: MeasureFacts) -> Cell:
    value, low, high = (number_of(measure, record[name]) for name in ("value", "value_lo", "value_hi"))
    return Cell(value, low, high, float(record["noise_sd"]), record["obs_status"] == "U")


_NOT_TOLD: Final = Cell("", "", "", 0.0, rough=False)


def _row(record: dict[Hashable, Any], facts: TableFacts, cells: Mapping[tuple[str, ...], Cell]) -> Row:
    place = tuple(str(record[name]) for name in facts.dimensions)
    return Row(
        tuple(_key_labels(facts, place)),
        str(record["row_kind"]),
        int(record["depth"]),
        tuple(cells.get((*place, measure.name), _NOT_TOLD) for measure in facts.measures),
    )


def _key_labels(facts: TableFacts, place: tuple[str, ...]) -> list[str]:
    return [key_label(dimension, key) for dimension, key in zip(facts.dimensions, place, strict=True)]


def total_of(sections: Sequence[Section]) -> Cell | None:
    """How many people there are in all; None where no table tells it, or it is withheld."""
    # A table over people tells how many there are; one over groups counts a person more than once.
    over_people = [section for section in sections if section.facts.measure == PEOPLE]
    found = [row.cells[0] for section in over_people for row in section.rows if row.kind == "total"]
    return found[0] if found else None


def level_words(level: LevelFacts, tables: tuple[TableFacts, ...], person: str) -> tuple[str, str]:
    """By what a level groups, and what it counts, within which bound."""
    titles = {
        name: title for facts in tables for name, title in zip(facts.dimensions, facts.dimension_titles, strict=True)
    }
    what = ", ".join(titles[name] for name in level.dimensions) or "Total"
    own = next((facts.title for facts in tables if facts.name == level.table), None)
    counts = {name: total for facts in tables for total in totals(facts) for name in level_names(facts, total)}
    total = counts.get(level_name(level))
    counted = "" if total is None else bound_of(total, person).removesuffix(".") or total.title
    return f"{what} (in \u201c{own}\u201d)" if own else what, counted
