"""Figures of tables: each a file of its own, drawn once, in light and dark colours."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final

import jinja2

from pipeline.portal.archive import Archive, Drawn
from pipeline.publication.charts import chart_rows, describe, draw_chart, drawn_measures, standalone
from pipeline.publication.words import heading_of
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey

# A drawing belongs to a draw, and a release is drawn once: what is at an address never changes.
IMMUTABLE: Final = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Figure:
    """One figure as a page names it.

    Attributes:
        address: Where it is served.
        caption: What it shows, where a table has several; otherwise empty.
        alternative: The figure in words.
    """

    address: str
    caption: str
    alternative: str


def figures_of(drawn: Drawn, base: str) -> dict[str, tuple[Figure, ...]]:
    """The figures of each table; none of a table that lists no group.

    Args:
        drawn: The release.
        base: Address of the release's page.
    """
    return {facts.name: tuple(_figures(drawn, facts, base)) for facts in drawn.header.tables}


def _figures(drawn: Drawn, facts: TableFacts, base: str) -> Iterator[Figure]:
    measures = drawn_measures(facts)
    for measure in measures:
        rows = chart_rows(drawn.shown.tables[facts.name], facts, measure)
        if len(rows):
            caption = heading_of(measure) if len(measures) > 1 else ""
            yield Figure(f"{base}/figures/{_name(facts, measure)}.svg", caption, describe(rows, facts, measure))


def drawing(archive: Archive, register: Register, key: ReleaseKey, name: str) -> Future[str] | None:
    """The drawing of a figure, done or to be done; None where there is no such figure.

    Args:
        archive: Of the site.
        register: That has the release.
        key: Of the release.
        name: Of the figure: ``by_country``, or ``by_product.revenue``.

    Raises:
        LedgerError: The release was not drawn, or its bytes are missing or others.
    """
    drawn = archive.drawn(register, key)
    found = _named(drawn, name)
    if found is None:
        return None
    return archive.figures.soon((str(key), name), partial(_draw, drawn, *found))


def warm(archive: Archive, register: Register, key: ReleaseKey) -> None:
    """Have all figures of a release drawn."""
    drawn = archive.drawn(register, key)
    for facts in drawn.header.tables:
        for measure in drawn_measures(facts):
            drawing(archive, register, key, _name(facts, measure))


def _named(drawn: Drawn, name: str) -> tuple[TableFacts, MeasureFacts] | None:
    every = ((facts, measure) for facts in drawn.header.tables for measure in drawn_measures(facts))
    return next(((facts, measure) for facts, measure in every if _name(facts, measure) == name), None)


def _name(facts: TableFacts, measure: MeasureFacts) -> str:
    return facts.name if measure.kind == "people" else f"{facts.name}.{measure.name}"


def _draw(drawn: Drawn, facts: TableFacts, measure: MeasureFacts) -> str:
    return in_colours(draw_chart(drawn.shown.tables[facts.name], facts, measure))


def in_colours(svg: str) -> str:
    """A drawing with the colours of all pages, light and dark; nothing of nothing."""
    return standalone(svg, _palette()) if svg else ""


@functools.cache
def _palette() -> str:
    loader = jinja2.PackageLoader("pipeline.publication", "templates")
    return jinja2.Environment(loader=loader, autoescape=True).get_template("palette.css.j2").render()
