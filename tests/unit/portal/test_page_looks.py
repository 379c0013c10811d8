"""Pages in a real Chromium: without scripts, at any width, light and dark, and for those who do not see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.privacy.chain import EntryKind
from pipeline.review.accounts import Accounts
from tests.accounts import PASSWORD, quick
from tests.portals import serving
from tests.recorded import RecordedSite, small

CHROMIUM = "/usr/bin/chromium"
WAITING, PUBLISHED, ALARM = (f"/releases/weekly/2026-W{week}/r1" for week in (41, 40, 42))
PAGES = (
    "/releases",
    "/releases?state=published",
    "/releases?state=withdrawn",
    WAITING,
    PUBLISHED,
    ALARM,
    f"{WAITING}/specification",
    f"{WAITING}/steps",
    "/budget",
    "/audit",
    "/releases/none/2026-W41/r1",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site with releases of every kind; its address."""
    site = RecordedSite(tmp_path_factory.mktemp("looks") / "site")
    accounts = Accounts.of(site.workspace, quick())
    accounts.add("ana", PASSWORD)
    ana = accounts.signer("ana", PASSWORD)
    site.published(small(), "2026-W40", ana)
    changed = small(privacy={**small()["privacy"], "epsilon": 2})
    site.check(site.draw(changed, "2026-W41", people=9_000), warned=(2,))
    alarm = site.draw(small(), "2026-W42")
    site.check(alarm, failed=(1,), warned=(2,))
    site.ledger.record(EntryKind.APPROVED, alarm, {"reviewer": "ana", "reason": "by hand", "scripted": False})
    with serving(site.workspace) as portal:
        yield portal.settings.origin.replace(":0", f":{portal.app.state.port}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def logged_in(chromium: Browser, place: str, width: int, scheme: str, *, scripts: bool) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
        base_url=place,
    )
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Account").fill("ana")
    page.get_by_label("Password or token").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/releases")
    return page


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_nothing_keeps_people_from_using_a_page(chromium: Browser, place: str, scheme: str, width: int) -> None:
    page = logged_in(chromium, place, width, scheme, scripts=True)
    for path in PAGES:
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], path


def test_no_page_is_wider_than_a_small_telephone(chromium: Browser, place: str) -> None:
    page = logged_in(chromium, place, 320, "light", scripts=True)
    for path in PAGES:
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") == 320, path


def test_a_page_asks_no_other_host_and_all_it_asks_for_is_there(chromium: Browser, place: str) -> None:
    page = logged_in(chromium, place, 1280, "light", scripts=True)
    asked: list[tuple[str, int]] = []
    said: list[str] = []
    page.on("response", lambda answer: asked.append((answer.url, answer.status)))
    page.on("console", lambda message: said.append(message.text))
    page.goto(WAITING)
    page.wait_for_load_state("networkidle")
    assert {status for _, status in asked} <= {200, 304}
    assert [url for url, _ in asked if not url.startswith(place)] == []
    assert said == []
    drawn = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(drawn) == 3
    assert min(drawn) > 100


def test_a_release_is_read_and_approved_without_scripts(chromium: Browser, place: str) -> None:
    page = logged_in(chromium, place, 1280, "light", scripts=False)
    page.get_by_role("link", name="Weekly visitors").first.click()
    page.get_by_label("Reason").fill("Read, fine.")
    secret = page.get_by_label("Your password, or a token")
    secret.fill("not the password")
    secret.press("Enter")  # presses neither button
    assert page.get_by_role("alert").count() == 0
    page.get_by_role("button", name="Approve").click()
    assert "Nothing was decided" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Reason").input_value() == "Read, fine."
    page.get_by_label("Your password, or a token").fill(PASSWORD)
    page.get_by_role("button", name="Approve").click()
    assert "You have approved this release" in page.get_by_role("status").inner_text()


def test_the_keyboard_reaches_the_content_first(chromium: Browser, place: str) -> None:
    page = logged_in(chromium, place, 1280, "light", scripts=True)
    page.goto("/releases")
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("link => link === document.activeElement")
    box = skip.bounding_box()
    assert box is not None
    assert box["x"] >= 0


def test_pages_carry_both_schemes(place: str, chromium: Browser, tmp_path: Path) -> None:
    papers = []
    for scheme in ("light", "dark"):
        page = logged_in(chromium, place, 1280, scheme, scripts=True)
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(255, 255, 255)", "rgb(16, 23, 31)"]
