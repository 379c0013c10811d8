"""Error logs of nginx and Apache, parsed by the real engine."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.error_formats import error_fields
from pipeline.vocabulary import ERROR_KINDS, ERROR_LEVELS
from tests.hostile_texts import HOSTILE

BERLIN = ZoneInfo("Europe/Berlin")
connection = duckdb.connect(config={"threads": 2})
connection.execute("SET TimeZone = 'America/New_York'")  # of no consequence

NGINX = "2026/10/05 14:03:22 [error] 1234#0: *5 "
TAIL = ', client: 203.0.113.7, server: example.com, request: "GET /secret HTTP/1.1", host: "example.com"'
APACHE = "[Mon Oct 05 14:03:22.123456 2026] [core:error] [pid 1:tid 2] "
CLIENT = "[client 203.0.113.7:54321] "
OLD_APACHE = "[Mon Oct 05 14:03:22 2026] [error] [client 203.0.113.7] "


def fields(*lines: str, zone: ZoneInfo = BERLIN) -> list[dict[str, Any]]:
    table = pa.table(
        {"line": [f"{line}\n" for line in lines], "number": pa.array(range(1, len(lines) + 1), pa.int32())}
    )
    connection.register("lines", table)
    columns = "number, address, epoch(moment) AS moment, error_level, error_kind"
    rows: list[dict[str, Any]] = (
        connection.sql(f"SELECT {columns} FROM ({error_fields(zone)}) ORDER BY number").to_arrow_table().to_pylist()
    )
    connection.unregister("lines")
    assert [row.pop("number") for row in rows] == list(range(1, len(lines) + 1))
    return rows


def moment_of(line: str, zone: ZoneInfo = BERLIN) -> dt.datetime | None:
    moment = fields(line, zone=zone)[0]["moment"]
    return None if moment is None else dt.datetime.fromtimestamp(moment, dt.UTC)


def test_a_line_of_nginx_has_an_address_a_time_a_level_and_a_kind() -> None:
    line = f'{NGINX}open() "/var/www/secret" failed (2: No such file or directory){TAIL}'
    assert fields(line) == [
        {
            "address": "203.0.113.7",
            "moment": dt.datetime(2026, 10, 5, 12, 3, 22, tzinfo=dt.UTC).timestamp(),
            "error_level": "error",
            "error_kind": "not found",
        }
    ]


def test_a_line_of_apache_has_an_address_a_time_a_level_and_a_kind() -> None:
    line = f"{APACHE}{CLIENT}AH00128: File does not exist: /var/www/secret, referer: https://example.net/"
    assert fields(line) == [
        {
            "address": "203.0.113.7",
            "moment": dt.datetime(2026, 10, 5, 12, 3, 22, 123456, tzinfo=dt.UTC).timestamp(),
            "error_level": "error",
            "error_kind": "not found",
        }
    ]


def test_the_fields_have_these_names_and_types_and_no_others() -> None:
    connection.register("lines", pa.table({"line": ["x"], "number": pa.array([1], pa.int32())}))
    described = connection.execute(f"DESCRIBE ({error_fields(BERLIN)})").fetchall()
    connection.unregister("lines")
    assert [(name, kind) for name, kind, *_ in described] == [
        ("number", "INTEGER"),
        ("address", "VARCHAR"),
        ("moment", "TIMESTAMP WITH TIME ZONE"),
        ("error_level", "VARCHAR"),
        ("error_kind", "VARCHAR"),
    ]


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (f"{NGINX}x{TAIL}", "203.0.113.7"),
        (f"{NGINX}x, client: 2001:db8::1, server: _", "2001:db8::1"),
        (f"{NGINX}x, client: 203.0.113.7", "203.0.113.7"),
        (f"{NGINX}x, client: unix:, server: _", ""),
        (f"{NGINX}x, client: =cmd|x, server: _", ""),
        ("2026/10/05 14:03:22 [notice] 1#1: start worker processes", ""),
        (f"{APACHE}{CLIENT}x", "203.0.113.7"),
        (f"{APACHE}[client 2001:db8::1:54321] x", "2001:db8::1"),
        (f"{APACHE}[client ::1:58619] x", "::1"),
        (f"{APACHE}[client [2001:db8::1]:54321] x", "2001:db8::1"),
        (f"{APACHE}(13)Permission denied: {CLIENT}AH00035: x", "203.0.113.7"),
        (f"{APACHE}mod_ssl.c(12): (70007)The timeout specified has expired: {CLIENT}x", "203.0.113.7"),
        (f"{APACHE}AH00489: configured -- [client 203.0.113.9:1] resuming", ""),
        (f"{APACHE}[client jane.example.net:1] x", ""),
        (OLD_APACHE + "x", "203.0.113.7"),
        ("[Mon Oct 05 14:03:22 2026] [error] [client 2001:db8::1] x", "2001:db8::1"),
        ("[Mon Oct 05 14:03:22 2026] [notice] caught SIGTERM", ""),
    ],
)
def test_the_clients_address_is_told_without_its_port(line: str, address: str) -> None:
    assert fields(line)[0]["address"] == address
    assert fields(line)[0]["error_level"] is not None


@pytest.mark.parametrize(
    "line",
    [
        f'{NGINX}open() "/a, client: 198.51.100.1, server: x" failed (2: No such file){TAIL}',
        f'{NGINX}x{TAIL}, referrer: "http://a, client: 198.51.100.1, server: x"',
        f'{NGINX}open() "/, client: 198.51.100.1, server: {"x" * 2_000}',
    ],
)
def test_an_address_that_a_visitor_may_have_written_is_not_told(line: str) -> None:
    assert fields(line)[0]["address"] == ""
    assert fields(line)[0]["error_level"] == "error"


@pytest.mark.parametrize("level", ERROR_LEVELS)
def test_both_servers_levels_are_told(level: str) -> None:
    lines = (NGINX.replace("error", level), APACHE.replace("error", level), OLD_APACHE.replace("error", level))
    assert [row["error_level"] for row in fields(*lines)] == [level] * 3


@pytest.mark.parametrize("number", range(1, 9))
def test_apaches_trace_levels_are_debug(number: int) -> None:
    assert fields(APACHE.replace("error", f"trace{number}"))[0]["error_level"] == "debug"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('open() "/x" failed (2: No such file or directory)', "not found"),
        ('"/x/index.html" is not found (2: No such file or directory)', "not found"),
        ('open() "/x/y" failed (20: Not a directory)', "not found"),
        ('FastCGI sent in stderr: "Primary script unknown" while reading response header from upstream', "not found"),
        ('open() "/upstream timed out (13: x)" failed (2: No such file or directory)', "not found"),
        ('open() "/x" failed (13: Permission denied)', "forbidden"),
        ('directory index of "/x/" is forbidden', "forbidden"),
        ("access forbidden by rule", "forbidden"),
        ('user "jane" was not found in "/etc/htpasswd"', "forbidden"),
        ("no user/password was provided for basic authentication", "forbidden"),
        ('limiting requests, excess: 20.5 by zone "one"', "forbidden"),
        ("connect() failed (111: Connection refused) while connecting to upstream", "upstream"),
        ("connect() to 127.0.0.1:1 failed (13: Permission denied) while connecting to upstream", "upstream"),
        ("upstream timed out (110: Connection timed out) while reading response header from upstream", "upstream"),
        ("no live upstreams while connecting to upstream", "upstream"),
        ("client timed out (110: Connection timed out) while waiting for request", "time-out"),
        ("recv() failed (110: Connection timed out) while reading client request line", "time-out"),
        ("SSL_do_handshake() failed (SSL: error:1) while SSL handshaking", "encryption"),
        ("peer closed connection in SSL handshake while SSL handshaking", "encryption"),
        ("client intended to send too large body: 9999999 bytes", "request"),
        ("client sent invalid request while reading client request line", "request"),
        ("client sent too long URI while reading client request line", "request"),
        ('rewrite or internal redirection cycle while internally redirecting to "/upstream"', "other"),
        ("client prematurely closed connection", "other"),
    ],
)
def test_a_message_of_nginx_has_a_kind(message: str, kind: str) -> None:
    assert [row["error_kind"] for row in fields(NGINX + message + TAIL, NGINX + message)] == [kind] * 2


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"{APACHE}{CLIENT}AH00128: File does not exist: /x", "not found"),
        (f"{OLD_APACHE}File does not exist: /x", "not found"),
        (f"{APACHE}{CLIENT}script '/x.php' not found or unable to stat", "not found"),
        (f"{APACHE.replace('core', 'proxy_fcgi')}{CLIENT}AH01071: Got error 'Primary script unknown'", "not found"),
        (f"{APACHE}{CLIENT}AH00037: Symbolic link not allowed or link target not accessible: /x", "forbidden"),
        (f"{APACHE}(13)Permission denied: {CLIENT}AH00035: access to /x denied", "forbidden"),
        (
            f"{APACHE.replace('core', 'authz_core')}{CLIENT}AH01630: client denied by server configuration: /x",
            "forbidden",
        ),
        (f"{APACHE.replace('core', 'auth_basic')}{CLIENT}AH01618: user jane not found: /x", "forbidden"),
        (f"{OLD_APACHE}client denied by server configuration: /x", "forbidden"),
        (f"{APACHE.replace('core', 'autoindex')}{CLIENT}AH01276: Cannot serve directory /x", "forbidden"),
        (f"{APACHE.replace('core', 'proxy_http')}(111)Connection refused: {CLIENT}AH01114: HTTP: failed", "upstream"),
        (f"{OLD_APACHE}proxy: error reading status line from remote server x", "upstream"),
        (f"{APACHE.replace('core', 'reqtimeout')}{CLIENT}AH01382: Request header read timeout", "time-out"),
        (f"{APACHE.replace('core', 'cgi')}(70007)The timeout specified has expired: {CLIENT}AH01220: x", "time-out"),
        (f"{APACHE.replace('core', 'ssl')}{CLIENT}AH02008: SSL library error 1 in handshake", "encryption"),
        (f"{OLD_APACHE}SSL Library Error: 1", "encryption"),
        (f"{APACHE}{CLIENT}AH00126: Invalid URI in request GET /x", "request"),
        (f"{APACHE}{CLIENT}AH00566: request failed: malformed request line", "request"),
        (f"{OLD_APACHE}request failed: error reading the headers", "request"),
        (f"{APACHE}AH00489: Apache/2.4.57 configured -- resuming normal operations", "other"),
        (f"{APACHE}{CLIENT}AH01215: File does not exist, says a script: /x: x", "not found"),
        (f"{APACHE}{CLIENT}AH01215: a script says: File does not exist", "other"),
    ],
)
def test_a_message_of_apache_has_a_kind(line: str, kind: str) -> None:
    assert fields(line)[0]["error_kind"] == kind


@pytest.mark.parametrize(
    ("local", "moment"),
    [
        ("2026/10/25 01:59:59", (24, 23, 59)),
        ("2026/10/25 02:30:00", (25, 1, 30)),  # the second time, in standard time
        ("2026/10/25 03:00:00", (25, 2, 0)),
    ],
)
def test_of_an_hour_that_is_struck_twice_the_second_is_taken(local: str, moment: tuple[int, int, int]) -> None:
    day, hour, minute = moment
    found = moment_of(NGINX.replace("2026/10/05 14:03:22", local))
    assert found is not None
    assert (found.day, found.hour, found.minute) == (day, hour, minute)


def test_a_time_that_the_clock_skipped_is_one_hour_later() -> None:
    skipped = moment_of(NGINX.replace("2026/10/05 14:03:22", "2026/03/29 02:30:00"))
    assert skipped == dt.datetime(2026, 3, 29, 3, 30, tzinfo=BERLIN)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Etc/GMT+5"])
def test_times_are_of_the_servers_zone(zone: str) -> None:
    expected = dt.datetime(2026, 10, 5, 14, 3, 22, tzinfo=ZoneInfo(zone))
    assert moment_of(NGINX, ZoneInfo(zone)) == moment_of(OLD_APACHE, ZoneInfo(zone)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026/13/05 14:03:22",
        "2026/02/30 14:03:22",
        "2026/10/05 25:03:22",
        "0000/00/00 00:00:00",
        "1026/10/05 14:03:22",
        "9999/12/31 23:59:59",
    ],
)
def test_a_time_that_is_none_is_null_and_the_line_is_still_an_error(text: str) -> None:
    row = fields(NGINX.replace("2026/10/05 14:03:22", text) + "x" + TAIL)[0]
    assert (row["moment"], row["error_level"], row["address"]) == (None, "error", "203.0.113.7")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "PHP Warning:  x in /var/www/x.php on line 1",
        '203.0.113.7 - - [05/Oct/2026:14:03:22 +0000] "GET / HTTP/1.1" 200 1 "-" "-"',
        "2026/10/05 14:03:22 [loud] 1#0: x",
        "2026/10/05 14:03:22 error 1#0: x",
        f"{APACHE.replace('error', 'loud')}x",
        f"{APACHE.replace('error', 'trace9')}x",
        "[x",
        "[x] [y] z",
        f" {NGINX}x",
    ],
)
def test_a_line_of_neither_form_has_no_level(line: str) -> None:
    assert fields(line) == [{"address": "", "moment": None, "error_level": None, "error_kind": None}]


def test_a_byte_order_mark_and_carriage_returns_are_read_over() -> None:
    rows = fields(f"\ufeff{NGINX}access forbidden by rule{TAIL}\r", f"\ufeff{APACHE}{CLIENT}AH00126: Invalid URI\r")
    assert [(row["address"], row["error_kind"]) for row in rows] == [
        ("203.0.113.7", "forbidden"),
        ("203.0.113.7", "request"),
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_nothing_of_a_hostile_line_is_passed_on(text: str) -> None:
    lines = (
        text,
        f"{NGINX}{text}{TAIL}",
        f'{NGINX}open() "{text}" failed (2: x), client: {text}, server: {text}',
        f"{APACHE}{CLIENT}{text}",
        f"{APACHE}[client {text}] AH00126: {text}",
        f"[{text}] [{text}:error] [pid {text}] [client {text}:1] {text}",
        f"[{text}] [{text}] {text}",
    )
    begin = time.process_time()
    for row in fields(*lines):
        assert row["address"] in ("", "203.0.113.7")
        assert row["error_level"] in (None, *ERROR_LEVELS)
        assert row["error_kind"] in (None, *ERROR_KINDS)
    assert time.process_time() - begin < 3.0


@pytest.mark.parametrize(
    "line",
    [
        NGINX + "(2: " * 100_000,
        NGINX + ", client: " * 100_000,
        NGINX + '"' * 500_000,
        "[" * 500_000,
        APACHE + "(1)" * 100_000,
    ],
)
def test_long_lines_take_time_in_proportion(line: str) -> None:
    begin = time.process_time()
    fields(line)
    assert time.process_time() - begin < 3.0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(max_size=60)
        | st.builds(str.__add__, st.sampled_from([NGINX, APACHE, OLD_APACHE, APACHE + CLIENT]), st.text(max_size=60)),
        min_size=1,
        max_size=60,
    )
)
def test_every_line_gets_one_row_whatever_it_holds(lines: list[str]) -> None:
    rows = fields(*lines)
    assert len(rows) == len(lines)
    assert all((row["error_level"] is None) is (row["error_kind"] is None) for row in rows)
