"""The command ``demographics subject``."""

from __future__ import annotations

import datetime as dt
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.privacy import database
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.store import Origin, State, Unusable
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.hostile_texts import HOSTILE
from tests.unit.rights.asking import (
    ADDRESS,
    AGENT,
    CUSTOMER,
    EMAIL,
    customer,
    document,
    open_store,
    sealed_rows,
    write_site,
)

ID = re.compile(r"R-[0-9A-Z]{8}")
VISITOR = f"address: {ADDRESS}\nagent: {AGENT}\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    return write_site(tmp_path / "home", monkeypatch)


def run(workspace: Workspace, *arguments: str, piped: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["--home", str(workspace.home), "subject", *arguments], input=piped)


def only(workspace: Workspace) -> SubjectRequest:
    store = open_store(workspace)
    (row,) = store.open_requests()
    return store.unseal(row)


def told(result: Result) -> str:
    return result.stdout + result.stderr


@pytest.mark.parametrize(
    ("command", "kind"),
    [("access", RequestKind.ACCESS), ("erase", RequestKind.ERASE), ("opt-out", RequestKind.OPT_OUT)],
)
def test_what_is_piped_in_is_received_and_its_deadline_told(
    workspace: Workspace, command: str, kind: RequestKind
) -> None:
    result = run(workspace, command, "customer", "--received", "2026-10-05T10:00", piped=f"customer: {CUSTOMER}\n")
    assert result.exit_code == 0
    assert (only(workspace).kind, only(workspace).customer) == (kind, CUSTOMER)
    (row,) = open_store(workspace).rows()
    assert result.stdout == f"{row.id} is received, and must be in force by 2026-10-07 10:00 CEST.\n"
    assert CUSTOMER not in told(result)


def test_the_same_request_again_is_told_as_such(workspace: Workspace) -> None:
    run(workspace, "erase", "customer", piped=f"customer: {CUSTOMER}\n")
    assert (
        "was received already" in run(workspace, "erase", "customer", piped=json.dumps({"customer": CUSTOMER})).stdout
    )


def test_a_visitor_is_named_by_lines(workspace: Workspace) -> None:
    result = run(workspace, "opt-out", "visitor", "--since", "2026-10-01", piped=VISITOR)
    assert result.exit_code == 0
    found = only(workspace)
    assert (found.address, found.agent, found.until) == (ADDRESS, AGENT, None)


def test_a_correction_says_what_it_is_to_be(workspace: Workspace) -> None:
    run(workspace, "correct", "customer", "--set", "country=AT; plan=basic", piped=f'{{"email": "{EMAIL}"}}')
    assert only(workspace).values == {"country": "AT", "plan": "basic"}


def test_numbers_of_an_object_are_read_as_they_are_written(workspace: Workspace) -> None:
    run(workspace, "erase", "customer", piped='{"customer": 00123}'.replace("00", ""))
    assert only(workspace).customer == "123"


