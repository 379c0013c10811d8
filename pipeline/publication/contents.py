"""The files of a bundle that hold numbers: each table, what is derived from them, and the workbook of all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from pipeline.publication.derived.files import DERIVED, derived_csv, derived_parquet
from pipeline.publication.derived.within import dimensions_of, within
from pipeline.publication.encoding import csv_bytes, parquet_bytes
from pipeline.publication.manifest import FileEntry, Provenance, YearOfBudget, file_entry
from pipeline.publication.readme import workbook_lines
from pipeline.publication.views import AudienceView, means
from pipeline.publication.workbook import (
    DERIVED_SHEET,
    MOST_ROWS,
    Mark,
    Sheet,
    sheet_names,
    workbook_bytes,
    workbook_name,
)
from pipeline.release.artefact import TableFacts

_DAYS: Final = ("period_start", "period_end")


@dataclass(frozen=True)
class Numbers:
    """What a bundle shows in numbers.

    Attributes:
        contents: Name of a file -> its bytes.
        entries: What the manifest says of each.
        derived: Shares and indices, as ``derived.within`` makes them.
    """

    contents: Mapping[str, bytes]
    entries: tuple[FileEntry, ...]
    derived: pd.DataFrame


def numbers_of(shown: AudienceView) -> Numbers:
    """Every table and what is derived from them, as Parquet and CSV."""
    contents: dict[str, bytes] = {}
    rows: dict[str, int] = {}
    for facts in shown.header.tables:
        frame = shown.tables[facts.name]
        made = {"parquet": parquet_bytes(frame, facts), "csv": csv_bytes(frame, facts)}
        contents |= {f"{facts.name}.{ending}": content for ending, content in made.items()}
        rows |= dict.fromkeys((f"{facts.name}.{ending}" for ending in made), len(frame))
    derived = within(shown.header.tables, shown.tables)
    made = {"parquet": derived_parquet(derived, shown.header.tables), "csv": derived_csv(derived, shown.header.tables)}
    contents |= {f"{DERIVED}.{ending}": content for ending, content in made.items()}
    rows |= dict.fromkeys((f"{DERIVED}.{ending}" for ending in made), len(derived))
    return Numbers(contents, tuple(file_entry(name, contents[name], rows[name]) for name in contents), derived)


def workbook_of(
    shown: AudienceView, numbers: Numbers, provenance: Provenance, year: YearOfBudget | None
) -> dict[str, bytes]:
    """The workbook, by its name: a sheet for what everything means, one a table, and one for shares and indices."""
    tables = {facts.name: facts for facts in shown.header.tables if len(shown.tables[facts.name]) <= MOST_ROWS}
    names = sheet_names(tables)
    sheets = [_sheet(names[name], shown.tables[name], facts) for name, facts in tables.items()]
    deep = len(dimensions_of(shown.header.tables))
    sheets.append(Sheet(DERIVED_SHEET, _with_days(numbers.derived.iloc[:MOST_ROWS]), 3 + deep, decimals=True))
    lines = workbook_lines(shown, provenance, year, {name: names.get(name, "") for name in shown.tables})
    approved_at = dt.datetime.fromisoformat(provenance.approval.decided_at)
    return {workbook_name(shown.header): workbook_bytes(lines, sheets, shown.header, approved_at)}


def _sheet(name: str, frame: pd.DataFrame, facts: TableFacts) -> Sheet:
    marks = (
        Mark("row_kind", ("total",), {"bold": True}),
        Mark("obs_status", ("Q",), {"font_color": "#767676"}),
        Mark("obs_status", ("U",), {"font_color": "#8A4B08", "italic": True}),
    )
    return Sheet(name, _with_days(frame), len(_DAYS) + len(facts.dimensions), marks, decimals=bool(means(facts)))


def _with_days(frame: pd.DataFrame) -> pd.DataFrame:
    days = {name: pd.to_datetime(frame[name]).dt.date.astype(object) for name in _DAYS}
    return frame.assign(**days).reset_index(drop=True)
