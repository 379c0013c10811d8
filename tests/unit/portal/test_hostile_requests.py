"""Requests that no honest program sends, to a portal that listens."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from pipeline.delivery.downloads import Downloads
from pipeline.delivery.tokens import Scope, Tokens
from tests.delivering import DeliveredSite, small
from tests.portals import Portal, serving

PRODUCT = "weekly_audience"
ACME = {"recipients": [{"name": "acme", "title": "A", "audience": "partner", "receives": {PRODUCT: {}}}]}
EDITIONS = f"/api/v1/products/{PRODUCT}/editions"
FILES = f"{EDITIONS}/2026-W41/1/files"
SCHEMAS = f"/sharing/shares/{PRODUCT}/schemas"
QUERY = f"{SCHEMAS}/2026-W41/tables/by_browser/query"
SIGNED = "/sharing/files/weekly_audience/2026-W41/1/by_browser"
KIB = 1024


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    made.offer(small(release=PRODUCT))
    made.entitle(ana, ACME)
    made.deliver(small(release=PRODUCT), "2026-W41", ana)
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[Portal]:
    with serving(site.workspace, stranger_rate="100000/minute") as found:
        yield found


@pytest.fixture(scope="module")
def secret(site: DeliveredSite) -> str:
    return Tokens.of(site.workspace).issue("acme", tuple(Scope)).secret


class Asking:
    """Sends a request byte by byte as it is written, which no library of clients does."""

    def __init__(self, portal: Portal, secret: str) -> None:
        self._port = portal.app.state.port
        self._bearer = f"Authorization: Bearer {secret}"

    def __call__(self, place: str, *headers: str, method: str = "GET", body: bytes = b"") -> tuple[int, str, bytes]:
        """Status, head and content of the answer."""
        own = ["Host: 127.0.0.1", self._bearer, "Connection: close"]
        own += [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
        head = "\r\n".join([f"{method} {place} HTTP/1.1", *own, *headers])
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode("latin-1") + body)
            answer = b"".join(iter(lambda: connection.recv(2**16), b""))
        told, _, content = answer.partition(b"\r\n\r\n")
        return int(told.split()[1]), told.decode("latin-1"), content


@pytest.fixture(scope="module")
def ask(portal: Portal, secret: str) -> Asking:
    return Asking(portal, secret)


PLACES = {
    "the folder above": (f"{FILES}/..", 404),
    "the same, written otherwise": (f"{FILES}/%2e%2e", 404),
    "with a slash": (f"{FILES}/..%2fmanifest.json", 404),
    "written twice otherwise": (f"{FILES}/%252e%252e%252fmanifest.json", 404),
    "with a backslash": (f"{FILES}/..%5c..%5cledger.db", 404),
    "an absolute one": (f"{FILES}/%2fetc%2fpasswd", 404),
    "a byte of zero": (f"{FILES}/by_browser.csv%00", 404),
    "overlong UTF-8": (f"{FILES}/%c0%ae%c0%ae%c0%afmanifest.json", 404),
    "half a character": (f"{FILES}/%ff", 404),
    "half a pair": (f"{FILES}/%ed%a0%80", 404),
    "dots and slashes of full width": (f"{FILES}/%EF%BC%8E%EF%BC%8E%EF%BC%8Fmanifest.json", 404),
    "a name of 101 letters": (f"{FILES}/{'x' * 101}", 400),
    "what lies beside it, unlisted": (f"{FILES}/latest.json", 404),
    "the tombstone": (f"{FILES}/WITHDRAWN.json", 404),
    "a period above": (f"{EDITIONS}/%2e%2e/1", 404),
    "a period with a zero": (f"{EDITIONS}/2026-W41%00/1", 404),
    "every period": (f"{EDITIONS}/*/1", 404),
    "a revision of 5,000 digits": (f"{EDITIONS}/2026-W41/{'9' * 5000}", 400),
    "a revision in another script": (f"{EDITIONS}/2026-W41/%D9%A1", 400),
    "a table with a zero": (f"/api/v1/products/{PRODUCT}/history?table=%00", 404),
    "a format with a zero": (f"/api/v1/products/{PRODUCT}/history?format=%00", 400),
    "a product of 5,000 letters": (f"/api/v1/products/{'a' * 5000}", 400),
    "a share of 5,000 letters": (f"/sharing/shares/{'a' * 5000}", 404),
    "a schema with a zero": (f"{SCHEMAS}/2026-W41%00/tables", 404),
    "a schema of 5,000 letters": (f"{SCHEMAS}/{'a' * 5000}/tables", 404),
    "a table of a share with a zero": (f"{SCHEMAS}/2026-W41/tables/%00/version", 404),
    "an address that nobody signed": (f"{SIGNED}?token=1&until=99999999999&mark=a", 403),
    "one of another alphabet": (f"{SIGNED}?token=1&until=99999999999&mark=%ed%a0%80", 403),
    "one of a token too large for a database": (f"{SIGNED}?token={'9' * 40}&until={'9' * 40}&mark=a", 403),
    "one of no number": (f"{SIGNED}?token=1&until=1e400&mark=a", 400),
    "one that says half": (f"{SIGNED}?token=1", 400),
    "the whole address, of another host": ("http://evil.example/etc/passwd", 404),
    "no place at all": ("*", 404),
    "a table as it was at a time": (f"{SCHEMAS}/2026-W41/tables/by_browser/version?startingTimestamp=x", 400),
}


@pytest.mark.parametrize(("place", "status"), PLACES.values(), ids=PLACES)
def test_no_address_leads_out_of_what_a_recipient_may_read(ask: Asking, place: str, status: int) -> None:
    found, head, content = ask(place)
    assert found == status
    assert b"Traceback" not in content
    if place.startswith("/"):
        assert "application/problem+json" in head
        assert json.loads(content)["remedy"]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "POST"])
def test_files_are_only_read(ask: Asking, secret: str, method: str) -> None:
    status, head, content = ask(f"{FILES}/by_browser.csv", method=method)
    assert (status, json.loads(content)["detail"]) == (405, "an address is asked in the way that it is made for")
    assert secret not in head
    assert secret.encode() not in content
    assert "access-control" not in head.lower()


def test_no_other_site_may_read_an_answer(ask: Asking) -> None:
    for place in ("/api/v1/products", f"{FILES}/report.html", f"{SCHEMAS}/2026-W41/tables", "/feed.atom"):
        status, head, _ = ask(place, "Origin: https://evil.example")
        assert status == 200
        told = head.lower()
        assert "access-control" not in told
        assert "cross-origin-resource-policy: same-origin" in told
        assert "x-content-type-options: nosniff" in told


def test_a_report_is_downloaded_and_never_run(ask: Asking) -> None:
    _, head, _ = ask(f"{FILES}/report.html")
    told = head.lower()
    assert 'content-disposition: attachment; filename="' in told
    assert "sandbox" in told.partition("content-security-policy:")[2].partition("\r\n")[0]


def test_nothing_that_is_for_one_recipient_may_be_kept_for_all(ask: Asking) -> None:
    for place in ("/api/v1/products", EDITIONS + "/2026-W41/1", f"{FILES}/by_browser.csv", "/feed.atom", SCHEMAS):
        _, head, _ = ask(place)
        kept = head.lower().partition("cache-control:")[2].partition("\r\n")[0].strip()
        assert kept in {"no-store", "private, no-cache"}, place
        assert kept == "no-store" or "vary: authorization" in head.lower(), place


def test_what_is_too_large_is_refused_by_its_kind(ask: Asking) -> None:
    assert ask(f"/api/v1/products?a={'a' * 8 * KIB}")[0] == 414
    assert ask("/api/v1/products", f"X: {'a' * 33 * KIB}")[0] == 431
    assert ask("/api/v1/products", *["X: a"] * 20_000)[0] == 431
    assert ask(QUERY, method="POST", body=b" " * (64 * KIB + 1))[0] == 413
    assert ask(f"/api/v1/products?a={'a' * 7 * KIB}", f"X: {'a' * 24 * KIB}")[0] == 200


@pytest.mark.parametrize("header", ["Host: evil.example", "Authorization: Bearer x", "Host: 127.0.0.1"])
def test_who_asks_and_whom_is_said_once(ask: Asking, header: str) -> None:
    status, _, content = ask("/api/v1/products", header)
    assert status == 400
    assert header.partition(":")[0].lower() in json.loads(content)["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length : 2",),
        ("Content-Length: 2", " folded: x"),
        ("Content-Length: +2",),
    ],
    ids=str,
)
def test_a_request_that_two_servers_may_read_in_two_ways_is_refused(ask: Asking, headers: tuple[str, ...]) -> None:
    status, _, _ = ask(QUERY, *headers, method="POST")
    assert status == 400


BODIES = {
    "deeply nested": b"[" * 60_000,
    "deeply nested, in objects": b'{"a":' * 10_000,
    "a number of 6,000 digits": b'{"version":' + b"9" * 6_000 + b"}",
    "no number": b'{"version":NaN}',
    "a truth value": b'{"version":true}',
    "a fraction": b'{"version":1.5}',
    "below the first": b'{"version":-1}',
    "zero": b'{"version":0}',
    "text": b'{"version":"\\ud800"}',
    "a time": b'{"timestamp":"2026-10-01T00:00:00Z"}',
    "from a version on": b'{"startingVersion":1}',
    "no UTF-8": b"\xff\xfe{",
    "compressed": b"\x1f\x8b\x08\x00" + b"0" * 100,
    "a list": b"[]",
    "a number": b"1",
    "half an object": b'{"version":',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_question_that_cannot_be_is_told_so(ask: Asking, body: bytes) -> None:
    status, _, content = ask(QUERY, method="POST", body=body)
    problem = json.loads(content)
    assert (status, problem["errorCode"]) == (400, "BAD_REQUEST")
    assert "page" not in f"{problem['detail']} {problem['remedy']}"


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"predicateHints":5,"limitHint":"x","maxFiles":-1}'])
def test_hints_are_hints(ask: Asking, body: bytes) -> None:
    status, _, content = ask(QUERY, method="POST", body=body)
    assert status == 200
    assert len(content.splitlines()) == 3


SATISFIED = ["bytes=0-0", "bytes=-1", "bytes=0-99999999", "bytes=0-0,2-2", "bytes=0-0, 0-0"]
PASSED_OVER = [
    "bytes=5-2",
    "bytes=a-b",
    "bytes=",
    "bytes=-",
    "bytes=--5",
    "items=0-1",
    "bytes=0-0," * 3_000 + "0-0",
    "bytes=" + ",".join(["0-"] * 11),
    f"bytes={'9' * 5_000}-",
    "0-5",
]


def test_a_range_is_sent_refused_or_passed_over_and_the_log_has_what_was_sent(ask: Asking, site: DeliveredSite) -> None:
    place, log = f"{FILES}/by_browser.parquet", Downloads.of(site.workspace)
    _, _, whole = ask(place)
    for asked in SATISFIED:
        assert ask(place, f"Range: {asked}")[0] == 206, asked
        assert log.newest("acme", 1)[0].download.part == asked.replace("=", " ")
    for asked in PASSED_OVER:
        status, _, content = ask(place, f"Range: {asked}")
        assert (status, content) == (200, whole), asked[:40]
        assert not log.newest("acme", 1)[0].download.part
    noted = log.newest("acme", 1)
    for asked in ("bytes=-0", f"bytes={len(whole)}-", f"bytes=0-0,{10**17}-"):
        status, head, content = ask(place, f"Range: {asked}")
        assert (status, json.loads(content)["status"]) == (416, 416)
        assert f"bytes */{len(whole)}" in head
    assert log.newest("acme", 1) == noted


def test_a_range_of_another_file_gets_all_of_this_one_and_is_logged_so(ask: Asking, site: DeliveredSite) -> None:
    place = f"{FILES}/by_browser.parquet"
    for meant in ('"other"', "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert ask(place, "Range: bytes=0-0", f"If-Range: {meant}")[0] == 200
        assert not Downloads.of(site.workspace).newest("acme", 1)[0].download.part


def guesses(portal: Portal, address: str, told: list[str]) -> list[int]:
    """What somebody is answered who shows made-up tokens, and says each time to come from somewhere."""
    with portal.browser(address) as client:
        headers = [{"X-Forwarded-For": one, "Authorization": "Bearer dgx_x"} for one in told]
        return [client.get("/api/v1/products", headers=one).status_code for one in headers]


def test_who_guesses_has_one_address_whatever_they_say(site: DeliveredSite) -> None:
    # The server of these tests believes 127.0.0.1 as a proxy, and no other address.
    with serving(site.workspace, stranger_rate="3/minute") as portal:
        assert guesses(portal, "127.0.0.2", [f"203.0.113.{n}" for n in range(5)]) == [401] * 3 + [429] * 2
        through_a_proxy = [f"198.51.100.{n}, 203.0.113.7" for n in range(5)]
        assert guesses(portal, "127.0.0.1", through_a_proxy) == [401] * 3 + [429] * 2
        assert guesses(portal, "127.0.0.1", [f"2001:db8::{n}" for n in range(5)]) == [401] * 3 + [429] * 2
        assert guesses(portal, "127.0.0.1", [f"::ffff:192.0.2.{n}" for n in range(5)]) == [401] * 5
