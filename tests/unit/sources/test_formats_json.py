"""Logs of one JSON object a line, read by the real engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField
from pipeline.sources.formats.fields import LogFormat
from pipeline.sources.formats.json_lines import json_format, pointer_of
from tests.parsed_lines import MOMENT, parsed, told

UTC = ZoneInfo("UTC")
CADDY: dict[str, Any] = {
    "level": "info",
    "ts": MOMENT + 0.25,
    "logger": "http.log.access.log0",
    "msg": "handled request",
    "request": {
        "remote_ip": "2001:db8::7",
        "remote_port": "51818",
        "client_ip": "198.51.100.9",
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": "www.example.com",
        "uri": "/a/b?c=d",
        "headers": {
            "User-Agent": ["Agent/1.0"],
            "Accept-Language": ["de-AT,de;q=0.9"],
            "Referer": ["https://E.com/x?y"],
            "X-Forwarded-For": ["192.0.2.66", "198.51.100.3"],
            "Cookie": ["sid=s3cret"],
        },
        "tls": {"resumed": False, "version": 772},
    },
    "bytes_read": 0,
    "duration": 0.0009,
    "status": 200,
    "resp_headers": {"Server": ["Caddy"], "Set-Cookie": ["sid=s3cret"]},
}
TRAEFIK: dict[str, Any] = {
    "ClientAddr": "192.0.2.7:35512",
    "ClientHost": "192.0.2.7",
    "DownstreamStatus": 404,
    "OriginStatus": 500,
    "RequestMethod": "GET",
    "RequestPath": "/a/b?c=d",
    "StartUTC": "2026-10-05T10:11:12.123456789Z",
    "time": "2026-10-05T12:11:13+02:00",
    "request_User-Agent": "Agent/1.0",
    "request_Referer": "https://e.com/x",
    "request_Accept-Language": "de",
    "request_X-Forwarded-For": "198.51.100.3",
    "request_Cookie": "sid=s3cret",
}
NGINX: dict[str, Any] = {
    "time_local": "05/Oct/2026:12:11:12 +0200",
    "remote_addr": "192.0.2.7",
    "request": "GET /a/b?c=d HTTP/1.1",
    "status": "200",
    "http_referer": "https://e.com/x",
    "http_user_agent": "Agent/1.0",
    "http_accept_language": "de",
    "http_x_forwarded_for": "198.51.100.3",
    "http_cookie": "sid=s3cret",
}


def lines_of(fields: Mapping[RequestField, str] | None = None, zone: ZoneInfo = UTC) -> LogFormat:
    return json_format("JSON lines", fields or {}, zone)


def read(entry: object, fields: Mapping[RequestField, str] | None = None) -> dict[str, Any]:
    return told(lines_of(fields), json.dumps(entry) + "\n")


def without(entry: dict[str, Any], *keys: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys} | changes


def test_every_field_of_a_line_of_caddy_is_told() -> None:
    assert read(CADDY) == {
        "address": "2001:db8::7",
        "forwarded": "192.0.2.66, 198.51.100.3",
        "moment": MOMENT + 0.25,
        "status": "200",
        "path": "/a/b",
        "query": "?c=d",
        "origin": "https://e.com",
        "agent": "Agent/1.0",
        "accept_language": "de-AT,de;q=0.9",
        "time_zone": "",
        "directive": False,
    }


def test_every_field_of_a_line_of_traefik_is_told() -> None:
    assert read(TRAEFIK) == {
        "address": "192.0.2.7",
        "forwarded": "198.51.100.3",
        "moment": MOMENT + 0.123456,
        "status": "404",
        "path": "/a/b",
        "query": "?c=d",
        "origin": "https://e.com",
        "agent": "Agent/1.0",
        "accept_language": "de",
        "time_zone": "",
        "directive": False,
    }


def test_every_field_of_a_line_of_nginx_is_told() -> None:
    assert read(NGINX) == read(TRAEFIK) | {"moment": MOMENT, "status": "200"}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_a_line_is_no_part_of_it(end: str) -> None:
    assert told(lines_of(), json.dumps(NGINX) + end)["path"] == "/a/b"


@pytest.mark.parametrize(
    "moment",
    [
        MOMENT,
        int(MOMENT),
        MOMENT * 1e3,
        int(MOMENT * 1e6),
        int(MOMENT) * 10**9,
        f"{MOMENT:.3f}",
        "2026-10-05T10:11:12Z",
        "2026-10-05T12:11:12.000+0200",
        "2026-10-05T12:11:12+02:00",
        "2026-10-05T10:11:12",
        "2026/10/05 10:11:12",
        "2026/10/05 10:11:12.000",
        "2026-10-05 10:11:12,000",
        "05/Oct/2026:12:11:12 +0200",
    ],
)
def test_a_time_is_read_however_it_is_written(moment: object) -> None:
    assert read(without(NGINX, time_local=moment))["moment"] == MOMENT


@pytest.mark.parametrize("key", ["ts", "time", "timestamp", "@timestamp", "time_iso8601", "msec", "StartUTC"])
def test_a_time_is_found_wherever_it_stands(key: str) -> None:
    assert read(without(NGINX, "time_local", **{key: MOMENT}))["moment"] == MOMENT


@pytest.mark.parametrize("moment", ["2026-10-05T10:11:12", "2026/10/05 10:11:12"])
def test_a_time_without_a_zone_is_read_in_that_of_the_source(moment: str) -> None:
    entry = json.dumps(without(NGINX, time_local=moment))
    assert told(lines_of(zone=ZoneInfo("Europe/Berlin")), entry)["moment"] == MOMENT - 7200


@pytest.mark.parametrize(
    "moment",
    ["", "-", "soon", "1e400", "nan", "-1", "infinity", "294247-01-10 04:00:54", "2026-02-30T00:00:00Z", "9" * 400,
     True, None, [MOMENT], {"a": MOMENT}, "2026-10-05", "9999-12-31T23:59:59", "0000-00-00 00:00:00", 1e300],
)  # fmt: skip
def test_an_unreadable_time_is_none(moment: object) -> None:
    entry = json.dumps(without(NGINX, time_local=moment))
    assert told(lines_of(zone=ZoneInfo("America/New_York")), entry)["moment"] is None


@pytest.mark.parametrize(
    ("logged", "address"),
    [
        ("192.0.2.7:35512", "192.0.2.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::", "fe80::"),
        ("::", "::"),
    ],
)
def test_an_address_loses_its_port_only(logged: str, address: str) -> None:
    assert read(without(TRAEFIK, "ClientHost", ClientAddr=logged))["address"] == address


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ({"request": "GET http://www.example.com/a?b HTTP/1.1"}, "/a", "?b"),
        ({"request": "GET /a"}, "/a", ""),
        ({"request": "GET /rewritten HTTP/1.1", "request_uri": "/a?b"}, "/a", "?b"),
        ({"request": "GET /a?b HTTP/1.1", "uri": "/index.php"}, "/a", "?b"),
        ({"uri": "/a", "args": "b=c"}, "/a", "?b=c"),
        ({"uri": "/a", "query_string": ""}, "/a", ""),
        ({"path": "/a", "method": "GET"}, "/a", ""),
        ({"request": "\x16\x03\x01"}, "", ""),
        ({"request": ""}, "", ""),
        ({}, "", ""),
    ],
)
def test_the_target_is_found_wherever_it_stands(target: dict[str, str], path: str, query: str) -> None:
    found = read(without(NGINX, "request") | target)
    assert (found["address"], found["path"], found["query"]) == ("192.0.2.7", path, query)


def test_headers_that_a_request_had_not_are_missing_to_caddy() -> None:
    bare = read(CADDY | {"request": without(CADDY["request"], "headers")})
    assert (bare["agent"], bare["origin"], bare["accept_language"], bare["forwarded"]) == ("-", "-", "", "")


@pytest.mark.parametrize("entry", [TRAEFIK, NGINX])
def test_headers_that_a_file_never_has_are_not_known(entry: dict[str, Any]) -> None:
    bare = without(entry, "http_user_agent", "http_referer", "request_User-Agent", "request_Referer")
    assert (read(bare)["agent"], read(bare)["origin"]) == (None, None)


def test_headers_that_a_file_has_elsewhere_are_missing_where_a_request_had_none() -> None:
    bare = json.dumps(without(TRAEFIK, "request_Referer"))
    found = parsed(lines_of(), [bare], [json.dumps(TRAEFIK), bare], [bare])
    assert [row["origin"] for row in found] == [None, "https://e.com", "-", "-"]
    assert [row["agent"] for row in found] == ["Agent/1.0"] * 4


def test_empty_values_are_missing() -> None:
    found = read(NGINX | {"http_user_agent": "", "http_referer": "", "http_x_forwarded_for": ""})
    assert (found["agent"], found["origin"], found["forwarded"]) == ("", "-", "")


@pytest.mark.parametrize(
    ("fields", "entry"),
    [
        ({"time_zone": "zone"}, {"zone": "Europe/Berlin"}),
        ({"time_zone": "request.headers.X-Time-Zone[0]"}, {"request": {"headers": {"X-Time-Zone": ["Europe/Berlin"]}}}),
        ({"time_zone": "/request/headers/X-Time-Zone/0"}, {"request": {"headers": {"X-Time-Zone": ["Europe/Berlin"]}}}),
        ({"time_zone": "/beacon.zone"}, {"beacon.zone": "Europe/Berlin"}),
        ({"time_zone": "/a~1b~0c"}, {"a/b~c": "Europe/Berlin"}),
        ({"time_zone": "a/b.it's"}, {"a/b": {"it's": "Europe/Berlin"}}),
        ({"time_zone": "list[1][0]"}, {"list": ["x", ["Europe/Berlin"]]}),
        ({"time_zone": '/a"b\\c'}, {'a"b\\c': "Europe/Berlin"}),
        ({"time_zone": "*"}, {"*": "Europe/Berlin"}),
    ],
)
def test_a_declared_field_is_read_where_it_stands(fields: dict[RequestField, str], entry: dict[str, Any]) -> None:
    assert read(entry, fields)["time_zone"] == "Europe/Berlin"
    assert read(NGINX, fields)["time_zone"] == ""


def test_declared_fields_come_before_the_known_ones() -> None:
    fields: dict[RequestField, str] = {
        "address": "ip", "time": "when", "status": "code", "agent": "ua", "referrer": "from", "path": "target",
        "query": "asked", "accept_language": "lang", "forwarded": "for", "method": "verb",
    }  # fmt: skip
    own = {
        "ip": "203.0.113.1", "when": MOMENT + 1, "code": 404, "ua": "Own", "from": "https://own.example/",
        "target": "/own", "asked": "q=1", "lang": "fr", "for": "203.0.113.2",
    }  # fmt: skip
    found = read(NGINX | own, fields)
    assert list(found.values())[:9] == [
        "203.0.113.1", "203.0.113.2", MOMENT + 1, "404", "/own", "?q=1", "https://own.example", "Own", "fr",
    ]  # fmt: skip


def test_a_declared_request_line_comes_before_the_known_targets() -> None:
    assert read(TRAEFIK | {"line": "POST /own HTTP/1.1"}, {"request": "line"})["path"] == "/own"


@pytest.mark.parametrize("place", ["", "a..b", "a[x]", "a[0]b", "[0]", ".a", "a["])
def test_a_place_that_cannot_be_read_is_a_clear_error(place: str) -> None:
    with pytest.raises(ConfigurationError, match="keys with dots"):
        lines_of({"agent": place})


@pytest.mark.parametrize(
    "place", ["http_cookie", "request.headers.Cookie[0]", "/request_Cookie", "SET-COOKIE", "cookies"]
)
@pytest.mark.parametrize("field", ["time_zone", "method"])
def test_a_cookie_can_not_be_declared(place: str, field: RequestField) -> None:
    with pytest.raises(ConfigurationError, match="a cookie is never read"):
        lines_of({field: place})


@pytest.mark.parametrize("entry", [CADDY, TRAEFIK, NGINX])
@pytest.mark.parametrize("place", ["request", "request.headers", "resp_headers", "/", "request.headers.User-Agent"])
def test_a_cookie_is_in_no_column_even_if_what_holds_it_is_declared(entry: dict[str, Any], place: str) -> None:
    every: tuple[RequestField, ...] = (
        "address", "forwarded", "time", "request", "path", "query", "status", "referrer", "agent", "accept_language",
        "time_zone",
    )  # fmt: skip
    nested = entry | {"remote_addr": entry, "status": [entry], "http_user_agent": entry, "": entry}
    assert "s3cret" not in str(read(nested, dict.fromkeys(every, place)))


@pytest.mark.parametrize(
    "line",
    [
        "", "\n", "-\n", "[]", "[1, 2]", "12", '"text"', "null", "true", "{}", "{", '{"a"', "}{", "{'a': 1}",
        json.dumps(NGINX)[:-1], json.dumps(NGINX) + "x", json.dumps([NGINX]), "\0", '{"remote_addr": "\0"}',
        '{"remote_addr": "\\ud800"}', "[" * 10_000, '{"a":' * 10_000, "\ufeff" + json.dumps(NGINX),
        '{"level":"info","ts":1791195072.1,"logger":"admin","msg":"admin endpoint started"}',
        '{"remote_addr": {"a": 1}}', '{"remote_addr": ["192.0.2.1"]}', '{"remote_addr": null}', r'{"a": "\xzz"}',
    ],
)  # fmt: skip
def test_what_is_no_request_has_no_address(line: str) -> None:
    assert told(lines_of(), line)["address"] == ""


def test_a_bad_line_leaves_its_neighbours_alone() -> None:
    good = json.dumps(NGINX)
    found = parsed(lines_of(), [good, "{", good, '{"remote_addr": "\\ud800"}', good] * 1000)
    assert sum(row["address"] == "192.0.2.7" for row in found) == 3000


@pytest.mark.parametrize(
    "extra",
    [
        '"a":' + "[" * 10_000 + "]" * 10_000,
        '"a":' + '{"a":' * 10_000 + "1" + "}" * 10_000,
        '"a":1e999, "b":' + "9" * 5000,
        '"remote_addr":"203.0.113.9"',
        '"http_user_agent":"x\\u0000y"',
        '"":{}',
    ],
)
def test_strange_but_valid_objects_are_read(extra: str) -> None:
    assert told(lines_of(), json.dumps(NGINX)[:-1] + "," + extra + "}")["address"] == "192.0.2.7"


def test_numbers_and_texts_are_read_alike() -> None:
    assert read(NGINX | {"status": 200, "http_user_agent": 12}) == read(
        NGINX | {"status": "200", "http_user_agent": "12"}
    )


@pytest.mark.parametrize(
    ("logged", "agent"),
    [(r"\"q\" \\ \/ \t", '"q" \\ / \t'), (r"\u00e4\ud83d\ude00", "ä😀"), (r"\x22q\x22 \x5C", '"q" \\'), ("Ünï", "Ünï")],
)
def test_escapes_are_read_those_of_nginx_too(logged: str, agent: str) -> None:
    assert told(lines_of(), json.dumps(NGINX).replace("Agent/1.0", logged))["agent"] == agent


@pytest.mark.parametrize(
    ("place", "pointer"),
    [
        ("a", "/a"),
        ("a.b[0][12].c", "/a/b/0/12/c"),
        ("a~b/c", "/a~0b~1c"),
        ("/as/it~1is/0", "/as/it~1is/0"),
        ("a[007]", "/a/7"),
    ],
)
def test_dotted_places_are_json_pointers(place: str, pointer: str) -> None:
    assert pointer_of("agent", place) == pointer
