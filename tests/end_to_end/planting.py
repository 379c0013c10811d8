"""Plants unmistakable identifiers in every source of a small site, and looks for them in all that a run leaves."""

from __future__ import annotations

import csv
import sqlite3
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final

import yaml

from tests.end_to_end.traces import Traces

EMAIL = "Zebulon.Quagmire@unmistakable.example"
NAME = "Zebulon Quagmire-Featherstonehaugh"
PHONE = "+49-30-99887766"
TOKEN = "tok-PLANTEDc0ffee5eed"
CARD = "4000056655665556"
IBAN = "DE02120300000000202051"
ADDRESS_V4 = "8.8.113.77"
ADDRESS_V6 = "2001:4860:0:77:beef:cafe:0:5eed"
FORWARDED = "8.8.114.78"
PROXY = "192.0.2.77"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 PlantedAgent/77.5eed"
LONG_AGENT = f"{AGENT} {'PlantedExtension/1.0 ' * 40}PlantedEnd"
PATH = "/account/quagmire-private-folder"
QUERY = "?attendee=quagmire"
REFERRER = f"https://intranet.quagmire-holdings.example/board/minutes{QUERY}"
COOKIE = "session=PLANTEDc00c1e5e5510n; visitor=quagmire-visitor-77"
SESSION = "PLANTEDc00c1e5e5510n"
CUSTOMER = "C-PLANTED-7755"
REFERENCE = "pay_plantedquagmire"
LOGIN = "quagmire.login"

PLANTED = (
    EMAIL,
    NAME,
    PHONE,
    TOKEN,
    CARD,
    IBAN,
    ADDRESS_V4,
    ADDRESS_V6,
    FORWARDED,
    PROXY,
    AGENT,
    LONG_AGENT,
    PATH,
    REFERRER,
    COOKIE,
    SESSION,
    CUSTOMER,
    REFERENCE,
    LOGIN,
)
# Those that have a form by which they are known.
_SHAPELESS = {NAME, PATH, COOKIE, CUSTOMER, REFERENCE, LOGIN}
SHAPED = tuple(text for text in PLANTED if text not in _SHAPELESS)
FRAGMENTS = (
    "quagmire",
    "PlantedAgent",
    "PlantedExtension",
    "PLANTEDc0ffee",
    "PLANTEDc00c1e",
    "beef:cafe",
    "C-PLANTED",
    "https://intranet",
)

_AGENTS: Final = (AGENT, LONG_AGENT, LONG_AGENT[:512])  # ingestion tells agents apart by as much
_JOINED: Final = ("", "\0", " ", "|", ",", ":", "\t")
_OTHER_FORMS: Final = (
    LONG_AGENT[:512],
    f"{PATH}{QUERY}",
    f"GET {PATH} HTTP/1.1",
    QUERY[1:],
    REFERRER.removesuffix(QUERY),
    "https://intranet.quagmire-holdings.example",
    "intranet.quagmire-holdings.example",
    "quagmire-holdings.example",
    "2001:4860:0000:0077:beef:cafe:0000:5eed",
    "2001:4860:0:77::",
    "8.8.113.0",
    f"::ffff:{ADDRESS_V4}",
    " ".join(CARD[place : place + 4] for place in range(0, 16, 4)),
    " ".join(IBAN[place : place + 4] for place in range(0, 22, 4)),
    PHONE.replace("-", ""),
    NAME.replace(" ", "+"),
    NAME.split()[1],
    EMAIL.split("@", maxsplit=1)[0],
    COOKIE.split("; ")[1],
)


@cache
def traces() -> Traces:
    """A search for the identifiers, and for plain digests of them, of other forms of them and of combinations."""
    pairs = [*product((ADDRESS_V4, ADDRESS_V6, FORWARDED), _AGENTS), (NAME, EMAIL), (CUSTOMER, EMAIL)]
    combined = {f"{one}{between}{other}" for one, other in pairs for between in _JOINED}
    combined |= {f"{other}{between}{one}" for one, other in pairs for between in ("", "\0", "|")}
    return Traces((*PLANTED, *FRAGMENTS), (*PLANTED, *_OTHER_FORMS), sorted(combined))


def leaks(home: Path) -> list[str]:
    """Where a planted identifier, or a plain digest of one, is found under a site's folder, its sources left out."""
    return traces().found_under(home, leave_out=["sources"])


