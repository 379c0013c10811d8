"""The combined format, parsed by the real engine."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline.sources.formats import COLUMNS, LONGEST_AGENT
from pipeline.sources.formats.combined import request_fields

LINE = '192.0.2.1 - - [05/Oct/2026:10:11:12 +0200] "GET /a/b?c=d HTTP/1.1" 200 12 "https://E.com/x?y" "Agent/1.0"'


def parsed(line: str, trailing: tuple[str, ...] = (), *, host: bool = False) -> dict[str, Any]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("lines", pa.table({"line": [line], "number": [7]}))
    fields = request_fields(trailing, host=host)
    relation = connection.sql(f"SELECT * REPLACE (epoch(moment) AS moment) FROM ({fields})")
    return dict(zip(relation.columns, relation.fetchall()[0], strict=True))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_field_of_a_combined_line_is_told(end: str) -> None:
    found = parsed(LINE + end)
    assert tuple(found) == COLUMNS
    assert found == {
        "number": 7,
        "forwarded": "",
        "time_zone": "",
        "directive": False,
        "address": "192.0.2.1",
        "moment": dt.datetime(2026, 10, 5, 8, 11, 12, tzinfo=dt.UTC).timestamp(),
        "status": "200",
        "path": "/a/b",
        "query": "?c=d",
        "origin": "https://e.com",
        "agent": "Agent/1.0",
        "accept_language": "",
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "Error line 1",
        LINE[:-1],
        LINE[:60],
        LINE.replace(" - - ", " "),
        LINE.replace('"Agent/1.0"', "Agent/1.0"),
        LINE.replace("[", "").replace("]", ""),
        LINE + "x",
        LINE.replace(' "https', ' "x" "https').replace(" 200 12", ""),
        " " + LINE,
    ],
)
def test_what_is_no_combined_line_has_no_address(line: str) -> None:
    assert parsed(line)["address"] == ""


@pytest.mark.parametrize("tail", [' "en" "-"', " 0.005", " 0.005 0.004 .", ' "open', ' rt=0.1 "x"'])
def test_what_follows_the_agent_is_allowed(tail: str) -> None:
    assert parsed(LINE + tail + "\n")["agent"] == "Agent/1.0"


@pytest.mark.parametrize("agent", [r"A \"quoted\" agent", r"A \\", r"\x22\xE4", "Ünïcode", "a\0b", r"\" \""])
def test_escapes_inside_quotes_do_not_end_a_field(agent: str) -> None:
    assert parsed(LINE.replace("Agent/1.0", agent))["agent"] == agent


def test_a_quote_inside_a_request_or_referrer_does_not_shift_fields() -> None:
    line = LINE.replace("/a/b", r"/a\"b").replace("/x?y", r"/\" 500 \"")
    found = parsed(line)
    assert (found["path"], found["status"], found["origin"], found["agent"]) == (
        '/a"b',
        "200",
        "https://e.com",
        "Agent/1.0",
    )


def test_a_login_name_with_spaces_is_allowed() -> None:
    assert parsed(LINE.replace(" - - ", " - Ann Example "))["agent"] == "Agent/1.0"


def test_a_long_line_is_parsed_and_its_agent_cut() -> None:
    found = parsed(LINE.replace("/a/b", "/" + "p" * 200_000).replace("Agent/1.0", "é" * 100_000))
    assert len(found["path"]) == 200_001
    assert found["agent"] == "é" * LONGEST_AGENT


@pytest.mark.parametrize(
    "time",
    ["31/Feb/2026:10:11:12 +0200", "05/Oct/2026:10:11:12", "", "now", "05/Oct/2026:25:11:12 +0200",
     "05/Oct/0001:10:11:12 +0200", "05/Oct/9999:10:11:12 +0200", "2026-10-05T10:11:12+02:00"],
)  # fmt: skip
def test_an_unreadable_time_is_none(time: str) -> None:
    found = parsed(LINE.replace("05/Oct/2026:10:11:12 +0200", time))
    assert (found["address"], found["moment"]) == ("192.0.2.1", None)


@pytest.mark.parametrize(
    "request_line",
    ["", "-", r"\x16\x03\x01\x00", "GET /", "get / HTTP/1.1", "GET  HTTP/1.1", "GET /a b HTTP/1.1", "GET / HTTP/1.1 x"],
)
def test_what_is_no_request_has_no_path(request_line: str) -> None:
    found = parsed(LINE.replace("GET /a/b?c=d HTTP/1.1", request_line))
    assert (found["address"], found["path"]) == ("192.0.2.1", "")


@pytest.mark.parametrize(
    "request_line", ["HEAD /x HTTP/1.0", "POST /x?a HTTP/2.0", "OPTIONS /x HTTP/2", "PROPFIND /x HTTP/1.1"]
)
def test_every_method_and_version_is_a_request(request_line: str) -> None:
    assert parsed(LINE.replace("GET /a/b?c=d HTTP/1.1", request_line))["path"] == "/x"


@pytest.mark.parametrize(
    ("referrer", "origin"),
    [
        ("-", "-"),
        ("", "-"),
        ("about:blank", ""),
        ("nonsense", ""),
        ("http://A.example:8080/x", "http://a.example:8080"),
        ("https://a.example?q=secret", "https://a.example"),
        ("https://a.example#secret", "https://a.example"),
        ("android-app://com.example.app/", "android-app://com.example.app"),
        ("https://a.example/ -", "https://a.example"),
    ],
)
def test_of_a_referrer_only_scheme_and_host_are_read(referrer: str, origin: str) -> None:
    assert parsed(LINE.replace("https://E.com/x?y", referrer))["origin"] == origin


@pytest.mark.parametrize(
    ("trailing", "tail", "expected"),
    [
        (("accept_language",), ' "de-DE,de;q=0.9"', "de-DE,de;q=0.9"),
        (("-", "accept_language"), ' "x \\" y" "fr"', "fr"),
        (("accept_language", "-"), ' "fr" "cookie"', "fr"),
        (("accept_language",), "", ""),
        (("accept_language",), ' "open', ""),
        (("accept_language",), " 0.005", ""),
        (("-",), ' "fr"', ""),
        ((), ' "fr"', ""),
    ],
)
def test_a_trailing_field_is_read_only_where_it_is_declared(
    trailing: tuple[str, ...], tail: str, expected: str
) -> None:
    for end in ("", "\n", "\r\n"):
        found = parsed(LINE + tail + end, trailing)
        assert (found["agent"], found["accept_language"]) == ("Agent/1.0", expected)


def test_an_agent_that_ends_like_a_field_keeps_the_fields_apart() -> None:
    found = parsed(LINE.replace("Agent/1.0", r"odd\" ") + ' "fr"', ("accept_language",))
    assert (found["agent"], found["accept_language"]) == (r"odd\" ", "fr")


@pytest.mark.parametrize(
    ("path", "read"),
    [
        (r"/caf\xc3\xa9", "/café"),
        (r"/\x22x\x5C", '/"x\\'),
        (r"/a\\b", "/a\\b"),
        (r"/\xff\xfe", r"/\xff\xfe"),  # no UTF-8
        (r"/\u0041", r"/\u0041"),
        ("/%C3%A9", "/%C3%A9"),
        ("http://e.com:80/a", "/a"),
        ("https://e.com", ""),
        ("*", "*"),
        ("/http://e.com/a", "/http://e.com/a"),
    ],
)
def test_a_path_is_told_without_escapes_and_without_a_host_before_it(path: str, read: str) -> None:
    assert parsed(LINE.replace("/a/b?c=d", path))["path"] == read


def test_every_declared_trailing_field_is_read() -> None:
    trailing = ("forwarded", "-", "time_zone", "accept_language")
    found = parsed(LINE + ' "203.0.113.9, 10.0.0.1" "session=1" "Europe/Berlin" "de"', trailing)
    assert (found["forwarded"], found["time_zone"], found["accept_language"]) == (
        "203.0.113.9, 10.0.0.1",
        "Europe/Berlin",
        "de",
    )


def test_a_line_with_fewer_trailing_fields_tells_those_that_it_has() -> None:
    found = parsed(LINE + ' "203.0.113.9"', ("forwarded", "accept_language"))
    assert (found["agent"], found["forwarded"], found["accept_language"]) == ("Agent/1.0", "203.0.113.9", "")


@pytest.mark.parametrize("host", ["www.example.com:443", "example.com", "[2001:db8::1]:80"])
def test_a_virtual_host_before_the_address_is_passed_over(host: str) -> None:
    found = parsed(f"{host} {LINE}", host=True)
    assert (found["address"], found["path"], found["agent"]) == ("192.0.2.1", "/a/b", "Agent/1.0")
