"""The feed of what is new, corrected and withdrawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import httpx
import pytest

from pipeline.delivery.tokens import Scope, Tokens
from pipeline.publication.withdrawal import withdraw
from tests.delivering import DeliveredSite, small
from tests.portals import Portal, serving

ATOM = "{http://www.w3.org/2005/Atom}"
ACME = {"recipients": [{"name": "acme", "title": "A", "audience": "partner", "receives": {"weekly_audience": {}}}]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    product = small(release="weekly_audience", title="Audience & <more>")
    made.offer(product)
    made.entitle(ana, ACME)
    for period in ("2026-W40", "2026-W41"):
        key = made.deliver(product, period, ana)
        if period == "2026-W40":
            withdraw(made.workspace, key, ana, "Wrong <source>.")
    revised = made.waiting(product, "2026-W41", revises="A log was missing.")
    made.register.approve(revised, ana, "Better.")
    made.put_out(revised)
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[Portal]:
    with serving(site.workspace) as found:
        yield found


def asked(site: DeliveredSite, portal: Portal, scope: Scope, **headers: str) -> httpx.Response:
    secret = Tokens.of(site.workspace).issue("acme", (scope,)).secret
    with portal.browser() as client:
        return client.get("/feed.atom", auth=("acme", secret), headers=headers)


def test_the_feed_tells_what_happened_the_newest_first(site: DeliveredSite, portal: Portal) -> None:
    answer = asked(site, portal, Scope.FEED)
    assert answer.headers["Content-Type"].startswith("application/atom+xml")
    entries = ET.fromstring(answer.content).findall(f"{ATOM}entry")  # noqa: S314  our own
    titles = [entry.findtext(f"{ATOM}title") for entry in entries]
    assert titles[0] == "Corrected: Audience & <more>, 2026-W41"
    assert set(titles[1:]) == {"New: Audience & <more>, 2026-W41", "Withdrawn: Audience & <more>, 2026-W40"}
    assert "Wrong <source>." in [entry.findtext(f"{ATOM}summary") for entry in entries]
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == 3
    times = [str(entry.findtext(f"{ATOM}updated")) for entry in entries]
    assert times == sorted(times, reverse=True)


def test_a_feed_that_is_known_is_not_sent_again(site: DeliveredSite, portal: Portal) -> None:
    tag = asked(site, portal, Scope.READ).headers["ETag"]
    again = asked(site, portal, Scope.FEED, **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_feed_is_for_its_recipient_alone(site: DeliveredSite, portal: Portal) -> None:
    assert asked(site, portal, Scope.SHARING).status_code == 403
    with portal.browser() as client:
        assert client.get("/feed.atom").status_code == 401
