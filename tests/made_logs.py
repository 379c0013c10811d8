"""The same made-up requests, logged as each server would log them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
COOKIE: Final = "session=4711"
SERVER: Final = "10.0.0.1"


@dataclass(frozen=True)
class Request:
    """One request; ``-`` stands for what it does not have."""

    address: str = "198.51.100.7"
    moment: dt.datetime = dt.datetime(2026, 10, 5, 10, 0, 0, tzinfo=dt.UTC)
    path: str = "/docs/start"
    query: str = ""
    status: int = 200
    referrer: str = "https://www.shop.example/a"
    agent: str = AGENT
    language: str = "de-DE,de;q=0.9"
    forwarded: str = "-"

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def head(self) -> str:
        """Address, names, time, request, status and size, as in the common format."""
        moment = f"{self.moment:%d/%b/%Y:%H:%M:%S %z}"
        return f'{self.address} - - [{moment}] "GET {self.target} HTTP/1.1" {self.status} 512'


def common(requests: Iterable[Request]) -> str:
    """Apache's common format."""
    return "".join(f"{one.head}\n" for one in requests)


def combined(requests: Iterable[Request]) -> str:
    """The combined format of Apache and nginx."""
    return "".join(f'{one.head} "{one.referrer}" "{one.agent}"\n' for one in requests)


def combined_with_languages(requests: Iterable[Request]) -> str:
    """Combined, with a cookie and the language after it."""
    return "".join(f'{one.head} "{one.referrer}" "{one.agent}" "{COOKIE}" "{one.language}"\n' for one in requests)


def nginx_main(requests: Iterable[Request]) -> str:
    """The format ``main`` of nginx's own packages: combined, with X-Forwarded-For after it."""
    return "".join(f'{one.head} "{one.referrer}" "{one.agent}" "{one.forwarded}"\n' for one in requests)


def combined_with_host(requests: Iterable[Request]) -> str:
    """Apache's ``vhost_combined``."""
    return "".join(f'www.shop.example:443 {one.head} "{one.referrer}" "{one.agent}"\n' for one in requests)


def common_with_host(requests: Iterable[Request]) -> str:
    """Apache's common format after the virtual host."""
    return "".join(f"www.shop.example:443 {one.head}\n" for one in requests)


def iis(requests: Iterable[Request]) -> str:
    """IIS: W3C extended, with its default fields and the language."""
    names = (
        "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
        "cs(Cookie) cs(Accept-Language) sc-status sc-substatus sc-win32-status time-taken"
    )
    head = f"#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: {names}\n"

    def line(one: Request) -> str:
        moment = one.moment.astimezone(dt.UTC)
        return (
            f"{moment:%Y-%m-%d %H:%M:%S} {SERVER} GET {one.path} {one.query or '-'} 443 - {one.address} "
            f"{one.agent.replace(' ', '+')} {one.referrer} {COOKIE} {one.language} {one.status} 0 0 15\n"
        )

    return head + "".join(map(line, requests))


def cloudfront(requests: Iterable[Request]) -> str:
    """CloudFront's standard logs."""
    names = (
        "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
        "cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken "
        "x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
        "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
        "sc-range-start sc-range-end"
    )

    def line(one: Request) -> str:
        moment = one.moment.astimezone(dt.UTC)
        fields = [
            f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}", "FRA56-P2", "512", one.address, "GET",
            "d111111abcdef8.cloudfront.net", one.path, str(one.status), one.referrer, quote(one.agent, safe="/(),:;="),
            one.query or "-", COOKIE, "Hit", "SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==",
            "www.shop.example", "https", "23", "0.001", one.forwarded, "TLSv1.3", "TLS_AES_128_GCM_SHA256", "Hit",
            "HTTP/2.0", "-", "-", "11040", "0.001", "Hit", "text/html", "78", "-", "-",
        ]  # fmt: skip
        return "\t".join(fields) + "\n"

    return f"#Version: 1.0\n#Fields: {names}\n" + "".join(map(line, requests))


