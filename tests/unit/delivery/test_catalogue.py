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


def test_a_release_is_kept_so_many_days_after_its_period_and_reads_then_like_what_is_not_there(
    site: DeliveredSite,
) -> None:
    kept = catalogue(site, kept_days=300)
    ends = dt.datetime(2026, 10, 12, tzinfo=dt.UTC) + dt.timedelta(days=300)  # 2026-W41 ends on 12 October
    last = ends - dt.timedelta(seconds=1)
    assert [held.edition.period for held in kept.editions("acme", last)] == ["2026-W41", "2026-W42"]
    assert [held.edition.period for held in kept.standing("acme", ends)] == ["2026-W42"]
    assert kept.edition("acme", "weekly_audience", "2026-W41", 1, last)
    with pytest.raises(UnknownEditionError):
        kept.edition("acme", "weekly_audience", "2026-W41", 1, ends)


def test_a_recipient_whose_entitlements_have_ended_reads_nothing(site: DeliveredSite) -> None:
    acme = ENTITLEMENTS["recipients"][0] | {"until": "2031-01-01"}
    found = Catalogue(site.workspace.published, Entitlements.model_validate({"recipients": [acme]}))
    last, ended = dt.datetime(2030, 12, 31, 23, 59, tzinfo=dt.UTC), dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    assert len(found.editions("acme", last)) == 2
    assert found.products("acme", last) == ("weekly_audience",)
    assert found.editions("acme", ended) == found.standing("acme", ended) == ()
    assert found.products("acme", ended) == ()
    with pytest.raises(UnknownEditionError):
        found.edition("acme", "weekly_audience", "2026-W41", 1, ended)
    west = ended.astimezone(dt.timezone(-dt.timedelta(hours=8)))  # the same moment, while it is still December there
    assert found.editions("acme", west) == ()
