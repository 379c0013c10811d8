"""Who is asking: what routes depend on that are for reviewers."""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request

from pipeline.errors import AccessError
from pipeline.portal.failures import LogInFirstError, RefusedError
from pipeline.portal.forms import HOME, local_path, read_form
from pipeline.portal.rates import Rates
from pipeline.portal.settings import PortalSettings
from pipeline.review.accounts import Accounts
from pipeline.review.sessions import Session, Sessions

CSRF_FIELD = "csrf"


def settings_of(request: Request) -> PortalSettings:
    """The settings of the application."""
    found: PortalSettings = request.app.state.settings
    return found


def accounts_of(request: Request) -> Accounts:
    """The accounts of the application."""
    found: Accounts = request.app.state.accounts
    return found


def sessions_of(request: Request) -> Sessions:
    """The sessions of the application."""
    found: Sessions = request.app.state.sessions
    return found


def rates_of(request: Request) -> Rates:
    """What was tried lately."""
    found: Rates = request.app.state.rates
    return found


def now() -> dt.datetime:
    """This moment."""
    return dt.datetime.now(dt.UTC)


def standing_session(request: Request) -> Session | None:
    """The session of a request; None where nobody is logged in."""
    secret = request.cookies.get(settings_of(request).session_cookie)
    session = sessions_of(request).find(secret, now()) if secret else None
    request.state.session = session
    return session


def reviewer(request: Request) -> Session:
    """The session of a request, which must have one; also in ``request.state.session`` for templates.

    Raises:
        LogInFirstError: Nobody is logged in; they are sent to log in, and then back to where they were.
    """
    session = standing_session(request)
    if session is None:
        raise LogInFirstError(_log_in_place(request))
    return session


async def checked_form(request: Request, session: Annotated[Session, Depends(reviewer)]) -> Mapping[str, str]:
    """The fields of a form that a reviewer sent from a page of their own session.

    Raises:
        LogInFirstError: Nobody is logged in.
        RefusedError: It is no form, or not of this session's pages, or there were too many lately.
    """
    rates_of(request).require_decision(request, session.name)
    form = await read_form(request)
    require_csrf(form, session.csrf)
    return form


def require_csrf(form: Mapping[str, str], csrf: str) -> None:
    """Refuse a form that is not of a page of the session that sends it.

    Raises:
        RefusedError: It is not.
    """
    given = form.get(CSRF_FIELD, "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, csrf.encode()):
        raise RefusedError(
            403,
            AccessError(
                "a form must come from a page of the session that sends it",
                remedy="Nothing was done. Open the page anew, and send the form from there.",
            ),
        )


def _log_in_place(request: Request) -> str:
    """Where one logs in: what was said there, and the page to come back to; what was sent cannot be sent again."""
    path = request.url.path
    if request.method == "POST":
        page = path.rpartition("/")[0] if path != "/logout" else ""
        return _place("undecided" if page else "ended", page or HOME)
    query = f"?{request.url.query}" if request.url.query else ""
    had_one = settings_of(request).session_cookie in request.cookies
    return _place("ended" if had_one else "", f"{path}{query}")


def _place(why: str, after: str) -> str:
    after = local_path(after)
    asked = {"why": why, "next": after if after != HOME else ""}
    told = urlencode({name: value for name, value in asked.items() if value})
    return f"/login?{told}" if told else "/login"
