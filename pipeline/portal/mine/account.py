"""A recipient's own tokens, profiles of Delta Sharing, and what was downloaded with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.delivery.catalogue import unknown
from pipeline.delivery.profiles import profile_of
from pipeline.delivery.tokens import MOST_DAYS, Issued, Scope, Token
from pipeline.errors import AccessError
from pipeline.portal.access import settings_of
from pipeline.portal.feed import PLACE as FEED
from pipeline.portal.holders import downloads_of, tokens_of
from pipeline.portal.mine.visiting import Visit, Visiting, checked_form
from pipeline.portal.templates import page

ACCOUNT: Final = "/my/account"
_DOWNLOADS: Final = 50
_SCOPES: Final = {"programs": (Scope.READ,), "feed": (Scope.FEED,)}
_OPENS: Final = {
    Scope.READ.value: "pages, API and files",
    Scope.SHARING.value: "Delta Sharing",
    Scope.FEED.value: "the feed",
}
_LABEL: Final = 80
_SHARING_DAYS: Final = 90

Form = Annotated[Mapping[str, str], Depends(checked_form)]


def router() -> APIRouter:
    """The routes of the account."""
    routes = APIRouter()
    routes.add_api_route(ACCOUNT, account, methods=["GET"])
    routes.add_api_route(f"{ACCOUNT}/tokens", make, methods=["POST"])
    routes.add_api_route(f"{ACCOUNT}/tokens/{{number}}/revoke", revoke, methods=["POST"])
    routes.add_api_route(f"{ACCOUNT}/profile", profile, methods=["POST"])
    return routes


def account(request: Request, visit: Visiting) -> Response:
    """Tokens without their secrets, and the newest downloads."""
    return _shown(request, visit)


def make(request: Request, visit: Visiting, form: Form) -> Response:
    """Make a token for programs; it is shown once, and lives no longer than the one it was made with."""
    scopes = _SCOPES.get(form.get("purpose", ""))
    if scopes is None:
        raise AccessError("a token must be for programs or for a feed reader", remedy="Choose one of the two.")
    issued = _issue(request, visit, scopes, form.get("label", "")[:_LABEL])
    return _shown(request, visit, issued)


def revoke(request: Request, visit: Visiting, _form: Form, number: int) -> Response:
    """Make one of the recipient's tokens open nothing, from the next request on."""
    if all(token.number != number for token in _own(request, visit)):
        raise unknown()
    tokens_of(request).revoke(number, visit.when)
    return RedirectResponse(ACCOUNT, 303)


def profile(request: Request, visit: Visiting, _form: Form) -> Response:
    """A profile file of Delta Sharing, with a token of its own."""
    issued = _issue(request, visit, (Scope.SHARING,), "Delta Sharing profile", _SHARING_DAYS)
    content = json.dumps(profile_of(settings_of(request).origin, issued), indent=2) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="{visit.recipient.name}.share"'}
    return Response(content, media_type="application/json", headers=headers)


def _own(request: Request, visit: Visit) -> tuple[Token, ...]:
    living = tokens_of(request).listed(visit.recipient.name)
    return tuple(token for token in living if token.is_living(visit.when))


def _issue(request: Request, visit: Visit, scopes: tuple[Scope, ...], label: str, days: int = MOST_DAYS) -> Issued:
    """Whoever has stolen a token cannot stay longer with another one that it made."""
    return tokens_of(request).issue_with(visit.session.token, scopes, days, label, visit.when)


def _shown(request: Request, visit: Visit, issued: Issued | None = None) -> Response:
    noted = downloads_of(request).newest(visit.recipient.name, _DOWNLOADS)
    return page(
        request,
        "my_account.html.j2",
        tokens=tuple(reversed(_own(request, visit))),
        issued=issued,
        downloads=noted,
        most=_DOWNLOADS,
        opens=_OPENS,
        feed=f"{settings_of(request).origin}{FEED}",
    )
