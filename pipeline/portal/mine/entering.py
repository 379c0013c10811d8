"""How recipients log in, with an access token, and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.delivery.events import What
from pipeline.delivery.tokens import Holder, Scope
from pipeline.portal.access import now, rates_of, settings_of
from pipeline.portal.forms import local_path, read_form
from pipeline.portal.holders import catalogue_of, recipient_sessions_of, tokens_of
from pipeline.portal.login import forget_cookie, form_is_fresh, give_cookie, with_form
from pipeline.portal.mine.visiting import HOME, LOG_IN, Visiting, checked_form, standing_visit

_WHY: Final = {"ended": "Your session has ended. Sign in again.", "out": "You have signed out."}
_STALE: Final = "This page was open for too long. Sign in now."
_WRONG: Final = (
    "This token opens nothing here: it may be mistyped, expired or revoked, or made for programs of another kind. "
    "Ask the publisher for another one."
)
_LONGEST: Final = 100  # characters of what may be a token


def router() -> APIRouter:
    """The routes of log-in and log-out."""
    routes = APIRouter()
    routes.add_api_route(LOG_IN, show, methods=["GET"])
    routes.add_api_route(LOG_IN, log_in, methods=["POST"])
    routes.add_api_route("/my/logout", log_out, methods=["POST"])
    return routes


def show(request: Request, next: str = HOME, why: str = "") -> Response:  # noqa: A002  the name in the address
    """The form of log-in; who has logged in goes on."""
    after = local_path(next, HOME)
    if standing_visit(request) is not None:
        return RedirectResponse(after, 303)
    return _form(request, after, note=_WHY.get(why, ""))


def log_in(request: Request, form: Annotated[Mapping[str, str], Depends(read_form)]) -> Response:
    """Begin a session, a new one each time."""
    after = local_path(form.get("next", ""), HOME)
    if not form_is_fresh(request, form):
        return _form(request, after, 403, failure=_STALE)
    rates_of(request).require_token(request)
    holder = tokens_of(request).find(form.get("token", "").strip()[:_LONGEST], now())
    if holder is None or not _opens_pages(request, holder):
        rates_of(request).note_wrong_token(request)
        return _form(request, after, 403, failure=_WRONG)
    _end(request)
    ticket = recipient_sessions_of(request).begin(holder, now())
    tokens_of(request).note(holder.recipient, What.LOGGED_IN, holder.token, now())
    answer = RedirectResponse(after, 303)
    give_cookie(request, answer, settings_of(request).recipient_cookie, ticket.secret)
    forget_cookie(request, answer, settings_of(request).form_cookie)
    return answer


def log_out(request: Request, visit: Visiting, _form: Annotated[Mapping[str, str], Depends(checked_form)]) -> Response:
    """End the session."""
    _end(request)
    tokens_of(request).note(visit.recipient.name, What.LOGGED_OUT, visit.session.token, now())
    answer = RedirectResponse(f"{LOG_IN}?why=out", 303)
    forget_cookie(request, answer, settings_of(request).recipient_cookie)
    return answer


def _opens_pages(request: Request, holder: Holder) -> bool:
    recipient = catalogue_of(request).entitlements.find(holder.recipient)
    return recipient is not None and not recipient.has_ended(now()) and Scope.READ in holder.scopes


def _form(request: Request, after: str, status: int = 200, *, note: str = "", failure: str = "") -> Response:
    return with_form(request, "my_login.html.j2", status, next=after, note=note, failure=failure)


def _end(request: Request) -> None:
    if standing := request.cookies.get(settings_of(request).recipient_cookie):
        recipient_sessions_of(request).end(standing)
