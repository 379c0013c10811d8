"""A release beside the one before it, as the checks on drift read it: noisy rows and declared noise, nothing else."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd

from expectations.drift import BEFORE, NOW, WHEN
from pipeline.release.artefact import ROW_COLUMNS, PrivateRelease, TableFacts
from pipeline.release.comparison import alike
from pipeline.validation.levels import levels_of, totals_of
from pipeline.validation.runs import Subject
from pipeline.validation.suites import Parameters
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

# Where a level is not declared, no count can pass.
OUT_OF_REACH: Final = 2**62


def drift_of(release: PrivateRelease, previous: PrivateRelease | None, table: TableFacts) -> Subject:
    """One table and, where the release before told it alike, the same table then.

    Its checks do not depend on whether there was one: without, they have nothing to compare.
    """
    measures = alike(release, previous).get(table.name, ()) if previous else ()
    held = [(NOW, release.tables[table.name])]
    keys = list(table.keys)
    if previous is not None and measures:
        held.append((BEFORE, previous.tables[table.name]))
        keys = [_on_both(*lists) for lists in zip(table.keys, _facts(previous, table).keys, strict=True)]
    names = [measure.name for measure in measures]
    frame = pd.concat([_rows(rows, table, keys, names).assign(**{WHEN: when}) for when, rows in held])
    then = previous if previous is not None and measures else release
    return Subject("drift", f"{table.name}_drift", table.name, frame, _parameters(release, then, table))


def _on_both(now: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """A key that one list lacks could not be told then: that its group is there, or is not, is no drift."""
    return tuple(key for key in now if key in before)


def _rows(frame: pd.DataFrame, table: TableFacts, keys: list[tuple[str, ...]], measures: list[str]) -> pd.DataFrame:
    # one row a row of the table whose keys, and whose measure, both releases have; columns that a release lacks, empty
    whole = frame.reindex(columns=[*table.dimensions, *ROW_COLUMNS])
    chosen = whole["measure"].isin(measures)
    for name, known in zip(table.dimensions, keys, strict=True):
        if name not in table.private:
            chosen &= whole[name].isin([*known, TOTAL_KEY, REMAINDER_KEY])
    return whole[chosen]


def _parameters(now: PrivateRelease, before: PrivateRelease, table: TableFacts) -> Parameters:
    people = totals_of(table)[0]
    levels = {when: levels_of(one.header, table, people) for when, one in ((NOW, now), (BEFORE, before))}
    return {
        "dimensions_in_order": list(table.dimensions),
        "people": table.measure,
        "measured": [{"measure": measure.name, "title": measure.title} for measure in table.measures],
        "thresholds": {
            when: [level.threshold if level else OUT_OF_REACH for level in found] for when, found in levels.items()
        },
        "deviations": {
            when: [level.noise_sd if level else math.nan for level in found] for when, found in levels.items()
        },
    }


def _facts(release: PrivateRelease, table: TableFacts) -> TableFacts:
    return next(facts for facts in release.header.tables if facts.name == table.name)