def alb(requests: Iterable[Request]) -> str:
    """Application load balancers of AWS."""

    def line(one: Request) -> str:
        moment = f"{one.moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/73e2d6bc24d8a067"
        return (
            f"https {moment} app/web/50dc6c495c0c9188 {one.address}:2817 {SERVER}:80 0.086 0.048 0.037 {one.status} "
            f'{one.status} 0 57 "GET https://www.shop.example:443{one.target} HTTP/1.1" "{one.agent}" '
            f'ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {group} "Root=1-58337281-1d84f3d73c47ec4e58577259" '
            f'"www.shop.example" "session-reused" 1 {moment} "forward" "-" "-" "{SERVER}:80" "{one.status}" "-" "-" '
            "TID_1234abcd5678ef90\n"
        )

    return "".join(map(line, requests))


def caddy(requests: Iterable[Request]) -> str:
    """Caddy's JSON."""

    def line(one: Request) -> str:
        headers = {"User-Agent": one.agent, "Referer": one.referrer, "Accept-Language": one.language, "Cookie": COOKIE}
        headers |= {"X-Forwarded-For": one.forwarded}
        request = {
            "remote_ip": one.address, "remote_port": "41342", "client_ip": one.address, "proto": "HTTP/2.0",
            "method": "GET", "host": "www.shop.example", "uri": one.target,
            "headers": {name: [value] for name, value in headers.items() if value != "-"},
            "tls": {"resumed": False, "version": 772, "cipher_suite": 4865, "proto": "h2", "server_name": "x.example"},
        }  # fmt: skip
        entry = {
            "level": "info", "ts": one.moment.timestamp() + 0.25, "logger": "http.log.access.log0",
            "msg": "handled request", "request": request, "bytes_read": 0, "user_id": "", "duration": 0.000929675,
            "size": 10900, "status": one.status, "resp_headers": {"Server": ["Caddy"]},
        }  # fmt: skip
        return json.dumps(entry) + "\n"

    return "".join(map(line, requests))


def traefik(requests: Iterable[Request]) -> str:
    """Traefik's JSON, with the headers that it was told to keep."""

    def line(one: Request) -> str:
        headers = {"User-Agent": one.agent, "Referer": one.referrer, "Accept-Language": one.language}
        entry: dict[str, object] = {
            "ClientAddr": f"{one.address}:41342", "ClientHost": one.address, "ClientPort": "41342",
            "ClientUsername": "-", "DownstreamContentSize": 512, "DownstreamStatus": one.status, "Duration": 929675,
            "OriginStatus": one.status, "RequestAddr": "www.shop.example", "RequestHost": "www.shop.example",
            "RequestMethod": "GET", "RequestPath": one.target, "RequestProtocol": "HTTP/2.0",
            "StartUTC": f"{one.moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}789Z", "entryPointName": "websecure",
            "level": "info", "msg": "", "time": f"{one.moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        }  # fmt: skip
        return json.dumps(entry | {f"request_{name}": value for name, value in headers.items() if value != "-"}) + "\n"

    return "".join(map(line, requests))


def nginx_json(requests: Iterable[Request]) -> str:
    """A JSON ``log_format`` of nginx with the names of its variables."""

    def line(one: Request) -> str:
        entry = {
            "time_iso8601": one.moment.isoformat(), "remote_addr": one.address, "remote_user": "",
            "request": f"GET {one.target} HTTP/2.0", "status": str(one.status), "body_bytes_sent": "512",
            "http_referer": "" if one.referrer == "-" else one.referrer, "http_user_agent": one.agent,
            "http_accept_language": one.language, "http_cookie": COOKIE,
            "http_x_forwarded_for": "" if one.forwarded == "-" else one.forwarded,
        }  # fmt: skip
        return json.dumps(entry) + "\n"

    return "".join(map(line, requests))


Logged = Callable[[Iterable[Request]], str]
DETECTED: Final[dict[str, Logged]] = {
    "common": common,
    "combined": combined,
    "combined with languages": combined_with_languages,
    "nginx main": nginx_main,
    "combined with host": combined_with_host,
    "common with host": common_with_host,
    "IIS": iis,
    "CloudFront": cloudfront,
    "ALB": alb,
    "Caddy": caddy,
    "Traefik": traefik,
    "nginx JSON": nginx_json,
}
