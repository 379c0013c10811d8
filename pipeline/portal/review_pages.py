"""The pages on which reviewers read, and all their routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.errors import LedgerError
from pipeline.portal import budget, data_docs, deciding, figures
from pipeline.portal.access import accounts_of, reviewer
from pipeline.portal.archive import archive_of
from pipeline.portal.failures import RefusedError
from pipeline.portal.listing import GROUPS, listing
from pipeline.portal.packet import specification_change, steps_of
from pipeline.portal.packet_page import asked, asked_drawn, shown
from pipeline.portal.templates import page
from pipeline.portal.warming import warming
from pipeline.review.sessions import Session
from pipeline.vocabulary import Population

SignedIn = Annotated[Session, Depends(reviewer)]

_RELEASE: Final = "/releases/{release}/{period}/r{revision}"
# A drawing that is opened by itself carries its colours in itself.
_SVG_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_EVENTS: Final = 50  # of the audit log, a page
_DONE: Final = frozenset({"approved", "rejected", "withdrawn"})


def router() -> APIRouter:
    """The routes of all pages for reviewers, but for log-in and log-out."""
    routes = APIRouter(lifespan=warming)
    pages: dict[str, Callable[..., Response]] = {
        "/releases": releases,
        _RELEASE: release_page,
        f"{_RELEASE}/specification": specification,
        f"{_RELEASE}/steps": steps,
        f"{_RELEASE}/report": report,
        f"{_RELEASE}/budget.svg": release_budget,
        f"{_RELEASE}/figures/{{name}}.svg": figure,
        "/budget": budgets,
        "/budget/{population}.svg": budget_figure,
        "/audit": audit,
        "/data-docs": docs_index,
        "/data-docs/{path:path}": docs,
    }
    for place, answer in pages.items():
        routes.add_api_route(place, answer, methods=["GET"])
    for verb, decide in deciding.ROUTES.items():
        routes.add_api_route(f"{_RELEASE}/{verb}", decide, methods=["POST"])
    return routes


def releases(request: Request, _session: SignedIn, release: str = "", state: str = "", number: str = "1") -> Response:
    """What waits for a decision, and everything else, by name and state."""
    archive = archive_of(request.app)
    register = archive.register()
    named = release if any(key.release == release for key in register.histories) else ""
    group = state if state in GROUPS else ""
    found = listing(archive, register, named, group, _number(number))
    return page(request, "releases.html.j2", listing=found, groups=GROUPS, release=named, group=group)


def release_page(
    request: Request, session: SignedIn, release: str, period: str, revision: str, done: str = ""
) -> Response:
    """The review packet of one release."""
    return shown(request, asked(request, release, period, revision), session.name, done=done if done in _DONE else "")


def specification(request: Request, _session: SignedIn, release: str, period: str, revision: str) -> Response:
    """The whole specification, with what differs from what was approved last."""
    archive, register, key = asked_drawn(request, release, period, revision)
    change = specification_change(archive, register, key)
    return page(request, "specification.html.j2", key=key, change=change, standing=register.standing(key))


def steps(request: Request, _session: SignedIn, release: str, period: str, revision: str) -> Response:
    """Every step from the sources to the numbers, in words."""
    archive, register, key = asked_drawn(request, release, period, revision)
    drawn = archive.drawn(register, key)
    return page(request, "steps.html.j2", key=key, header=drawn.header, steps=steps_of(archive, drawn))


def report(request: Request, _session: SignedIn, release: str, period: str, revision: str) -> Response:
    """The self-contained report, as it lies in the site's folder."""
    archive, _, key = asked_drawn(request, release, period, revision)
    return data_docs.report(archive.workspace, key)


def figure(request: Request, _session: SignedIn, release: str, period: str, revision: str, name: str) -> Response:
    """One figure of a table."""
    archive, register, key = asked_drawn(request, release, period, revision)
    found = figures.drawing(archive, register, key, name)
    return svg_response(found.result() if found else "", figures.IMMUTABLE)


def release_budget(request: Request, _session: SignedIn, release: str, period: str, revision: str) -> Response:
    """The plot of the rolling years about a release's period."""
    archive, register, key = asked_drawn(request, release, period, revision)
    return svg_response(
        budget.course_of(archive, register, archive.drawn(register, key).header.population, period), "no-store"
    )


def budgets(request: Request, _session: SignedIn) -> Response:
    """Each population's spent and left, by period and by release."""
    archive = archive_of(request.app)
    register = archive.register()
    accounts = {one: budget.account_of(archive, register, one) for one in budget.populations(archive, register)}
    rows = {one: budget.releases_of(register, account) for one, account in accounts.items() if account}
    return page(request, "budget.html.j2", accounts=accounts, rows=rows)


def budget_figure(request: Request, _session: SignedIn, population: str) -> Response:
    """The plot of a population's rolling years."""
    archive = archive_of(request.app)
    register, known = archive.register(), population in set(Population)
    account = budget.account_of(archive, register, Population(population)) if known else None
    year = account.year if account else None
    return svg_response(budget.course_of(archive, register, year.population, year.period) if year else "", "no-store")


def audit(request: Request, _session: SignedIn, number: str = "1") -> Response:
    """What was done with reviewers' accounts, the newest first."""
    page_number = _number(number)
    # Of a page one more than it shows, which tells whether there is another.
    found = accounts_of(request).events(page_number * _EVENTS + 1)
    events = found[(page_number - 1) * _EVENTS : page_number * _EVENTS]
    more = len(found) > page_number * _EVENTS
    return page(request, "audit.html.j2", events=events, number=page_number, more=more)


def docs_index(_session: SignedIn) -> Response:
    """The index of Data Docs, at the address from which its links lead on."""
    return RedirectResponse("/data-docs/index.html", 303)


def docs(request: Request, _session: SignedIn, path: str = "") -> Response:
    """Data Docs, as they lie in the site's folder."""
    return data_docs.served(archive_of(request.app).workspace.data_docs, path)


def svg_response(content: str, kept: str) -> Response:
    """A drawing that may be opened by itself.

    Raises:
        RefusedError: There is none.
    """
    if not content:
        raise RefusedError(404, LedgerError("there must be a figure of that name", remedy="Go back to the page."))
    headers = {"Cache-Control": kept, "Content-Security-Policy": _SVG_POLICY}
    return Response(content, media_type="image/svg+xml", headers=headers)


def _number(text: str) -> int:
    """The number of a page, from 1."""
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 5 else 1
