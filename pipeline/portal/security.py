"""What stands before every page: which hosts and origins are answered, how large a request is, what browsers may do."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import DemographicsError
from pipeline.portal.failures import error_page, is_for_programs, unforeseen
from pipeline.portal.settings import PortalSettings

MOST_BYTES: Final = 64 * 1024  # of a request's body
MOST_IN_ADDRESS: Final = 8 * 1024  # bytes
MOST_IN_HEADERS: Final = 32 * 1024  # bytes, names and values together
_SAID_ONCE: Final = (b"authorization", b"content-length", b"host")
DATA_DOCS: Final = "/data-docs"
STATIC: Final = "/static"
_PATIENCE: Final = 20  # seconds for a body to come in
_READING: Final = frozenset({"GET", "HEAD"})
_POLICY: Final = (
    "default-src 'none'; style-src 'self'{styles}; img-src 'self' data:; font-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_FEATURES: Final = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


def install(app: FastAPI, settings: PortalSettings) -> None:
    """Put all of it before an application; what is added last is asked first."""
    app.add_middleware(SameOrigin, settings=settings)
    app.add_middleware(Bounded)
    app.add_middleware(Plain)
    app.add_middleware(Caught)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.names), www_redirect=False)
    app.add_middleware(SecurityHeaders, settings=settings)


class SecurityHeaders:
    """Tells browsers to run no script, to ask no other host, to show nothing in a frame and to keep nothing.

    Referrers stay within the pages. With ``no-referrer`` browsers would name no origin either when they send a form
    (Fetch Standard, 3.2: ``Origin: null``), and the origin is what ``SameOrigin`` looks at.
    """

    def __init__(self, app: ASGIApp, settings: PortalSettings) -> None:
        self.app = app
        self.headers = {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": _FEATURES,
        }
        if settings.secure:
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with these headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Pages of Great Expectations carry styles of their own. Their scripts, and what they ask of other hosts, stay
        # forbidden.
        styles = " 'unsafe-inline'" if _is_below(scope["path"], DATA_DOCS) else ""
        kept = "no-cache" if _is_below(scope["path"], STATIC) else "no-store"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                headers.setdefault("Content-Security-Policy", _POLICY.format(styles=styles))
                headers.setdefault("Cache-Control", kept)
            await send(message)

        await self.app(scope, receive, with_headers)


class Caught:
    """Shows a page where the program fails; otherwise the server would log the message, which may quote a record."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever comes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as failure:  # noqa: BLE001  whatever it is
            answer = unforeseen(Request(scope), failure)
            if not begun:
                await answer(scope, receive, send)


class Plain:
    """Takes requests whose address and headers are small, and say once who asks and whom.

    Of two that differ, a front server may believe one and this program the other (RFC 9112, 3.2 and 11.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is plain."""
        refused = _unplain(scope) if scope["type"] == "http" else None
        if refused is not None:
            await _answer(scope, *refused)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _unplain(scope: Scope) -> tuple[int, str, str] | None:
    """Status, rule and remedy where a request is not plain; None where it is."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_IN_ADDRESS:
        return 414, f"an address must have at most {MOST_IN_ADDRESS // 1024} KiB", "Ask for less at a time."
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_IN_HEADERS:
        return 431, f"headers must have at most {MOST_IN_HEADERS // 1024} KiB", "Send fewer or shorter ones."
    names = [name for name, _ in scope["headers"]]
    if twice := next((name.decode() for name in _SAID_ONCE if names.count(name) > 1), ""):
        return 400, f"the header {twice} must be there once at most", "Send one of them."
    return None


class Bounded:
    """Takes a request's body whole, if it is small and comes soon."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer requests of at most 64 KiB."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self.app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        try:
            body = await asyncio.wait_for(_body(receive), _PATIENCE) if _at_most(told) else None
        except TimeoutError:
            await _answer(scope, 408, "a request must come in soon", "Try again.")(scope, receive, send)
            return
        if body is None:
            words = f"a request must have at most {MOST_BYTES // 1024} KiB"
            await _answer(scope, 413, words, "Shorten what you wrote.")(scope, receive, send)
            return
        await self.app(scope, _replayed(body, receive), send)


class SameOrigin:
    """Lets forms come from these pages alone, by what the browser says of where they come from.

    Browsers set ``Origin`` and ``Sec-Fetch-Site`` themselves, no page can; what names neither is no browser of today.
    """

    def __init__(self, app: ASGIApp, settings: PortalSettings) -> None:
        self.app, self.own = app, settings.origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer forms of our own."""
        if self._is_form(scope) and not self._is_own(Headers(scope=scope)):
            words = "a form must be sent from a page of this portal"
            await _answer(scope, 403, words, f"Open {self.own} and send it from there.")(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_form(self, scope: Scope) -> bool:
        # No cookie counts where programs ask: no page can send anything there in somebody's name.
        return scope["type"] == "http" and scope["method"] not in _READING and not is_for_programs(scope["path"])

    def _is_own(self, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site is None:
            return False
        host = f"{self.own.partition(':')[0]}://{headers.get('host', '')}"  # another of the names that are answered
        return origin in {None, self.own, host} and site in {None, "same-origin"}


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")


def _at_most(length: str) -> bool:
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= MOST_BYTES


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where it is too large."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
        if len(body) > MOST_BYTES:
            return None
    return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _answer(scope: Scope, status: int, rule: str, remedy: str) -> Response:
    return error_page(Request(scope), status, DemographicsError(rule, remedy=remedy))
