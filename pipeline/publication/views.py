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
from pipeline.release.artefact import ROW_COLUMNS, LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.vocabulary import TOTAL_KEY, Audience

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
    """

    audience: Audience | None
    header: ReleaseHeader
    tables: Mapping[str, pd.DataFrame]

    @property
    def key_lists_sha256(self) -> str:
        """Digest of the public key lists of its tables."""
        lists = {facts.name: facts.keys for facts in self.header.tables}
        return hashlib.sha256(json.dumps(lists, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def view(release: PrivateRelease, audience: Audience) -> AudienceView:
    """The tables one audience is entitled to.

    Raises:
        PublicationError: The release names no such audience, or a table that it does not have.
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
    cut = header.model_copy(
        update={"tables": facts, "levels": _levels_of(header.levels, facts), "audiences": {audience: entitled}}
    )
    return AudienceView(audience, cut, _published(release, cut))


def whole(release: PrivateRelease) -> AudienceView:
    """Every table of a release, as its reviewer reads them."""
    return AudienceView(None, release.header, _published(release, release.header))


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
    return "" if facts.measure == "people" else facts.name


def _levels_of(levels: tuple[LevelFacts, ...], tables: tuple[TableFacts, ...]) -> tuple[LevelFacts, ...]:
    read = {(family(facts), grouping) for facts in tables for grouping in groupings(facts)}
    return tuple(level for level in levels if (level.table, level.dimensions) in read)


def _published(release: PrivateRelease, header: ReleaseHeader) -> dict[str, pd.DataFrame]:
    return {facts.name: _published_table(release.tables[facts.name], facts, header) for facts in header.tables}


def _published_table(frame: pd.DataFrame, facts: TableFacts, header: ReleaseHeader) -> pd.DataFrame:
    # one row a group, in the release's order; columns: period, dimensions, then TRAILING_COLUMNS
    extended = frame.astype({**dict.fromkeys(facts.dimensions, "string"), **ROW_COLUMNS}).assign(
        period_start=dt.date.fromisoformat(header.period_start),
        period_end=dt.date.fromisoformat(header.period_end),
        measure=pd.array([facts.measure] * len(frame), dtype="string"),
        unit=pd.array([str(header.population)] * len(frame), dtype="string"),
        is_total=level_of(frame, facts.dimensions) < len(facts.dimensions),
        row_kind=frame["kind"].astype("string"),
        revision=header.revision,
    )
    return extended[list(column_order(facts.dimensions))].reset_index(drop=True)
