"""W3C extended logs of IIS and CloudFront, read by the real engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField
from pipeline.sources.formats.w3c import MOST_FIELDS, MOST_LISTS, W3cFormat
from tests.parsed_lines import MOMENT, is_no_request, parsed

IIS = (
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Cookie) "
    "cs(Referer) cs(Accept-Language) cs(X-Forwarded-For) cs(X-Time-Zone) sc-status sc-substatus time-taken\r\n"
)
IIS_LINE = (
    "2026-10-05 10:11:12 10.0.0.4 GET /a/b.aspx c=d&e=f 443 DOMAIN\\ann 2001:db8::7 Mozilla/5.0+(Windows+NT+10.0) "
    "sid=s3cret https://WWW.Example.com/x?y en-US,+en;q=0.5 192.0.2.9,+198.51.100.3 Etc/GMT+1 200 0 15\r\n"
)
CLOUDFRONT = (
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-forwarded-for c-port\n"
)
CLOUDFRONT_LINE = (
    "2026-10-05\t10:11:12\tFRA56-C1\t2390\t192.0.2.7\tGET\td1.cloudfront.net\t/a%20b.html\t200\t"
    "https://www.example.com/x%2520y\tMozilla/5.0%20(X11;%20+https://bot.example)\tc=d\tsid=s3cret\tHit\t"
    "198.51.100.3,%20192.0.2.9\t11040\n"
)
UTC = ZoneInfo("UTC")


def w3c(fields: Mapping[RequestField, str] | None = None, zone: ZoneInfo = UTC) -> W3cFormat:
    return W3cFormat("W3C extended", fields or {}, zone)


def last(*lines: str, **fields: Any) -> dict[str, Any]:
    """What is read in the last line."""
    row = parsed(w3c(**fields), lines)[-1]
    del row["number"]
    return row


def test_every_field_of_a_line_of_iis_is_told() -> None:
    assert last(IIS, IIS_LINE, fields={"time_zone": "cs(X-Time-Zone)"}) == {
        "address": "2001:db8::7",
        "forwarded": "192.0.2.9, 198.51.100.3",
        "moment": MOMENT,
        "status": "200",
        "path": "/a/b.aspx",
        "query": "?c=d&e=f",
        "origin": "https://www.example.com",
        "agent": "Mozilla/5.0 (Windows NT 10.0)",
        "accept_language": "en-US, en;q=0.5",
        "time_zone": "Etc/GMT+1",
        "directive": False,
    }


def test_every_field_of_a_line_of_cloudfront_is_told() -> None:
    assert last("#Version: 1.0\n", CLOUDFRONT, CLOUDFRONT_LINE) == {
        "address": "192.0.2.7",
        "forwarded": "198.51.100.3, 192.0.2.9",
        "moment": MOMENT,
        "status": "200",
        "path": "/a%20b.html",
        "query": "?c=d",
        "origin": "https://www.example.com",
        "agent": "Mozilla/5.0 (X11; +https://bot.example)",
        "accept_language": "",
        "time_zone": "",
        "directive": False,
    }


@pytest.mark.parametrize(
    ("logged", "agent"),
    [
        ("A%2520B", "A B"),
        ("100%", "100%"),
        ("%zz%2", "%zz%2"),
        ("%C3%A4%FF", "�" * 3),
        ("%25ff", "�"),
        ("A%22B%5C", 'A"B\\'),
        ("-", "-"),
        ("", ""),
        ("Ünï", "Ünï"),
    ],
)
def test_escapes_of_an_agent_are_read(logged: str, agent: str) -> None:
    escaped = CLOUDFRONT_LINE.replace("Mozilla/5.0%20(X11;%20+https://bot.example)", logged)
    assert last(CLOUDFRONT, escaped)["agent"] == agent


def test_a_null_character_in_an_agent_stays_one_value() -> None:
    found = last(CLOUDFRONT, CLOUDFRONT_LINE.replace("Mozilla/5.0", "%00%0A%09x"))
    assert (found["agent"][:4], found["status"]) == ("\0\n\tx", "200")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_a_line_is_no_part_of_its_last_value(end: str) -> None:
    assert (
        last(f"#Fields: date time cs-uri-stem c-ip sc-status{end}", f"2026-10-05 1:2:3 / ::1 200{end}")["status"]
        == "200"
    )


def test_lines_before_any_fields_are_no_requests() -> None:
    found = parsed(w3c(), [IIS_LINE, "#Software: Microsoft Internet Information Services 10.0\r\n", IIS])
    assert [row["directive"] for row in found] == [False, True, True]
    assert is_no_request(found[0])


def test_directives_are_told_as_such_and_hold_nothing_else() -> None:
    directives = ["#Date: 2026-10-05 10:11:12\r\n", IIS, "#" + " x" * 17 + "\r\n"]
    for row in parsed(w3c(), [IIS, *directives])[1:]:
        assert row.pop("directive")
        assert is_no_request({**row, "directive": False})


def test_fields_that_change_in_mid_file_hold_for_the_lines_after_them() -> None:
    short = "#Fields: time date sc-status cs-uri-stem c-ip\n"
    line = "10:11:12 2026-10-05 404 /short 192.0.2.1\n"
    found = parsed(w3c(), [IIS, IIS_LINE, short, line, IIS_LINE, IIS, line, IIS_LINE])
    assert [row["path"] for row in found] == ["", "/a/b.aspx", "", "/short", "", "", "", "/a/b.aspx"]
    assert found[3]["moment"] == MOMENT
    assert [row["directive"] for row in found] == [True, False, True, False, False, True, False, False]


def test_fields_hold_across_blocks() -> None:
    short = "#Fields: date time sc-status cs-uri-stem c-ip\n"
    found = parsed(w3c(), [IIS], [IIS_LINE], [IIS_LINE, short], ["2026-10-05 1:2:3 404 /short ::1\n"])
    assert [row["path"] for row in found] == ["", "/a/b.aspx", "/a/b.aspx", "", "/short"]


def test_blocks_in_many_chunks_and_empty_ones_are_read() -> None:
    chunks = pa.chunked_array([[IIS], [], [IIS_LINE], [IIS_LINE, IIS]])
    table = pa.table({"line": chunks, "number": pa.array(range(1, 5), pa.int64())})
    reader = w3c()
    assert sum(part.num_rows for part, _ in reader.parts(table)) == 4
    assert list(reader.parts(table.slice(0, 0))) == []


@pytest.mark.parametrize(
    "line",
    ["\r\n", "", "-\n", IIS_LINE[:80], IIS_LINE.replace("sid=s3cret", "sid=s3cret x"), "x " * 5000, "\0", "\t" * 17],
)
def test_a_line_with_other_than_the_declared_number_of_values_tells_nothing(line: str) -> None:
    found = last(IIS, line)
    assert is_no_request({**found, "number": 0})


def test_a_tab_in_a_header_of_iis_does_not_part_values() -> None:
    assert last(IIS, IIS_LINE.replace("Mozilla/5.0+", "Mozilla/5.0\t"))["path"] == "/a/b.aspx"


def test_values_that_are_missing_are_told_as_missing() -> None:
    line = "2026-10-05 10:11:12 10.0.0.4 GET /a - 443 - 192.0.2.1 - - - - - - 200 0 15\r\n"
    found = last(IIS, line, fields={"time_zone": "cs(X-Time-Zone)"})
    wanted = {"query": "", "agent": "-", "origin": "-", "accept_language": "", "forwarded": "", "time_zone": ""}
    assert found == found | wanted


def test_blank_values_between_tabs_are_missing() -> None:
    found = last(CLOUDFRONT, CLOUDFRONT_LINE.replace("\tc=d\t", "\t\t").replace("\t200\t", "\t\t"))
    assert (found["query"], found["status"], found["path"]) == ("", "", "/a%20b.html")


def test_of_a_list_without_agent_and_referrer_nothing_is_known_of_them() -> None:
    found = last("#Fields: date time cs-uri-stem c-ip sc-status\n", "2026-10-05 10:11:12 / 192.0.2.1 200\n")
    assert (found["agent"], found["origin"], found["address"]) == (None, None, "192.0.2.1")


def test_of_a_list_without_address_it_is_the_address_that_is_missing() -> None:
    assert last("#Fields: date time cs-uri-stem sc-status\n", "2026-10-05 10:11:12 / 200\n")["address"] == "-"


def test_a_declared_zone_is_that_of_the_times() -> None:
    found = parsed(w3c(zone=ZoneInfo("Europe/Berlin")), [IIS, IIS_LINE])[-1]
    assert found["moment"] == MOMENT - 7200


@pytest.mark.parametrize(
    ("date", "clock"),
    [("2026-02-30", "1:2:3"), ("294247-01-10", "04:00:54"), ("-", "-"), ("infinity", ""), ("9999-12-31", "25:00:00")],
)
def test_an_unreadable_time_is_none(date: str, clock: str) -> None:
    line = f"{date}\t{clock}\t/\t192.0.2.1\t200\n"
    fields = "#Fields: date time cs-uri-stem c-ip sc-status\n"
    for zone in ("America/New_York", "UTC"):
        assert parsed(w3c(zone=ZoneInfo(zone)), [fields, line])[-1]["moment"] is None


def test_a_declared_field_comes_before_the_known_one() -> None:
    fields = "#Fields: timestamp(ms) c-ip X-Real-IP cs-uri-stem sc-status\n"
    declared: dict[RequestField, str] = {"address": "x-real-ip", "time": "timestamp(ms)"}
    found = parsed(w3c(declared), [fields, f"{MOMENT * 1000:.0f} 10.0.0.1 192.0.2.5 / 200\n"])[-1]
    assert (found["address"], found["moment"]) == ("192.0.2.5", MOMENT)


@pytest.mark.parametrize("name", ["cs(Cookie)", "CS(COOKIE)", "sc(Set-Cookie)", "cookie"])
def test_a_cookie_can_not_be_declared(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a cookie is never read"):
        w3c({"time_zone": name})


@pytest.mark.parametrize(("fields", "line"), [(IIS, IIS_LINE), (CLOUDFRONT, CLOUDFRONT_LINE)])
def test_a_cookie_is_in_no_column_whatever_becomes_of_the_line(fields: str, line: str) -> None:
    values = line.split("\t" if "\t" in line else " ")
    sign = "\t" if "\t" in line else " "
    shifted = [sign.join(values[place:]) for place in range(12)] + [
        sign.join(["x"] * place + values) for place in range(9)
    ]
    found = parsed(w3c(), [fields, line, *shifted])
    assert found[1]["address"]
    assert "s3cret" not in str(found)


def test_more_lists_than_are_told_apart_make_lines_of_no_format() -> None:
    lists = [f"#Fields: date time x{number} cs-uri-stem c-ip sc-status\n" for number in range(MOST_LISTS + 1)]
    line = "2026-10-05 10:11:12 x / 192.0.2.1 200\n"
    found = parsed(w3c(), [one for fields in lists for one in (fields, line)], [lists[0], line])
    assert [row["address"] for row in found[1::2]] == ["192.0.2.1"] * MOST_LISTS + ["", "192.0.2.1"]


@pytest.mark.parametrize("fields", ["#Fields:\n", "#Fields: " + "x " * (MOST_FIELDS + 1) + "\n"])
def test_a_list_of_no_fields_or_too_many_is_none(fields: str) -> None:
    assert last(IIS, fields, IIS_LINE)["address"] == ""


def test_a_directive_on_every_second_line_is_read_in_one_part_a_list() -> None:
    other = "#Fields: date time sc-status cs-uri-stem c-ip\n"
    block = [IIS, IIS_LINE, other, "2026-10-05 1:2:3 404 /short ::1\n"] * 25_000
    table = pa.table({"line": block, "number": pa.array(range(1, 100_001), pa.int64())})
    assert [part.num_rows for part, _ in w3c().parts(table)] == [50_000, 50_000]


def test_a_new_list_on_every_second_line_costs_no_query_each() -> None:
    block = [one for number in range(50_000) for one in (f"#Fields: date time x{number} c-ip\n", IIS_LINE)]
    table = pa.table({"line": block, "number": pa.array(range(1, 100_001), pa.int64())})
    started = time.monotonic()
    assert len(list(w3c().parts(table))) == MOST_LISTS + 1
    assert time.monotonic() - started < 5
