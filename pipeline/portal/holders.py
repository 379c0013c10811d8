"""Who asks with a token: what routes for recipients' programs depend on. No cookie counts there."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

from fastapi import Request

from pipeline.delivery.approvals import Approvals
from pipeline.delivery.catalogue import Catalogue
from pipeline.delivery.downloads import Downloads
from pipeline.delivery.sessions import RecipientSessions
from pipeline.delivery.tokens import Holder, Scope, Tokens
from pipeline.errors import AccessError
from pipeline.portal.access import now, rates_of
from pipeline.portal.failures import RefusedError

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="demographics", Basic realm="demographics", charset="UTF-8"'}
_LONGEST: Final = 500  # characters of a header


def tokens_of(request: Request) -> Tokens:
    """The recipients' tokens of the application."""
    found: Tokens = request.app.state.tokens
    return found


def recipient_sessions_of(request: Request) -> RecipientSessions:
    """The recipients' sessions of the application."""
    found: RecipientSessions = request.app.state.recipient_sessions
    return found


def downloads_of(request: Request) -> Downloads:
    """The log of downloads of the application."""
    found: Downloads = request.app.state.downloads
    return found


def catalogue_of(request: Request) -> Catalogue:
    """What recipients may read, by the entitlements in force when the request came; one request is asked once."""
    found: Catalogue | None = getattr(request.state, "catalogue", None)
    if found is None:
        approvals: Approvals = request.app.state.approvals
        found = request.state.catalogue = Catalogue(approvals.workspace.published, approvals.in_force())
    return found


def holder_of(*scopes: Scope) -> Callable[[Request], Holder]:
    """A dependency: whoever shows a living token that opens one of these, of a recipient who is in force."""

    def held(request: Request) -> Holder:
        rates_of(request).require_token(request)
        holder = tokens_of(request).find(_secret(request.headers.get("authorization", "")), now())
        recipient = catalogue_of(request).entitlements.find(holder.recipient) if holder else None
        if holder is None or recipient is None or recipient.has_ended(now()):
            rates_of(request).note_wrong_token(request)
            raise RefusedError(401, _wrong(), _CHALLENGE)
        if not holder.scopes.intersection(scopes):
            raise RefusedError(403, _too_narrow(scopes))
        return holder

    return held


def _secret(header: str) -> str:
    """The token of an Authorization header: of Bearer (RFC 6750), or the password of Basic (RFC 7617)."""
    kind, _, told = header[:_LONGEST].partition(" ")
    told = told.strip()
    if kind.lower() == "bearer":
        return told
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(told, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _wrong() -> AccessError:
    return AccessError(
        "a request must bear a token that was issued, has not expired and was not revoked",
        remedy="Send the header 'Authorization: Bearer dgx_...', or ask the publisher for another token.",
    )


def _too_narrow(scopes: tuple[Scope, ...]) -> AccessError:
    words = " or ".join(sorted(scopes))
    return AccessError(f"the token must open this, with the scope {words}", remedy="Ask the publisher for one.")
