"""Plants unmistakable identifiers in every source of a small site, and looks for them in all that a run leaves."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import pickle
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

EMAIL = "zebulon.quagmire@unmistakable.example"
NAME = "Zebulon Quagmire-Featherstonehaugh"
PHONE = "+49-30-99887766"
TOKEN = "tok-PLANTEDc0ffee5eed"
CARD = "4000056655665556"
ADDRESS_V4 = "8.8.113.77"
ADDRESS_V6 = "2001:4860:0:77:beef:cafe:0:5eed"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 PlantedAgent/77.5eed"
PATH = "/account/quagmire-private-folder"
REFERRER = "https://intranet.quagmire-holdings.example/board/minutes?attendee=quagmire"
CUSTOMER = "C-PLANTED-7755"
REFERENCE = "pay_plantedquagmire"
LOGIN = "quagmire.login"

PLANTED = (EMAIL, NAME, PHONE, TOKEN, CARD, ADDRESS_V4, ADDRESS_V6, AGENT, PATH, REFERRER, CUSTOMER, REFERENCE, LOGIN)
FRAGMENTS = ("quagmire", "PlantedAgent", "PLANTEDc0ffee", "beef:cafe", "8.8.113.77", "4000056655665556", "C-PLANTED")


def plant(home: Path) -> None:
    """Put the identifiers into log lines that are used, rejected and left out, into customers and into orders."""
    lines = [
        _line(ADDRESS_V4, "/docs/x", AGENT),
        _line(ADDRESS_V6, f"/docs/x?email={EMAIL}&token={TOKEN}&name={NAME.replace(' ', '+')}", AGENT),
        _line(ADDRESS_V4, PATH, AGENT, referrer=REFERRER, login=LOGIN),
        _line(ADDRESS_V4, f"/store/pay?card={CARD}&phone={PHONE}", AGENT, login=EMAIL),
        _line(EMAIL, "/docs/no-address", AGENT),  # rejected: no address
        _line(ADDRESS_V4, "/docs/bot", f"Googlebot/2.1 {EMAIL}"),  # left out: bot
        f'{ADDRESS_V4} - {LOGIN} [07/Oct/2026:12:00:00 +0000] "GET {PATH} half a line from {EMAIL}',  # rejected: format
        f'{ADDRESS_V4} - - [77/Oct/2026:12:00:00 +0000] "GET {PATH} HTTP/1.1" 200 5 "{REFERRER}" "{AGENT}" "de"',
    ]
    (home / "sources" / "logs" / "access.log.planted").write_text("\n".join(lines) + "\n", "utf-8")
    with sqlite3.connect(home / "sources" / "customers.db") as connection:
        connection.execute(
            "INSERT INTO customers VALUES (?, ?, ?, 'Germany', 'business', 5, ?, '2024-05-05', 1)",
            [CUSTOMER, NAME, EMAIL, PHONE],
        )
    with (home / "sources" / "orders.csv").open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["O-1", CUSTOMER, EMAIL, "Studio", 100, "EUR", "paid", "2026-10-07T10:00:00Z", REFERENCE])
        writer.writerow(["O-2", EMAIL, EMAIL, NAME, 100, "EUR", "paid", "2026-10-07T10:00:00Z", REFERENCE])


def needles() -> dict[str, str]:
    """What must not be found, lowercased -> what it is: the identifiers, their fragments and their plain digests."""
    found = {text.lower(): "plain" for text in (*PLANTED, *FRAGMENTS)}
    joined = (ADDRESS_V4 + AGENT, f"{ADDRESS_V4}\0{AGENT}", f"{ADDRESS_V4} {AGENT}", f"{ADDRESS_V4}|{AGENT}")
    for text in (*PLANTED, *joined):
        for name in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(name, text.encode())
            # Shortened digests identify as well as whole ones.
            found[digest.hexdigest()[:20]] = name
            found[base64.b64encode(digest.digest()).decode()[:20].lower()] = name
            found[base64.urlsafe_b64encode(digest.digest()).decode()[:20].lower()] = name
        found[base64.b64encode(text.encode()).decode()[:-4].lower()] = "base64"
    return found


def leaks(home: Path) -> list[str]:
    """Where a planted identifier is found under a site's folder, its sources left out."""
    wanted = needles()
    found = []
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.relative_to(home).parts[0] != "sources":
            for text in _texts(path):
                lowered = text.lower()
                place = path.relative_to(home)
                found += [f"{kind} {needle!r} in {place}" for needle, kind in wanted.items() if needle in lowered]
    return found


def _line(host: str, target: str, agent: str, *, referrer: str = "-", login: str = "-") -> str:
    return f'{host} - {login} [07/Oct/2026:12:00:00 +0000] "GET {target} HTTP/1.1" 200 5 "{referrer}" "{agent}" "de-DE"'


def _texts(path: Path) -> Iterator[str]:
    """The bytes of a file as text, and what is inside it where it is packed."""
    content = path.read_bytes()
    yield content.decode("latin-1")
    if path.suffix == ".gz":
        yield gzip.decompress(content).decode("latin-1")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield from (repr(table.column(name).unique().to_pylist()) for name in table.column_names)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name).decode("latin-1") for name in archive.namelist())
    if content[:15] == b"SQLite format 3":
        yield from _rows(path)


def _rows(path: Path) -> Iterator[str]:
    """Every value of every table, decoded: text, JSON, pickles."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield from (text for value in row for text in _decoded(value))


def _decoded(value: object) -> Iterator[str]:
    if isinstance(value, bytes):
        yield value.decode("latin-1")
        if value[:1] == b"\x80":
            yield repr(pickle.loads(value))  # noqa: S301  written by the run under test
    elif isinstance(value, str):
        yield value
        if value[:1] in '{["':
            try:
                yield repr(json.loads(value))
            except ValueError:
                return
