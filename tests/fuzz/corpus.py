"""Lines of every format that is read, made up: what fuzzing begins with, and what its lines are spliced of.

Each of ``PLANTED`` stands where nothing reads it (cookies, logins, query strings), or in what is read and generalised
(a path, a referrer, an agent); none may come out of de-identification. ``cookie`` stands where no format reads it at
all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

DAY: Final = "2026-10-05"
COOKIE: Final = "PlantedCookie77"
EMAIL: Final = "planted.person@mail.planted-example.org"
PLANTED: Final = (COOKIE, "planted.person", "PlantedAgent", "planted-host", "planted-path", "203.0.113.77")
CHROME: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
FIREFOX: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 PlantedAgent/1"
SAFARI: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)
BOT: Final = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AGENTS: Final = (CHROME, FIREFOX, SAFARI, BOT)
ADDRESSES: Final = ("203.0.113.77", "2001:db8::77", "198.51.100.4", "::ffff:203.0.113.9")
REFERRERS: Final = (
    "-",
    f"https://planted-host.planted-example.org/inbox?to={EMAIL}",
    "https://www.google.com/search?q=planted-path",
    "android-app://com.example.app/",
)
PATHS: Final = (
    "/docs/a",
    f"/planted-path/{EMAIL}",
    f"/shop/b.html?email={EMAIL}&utm_source=x&tz=Europe/Berlin",
    "/get/file.zip?utm_campaign=y",
)
LANGUAGES: Final = ("de-DE,de;q=0.9,en;q=0.5", "fr", "-", "*;q=0")


@dataclass(frozen=True)
class Kind:
    """One way in which logs are written.

    Attributes:
        name: For the counter.
        source: What the site file says of such a log, beside its path.
        lines: Requests, all of which can be used, but for those of bots.
        head: What the file begins with, and may have again later.
    """

    name: str
    source: dict[str, Any]
    lines: tuple[str, ...]
    head: tuple[str, ...] = field(default=())


def _requests(template: str, **more: tuple[str, ...]) -> tuple[str, ...]:
    """Eight lines of a template, with values that go round and meet in many ways."""
    given: dict[str, tuple[str, ...]] = {
        "address": ADDRESSES,
        "agent": AGENTS,
        "referrer": REFERRERS,
        "target": PATHS,
        "language": LANGUAGES,
    }
    given |= {"status": ("200", "304", "404", "500"), "cookie": (COOKIE,), "email": (EMAIL,)}
    given |= {"path": tuple(path.partition("?")[0] for path in PATHS)}
    given |= {"query": tuple(path.partition("?")[2] for path in PATHS)} | more
    return tuple(_filled(template, given, number) for number in range(8))


def _filled(template: str, given: dict[str, tuple[str, ...]], number: int) -> str:
    values = {
        name: found[(number + place * (number // 4)) % len(found)] for place, (name, found) in enumerate(given.items())
    }
    values["second"] = f"{number:02d}"
    return re.sub("<([a-z_]+)>", lambda found: values[found[1]], template)


_TIME: Final = "[05/Oct/2026:10:00:<second> +0000]"
_COMMON: Final = f'<address> - <email> {_TIME} "GET <target> HTTP/1.1" <status> 12'
_COMBINED: Final = f'{_COMMON} "<referrer>" "<agent>"'
_ALB: Final = (
    "https 2026-10-05T10:00:<second>.186641Z app/balancer/50dc6c495c0c9188 <plain>:2817 10.0.0.1:80 0.086 0.048 0.037 "
    '<status> <status> 0 57 "GET https://www.example.com:443<target> HTTP/1.1" "<agent>" ECDHE-RSA-AES128 TLSv1.2 '
    'arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/73e2d6bc24d8a067 "Root=1-58337281-<cookie>" '
    '"www.example.com" "arn:aws:acm:eu-central-1:123456789012:certificate/1" 1 2026-10-05T10:00:00.058000Z '
    '"forward" "-" "-" "10.0.0.1:80" "<status>" "-" "-"'
)
_CLOUDFRONT: Final = (
    "2026-10-05\t10:00:<second>\tFRA2-C1\t2390\t<address>\tGET\td111.cloudfront.net\t<path>\t<status>\t<packed_referrer>\t"
    "<packed_agent>\t<packed_query>\t<cookie>\tHit\tabc==\twww.example.com\thttps\t23\t0.001\t-\tTLSv1.2\t"
    "ECDHE-RSA-AES128\tHit\tHTTP/2.0\t-\t-\t4711\t0.001\tHit\ttext/html\t78\t-\t-"
)
_W3C: Final = (
    "2026-10-05 10:00:<second> 10.0.0.1 GET <path> <dashed_query> 443 <email> <address> <plus_agent> <plus_referrer> "
    "<cookie> <status> 0 0 15"
)
_CADDY: Final = (
    '{"level":"info","ts":1791194400.<second>,"logger":"http.log.access","msg":"handled request","request":{'
    '"remote_ip":"<address>","remote_port":"4711","client_ip":"<address>","proto":"HTTP/2.0","method":"GET",'
    '"host":"www.example.com","uri":"<target>","headers":{"User-Agent":["<agent>"],"Referer":["<referrer>"],'
    '"Accept-Language":["<language>"],"Cookie":["session=<cookie>"],"X-Forwarded-For":["203.0.113.77"]}},'
    '"user_id":"<email>","duration":0.001,"size":12,"status":<status>,"resp_headers":{"Server":["Caddy"]}}'
)
_TRAEFIK: Final = (
    '{"ClientAddr":"<bracketed>:4711","ClientHost":"<address>","ClientUsername":"<email>","DownstreamStatus":<status>,'
    '"RequestMethod":"GET","RequestPath":"<target>","RequestProtocol":"HTTP/1.1","StartUTC":"2026-10-05T10:00:<second>'
    '.123456789Z","request_Cookie":"session=<cookie>","request_User-Agent":"<agent>","request_Referer":"<referrer>",'
    '"level":"info","msg":"","time":"2026-10-05T10:00:<second>Z"}'
)
_NGINX_JSON: Final = (
    '{"time_iso8601":"2026-10-05T10:00:<second>+00:00","remote_addr":"<address>","remote_user":"<email>",'
    '"request":"GET <target> HTTP/1.1","status":"<status>","http_referer":"<referrer>","http_user_agent":"<agent>",'
    '"http_accept_language":"<language>","http_x_forwarded_for":"203.0.113.77","http_cookie":"<cookie>"}'
)
_PLUS_AGENTS: Final = tuple(agent.replace(" ", "+") for agent in AGENTS)
_PERCENT_AGENTS: Final = tuple(agent.replace("%", "%25").replace(" ", "%20") for agent in AGENTS)
_CLOUDFRONT_HEAD: Final = (
    "#Version: 1.0",
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes "
    "time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end",
)
_W3C_HEAD: Final = (
    "#Software: Microsoft Internet Information Services 10.0",
    "#Version: 1.0",
    "#Date: 2026-10-05 00:00:00",
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
    "cs(Cookie) sc-status sc-substatus sc-win32-status time-taken",
)
APACHE: Final = r"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" \"%{Cookie}i\" %D"
APACHE_PARTS: Final = (
    r"%a %{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t%{%z}t %m %U%q %s \"%{X-Forwarded-For}i\" \"%{User-Agent}i\""
)
NGINX: Final = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
    '"$http_x_forwarded_for" "$http_accept_language" "$http_cookie"'
)
NGINX_PIPES: Final = "$time_iso8601|$remote_addr|$request_method|$uri|$args|$status|$http_user_agent|$cookie_session"

KINDS: Final = (
    Kind("common", {"format": "common"}, _requests(_COMMON)),
    Kind("combined", {"format": "combined"}, _requests(_COMBINED)),
    Kind(
        "combined with more",
        {"format": "combined", "trailing_fields": ["accept_language", "-", "forwarded"]},
        _requests(f'{_COMBINED} "<language>" "<cookie>" "203.0.113.77, 10.0.0.1"'),
    ),
    Kind("common with host", {"format": "common_with_host"}, _requests(f"www.example.com:443 {_COMMON}")),
    Kind("combined with host", {"format": "combined_with_host"}, _requests(f"www.example.com {_COMBINED}")),
    Kind("detected", {}, _requests(_COMBINED)),
    Kind(
        "apache",
        {"format": "apache", "log_format": APACHE},
        _requests(f'www.example.com:443 {_COMBINED} "session=<cookie>" 1234'),
    ),
    Kind(
        "apache in parts",
        {"format": "apache", "log_format": APACHE_PARTS},
        _requests('<address> 2026-10-05T10:00:<second>.123+0000 GET <target> <status> "203.0.113.77" "<agent>"'),
    ),
    Kind(
        "nginx",
        {"format": "nginx", "log_format": NGINX},
        _requests(f'{_COMBINED} "203.0.113.77, 10.0.0.1" "<language>" "<cookie>"'),
    ),
    Kind(
        "nginx with pipes",
        {"format": "nginx", "log_format": NGINX_PIPES},
        _requests("2026-10-05T10:00:<second>+00:00|<address>|GET|<path>|<query>|<status>|<agent>|<cookie>"),
    ),
    Kind(
        "w3c",
        {"format": "w3c"},
        _requests(
            _W3C,
            plus_agent=_PLUS_AGENTS,
            plus_referrer=REFERRERS,
            dashed_query=("-", f"email={EMAIL}", "utm_source=x"),
        ),
        _W3C_HEAD,
    ),
    Kind("json of Caddy", {"format": "json"}, _requests(_CADDY)),
    Kind(
        "json of Traefik",
        {"format": "json"},
        _requests(_TRAEFIK, bracketed=("203.0.113.77", "[2001:db8::77]", "198.51.100.4", "[::ffff:203.0.113.9]")),
    ),
    Kind("json of nginx", {"format": "json"}, _requests(_NGINX_JSON)),
    Kind("alb", {"format": "alb"}, _requests(_ALB, plain=("203.0.113.77", "198.51.100.4"))),
    Kind(
        "cloudfront",
        {"format": "cloudfront"},
        _requests(
            _CLOUDFRONT,
            packed_agent=_PERCENT_AGENTS,
            packed_referrer=REFERRERS,
            packed_query=("-", f"email={EMAIL}", "utm_source=x"),
        ),
        _CLOUDFRONT_HEAD,
    ),
)

ERROR_LINES: Final = (
    "[Mon Oct 05 10:00:00.123456 2026] [core:error] [pid 77:tid 139] [client 203.0.113.77:4711] AH00128: File does not "
    f"exist: /var/www/planted-path/{EMAIL}, referer: https://planted-host.planted-example.org/",
    "[Mon Oct 05 10:00:01 2026] [error] [client 203.0.113.77] client denied by server configuration: /var/www/x",
    "[Mon Oct 05 10:00:02.000001 2026] [mpm_event:notice] [pid 1:tid 1] AH00489: Apache/2.4.57 configured",
    "[Mon Oct 05 10:00:03.5 2026] [proxy:warn] [pid 2] (111)Connection refused: [remote 203.0.113.77:80] AH01084",
    '2026/10/05 10:00:04 [error] 77#77: *4711 open() "/var/www/planted-path" failed (2: No such file or directory), '
    f'client: 203.0.113.77, server: www.example.com, request: "GET /x?email={EMAIL} HTTP/1.1", host: "www.example.com"',
    "2026/10/05 10:00:05 [crit] 77#77: *1 SSL_do_handshake() failed while SSL handshaking, client: 2001:db8::77",
    "2026/10/05 10:00:06 [notice] 1#1: signal process started",
    "2026/10/05 10:00:07 [error] 77#77: *2 upstream timed out (110: Connection timed out) while connecting, client: "
    '203.0.113.77, server: x, request: "GET / HTTP/1.1", upstream: "http://10.0.0.1/"',
)

LOG_FORMATS: Final = (
    ("apache", APACHE),
    ("apache", APACHE_PARTS),
    ("apache", r"%h %l %u %t \"%r\" %>s %b"),
    ("apache", r"%{c}a %{X-Real-IP}i %{sec}t \"%r\" %<s %^FU %!200,304{Referer}i %%"),
    ("nginx", NGINX),
    ("nginx", NGINX_PIPES),
    ("nginx", 'escape=json \'{"time":"$time_iso8601","addr":"$remote_addr","request":"$request"}\''),
    ("nginx", "${remote_addr}:$remote_port $msec $request_uri$is_args$args $status"),
)

# What strings of formats are made of.
FORMAT_PIECES: Final = (
    "%h", "%a", "%{c}a", "%t", "%{%s}t", "%{msec}t", "%{begin:%Y-%m-%d}t", '%r', '\\"%r\\"', "%>s", "%s", "%b", "%U",
    "%q", "%{Referer}i", "%{User-Agent}i", "%{Cookie}i", "%{X-Forwarded-For}i", "%!200i", "%", "%%", "%{", "%{}i",
    "$remote_addr", "$time_local", "$time_iso8601", "$msec", "$request", "$request_uri", "$uri", "$args", "$status",
    "$http_user_agent", "$http_referer", "$http_cookie", "${remote_addr}", "${", "$", "$$", "$arg_tz", "escape=json",
    "'", '"', "\\", "[", "]", "(", ")", "*", "+", "?", "|", " ", "\t", "\0", "\n", "é", "{", "}", ":", ",", "^",
)  # fmt: skip

W3C_FIELDS: Final = (
    "#Fields:", "#Fields: ", "#fields:", "#Software: x", "#", "date", "time", "c-ip", "s-ip", "cs-method",
    "cs-uri-stem", "cs-uri-query", "cs-uri", "sc-status", "cs(User-Agent)", "cs(Referer)", "cs(Cookie)", "cs()", "(",
    "c-ip c-ip", "x-forwarded-for", "cs(X-Forwarded-For)", "cs(Accept-Language)", "é", "\t", "  ", '"', "'", "\\", "-",
)  # fmt: skip

# What breaks parsers: brackets, escapes, control characters, wide numbers, times that are none, depth.
NASTY: Final = (
    b'"', b"\\", b'\\"', b"\\x", b"\\x22", b"\\xE4", b"\\u0000", b"[", b"]", b" ", b"  ", b"\t", b"\r", b"\0",
    b"\x1b[2J", b"\x7f", b"\xff", b"\xc3", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\xe2\x80\xae", b"-", b"--", b"%", b"%00", b"%2", b"%u0041", b"'", b"''", b"`", b"$", b"{", b"}", b"{}", b"[]",
    b":", b"::", b",", b";", b"=", b"=cmd|'/c calc'!A0", b"+1+1", b"@SUM(A1)", b"#", b"#Fields:", b"0", b"-1",
    b"1e400", b"NaN", b"99999999999999999999", b"29/Feb/2025:25:61:61 +9999", b"31/Dec/9999:23:59:60 -1459",
    b"01/Jan/0000:00:00:00 +0000", b"9999-12-31T24:00:00Z", b"2026-10-25T02:30:00+02:00", b"2026-02-30",
    b"-292277022657-01-27", b"1791194400", b"1791194400.123", b"0x7f.1", b"1.2.3", b"256.1.1.1", b"::1%eth0",
    b"[::1]:80", b"1.2.3.4:80", b"unknown", b"null", b"true", b"GET", b"HTTP/1.1", b"https://", b"https://[",
    b"https://a.example@b.example:99999/", b"http://xn--/", b"http://\xf0\x9f\x92\xa9.la/", b"//", b"/../", b"?",
    b"?tz=", b"?tz=Europe/Berlin", b"?utm_source=", b"q=1e9", b"de;q=", b"*", b"[" * 200, b'{"a":' * 100,
)  # fmt: skip
