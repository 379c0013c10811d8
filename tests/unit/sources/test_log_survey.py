"""A first look at logs nobody has described yet."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import SourceError
from pipeline.sources.survey import LogSurvey, survey_logs


def line(
    address: str = "192.0.2.1",
    time: str = "05/Oct/2026:10:00:00 +0000",
    path: str = "/docs/a",
    status: int = 200,
    referrer: str = "-",
    tail: str = "",
) -> str:
    return f'{address} - - [{time}] "GET {path} HTTP/1.1" {status} 1 "{referrer}" "Agent/1.0"{tail}\n'


def survey(tmp_path: Path, *lines: str, zone: str = "UTC") -> LogSurvey:
    (tmp_path / "x.log").write_text("".join(lines), "utf-8")
    return survey_logs([tmp_path / "x.log"], ZoneInfo(zone))


def test_lines_and_matches_are_counted(tmp_path: Path) -> None:
    found = survey(tmp_path, line(), "nonsense\n", line(time="never"))
    assert (found.lines, found.matched) == (3, 1)


def test_days_are_those_of_the_zone(tmp_path: Path) -> None:
    late = line(time="05/Oct/2026:22:30:00 +0000")
    assert survey(tmp_path, line(), late, late, zone="Europe/Berlin").days == {
        dt.date(2026, 10, 5): 1,
        dt.date(2026, 10, 6): 2,
    }


def test_first_and_last_day_do_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    found = survey(tmp_path, line(time="07/Oct/2026:10:00:00 +0000"), line())
    assert (found.first_day, found.last_day) == (dt.date(2026, 10, 5), dt.date(2026, 10, 7))


def test_logs_without_a_single_match_have_no_days(tmp_path: Path) -> None:
    found = survey(tmp_path, "nonsense\n")
    assert (found.matched, found.first_day, found.last_day, found.days) == (0, None, None, {})


def test_segments_are_counted_by_distinct_addresses(tmp_path: Path) -> None:
    lines = [line(), line(), line(address="192.0.2.2"), line(path="/blog/x?y"), line(path="/shop")]
    assert survey(tmp_path, *lines).segments == {"docs": 2, "blog": 1, "shop": 1}


@pytest.mark.parametrize(
    "path",
    ["/ann@example.com/x", "/d41d8cd98f00b204e9800998ecf8427e/x", "/12345/x", "/favicon.ico", "/", "/%41/x", "/a_b/",
     "/qzxwvkrtypmnbsdfghjlaeiou/x", "/" + "long" * 11 + "/x", "/eyJhbGciOiJIUzI1NiIsInR5cCI/"],
)  # fmt: skip
def test_segments_that_are_no_words_are_not_told(tmp_path: Path, path: str) -> None:
    assert survey(tmp_path, line(path=path)).segments == {}


def test_segments_that_were_not_found_are_not_told(tmp_path: Path) -> None:
    assert survey(tmp_path, line(path="/wp-admin/x", status=404)).segments == {}


def test_referrers_are_told_by_registered_domain(tmp_path: Path) -> None:
    hosts = ("https://www.example.co.uk/a?q=1", "https://example.co.uk/", "http://192.0.2.9/", "android-app://a.b.c/")
    lines = [line(referrer=host) for host in hosts] + [line(address="192.0.2.7", referrer=hosts[0])]
    assert survey(tmp_path, *lines).referrer_domains == {"example.co.uk": 2}


def test_the_field_that_looks_like_accept_language_is_found(tmp_path: Path) -> None:
    lines = [line(tail=' "x=1" "en-US,en;q=0.9"'), line(tail=' "-" "de-DE"'), line(tail=' "-" "-"')]
    found = survey(tmp_path, *lines)
    assert (found.trailing_fields, found.accept_language_at) == (2, 1)


@pytest.mark.parametrize("tail", ["", ' "www.example.com"', ' "0.005"', ' "US"', ' "-"', " 0.005 ."])
def test_other_trailing_fields_are_not_taken_for_languages(tmp_path: Path, tail: str) -> None:
    assert survey(tmp_path, line(tail=tail)).accept_language_at is None


def test_empty_logs_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="at least one line"):
        survey(tmp_path, "")
