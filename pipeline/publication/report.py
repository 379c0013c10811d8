"""The report: one self-contained page that opens offline, for a release's reviewer and for each audience."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from pipeline.publication import files, pages
from pipeline.publication.budget_chart import BudgetPoint, draw_course
from pipeline.publication.charts import chart_name, draw_charts, drawn_measures
from pipeline.publication.manifest import Approval, not_covered
from pipeline.publication.sections import level_words, section_of, total_of
from pipeline.publication.views import AudienceView, whole
from pipeline.publication.words import ROUGH, heading_of
from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import PEOPLE, UNIT_NAMES, Population

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
class _Drawing:
    caption: str
    svg: Markup


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
    sections = [section_of(shown.tables[facts.name], facts, person) for facts in header.tables]
    page = pages.render(
        "report.html.j2",
        header=header,
        audience=shown.audience,
        audience_words=pages.audience_words(shown),
        period_words=pages.period_words(header),
        person=person,
        sections=sections,
        drawings={facts.name: tuple(_drawings(facts, charts)) for facts in header.tables},
        total=total_of(sections),
        groups_shown=sum(section.shown for section in sections),
        groups_withheld=sum(len(section.withheld) for section in sections),
        levels=[(*level_words(level, header.tables, person), level) for level in header.levels],
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


def _drawings(facts: TableFacts, charts: Mapping[str, str]) -> Iterator[_Drawing]:
    measures = [measure for measure in drawn_measures(facts) if chart_name(facts, measure) in charts]
    for measure in measures:
        svg = Markup(charts[chart_name(facts, measure)])  # noqa: S704 - drawn by us; its texts are escaped
        yield _Drawing(heading_of(measure) if len(measures) > 1 else "", svg)


def _course(budget: BudgetFacts | None) -> Markup | None:
    points = [point for point in budget.course if math.isfinite(point.spent_epsilon)] if budget else []
    if budget is None or not points:
        return None
    return Markup(draw_course(points, budget.cap_epsilon))  # noqa: S704 - drawn by us; its texts are escaped


def _suites(verdicts: Verdicts | None) -> dict[str, list[Verdict]]:
    suites: dict[str, list[Verdict]] = {}
    # failed ones first, then warnings
    for check in sorted(verdicts.checks, key=lambda one: (one.success, one.is_warning, one)) if verdicts else ():
        suites.setdefault(check.suite, []).append(check)
    return suites
