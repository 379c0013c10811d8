"""One noisy release, many views: each audience gets its own tables of the same numbers, and only those.

A view is post-processing: nothing in it was drawn for it, so recipients who compare notes learn nothing more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from pipeline.errors import PublicationError
from pipeline.publication.cuts import Cut
from pipeline.release.artefact import (
    LevelFacts,
    MeasureFacts,
    PrivateRelease,
    ReleaseHeader,
    TableFacts,
    column_types,
)
from pipeline.vocabulary import PEOPLE, REMAINDER_KEY, TOTAL_KEY, Audience

# Columns of every published table besides its dimensions, in their order: what comes before and after them.
LEADING_COLUMNS: Final = ("period_start", "period_end")
TRAILING_COLUMNS: Final = (
    "measure",
    "unit",
    "value",
    "value_lo",
    "value_hi",
    "estimate",
    "noise_sd",
    "obs_status",
    "conf_status",
    "is_total",
    "row_kind",
    "revision",
)


@dataclass(frozen=True)
class AudienceView:
    """What one audience may read of a release.

    Attributes:
        audience: Who; None for the whole release, as its reviewer reads it.
        header: The release's header, cut to the tables, levels and audience of this view.
        tables: By name, with the published columns.
        supersedes: The newest earlier revision that the audience was given; None where there is none.
        cut: What of the audience's tables it shows; None where it shows them whole.
    """

    audience: Audience | None
    header: ReleaseHeader
    tables: Mapping[str, pd.DataFrame]
    supersedes: int | None = None
    cut: Cut | None = None

    @property
    def shelf(self) -> str:
        """The folder of its bundles beneath ``published``; see ``Cut.shelf``."""
        assert self.audience is not None
        return self.cut.shelf if self.cut else str(self.audience)

    @property
    def key_lists_sha256(self) -> str:
        """Digest of the public key lists of its tables; a dimension whose keys are private has none."""
        lists = {
            facts.name: [
                None if name in facts.private else keys for name, keys in zip(facts.dimensions, facts.keys, strict=True)
            ]
            for facts in self.header.tables
        }
        return hashlib.sha256(json.dumps(lists, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def view(release: PrivateRelease, audience: Audience, cut: Cut | None = None) -> AudienceView:
    """The tables one audience is entitled to, or the part of them that a recipient is.

    Args:
        release: Drawn once, for all.
        audience: Who.
        cut: What of the audience's tables is shown; all of them by default.

    Raises:
        PublicationError: The release names no such audience, or a table that it does not have; or nothing of it is in
            the cut.
    """
    header = release.header
    entitled = header.audiences.get(audience, ())
    facts = tuple(table for table in header.tables if table.name in entitled)
    if not entitled or len(facts) != len(set(entitled)):
        raise PublicationError(
            "an audience receives only tables that the release has and its specification grants",
            value=f"audience={audience}",
            remedy="Correct the audiences of the specification and release a new revision.",
        )
    if cut is not None:
        facts = parts_of(facts, cut)
    if not facts:
        raise PublicationError(
            "a part of an audience's tables must show at least one of them",
            value=f"audience={audience}, release={header.release}",
            remedy="Correct the entitlements: name tables, dimensions and keys that the release has.",
        )
    names = tuple(one.name for one in facts)
    told = {"tables": facts, "levels": _levels_of(header.levels, facts), "audiences": {audience: names}}
    shown = header.model_copy(update=told)
    tables = {one.name: _published_table(_rows(release.tables[one.name], one, cut), one, shown) for one in facts}
    return AudienceView(audience, shown, tables, cut=cut)


def parts_of(tables: tuple[TableFacts, ...], cut: Cut) -> tuple[TableFacts, ...]:
    """What a cut leaves of tables: fewer of them, of their dimensions from the last on, of their keys and measures."""
    named = (facts for facts in tables if not cut.tables or facts.name in cut.tables)
    parts = (_part(facts, cut) for facts in named)
    kept = (part for part in parts if part.dimensions)
    return tuple(part for part in kept if set(cut.rows) <= set(part.dimensions) or part.name in cut.tables)


def _part(facts: TableFacts, cut: Cut) -> TableFacts:
    columns = cut.columns.get(facts.name)
    depth = len(facts.dimensions) if columns is None else _leading(facts.dimensions, columns)
    names = facts.dimensions[:depth]
    shown = [one for one in facts.measures if columns is None or one.name in (facts.measure, *columns)]
    keys = (
        tuple(key for key in listed if name not in cut.rows or key in cut.rows[name])
        for name, listed in zip(names, facts.keys, strict=False)
    )
    return facts.model_copy(
        update={
            "dimensions": names,
            "dimension_titles": facts.dimension_titles[:depth],
            "keys": tuple(keys),
            "private": tuple(name for name in facts.private if name in names),
            "measures": tuple(shown),
        }
    )


def _leading(dimensions: tuple[str, ...], columns: tuple[str, ...]) -> int:
    """How many dimensions, from the first on, are among the columns."""
    return next((place for place, name in enumerate(dimensions) if name not in columns), len(dimensions))


def _rows(frame: pd.DataFrame, part: TableFacts, cut: Cut | None) -> pd.DataFrame:
    """The rows of a table that a cut shows; no number of them changes."""
    if cut is None:
        return frame
    left = [str(name) for name in frame.columns[: list(frame.columns).index("kind")] if name not in part.dimensions]
    shown = frame["measure"].isin([measure.name for measure in part.measures])
    for name in left:
        shown &= frame[name] == TOTAL_KEY
    for name in set(cut.rows).intersection(part.dimensions):
        shown &= frame[name].isin([*cut.rows[name], *((TOTAL_KEY, REMAINDER_KEY) if cut.totals else ())])
    return frame[shown].drop(columns=left).reset_index(drop=True)


def whole(release: PrivateRelease) -> AudienceView:
    """Every table of a release, as its reviewer reads them."""
    header = release.header
    tables = {facts.name: _published_table(release.tables[facts.name], facts, header) for facts in header.tables}
    return AudienceView(None, header, tables)


def groupings(facts: TableFacts) -> tuple[tuple[str, ...], ...]:
    """The levels of a table, from the total down: every leading part of its dimensions."""
    return tuple(facts.dimensions[:depth] for depth in range(len(facts.dimensions) + 1))


def level_of(frame: pd.DataFrame, dimensions: tuple[str, ...]) -> pd.Series[int]:
    """How deep each row stands: 0 for the total, the number of dimensions for a group of the finest level."""
    named = frame[list(dimensions)] != TOTAL_KEY
    return named.sum(axis=1).astype("int64")


def column_order(dimensions: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a published table."""
    return (*LEADING_COLUMNS, *dimensions, *TRAILING_COLUMNS)


