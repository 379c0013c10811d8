"""Access logs of Application Load Balancers, read by the real engine."""

from __future__ import annotations

import time

import pytest

from pipeline.sources.formats.load_balancer import load_balancer_format
from tests.parsed_lines import MOMENT, told

LINE = (
    "https 2026-10-05T10:11:12.250000Z app/shop/50dc6c495c0c9188 192.0.2.7:41822 10.0.0.66:9000 0.000 0.086 0.000 "
    '200 201 34 5366 "GET https://www.example.com:443/a/b?c=d HTTP/1.1" "Mozilla/5.0 (X11)" ECDHE-RSA-AES128 TLSv1.2 '
    'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/73e2 "Root=1-58337364-23a8" '
    '"www.example.com" "arn:aws:acm:eu-west-1:1:certificate/1" 1 2026-10-05T10:11:11.364000Z '
    '"authenticate,forward" "-" "-" "10.0.0.66:9000" "201" "-" "-" TID_1234'
)
REQUEST = '"GET https://www.example.com:443/a/b?c=d HTTP/1.1"'


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_field_of_a_line_is_told(end: str) -> None:
    assert told(load_balancer_format(), LINE + end) == {
        "address": "192.0.2.7",
        "forwarded": "",
        "moment": MOMENT + 0.25,
        "status": "200",
        "path": "/a/b",
        "query": "?c=d",
        "origin": None,
        "agent": "Mozilla/5.0 (X11)",
        "accept_language": "",
        "time_zone": "",
        "directive": False,
    }


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("2001:db8::1:443", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8:1:2:3:4:5:6:50718", "2001:db8:1:2:3:4:5:6"),
        ("::ffff:192.0.2.1:80", "::ffff:192.0.2.1"),
    ],
)
def test_an_address_of_ipv6_loses_its_port_only(client: str, address: str) -> None:
    assert told(load_balancer_format(), LINE.replace("192.0.2.7:41822", client))["address"] == address


@pytest.mark.parametrize("kind", ["http", "https", "h2", "grpcs", "ws", "wss"])
def test_every_kind_of_connection_is_read(kind: str) -> None:
    assert told(load_balancer_format(), LINE.replace("https ", f"{kind} ", 1))["path"] == "/a/b"


@pytest.mark.parametrize("request_line", ['"- http://www.example.com:80- -"', '"-"', '""', r'"\x16\x03\x01 - -"'])
def test_a_broken_request_has_no_path(request_line: str) -> None:
    found = told(load_balancer_format(), LINE.replace(REQUEST, request_line))
    assert (found["address"], found["path"], found["query"]) == ("192.0.2.7", "", "")


def test_a_request_that_no_target_answered_is_told() -> None:
    line = LINE.replace("10.0.0.66:9000 0.000 0.086 0.000 200 201", "- -1 -1 -1 503 -", 1)
    found = told(load_balancer_format(), line)
    assert (found["status"], found["path"]) == ("503", "/a/b")


def test_a_host_of_ipv6_in_the_request_is_no_part_of_the_path() -> None:
    found = told(load_balancer_format(), LINE.replace("www.example.com:443/a/b", "[2001:db8::9]:443/a/b"))
    assert found["path"] == "/a/b"


def test_an_escaped_quote_does_not_end_the_agent() -> None:
    found = told(load_balancer_format(), LINE.replace("Mozilla/5.0 (X11)", r"A \"B\" C"))
    assert (found["agent"], found["address"]) == (r"A \"B\" C", "192.0.2.7")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "-\n",
        LINE[:60],
        LINE.replace("https ", "tls ", 1),
        LINE.replace(" 34 5366", ""),
        LINE.replace('"Mozilla', "Mozilla"),
        " " + LINE,
        "https " * 1000,
        '"' * 1000,
        "https \0 \0 \0",
    ],
)
def test_what_is_no_line_of_the_format_tells_nothing(line: str) -> None:
    found = told(load_balancer_format(), line)
    assert not any(found[column] for column in found)


@pytest.mark.parametrize("moment", ["2026-13-05T10:11:12.0Z", "294247-01-10T04:00:54Z", "-", "infinity", "1e400"])
def test_an_unreadable_time_is_none(moment: str) -> None:
    assert told(load_balancer_format(), LINE.replace("2026-10-05T10:11:12.250000Z", moment))["moment"] is None


def test_a_long_line_is_read_in_time_that_grows_with_its_length() -> None:
    started = time.monotonic()
    assert told(load_balancer_format(), LINE.replace("(X11)", "x" * 1_000_000))["address"] == "192.0.2.7"
    assert time.monotonic() - started < 5
