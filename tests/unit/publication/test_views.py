from __future__ import annotations

import pytest

from pipeline.errors import PublicationError
from pipeline.publication.views import column_order, view, whole
from pipeline.release.artefact import PrivateRelease
from pipeline.vocabulary import Audience
from tests.unit.publication.releases import release_of


def test_an_audience_gets_its_own_tables_and_nothing_about_others(release: PrivateRelease) -> None:
    shown = view(release, Audience.ADVERTISER)
    assert set(shown.tables) == {"sections"}
    assert [facts.name for facts in shown.header.tables] == ["sections"]
    assert set(shown.header.audiences) == {Audience.ADVERTISER}
    assert {level.table for level in shown.header.levels} == {"sections"}


def test_a_view_keeps_the_levels_that_its_tables_show(release: PrivateRelease) -> None:
    levels = view(release, Audience.AFFILIATE).header.levels
    assert [level.dimensions for level in levels] == [(), ("country",)]


def test_an_audience_that_the_release_does_not_name_is_refused() -> None:
    release = release_of(audiences={Audience.PARTNER: ("countries",)})
    with pytest.raises(PublicationError, match="audience=reseller"):
        view(release, Audience.RESELLER)


def test_a_table_that_does_not_exist_is_refused() -> None:
    release = release_of(audiences={Audience.PARTNER: ("countries", "secrets")})
    with pytest.raises(PublicationError):
        view(release, Audience.PARTNER)


def test_every_audience_reads_the_same_numbers(release: PrivateRelease) -> None:
    partner, affiliate = view(release, Audience.PARTNER), view(release, Audience.AFFILIATE)
    assert partner.tables["countries"].equals(affiliate.tables["countries"])
    assert partner.tables["countries"].equals(whole(release).tables["countries"])


def test_published_columns_come_in_their_order(release: PrivateRelease) -> None:
    frame = whole(release).tables["systems"]
    assert tuple(frame.columns) == column_order(("country", "operating_system"))
    assert frame.columns[:4].tolist() == ["period_start", "period_end", "country", "operating_system"]


def test_totals_and_subtotals_are_marked(release: PrivateRelease) -> None:
    frame = whole(release).tables["systems"].set_index(["country", "operating_system"])
    assert frame.loc[("all", "all"), "is_total"]
    assert frame.loc[("DE", "all"), "is_total"]
    assert not frame.loc[("DE", "Windows"), "is_total"]
    assert not frame.loc[("DE", "all other"), "is_total"]


def test_numbers_are_passed_on_unchanged(release: PrivateRelease) -> None:
    published = whole(release).tables["countries"]
    for name in ("value", "value_lo", "value_hi", "estimate", "noise_sd", "obs_status", "conf_status"):
        assert published[name].equals(release.tables["countries"][name])
