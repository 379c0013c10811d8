"""The web application, put together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from pipeline.delivery.approvals import Approvals
from pipeline.delivery.downloads import Downloads
from pipeline.delivery.sessions import RecipientSessions
from pipeline.delivery.tokens import Tokens
from pipeline.errors import LedgerError
from pipeline.portal import (
    access,
    api,
    failures,
    feed,
    forms,
    login,
    mine,
    review_pages,
    security,
    sharing,
    taking_back,
)
from pipeline.portal.background import Background
from pipeline.portal.forms import LogInForms
from pipeline.portal.mine import visiting
from pipeline.portal.rates import Rates
from pipeline.portal.settings import Part, PortalSettings
from pipeline.portal.templates import stylesheet
from pipeline.privacy.ledger import Ledger
from pipeline.review.accounts import Accounts
from pipeline.review.passwords import Hashing
from pipeline.review.sessions import Sessions
from pipeline.workspace import Workspace

_THREADS: Final = 120  # most wait until the disk has the log of downloads, and many wait no longer for it than few
_STATIC: Final = Path(__file__).parent / "static"


def create_app(workspace: Workspace, settings: PortalSettings | None = None, hashing: Hashing | None = None) -> FastAPI:
    """The pages of one site.

    Args:
        workspace: Of the site; its ledger is made where there is none.
        settings: Where the pages are; those of the environment by default.
        hashing: How slow it is to try passwords.

    Raises:
        ConfigurationError: A setting breaks a rule.
        LedgerError: The ledger's database cannot be reached or written, or a later program made it.
    """
    settings = settings or PortalSettings.from_environment()
    app = FastAPI(
        title="demographics", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=_running
    )
    app.state.workspace, app.state.settings = workspace, settings
    app.state.ledger = Ledger.open(workspace.ledger)
    app.state.accounts = Accounts.of(workspace, hashing)
    app.state.sessions = Sessions.of(workspace, settings.idle, settings.longest)
    app.state.approvals, app.state.tokens = Approvals.of(workspace), Tokens.of(workspace)
    app.state.recipient_sessions = RecipientSessions.of(workspace, settings.idle, settings.longest)
    app.state.downloads = Downloads.of(workspace)
    app.state.rates, app.state.log_in_forms = Rates(settings), LogInForms()
    failures.install(app)
    security.install(app, settings)
    logging.getLogger("uvicorn.access").addFilter(_untold)
    app.add_api_route("/healthz", health, methods=["GET"])
    app.add_api_route("/", home, methods=["GET"], include_in_schema=False)
    app.add_api_route("/static/report.css", look, methods=["GET"], include_in_schema=False)
    if settings.part is not Part.RECIPIENTS:
        taking_back.install(app)
        app.include_router(login.router())
        app.include_router(review_pages.router())
    if settings.part is not Part.REVIEW:
        app.state.drawings = Background("figures of recipients")
        app.include_router(mine.router())
        app.include_router(api.router())
        app.include_router(sharing.router())
        app.include_router(feed.router())
    app.mount(security.STATIC, StaticFiles(directory=_STATIC))
    return app


def home(request: Request) -> Response:
    """The first page: of recipients where one has logged in or there are no others, else the releases to review."""
    recipients = access.settings_of(request).part is Part.RECIPIENTS
    cookies = access.settings_of(request)
    mine_first = cookies.recipient_cookie in request.cookies and cookies.session_cookie not in request.cookies
    return RedirectResponse(visiting.HOME if recipients or mine_first else forms.HOME, 303)


def look() -> Response:
    """The style sheet that these pages share with reports; for everybody, as the pages of log-in need it."""
    return Response(stylesheet(), media_type="text/css", headers={"Cache-Control": "no-cache"})


def health(request: Request) -> Response:
    """Whether pages can be answered: ``ok``, or 503."""
    try:
        access.accounts_of(request).names()
    except LedgerError:
        return PlainTextResponse("the ledger cannot be read", 503)
    return PlainTextResponse("ok")


def _untold(_record: logging.LogRecord) -> bool:
    """Requests are logged nowhere, even where a library sets up logging anew: addresses tell who reads what."""
    return False


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield
    app.state.downloads.close()
    for name in ("archive", "drawings", "taking_back"):
        if found := getattr(app.state, name, None):
            found.close()
