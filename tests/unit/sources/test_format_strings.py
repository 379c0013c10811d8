"""Format strings of Apache and nginx, compiled and run by the real engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField
from pipeline.sources.formats.strings import Server, string_format, trailing_of

COMMON = '%h %l %u %t "%r" %>s %b'
BERLIN = ZoneInfo("Europe/Berlin")
REQUEST = "GET /a?b=1 HTTP/1.1"
MOMENT = "2026-10-05 08:00:00+00"


def parsed(server: Server, text: str, *lines: str, **fields: Any) -> list[dict[str, Any]]:
    read = string_format(server, text, cast("Mapping[RequestField, str]", fields), BERLIN)
    table = pa.table({"line": [f"{line}\n" for line in lines], "number": list(range(1, len(lines) + 1))})
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        rows = []
        for part, select in read.parts(table):
            engine.register("lines", part)
            found = engine.sql(f"SELECT * REPLACE (moment::VARCHAR AS moment) FROM ({select}) ORDER BY number")
            rows += [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        return rows


def test_the_common_format_has_no_agent_and_no_referrer() -> None:
    (row,) = parsed("apache", COMMON, f'192.0.2.1 - ann lee [05/Oct/2026:10:00:00 +0200] "{REQUEST}" 200 12')
    assert row == {
        "number": 1,
        "address": "192.0.2.1",
        "forwarded": "",
        "moment": MOMENT,
        "status": "200",
        "path": "/a",
        "query": "?b=1",
        "origin": None,
        "agent": None,
        "accept_language": "",
        "time_zone": "",
        "directive": False,
    }


def test_a_whole_directive_of_the_configuration_is_understood() -> None:
    text = r'LogFormat "%v:%p %a %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%!200,304{User-Agent}i\" %D" vhost_timed'
    line = f'www:443 ::1 - - [05/Oct/2026:10:00:00 +0200] "{REQUEST}" 200 12 "https://a.example/x" "A \\"b\\"" 99'
    (row,) = parsed("apache", text, line)
    assert (row["address"], row["status"], row["origin"], row["agent"]) == (
        "::1",
        "200",
        "https://a.example",
        r"A \"b\"",
    )


NGINX = """log_format main escape=json '{"t":"$time_iso8601","ip":"$remote_addr",'
                 '"rq":"$request","st":"$status","ua":"$http_user_agent","tz":"$http_x_tz"}';"""


def test_pieces_of_an_nginx_directive_are_put_together() -> None:
    line = (
        f'{{"t":"2026-10-05T10:00:00+02:00","ip":"192.0.2.1","rq":"{REQUEST}","st":"404","ua":"Moz","tz":"Asia/Tokyo"}}'
    )
    (row,) = parsed("nginx", NGINX, line, time_zone="$http_x_tz")
    assert (row["address"], row["moment"], row["status"]) == ("192.0.2.1", MOMENT, "404")
    assert (row["path"], row["agent"], row["time_zone"]) == ("/a", "Moz", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("%{%Y-%m-%d %H:%M:%S}t", "2026-10-05 10:00:00"),  # in the zone of the site
        ("[%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t]", "[05/Oct/2026:10:00:00.000 +0200]"),
        ("%{%FT%T%z}t", "2026-10-05T10:00:00+0200"),
        ("%{begin:sec}t", "1791187200"),
        ("%{msec}t", "1791187200000"),
        ("%{usec}t", "1791187200000000"),
        ("%{%a, %d %b %Y %H:%M:%S}t", "Mon, 05 Oct 2026 10:00:00"),
    ],
)
def test_times_are_read_however_they_are_configured(text: str, time: str) -> None:
    (row,) = parsed("apache", f'%h {text} "%r" %s', f'192.0.2.1 {time} "{REQUEST}" 200')
    assert row["moment"] == MOMENT


@pytest.mark.parametrize(
    ("variable", "time"), [("$msec", "1791187200.000"), ("$time_local", "05/Oct/2026:10:00:00 +0200")]
)
def test_times_of_nginx_are_read(variable: str, time: str) -> None:
    (row,) = parsed("nginx", f'$remote_addr {variable} "$request" $status', f'192.0.2.1 {time} "{REQUEST}" 200')
    assert row["moment"] == MOMENT


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        ("25.10.2026 02:30", "2026-10-25 01:30:00+00"),  # comes twice: the later one
        ("29.03.2026 02:30", "2026-03-29 01:30:00+00"),  # never comes: half past three
        ("31.02.2026 02:30", None),
        ("01.01.1969 02:30", None),
    ],
)
def test_hours_of_the_clock_change_and_impossible_dates_do_not_stop_a_run(time: str, moment: str | None) -> None:
    (row,) = parsed("apache", '%h %{%d.%m.%Y %H:%M}t "%r" %s', f'192.0.2.1 {time} "{REQUEST}" 200')
    assert (row["address"], row["moment"]) == ("192.0.2.1", moment)


@pytest.mark.parametrize(
    ("server", "text", "asked"),
    [
        ("apache", "%h %t %m %U%q %H %s", "GET /a?b=1 HTTP/1.1"),
        ("nginx", "$remote_addr [$time_local] $request_method $request_uri $status", "GET /a?b=1"),
        ("nginx", "$remote_addr [$time_local] $uri $args $status", "/a b=1"),
        ("nginx", "$remote_addr [$time_local] $uri?$args $status", "/a?b=1"),
    ],
)
def test_a_request_may_be_logged_in_pieces(server: Server, text: str, asked: str) -> None:
    (row,) = parsed(server, text, f"192.0.2.1 [05/Oct/2026:10:00:00 +0200] {asked} 200")
    assert (row["path"], row["query"], row["status"]) == ("/a", "?b=1", "200")


def test_variables_that_list_several_servers_do_not_shift_the_others() -> None:
    text = '$remote_addr [$time_local] "$request" $upstream_addr $upstream_response_time $status'
    line = f'192.0.2.1 [05/Oct/2026:10:00:00 +0200] "{REQUEST}" 10.0.0.1:80, 10.0.0.2:80 0.1, 0.2 502'
    assert parsed("nginx", text, line)[0]["status"] == "502"


def test_what_does_not_match_has_no_address() -> None:
    lines = ["", "nonsense", f'192.0.2.1 - - [05/Oct/2026:10:00:00 +0200] "{REQUEST}" 200 12 more']
    assert [row["address"] for row in parsed("apache", COMMON, *lines)] == ["", "", ""]


def test_the_status_of_the_last_answer_counts_and_modifiers_are_passed_over() -> None:
    (row,) = parsed("apache", '%h %t "%<r" %>s', f'192.0.2.1 [05/Oct/2026:10:00:00 +0200] "{REQUEST}" 301')
    assert row["status"] == "301"


@pytest.mark.parametrize(
    ("server", "text", "fields"),
    [
        ("apache", '%h %t "%r" %s "%{Cookie}i"', {"time_zone": "%{Cookie}i"}),
        ("apache", '%h %t "%r" %s "%{tz}C"', {"time_zone": "%{tz}C"}),
        ("nginx", '$remote_addr [$time_local] "$request" $status "$cookie_tz"', {"time_zone": "$cookie_tz"}),
        ("nginx", '$remote_addr [$time_local] "$request" $status "$http_cookie"', {"agent": "$http_cookie"}),
    ],
)
def test_a_cookie_cannot_be_declared(server: Server, text: str, fields: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="a cookie is never read"):
        parsed(server, text, **fields)


@pytest.mark.parametrize(
    ("server", "cookie"),
    [("apache", "%{Cookie}i"), ("apache", "%{sid}C"), ("nginx", "$http_cookie"), ("nginx", "$cookie_sid")],
)
def test_a_logged_cookie_is_passed_over(server: Server, cookie: str) -> None:
    begin = '%h %t "%r" %s' if server == "apache" else '$remote_addr [$time_local] "$request" $status'
    line = f'192.0.2.1 [05/Oct/2026:10:00:00 +0200] "{REQUEST}" 200 "sid=planted" "Moz"'
    agent = "%{User-Agent}i" if server == "apache" else "$http_user_agent"
    (row,) = parsed(server, f'{begin} "{cookie}" "{agent}"', line)
    assert row["agent"] == "Moz"
    assert "planted" not in str(row)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ('%t "%r" %s', "address"),
        ('%h "%r" %s', "time"),
        ("%h %t %s", "request"),
        ('%h %t "%r"', "status"),
        ("", "address"),
    ],
)
def test_a_string_that_tells_no_request_is_refused(text: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no .*{missing}"):
        parsed("apache", text)


def test_an_unknown_directive_of_a_time_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="known directives of strftime"):
        parsed("apache", '%h %{%Q}t "%r" %s')


def test_a_declared_field_that_is_not_logged_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must stand in the log_format"):
        parsed("apache", COMMON, time_zone="%{X-Time-Zone}i")


NGINX_MAIN = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)


@pytest.mark.parametrize(
    ("server", "text", "fields", "trailing"),
    [
        ("nginx", f'{NGINX_MAIN} "$http_x_forwarded_for"', {}, ("forwarded",)),
        ("nginx", f'{NGINX_MAIN} "$http_cookie" "$http_x_tz"', {"time_zone": "$http_x_tz"}, ("-", "time_zone")),
        ("nginx", NGINX_MAIN, {}, ()),
        ("apache", f'{COMMON} "%{{Referer}}i" "%{{User-agent}}i" "%{{Accept-Language}}i"', {}, ("accept_language",)),
        ("apache", COMMON, {}, None),
        ("nginx", f"{NGINX_MAIN} $request_time", {}, None),
        ("nginx", NGINX_MAIN, {"time_zone": "$http_x_tz"}, None),
    ],
)
def test_strings_of_the_combined_format_are_known_as_such(
    server: Server, text: str, fields: dict[Any, str], trailing: tuple[str, ...] | None
) -> None:
    assert trailing_of(server, text, fields) == trailing
