from __future__ import annotations

import pytest

from pipeline.errors import PublicationError
from pipeline.publication.views import column_order, view, whole
from pipeline.release.artefact import PrivateRelease
from pipeline.vocabulary import Audience
from tests.unit.publication.releases import private_release, release_of


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


def test_a_view_keeps_the_levels_of_every_measure_that_its_tables_show(release: PrivateRelease) -> None:
    levels = view(release, Audience.ADVERTISER).header.levels
    assert [(level.quantity, level.dimensions) for level in levels] == [
        (quantity, grouping) for quantity in ("people", "events", "revenue") for grouping in ((), ("section",))
    ]


def test_a_level_with_another_bound_is_not_that_of_the_table(release: PrivateRelease) -> None:
    other = [level.model_copy(update={"limit": 7}) for level in release.header.levels if level.quantity == "revenue"]
    more = release.header.model_copy(update={"levels": (*release.header.levels, *other)})
    assert view(PrivateRelease(more, release.tables), Audience.ADVERTISER).header.levels == (
        view(release, Audience.ADVERTISER).header.levels
    )


def test_each_row_says_what_it_tells_and_in_which_unit(release: PrivateRelease) -> None:
    frame = whole(release).tables["sections"]
    told = dict(zip(frame["measure"], frame["unit"], strict=True))
    assert told == {
        "people in groups": "visitors",
        "requests": "requests",
        "revenue": "0.01 EUR",
        "revenue_each": "0.01 EUR per requests",
    }
    assert set(whole(release).tables["countries"]["measure"]) == {"people"}


def test_numbers_are_whole_where_a_table_has_no_mean(release: PrivateRelease) -> None:
    tables = whole(release).tables
    assert {str(tables["countries"][name].dtype) for name in ("value", "value_lo", "value_hi")} == {"Int64"}
    assert {str(tables["sections"][name].dtype) for name in ("value", "value_lo", "value_hi")} == {"Float64"}


def test_the_digest_of_key_lists_tells_private_keys_from_an_empty_list(release: PrivateRelease) -> None:
    private = private_release()
    emptied = private.header.tables[2].model_copy(update={"private": ()})
    header = private.header.model_copy(update={"tables": (*private.header.tables[:2], emptied)})
    digests = {whole(one).key_lists_sha256 for one in (release, private, PrivateRelease(header, private.tables))}
    assert len(digests) == 3
