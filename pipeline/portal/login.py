"""Logging in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.errors import AccessError
from pipeline.portal.access import (
    CSRF_FIELD,
    accounts_of,
    checked_form,
    now,
    rates_of,
    sessions_of,
    settings_of,
    standing_session,
)
from pipeline.portal.forms import HOME, LogInForms, local_path, read_form
from pipeline.portal.settings import Part
from pipeline.portal.templates import page
from pipeline.review.sessions import Session
from pipeline.review.trail import What

_WHY: Final = {
    "ended": "Your session has ended. Sign in again.",
    "undecided": "Your session has ended; nothing was decided. Sign in again, read the page, and decide there.",
    "out": "You have signed out.",
}
_STALE: Final = "This page was open for too long. Sign in now."


def router() -> APIRouter:
    """The routes of log-in and log-out."""
    routes = APIRouter()
    routes.add_api_route("/login", show, methods=["GET"])
    routes.add_api_route("/login", log_in, methods=["POST"])
    routes.add_api_route("/logout", log_out, methods=["POST"])
    return routes


def show(request: Request, next: str = HOME, why: str = "") -> Response:  # noqa: A002  the name in the address
    """The form of log-in; who has logged in goes on."""
    if standing_session(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return _form(request, local_path(next), note=_WHY.get(why, ""))


def log_in(request: Request, form: Annotated[Mapping[str, str], Depends(read_form)]) -> Response:
    """Begin a session, a new one each time."""
    after = local_path(form.get("next", ""))
    name, secret = form.get("name", ""), form.get("secret", "")
    if not form_is_fresh(request, form):
        return _form(request, after, 403, failure=_STALE)
    rates_of(request).require_log_in(request, name)
    try:
        account = accounts_of(request).check_in(name, secret, now())
    except AccessError as failure:
        return _form(request, after, 403, failure=f"{failure.rule[:1].upper()}{failure.rule[1:]}. {failure.remedy}")
    _end(request)
    ticket = sessions_of(request).begin(account, now())
    answer = RedirectResponse(after, 303)
    give_cookie(request, answer, settings_of(request).session_cookie, ticket.secret)
    forget_cookie(request, answer, settings_of(request).form_cookie)
    return answer


def log_out(request: Request, _form: Annotated[Mapping[str, str], Depends(checked_form)]) -> Response:
    """End the session."""
    session: Session = request.state.session
    _end(request)
    accounts_of(request).note(session.name, What.LOGGED_OUT, now=now())
    answer = RedirectResponse("/login?why=out", 303)
    forget_cookie(request, answer, settings_of(request).session_cookie)
    return answer


def form_is_fresh(request: Request, form: Mapping[str, str]) -> bool:
    """Whether a form of log-in came from a page that this browser asked for lately."""
    cookie = request.cookies.get(settings_of(request).form_cookie)
    return _forms_of(request).holds(cookie, form.get(CSRF_FIELD, ""), now())


def with_form(request: Request, template: str, status: int = 200, **context: object) -> Response:
    """A page with a form of log-in; what was typed into it before is not written there again."""
    forms, name = _forms_of(request), settings_of(request).form_cookie
    cookie = forms.cookie(request.cookies.get(name))
    answer = page(request, template, status, form_csrf=forms.token(cookie, now()), **context)
    give_cookie(request, answer, name, cookie)
    return answer


def give_cookie(request: Request, answer: Response, name: str, value: str) -> None:
    """Have the browser keep a secret that no script and no other site can use."""
    secure = settings_of(request).secure
    answer.set_cookie(name, value, path="/", httponly=True, samesite="strict", secure=secure)


def forget_cookie(request: Request, answer: Response, name: str) -> None:
    """Have the browser forget it."""
    answer.delete_cookie(name, path="/", httponly=True, samesite="strict", secure=settings_of(request).secure)


def _form(request: Request, after: str, status: int = 200, *, note: str = "", failure: str = "") -> Response:
    recipients_too = settings_of(request).part is Part.ALL
    told = {"next": after, "note": note, "failure": failure, "recipients_too": recipients_too}
    return with_form(request, "login.html.j2", status, **told)


def _forms_of(request: Request) -> LogInForms:
    found: LogInForms = request.app.state.log_in_forms
    return found


def _end(request: Request) -> None:
    if standing := request.cookies.get(settings_of(request).session_cookie):
        sessions_of(request).end(standing)
