"""From which level each number of a table was drawn, as a release's header declares it."""

from __future__ import annotations

import itertools

from pipeline.measures import Measured
from pipeline.release.artefact import LevelFacts, MeasureFacts, ReleaseHeader, TableFacts
from pipeline.vocabulary import PEOPLE


def totals_of(table: TableFacts) -> list[MeasureFacts]:
    """Measures that were drawn; people first."""
    return [measure for measure in table.measures if measure.kind != "mean"]


def means_of(table: TableFacts) -> list[MeasureFacts]:
    """Measures that are quotients of others."""
    return [measure for measure in table.measures if measure.kind == "mean"]


def levels_of(header: ReleaseHeader, table: TableFacts, total: MeasureFacts) -> list[LevelFacts | None]:
    """The levels of one measure of a table, from the total down; None where one is not declared."""
    declared = {level_name(level): level for level in header.levels}
    return [declared.get(name) for name in level_names(table, total)]


def level_names(table: TableFacts, total: MeasureFacts) -> list[str]:
    """Names of the levels of one measure of a table, from the total down."""
    # Tables over people share their levels; one over what a person may have many of has its own.
    depths = range(len(table.dimensions) + 1)
    return [_name(_family(table), table.dimensions[:depth], measured_of(total)) for depth in depths]


def level_name(level: LevelFacts) -> str:
    """The name of a level: what it groups by, and what it counts within which bound."""
    return _name(level.table, level.dimensions, measured_of(level))


def measured_of(counted: LevelFacts | MeasureFacts) -> Measured:
    """What a level, or a measure that was drawn, counts."""
    return Measured(counted.quantity, counted.limit, counted.scope)


def is_crossed(header: ReleaseHeader, table: TableFacts, total: MeasureFacts) -> bool:
    """Whether levels that count the same are linked other than by drilling down, one of them below this table's first.

    Least squares then solves some of them together (``pipeline.privacy.least_squares``).
    """
    same = (_family(table), measured_of(total))
    levels = [level.dimensions for level in header.levels if (level.table, measured_of(level)) == same]
    crossing = {
        names[0] for one, other in itertools.combinations(levels, 2) if _cross(one, other) for names in (one, other)
    }
    return table.dimensions[0] in crossing


def _family(table: TableFacts) -> str:
    return "" if table.measure == PEOPLE else table.name


def _name(table: str, dimensions: tuple[str, ...], measured: Measured) -> str:
    counted = "" if measured.quantity == PEOPLE else f" of {measured.quantity}, {measured.limit} {measured.scope}"
    return f"{table}({', '.join(dimensions)}){counted}"


def _cross(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
    return bool(set(one[shared:]) & set(other[shared:]))