@pytest.mark.parametrize(
    "piped",
    [
        "", "  \n", CUSTOMER, f"customer: {CUSTOMER}\ncustomer: {CUSTOMER}", f'{{"customer": "{CUSTOMER}"',
        f'{{"customer": "{CUSTOMER}", "customer": "{CUSTOMER}"}}', f'{{"customer": ["{CUSTOMER}"]}}', "{}",
        f"customer: {CUSTOMER}\nrequest: access", f"{CUSTOMER}: {CUSTOMER}", f"customer: {CUSTOMER}\x1b]0;owned\x07",
        b"customer: \xff" + CUSTOMER.encode(), "{" * 100_000, "9" * (1 << 20) + "9",
        json.dumps({"customer": "\ud800" + CUSTOMER}), f"customer: {CUSTOMER}\nset: country=AT",
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_kept_and_told_of_without_its_content(workspace: Workspace, piped: str | bytes) -> None:
    result = run(workspace, "erase", "customer", piped=piped)
    assert result.exit_code == 12
    (row,) = open_store(workspace).rows()
    assert (row.state, row.kind, row.population) == (State.REFUSED, "erase", "customers")
    assert row.id in result.stderr
    assert CUSTOMER not in told(result)
    assert "\x1b" not in told(result)
    assert len(sealed_rows(workspace)) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_reach_no_terminal(workspace: Workspace, name: str) -> None:
    text = HOSTILE[name]
    for piped in (f"customer: {text}", json.dumps({"email": text}), json.dumps({text: text})):
        result = run(workspace, "erase", "customer", piped=piped)
        assert result.exit_code in (0, 12)
        assert all(line.isprintable() for line in told(result).splitlines())
        assert len(text) < 6 or text not in told(result)
    listed = run(workspace, "list", "--all")
    assert listed.exit_code == 0
    assert all(line.isprintable() for line in listed.stdout.splitlines())


@pytest.mark.parametrize(
    "arguments", [[EMAIL], ["customer", EMAIL], ["customer", "--customer", CUSTOMER], ["customer", f"--email={EMAIL}"]]
)
def test_what_names_a_person_is_never_an_argument(workspace: Workspace, arguments: list[str]) -> None:
    result = run(workspace, "erase", *arguments, piped=f"customer: {CUSTOMER}")
    assert result.exit_code == 2
    assert CUSTOMER not in told(result)
    assert EMAIL not in told(result)
    assert open_store(workspace).rows() == ()


def test_help_says_why_nothing_that_names_a_person_is_an_argument(workspace: Workspace) -> None:
    assert "shells keep them" in run(workspace, "erase", "--help").stdout


def test_with_another_key_nothing_is_received(workspace: Workspace) -> None:
    run(workspace, "erase", "customer", piped=f"customer: {CUSTOMER}\n")
    workspace.subject_key.write_bytes(b"0f" * 32)
    result = run(workspace, "access", "customer", piped=f"customer: {CUSTOMER}\n")
    assert result.exit_code == 3
    assert len(open_store(workspace).rows()) == 1
    assert run(workspace, "list").exit_code == 0


def test_the_list_shows_age_state_and_hours_left_and_names_nobody(workspace: Workspace) -> None:
    store, now = open_store(workspace), dt.datetime.now(dt.UTC)
    person = SubjectRequest(RequestKind.ERASE, Population.CUSTOMERS, now - dt.timedelta(hours=50), customer=CUSTOMER)
    late = store.receive(person, Origin.TABLE)
    refused = store.receive_unusable(Unusable({"email": EMAIL}, "email must be\x1b[31m given", now), Origin.TABLE)
    applied = store.receive(customer("another"), Origin.TABLE)
    store.mark_applied([applied.id], "in force", now)
    waiting, every = run(workspace, "list").stdout, run(workspace, "list", "--all").stdout
    late_line = next(line for line in waiting.splitlines() if late.id in line)
    assert re.search(r"erase +customers +open +.* 50\.\d +-2\.\d", late_line)
    assert refused.id in waiting
    assert "\x1b" not in every
    assert applied.id not in waiting
    assert "in force" in next(line for line in every.splitlines() if applied.id in line)
    assert not [text for text in (CUSTOMER, EMAIL) if text in every]


def test_an_overdue_request_is_red_on_a_terminal(workspace: Workspace) -> None:
    old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=50)
    late = open_store(workspace).receive(
        SubjectRequest(RequestKind.ERASE, Population.CUSTOMERS, old, customer=CUSTOMER), Origin.TABLE
    )
    shown = on_a_terminal(workspace, "list")
    assert re.search(r"\x1b\[1;31m" + late.id, shown)


def test_nothing_waits(workspace: Workspace) -> None:
    assert run(workspace, "list", "--all").stdout == "No request waits.\n\nNone is settled.\n"


def test_a_refused_request_is_closed_or_tried_anew(workspace: Workspace) -> None:
    without = document()
    without["customers"] = without["customers"] | {"email": None}
    workspace.site_file.write_text(json.dumps(without), "utf-8")
    first, second = (ID.search(run(workspace, "erase", "customer", piped=f"email: {n}{EMAIL}").stderr) for n in "12")
    assert first is not None
    assert second is not None
    assert run(workspace, "retry", first[0]).exit_code == 12
    workspace.site_file.write_text(json.dumps(document()), "utf-8")
    assert f"{first[0]} is received" in run(workspace, "retry", first[0]).stdout
    closed = run(workspace, "close", second[0], "--operator", "ana", "--reason", "sent anew")
    assert closed.stdout == f"{second[0]} is closed.\n"
    assert states(workspace) == {first[0]: State.OPEN, second[0]: State.CLOSED}
    unknown = run(workspace, "close", EMAIL, "--operator", "ana", "--reason", "why")
    assert unknown.exit_code == 12
    assert EMAIL not in told(unknown)


def states(workspace: Workspace) -> dict[str, State]:
    return {row.id: row.state for row in open_store(workspace).rows()}


def test_what_lies_in_the_drop_folder_is_collected(workspace: Workspace) -> None:
    assert run(workspace, "collect").stdout.startswith("0 received")
    path = workspace.inbox / "requests.csv"
    path.write_text(f"request,population,customer\nerase,customers,{CUSTOMER}\nerase,customers,\n")
    os.rename(path, path.with_name("left.taken"))  # noqa: PTH104 - as a run that was killed leaves it
    result = run(workspace, "collect")
    assert result.stdout == "1 received, 0 that were there already, 1 that cannot be used.\n"
    assert list(workspace.inbox.iterdir()) == []


def test_what_waits_is_put_into_force(workspace: Workspace) -> None:
    run(workspace, "erase", "customer", piped=f"customer: {CUSTOMER}\n")
    result = run(workspace, "apply")
    assert result.exit_code == 0
    assert result.stdout == "1 in force, 0 wait on.\n"
    assert [row.state for row in open_store(workspace).rows()] == [State.APPLIED]
    assert sealed_rows(workspace) == []


def test_a_request_that_has_to_wait_on_is_told_of(workspace: Workspace) -> None:
    run(workspace, "erase", "customer", piped=f"customer: {CUSTOMER}\n")
    with database.at(workspace.ledger).writing() as connection:
        connection.exec_driver_sql("UPDATE subject_requests SET sealed = x'00'")
    result = run(workspace, "apply")
    assert result.exit_code == 12
    assert "0 in force, 1 wait on." in result.stdout
    assert "changed content" in result.stdout


def test_at_a_terminal_it_is_asked_for(workspace: Workspace) -> None:
    shown = on_a_terminal(workspace, "erase", "customer", typed=["", EMAIL])
    assert "Customer, or nothing to name them by e-mail address: " in shown
    assert only(workspace).email == EMAIL
    shown = on_a_terminal(workspace, "opt-out", "visitor", typed=[ADDRESS, AGENT, "2026-10-01"])
    assert "User agent, as the log has it: " in shown
    assert len(open_store(workspace).open_requests()) == 2


def test_what_is_mistyped_at_a_terminal_is_not_kept(workspace: Workspace) -> None:
    shown = on_a_terminal(workspace, "erase", "customer", typed=["", "jane"])
    assert "email must be an e-mail address" in shown
    assert open_store(workspace).rows() == ()


def test_at_a_terminal_one_may_leave(workspace: Workspace) -> None:
    assert "Aborted!" in on_a_terminal(workspace, "erase", "customer", typed=["\x04"])
    assert open_store(workspace).rows() == ()


def on_a_terminal(workspace: Workspace, *arguments: str, typed: list[str] | None = None) -> str:
    """What a real terminal shows."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(workspace.home), "subject", *arguments]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"}
    environment.pop("NO_COLOR", None)
    running = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown, left = b"", [*(typed or [])]
    while select.select([leader], [], [], 30)[0]:
        try:
            shown += os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if left and shown.rstrip(b"\x1b[?25h").endswith(b": "):
            os.write(leader, left.pop(0).encode() + b"\n")
    running.wait(30)
    os.close(leader)
    return shown.decode()
