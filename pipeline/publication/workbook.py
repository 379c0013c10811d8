"""The workbook of a bundle: every table on a sheet of its own, explained on the first one, for spreadsheets.

It holds what Parquet and CSV hold: numbers as numbers, dates as dates, and text as text that no spreadsheet runs.
Numbers have 16 significant digits, one fewer than it takes to tell any two of them apart. Equal bundles have equal
workbooks.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from pipeline.release.artefact import ReleaseHeader

README_SHEET: Final = "README"
DERIVED_SHEET: Final = "derived"
# Whoever has more rows to read than this does not read them in a spreadsheet, and each takes a second for 10,000 rows.
MOST_ROWS: Final = 100_000
_LONGEST_NAME: Final = 31
_RESERVED: Final = (README_SHEET.lower(), DERIVED_SHEET, "history")  # the last one by Excel
_OPTIONS: Final = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
# How columns are shown; whatever is not named is text. Text stays text also where somebody edits it.
_SHOWN: Final = {
    "period_start": "yyyy-mm-dd",
    "period_end": "yyyy-mm-dd",
    "value": "#,##0",
    "value_lo": "#,##0",
    "value_hi": "#,##0",
    "estimate": "#,##0.0",
    "noise_sd": "#,##0.00",
    "is_total": "General",  # with any other, LibreOffice makes numbers of truth values
    "revision": "0",
}
_VALUES: Final = ("value", "value_lo", "value_hi")
_LETTERS, _LINE = 105, 15.0  # letters in a line of the column of words; height of a line, in points
_TEXT: Final = "@"
_NARROWEST, _WIDEST, _ARROW = 9, 44, 4  # in characters; the last for the arrow of the filter
_HEADER: Final = {"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF", "valign": "vcenter"}


@dataclass(frozen=True)
class Line:
    """One line of the first sheet.

    Attributes:
        kind: How it looks.
        text: What it says.
        term: What a line of kind ``term`` explains.
    """

    kind: Literal["title", "heading", "note", "text", "term"]
    text: str
    term: str = ""


@dataclass(frozen=True)
class Mark:
    """How rows look whose column has one of some texts.

    Attributes:
        column: Which.
        texts: The texts.
        look: Properties of a format of XlsxWriter.
        columns: Where; everywhere by default.
    """

    column: str
    texts: tuple[str, ...]
    look: dict[str, Any]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """A sheet of rows.

    Attributes:
        name: At most 31 characters.
        frame: The rows.
        leading: How many columns stay in sight.
        marks: How rows look.
        decimals: Whether values are no whole numbers.
    """

    name: str
    frame: pd.DataFrame
    leading: int
    marks: tuple[Mark, ...] = ()
    decimals: bool = False


def workbook_name(header: ReleaseHeader) -> str:
    """``weekly_audience-2026-W41-r1.xlsx``: it says what it is wherever it is saved."""
    return f"{header.release}-{header.period}-r{header.revision}.xlsx"


def sheet_names(tables: Iterable[str]) -> dict[str, str]:
    """The sheet of each table: its name, shortened where a spreadsheet takes no name that long."""
    names: dict[str, str] = {}
    taken = set(_RESERVED)
    for table in tables:
        shorter = (f"{table[: _LONGEST_NAME - 3]}~{number}" for number in itertools.count(2))
        own = [table] if len(table) <= _LONGEST_NAME else []
        names[table] = next(name for name in itertools.chain(own, shorter) if name not in taken)
        taken.add(names[table])
    return names


def workbook_bytes(
    lines: Sequence[Line], sheets: Sequence[Sheet], header: ReleaseHeader, approved_at: dt.datetime
) -> bytes:
    """The file.

    Args:
        lines: Of the first sheet.
        sheets: The others, in their order; each has ``MOST_ROWS`` rows at most.
        header: Of the release, for the file's properties.
        approved_at: Stands as the time of making.
    """
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, _OPTIONS) as book:
        book.set_properties(
            {
                "title": f"{header.title}, {header.period}, revision {header.revision}",
                "author": header.publisher or header.site,
                "created": approved_at.astimezone(dt.UTC).replace(tzinfo=None),
            }
        )
        _write_lines(book, lines, {sheet.name for sheet in sheets})
        for sheet in sheets:
            _write_sheet(book, sheet)
    return sink.getvalue()


def _write_lines(book: xlsxwriter.Workbook, lines: Sequence[Line], sheets: set[str]) -> None:
    page = book.add_worksheet(README_SHEET)
    page.hide_gridlines(2)
    page.set_column(0, 0, 32)
    page.set_column(1, 1, 110)
    _printed(page)
    looks = {
        "title": book.add_format({"bold": True, "font_size": 16, "font_color": "#1F3A5F"}),
        "heading": book.add_format({"bold": True, "font_size": 12, "font_color": "#1F3A5F", "bottom": 1}),
        "note": book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#FFF2CC"}),
        "text": book.add_format({"text_wrap": True, "valign": "top"}),
    }
    term = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
    link = book.add_format({"underline": 1, "font_color": "#1155CC", "valign": "top"})
    for row, line in enumerate(_spaced(lines)):
        if line is None:
            continue
        page.set_row(row, _height(line))
        if line.kind == "term" and line.term in sheets:
            page.write_url(row, 0, f"internal:'{line.term}'!A1", link, line.term)
        elif line.kind == "term":
            page.write_string(row, 0, line.term, term)
        if line.kind in ("title", "heading"):
            page.write_string(row, 0, line.text, looks[line.kind])
            page.write_blank(row, 1, None, looks[line.kind])
        else:
            page.write_string(row, 1, line.text, looks["note" if line.kind == "note" else "text"])


def _height(line: Line) -> float:
    """Room for all lines into which a text is broken: not every program makes it by itself."""
    broken = 1 if line.kind in ("title", "heading") else math.ceil(len(line.text) / _LETTERS)
    return max(broken, 1) * _LINE + (8 if line.kind == "title" else 2)


def _spaced(lines: Sequence[Line]) -> Iterable[Line | None]:
    # an empty row before each heading
    for line in lines:
        if line.kind == "heading":
            yield None
        yield line


def _write_sheet(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
    page = book.add_worksheet(sheet.name)
    head = book.add_format(_HEADER)
    names = [str(name) for name in sheet.frame.columns]
    page.write_row(0, 0, names, head)
    for place, name in enumerate(names):
        shown = "General" if sheet.decimals and name in _VALUES else _SHOWN.get(name, _TEXT)
        cells = _cells(sheet.frame[name])
        page.set_column(place, place, _width(name, cells, shown))
        page.write_column(1, place, cells, None if shown == "General" else book.add_format({"num_format": shown}))
    last = len(sheet.frame)
    page.freeze_panes(1, sheet.leading)
    page.autofilter(0, 0, last, len(names) - 1)
    _printed(page)
    page.repeat_rows(0)
    for mark in sheet.marks if last else ():
        look = book.add_format(mark.look)
        for name in mark.columns or (names[0],):
            first = names.index(name)
            page.conditional_format(
                1,
                first,
                last,
                first if mark.columns else len(names) - 1,
                {"type": "formula", "criteria": _is_one_of(names.index(mark.column), mark.texts), "format": look},
            )


def _printed(page: Any) -> None:
    page.set_landscape()
    page.set_paper(9)  # A4
    page.fit_to_pages(1, 0)


def _is_one_of(column: int, texts: tuple[str, ...]) -> str:
    # of the names of statuses and measures alone, which hold no quotation mark
    cell = f"${xl_col_to_name(column)}2"
    return "=OR(" + ",".join(f'{cell}="{text}"' for text in texts) + ")"


def _cells(column: pd.Series[Any]) -> list[object]:
    return column.astype(object).where(column.notna(), None).tolist()


def _width(name: str, cells: list[object], shown: str) -> int:
    longest = max((len(str(cell)) for cell in cells if cell is not None), default=0) if shown == _TEXT else 10
    return min(max(longest, len(name) + _ARROW, _NARROWEST), _WIDEST)
