"""What stands before every page."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from pipeline.errors import ConfigurationError, DemographicsError, LedgerError, NotApprovedError
from pipeline.portal.settings import PortalSettings
from pipeline.workspace import Workspace
from tests.accounts import PASSWORD
from tests.portals import Browser, Portal, hidden, serving

MANY = "1000/minute"
RECORD = "jane.roe@example.net"
FAILURES = {
    "records": ValueError(f"cannot read {RECORD}"),
    "ledger": LedgerError("a chain must hold", value="a break on secret.db", remedy="Restore it."),
    "decided": NotApprovedError("a candidate is decided once", value="weekly/2026-W41/r1", remedy="See the list."),
    "site": ConfigurationError("a site file must be there", value="/srv/site.yaml", remedy="Write one."),
}


def with_failures(app: FastAPI) -> None:
    """Routes that fail."""

    def fail(which: str) -> Response:
        raise FAILURES[which]

    def typed(number: int) -> Response:
        return PlainTextResponse(f"{number}")

    async def echo(request: Request) -> Response:
        return PlainTextResponse(f"{len(await request.body())}")

    app.add_api_route("/failing/{which}", fail, methods=["GET"])
    app.add_api_route("/typed/{number}", typed, methods=["GET", "POST"])
    app.add_api_route("/echo", echo, methods=["POST"])


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    workspace = Workspace(tmp_path_factory.mktemp("home"))
    with serving(workspace, with_failures, log_in_rate=MANY, address_rate=MANY, decision_rate=MANY) as found:
        found.accounts.add("ana", PASSWORD)
        yield found


@pytest.fixture
def browser(portal: Portal) -> Iterator[Browser]:
    with portal.browser() as found:
        yield found


@pytest.mark.parametrize(
    "path", ["/login", "/releases", "/nothing", "/failing/records", "/healthz", "/static/portal.css"]
)
def test_every_answer_tells_browsers_to_run_nothing_and_ask_nobody(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["permissions-policy"].startswith("camera=(),")
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
    assert "strict-transport-security" not in headers
    assert "server" not in headers or "uvicorn" in headers["server"]  # the command leaves it out


def test_data_docs_may_have_styles_of_their_own_and_no_more(browser: Browser) -> None:
    policy = browser.get("/data-docs/index.html").headers["content-security-policy"]
    assert "style-src 'self' 'unsafe-inline';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in browser.get("/data-docsx").headers["content-security-policy"]


def test_by_https_browsers_are_told_to_come_by_https_alone(tmp_path: Path) -> None:
    with (
        serving(Workspace(tmp_path), url="https://review.example.org/") as portal,
        portal.browser(Host="review.example.org") as browser,
    ):
        assert browser.get("/login").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("host", ["example.net", "127.0.0.1.example.net", "", "[::2]", "a b"])
def test_a_strangers_name_for_this_machine_is_not_answered(portal: Portal, host: str) -> None:
    with portal.browser(Host=host) as browser:
        answer = browser.get("/login")
        assert answer.status_code == 400
        assert "csrf" not in answer.text


ORIGINS = {
    "another site": {"Origin": "https://example.net"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "https": {"Origin": "https://127.0.0.1:8600"},
    "none": {"Origin": "null"},
    "another site, by its browser": {"Sec-Fetch-Site": "cross-site"},
    "a sister": {"Sec-Fetch-Site": "same-site"},
    "typed": {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("headers", ORIGINS.values(), ids=ORIGINS)
@pytest.mark.parametrize("path", ["/login", "/logout", "/releases/weekly/2026-W41/r1/approve"])
def test_forms_of_other_sites_do_nothing(portal: Portal, headers: dict[str, str], path: str) -> None:
    with portal.browser() as browser:
        browser.log_in()
        csrf = hidden(browser.get("/audit").text)
        answer = browser.post(path, data={"csrf": csrf, "name": "ana", "secret": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "A form must be sent from a page of this portal" in answer.text
        assert browser.get("/audit").status_code == 200


def test_what_says_nothing_of_where_it_comes_from_is_no_browser(portal: Portal) -> None:
    answer = httpx.post(f"{portal.settings.origin}/login", data={"name": "ana"})
    assert answer.status_code == 403


def test_another_name_of_this_machine_may_be_used(portal: Portal) -> None:
    place = f"localhost:{portal.settings.port}"
    with portal.browser(Host=place, Origin=f"http://{place}") as browser:
        assert browser.log_in().status_code == 303
        answer = browser.post("/logout", headers={"Origin": "http://127.0.0.1:1"})
        assert answer.status_code == 403


def test_a_request_has_64_kibibytes_at_most(browser: Browser) -> None:
    assert browser.post("/echo", content=b"x" * 65_536).text == "65536"
    answer = browser.post("/echo", content=b"x" * 65_537)
    assert answer.status_code == 413
    assert "A request must have at most 64 KiB" in answer.text
    assert "Shorten what you wrote." in answer.text


def test_a_request_that_does_not_say_its_length_is_counted(browser: Browser) -> None:
    def parts(number: int) -> Iterator[bytes]:
        yield from (b"x" * 1024 for _ in range(number))

    assert browser.post("/echo", content=parts(64)).text == "65536"
    assert browser.post("/echo", content=parts(65)).status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "٣"])
def test_a_length_that_is_no_number_is_refused(portal: Portal, length: str) -> None:
    with socket.create_connection(("127.0.0.1", portal.settings.port)) as connection:
        head = f"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {portal.settings.origin}\r\nConnection: close\r\n"
        connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert connection.recv(4096).split()[1] in {b"400", b"413"}


def test_a_form_of_files_or_of_many_fields_is_refused(browser: Browser) -> None:
    assert browser.post("/login", files={"name": b"x"}).status_code == 400
    assert browser.post("/login", json={"name": "ana"}).status_code == 400
    answer = browser.post("/login", data={f"field{number}": "x" for number in range(21)})
    assert answer.status_code == 400
    assert "A form must be sent as the page has it" in answer.text


def test_an_error_of_the_program_shows_no_record_and_logs_its_kind_and_place(
    browser: Browser, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = browser.get("/failing/records")
    assert answer.status_code == 500
    assert "an error of the program" in answer.text
    (logged,) = [record.getMessage() for record in caplog.records if record.name == "pipeline.portal"]
    assert "ValueError at" in logged
    assert "test_security.py" in logged
    told = "".join((answer.text, caplog.text, *capfd.readouterr()))
    assert RECORD not in told
    assert "Traceback" not in told


def test_strangers_are_told_that_something_is_wrong_and_reviewers_what(portal: Portal, browser: Browser) -> None:
    stranger = browser.get("/failing/ledger")
    assert stranger.status_code == 409
    assert "A chain must hold" in stranger.text
    assert "secret.db" not in stranger.text


@pytest.mark.parametrize(("which", "status"), [("ledger", 409), ("decided", 409), ("site", 500)])
def test_an_error_that_one_can_act_on_says_rule_and_status(browser: Browser, which: str, status: int) -> None:
    answer = browser.get(f"/failing/{which}")
    assert answer.status_code == status
    failure = FAILURES[which]
    assert isinstance(failure, DemographicsError)
    assert failure.rule[1:] in answer.text


def test_what_is_not_there_is_told_so(browser: Browser) -> None:
    for path in (
        "/nothing",
        "/typed/x",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/login/",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
    ):
        assert browser.get(path).status_code == 404, path
    assert "There must be a page of that address" in browser.get("/nothing").text
    assert browser.post("/typed/x").status_code == 400
    assert browser.put("/login").status_code == 405


def test_a_stranger_is_shown_nothing(portal: Portal) -> None:
    open_to_all = {"/login", "/healthz", "/static/report.css", "/logout", "/echo", "/", "/my/login"}
    asked = 0
    with portal.browser() as browser:
        for route in portal.app.router.routes:
            path = getattr(route, "path", "")
            methods = getattr(route, "methods", None) or set()
            if path in open_to_all or path.startswith(("/failing", "/typed")) or not methods:
                continue
            place = path.replace("{path:path}", "x").replace("{", "").replace("}", "")
            for method in methods:
                answer = browser.request(method, place)
                if path.startswith(("/api/", "/sharing", "/feed.atom")):  # programs; see test_default_deny
                    assert answer.status_code in {400, 401, 403, 404, 429}, (method, path)
                    continue
                assert answer.status_code in {303, 404}, (method, path)
                place_of_log_in = "/my/login" if path.startswith("/my") else "/login"
                assert answer.status_code != 303 or answer.headers["location"].startswith(place_of_log_in), path
                asked += 1
    assert asked >= 10


def test_no_request_is_logged_even_where_a_library_sets_up_logging_anew(
    portal: Portal, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    with caplog.at_level(logging.INFO), portal.browser() as browser:
        assert browser.get("/healthz").status_code == 200
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_whether_pages_can_be_answered_is_told_without_an_account(browser: Browser) -> None:
    answer = browser.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


SETTINGS = {
    "http to other machines": {"url": "http://review.example.org"},
    "http on an address of the network": {"host": "192.0.2.1"},
    "a path": {"url": "https://review.example.org/portal"},
    "a password": {"url": "https://ana:hunter2@review.example.org"},
    "no host": {"url": "https://"},
    "another scheme": {"url": "ftp://review.example.org"},
    "no port": {"url": "https://review.example.org:x"},
    "no rate": {"log_in_rate": "often"},
    "no minutes": {"session_minutes": 0},
    "a port too many": {"port": 65_536},
}


@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_settings_that_would_betray_passwords_or_mean_nothing_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="settings of the portal break 1 rule") as failure:
        PortalSettings.from_environment(**given)
    assert "hunter2" not in str(failure.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PortalSettings.from_environment().origin == "http://127.0.0.1:8600"
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_URL", "https://Review.Example.org:443/")
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_HOST", "192.0.2.1")
    monkeypatch.setenv("DEMOGRAPHICS_PORTAL_HOSTS", "review, Review.Local")
    found = PortalSettings.from_environment(port=9000)
    assert (found.origin, found.secure) == ("https://review.example.org", True)
    assert found.names == ("review", "review.example.org", "review.local")
    assert PortalSettings.from_environment(host="::1", url=None).session_cookie.startswith("__Host-")


def test_the_command_serves_says_where_and_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(tmp_path), "portal", "--port", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    assert running.stdout is not None
    place = running.stdout.readline().strip().removeprefix("Review: ")
    assert "demographics reviewer add NAME" in running.stdout.readline()
    answer = httpx.get(f"{place}/login?name={RECORD}")
    assert answer.status_code == 200
    assert "server" not in answer.headers
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (0, "")
    for told in (RECORD, "127.0.0.1", "Traceback"):
        assert told not in err


def test_a_port_that_is_taken_is_told(tmp_path: Path, portal: Portal) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(tmp_path), "portal"]
    done = subprocess.run([*command, "--port", str(portal.settings.port)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "the portal must have an address to listen on" in done.stderr
