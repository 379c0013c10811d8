"""A first look at logs nobody has described yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import SourceError
from pipeline.site import LogSource
from pipeline.sources import survey as surveying
from pipeline.sources.logs import find_logs
from pipeline.sources.survey import LogSurvey, survey_logs
from tests import made_logs
from tests.made_logs import DETECTED, Request


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
    return survey_logs(find_logs([LogSource(paths=("x.log",), format="combined")], tmp_path), ZoneInfo(zone))


def trailing(found: LogSurvey) -> tuple[str, ...]:
    (file,) = found.files
    return file.trailing.declared


def survey_files(folder: Path, **contents: str) -> LogSurvey:
    for name, content in contents.items():
        (folder / f"{name}.log").write_text(content, "utf-8")
    return survey_logs(find_logs([LogSource(paths=("*.log",))], folder), ZoneInfo("UTC"))


def requests(number: int = 60, **fields: Any) -> list[Request]:
    return [replace(Request(**fields), address=f"198.51.100.{place + 1}") for place in range(number)]


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
    assert trailing(found) == ("-", "accept_language")
    assert (found.files[0].trailing.count, found.languages) == (2, 2)


@pytest.mark.parametrize("tail", ["", ' "www.example.com"', ' "0.005"', ' "US"', ' "-"', " 0.005 ."])
def test_other_trailing_fields_are_not_taken_for_languages(tmp_path: Path, tail: str) -> None:
    found = survey(tmp_path, *(line(tail=tail) for _ in range(20)))
    assert (trailing(found), found.languages, found.forwarded) == ((), 0, 0)


def test_empty_logs_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="at least one line"):
        survey(tmp_path, "")


def test_the_field_that_looks_like_addresses_of_clients_is_found(tmp_path: Path) -> None:
    lines = [line(tail=f' "-" "203.0.113.{number}, 10.0.0.9" "de-DE"') for number in range(1, 20)]
    found = survey(tmp_path, *lines, line(tail=' "-" "2001:db8::1" "-"'), line(tail=' "-" "-" "-"'))
    assert trailing(found) == ("-", "forwarded", "accept_language")
    assert found.forwarded == 20


def test_a_field_with_the_servers_own_address_is_not_taken_for_the_clients(tmp_path: Path) -> None:
    found = survey(tmp_path, *(line(tail=' "203.0.113.9"') for _ in range(50)))
    assert (trailing(found), found.forwarded) == ((), 0)


def test_declared_fields_are_taken_as_declared(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(line(tail=' "en-US,en" "de-DE,de"'), "utf-8")
    source = LogSource(paths=("x.log",), format="combined", trailing_fields=("-", "-"))
    found = survey_logs(find_logs([source], tmp_path), ZoneInfo("UTC"))
    assert (trailing(found), found.languages) == ((), 0)


# Every format


@pytest.fixture(scope="module", params=DETECTED)
def of_format(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, LogSurvey]:
    name: str = request.param
    return name, survey_files(tmp_path_factory.mktemp("logs"), access=DETECTED[name](requests()))


def test_every_format_shows_the_same(of_format: tuple[str, LogSurvey]) -> None:
    _, found = of_format
    assert (found.lines, found.matched) == (60, 60)
    assert found.days == {dt.date(2026, 10, 5): 60}
    assert found.segments == {"docs": 60}
    assert (found.private, found.peers) == (0, 60)


def test_it_is_told_whether_agents_referrers_and_languages_are_logged(of_format: tuple[str, LogSurvey]) -> None:
    name, found = of_format
    without_agents = {"common", "common with host"}
    without_referrers = without_agents | {"ALB"}
    with_languages = {"combined with languages", "IIS", "Caddy", "Traefik", "nginx JSON"}
    assert found.agents == (0 if name in without_agents else 60)
    assert found.referrer_domains == ({} if name in without_referrers else {"shop.example": 60})
    assert found.referrers == (0 if name in without_referrers else 60)
    assert found.languages == (60 if name in with_languages else 0)


def test_formats_are_told_by_number_of_files_and_the_unreadable_are_not_among_them(tmp_path: Path) -> None:
    found = survey_files(
        tmp_path,
        a=made_logs.combined(requests(3)),
        b=made_logs.combined(requests(4, path="/b")),
        c=made_logs.iis(requests(5)),
        d="nonsense\n" * 7,
    )
    assert found.formats == {"combined": 2, "W3C extended": 1}
    assert [file.file.label for file in found.files if not file.is_known] == ["d.log"]
    assert (found.lines, found.matched) == (19, 12)


def test_a_file_given_twice_counts_once(tmp_path: Path) -> None:
    text = made_logs.combined(requests(9))
    found = survey_files(tmp_path, a=text, b=text)
    assert (found.matched, found.formats) == (9, {"combined": 1})


# Proxies


def behind(*proxies: str) -> str:
    told = [
        Request(address=proxy, forwarded=f"6.6.6.6, 203.0.{place}.{number + 1}", path=f"/behind-{'abcdefgh'[place]}")
        for place, proxy in enumerate(proxies)
        for number in range(9)
    ]
    return made_logs.nginx_json(told)


def test_visitors_behind_ones_own_proxy_are_those_that_it_saw(tmp_path: Path) -> None:
    own = ("10.1.2.3", "172.16.0.1", "192.168.9.9", "100.64.0.1", "127.0.0.1", "::1", "fd00::1")
    found = survey_files(tmp_path, access=behind(*own))
    assert (found.private, found.forwarded, found.peers) == (63, 63, 7)
    assert set(found.segments.values()) == {9}
    assert len(found.segments) == 7


def test_what_a_stranger_says_of_senders_is_not_believed(tmp_path: Path) -> None:
    found = survey_files(tmp_path, access=behind("8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1"))
    assert (found.private, found.forwarded, found.peers) == (0, 36, 4)
    assert set(found.segments.values()) == {1}
    assert len(found.segments) == 4


# Memory


def test_what_is_remembered_of_many_visitors_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveying, "MOST_PAIRS", 5)
    found = survey_files(tmp_path, a=made_logs.common(requests(9)), b=made_logs.common(requests(60, path="/shop")))
    assert found.segments == {"shop": 60}  # the longer file is read first
    assert found.matched == 69
