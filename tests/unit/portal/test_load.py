"""Many readers at once, and slow ones, of ``demographics portal`` as people run it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from pipeline.delivery.downloads import Downloads
from pipeline.delivery.tokens import Tokens
from pipeline.publication.manifest import MANIFEST_NAME, Manifest
from tests.delivering import DeliveredSite, sample
from tests.downloading import Wanted, downloaded
from tests.portal_processes import PortalProcess, portal_process

PRODUCT = "weekly_audience"
EDITION = f"/api/v1/products/{PRODUCT}/editions/2026-W41/1"
READERS = 200
MOST_GROWTH = 150 * 2**20  # bytes of memory beyond those of a portal that has answered once
PATIENCE = 3  # seconds
SOON = 5  # seconds; a portal that somebody blocks answers after PATIENCE, ten times over, or never


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    tables = [table for table in sample(PRODUCT)["tables"] if table["name"] == "visitors_by_country_and_system"]
    asked = sample(PRODUCT, tables=tables, audiences={"partner": ["visitors_by_country_and_system"]})
    made.offer(asked)
    acme = {"name": "acme", "title": "Acme", "audience": "partner", "receives": {PRODUCT: {}}}
    made.entitle(ana, {"recipients": [acme]})
    made.deliver(asked, "2026-W41", ana, people=20_000)
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[PortalProcess]:
    with portal_process(site.workspace, part="recipients", patience=str(PATIENCE), connections="300") as found:
        yield found


def wanted(site: DeliveredSite) -> list[Wanted]:
    content = (site.workspace.bundle("partner", PRODUCT, "2026-W41", 1) / MANIFEST_NAME).read_bytes()
    files = Manifest.from_bytes(content).files
    return [Wanted(f"{EDITION}/files/{one.path}", one.bytes, one.sha256) for one in files]


def token(site: DeliveredSite) -> str:
    return Tokens.of(site.workspace).issue("acme").secret


def answered(site: DeliveredSite, portal: PortalProcess) -> float:
    """Seconds until an ordinary client has its file, on a connection of its own."""
    file = wanted(site)[0]
    begun = time.monotonic()
    headers = {"Authorization": f"Bearer {token(site)}"}
    answer = httpx.get(f"http://127.0.0.1:{portal.port}{file.path}", headers=headers, timeout=60)
    assert answer.status_code == 200
    return time.monotonic() - begun


def test_two_hundred_read_at_once_without_an_error_and_each_download_is_in_the_log(
    site: DeliveredSite, portal: PortalProcess
) -> None:
    answered(site, portal)
    before, memory = len(list(Downloads.of(site.workspace).listed())), [portal.memory()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            memory.append(portal.memory())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        came = downloaded(portal.port, [(token(site), wanted(site)) for _ in range(20)], READERS, 5)
    finally:
        done.set()
        watching.join()
    assert came.errors == {}
    assert came.downloads >= READERS
    assert came.checked > 0
    assert len(list(Downloads.of(site.workspace).listed())) - before == came.downloads
    assert max(memory) - memory[0] < MOST_GROWTH


def slow(portal: PortalProcess, sent: bytes, number: int) -> list[socket.socket]:
    """Connections on which somebody has sent so much, with little room for what comes back."""
    made = []
    for _ in range(number):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", portal.port))
        one.sendall(sent)
        made.append(one)
    return made


def all_ended(portal: PortalProcess, within: float) -> bool:
    """Whether the portal has ended all its connections by then; nothing is read from them meanwhile."""
    end = time.monotonic() + within
    while any(one.status == psutil.CONN_ESTABLISHED for one in portal.process.net_connections("tcp")):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def close(connections: list[socket.socket]) -> None:
    for one in connections:
        one.close()


def drip(one: socket.socket, seconds: float) -> None:
    """Send a letter ten times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        one.sendall(b"x")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"GET /heal"],
    ids=["nothing", "half of the headers", "half of a line"],
)
def test_who_sends_no_whole_headers_keeps_nobody_waiting_and_is_cut_off(
    site: DeliveredSite, portal: PortalProcess, sent: bytes
) -> None:
    connections = slow(portal, sent, READERS)
    assert answered(site, portal) < SOON
    assert all_ended(portal, PATIENCE + 10)
    close(connections)


def test_a_letter_now_and_then_is_no_excuse(portal: PortalProcess) -> None:
    (one,) = slow(portal, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", 1)
    with one, pytest.raises(ConnectionError):
        drip(one, PATIENCE + 10)


def test_who_sends_a_body_slowly_keeps_nobody_waiting(site: DeliveredSite, portal: PortalProcess) -> None:
    head = b"POST /sharing/shares HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nx"
    connections = slow(portal, head, READERS)
    assert answered(site, portal) < SOON
    close(connections)


def test_who_reads_nothing_keeps_nobody_waiting_takes_little_memory_and_is_cut_off(
    site: DeliveredSite, portal: PortalProcess
) -> None:
    answered(site, portal)
    before, large = portal.memory(), max(wanted(site), key=lambda one: one.bytes)
    asked = f"GET {large.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token(site)}\r\n\r\n".encode()
    connections = slow(portal, asked * (64 * 2**20 // large.bytes), 20)  # the system's own buffers take less than that
    assert answered(site, portal) < SOON
    assert portal.memory() - before < MOST_GROWTH
    assert all_ended(portal, PATIENCE + 15)
    close(connections)


def test_more_connections_than_there_may_be_are_told_so_and_end(site: DeliveredSite, portal: PortalProcess) -> None:
    connections = slow(portal, b"", 300)
    answer = httpx.get(f"http://127.0.0.1:{portal.port}/healthz", timeout=SOON)
    assert answer.status_code == 503
    close(connections)
    time.sleep(0.5)
    assert answered(site, portal) < SOON
