"""Downloads from recipients' pages: the bytes that were signed, whole editions, all periods, and the log of it all."""

from __future__ import annotations

import hashlib
import html
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.delivery.downloads import Noted, Way
from pipeline.errors import LedgerError
from pipeline.portal.editions import bundle_of
from pipeline.portal.files import files_of
from pipeline.publication.derived.history import history
from tests.delivering import DeliveredSite
from tests.portals import Browser, Portal
from tests.visiting import CORRECTED, CORRECTION, NEWEST, OWN, PRODUCT, held, token, visitor

HOME = f"/my/products/{PRODUCT}"
STANDING = (("2026-W40", 1), ("2026-W41", 2), ("2026-W43", 1))


def noted_of(portal: Portal, browser: Browser) -> list[Noted]:
    """What a browser got, by the token with which it came: other tests read as the same recipient meanwhile."""
    token = portal.app.state.recipient_sessions.find(browser.cookies["demographics_recipient"]).token
    return [one for one in portal.app.state.downloads.listed() if one.download.token == token]


def unpacked(content: bytes, folder: Path) -> Path:
    """The one folder within an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    (found,) = folder.iterdir()
    return found


@pytest.mark.parametrize("who", ["acme", "north"])
def test_each_file_is_the_one_that_was_signed(visited: DeliveredSite, visits: Portal, who: str) -> None:
    with visitor(visited, visits, who) as browser:
        page = browser.get(NEWEST).text
        for name, listed in files_of(held(visited, who)).items():
            place = f"{NEWEST}/files/{name}"
            assert f'href="{place}"' in page
            answer = browser.get(place)
            assert hashlib.sha256(answer.content).hexdigest() == listed.sha256
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert "Cookie" in answer.headers["Vary"]
            assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_download_is_in_the_log_with_its_way_and_its_token(visited: DeliveredSite, visits: Portal) -> None:
    with visitor(visited, visits) as browser:
        browser.head(f"{NEWEST}/files/by_browser.csv")
        assert not noted_of(visits, browser)
        for place in (f"{NEWEST}/files/by_browser.csv", f"{CORRECTED}/bundle.zip", f"{HOME}/history.csv"):
            assert browser.get(place).status_code == 200
        own = [one.download for one in noted_of(visits, browser)]
    assert {(one.recipient, one.way) for one in own} == {("acme", Way.PAGE)}
    told = {(one.period, one.revision, one.file) for one in own}
    assert ("2026-W43", 1, "by_browser.csv") in told
    assert ("2026-W41", 1, f"{PRODUCT}-2026-W41-r1.zip") in told
    # Of what is made of several editions, each is named: whoever got its numbers is told when it is withdrawn.
    assert {one[:2] for one in told if one[2] == f"{PRODUCT}-all-history.csv"} == set(STANDING)


def test_who_reads_numbers_on_a_page_is_in_the_log(visited: DeliveredSite, visits: Portal, acme: Browser) -> None:
    for place, editions in (
        (NEWEST, {("2026-W43", 1)}),
        (f"{CORRECTION}/tables/by_browser", {("2026-W41", 2), ("2026-W40", 1)}),  # changes show the period before
        (f"{HOME}/trends", set(STANDING)),
    ):
        before = len(noted_of(visits, acme))
        assert acme.get(place).status_code == 200
        noted = [one.download for one in noted_of(visits, acme)[before:]]
        assert {(one.period, one.revision) for one in noted} == editions
        assert all(one.way is Way.PAGE and one.file.endswith(".page") for one in noted)


_ALL_WAYS = ("files/by_browser.csv", "bundle.zip", "tables/by_browser")


@pytest.mark.parametrize("more", [*(f"{NEWEST}/{way}" for way in _ALL_WAYS), f"{HOME}/history.csv"])
def test_what_cannot_be_written_down_is_not_given_out(
    acme: Browser, visits: Portal, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    def full(*_: object) -> None:
        raise LedgerError("the ledger must be writable", remedy="Make room.")

    for name in ("note", "note_all"):
        monkeypatch.setattr(type(visits.app.state.downloads), name, full)
    answer = acme.get(more)
    assert answer.status_code == 409
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Chrome" not in answer.text


@pytest.mark.parametrize(("who", "place"), [("acme", NEWEST), ("acme", CORRECTION), ("north", NEWEST)])
def test_an_archive_has_all_files_of_an_edition_and_verifies(
    visited: DeliveredSite, visits: Portal, tmp_path: Path, who: str, place: str
) -> None:
    with visitor(visited, visits, who) as browser:
        answer = browser.get(f"{place}/bundle.zip")
        assert answer.content == browser.get(f"{place}/bundle.zip").content
    period, revision = place.split("/")[-2:]
    edition = held(visited, who, period, int(revision))
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    folder = unpacked(answer.content, tmp_path)
    assert folder.name == f"{PRODUCT}-{period}-r{revision}"
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert there == {path.name: path.read_bytes() for path in edition.folder.iterdir()}
    key = str(visited.workspace.published / "minisign.pub")
    verified = CliRunner().invoke(main, ["verify", str(folder), "--key", key])
    assert verified.exit_code == 0, verified.output
    if who == "north":
        assert set(pd.read_parquet(folder / "by_browser.parquet")["browser"]) == {*OWN, "all", "all other"}


def test_all_periods_come_in_one_table_each_in_its_newest_revision(visited: DeliveredSite, acme: Browser) -> None:
    bundles = [bundle_of(held(visited, "acme", *which)) for which in STANDING]
    expected = history(bundles)
    parquet = pd.read_parquet(io.BytesIO(acme.get(f"{HOME}/history.parquet").content))
    assert list(parquet.columns) == list(expected.columns)
    assert list(parquet["period"].unique()) == [period for period, _ in STANDING]
    assert parquet["value"].astype("Float64").tolist() == expected["value"].tolist()
    assert parquet.groupby("period")["revision"].unique().map(list).to_dict() == {one: [two] for one, two in STANDING}
    csv = pd.read_csv(io.BytesIO(acme.get(f"{HOME}/history.csv").content), encoding="utf-8-sig", keep_default_na=False)
    assert len(csv) == len(parquet)
    one = pd.read_parquet(io.BytesIO(acme.get(f"{HOME}/history.parquet?table=by_section").content))
    assert set(one["table"]) == {"by_section"}


@pytest.mark.parametrize(
    "more", ["history.xlsx", "history.csv?table=nothing", "history.", "history.json?table=by_browser"]
)
def test_a_history_that_there_is_not_is_told_so(acme: Browser, more: str) -> None:
    assert acme.get(f"{HOME}/{more}").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["../manifest.json", "..%2Fmanifest.json", "%2Fetc%2Fpasswd", "nothing.csv", ".", "manifest.json%00", "a" * 200],
)
def test_nothing_but_the_files_of_the_edition_is_given_out(acme: Browser, name: str) -> None:
    assert acme.get(f"{NEWEST}/files/{name}").status_code == 404


@pytest.fixture
def environment(visited: DeliveredSite) -> dict[str, str]:
    """What a program finds of a token of its own."""
    return {**os.environ, "DEMOGRAPHICS_TOKEN": token(visited, "acme").secret}


def line_of(browser: Browser, portal: Portal, title: str) -> str:
    """The lines to paste, as the page shows them, with the port on which the portal of the test listens."""
    page = browser.get(f"{CORRECTION}/tables/by_browser").text
    found = re.search(rf"<h4>{title}.*?<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert found, f"no line for {title}"
    assert portal.settings.origin in found[1]
    return html.unescape(found[1]).replace(portal.settings.origin, f"http://127.0.0.1:{portal.app.state.port}")


def published_rows(site: DeliveredSite) -> pd.DataFrame:
    return bundle_of(held(site, "acme", "2026-W41", 2)).tables["by_browser"]


def test_the_line_for_curl_gets_the_table(
    visited: DeliveredSite, visits: Portal, acme: Browser, environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        assert "CI" not in os.environ, "the gate has curl"
        pytest.skip("needs curl: apt-get install curl")
    script = line_of(acme, visits, "curl")
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert (tmp_path / "by_browser.csv").read_bytes() == (
        held(visited, "acme", "2026-W41", 2).folder / "by_browser.csv"
    ).read_bytes()
    refused = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environment | {"DEMOGRAPHICS_TOKEN": "x"}, check=False, timeout=60
    )
    assert refused.returncode == 22


def test_the_line_for_pandas_gets_the_table(
    visited: DeliveredSite, visits: Portal, acme: Browser, environment: dict[str, str], tmp_path: Path
) -> None:
    script = f"{line_of(acme, visits, 'Python')}\ntable.to_pickle('table.pickle')\n"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, timeout=120)
    got, published = pd.read_pickle(tmp_path / "table.pickle"), published_rows(visited)  # noqa: S301  our own
    for name in ("browser", "value", "value_lo", "value_hi", "estimate", "noise_sd", "obs_status"):
        assert got[name].fillna(-1).tolist() == published[name].fillna(-1).tolist(), name


def test_the_lines_for_r_get_the_table(
    visited: DeliveredSite, visits: Portal, acme: Browser, environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("Rscript") is None:
        assert "CI" not in os.environ, "the gate has R"
        pytest.skip("needs R: apt-get install --no-install-recommends r-base-core")
    told = (
        'write.table(table[c("browser", "value", "value_lo", "value_hi")], "table.tsv", sep = "\\t", row.names = FALSE)'
    )
    script = f"{line_of(acme, visits, 'R')}\n{told}\n"
    subprocess.run(["Rscript", "-e", script], cwd=tmp_path, env=environment, check=True, timeout=120)
    got, published = pd.read_csv(tmp_path / "table.tsv", sep="\t"), published_rows(visited)
    assert got["browser"].tolist() == published["browser"].tolist()
    for name in ("value", "value_lo", "value_hi"):
        assert got[name].fillna(-1).tolist() == published[name].fillna(-1).tolist(), name


def test_the_lines_for_excel_have_the_shape_of_a_query(visits: Portal, acme: Browser) -> None:
    # No Excel runs here: this looks at brackets and names alone.
    query = line_of(acme, visits, "Excel")
    assert query.startswith("let\n")
    assert query.rstrip().endswith("in\n  Table.PromoteHeaders(Table)")
    for opening, closing in ("()", "[]"):
        assert query.count(opening) == query.count(closing) > 0
    assert query.count('"') % 2 == 0
    assert "/editions/2026-W41/2/files/by_browser.csv" in query


def test_no_line_holds_a_token(acme: Browser) -> None:
    page = acme.get(f"{NEWEST}/tables/by_browser").text
    assert "dgx_..." in page
    assert page.count("dgx_") == page.count("dgx_...")