def plant(home: Path) -> None:
    """Put the identifiers into all sources of the sample's site, and declare those of them that it does not have."""
    _plant_logs(home / "sources" / "logs")
    _plant_customers(home / "sources")
    _declare(home / "site.yaml")


def _plant_logs(folder: Path) -> None:
    # Lines that are used, rejected and left out.
    _write(
        folder / "access.log.planted",
        _line(ADDRESS_V4, "/docs/x", AGENT),
        _line(ADDRESS_V4, "/docs/x", LONG_AGENT),
        _line(ADDRESS_V6, f"/docs/x?email={EMAIL}&token={TOKEN}&name={NAME.replace(' ', '+')}", AGENT),
        _line(ADDRESS_V4, PATH, AGENT, referrer=REFERRER, login=LOGIN),
        _line(ADDRESS_V4, f"/store/pay?card={CARD}&phone={PHONE}&iban={IBAN}", AGENT, login=EMAIL),
        _line(EMAIL, "/docs/no-address", AGENT),  # rejected: no address
        _line(ADDRESS_V4, "/docs/bot", f"Googlebot/2.1 {EMAIL}"),  # left out: bot
        f'{ADDRESS_V4} - {LOGIN} [07/Oct/2026:12:00:00 +0000] "GET {PATH} half a line from {EMAIL}',  # rejected: format
        f'{ADDRESS_V4} - - [77/Oct/2026:12:00:00 +0000] "GET {PATH} HTTP/1.1" 200 5 "{REFERRER}" "{AGENT}" "de"',
    )
    # A cookie is logged last; a proxy says for whom it asks.
    _write(
        folder / "cookies.log",
        _line(ADDRESS_V4, "/docs/y", AGENT) + f' "-" "{COOKIE}"',
        _line(PROXY, "/docs/z", AGENT) + f' "{FORWARDED}" "{COOKIE}; email={EMAIL}"',
        _line(ADDRESS_V6, PATH, AGENT, referrer=REFERRER) + f' "{EMAIL}" "{COOKIE}',  # rejected: an open quote
    )
    # Errors of the requests above.
    _write(
        folder / "error-apache.log",
        f"[Wed Oct 07 12:00:00.123456 2026] [php:error] [pid 77:tid 7] [client {ADDRESS_V4}:51234] PHP Warning:  "
        f"no mail to {EMAIL} in /srv/www{PATH}/mail.php on line 77, referer: {REFERRER}",
    )
    _write(
        folder / "error-nginx.log",
        f'2026/10/07 12:00:00 [error] 77#77: *5 open() "/srv/www{PATH}" failed (2: No such file or directory), client: '
        f'{ADDRESS_V6}, server: example.com, request: "GET {PATH}?email={EMAIL} HTTP/1.1", host: "example.com", '
        f'referrer: "{REFERRER}"',
    )


def _plant_customers(sources: Path) -> None:
    with sqlite3.connect(sources / "customers.db") as connection:
        connection.execute(
            "INSERT INTO customers VALUES "
            "(?, ?, ?, 'Germany', 'business', 5, ?, '2024-05-05', 1, '2024-05', ?, ?, NULL)",
            [CUSTOMER, NAME, EMAIL, PHONE, TOKEN, NAME],
        )
    with (sources / "orders.csv").open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["O-1", CUSTOMER, EMAIL, "Studio", 100, "EUR", "paid", "2026-10-07T10:00:00Z", REFERENCE])
        writer.writerow(["O-2", EMAIL, EMAIL, NAME, 100, "EUR", "paid", "2026-10-07T10:00:00Z", REFERENCE])


def _declare(site_file: Path) -> None:
    site = yaml.safe_load(site_file.read_text("utf-8"))
    fields = ["accept_language", "forwarded", "-"]
    log = {"paths": ["sources/logs/cookies.log"], "format": "combined", "trailing_fields": fields}
    site["visitors"]["logs"] = [*site["visitors"]["logs"], log]
    site["visitors"]["error_logs"] = ["sources/logs/error-*.log"]
    site["visitors"]["trusted_proxies"] = ["192.0.2.0/24"]
    site_file.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True), "utf-8")


def _line(host: str, target: str, agent: str, *, referrer: str = "-", login: str = "-") -> str:
    return f'{host} - {login} [07/Oct/2026:12:00:00 +0000] "GET {target} HTTP/1.1" 200 5 "{referrer}" "{agent}" "de-DE"'


def _write(path: Path, *lines: str) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
