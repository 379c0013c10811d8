"""Recipients' tables read by the real client of Delta Sharing, from a portal that listens.

The client asks for older libraries than ours and has an environment of its own beside ours, made from a lock of hashes:
``uv pip compile delta_sharing.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
-o delta_sharing.lock``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from pipeline.delivery.profiles import profile_of
from pipeline.delivery.tokens import Scope, Tokens
from pipeline.publication.reading import read_bundle
from pipeline.publication.withdrawal import withdraw
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from tests.delivering import DeliveredSite, sample
from tests.portals import Portal, serving

PRODUCT = "weekly_audience"
LOCK = Path(__file__).with_name("delta_sharing.lock")
UV = Path(sys.executable).with_name("uv")
# What a recipient would write; prints JSON. It ends without the interpreter's own clearing up, in which threads of the
# client's native libraries now and then abort a process that has read and told everything.
PROGRAM = """
import json, os, sys
import delta_sharing
profile, what = sys.argv[1], json.loads(sys.argv[2])
if what["do"] == "list":
    found = delta_sharing.SharingClient(profile).list_all_tables()
    print(json.dumps([f"{one.share}.{one.schema}.{one.name}" for one in found]))
else:
    frame = delta_sharing.load_as_pandas(f"{profile}#{what['table']}", **what.get("more", {}))
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    print(json.dumps({"types": types, "rows": json.loads(frame.to_json(orient="records", date_format="iso"))}))
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter that has the client."""
    place = Path(sys.prefix) / f"delta-sharing-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not (place / "ready").exists():
        made = subprocess.run([UV, "venv", "-q", "--clear", "--python", sys.executable, place], check=False)
        command: list[str | Path] = [
            UV,
            "pip",
            "install",
            "-q",
            "--python",
            place / "bin" / "python",
            "--require-hashes",
            "-r",
            LOCK,
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True) if made.returncode == 0 else made
        if done.returncode and not os.environ.get("CI"):
            pytest.skip("the client of Delta Sharing cannot be installed: no package index")
        assert done.returncode == 0, done.stderr
        (place / "ready").touch()
    return place / "bin" / "python"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    made.offer(sample(PRODUCT))
    made.entitle(ana)
    for period in ("2026-W40", "2026-W41"):
        made.deliver(sample(PRODUCT), period, ana, people=15_000)
    revised = made.waiting(sample(PRODUCT), "2026-W41", people=16_000, revises="A log was missing.")
    made.register.approve(revised, ana, "Better.")
    made.put_out(revised)
    withdraw(made.workspace, ReleaseKey(PRODUCT, "2026-W40"), ana, "A source was wrong.")
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[Portal]:
    with serving(site.workspace, stranger_rate="1000/minute") as found:
        yield found


@pytest.fixture
def profile(site: DeliveredSite, portal: Portal, tmp_path: Path) -> Path:
    return profile_for(site, portal, tmp_path, "acme")


def profile_for(site: DeliveredSite, portal: Portal, folder: Path, recipient: str, **more: Any) -> Path:
    issued = Tokens.of(site.workspace).issue(recipient, (Scope.SHARING,), **more)
    path = folder / f"{recipient}.share"
    path.write_text(json.dumps(profile_of(portal.settings.origin, issued)))
    return path


def ask(python: Path, profile: Path, **what: Any) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [python, "-c", PROGRAM, str(profile), json.dumps(what)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def rows(done: subprocess.CompletedProcess[str]) -> pd.DataFrame:
    assert done.returncode == 0, done.stderr[-1000:]
    return pd.DataFrame(json.loads(done.stdout)["rows"])


def test_the_client_lists_every_table_that_stands(python: Path, profile: Path, site: DeliveredSite) -> None:
    done = ask(python, profile, do="list")
    bundle = read_bundle(site.workspace.bundle("partner", PRODUCT, "2026-W41", 2))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [f"{PRODUCT}.2026-W41.{name}" for name in bundle.tables]


def test_the_client_reads_a_table_with_its_types(python: Path, profile: Path, site: DeliveredSite) -> None:
    done = ask(python, profile, do="load", table=f"{PRODUCT}.2026-W41.visitors_by_browser")
    found = rows(done)
    published = read_bundle(site.workspace.bundle("partner", PRODUCT, "2026-W41", 2)).tables["visitors_by_browser"]
    assert found["browser"].tolist() == published["browser"].tolist()
    assert found["value"].fillna(-1).tolist() == published["value"].fillna(-1).tolist()
    types = json.loads(done.stdout)["types"]
    assert (types["revision"], types["is_total"], types["noise_sd"]) == ("int32", "bool", "float64")


def test_versions_are_revisions(python: Path, profile: Path, site: DeliveredSite) -> None:
    totals = []
    for revision in (1, 2):
        table = f"{PRODUCT}.2026-W41.visitors_by_browser"
        found = rows(ask(python, profile, do="load", table=table, more={"version": revision}))
        totals.append(int(found[found["browser"] == "all"]["value"].iloc[0]))
        assert set(found["revision"]) == {revision}
    assert totals[1] - totals[0] == pytest.approx(1_000, abs=300)


def test_a_recipient_of_a_part_reads_its_own_rows(
    python: Path, site: DeliveredSite, portal: Portal, tmp_path: Path
) -> None:
    profile = profile_for(site, portal, tmp_path, "south")
    found = rows(ask(python, profile, do="load", table=f"{PRODUCT}.2026-W41.visitors_by_country"))
    assert set(found["country"]) == {"ES", "FR", "IT"}


def test_what_does_not_open_fails_soon_and_in_words(
    python: Path, site: DeliveredSite, portal: Portal, tmp_path: Path
) -> None:
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=9)
    expired = profile_for(site, portal, tmp_path, "acme", days=1, now=past)
    table = f"{PRODUCT}.2026-W41.visitors_by_browser"
    living = profile_for(site, portal, tmp_path, "linker")
    cases = {
        "401": ask(python, expired, do="load", table=table),
        "404": ask(python, living, do="load", table=f"{PRODUCT}.2026-W41.visitors_by_shoe_size"),
        "410": ask(python, living, do="load", table=f"{PRODUCT}.2026-W40.visitors_by_browser"),
    }
    started = time.monotonic()
    for status, done in cases.items():
        assert done.returncode != 0
        assert status in done.stderr, done.stderr[-500:]
    assert time.monotonic() - started < 30


def test_an_address_opens_one_file_for_its_token_and_ends_with_it(site: DeliveredSite, portal: Portal) -> None:
    tokens = Tokens.of(site.workspace)
    issued = tokens.issue("acme", (Scope.SHARING,))
    place = f"/sharing/shares/{PRODUCT}/schemas/2026-w41/tables/visitors_by_browser/query"
    with portal.browser() as client:
        asked = client.post(place, json={}, headers={"Authorization": f"Bearer {issued.secret}", "Origin": "null"})
        assert asked.headers["Delta-Table-Version"] == "2"
        told = [json.loads(line) for line in asked.text.splitlines()]
        assert [next(iter(line)) for line in told] == ["protocol", "metaData", "file"]
        address = httpx.URL(told[2]["file"]["url"])
        lives = told[2]["file"]["expirationTimestamp"] / 1000 - time.time()
        assert 0 < lives <= 15 * 60
        assert client.get(address).status_code == 200
        others = {
            "another table": str(address).replace("by_browser", "by_country"),
            "another time": str(address.copy_set_param("until", "99999999999")),
            "another token": str(address.copy_set_param("token", "1")),
            "another mark": str(address.copy_set_param("mark", "0" * 64)),
        }
        assert {name: client.get(other).status_code for name, other in others.items()} == dict.fromkeys(others, 403)
        tokens.revoke(issued.number)
        assert client.get(address).status_code == 403


@pytest.mark.parametrize(
    ("method", "place", "body", "status"),
    [
        ("GET", "/shares?maxResults=x", None, 400),
        ("GET", "/shares?pageToken=-1", None, 400),
        ("GET", "/shares/nothing", None, 404),
        ("GET", f"/shares/{PRODUCT}/schemas/2026-W39/tables", None, 404),
        ("GET", f"/shares/{PRODUCT}/schemas/2026-W40/tables", None, 410),
        ("GET", f"/shares/{PRODUCT}/schemas/2026-W41/tables/visitors_by_browser/changes", None, 400),
        ("POST", f"/shares/{PRODUCT}/schemas/2026-W41/tables/visitors_by_browser/query", {"timestamp": "x"}, 400),
        ("POST", f"/shares/{PRODUCT}/schemas/2026-W41/tables/visitors_by_browser/query", {"version": "2"}, 400),
        ("POST", f"/shares/{PRODUCT}/schemas/2026-W41/tables/visitors_by_browser/query", {"version": 3}, 404),
        ("POST", f"/shares/{PRODUCT}/schemas/2026-W41/tables/visitors_by_browser/query", [1], 400),
    ],
)
def test_what_cannot_be_asked_is_told_and_never_as_an_error_of_the_server(
    site: DeliveredSite, portal: Portal, method: str, place: str, body: Any, status: int
) -> None:
    secret = Tokens.of(site.workspace).issue("acme", (Scope.SHARING,)).secret
    with portal.browser() as client:
        headers = {"Authorization": f"Bearer {secret}"}
        answer = client.request(method, f"/sharing{place}", json=body, headers=headers)
    assert answer.status_code == status
    assert {"errorCode", "message"} <= set(answer.json())


def test_lists_come_in_parts(site: DeliveredSite, portal: Portal) -> None:
    secret = Tokens.of(site.workspace).issue("acme", (Scope.SHARING,)).secret
    found, after = [], ""
    with portal.browser() as client:
        for _ in range(20):
            place = f"/sharing/shares/{PRODUCT}/all-tables?maxResults=3&pageToken={after}"
            told = client.get(place, headers={"Authorization": f"Bearer {secret}"}).json()
            assert len(told["items"]) <= 3
            found += [item["name"] for item in told["items"]]
            after = told.get("nextPageToken", "")
            if not after:
                break
    granted = site.release(ReleaseKey(PRODUCT, "2026-W41", 2)).header.audiences[Audience.PARTNER]
    assert sorted(found) == sorted(granted)
