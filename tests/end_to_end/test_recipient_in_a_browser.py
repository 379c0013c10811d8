"""A reseller with countries of its own, in a real browser without scripts: log in, find, chart, download, verify.

One site, one portal as its command starts it, and one Chromium serve the whole module.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from pipeline.delivery.tokens import Scope, Tokens
from pipeline.publication.withdrawal import withdraw
from tests.delivering import DeliveredSite, sample
from tests.portal_processes import portal_process

CHROMIUM: Final = shutil.which("chromium")
PROGRAM: Final = Path(sys.executable).with_name("demographics")
PRODUCT: Final = "weekly_audience"
HOME: Final = f"/my/products/{PRODUCT}"
NEWEST: Final = f"{HOME}/editions/2026-W42/1"
WITHDRAWN: Final = f"{HOME}/editions/2026-W39/1"
TABLES: Final = ("visitors_by_country", "visitors_by_country_and_system")
TABLE: Final = f"{NEWEST}/tables/{TABLES[0]}"
OWN: Final = {"BQ": "Bonaire, Sint Eustatius and Saba", "MK": "North Macedonia", "MN": "Mongolia", "NA": "Namibia"}
OTHERS: Final = ("Saint Helena", "Bangladesh")
PLACES: Final = (
    "/my",
    HOME,
    f"{HOME}/trends",
    NEWEST,
    f"{HOME}/editions/2026-W40/1",
    f"{NEWEST}/methodology",
    TABLE,
    f"{NEWEST}/tables/{TABLES[1]}",
    "/my/account",
)
FAILING: Final = (WITHDRAWN, f"{HOME}/editions/2026-W01/1")
# Colours alone differ between the schemes.
_LOOKED_AT: Final = {"light": {}, "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}}}
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    """A product for resellers: 2026-W40 was corrected, 2026-W39 is withdrawn."""
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    every = sample(PRODUCT)
    product = sample(
        PRODUCT,
        tables=[one for one in every["tables"] if one["name"] in TABLES],
        audiences={"reseller": list(TABLES)},
    )
    made.offer(product)
    grant = {"rows": {"country": list(OWN)}, "totals": True}
    north = {"name": "north", "title": "North Resale", "audience": "reseller", "receives": {PRODUCT: grant}}
    made.entitle(ana, {"recipients": [north]})
    for period in ("2026-W39", "2026-W40", "2026-W42"):
        key = made.deliver(product, period, ana, people=20_000)
        if period == "2026-W39":
            withdraw(made.workspace, key, ana, "A log was missing.")
        if period == "2026-W40":
            revised = made.waiting(product, period, people=20_000, revises="A log was late.")
            made.register.approve(revised, ana, "Better.")
            made.put_out(revised)
    return made


@pytest.fixture(scope="module")
def portal(site: DeliveredSite) -> Iterator[str]:
    """The address of a portal for recipients alone, started by its command."""
    with portal_process(site.workspace, part="recipients") as running:
        yield f"http://127.0.0.1:{running.port}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(site: DeliveredSite, chromium: Browser, portal: str) -> Iterator[Page]:
    """A browser without scripts in which north has logged in, and which must not ask any other host for anything."""
    context = chromium.new_context(java_script_enabled=False, base_url=portal, accept_downloads=True)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto("/")
    expect(page).to_have_url(re.compile("/my/login"))
    page.get_by_label("Access token").fill(Tokens.of(site.workspace).issue("north", (Scope.READ,)).secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/my$"))
    yield page
    assert asked
    assert not [url for url in asked if not url.startswith((portal, "data:"))]
    context.close()


@pytest.fixture(scope="module")
def looking(page: Page, chromium: Browser, portal: str) -> Iterator[dict[str, BrowserContext]]:
    """Browsers of the same session in which tests may run scripts: light and dark."""
    cookies = [{"name": one["name"], "value": one["value"], "url": portal} for one in page.context.cookies()]
    found = {}
    for scheme in ("light", "dark"):
        found[scheme] = chromium.new_context(
            base_url=portal, color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True
        )
        found[scheme].add_cookies(cookies)  # type: ignore[arg-type]
    yield found
    for context in found.values():
        context.close()


def test_the_reseller_finds_its_product_and_reads_its_own_countries(page: Page) -> None:
    page.goto("/my")
    expect(page.get_by_role("heading", name="What you receive")).to_be_visible()
    page.get_by_role("link", name="Visitors by country", exact=True).click()
    expect(page).to_have_url(re.compile(f"{TABLE}$"))
    rows = page.get_by_role("table", name=re.compile("Visitors by country, 2026-W42")).get_by_role("rowheader")
    told = set(rows.all_inner_texts())
    assert told <= {*OWN.values(), "all", "all other"}
    assert OWN["MK"] in told
    assert not [name for name in OTHERS if name in page.content()]


def test_the_chart_shows_the_intervals_of_those_countries(page: Page) -> None:
    page.goto(TABLE)
    chart = page.locator("img.chart")
    expect(chart).to_have_attribute("alt", re.compile("Bar chart with 95 % intervals.*North Macedonia"))
    drawn = page.request.get(chart.get_attribute("src") or "").text()
    assert "North Macedonia" in drawn
    assert not [name for name in OTHERS if name in drawn]


def test_trends_show_the_band_by_period(page: Page) -> None:
    page.goto(HOME)
    page.get_by_role("link", name="Trends").click()
    trend = page.locator("figure.trend img").first
    expect(trend).to_have_attribute("alt", re.compile("Lines with 95 % bands by period: .* in 2026-W42"))
    drawn = page.request.get(trend.get_attribute("src") or "").text()
    assert "2026-W40" in drawn
    assert not [name for name in OTHERS if name in drawn]


def test_all_files_are_downloaded_and_verified(page: Page, site: DeliveredSite, tmp_path: Path) -> None:
    page.goto(NEWEST)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="All files (ZIP)").click()
    archive = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path)
    folder, key = archive.with_suffix(""), site.workspace.published / "minisign.pub"
    assert set(pd.read_parquet(folder / f"{TABLES[0]}.parquet")["country"]) == {*OWN, "all", "all other"}
    subprocess.run([str(PROGRAM), "verify", str(folder), "--key", str(key)], check=True, capture_output=True)
    if shutil.which("minisign") is None:
        assert "CI" not in os.environ, "the gate has minisign"
        pytest.skip("needs minisign: apt-get install minisign")
    manifest = str(folder / "manifest.json")
    subprocess.run(["minisign", "-Vm", manifest, "-p", str(key)], check=True, capture_output=True)


def test_one_table_is_downloaded_and_the_account_tells_of_it(page: Page, tmp_path: Path) -> None:
    page.goto(TABLE)
    with page.expect_download() as waiting:
        page.get_by_role("link", name=re.compile(r"^CSV, ")).click()
    waiting.value.save_as(tmp_path / "table.csv")
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False)
    assert set(table["country"]) == {*OWN, "all", "all other"}
    page.goto("/my/account")
    expect(page.get_by_role("cell", name="visitors_by_country.csv").first).to_be_visible()


def test_a_correction_and_a_withdrawal_are_told(page: Page) -> None:
    page.goto(f"{HOME}/editions/2026-W40/1")
    page.get_by_role("link", name="A later revision").click()
    expect(page).to_have_url(re.compile("/2026-W40/2$"))
    page.goto(WITHDRAWN)
    expect(page.get_by_role("alert")).to_contain_text("A log was missing.")


def test_a_token_for_programs_is_shown_once(page: Page) -> None:
    page.goto("/my/account")
    page.get_by_label("What it is for").fill("nightly job")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#secret")).to_have_text(re.compile(r"^dgx_[\w-]{43}$"))
    page.goto("/my/account")
    assert page.locator("#secret").count() == 0
    expect(page.get_by_role("cell", name="nightly job")).to_be_visible()


def test_nothing_keeps_people_from_using_a_page(looking: dict[str, BrowserContext]) -> None:
    found = []
    for scheme, context in looking.items():
        looked = context.new_page()
        for place in (*PLACES, *FAILING):
            looked.goto(place)
            looked.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            violations = Axe().run(looked, options=_LOOKED_AT[scheme]).response["violations"]
            found += [(scheme, place, one["id"], one["nodes"][0]["html"]) for one in violations]
        looked.close()
    assert found == []


def test_no_page_is_wider_than_a_small_telephone(looking: dict[str, BrowserContext]) -> None:
    looked = looking["light"].new_page()
    looked.set_viewport_size({"width": 320, "height": 700})
    for place in (*PLACES, *FAILING):
        looked.goto(place)
        looked.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert looked.evaluate("document.documentElement.scrollWidth") == 320, place
    looked.close()


def test_all_that_a_page_asks_for_is_there(looking: dict[str, BrowserContext]) -> None:
    looked = looking["light"].new_page()
    asked: list[int] = []
    said: list[str] = []
    looked.on("response", lambda answer: asked.append(answer.status))
    looked.on("console", lambda message: said.append(message.text))
    for place in (TABLE, f"{HOME}/trends"):
        looked.goto(place)
        looked.evaluate("[...document.images].forEach(image => { image.loading = 'eager' })")
        looked.wait_for_load_state("networkidle")
        assert min(looked.evaluate("[...document.images].map(image => image.naturalWidth)")) > 100
    assert set(asked) <= {200, 304}
    assert said == []
    looked.close()


def test_signing_out_ends_the_session(page: Page) -> None:
    page.goto("/my")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_contain_text("You have signed out")
    page.goto(TABLE)
    expect(page).to_have_url(re.compile("/my/login"))
