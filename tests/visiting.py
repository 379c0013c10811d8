"""A site whose recipients visit its pages: periods that follow and that are missing, a correction, a withdrawal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from pipeline.delivery.approvals import in_force
from pipeline.delivery.catalogue import Catalogue, Held
from pipeline.delivery.tokens import Issued, Scope, Tokens
from pipeline.publication.withdrawal import withdraw
from tests.delivering import DeliveredSite, small
from tests.portals import Browser, Portal, hidden

PRODUCT: Final = "weekly_audience"
SECRET: Final = "monthly_secrets"  # the name of a product that one recipient alone receives
NEWEST: Final = f"/my/products/{PRODUCT}/editions/2026-W43/1"
CORRECTED, CORRECTION = (f"/my/products/{PRODUCT}/editions/2026-W41/{revision}" for revision in (1, 2))
WITHDRAWN: Final = f"/my/products/{PRODUCT}/editions/2026-W42/1"
TITLE: Final = 'Audience <script>alert(1)</script> & "more"'
REASON: Final = '<img src=x onerror="alert(1)"> logs were missing'
OWN: Final = ("Firefox", "Opera")  # browsers of which north reads the rows

_TABLES: Final[list[dict[str, Any]]] = [
    {"name": "by_browser", "title": "By browser <b>", "dimensions": ["browser"]},
    {"name": "by_browser_and_system", "title": "By browser and system", "dimensions": ["browser", "operating_system"]},
    {
        "name": "by_section",
        "title": "By section",
        "dimensions": ["section"],
        "max_groups": 2,
        "measures": [
            {"kind": "events", "name": "views", "title": "Page views", "max_per_group": 3},
        ],
    },
]
_AUDIENCES: Final = {
    "partner": ["by_browser", "by_browser_and_system", "by_section"],
    "reseller": ["by_browser", "by_browser_and_system"],
}


def product(name: str = PRODUCT, **changes: Any) -> dict[str, Any]:
    """The specification of a product of this site."""
    return small(release=name, title=TITLE, tables=_TABLES, audiences=_AUDIENCES) | changes


def entitlements() -> dict[str, Any]:
    """Whole, some rows with totals, under embargo, and ended."""
    whole: dict[str, Any] = {PRODUCT: {}}
    rows = {"rows": {"browser": list(OWN)}, "totals": True}
    each: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("acme", "partner", {PRODUCT: {}, SECRET: {}}),
        ("north", "reseller", {PRODUCT: rows}),
        ("later", "partner", {PRODUCT: {"embargo_hours": 1_000}}),
    )
    found = [{"name": name, "title": f"{name} <i>", "audience": who, "receives": gives} for name, who, gives in each]
    gone = {"name": "gone", "title": "Gone", "audience": "partner", "until": "2026-01-01", "receives": whole}
    return {"recipients": [*found, gone]}


def visited_site(folder: Path) -> DeliveredSite:
    """Publish all of it: 2026-W41 was corrected, and 2026-W42 is withdrawn."""
    site = DeliveredSite(folder, inspected=True)
    ana = site.reviewer()
    site.offer(product())
    secret = product(SECRET, tables=_TABLES[:1], audiences={"partner": ["by_browser"]})
    site.offer(secret)
    site.entitle(ana, entitlements())
    for period in ("2026-W40", "2026-W41", "2026-W42"):
        key = site.deliver(product(), period, ana)
        if period == "2026-W42":
            withdraw(site.workspace, key, ana, REASON)
    revised = site.waiting(product(), "2026-W41", revises="A log was missing.")
    site.register.approve(revised, ana, "Better.")
    site.put_out(revised)
    site.deliver(product(), "2026-W43", ana)
    site.deliver(secret, "2026-W43", ana)
    return site


def held(site: DeliveredSite, recipient: str, period: str = "2026-W43", revision: int = 1) -> Held:
    """An edition as a recipient may read it."""
    catalogue = Catalogue(site.workspace.published, in_force(site.workspace))
    return catalogue.edition(recipient, PRODUCT, period, revision, dt.datetime.now(dt.UTC))


def token(site: DeliveredSite, recipient: str, *scopes: Scope, days: int = 90) -> Issued:
    """A new token of a recipient."""
    return Tokens.of(site.workspace).issue(recipient, scopes or (Scope.READ,), days)


def send_token(browser: Browser, secret: str, after: str = "/my") -> httpx.Response:
    """Open the form of log-in and send it."""
    shown = browser.get("/my/login")
    return browser.post("/my/login", data={"csrf": hidden(shown.text), "token": secret, "next": after})


@contextmanager
def visitor(site: DeliveredSite, portal: Portal, recipient: str = "acme") -> Iterator[Browser]:
    """A browser in which a recipient has logged in, with a token of its own."""
    with portal.browser() as browser:
        answer = send_token(browser, token(site, recipient).secret)
        assert answer.status_code == 303, answer.text
        yield browser
