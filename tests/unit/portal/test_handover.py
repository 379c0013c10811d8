"""Large files that a front server or a store sends: both run here for real."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fsspec
import httpx
import pytest
from moto.server import ThreadedMotoServer

from pipeline.delivery.downloads import Downloads
from pipeline.delivery.tokens import Scope, Tokens
from pipeline.portal import handover
from pipeline.publication.withdrawal import withdraw
from tests.delivering import DeliveredSite, sample
from tests.fronts import free_port, nginx, with_nginx
from tests.portals import serving

PRODUCT = "weekly_audience"
TABLE = "visitors_by_country.parquet"
PLACE = f"{PRODUCT}/2026-W41/r1/{TABLE}"
FILE = f"/api/v1/products/{PRODUCT}/editions/2026-W41/1/files/{TABLE}"
LATER = FILE.replace("W41", "W42")
DOCUMENT = Path(__file__).parents[3] / "docs" / "entitlements.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    chosen = ("visitors_by_country", "visitors_by_language")
    tables = [table for table in sample(PRODUCT)["tables"] if table["name"] in chosen]
    asked = sample(PRODUCT, tables=tables, audiences={"partner": list(chosen)})
    made.offer(asked)
    acme = {"name": "acme", "title": "Acme", "audience": "partner", "receives": {PRODUCT: {}}}
    made.entitle(ana, {"recipients": [acme]})
    for period in ("2026-W40", "2026-W41", "2026-W42"):
        made.deliver(asked, period, ana, people=20_000)
    withdraw(made.workspace, made.register.ledger.standing(PRODUCT, "2026-W40"), ana, "A source was wrong.")
    return made


def bearer(site: DeliveredSite, *scopes: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {Tokens.of(site.workspace).issue('acme', scopes or (Scope.READ,)).secret}"}


def on_disk(site: DeliveredSite) -> bytes:
    return (site.workspace.published / "partner" / PLACE).read_bytes()


# A front server


def documented(listen: int, portal: int, published: Path) -> str:
    """The configuration that the document tells, but for addresses, folders and certificates."""
    (told,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    for word, own in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{listen};"),
        ("http://127.0.0.1:8600;", f"http://127.0.0.1:{portal};"),
        ("/srv/demographics/published/", f"{published}/"),
    ):
        assert told.count(word) == 1, word
        told = told.replace(word, own)
    return re.sub(r"(?m)^ *ssl_.*\n", "", told)


@pytest.fixture(scope="module")
def front(site: DeliveredSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port, folder = free_port(), tmp_path_factory.mktemp("front") / "nginx"
    told: dict[str, Any] = {"handover": "x-accel", "handover_from": 1000, "proxies": "127.0.0.1"}
    with serving(site.workspace, **told) as portal:
        servers = documented(port, portal.app.state.port, site.workspace.published)
        with nginx(folder, servers, port), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client


@with_nginx
def test_a_front_server_sends_the_very_bytes_and_tells_what_the_portal_tells(
    site: DeliveredSite, front: httpx.Client
) -> None:
    answer = front.get(FILE, headers=bearer(site) | {"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, on_disk(site))
    told = answer.headers
    assert told["Server"].startswith("nginx")
    assert told["ETag"] == f'"{hashlib.sha256(on_disk(site)).hexdigest()}"'
    assert told["Cache-Control"] == "private, no-cache"
    assert told.get_list("Vary") == ["Authorization, Cookie, Accept-Encoding"]
    assert told["Content-Type"] == "application/vnd.apache.parquet"
    assert told["Content-Disposition"] == f'attachment; filename="weekly_audience-2026-W41-r1-{TABLE}"'
    assert "sandbox" in told["Content-Security-Policy"]
    assert told["X-Content-Type-Options"] == "nosniff"
    assert "X-Accel-Redirect" not in told


@with_nginx
def test_a_front_server_sends_parts_and_nothing_that_is_known(site: DeliveredSite, front: httpx.Client) -> None:
    mine, content = bearer(site), on_disk(site)
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    part = front.get(FILE, headers=mine | {"Range": "bytes=4-99"})
    assert (part.status_code, part.content) == (206, content[4:100])
    assert part.headers["Content-Range"] == f"bytes 4-99/{len(content)}"
    fresh = front.get(FILE, headers=mine | {"Range": "bytes=-5", "If-Range": tag})
    assert (fresh.status_code, fresh.content) == (206, content[-5:])
    stale = front.get(FILE, headers=mine | {"Range": "bytes=4-99", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, content)
    known = front.get(FILE, headers=mine | {"If-None-Match": tag})
    assert (known.status_code, known.content) == (304, b"")
    head = front.head(FILE, headers=mine)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(content)))


@with_nginx
def test_what_a_front_server_sends_is_in_the_log(site: DeliveredSite, front: httpx.Client) -> None:
    before = len(list(Downloads.of(site.workspace).listed()))
    mine = bearer(site)
    front.get(FILE, headers=mine)
    front.get(FILE, headers=mine | {"Range": "bytes=0-9"})
    new = [one.download for one in Downloads.of(site.workspace).listed()][before:]
    assert [(one.recipient, one.file, one.part) for one in new] == [("acme", TABLE, ""), ("acme", TABLE, "bytes 0-9")]


@with_nginx
def test_a_front_server_gives_strangers_nothing_by_any_address(site: DeliveredSite, front: httpx.Client) -> None:
    assert front.get(FILE).status_code == 401
    direct = f"{handover.INTERNAL}/partner/{PLACE}"
    for place in (direct, direct.replace("/", "//", 1), f"/static/..{direct}", f"{handover.INTERNAL}/", direct.upper()):
        for headers in ({}, bearer(site), {"X-Accel-Redirect": direct}):
            answer = front.get(place, headers=headers)
            assert answer.status_code == 404, place
            assert on_disk(site) not in answer.content
    assert front.get("/healthz", headers={"X-Accel-Redirect": direct}).text == "ok"


@with_nginx
def test_a_front_server_sends_nothing_that_was_withdrawn(site: DeliveredSite, front: httpx.Client) -> None:
    answer = front.get(FILE.replace("W41", "W40"), headers=bearer(site))
    assert answer.status_code == 410
    assert "A source was wrong." in answer.text


@with_nginx
def test_files_of_delta_sharing_are_sent_by_the_front_server_too(site: DeliveredSite, front: httpx.Client) -> None:
    assert fetched(front, shared(site, front)).content == on_disk(site)


def shared(site: DeliveredSite, client: httpx.Client) -> str:
    """The path of a table's file, as the protocol tells it."""
    table = TABLE.removesuffix(".parquet")
    place = f"/sharing/shares/{PRODUCT}/schemas/2026-W41/tables/{table}/query"
    lines = client.post(place, headers=bearer(site, Scope.SHARING), json={}).text.splitlines()
    address = urlsplit(json.loads(lines[-1])["file"]["url"])
    return f"{address.path}?{address.query}"


