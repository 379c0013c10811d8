"""What a bundle says of itself in words: its README, and the first sheet of its workbook."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd

from pipeline.publication import pages
from pipeline.publication.cuts import Cut
from pipeline.publication.manifest import TERMS, Provenance, YearOfBudget, not_covered
from pipeline.publication.views import AudienceView, of_people
from pipeline.publication.words import day, moment
from pipeline.publication.workbook import Line, workbook_name
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.vocabulary import NONE, OTHER, PEOPLE, UNIT_NAMES, UNKNOWN

README_NAME: Final = "README.md"


# Keys that are no name of anything, and what they stand for.
_PLAIN: Final = {
    OTHER: "`other` is everything that the list of keys does not name",
    UNKNOWN: "`unknown` is where nothing was told",
    NONE: "`none` is where there was nothing",
}


def readme_bytes(shown: AudienceView, provenance: Provenance, year: YearOfBudget | None = None) -> bytes:
    """Plain words: what the numbers mean, how exact they are, how to add, compare, load and verify them."""
    return pages.render("README.md.j2", **_told(shown, provenance, year)).encode()


def workbook_lines(
    shown: AudienceView, provenance: Provenance, year: YearOfBudget | None, sheets: Mapping[str, str]
) -> list[Line]:
    """The same for spreadsheets, line by line.

    Args:
        shown: The tables.
        provenance: What they were made from.
        year: What the year has cost.
        sheets: By table: the sheet that has it; empty where none does.
    """
    text = pages.render("workbook.md.j2", sheets=sheets, **_told(shown, provenance, year))
    return list(_lines(text))


_TERM: Final = re.compile(r"- \*\*(.+?)\*\*:? ?(.*)")


def _lines(text: str) -> Iterator[Line]:
    """Markdown of our own templates as lines of a sheet: a paragraph is a line, and so is an item of a list."""
    for block in re.split(r"\n\s*\n|\n(?=[-#>] |[-#]{2,} )", text):
        line = " ".join(block.split())
        if found := _TERM.match(line):
            yield Line("term", _plain(found[2]), _plain(found[1]))
        elif line.startswith("## "):
            yield Line("heading", _plain(line[3:]))
        elif line.startswith("# "):
            yield Line("title", _plain(line[2:]))
        elif line.startswith("> "):
            yield Line("note", _plain(line[2:]))
        elif line:
            yield Line("text", _plain(line.removeprefix("- ")))


def _plain(text: str) -> str:
    return text.replace("**", "").replace("`", "")


def _told(shown: AudienceView, provenance: Provenance, year: YearOfBudget | None) -> dict[str, object]:
    """What templates are filled in with."""
    header = shown.header
    plain = _plain_keys(header.tables)
    approved_on = dt.datetime.fromisoformat(provenance.approval.decided_at).astimezone(dt.UTC)
    return {
        "header": header,
        "audience": shown.audience,
        "audience_words": pages.audience_words(shown),
        "part": _part_words(shown.cut),
        "workbook": workbook_name(header),
        "supersedes": f"r{shown.supersedes}" if shown.supersedes else "",
        "approved_on": moment(approved_on),
        "checks": provenance.checks,
        "year": year,
        "year_end": day(dt.date.fromisoformat(year.year_to)) if year else "",
        "purpose": header.purpose_text or header.purpose,
        "depth": max(len(facts.dimensions) for facts in header.tables),
        "plain_keys": [f"`{key}`" for key in plain],
        "plain_words": "; ".join(_PLAIN[key] for key in plain),
        "period_words": pages.period_words(header),
        "person": UNIT_NAMES[header.population],
        "tables": [(one, margin(shown.tables[one.name], one), len(shown.tables[one.name])) for one in header.tables],
        "measures": [(one, measure, _most(measure)) for one in _with_more(header.tables) for measure in one.measures],
        "peoples": list(dict.fromkeys(f"`{facts.measure}`" for facts in header.tables)),
        "further": bool(_with_more(header.tables)),
        "with_means": any(measure.kind == "mean" for facts in header.tables for measure in facts.measures),
        "private": sorted({name for facts in header.tables for name in facts.private}),
        "dimensions": {name for facts in header.tables for name in facts.dimensions},
        "example": _example(header.tables),
        "many": any(facts.measure != PEOPLE for facts in header.tables),
        "approval": provenance.approval,
        "terms": TERMS,
        "not_covered": not_covered(header.population, header.unit),
    }


def _plain_keys(tables: tuple[TableFacts, ...]) -> list[str]:
    listed = {key for facts in tables for keys in facts.keys for key in keys}
    return [key for key in _PLAIN if key in listed]


def _part_words(cut: Cut | None) -> str:
    """What of an audience's tables is shown, as a sentence; empty where all is."""
    if cut is None:
        return ""
    rows = [f"of {dimension} only {', '.join(keys)}" for dimension, keys in sorted(cut.rows.items())]
    rows += (
        ["with rows about all and all others" if cut.totals else "without rows about all or all others"] if rows else []
    )
    columns = [f"of the table {table} only {', '.join(names)}" for table, names in sorted(cut.columns.items())]
    tables = ["some of the tables"] if cut.tables else []
    return f"This bundle shows {'; '.join([*tables, *columns, *rows])}."


def margin(frame: pd.DataFrame, facts: TableFacts) -> int | None:
    """How far a group's interval of people reaches from its estimate at most; None where no group is shown."""
    people = of_people(frame, facts)
    groups = people[(people["row_kind"] == "group") & people["value"].notna()]
    return round(float((groups["value_hi"] - groups["estimate"]).max())) if len(groups) else None


def _with_more(tables: tuple[TableFacts, ...]) -> list[TableFacts]:
    return [facts for facts in tables if len(facts.measures) > 1]


def _most(measure: MeasureFacts) -> str:
    return "" if measure.kind == "mean" else f"{measure.limit:,} {measure.scope}"


def _example(tables: tuple[TableFacts, ...]) -> TableFacts:
    return min(tables, key=lambda facts: len(facts.dimensions))
