"""Who asks for a recipient's page: a living session, of a recipient whose entitlements are in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, Path, Request

from pipeline.delivery.catalogue import Catalogue, Held, unknown
from pipeline.delivery.entitlements import Recipient
from pipeline.delivery.sessions import RecipientSession
from pipeline.portal.access import now, rates_of, require_csrf, settings_of
from pipeline.portal.failures import LogInFirstError
from pipeline.portal.forms import local_path, read_form
from pipeline.portal.holders import catalogue_of, recipient_sessions_of

HOME: Final = "/my"
LOG_IN: Final = "/my/login"
EDITION: Final = "/my/products/{product}/editions/{period}/{revision}"


@dataclass(frozen=True)
class Visit:
    """One request of a recipient who has logged in.

    Attributes:
        session: Theirs.
        recipient: Who they are, by the entitlements in force.
        catalogue: What they may read.
        when: This moment.
    """

    session: RecipientSession
    recipient: Recipient
    catalogue: Catalogue
    when: dt.datetime

    def editions(self, product: str | None = None) -> tuple[Held, ...]:
        """All that they may read, tombstones too."""
        return self.catalogue.editions(self.recipient.name, self.when, product)

    def standing(self, product: str | None = None) -> tuple[Held, ...]:
        """Of each period the newest revision that is not withdrawn."""
        return self.catalogue.standing(self.recipient.name, self.when, product)

    def edition(self, product: str, period: str, revision: int) -> Held:
        """One edition.

        Raises:
            UnknownEditionError: There is none such, or the recipient may not know of it.
            WithdrawnError: It is withdrawn.
        """
        return self.catalogue.edition(self.recipient.name, product, period, revision, self.when)

    def require_product(self, product: str) -> None:
        """Refuse a product that they do not receive.

        Raises:
            UnknownEditionError: They do not, or there is none such.
        """
        if product not in self.catalogue.products(self.recipient.name, self.when):
            raise unknown()


def standing_visit(request: Request) -> Visit | None:
    """Who asks; None where nobody is logged in, or no entitlement of theirs is in force."""
    secret = request.cookies.get(settings_of(request).recipient_cookie)
    session = recipient_sessions_of(request).find(secret, now()) if secret else None
    if session is None:
        return None
    catalogue, when = catalogue_of(request), now()
    recipient = catalogue.entitlements.find(session.recipient)
    if recipient is None or recipient.has_ended(when):
        return None
    request.state.visitor = session
    return Visit(session, recipient, catalogue, when)


def visit_of(request: Request) -> Visit:
    """Who asks.

    Raises:
        LogInFirstError: Nobody is logged in; they are sent to log in, and then back to where they were.
    """
    visit = standing_visit(request)
    if visit is None:
        raise LogInFirstError(_log_in_place(request))
    return visit


Visiting = Annotated[Visit, Depends(visit_of)]


async def checked_form(request: Request, visit: Visiting) -> Mapping[str, str]:
    """The fields of a form that a recipient sent from a page of their own session.

    Raises:
        RefusedError: It is no form, or not of this session's pages, or there were too many lately.
    """
    rates_of(request).require_decision(request, f"recipient {visit.recipient.name}")
    form = await read_form(request)
    require_csrf(form, visit.session.csrf)
    return form


def held_of(
    visit: Visiting,
    product: Annotated[str, Path(max_length=40)],
    period: Annotated[str, Path(max_length=10)],
    revision: Annotated[int, Path(ge=1, le=999_999)],
) -> Held:
    """The edition that an address names."""
    return visit.edition(product, period, revision)


Holding = Annotated[Held, Depends(held_of)]


def address_of(held: Held) -> str:
    """Of the page of an edition."""
    one = held.edition
    return EDITION.format(product=one.product, period=one.period, revision=one.revision)


def _log_in_place(request: Request) -> str:
    had_one = settings_of(request).recipient_cookie in request.cookies
    asked = {"why": "ended"} if had_one else {}
    if request.method == "GET":
        query = f"?{request.url.query}" if request.url.query else ""
        after = local_path(f"{request.url.path}{query}", HOME)
        asked |= {"next": after} if after != HOME else {}
    return f"{LOG_IN}?{urlencode(asked)}" if asked else LOG_IN
