"""A published site whose recipients have a webhook or an address, and what they are told."""

from __future__ import annotations

import atexit
import datetime as dt
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from pipeline.delivery.approvals import in_force
from pipeline.delivery.entitlements import Entitlements, Recipient
from pipeline.delivery.message import Message
from pipeline.delivery.news import Kind, News
from pipeline.delivery.occasions import Occasion
from pipeline.publication import withdrawal
from pipeline.spec import ReleaseKey
from tests.delivering import DeliveredSite, small

HOOK: Final = "https://127.0.0.1/hooks/8f0c"
EMAIL: Final = "numbers@north.example"
KEY: Final = ReleaseKey("weekly_audience", "2026-W41")
ENTITLEMENTS: Final[dict[str, Any]] = {
    "recipients": [
        {
            "name": "acme",
            "title": "Acme Analytics",
            "audience": "partner",
            "receives": {"weekly_audience": {}},
            "webhook": HOOK,
        },
        {
            "name": "north",
            "title": "North Resale",
            "audience": "reseller",
            "receives": {"weekly_audience": {}},
            "email": EMAIL,
        },
        {"name": "quiet", "title": "Quiet", "audience": "partner", "receives": {"weekly_audience": {}}},
    ]
}


def _new_home() -> Path:
    folder = Path(mkdtemp(prefix="told-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "site"


@cache
def _template() -> Path:
    home = _new_home()
    site = DeliveredSite(home)
    signer = site.reviewer()
    site.offer(small(release=KEY.release))
    site.entitle(signer, ENTITLEMENTS)
    site.deliver(small(release=KEY.release), KEY.period, signer)
    return home


@cache
def _revised() -> Path:
    home = _new_home()
    shutil.copytree(_template(), home)
    revise(DeliveredSite(home))
    return home


def site_in(folder: Path, *, revised: bool = False) -> DeliveredSite:
    """A site of its own on which one edition was published after the entitlements came into force, or two of them."""
    shutil.copytree(_revised() if revised else _template(), folder / "site")
    return DeliveredSite(folder / "site")


def document(**changes: dict[str, Any]) -> dict[str, Any]:
    """The entitlements, with changes of recipients by their names."""
    return {"recipients": [one | changes.get(one["name"], {}) for one in ENTITLEMENTS["recipients"]]}


def told_at(site: DeliveredSite, **addresses: str) -> Entitlements:
    """What is in force, with other addresses: those on which a test listens."""
    there = in_force(site.workspace)
    changed = [
        one.model_copy(update={"webhook": addresses[one.name]}) if one.name in addresses else one
        for one in there.recipients
    ]
    return Entitlements(recipients=tuple(changed))


def revise(site: DeliveredSite) -> None:
    """Publish revision 2."""
    site.deliver(small(release=KEY.release), KEY.period, site.reviewer(), revises="A source was late.")


def withdraw(site: DeliveredSite, revision: int = 1, reason: str = "A source was counted twice.") -> None:
    """Withdraw an edition."""
    key = ReleaseKey(KEY.release, KEY.period, revision)
    withdrawal.withdraw(site.workspace, key, site.reviewer(), reason)


def message(kind: Kind = Kind.WITHDRAWN, *, title: str = "Weekly audience", text: str = "", **address: str) -> Message:
    """A notice to Acme."""
    recipient = Recipient.model_validate(ENTITLEMENTS["recipients"][0] | address)
    at = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC).isoformat()
    news = News(at, kind, KEY.release, KEY.period, 1, title, text or "A source was counted twice.")
    return Message("msg_0123", Occasion(recipient, news, readable=True), "https://export.example.org")