def family(facts: TableFacts) -> str:
    """Name under which a table's levels stand: its own, or none where tables over people share them."""
    return "" if facts.measure == PEOPLE else facts.name


LevelName = tuple[object, ...]


def level_names(facts: TableFacts, total: MeasureFacts) -> tuple[LevelName, ...]:
    """Names of the levels in which one total of a table was drawn, from the table's total down."""
    return tuple((family(facts), grouping, total.quantity, total.limit, total.scope) for grouping in groupings(facts))


def level_name(level: LevelFacts) -> LevelName:
    """What tells a level apart: whose it is, its grouping, what is counted and the bound on it."""
    return (level.table, level.dimensions, level.quantity, level.limit, level.scope)


def totals(facts: TableFacts) -> tuple[MeasureFacts, ...]:
    """The measures of a table that were drawn, people first."""
    return tuple(measure for measure in facts.measures if measure.kind != "mean")


def means(facts: TableFacts) -> tuple[MeasureFacts, ...]:
    """The measures of a table that are quotients of others."""
    return tuple(measure for measure in facts.measures if measure.kind == "mean")


def of_people(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    """The rows of people, of which each group has one, listed or withheld."""
    return frame[frame["measure"] == facts.measure]


def _levels_of(levels: tuple[LevelFacts, ...], tables: tuple[TableFacts, ...]) -> tuple[LevelFacts, ...]:
    read = {name for facts in tables for total in totals(facts) for name in level_names(facts, total)}
    return tuple(level for level in levels if level_name(level) in read)


def _published_table(frame: pd.DataFrame, facts: TableFacts, header: ReleaseHeader) -> pd.DataFrame:
    # one row a group and measure, in the release's order; columns: period, dimensions, then TRAILING_COLUMNS
    units = {measure.name: measure.unit for measure in facts.measures}
    extended = frame.astype(column_types(facts)).assign(
        period_start=dt.date.fromisoformat(header.period_start),
        period_end=dt.date.fromisoformat(header.period_end),
        unit=frame["measure"].map(units).astype("string"),
        is_total=level_of(frame, facts.dimensions) < len(facts.dimensions),
        row_kind=frame["kind"].astype("string"),
        revision=header.revision,
    )
    return extended[list(column_order(facts.dimensions))].reset_index(drop=True)
