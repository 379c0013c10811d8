"""The pages on which recipients read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.delivery.catalogue import Held, unknown
from pipeline.delivery.downloads import Way
from pipeline.delivery.news import news_of
from pipeline.periods import Period
from pipeline.portal.access import settings_of
from pipeline.portal.editions import bundle_of, derived_of, finder
from pipeline.portal.files import files_of, note_made
from pipeline.portal.mine import drawings
from pipeline.portal.mine.figures import absent_of, columns_of, comparisons_of, shares_of
from pipeline.portal.mine.lines import lines_of
from pipeline.portal.mine.prose import markdown_page
from pipeline.portal.mine.visiting import EDITION, HOME, Holding, Visit, Visiting, address_of
from pipeline.portal.review_pages import svg_response
from pipeline.portal.templates import page
from pipeline.publication.derived.across import compared
from pipeline.publication.manifest import Manifest
from pipeline.publication.readme import README_NAME
from pipeline.publication.sections import section_of, total_of
from pipeline.publication.trends import NARROW, WIDE
from pipeline.publication.words import ROUGH, day
from pipeline.release.artefact import TableFacts
from pipeline.vocabulary import AUDIENCE_TITLES, UNIT_NAMES

_NEWS: Final = 8
_FIRST_ROWS: Final = 12
_NAMED_WITHHELD: Final = 300
_FORGOTTEN: Final = "private, no-store"
_PRODUCT: Final = "/my/products/{product}"
_TABLE: Final = f"{EDITION}/tables/{{table}}"

ProductName = Annotated[str, Path(max_length=40)]
TableName = Annotated[str, Path(max_length=40)]


def router() -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter()
    every: dict[str, Callable[..., Response]] = {
        HOME: catalogue,
        _PRODUCT: product_page,
        f"{_PRODUCT}/latest": latest,
        f"{_PRODUCT}/trends": trends,
        f"{_PRODUCT}/trends/{{table}}/{{width}}.svg": trend_figure,
        EDITION: edition,
        f"{EDITION}/methodology": methodology,
        f"{EDITION}/figures/{{name}}.svg": figure,
        _TABLE: table_page,
    }
    for place, answer in every.items():
        routes.add_api_route(place, answer, methods=["GET"])
    return routes


def catalogue(request: Request, visit: Visiting) -> Response:
    """What the recipient receives, and what happened to it lately."""
    names = visit.catalogue.products(visit.recipient.name, visit.when)
    products = [(name, visit.editions(name), visit.standing(name)) for name in names]
    newest = {name: bundle_of(standing[-1]).manifest for name, _, standing in products if standing}
    return page(
        request,
        "my_catalogue.html.j2",
        recipient=visit.recipient,
        audience=AUDIENCE_TITLES[visit.recipient.audience],
        products=products,
        newest=newest,
        news=news_of(visit.editions())[:_NEWS],
        address_of=address_of,
    )


def product_page(request: Request, visit: Visiting, product: ProductName) -> Response:
    """One product: all its editions, and what became of each."""
    visit.require_product(product)
    editions, standing = visit.editions(product), visit.standing(product)
    return page(
        request,
        "my_product.html.j2",
        product=product,
        editions=tuple(reversed(editions)),
        standing={(held.edition.period, held.edition.revision) for held in standing},
        newest=bundle_of(standing[-1]).manifest if standing else None,
        newest_held=standing[-1] if standing else None,
        address_of=address_of,
    )


def latest(visit: Visiting, product: ProductName) -> Response:
    """The newest edition that stands."""
    standing = visit.standing(product)
    if not standing:
        raise unknown()
    return RedirectResponse(address_of(standing[-1]), 303)


def trends(request: Request, visit: Visiting, product: ProductName) -> Response:
    """The course of each table, with the band of its intervals."""
    visit.require_product(product)
    standing = visit.standing(product)
    tables = bundle_of(standing[-1]).manifest.tables if standing else ()
    base = _PRODUCT.format(product=product)
    found = [(facts, drawings.trend_of(standing, facts, base)) for facts in tables]
    title = standing[-1].edition.title if standing else product
    _note(request, visit, standing, "trends")
    return page(request, "my_trends.html.j2", product=product, title=title, trends=found)


def edition(request: Request, visit: Visiting, held: Holding) -> Response:
    """One edition: its tables, its files, how it is checked, and how it was made."""
    manifest, one = bundle_of(held).manifest, held.edition
    person = UNIT_NAMES[manifest.population]
    sections = {facts.name: _section(held, facts) for facts in manifest.tables}
    same = [other for other in visit.editions(one.product) if other.edition.period == one.period]
    _note(request, visit, [held], one.product)
    return page(
        request,
        "my_edition.html.j2",
        **_about(held, manifest),
        files=_sorted_files(held),
        sections=sections,
        total=total_of(tuple(sections.values())),
        revisions=same,
        later=_later(visit, held),
        person=person,
    )


def methodology(request: Request, visit: Visiting, held: Holding) -> Response:
    """What the numbers mean, how exact they are, and how people are protected: the README of the edition itself."""
    try:
        text = (held.folder / README_NAME).read_text("utf-8")
    except FileNotFoundError:
        raise unknown() from None
    told, headings = markdown_page(text)
    return page(
        request, "my_methodology.html.j2", **_about(held, bundle_of(held).manifest), told=told, headings=headings
    )


def table_page(request: Request, visit: Visiting, held: Holding, table: TableName) -> Response:
    """One table: figures with their intervals, shares, changes, its course, its columns, and ways to take it."""
    bundle = bundle_of(held)
    facts = next((one for one in bundle.manifest.tables if one.name == table), None)
    if facts is None:
        raise unknown()
    standing = visit.standing(held.edition.product)
    base = _PRODUCT.format(product=held.edition.product)
    comparisons = comparisons_of(compared(bundle, finder(standing), table), bundle.tables[table], facts)
    others = {one.period for one in comparisons}
    _note(request, visit, [held, *(other for other in standing if other.edition.period in others)], table)
    return page(
        request,
        "my_table.html.j2",
        **_about(held, bundle.manifest),
        facts=facts,
        person=UNIT_NAMES[bundle.manifest.population],
        section=_section(held, facts),
        figures=drawings.figures_of(held, facts, address_of(held)),
        shares=shares_of(derived_of(held), bundle.tables[table], facts),
        comparisons=comparisons,
        absent=absent_of(held.edition.period, comparisons),
        trend=drawings.trend_of(standing, facts, base) if held in standing else None,
        columns=columns_of(facts),
        files=[entry for entry in files_of(held).values() if entry.name.rpartition(".")[0] == table],
        lines=lines_of(settings_of(request).origin, held, table),
        periods=[other for other in reversed(standing) if f"{table}.parquet" in files_of(other)],
        later=_later(visit, held),
        first_rows=_FIRST_ROWS,
        named_withheld=_NAMED_WITHHELD,
        rough=ROUGH,
    )


def figure(request: Request, visit: Visiting, held: Holding, name: Annotated[str, Path(max_length=100)]) -> Response:
    """One figure of a table; another recipient's stands at the same address, so that no browser keeps it."""
    return svg_response(drawings.drawing(request, held, name), _FORGOTTEN)


