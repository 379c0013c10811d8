"""What recipients may read at a moment."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.delivery.catalogue import Catalogue
from pipeline.delivery.entitlements import Entitlements
from pipeline.errors import UnknownEditionError
from tests.delivering import ENTITLEMENTS, DeliveredSite, small

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    signer = made.reviewer()
    for period in ("2026-W41", "2026-W42"):
        made.deliver(small(release="weekly_audience"), period, signer)
    return made


def catalogue(site: DeliveredSite, **grant: object) -> Catalogue:
    """One partner, who receives the product on these terms."""
    acme = ENTITLEMENTS["recipients"][0] | {"receives": {"weekly_audience": grant}}
    return Catalogue(site.workspace.published, Entitlements.model_validate({"recipients": [acme]}))


def later(**time: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**time)


def test_a_recipient_finds_what_its_audience_receives(site: DeliveredSite) -> None:
    found = catalogue(site).editions("acme", later())
    assert [held.edition.path for held in found] == ["weekly_audience/2026-W41/r1", "weekly_audience/2026-W42/r1"]
    assert all((held.folder / "manifest.json").is_file() for held in found)


def test_a_stranger_finds_nothing(site: DeliveredSite) -> None:
    assert catalogue(site).editions("stranger", later()) == ()
    with pytest.raises(UnknownEditionError):
        catalogue(site).edition("stranger", "weekly_audience", "2026-W41", 1, later())


def test_what_is_under_embargo_reads_like_what_is_not_there(site: DeliveredSite) -> None:
    held_back = catalogue(site, embargo_hours=2)
    assert held_back.editions("acme", later(hours=1)) == ()
    with pytest.raises(UnknownEditionError) as early:
        held_back.edition("acme", "weekly_audience", "2026-W41", 1, later(hours=1))
    with pytest.raises(UnknownEditionError) as never:
        held_back.edition("acme", "weekly_audience", "2026-W40", 1, later(hours=1))
    assert str(early.value) == str(never.value)
    assert len(held_back.editions("acme", later(hours=3))) == 2
