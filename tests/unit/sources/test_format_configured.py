"""Format strings of Apache and nginx, as they stand in a server's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from tests.format_reading import PLANTED, opened, picked, read, read_one

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
TIME = "[05/Oct/2026:10:11:12 +0200]"
BASIC = f'203.0.113.9 - - {TIME} "GET /docs/a?b=c HTTP/1.1" 200 512'
FULL = f'{BASIC} "https://Search.example/?q=x" "{AGENT}"'
COMBINED = r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""
NGINX_TIME = "$remote_addr|$time_local"
NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)


def apache(line: str, text: str, **options: Any) -> dict[str, Any]:
    return read_one(line, format="apache", log_format=text, **options)


def nginx(line: str, text: str, **options: Any) -> dict[str, Any]:
    return read_one(line, format="nginx", log_format=text, **options)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("apache", COMBINED),
        ("apache", COMBINED.replace("\\", "")),
        ("apache", f'"{COMBINED}"'),
        ("apache", f'"{COMBINED}" combined'),
        ("apache", f'LogFormat "{COMBINED}" combined'),
        ("apache", f'    LogFormat   "{COMBINED}"   combined\n'),
        ("apache", f'LogFormat "{COMBINED}"'),
        ("nginx", NGINX),
        ("nginx", f"'{NGINX}'"),
        ("nginx", f"log_format main '{NGINX}';"),
        ("nginx", f"log_format main escape=default '{NGINX}';"),
        ("nginx", f"main escape=default\n    '{NGINX}';\n"),
        ("nginx", NGINX.replace("$status", "${status}")),
        (
            "nginx",
            "log_format  main  '$remote_addr - $remote_user [$time_local] \"$request\" '\n"
            "                  '$status $body_bytes_sent \"$http_referer\" '\n"
            "                  '\"$http_user_agent\"';",
        ),
        ("nginx", NGINX.replace('"', '\\"').join('""')),
    ],
)
def test_the_combined_format_in_every_spelling_reads_the_same(server: str, text: str, end: str) -> None:
    assert read_one(FULL + end, format=server, log_format=text) == {
        "number": 1,
        "address": "203.0.113.9",
        "forwarded": "",
        "moment": "2026-10-05 08:11:12",
        "status": "200",
        "path": "/docs/a",
        "query": "?b=c",
        "origin": "https://search.example",
        "agent": AGENT,
        "accept_language": "",
        "time_zone": "",
        "directive": False,
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("%t", TIME),
        ("%{sec}t", "1791187872"),
        ("%{msec}t", "1791187872000"),
        ("%{usec}t", "1791187872000000"),
        ("%{%s}t", "1791187872"),
        ("%{begin:%Y-%m-%d %H:%M:%S %z}t", "2026-10-05 10:11:12 +0200"),
        ("%{end:%Y-%m-%dT%T%z}t", "2026-10-05T10:11:12+0200"),
        ("%{%F %T}t", "2026-10-05 08:11:12"),
        ("%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t", "05/Oct/2026 10:11:12.000 +0200"),
        ("[%{%d/%b/%Y:%H:%M:%S}t.%{usec_frac}t %{%z}t]", "[05/Oct/2026:10:11:12.000000 +0200]"),
        ("%{%a %b %e %H:%M:%S %Y}t", "Mon Oct  5 08:11:12 2026"),
        ("%{%e %B %Y, %I:%M:%S %p}t", " 5 October 2026, 08:11:12 AM"),
        ("%{%c}t", "Mon Oct  5 08:11:12 2026"),
        ("%{%D %R:%S}t", "10/05/26 08:11:12"),
        ("%{%Y%m%d%H%M%S}t", "20261005081112"),
    ],
)
def test_every_common_way_of_apache_to_log_a_time_is_read(text: str, written: str) -> None:
    found = apache(f'203.0.113.9 {written} "GET / HTTP/1.1" 200', rf"%a {text} \"%r\" %>s")
    assert picked(found, "address", "moment", "path") == ("203.0.113.9", "2026-10-05 08:11:12", "/")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("[$time_local]", TIME),
        ("$time_local", TIME.strip("[]")),
        ("$time_iso8601", "2026-10-05T10:11:12+02:00"),
        ("$msec", "1791187872.000"),
    ],
)
def test_every_time_of_nginx_is_read(text: str, written: str) -> None:
    found = nginx(f'203.0.113.9 {written} "GET / HTTP/2.0" 200', f'$remote_addr {text} "$request" $status')
    assert picked(found, "address", "moment", "path") == ("203.0.113.9", "2026-10-05 08:11:12", "/")


def test_a_time_without_a_zone_is_read_in_the_sources_zone_or_else_the_sites() -> None:
    line, text = '203.0.113.9 2026-10-05 10:11:12 "GET / HTTP/1.1" 200', r"%a %{%F %T}t \"%r\" %>s"
    assert apache(line, text, zone="Europe/Berlin")["moment"] == "2026-10-05 08:11:12"
    assert apache(line, text, zone="Europe/Berlin", time_zone="America/New_York")["moment"] == "2026-10-05 14:11:12"


@pytest.mark.parametrize(
    ("local", "moment"),
    [
        ("2026-03-29 02:30:00", "2026-03-29 01:30:00"),  # left out: read as an hour later, 03:30 of summer
        ("2026-10-25 02:30:00", "2026-10-25 01:30:00"),  # twice there: the later one, of winter
    ],
)
def test_hours_that_clocks_leave_out_or_repeat_are_read(local: str, moment: str) -> None:
    text = r"%a %{%F %T}t \"%r\" %>s"
    assert apache(f'203.0.113.9 {local} "GET / HTTP/1.1" 200', text, zone="Europe/Berlin")["moment"] == moment


@pytest.mark.parametrize("written", ["99999999999999999", "0", "1", "-1", "", "1e9", "nan", "9" * 400])
def test_a_number_that_is_no_time_is_none(written: str) -> None:
    (row,) = read(f'203.0.113.9 {written} "GET / HTTP/1.1" 200', format="apache", log_format=r"%a %{sec}t \"%r\" %>s")
    assert row["moment"] is None


@pytest.mark.parametrize(
    "written",
    ["2026-02-31 10:00:00", "2026-10-05 25:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "1989-12-31 10:00:00",
     "2200-01-01 10:00:00", "2026-13-01 00:00:00"],
)  # fmt: skip
def test_an_impossible_date_is_none(written: str) -> None:
    found = apache(f'203.0.113.9 {written} "GET / HTTP/1.1" 200', r"%a %{%F %T}t \"%r\" %>s", zone="Asia/Tokyo")
    assert found["moment"] is None


def test_path_query_and_method_may_be_logged_apart() -> None:
    line = f'203.0.113.9 {TIME} "POST /a/b?c=d HTTP/1.1" 200'
    assert picked(apache(line, r"%a %t \"%m %U%q %H\" %s"), "path", "query") == ("/a/b", "?c=d")
    bare = f'203.0.113.9 {TIME} "POST /a/b HTTP/1.1" 200'
    assert picked(apache(bare, r"%a %t \"%m %U%q %H\" %s"), "path", "query") == ("/a/b", "")
    assert picked(
        nginx(f"203.0.113.9|{TIME[1:-1]}|GET|/a/b|c=d|200", f"{NGINX_TIME}|$request_method|$uri|$args|$status"),
        "path", "query",
    ) == ("/a/b", "?c=d")  # fmt: skip
    assert picked(
        nginx(f"203.0.113.9|{TIME[1:-1]}|GET /a/b?c=d 200", f"{NGINX_TIME}|$request_method $request_uri $status"),
        "path", "query",
    ) == ("/a/b", "?c=d")  # fmt: skip
    assert picked(
        nginx(f'203.0.113.9 {TIME} "/a/b?c=d" 200', '$remote_addr [$time_local] "$uri$is_args$args" $status'),
        "path", "query",
    ) == ("/a/b", "?c=d")  # fmt: skip


def test_of_two_statuses_the_answered_one_is_read() -> None:
    text = r"%a %t \"%r\" %<s %>s"
    assert apache(f'203.0.113.9 {TIME} "GET / HTTP/1.1" 302 404', text)["status"] == "404"
    text = r"%a %t \"%r\" %>s %<s"
    assert apache(f'203.0.113.9 {TIME} "GET / HTTP/1.1" 404 302', text)["status"] == "404"


def test_modifiers_and_percent_signs_are_understood() -> None:
    text = r"100%% %v:%{local}p %a %l %u %t \"%r\" %>s %^FB %D %{ms}T \"%!200,304,302{Referer}i\" \"%{User-agent}i\" %I"
    line = f'100% www.example.com:443 2001:db8::7 - ann {TIME} "GET /x HTTP/1.1" 200 - 12 0 "-" "{AGENT}" 99'
    found = apache(line, text)
    assert picked(found, "address", "path", "origin", "agent") == ("2001:db8::7", "/x", "-", AGENT)


def test_an_address_and_its_port_are_told_apart() -> None:
    text = r"%a:%{remote}p %t \"%r\" %>s"
    for address in ("203.0.113.9", "2001:db8::7"):
        assert apache(f'{address}:4711 {TIME} "GET / HTTP/1.1" 200', text)["address"] == address


def test_a_login_name_with_spaces_does_not_shift_fields() -> None:
    line = FULL.replace(" - - [", " - Ann Example [")
    assert picked(apache(line, COMBINED), "address", "agent") == ("203.0.113.9", AGENT)
    assert picked(nginx(line, NGINX), "address", "agent") == ("203.0.113.9", AGENT)


@pytest.mark.parametrize("separator", ["\\t", "|", ";", " | ", "\t"])
def test_any_separator_keeps_fields_apart(separator: str) -> None:
    written = separator.replace("\\t", "\t")
    line = written.join(("203.0.113.9", TIME, "GET /x HTTP/1.1", "200", "-", AGENT.replace(";", ""), "en-GB,en q=0.5"))
    text = separator.join(("%h", "%t", "%r", "%>s", "%{Referer}i", "%{User-Agent}i", "%{Accept-Language}i"))
    found = apache(line, text)
    assert picked(found, "path", "origin", "accept_language") == ("/x", "-", "en-GB,en q=0.5")
    assert found["agent"] == AGENT.replace(";", "")


def test_an_agent_in_no_quotes_may_hold_spaces() -> None:
    found = apache(f"203.0.113.9 {TIME} {AGENT} 200 GET /x HTTP/1.1", r"%a %t %{User-Agent}i %>s %r")
    assert picked(found, "agent", "status", "path") == (AGENT, "200", "/x")


def test_quoted_fields_with_single_spaces_between_are_one_string() -> None:
    line = f'"203.0.113.9" "{TIME[1:-1]}" "GET /x HTTP/1.1" "200"'
    assert nginx(line, '"$remote_addr" "$time_local" "$request" "$status"')["path"] == "/x"
    assert apache(line.replace(TIME[1:-1], TIME), '"%h" "%t" "%r" "%>s"')["path"] == "/x"


def test_headers_are_read_whatever_their_case() -> None:
    text = r"%a %t \"%r\" %>s \"%{ACCEPT-language}i\" \"%{x-Forwarded-FOR}i\" \"%{user-agent}I\""
    text = text.replace("}I", "}i")
    found = apache(f'10.0.0.1 {TIME} "GET / HTTP/1.1" 200 "de-DE,de;q=0.9" "203.0.113.9, 10.0.0.2" "A/1"', text)
    assert picked(found, "accept_language", "forwarded", "agent") == ("de-DE,de;q=0.9", "203.0.113.9, 10.0.0.2", "A/1")


def test_nginx_headers_are_read() -> None:
    text = f'{NGINX} "$http_accept_language" "$http_x_forwarded_for" $request_time $upstream_response_time'
    found = nginx(f'{FULL} "de" "203.0.113.1" 0.012 0.001, 0.002', text)
    assert picked(found, "accept_language", "forwarded", "agent") == ("de", "203.0.113.1", AGENT)


def test_a_declared_directive_is_read() -> None:
    text = rf"{COMBINED} \"%{{X-Time-Zone}}i\""
    found = apache(f'{FULL} "Europe/Berlin"', text, fields={"time_zone": "%{x-time-zone}i"})
    assert found["time_zone"] == "Europe/Berlin"
    found = nginx(f'{FULL} "Asia/Tokyo"', f'{NGINX} "$arg_tz"', fields={"time_zone": "$arg_tz"})
    assert found["time_zone"] == "Asia/Tokyo"
    found = nginx(f'{FULL} "198.51.100.7"', f'{NGINX} "$http_x_real_ip"', fields={"address": "${http_x_real_ip}"})
    assert found["address"] == "198.51.100.7"


def test_one_directive_may_tell_two_fields() -> None:
    text = f'{NGINX} "$http_x_forwarded_for"'
    found = nginx(f'{FULL} "198.51.100.7"', text, fields={"address": "$http_x_forwarded_for"})
    assert picked(found, "address", "forwarded") == ("198.51.100.7", "198.51.100.7")


def test_what_is_not_declared_is_not_read() -> None:
    text = rf"{COMBINED} \"%{{X-Time-Zone}}i\""
    assert "Berlin" not in str(apache(f'{FULL} "Europe/Berlin"', text))


@pytest.mark.parametrize(
    "text",
    [
        r"%t \"%r\" %>s",
        r"%h \"%r\" %>s",
        r"%h %t %>s",
        r"%h %t \"%r\"",
        "",
        "combined",
        r"%h %{%Q}t \"%r\" %>s",
        r"%h %{%H:%M}t \"%r\" %>s",
        r"%h %t \"%r\" %>s %",
        r"%h %t \"%r\" %>s\n%b",
    ],
)
def test_an_unusable_string_of_apache_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        opened(format="apache", log_format=text or " ")


@pytest.mark.parametrize("text", ['[$time_local] "$request" $status', "$remote_addr $status", "main", "$remote_addr"])
def test_an_unusable_string_of_nginx_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        opened(format="nginx", log_format=text)


@pytest.mark.parametrize(
    "fields",
    [{"agent": "%{X-Missing}i"}, {"agent": ""}, {"agent": "plain"}, {"agent": "%{User-Agent}i %{Referer}i"},
     {"agent": "%"}, {"time": "%{User-Agent}i"}, {"agent": "\t,\0"}],
)  # fmt: skip
def test_a_declared_field_that_the_string_does_not_have_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as failure:
        opened(format="apache", log_format=COMBINED, fields=fields)
    assert str(failure.value).isprintable()


@pytest.mark.parametrize(
    ("server", "directive"),
    [
        ("apache", "%{Cookie}i"),
        ("apache", "%{cookie}i"),
        ("apache", "%{Set-Cookie}o"),
        ("apache", "%{session}C"),
        ("apache", "%!200{session}C"),
        ("nginx", "$http_cookie"),
        ("nginx", "$cookie_session"),
        ("nginx", "${cookie_session}"),
        ("nginx", "$sent_http_set_cookie"),
    ],
)
def test_a_cookie_is_matched_and_never_read(server: str, directive: str) -> None:
    base = COMBINED if server == "apache" else NGINX
    mark = "\\" if server == "apache" else ""
    text = rf'{base} {mark}"{directive}{mark}" {mark}"%{{Accept-Language}}i{mark}"'
    text = text if server == "apache" else text.replace("%{Accept-Language}i", "$http_accept_language")
    line = f'{FULL} "session={PLANTED}; \\"{PLANTED}\\" x" "de"'
    found = read_one(line, format=server, log_format=text)
    assert picked(found, "agent", "accept_language") == (AGENT, "de")
    for field in ("agent", "time_zone", "address", "accept_language"):
        with pytest.raises(ConfigurationError, match="cookie"):
            opened(format=server, log_format=text, fields={field: directive})


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("apache", r"%h %t \"%r\" %>s %{Cookie}i %{User-Agent}i"),
        ("apache", r"%h %t \"%r\" %>s %{User-Agent}i %{Cookie}i"),
        ("apache", r"%h %t \"%r\" %>s %{session}C %{X-Time-Zone}i \"%{User-Agent}i\""),
        ("apache", r"%h %t \"%r\" %>s [%{Cookie}i] [%{User-Agent}i]"),
        ("apache", r"%h %t \"%r\" %>s \"%{Cookie}i%{User-Agent}i\""),
        ("nginx", '$remote_addr [$time_local] "$request" $status $http_cookie $http_user_agent'),
        ("nginx", "$remote_addr|$time_local|$request|$status|$http_cookie|$http_user_agent"),
        ("nginx", 'escape=none \'$remote_addr [$time_local] "$request" $status "$http_cookie" "$http_user_agent"\''),
    ],
)
@pytest.mark.parametrize(
    "cookie", ["a={c}", "a=b; c={c}", "a=b] [{c}", 'a=b" "{c}', "a=b|{c}", "a=b 200 {c}", "{c} ; {c}", 'x" "y" "{c}']
)
def test_a_cookie_without_quotes_of_its_own_never_gets_into_another_field(server: str, text: str, cookie: str) -> None:
    held = cookie.format(c=PLANTED)
    held = held if "escape=none" in text else held.replace('"', '\\"')
    line = (
        text.replace("escape=none ", "").strip("'").replace('\\"', '"')
        .replace("%h", "203.0.113.9").replace("$remote_addr", "203.0.113.9").replace("%t", TIME)
        .replace("$time_local", TIME[1:-1]).replace("%r", "GET / HTTP/1.1").replace("$request", "GET / HTTP/1.1")
        .replace("%>s", "200").replace("$status", "200").replace("%{User-Agent}i", AGENT)
        .replace("$http_user_agent", AGENT).replace("%{Cookie}i", held).replace("$http_cookie", held)
        .replace("%{session}C", held).replace("%{X-Time-Zone}i", "UTC")
    )  # fmt: skip
    try:
        read(line, format=server, log_format=text)  # looks for what is planted
    except ConfigurationError as failure:
        assert "cookie" in str(failure)  # noqa: PT017


@pytest.mark.parametrize(
    "line",
    ["", "garbage", "\0", '"', "[" * 5000, FULL[:-1], FULL + "more", " " + FULL, "é" * 300, FULL.replace(TIME, "-"),
     FULL.replace("[", "")],
)  # fmt: skip
def test_what_is_not_of_the_format_has_no_address(line: str) -> None:
    assert apache(line, COMBINED)["address"] == ""
    assert nginx(line, NGINX)["address"] == ""


def test_escapes_of_apache_and_nginx_are_undone_in_paths() -> None:
    line = BASIC.replace("/docs/a", r"/d\xC3\xB6cs/\"a\"") + r' "-" "A \"quoted\" \\ \xE2\x82\xAC agent"'
    for found in (apache(line, COMBINED), nginx(line, NGINX)):
        assert picked(found, "path", "agent") == ('/döcs/"a"', line[line.index("A ") : -1])


def test_escapes_that_are_no_text_are_left_as_they_are() -> None:
    found = apache(FULL.replace(AGENT, r"bad \xE4 and \x end\\"), COMBINED)
    assert picked(found, "address", "agent") == ("203.0.113.9", r"bad \xE4 and \x end\\")


def test_json_written_by_a_string_of_nginx_is_read() -> None:
    text = (
        "log_format json escape=json '{"
        '"time":"$time_iso8601","addr":"$remote_addr","method":"$request_method","uri":"$request_uri",'
        '\'\n \'"status":$status,"agent":"$http_user_agent","referer":"$http_referer","cookie":"$http_cookie"}\';'
    )
    line = (
        '{"time":"2026-10-05T10:11:12+02:00","addr":"203.0.113.9","method":"GET","uri":"/x?y=1",'
        f'"status":200,"agent":"A \\"b\\" c","referer":"","cookie":"{PLANTED}"}}'
    )
    found = nginx(line, text)
    assert picked(found, "address", "path", "query", "status", "origin") == ("203.0.113.9", "/x", "?y=1", "200", "-")
    assert found["agent"] == r"A \"b\" c"


def test_of_fields_that_a_string_does_not_have_nothing_is_told() -> None:
    found = apache(BASIC, r"%h %l %u %t \"%r\" %>s %b")
    assert picked(found, "origin", "agent", "forwarded", "accept_language", "time_zone") == (None, None, "", "", "")


def test_a_string_with_signs_of_regular_expressions_stands_for_itself() -> None:
    found = apache(f"(*203.0.113.9*) .+? {TIME} {{^$}} \"GET / HTTP/1.1\" '200'", r"(*%h*) .+? %t {^$} \"%r\" '%>s'")
    assert picked(found, "address", "status") == ("203.0.113.9", "200")
