"""Visitor logs to de-identified staging, with real files and the real engine."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify import requests
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.periods import Period
from pipeline.sources import blocks
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.log_lines import BOT, CHROME, DAY, column, counts, events, line, site_of, stage
from tests.staged import file_of


def test_a_request_becomes_a_person_and_values_of_closed_lists(tmp_path: Path) -> None:
    key = period_key(Workspace(tmp_path), Population.VISITORS, DAY)
    assert events(stage(tmp_path, line())) == [
        {
            "person": key.pseudonym(f"8.8.8.8\0{CHROME}"),
            "country": "US",
            "operating_system": "Windows",
            "browser": "Chrome",
            "language": "unknown",
            "referrer_class": "direct",
            "referrer_domain": "none",
            "section": "docs",
            "file_kind": "page",
            "entry_section": "docs",
            "exit_section": "docs",
            "from_section": None,
            "to_section": None,
            "status_class": "2xx",
            "hour": "10",
            "weekday": "Mon",
            "visits": 1,
            "page_views": 1,
        }
    ]


def test_all_columns_are_plain_strings_named_as_the_dimensions_but_for_two_of_numbers(tmp_path: Path) -> None:
    staging = stage(tmp_path, line())
    types = {field.name: field.type for field in pq.read_schema(file_of(staging.events))}
    assert {name for name, kind in types.items() if kind == pa.string()} == {
        "person",
        *site_of().dimensions(Population.VISITORS),
    }
    assert {name: kind for name, kind in types.items() if kind != pa.string()} == {
        "visits": pa.int8(),
        "page_views": pa.int8(),
    }


def test_staging_is_found_again(tmp_path: Path) -> None:
    staging = stage(tmp_path, line())
    assert load_staging(Workspace(tmp_path), Population.VISITORS, DAY) == staging


def test_every_line_ends_in_exactly_one_place(tmp_path: Path) -> None:
    staging = stage(
        tmp_path,
        line(),
        line(address="host.example"),
        line(agent="-"),
        line(agent=""),
        line(agent=BOT),
        line(time="06/Oct/2026:10:00:00 +0000"),
        line(time="never"),
        line(status="099"),
        line(status="600"),
        line(status="2e1"),
        line(status="-"),
        line(request="-"),
        line(request=r"\x16\x03\x01"),
        "nonsense\n",
        "\n",
        line(),
        "\n\n",
    )
    assert counts(staging) == (
        16,
        2,
        {"no request": 2, "no answer": 1, "outside the period": 1, "no agent": 2, "bot": 1},
        {"format": 2, "time": 1, "status": 3, "no address": 1},
    )


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"time": "never", "status": "0"}, "time"),
        ({"status": "0", "request": "-"}, "status"),
        ({"address": "x", "time": "06/Oct/2026:10:00:00 +0000"}, "no address"),
    ],
)
def test_a_line_with_several_faults_is_counted_under_the_first(
    tmp_path: Path, broken: dict[str, str], reason: str
) -> None:
    assert counts(stage(tmp_path, line(), line(**broken)))[3] == {reason: 1}


def test_one_visitor_is_one_person_however_the_address_is_written(tmp_path: Path) -> None:
    addresses = ["2001:db8::1", "2001:0DB8:0::1", "192.0.2.1", "::ffff:192.0.2.1"]
    assert len(set(column(stage(tmp_path, *(line(address=address) for address in addresses)), "person"))) == 2


def test_another_agent_at_the_same_address_is_another_person(tmp_path: Path) -> None:
    staging = stage(tmp_path, line(), line(agent=f"{CHROME} Edg/120.0"))
    assert len(set(column(staging, "person"))) == 2


def test_a_person_has_another_pseudonym_in_another_period(tmp_path: Path) -> None:
    days = [line(), line(time="06/Oct/2026:10:00:00 +0000")]
    monday = column(stage(tmp_path, *days), "person")
    tuesday = column(stage(tmp_path, *days, period=DAY.next), "person")
    assert len(monday) == len(tuesday) == 1
    assert monday != tuesday


def test_staging_the_same_logs_again_gives_the_same_rows(tmp_path: Path) -> None:
    first = events(stage(tmp_path, line(), line(address="192.0.2.1")))
    assert sorted(map(str, events(stage(tmp_path, line(), line(address="192.0.2.1"))))) == sorted(map(str, first))


@pytest.mark.parametrize(
    ("time", "hour", "weekday"),
    [
        ("04/Oct/2026:22:00:00 +0000", "00", "Mon"),
        ("05/Oct/2026:21:59:59 +0000", "23", "Mon"),
        ("05/Oct/2026:03:30:00 +0530", "00", "Mon"),
        ("04/Oct/2026:12:00:00 -1000", "00", "Mon"),
    ],
)
def test_hour_and_weekday_are_those_of_the_sites_zone(tmp_path: Path, time: str, hour: str, weekday: str) -> None:
    row = events(stage(tmp_path, line(time=time), time_zone="Europe/Berlin"))[0]
    assert (row["hour"], row["weekday"]) == (hour, weekday)


@pytest.mark.parametrize("time", ["04/Oct/2026:21:59:59 +0000", "05/Oct/2026:22:00:00 +0000"])
def test_a_day_begins_and_ends_at_midnight_of_the_zone(tmp_path: Path, time: str) -> None:
    staging = stage(tmp_path, line(), line(time=time), time_zone="Europe/Berlin")
    assert counts(staging)[2] == {"outside the period": 1}


def test_the_repeated_hour_of_the_autumn_change_is_counted_as_that_hour(tmp_path: Path) -> None:
    times = [f"25/Oct/2026:{hour:02d}:30:00 +0000" for hour in (0, 1, 2, 22)]
    lines = [line(time=time) for time in times]
    staging = stage(tmp_path, *lines, period=Period.parse("2026-10-25"), time_zone="Europe/Berlin")
    assert column(staging, "hour") == ["02", "02", "03", "23"]


def test_the_missing_hour_of_the_spring_change_is_skipped(tmp_path: Path) -> None:
    times = [f"29/Mar/2026:{hour:02d}:30:00 +0000" for hour in (0, 1, 21)]
    lines = [line(time=time) for time in times]
    staging = stage(tmp_path, *lines, period=Period.parse("2026-03-29"), time_zone="Europe/Berlin")
    assert column(staging, "hour") == ["01", "03", "23"]


def test_zones_with_quarter_hours_are_told_exactly(tmp_path: Path) -> None:
    times = ["05/Oct/2026:00:14:59 +0000", "05/Oct/2026:00:15:00 +0000"]
    staging = stage(tmp_path, *(line(time=time) for time in times), time_zone="Asia/Kathmandu")
    assert column(staging, "hour") == ["05", "06"]


@pytest.mark.parametrize(
    ("path", "referrer", "kind", "domain"),
    [
        ("/docs/a", "https://www.google.com/search?q=secret", "search", "other"),
        ("/docs/a?utm_source=x", "https://www.google.com/", "campaign", "other"),
        ("/docs/a?utm_source=x", "-", "campaign", "none"),
        ("/docs/a", "https://www.example.com/x", "internal", "none"),
        ("/docs/a", "https://blog.example.org/x", "site", "example.org"),
        ("/docs/a?q=utm_source", "", "direct", "none"),
    ],
)
def test_how_a_visitor_arrived_is_told_by_class_and_named_domain(
    tmp_path: Path, path: str, referrer: str, kind: str, domain: str
) -> None:
    row = events(stage(tmp_path, line(request=f"GET {path} HTTP/1.1", referrer=referrer)))[0]
    assert (row["referrer_class"], row["referrer_domain"]) == (kind, domain)


@pytest.mark.parametrize(
    ("path", "section"), [("/docs/", "docs"), ("/shop?x=/docs/", "shop"), ("/", "other"), ("/it's", "other")]
)
def test_the_section_is_told_by_the_path_without_its_query(tmp_path: Path, path: str, section: str) -> None:
    assert column(stage(tmp_path, line(request=f"GET {path} HTTP/1.1")), "section") == [section]


def test_a_section_may_be_named_other(tmp_path: Path) -> None:
    sections = [{"section": "other", "paths": ["/x/*"]}, {"section": "docs", "paths": ["/docs/*"]}]
    assert column(stage(tmp_path, line(), line(request="GET / HTTP/1.1"), sections=sections), "section") == [
        "docs",
        "other",
    ]


def test_languages_are_read_where_they_are_declared(tmp_path: Path) -> None:
    lines = [line(tail=' "x" "de-DE,en;q=0.5"'), line(tail=' "x" "tlh"'), line(tail=' "x" "-"'), line()]
    staging = stage(tmp_path, *lines, trailing_fields=["-", "accept_language"])
    assert column(staging, "language") == ["de", "other", "unknown", "unknown"]


def test_undeclared_trailing_fields_are_not_read(tmp_path: Path) -> None:
    assert column(stage(tmp_path, line(tail=' "de-DE"')), "language") == ["unknown"]


def test_hostile_lines_do_not_stop_a_run(tmp_path: Path) -> None:
    (tmp_path / "hostile.log").write_bytes(
        b"\x81\xff\xfe\x00\n"
        + line(agent="x" * 200_000).encode()
        + line(request="GET /" + "a" * 200_000 + " HTTP/1.1").encode()
        + line(agent="nul\0inside").encode()
        + line(agent="invalid").encode().replace(b"invalid", b"in\xc3\x28valid")
        + line(agent="carriage").encode().replace(b"\n", b"\r\n")
        + line(referrer="https://" + "a." * 500 + "example/").encode()
        + line(agent=r"\"; DROP TABLE requests; --").encode()
    )
    assert counts(stage(tmp_path, line())) == (9, 8, {}, {"format": 1})


def test_a_pseudonym_is_the_keyed_digest_also_where_an_agent_has_odd_characters(tmp_path: Path) -> None:
    key = period_key(Workspace(tmp_path), Population.VISITORS, DAY)
    agent = "Ünï\0cödé 'quoted'"
    assert column(stage(tmp_path, line(agent=agent)), "person") == [key.pseudonym(f"8.8.8.8\0{agent}")]


def test_rotated_and_gzipped_files_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "access.log.1").write_text(line(address="192.0.2.1"))
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(line(address="192.0.2.2").encode()))
    assert counts(stage(tmp_path, line(), logs=["*.log", "*.log.*", "access.log"]))[:2] == (3, 3)


def test_look_ups_and_pseudonyms_agree_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        line(address=f"8.8.{n % 7}.8", agent=f"{CHROME} {n % 5}", referrer=f"https://r{n % 3}.org/") for n in range(60)
    ]
    whole = sorted(map(str, events(stage(tmp_path, *lines))))
    monkeypatch.setattr(blocks, "BLOCK_LINES", 7)
    monkeypatch.setattr(requests, "MOST_LOOKED_UP", 2)  # so that look-up tables start anew, too
    assert sorted(map(str, events(stage(tmp_path, *lines)))) == whole
