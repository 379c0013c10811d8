"""What browsers say of their settings: languages and time zones."""

from __future__ import annotations

import time

import pytest

from pipeline.deidentify.languages import look_up_languages, look_up_time_zones
from pipeline.vocabulary import LANGUAGES, OTHER, TIME_ZONES, UNKNOWN
from tests.hostile_texts import HOSTILE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, fr;q=0.9", "fr"),
        ("EN-us", "en"),
        ("de, fr", "de"),
        ("fr;q=0, de;q=0.1", "de"),
        ("fr ; q=0.5 ,  de", "de"),
        ("xx", "other"),
        ("tlh-Latn", "other"),
        ("-", "unknown"),
        ("", "unknown"),
        ("*", "unknown"),
        ("de;q=0", "unknown"),
        ("ann@example.com", "unknown"),
        ("../../etc/passwd", "unknown"),
        ("de;q=nan", "unknown"),
        (",,;,", "unknown"),
    ],
)
def test_the_most_wanted_language_is_kept_by_its_primary_subtag(text: str, language: str) -> None:
    assert look_up_languages([text], LANGUAGES).column("language").to_pylist() == [language]


def zone_of(text: str) -> object:
    return look_up_time_zones([text]).column("time_zone").to_pylist()[0]


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Europe%2FBerlin", "Europe/Berlin"),
        ("Europe%2fBerlin", "Europe/Berlin"),
        ("europe/BERLIN", "Europe/Berlin"),
        (" Europe/Berlin ", "Europe/Berlin"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("UTC", "UTC"),
        ("Etc/UTC", "UTC"),
        ("GMT", "UTC"),
        ("EST", OTHER),
        ("Japan", OTHER),
        ("Etc/GMT+5", OTHER),
        ("Etc/Unknown", UNKNOWN),
        ("Factory", UNKNOWN),
        ("Europe%252FBerlin", UNKNOWN),
        ("Europe/Nowhere", UNKNOWN),
        ("+02:00", UNKNOWN),
        ("120", UNKNOWN),
        ("localtime", OTHER),
        ("../../etc/localtime", UNKNOWN),
        ("Europe/Berlin; x", UNKNOWN),
        ("Europe/Berlin\x00", UNKNOWN),
        ("", None),
        ("-", None),
    ],
)
def test_a_time_zone_is_told_by_a_name_of_the_database(text: str, zone: str | None) -> None:
    assert zone_of(text) == zone


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Asia/Saigon", "Asia/Ho_Chi_Minh"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("US/Pacific", "America/Los_Angeles"),
        ("Pacific/Truk", "Pacific/Chuuk"),
    ],
)
def test_a_former_name_is_told_as_the_present_one(former: str, present: str) -> None:
    assert zone_of(former) == zone_of(present) == present


@pytest.mark.parametrize("place", ["Europe/Copenhagen", "Africa/Accra", "Pacific/Chuuk", "Europe/Oslo"])
def test_a_place_is_not_told_as_another_that_shares_its_clock(place: str) -> None:
    assert zone_of(place) == place


def test_every_key_is_its_own_or_a_former_name() -> None:
    zones = look_up_time_zones(TIME_ZONES).column("time_zone").to_pylist()
    assert set(zones) <= set(TIME_ZONES)
    assert look_up_time_zones(zones).column("time_zone").to_pylist() == zones


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_no_hostile_setting_is_passed_on(text: str) -> None:
    begin = time.process_time()
    for setting in (text, f"Europe/{text}", f"de-{text},{text};q=1", f"en;q={text}"):
        assert look_up_languages([setting], LANGUAGES).column("language").to_pylist()[0] in (*LANGUAGES, OTHER, UNKNOWN)
        assert zone_of(setting) in (*TIME_ZONES, OTHER, UNKNOWN, None)
    assert time.process_time() - begin < 1.0


def test_every_setting_gets_one_row_in_order() -> None:
    texts = ["Europe/Berlin", "", "x"]
    assert look_up_time_zones(texts).column("time_zone_text").to_pylist() == texts
    assert look_up_languages(texts, LANGUAGES).column("accept_language").to_pylist() == texts
    assert look_up_time_zones([]).num_rows == look_up_languages([], []).num_rows == 0
