"""The report: one self-contained page that opens offline, for a release's reviewer and for each audience."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from pipeline.publication import files, pages
from pipeline.publication.charts import draw_charts
from pipeline.publication.manifest import Approval, not_covered
from pipeline.publication.views import AudienceView, level_of, whole
from pipeline.publication.words import key_label
from pipeline.release.artefact import LevelFacts, PrivateRelease, TableFacts
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import TOTAL_KEY, UNIT_NAMES, Population

REPORT_NAME: Final = "report.html"
FIRST_ROWS: Final = 20
_NAMED_WITHHELD: Final = 300


@dataclass(frozen=True)
class BudgetFacts:
    """What releases about one population may tell and have told, over a rolling window.

    Attributes:
        population: Whose budget.
        cap_epsilon: What may be spent in the window.
        cap_delta: The delta at which it is accounted.
        spent_epsilon: What is spent, this release included.
        left: What is left of the cap, in epsilon.
        window: The window in words, ``the year to 11 October 2026``.
    """

    population: Population
    cap_epsilon: float
    cap_delta: float
    spent_epsilon: float
    left: float
    window: str


@dataclass(frozen=True)
class _Row:
    labels: tuple[str, ...]
    kind: str
    depth: int
    value: int
    low: int
    high: int
    noise_sd: float


@dataclass(frozen=True)
class _Section:
    """One table as the page shows it."""

    facts: TableFacts
    chart: Markup | None
    rows: tuple[_Row, ...]
    withheld: tuple[str, ...]
    shown: int
    folded: int


def write_report(path: Path, release: PrivateRelease, verdicts: Verdicts | None, budget: BudgetFacts | None) -> None:
    """Write the reviewer's report of a whole release.

    Raises:
        PublicationError: The file cannot be written.
    """
    shown = whole(release)
    with files.as_publication_errors(path):
        files.replace(path, report_bytes(shown, draw_charts(shown), verdicts, budget=budget))


def report_bytes(
    shown: AudienceView,
    charts: Mapping[str, str],
    verdicts: Verdicts | None,
    approval: Approval | None = None,
    budget: BudgetFacts | None = None,
) -> bytes:
    """The page of one view, the same bytes for the same input.

    Args:
        shown: Its tables and what is public about them.
        charts: SVG by the table's name; a table without one is shown as figures only.
        verdicts: Outcome of the checks, where there were any yet.
        approval: Who let it out, where somebody did.
        budget: What is spent and left, for reviewers.
    """
    header = shown.header
    sections = [_section(shown.tables[facts.name], facts, charts.get(facts.name)) for facts in header.tables]
    page = pages.render(
        "report.html.j2",
        header=header,
        audience=shown.audience,
        audience_words=pages.audience_words(shown),
        period_words=pages.period_words(header),
        person=UNIT_NAMES[header.population],
        sections=sections,
        total=_total(sections),
        groups_shown=sum(section.shown for section in sections),
        groups_withheld=sum(len(section.withheld) for section in sections),
        levels=[(_level_words(level, header.tables), level) for level in header.levels],
        first_rows=FIRST_ROWS,
        suites=_suites(verdicts),
        verdicts=verdicts,
        approval=approval,
        budget=budget,
        not_covered=not_covered(header.population, header.unit),
        many=any(facts.measure == "people in groups" for facts in header.tables),
        named_withheld=_NAMED_WITHHELD,
    )
    return page.encode()


def ordered(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    """Rows with a value as people read them: each total first, then its parts, the largest first, the rest last."""
    depth = level_of(frame, facts.dimensions)
    ranks: dict[str, pd.Series[float]] = {}
    for level in range(1, len(facts.dimensions) + 1):
        place = frame[list(facts.dimensions[:level])].agg("\x1f".join, axis=1)
        size = frame["value"].astype("Float64").where(frame["row_kind"] != "remainder", -1.0)
        of_group = dict(zip(place[depth == level], size[depth == level], strict=True))
        rank = place.map(of_group).astype("Float64")
        ranks[f"rank {level}"] = rank.where(frame[facts.dimensions[level - 1]] != TOTAL_KEY, float("inf"))
    listed = frame.assign(depth=depth, **ranks)[frame["value"].notna()]
    return listed.sort_values(list(ranks), ascending=False, kind="stable").drop(columns=list(ranks))


def _section(frame: pd.DataFrame, facts: TableFacts, chart: str | None) -> _Section:
    names = list(facts.dimensions)
    withheld = frame[frame["value"].isna()]
    places = withheld[withheld["row_kind"] == "group"][names].itertuples(index=False, name=None)
    return _Section(
        facts,
        Markup(chart) if chart else None,  # noqa: S704 - drawn by us; its texts are escaped
        tuple(_row(record, facts) for record in ordered(frame, facts).to_dict("records")),
        tuple(", ".join(label for label in _key_labels(facts, place) if label != TOTAL_KEY) for place in places),
        int(((frame["row_kind"] == "group") & frame["value"].notna()).sum()),
        int((withheld["conf_status"] == "D").sum()),
    )


def _row(record: dict[Hashable, Any], facts: TableFacts) -> _Row:
    place = tuple(str(record[name]) for name in facts.dimensions)
    return _Row(
        tuple(_key_labels(facts, place)),
        str(record["row_kind"]),
        int(record["depth"]),
        int(record["value"]),
        int(record["value_lo"]),
        int(record["value_hi"]),
        float(record["noise_sd"]),
    )


def _key_labels(facts: TableFacts, place: tuple[str, ...]) -> list[str]:
    return [key_label(dimension, key) for dimension, key in zip(facts.dimensions, place, strict=True)]


def _total(sections: list[_Section]) -> _Row | None:
    # A table over people tells how many there are; one over groups counts a person more than once.
    over_people = [section for section in sections if section.facts.measure == "people"]
    totals = [row for section in over_people for row in section.rows if row.kind == "total"]
    return totals[0] if totals else None


def _level_words(level: LevelFacts, tables: tuple[TableFacts, ...]) -> str:
    titles = {
        name: title for facts in tables for name, title in zip(facts.dimensions, facts.dimension_titles, strict=True)
    }
    what = ", ".join(titles[name] for name in level.dimensions) or "Total"
    own = next((facts.title for facts in tables if facts.name == level.table), None)
    return f"{what} (in \u201c{own}\u201d)" if own else what


def _suites(verdicts: Verdicts | None) -> dict[str, list[Verdict]]:
    suites: dict[str, list[Verdict]] = {}
    for check in sorted(verdicts.checks, key=lambda check: (check.success, check)) if verdicts else ():
        suites.setdefault(check.suite, []).append(check)
    return suites
