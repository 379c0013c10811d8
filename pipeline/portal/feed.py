"""An Atom feed (RFC 4287) of what is new, corrected and withdrawn, without a number of any table."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from feedgen.feed import FeedGenerator

from pipeline.delivery.news import News, news_of
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
    told = news_of(catalogue_of(request).editions(holder.recipient, now()))[:_MOST]
    digest = hashlib.sha256(repr((holder.recipient, told)).encode()).hexdigest()
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if request.headers.get("if-none-match", "").strip() == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(_document(settings_of(request).origin, holder.recipient, told), media_type=_KIND, headers=headers)


def _document(origin: str, recipient: str, told: tuple[News, ...]) -> bytes:
    made = FeedGenerator()
    made.id(f"{origin}{PLACE}?recipient={recipient}")
    made.title(f"Demographics for {recipient}")
    made.link(href=f"{origin}{PLACE}", rel="self")
    made.author(name=origin)
    made.updated(told[0].at if told else "1970-01-01T00:00:00+00:00")
    for one in told:
        entry = made.add_entry(order="append")
        entry.id(f"{origin}/editions/{one.name}")
        entry.title(one.headline)
        entry.summary(one.text)
        entry.updated(one.at)
        place = f"{origin}/api/v1/products/{one.product}/editions/{one.period}/{one.revision}"
        entry.link(href=place, rel="alternate")
    content: bytes = made.atom_str(pretty=True)
    return content