def fetched(client: httpx.Client, place: str) -> httpx.Response:
    return client.get(place, follow_redirects=True)


# A store


@pytest.fixture(scope="module")
def store(site: DeliveredSite) -> Iterator[fsspec.AbstractFileSystem]:
    """An S3 server that has one edition of the two; this process's way to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        httpx.post(f"{address}/moto-api/reset")  # all such servers of a process share one store
        given = {"AWS_ACCESS_KEY_ID": "mirror", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": address}
        for name, value in (given | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
            patch.setenv(name, value)
        handover._store.cache_clear()
        handover._size.cache_clear()
        found = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
        found.mkdir("mirror")
        found.put(str(site.workspace.published / "partner" / PLACE), f"mirror/published/partner/{PLACE}")
        yield found
        server.stop()
        handover._store.cache_clear()
        handover._size.cache_clear()


@pytest.fixture(scope="module")
def handing(site: DeliveredSite, store: fsspec.AbstractFileSystem) -> Iterator[httpx.Client]:
    told: dict[str, Any] = {"handover": "s3", "handover_store": "s3://mirror/published", "handover_from": 1000}
    with serving(site.workspace, **told) as portal:
        address = f"http://127.0.0.1:{portal.app.state.port}"
        with httpx.Client(base_url=address, timeout=20) as client:
            yield client


def test_a_client_is_sent_to_a_signed_address_that_gives_the_very_bytes(
    site: DeliveredSite, handing: httpx.Client
) -> None:
    before = len(list(Downloads.of(site.workspace).listed()))
    sent = handing.get(FILE, headers=bearer(site))
    assert sent.status_code == 307
    assert sent.headers["Cache-Control"] == "no-store"
    got = httpx.get(sent.headers["Location"])
    assert got.content == on_disk(site)
    assert got.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert got.headers["Content-Disposition"] == f'attachment; filename="weekly_audience-2026-W41-r1-{TABLE}"'
    part = httpx.get(sent.headers["Location"], headers={"Range": "bytes=4-99"})
    assert (part.status_code, part.content) == (206, on_disk(site)[4:100])
    assert len(list(Downloads.of(site.workspace).listed())) == before + 1


def test_an_address_is_signed_for_one_file_and_for_a_minute_at_most(
    site: DeliveredSite, store: fsspec.AbstractFileSystem, handing: httpx.Client
) -> None:
    # moto gives files without looking at signatures; what real stores look at is there.
    other = TABLE.replace("country", "language")
    place = PLACE.replace(TABLE, other)
    store.put(str(site.workspace.published / "partner" / place), f"mirror/published/partner/{place}")
    mine, told = bearer(site), []
    for name in (TABLE, other):
        address = urlsplit(handing.get(FILE.replace(TABLE, name), headers=mine).headers["Location"])
        assert address.path == f"/mirror/published/partner/{PLACE.replace(TABLE, name)}"
        told.append({key.lower(): values[0] for key, values in parse_qs(address.query).items()})
    for one in told:
        assert signature(one)
        assert 0 < lives(one) <= 60
    assert signature(told[0]) != signature(told[1])


def signature(told: dict[str, str]) -> str:
    return told.get("x-amz-signature") or told["signature"]


def lives(told: dict[str, str]) -> float:
    import time

    return float(told["x-amz-expires"]) if "x-amz-expires" in told else float(told["expires"]) - time.time()


def test_strangers_and_who_asks_for_what_is_withdrawn_are_sent_nowhere(
    site: DeliveredSite, handing: httpx.Client
) -> None:
    assert handing.get(FILE).status_code == 401
    assert handing.get(FILE.replace("W41", "W40"), headers=bearer(site)).status_code == 410


def test_what_the_store_does_not_have_is_sent_by_the_portal(
    site: DeliveredSite, store: fsspec.AbstractFileSystem, handing: httpx.Client
) -> None:
    mine = bearer(site)
    assert handing.get(LATER, headers=mine).status_code == 200
    copy = f"mirror/published/partner/{PLACE.replace('W41', 'W42')}"
    store.pipe(copy, b"half of it")
    assert handing.get(LATER, headers=mine).status_code == 200
    handover._size.cache_clear()  # as it is after ten minutes
    store.put(str(site.workspace.published / "partner" / PLACE.replace("W41", "W42")), copy)
    assert handing.get(LATER, headers=mine).status_code == 307
    assert handing.head(LATER, headers=mine).status_code == 200


def test_a_store_that_is_away_keeps_nobody_from_a_file(
    site: DeliveredSite, handing: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise ConnectionError

    monkeypatch.setattr(handover, "_store", away)
    answer = handing.get(FILE, headers=bearer(site))
    assert (answer.status_code, answer.content) == (200, on_disk(site))


def test_files_of_delta_sharing_are_sent_by_the_store_too(site: DeliveredSite, handing: httpx.Client) -> None:
    place = shared(site, handing)
    assert handing.get(place).status_code == 307
    assert fetched(handing, place).content == on_disk(site)


def test_small_files_are_sent_by_the_portal(site: DeliveredSite) -> None:
    with serving(site.workspace, handover="x-accel") as portal, portal.browser() as client:
        answer = client.get(FILE, headers=bearer(site))
        assert "X-Accel-Redirect" not in answer.headers
        assert answer.content == on_disk(site)
