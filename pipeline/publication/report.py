"""The report: one self-contained page that opens offline, for a release's reviewer and for each audience."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from pipeline.publication import files, pages
from pipeline.publication.budget_chart import BudgetPoint, draw_course
from pipeline.publication.charts import chart_name, draw_charts, drawn_measures
from pipeline.publication.manifest import Approval, not_covered
from pipeline.publication.views import AudienceView, level_name, level_names, level_of, of_people, totals, whole
from pipeline.publication.words import ROUGH, bound_of, heading_of, key_label, number_of
from pipeline.release.artefact import LevelFacts, MeasureFacts, PrivateRelease, TableFacts
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import PEOPLE, TOTAL_KEY, UNIT_NAMES, Population

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
        course: The years to periods about the one at hand, for the drawing; none where there is no need of one.
    """

    population: Population
    cap_epsilon: float
    cap_delta: float
    spent_epsilon: float
    left: float
    window: str
    course: tuple[BudgetPoint, ...] = ()


@dataclass(frozen=True)
class _Cell:
    """One number as it is read; empty texts where it cannot be told."""

    value: str
    low: str
    high: str
    noise_sd: float
    rough: bool


@dataclass(frozen=True)
class _Row:
    """One listed group, with a cell for each measure of the table."""

    labels: tuple[str, ...]
    kind: str
    depth: int
    cells: tuple[_Cell, ...]


@dataclass(frozen=True)
class _Drawing:
    caption: str
    svg: Markup


@dataclass(frozen=True)
class _Section:
    """One table as the page shows it."""

    facts: TableFacts
    drawings: tuple[_Drawing, ...]
    rows: tuple[_Row, ...]
    withheld: tuple[str, ...]
    bounds: tuple[str, ...]
    shown: int
    folded: int
    rough: int


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
        charts: SVG by ``chart_name``; a table without one is shown as figures only.
        verdicts: Outcome of the checks, where there were any yet.
        approval: Who let it out, where somebody did.
        budget: What is spent and left, for reviewers.
    """
    header = shown.header
    person = UNIT_NAMES[header.population]
    sections = [_section(shown.tables[facts.name], facts, charts, person) for facts in header.tables]
    page = pages.render(
        "report.html.j2",
        header=header,
        audience=shown.audience,
        audience_words=pages.audience_words(shown),
        period_words=pages.period_words(header),
        person=person,
        sections=sections,
        total=_total(sections),
        groups_shown=sum(section.shown for section in sections),
        groups_withheld=sum(len(section.withheld) for section in sections),
        levels=[(*_level_words(level, header.tables, person), level) for level in header.levels],
        first_rows=FIRST_ROWS,
        suites=_suites(verdicts),
        verdicts=verdicts,
        approval=approval,
        budget=budget,
        budget_chart=_course(budget),
        not_covered=not_covered(header.population, header.unit),
        many=any(facts.measure != PEOPLE for facts in header.tables),
        further=any(len(facts.measures) > 1 for facts in header.tables),
        with_means=any(measure.kind == "mean" for facts in header.tables for measure in facts.measures),
        rough=ROUGH,
        named_withheld=_NAMED_WITHHELD,
    )
    return page.encode()


def ordered(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    """Listed groups as people read them, one row each: a total first, then its parts, largest first, the rest last.

    Returns:
        Their rows of people, with ``depth``.
    """
    frame = of_people(frame, facts)
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


def _section(frame: pd.DataFrame, facts: TableFacts, charts: Mapping[str, str], person: str) -> _Section:
    names, people = list(facts.dimensions), of_people(frame, facts)
    withheld = people[people["value"].isna()]
    places = withheld[withheld["row_kind"] == "group"][names].itertuples(index=False, name=None)
    cells = _cells(frame, facts)
    return _Section(
        facts,
        tuple(_drawings(facts, charts)),
        tuple(_row(record, facts, cells) for record in ordered(frame, facts).to_dict("records")),
        tuple(", ".join(label for label in _key_labels(facts, place) if label != TOTAL_KEY) for place in places),
        tuple(filter(None, (bound_of(measure, person) for measure in facts.measures))),
        int(((people["row_kind"] == "group") & people["value"].notna()).sum()),
        int((withheld["conf_status"] == "D").sum()),
        int((people["obs_status"] == "U").sum()),
    )


def _drawings(facts: TableFacts, charts: Mapping[str, str]) -> Iterator[_Drawing]:
    measures = [measure for measure in drawn_measures(facts) if chart_name(facts, measure) in charts]
    for measure in measures:
        svg = Markup(charts[chart_name(facts, measure)])  # noqa: S704 - drawn by us; its texts are escaped
        yield _Drawing(heading_of(measure) if len(measures) > 1 else "", svg)


def _cells(frame: pd.DataFrame, facts: TableFacts) -> dict[tuple[str, ...], _Cell]:
    # (*group, measure) -> what stands there
    measures = {measure.name: measure for measure in facts.measures}
    names = [*facts.dimensions, "measure"]
    records = frame[frame["value"].notna()].to_dict("records")
    return {tuple(str(one[name]) for name in names): _cell(one, measures[one["measure"]]) for one in records}


def _cell(record: dict[Hashable, Any], measure: MeasureFacts) -> _Cell:
    value, low, high = (number_of(measure, record[name]) for name in ("value", "value_lo", "value_hi"))
    return _Cell(value, low, high, float(record["noise_sd"]), record["obs_status"] == "U")


_NOT_TOLD: Final = _Cell("", "", "", 0.0, rough=False)


def _row(record: dict[Hashable, Any], facts: TableFacts, cells: Mapping[tuple[str, ...], _Cell]) -> _Row:
    place = tuple(str(record[name]) for name in facts.dimensions)
    return _Row(
        tuple(_key_labels(facts, place)),
        str(record["row_kind"]),
        int(record["depth"]),
        tuple(cells.get((*place, measure.name), _NOT_TOLD) for measure in facts.measures),
    )


def _key_labels(facts: TableFacts, place: tuple[str, ...]) -> list[str]:
    return [key_label(dimension, key) for dimension, key in zip(facts.dimensions, place, strict=True)]


def _total(sections: list[_Section]) -> _Cell | None:
    # A table over people tells how many there are; one over groups counts a person more than once.
    over_people = [section for section in sections if section.facts.measure == PEOPLE]
    found = [row.cells[0] for section in over_people for row in section.rows if row.kind == "total"]
    return found[0] if found else None


def _level_words(level: LevelFacts, tables: tuple[TableFacts, ...], person: str) -> tuple[str, str]:
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


def _course(budget: BudgetFacts | None) -> Markup | None:
    points = [point for point in budget.course if math.isfinite(point.spent_epsilon)] if budget else []
    if budget is None or not points:
        return None
    return Markup(draw_course(points, budget.cap_epsilon))  # noqa: S704 - drawn by us; its texts are escaped


def _suites(verdicts: Verdicts | None) -> dict[str, list[Verdict]]:
    suites: dict[str, list[Verdict]] = {}
    for check in sorted(verdicts.checks, key=lambda check: (check.success, check)) if verdicts else ():
        suites.setdefault(check.suite, []).append(check)
    return suites
