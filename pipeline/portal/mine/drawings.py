"""Figures of recipients' pages, each drawn once, in light and dark colours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import Request

from pipeline.delivery.catalogue import Held, unknown
from pipeline.portal.background import Background
from pipeline.portal.editions import bundle_of, course_of
from pipeline.portal.figures import Figure, in_colours
from pipeline.publication.charts import chart_rows, describe, draw_chart, drawn_measures
from pipeline.publication.reading import ReadBundle
from pipeline.publication.trends import describe_trend, draw_trend, is_course
from pipeline.publication.words import heading_of
from pipeline.release.artefact import MeasureFacts, TableFacts


def figures_of(held: Held, facts: TableFacts, base: str) -> tuple[Figure, ...]:
    """The figures of a table; none where it lists no group."""
    measures, frame = drawn_measures(facts), bundle_of(held).tables[facts.name]
    rows = [(measure, chart_rows(frame, facts, measure)) for measure in measures]
    return tuple(
        Figure(
            f"{base}/figures/{_name(facts, measure)}.svg",
            heading_of(measure) if len(measures) > 1 else "",
            describe(row, facts, measure),
        )
        for measure, row in rows
        if len(row)
    )


def drawing(request: Request, held: Held, name: str) -> str:
    """One figure of an edition, by the name that ``figures_of`` gave it.

    Raises:
        UnknownEditionError: There is none of that name.
    """
    bundle = bundle_of(held)
    every = ((facts, one) for facts in bundle.manifest.tables for one in drawn_measures(facts))
    found = next(((facts, one) for facts, one in every if _name(facts, one) == name), None)
    if found is None:
        raise unknown()
    return _drawn(request, (held.edition.manifest_sha256, name), partial(_draw, bundle, *found))


def trend_of(standing: tuple[Held, ...], facts: TableFacts, base: str) -> Figure | None:
    """The trend of a table; None where fewer than two periods tell anything.

    Args:
        standing: Of each period the newest revision of one product.
        facts: Of the table, as the newest has it.
        base: Address of the product's page.
    """
    rows = course_of(standing, facts.name)
    if not is_course(rows):
        return None
    return Figure(f"{base}/trends/{facts.name}", facts.title, describe_trend(rows, facts))


def trend_drawing(request: Request, standing: tuple[Held, ...], table: str, across: int) -> str:
    """The figure of a trend.

    Args:
        request: That asks.
        standing: Of each period the newest revision of one product.
        table: Name of a table of the newest.
        across: How many panels stand side by side.

    Raises:
        UnknownEditionError: The product has no such table, or too few periods of it.
    """
    newest = bundle_of(standing[-1]).manifest.tables if standing else ()
    facts = next((one for one in newest if one.name == table), None)
    if facts is None:
        raise unknown()
    rows = course_of(standing, table)
    editions = [held.edition.manifest_sha256 for held in standing]
    return _drawn(request, (*editions, table, str(across)), lambda: in_colours(draw_trend(rows, facts, across)))


def _drawn(request: Request, key: tuple[str, ...], work: Callable[[], str]) -> str:
    content = _background(request).soon(key, work).result()
    if not content:
        raise unknown()
    return content


def _background(request: Request) -> Background[str]:
    found: Background[str] = request.app.state.drawings
    return found


def _draw(bundle: ReadBundle, facts: TableFacts, measure: MeasureFacts) -> str:
    return in_colours(draw_chart(bundle.tables[facts.name], facts, measure))


def _name(facts: TableFacts, measure: MeasureFacts) -> str:
    return facts.name if measure.kind == "people" else f"{facts.name}.{measure.name}"
