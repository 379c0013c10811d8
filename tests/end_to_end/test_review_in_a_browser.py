"""A reviewer logs in with a real browser, reads, and decides; the export that waits in a real Airflow goes on.

One Airflow, one portal as its command starts it, and one Chromium serve the whole module.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.local.api import DagRun
from pipeline.privacy.chain import EntryKind
from pipeline.review.accounts import Accounts
from tests.accounts import PASSWORD, quick
from tests.end_to_end.review_site import PERIOD, ReviewSite, review_airflow, write_review_site
from tests.end_to_end.rights_site import until

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

PROGRAM = Path(sys.executable).with_name("demographics")
RELEASES = ("approved", "rejected")
SCRIPT = "shares look wrong <script>document.title = 'owned'</script>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewSite]:
    workspace = write_review_site(tmp_path_factory.mktemp("site"), RELEASES)
    with review_airflow(workspace) as running:
        Accounts.of(workspace, quick()).add("ana", PASSWORD)
        yield running


@pytest.fixture(scope="module")
def waiting(site: ReviewSite) -> Mapping[str, DagRun]:
    return site.exporting(*RELEASES)


@pytest.fixture(scope="module")
def portal(site: ReviewSite) -> Iterator[str]:
    """The portal's address, started by its command."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(PROGRAM), "--home", str(site.workspace.home), "portal", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as started:
        try:
            assert started.stdout is not None
            until(lambda: _answers(port) or started.poll() is not None, "the portal answers")
            assert started.poll() is None, started.stdout.read()
            yield f"http://127.0.0.1:{port}"
        finally:
            started.terminate()
            started.wait(20)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(chromium: Browser, portal: str) -> Iterator[Page]:
    """A browser without JavaScript in which ana has logged in, and which must not ask any other host for anything."""
    context = chromium.new_context(java_script_enabled=False, base_url=portal)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto("/")
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_label("Account").fill("ana")
    page.get_by_label("Password or token").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/releases$"))
    yield page
    assert asked
    assert not [url for url in asked if not url.startswith((portal, "data:"))]
    context.close()


def decide(page: Page, button: str, reason: str, secret: str = PASSWORD) -> None:
    page.get_by_label("Reason").fill(reason)
    page.get_by_label(re.compile("password", re.IGNORECASE)).fill(secret)
    page.get_by_role("button", name=button).click()


def test_what_waits_is_found_and_read(page: Page, waiting: Mapping[str, DagRun]) -> None:
    assert set(waiting) == set(RELEASES)
    page.goto("/releases")
    page.get_by_role("link", name=re.compile("The approved release")).first.click()
    expect(page).to_have_url(re.compile(f"/releases/approved/{PERIOD}/r1"))
    for heading in ("Who gets what", "Checks", "Change since the release before"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    chart = page.locator("img[src*='figures/by_country']").first
    expect(chart).to_have_attribute("alt", re.compile("Bar chart with 95 % intervals"))
    assert page.request.get(chart.get_attribute("src") or "").ok


def test_a_wrong_password_decides_nothing(page: Page, site: ReviewSite, waiting: Mapping[str, DagRun]) -> None:
    page.goto(f"/releases/approved/{PERIOD}/r1")
    decide(page, "Approve", "plausible", "not the right words")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was decided")
    assert site.entry(EntryKind.APPROVED, "approved") is None
    assert site.task_state(waiting["approved"], "await_review") == "deferred"


def test_an_approval_lets_the_waiting_export_publish(
    page: Page, site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    page.goto(f"/releases/approved/{PERIOD}/r1")
    decide(page, "Approve", "the shares are plausible")
    expect(page.get_by_role("status")).to_contain_text("You have approved this release")
    assert site.ended(waiting["approved"]).run.state == "success"
    assert site.is_published("approved")
    page.goto(f"/releases/approved/{PERIOD}/r1")
    expect(page.get_by_text("the shares are plausible")).to_be_visible()


def test_a_rejection_ends_the_export_and_a_script_in_the_reason_is_text(
    page: Page, site: ReviewSite, waiting: Mapping[str, DagRun]
) -> None:
    page.goto(f"/releases/rejected/{PERIOD}/r1")
    decide(page, "Reject", SCRIPT)
    expect(page.get_by_text(SCRIPT).first).to_be_visible()
    assert site.ended(waiting["rejected"]).run.state == "success"
    assert site.task_state(waiting["rejected"], "publish") == "skipped"
    assert not site.is_published("rejected")


def test_a_release_that_was_decided_cannot_be_decided_again(page: Page, waiting: Mapping[str, DagRun]) -> None:
    page.goto(f"/releases/rejected/{PERIOD}/r1")
    assert page.get_by_role("button", name="Approve").count() == 0


def test_a_withdrawal_takes_the_bundles_away(page: Page, site: ReviewSite) -> None:
    bundle = site.workspace.published / "partner" / "approved" / PERIOD / "r1"
    assert (bundle / "by_country.parquet").is_file()
    page.goto(f"/releases/approved/{PERIOD}/r1")
    decide(page, "Withdraw", "the logs of Friday were missing")
    expect(page.get_by_role("status")).to_contain_text("You have withdrawn this release")
    stone = json.loads((bundle / "WITHDRAWN.json").read_bytes())
    assert stone["reason"] == "the logs of Friday were missing"
    assert not (bundle / "by_country.parquet").exists()


def test_every_page_is_free_of_what_keeps_people_from_using_it(chromium: Browser, page: Page, portal: str) -> None:
    cookies = page.context.cookies()
    places = ["/releases", f"/releases/approved/{PERIOD}/r1", f"/releases/rejected/{PERIOD}/r1", "/budget", "/audit"]
    found = []
    for scheme in ("light", "dark"):
        context = chromium.new_context(
            base_url=portal, color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True
        )
        context.add_cookies([{"name": one["name"], "value": one["value"], "url": portal} for one in cookies])
        looked = context.new_page()
        for place in [*places, "/login"]:
            answer = looked.goto(place)
            assert answer is not None
            assert answer.ok, place
            violations = Axe().run(looked).response["violations"]
            found += [(scheme, place, one["id"]) for one in violations if one["impact"] in ("serious", "critical")]
        context.close()
    assert found == []


def test_a_narrow_window_does_not_scroll_sideways(chromium: Browser, page: Page, portal: str) -> None:
    context = chromium.new_context(base_url=portal, viewport={"width": 320, "height": 700})
    context.add_cookies([{"name": one["name"], "value": one["value"], "url": portal} for one in page.context.cookies()])
    looked = context.new_page()
    for place in ("/releases", f"/releases/approved/{PERIOD}/r1", "/budget", "/audit"):
        looked.goto(place)
        assert looked.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), place
    context.close()


def test_logging_out_ends_the_session(page: Page) -> None:
    page.goto("/releases")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/releases")
    expect(page).to_have_url(re.compile("/login"))


def _answers(port: int) -> bool:
    import httpx

    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
