"""An Atom feed (RFC 4287) of what is new, corrected and withdrawn, without a number of any table."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from feedgen.feed import FeedGenerator

from pipeline.delivery.catalogue import Held
from pipeline.delivery.tokens import Holder, Scope
from pipeline.portal.access import now, settings_of
from pipeline.portal.holders import catalogue_of, holder_of

PLACE: Final = "/feed.atom"
_MOST: Final = 200
_KIND: Final = "application/atom+xml; charset=utf-8"

Reading = Annotated[Holder, Depends(holder_of(Scope.READ, Scope.FEED))]


def router() -> APIRouter:
    """The route of the feed."""
    routes = APIRouter(include_in_schema=False)
    for method in ("GET", "HEAD"):
        routes.add_api_route(PLACE, feed, methods=[method])
    return routes


def feed(request: Request, holder: Reading) -> Response:
    """What happened lately to what the recipient receives, the newest first."""
    editions = catalogue_of(request).editions(holder.recipient, now())
    told = sorted((_happened(held, editions) for held in editions), key=lambda one: one[0], reverse=True)[:_MOST]
    digest = hashlib.sha256(repr((holder.recipient, told)).encode()).hexdigest()
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if request.headers.get("if-none-match", "").strip() == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(_document(settings_of(request).origin, holder.recipient, told), media_type=_KIND, headers=headers)


_Happened = tuple[str, str, str, str]  # when, id, title, what


def _happened(held: Held, editions: tuple[Held, ...]) -> _Happened:
    one = held.edition
    name = f"{one.product}/{one.period}/r{one.revision}"
    if held.is_withdrawn:
        return one.withdrawn_at, f"{name}/withdrawn", f"Withdrawn: {one.title}, {one.period}", one.reason
    same = [
        other.edition
        for other in editions
        if (other.edition.product, other.edition.period) == (one.product, one.period)
    ]
    earlier = max((other.revision for other in same if other.revision < one.revision), default=0)
    what = f"Revision {one.revision} replaces revision {earlier}." if earlier else "It is there for the first time."
    word = "Corrected" if earlier else "New"
    return held.readable_from.isoformat(), name, f"{word}: {one.title}, {one.period}", what


def _document(origin: str, recipient: str, told: list[_Happened]) -> bytes:
    made = FeedGenerator()
    made.id(f"{origin}{PLACE}?recipient={recipient}")
    made.title(f"Demographics for {recipient}")
    made.link(href=f"{origin}{PLACE}", rel="self")
    made.author(name=origin)
    made.updated(told[0][0] if told else "1970-01-01T00:00:00+00:00")
    for at, name, title, what in told:
        entry = made.add_entry(order="append")
        entry.id(f"{origin}/editions/{name}")
        entry.title(title)
        entry.summary(what)
        entry.updated(at)
        edition = name.removesuffix("/withdrawn").rsplit("/r", 1)
        product, period = edition[0].split("/")
        entry.link(href=f"{origin}/api/v1/products/{product}/editions/{period}/{edition[1]}", rel="alternate")
    content: bytes = made.atom_str(pretty=True)
    return content