def trend_figure(
    request: Request, visit: Visiting, product: ProductName, table: TableName, width: Literal["narrow", "wide"]
) -> Response:
    """The figure of a trend, for a telephone or for a wider screen."""
    across = {"narrow": NARROW, "wide": WIDE}[width]
    return svg_response(drawings.trend_drawing(request, visit.standing(product), table, across), _FORGOTTEN)


def _later(visit: Visit, held: Held) -> str:
    """Address of the edition that corrects this one; empty where there is none."""
    one = held.edition
    newest = next((other for other in visit.standing(one.product) if other.edition.period == one.period), held)
    return address_of(newest) if newest.edition.revision > one.revision else ""


def _days(label: str) -> str:
    """The days of a period: ``5 October 2026 to 11 October 2026``."""
    period = Period.parse(label)
    first, last = period.start, period.end - dt.timedelta(days=1)
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def _note(request: Request, visit: Visit, editions: Iterable[Held], name: str) -> None:
    """Write down whose numbers a page shows: who has read them is told of a withdrawal, as who has downloaded them."""
    note_made(request, editions, f"{name}.page", Way.PAGE, visit.session.token)


def _section(held: Held, facts: TableFacts) -> Any:
    bundle = bundle_of(held)
    return section_of(bundle.tables[facts.name], facts, UNIT_NAMES[bundle.manifest.population])


def _about(held: Held, manifest: Manifest) -> Mapping[str, Any]:
    """What pages of an edition share; ``header`` is what the templates of tables ask for."""
    privacy, identity = manifest.privacy, manifest.identity
    header = {
        "population": manifest.population,
        "period": identity.period,
        "unit": privacy.unit,
        "k": privacy.k,
        "epsilon": privacy.epsilon,
        "delta": privacy.delta,
        "synthetic": identity.synthetic,
    }
    days = _days(identity.period)
    about = {"held": held, "edition": held.edition, "manifest": manifest, "base": address_of(held), "days": days}
    return about | {"header": header}


def _sorted_files(held: Held) -> list[Any]:
    """The workbook and the report first, then tables, then what describes and proves them."""
    order = {".xlsx": 0, ".html": 1, ".parquet": 2, ".csv": 3, ".json": 4, ".md": 5}
    found = files_of(held).values()
    return sorted(found, key=lambda entry: (order.get(f".{entry.name.rpartition('.')[2]}", 9), entry.name))
