"""The API for recipients' programs."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from pipeline.delivery.downloads import Downloads
from pipeline.delivery.tokens import Scope, Tokens
from pipeline.publication.key_changes import revoke
from pipeline.publication.withdrawal import withdraw
from tests.delivering import DeliveredSite, sample
from tests.portals import Portal, serving

PRODUCT = "weekly_audience"
API = "/api/v1"
PERIODS = ("2026-W41", "2026-W42")  # of which an edition stands
FIRST, SECOND = f"{API}/products/{PRODUCT}/editions/2026-W41/1", f"{API}/products/{PRODUCT}/editions/2026-W42/1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    made.offer(sample(PRODUCT))
    made.entitle(ana)
    for period in ("2026-W40", "2026-W41", "2026-W42"):
        made.deliver(sample(PRODUCT), period, ana, people=20_000)
    withdraw(made.workspace, made.register.ledger.standing(PRODUCT, "2026-W40"), ana, "A source was wrong.")
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[Portal]:
    with serving(site.workspace, stranger_rate="1000/minute") as found:
        yield found


def asking(site: DeliveredSite, portal: Portal, recipient: str = "acme", *scopes: Scope) -> httpx.Client:
    """A program with a token of its own."""
    secret = Tokens.of(site.workspace).issue(recipient, scopes or (Scope.READ,)).secret
    address = f"http://127.0.0.1:{portal.app.state.port}"
    return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {secret}"}, timeout=20)


@pytest.fixture(scope="module")
def acme(site: DeliveredSite, portal: Portal) -> Iterator[httpx.Client]:
    with asking(site, portal) as client:
        yield client


def test_a_recipient_finds_its_products_and_editions(acme: httpx.Client) -> None:
    told = acme.get(f"{API}/products").json()
    assert told["recipient"] == "acme"
    (product,) = told["products"]
    assert (product["product"], product["latest"]["period"]) == (PRODUCT, "2026-W42")
    editions = acme.get(f"{API}/products/{PRODUCT}").json()["editions"]
    assert [(one["period"], one["status"]) for one in editions] == [
        ("2026-W40", "withdrawn"),
        ("2026-W41", "published"),
        ("2026-W42", "published"),
    ]
    assert editions[0]["reason"] == "A source was wrong."


def test_an_edition_tells_its_tables_files_and_how_it_was_made(acme: httpx.Client) -> None:
    told = acme.get(FIRST).json()
    assert told["k"] >= 20
    names = {one["name"] for one in told["files"]}
    assert {"visitors_by_country.csv", "visitors_by_country.parquet", "manifest.json", "SHA256SUMS"} <= names
    latest = acme.get(f"{API}/products/{PRODUCT}/latest")
    assert latest.headers["Content-Location"] == SECOND
    assert latest.json()["edition"]["period"] == "2026-W42"


def test_rows_read_the_same_in_each_format(acme: httpx.Client) -> None:
    place = f"{FIRST}/tables/visitors_by_country"
    told = acme.get(place).json()
    rows = pd.DataFrame(told["rows"], columns=told["columns"])
    parquet = pd.read_parquet(io.BytesIO(acme.get(place, params={"format": "parquet"}).content))
    csv = pd.read_csv(io.BytesIO(acme.get(place, params={"format": "csv"}).content), keep_default_na=False)
    for name in ("country", "obs_status", "measure"):
        assert list(rows[name]) == list(parquet[name]) == list(csv[name])
    assert rows["value"].dropna().astype(int).tolist() == parquet["value"].dropna().astype(int).tolist()


def test_every_file_is_the_one_that_was_signed(acme: httpx.Client) -> None:
    for one in acme.get(FIRST).json()["files"]:
        answer = acme.get(f"{API}{one['path']}")
        assert hashlib.sha256(answer.content).hexdigest() == one["sha256"], one["name"]
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie"} <= set(answer.headers["Vary"].split(", "))
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="weekly_audience-2026-W41-r1-')


def test_a_file_is_sent_in_part_and_not_again(acme: httpx.Client) -> None:
    place = f"{FIRST}/files/visitors_by_country.parquet"
    whole = acme.get(place)
    part = acme.get(place, headers={"Range": "bytes=4-99"})
    assert (part.status_code, part.content) == (206, whole.content[4:100])
    assert part.headers["Content-Range"] == f"bytes 4-99/{len(whole.content)}"
    tag = whole.headers["ETag"]
    known = acme.get(place, headers={"If-None-Match": tag})
    assert (known.status_code, known.content) == (304, b"")
    stale = acme.get(place, headers={"Range": "bytes=4-99", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    fresh = acme.get(place, headers={"Range": "bytes=-5", "If-Range": tag})
    assert (fresh.status_code, fresh.content) == (206, whole.content[-5:])
    assert acme.get(place, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416
    head = acme.head(place)
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(whole.content)))


def test_text_is_compressed_for_who_takes_it_and_has_another_tag(acme: httpx.Client) -> None:
    place = f"{FIRST}/files/visitors_by_country.csv"
    plain = acme.get(place, headers={"Accept-Encoding": "identity"})
    with acme.stream("GET", place, headers={"Accept-Encoding": "gzip"}) as answer:
        pressed = b"".join(answer.iter_raw())
    assert gzip.decompress(pressed) == plain.content
    assert len(pressed) < len(plain.content)
    assert answer.headers["ETag"] != plain.headers["ETag"]
    refused = acme.get(place, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_recipients_get_the_publishers_keys_and_new_signatures(site: DeliveredSite, acme: httpx.Client) -> None:
    published = site.workspace.published
    for name in ("minisign.pub", "keys.json", "keys.json.minisig"):
        assert acme.get(f"{API}/keys/{name}").content == (published / name).read_bytes()
    assert acme.get(f"{API}/keys/minisign.key").status_code == 404
    assert [one["state"] for one in acme.get(f"{API}/keys").json()["keys"]] == ["current"]
    place = f"{SECOND}/files/manifest.json.minisig"
    before = acme.get(place)
    revoke(site.workspace, "current", "a laptop was stolen", "ops")
    after = acme.get(place, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, b"resealed:" in after.content) == (200, True)
    assert [one["state"] for one in acme.get(f"{API}/keys").json()["keys"]] == ["revoked", "current"]


def test_what_is_given_out_is_in_the_log_and_what_is_not_is_not(site: DeliveredSite, portal: Portal) -> None:
    with asking(site, portal, "linker") as linker:
        tag = linker.get(f"{FIRST}/files/visitors_by_country.csv").headers["ETag"]
        linker.get(f"{FIRST}/files/visitors_by_country.csv", headers={"Range": "bytes=0-9"})
        linker.get(f"{FIRST}/files/visitors_by_country.csv", headers={"If-None-Match": tag})
        linker.head(f"{FIRST}/files/visitors_by_country.csv")
        linker.get(f"{FIRST}/files/none.csv")
        noted = linker.get(f"{API}/downloads").json()["downloads"]
    assert [(one["file"], one["part"]) for one in noted] == [
        ("visitors_by_country.csv", "bytes 0-9"),
        ("visitors_by_country.csv", ""),
    ]


def test_a_reseller_reads_its_own_countries_and_the_other_its_own(site: DeliveredSite, portal: Portal) -> None:
    seen = {}
    for name in ("north", "south"):
        with asking(site, portal, name) as client:
            told = client.get(f"{FIRST}/tables/visitors_by_country").json()
            place = told["columns"].index("country")
            seen[name] = {row[place] for row in told["rows"]}
    assert seen == {"north": {"DE", "DK", "SE", "all", "all other"}, "south": {"ES", "FR", "IT"}}


def test_changes_name_the_period_before_and_say_whether_it_is_noise(acme: httpx.Client) -> None:
    told = acme.get(f"{SECOND}/tables/visitors_by_country/changes").json()
    frame = pd.DataFrame(told["rows"], columns=told["columns"])
    assert set(frame["against"]) == {"period before"}
    assert set(frame["other_period"]) == {"2026-W41"}
    assert set(frame["verdict"]) <= {"rises", "falls", "within the noise", "not comparable"}
    assert acme.get(f"{FIRST}/tables/visitors_by_country/changes").json()["rows"] == []  # what came before is withdrawn


def test_a_history_holds_every_period_that_stands(acme: httpx.Client) -> None:
    place = f"{API}/products/{PRODUCT}/history"
    frames = [
        pd.read_parquet(io.BytesIO(acme.get(place, params={"format": "parquet"}).content)),
        pd.read_csv(io.BytesIO(acme.get(place, params={"format": "csv"}).content), keep_default_na=False),
    ]
    told = acme.get(place, params={"table": "visitors_by_country"}).json()
    frames.append(pd.DataFrame(told["rows"], columns=told["columns"]))
    for frame in frames:
        assert set(frame["period"]) == {"2026-W41", "2026-W42"}
    assert set(frames[2]["table"]) == {"visitors_by_country"}


def test_who_got_a_number_in_a_history_or_a_change_is_told_when_its_edition_is_withdrawn(
    site: DeliveredSite, portal: Portal
) -> None:
    log = Downloads.of(site.workspace)
    for name, place in (
        ("north", f"{API}/products/{PRODUCT}/history?format=csv"),
        ("south", f"{SECOND}/tables/visitors_by_country/changes"),
    ):
        before = {period: {one.recipient: one.files for one in log.readers(PRODUCT, period, 1)} for period in PERIODS}
        with asking(site, portal, name) as client:
            assert client.get(place).status_code == 200
        for period in PERIODS:
            after = {one.recipient: one.files for one in log.readers(PRODUCT, period, 1)}
            assert after[name] == before[period].get(name, 0) + 1, (name, period)


@pytest.mark.parametrize(
    ("place", "status", "told"),
    [
        (f"{API}/products/{PRODUCT}/editions/2026-W39/1", 404, "published for who asks"),
        (f"{API}/products/{PRODUCT}/editions/2026-W41/2", 404, "published for who asks"),
        (f"{API}/products/weekly_movements/editions/2026-W41/1", 404, "published for who asks"),
        (f"{API}/products/{PRODUCT}/editions/2026-W40/1", 410, "A source was wrong."),
        (f"{API}/products/{PRODUCT}/editions/2026-W40/1/files/visitors_by_country.csv", 410, "A source was wrong."),
        (f"{FIRST}/tables/visitors_by_country?format=xls", 400, "json, csv, parquet"),
        (f"{FIRST}/tables/visitors_by_shoe_size", 404, "published for who asks"),
        (f"{FIRST}/files/..%2F..%2F..%2Fminisign.pub", 404, ""),
        (f"{FIRST}/files/%2e%2e%2fmanifest.json", 404, ""),
        (f"{FIRST}/files/manifest.json%00.csv", 404, ""),
        (f"{API}/products/{PRODUCT}/editions/..%2f..%2f..%2fetc/1", 404, ""),
        (f"{API}/products/{PRODUCT}/editions/2026-W41/0", 400, "parameter"),
        (f"{API}/products/{PRODUCT}/editions/2026-W41/x", 400, "parameter"),
        (f"{API}/products/*/editions/2026-W41/1", 404, "published for who asks"),
        (f"{API}/nothing", 404, ""),
    ],
)
def test_what_cannot_be_had_is_a_problem_in_words(acme: httpx.Client, place: str, status: int, told: str) -> None:
    answer = acme.get(place)
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert told in f"{problem['detail']} {problem['remedy']}"
    assert "Traceback" not in answer.text
    assert str(Path.cwd()) not in answer.text


def wrong_headers(site: DeliveredSite) -> dict[str, dict[str, str]]:
    tokens, past = Tokens.of(site.workspace), dt.datetime.now(dt.UTC) - dt.timedelta(days=9)
    expired = tokens.issue("acme", days=1, now=past).secret
    revoked = tokens.issue("acme")
    tokens.revoke(revoked.number)
    stranger = tokens.issue("nobody").secret
    told = {
        "expired": expired,
        "revoked": revoked.secret,
        "of a stranger": stranger,
        "malformed": "dgx_x",
        "short": "x",
    }
    headers = {name: {"Authorization": f"Bearer {secret}"} for name, secret in told.items()}
    return headers | {
        "none": {},
        "a cookie": {"Cookie": f"demographics_recipient={expired}"},
        "another kind": {"Authorization": "Digest x"},
        "no base64": {"Authorization": "Basic %%%"},
    }


def test_whoever_shows_no_living_token_is_told_the_same(site: DeliveredSite, portal: Portal) -> None:
    answers = {}
    for name, headers in wrong_headers(site).items():
        with portal.browser() as client:
            answer = client.get(f"{API}/products", headers=headers)
            answers[name] = (answer.status_code, answer.text, "WWW-Authenticate" in answer.headers)
    assert len(set(answers.values())) == 1
    assert next(iter(answers.values()))[::2] == (401, True)


def test_a_token_opens_what_its_scope_says(site: DeliveredSite, portal: Portal) -> None:
    with asking(site, portal, "acme", Scope.SHARING) as client:
        answer = client.get(f"{API}/products")
    assert answer.status_code == 403
    assert "read" in answer.json()["detail"]


def test_basic_authentication_takes_the_token_as_password(site: DeliveredSite, portal: Portal) -> None:
    secret = Tokens.of(site.workspace).issue("acme").secret
    with portal.browser() as client:
        assert client.get(f"{API}/products", auth=("whoever", secret)).json()["recipient"] == "acme"


def test_who_guesses_tokens_has_to_wait(site: DeliveredSite) -> None:
    secret = Tokens.of(site.workspace).issue("acme").secret
    with serving(site.workspace, stranger_rate="5/minute") as portal, portal.browser() as client:
        wrong = [
            client.get(f"{API}/products", headers={"Authorization": f"Bearer dgx_{n}"}).status_code for n in range(7)
        ]
        assert wrong == [401] * 5 + [429] * 2
        refused = client.get(f"{API}/products", headers={"Authorization": f"Bearer {secret}"})
        assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True)
        with portal.browser("127.0.0.2") as other:
            assert other.get(f"{API}/products", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_a_revoked_token_and_a_withdrawn_release_end_at_once(tmp_path: Path) -> None:
    site = DeliveredSite(tmp_path)
    ana = site.reviewer()
    site.offer(sample(PRODUCT))
    site.entitle(ana)
    key = site.deliver(sample(PRODUCT), "2026-W41", ana, people=15_000)
    with serving(site.workspace) as portal, asking(site, portal) as client, asking(site, portal) as other:
        place = f"{FIRST}/files/visitors_by_country.csv"
        assert client.get(place).status_code == 200
        withdraw(site.workspace, key, ana, "Wrong.")
        assert client.get(place).status_code == 410
        Tokens.of(site.workspace).revoke(1)
        assert client.get(place).status_code == 401
        site.entitle(ana, {"recipients": []})
        assert other.get(f"{API}/products").status_code == 401


def test_the_schema_describes_every_address(acme: httpx.Client) -> None:
    told = acme.get(f"{API}/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert len(told["paths"]) == 12
    assert all("401" in one["get"]["responses"] for one in told["paths"].values())
