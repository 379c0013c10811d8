"""One round of delivery: stores and notices, each in any case, and what stops a scheduled run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipeline import flow_delivery
from pipeline.errors import AccessError, DeliveryError
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE
from tests.delivering import DeliveredSite, small

PRODUCT = "weekly_audience"
EDITION = f"partner/{PRODUCT}/2026-W41/r1"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveredSite:
    made = DeliveredSite(tmp_path / "site")
    monkeypatch.setenv(HOME_VARIABLE, str(made.workspace.home))
    monkeypatch.setenv(RELEASES_VARIABLE, str(made.workspace.releases))
    return made


def publish(site: DeliveredSite, *stores: Path, webhook: str = "") -> None:
    """Publish a release for a partner with these ways out, which were in force before."""
    ana = site.reviewer()
    site.offer(small(release=PRODUCT))
    acme = {"name": "acme", "title": "Acme", "audience": "partner", "receives": {PRODUCT: {}}}
    ways = {"stores": [f"file://{store}" for store in stores], **({"webhook": webhook} if webhook else {})}
    site.entitle(ana, {"recipients": [acme | ways]})
    site.deliver(small(release=PRODUCT), "2026-W41", ana)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_receiver_that_is_away_fails_no_round_and_is_told_later(site: DeliveredSite, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    publish(site, tmp_path / "store", webhook=f"http://127.0.0.1:{closed_port()}/hooks")
    assert flow_delivery.deliver_everything() == flow_delivery.DELIVERY
    assert (tmp_path / "store" / EDITION / "manifest.json").is_file()
    again = flow_delivery.deliver()
    assert again.notices is not None
    assert (again.notices.sent, again.notices.waiting, again.notices.failed) == (0, 1, 0)
    assert again.sending is not None
    assert [one.sent for one in again.sending.stores] == [()]


def test_a_store_that_is_away_fails_the_round_after_everything_else_was_done(
    site: DeliveredSite, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    publish(site, tmp_path / "gone", tmp_path / "store")
    with pytest.raises(DeliveryError, match="gone"):
        flow_delivery.deliver_everything()
    assert (tmp_path / "store" / EDITION / "manifest.json").is_file()
    assert not (tmp_path / "gone").exists()


def test_a_stranger_is_no_recipient(site: DeliveredSite) -> None:
    publish(site)
    with pytest.raises(AccessError, match="entitlements in force"):
        flow_delivery.deliver("nobody")
