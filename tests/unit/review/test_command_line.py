"""The commands ``demographics review`` and ``demographics reviewer``."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication.shelf import tombstone_of
from pipeline.review.accounts import Accounts
from pipeline.review.decisions import Register
from pipeline.review.passwords import Hashing
from pipeline.review.trail import What
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import LEDGER_VARIABLE, Workspace
from tests.accounts import OTHER, PASSWORD, WRONG, quick
from tests.hostile_texts import HOSTILE
from tests.reviewing import draw, specification
from tests.unit.publication.releases import release_of

KEY = ReleaseKey("weekly", "2026-W41")
NAMED = ("weekly", "--period", "2026-W41")
BY_ANA = (*NAMED, "--reviewer", "ana", "--reason", "read and fine")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A site where Ana has an account, and a candidate waits."""
    opened = Accounts.of

    def quickly(found: Workspace, hashing: Hashing | None = None) -> Accounts:
        return opened(found, hashing or quick())

    monkeypatch.setattr(Accounts, "of", quickly)
    monkeypatch.setenv(LEDGER_VARIABLE, "")
    found = Workspace(tmp_path)
    Accounts.of(found).add("ana", PASSWORD)
    ledger = Ledger.open(found.ledger)
    draw(ledger, KEY, content=release_of().to_bytes())
    ledger.record_checks(KEY, b"[]", passed=True)
    return found


def run(workspace: Workspace, *arguments: str, typed: str | bytes = f"{PASSWORD}\n") -> Result:
    return CliRunner().invoke(main, ["--home", str(workspace.home), *arguments], input=typed)


def told(result: Result) -> str:
    return result.stdout + result.stderr


def events(workspace: Workspace) -> list[tuple[str, What, str]]:
    return [(event.account, event.what, event.about) for event in reversed(Accounts.of(workspace).events())]


def test_what_waits_is_listed_with_where_to_read_it(workspace: Workspace) -> None:
    shown = run(workspace, "review", "list").stdout
    assert shown == (
        "weekly --period 2026-W41   http://127.0.0.1:8600/releases/weekly/2026-W41/r1   "
        f"{workspace.home}/reports/weekly/2026-W41/r1/report.html\n1 waiting\n"
    )


def test_an_approval_by_password_is_signed_and_noted(workspace: Workspace) -> None:
    result = run(workspace, "review", "approve", *BY_ANA)
    assert (result.exit_code, result.stdout) == (0, "weekly/2026-W41/r1 is approved by ana.\n")
    assert Register.of(workspace).approval(KEY).reviewer == "ana"
    assert events(workspace)[-1] == ("ana", What.APPROVED, "weekly/2026-W41/r1")
    assert run(workspace, "review", "list").stdout == "0 waiting\n"


def test_a_rejection_keeps_its_reason_in_the_ledger_and_not_in_the_log(workspace: Workspace) -> None:
    reason = "<script>alert(1)</script> [bold]shares[/] look wrong"
    result = run(workspace, "review", "reject", *NAMED, "--reviewer", "ana", "--reason", reason)
    assert result.stdout == "weekly/2026-W41/r1 is rejected by ana.\n"
    assert Register.of(workspace).rejection(KEY) == f"ana: {reason}"
    assert events(workspace)[-1] == ("ana", What.REJECTED, "weekly/2026-W41/r1")
    assert reason in run(workspace, "review", "show", *NAMED).stdout


def test_a_token_of_the_environment_decides_without_a_question(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run(workspace, "reviewer", "token", "ana", "--days", "7")
    assert re.fullmatch(r"dgr_[\w-]{43}\n", made.stdout)
    assert made.stderr == "It can be used for 7 days, and is not shown again.\n"
    monkeypatch.setenv("DEMOGRAPHICS_REVIEWER_TOKEN", made.stdout.strip())
    assert run(workspace, "review", "approve", *BY_ANA, typed="").exit_code == 0


def test_a_wrong_password_or_name_decides_nothing_and_tells_nothing(workspace: Workspace) -> None:
    answers = [run(workspace, "review", "approve", *BY_ANA, typed=f"{WRONG}\n")]
    answers += [run(workspace, "review", "approve", *NAMED, "--reviewer", "nobody", "--reason", "fine")]
    assert [answer.exit_code for answer in answers] == [13, 13]
    assert answers[0].stderr == answers[1].stderr
    assert WRONG not in told(answers[0])
    assert Register.of(workspace).is_waiting(KEY)
    assert events(workspace)[-2:] == [("ana", What.FAILED, ""), ("unknown", What.FAILED, "")]


def test_ten_wrong_passwords_lock_out_until_somebody_unlocks(workspace: Workspace) -> None:
    for _ in range(10):
        run(workspace, "review", "approve", *BY_ANA, typed=f"{WRONG}\n")
    assert run(workspace, "review", "approve", *BY_ANA).exit_code == 13
    assert "ana: locked out" in run(workspace, "reviewer", "list").stdout
    assert run(workspace, "reviewer", "unlock", "ana").exit_code == 0
    assert run(workspace, "review", "approve", *BY_ANA).exit_code == 0


def test_a_decision_is_on_the_candidate_that_was_read(workspace: Workspace) -> None:
    shown = run(workspace, "review", "show", *NAMED).stdout
    read = re.search("candidate      ([0-9a-f]{64})", shown)
    assert read
    assert "weekly/2026-W41/r1 waits for a decision" in shown
    refused = run(workspace, "review", "approve", *BY_ANA, "--candidate", "0" * 64)
    assert refused.exit_code == 9
    assert "has changed since" in refused.stderr
    assert events(workspace)[-1][1] is not What.APPROVED
    assert run(workspace, "review", "approve", *BY_ANA, "--candidate", read[1]).exit_code == 0


def test_what_is_decided_is_not_decided_again(workspace: Workspace) -> None:
    run(workspace, "review", "approve", *BY_ANA)
    again = run(workspace, "review", "reject", *BY_ANA)
    assert again.exit_code == 9
    assert "a candidate is decided once" in again.stderr
    assert [what for _, what, _ in events(workspace)].count(What.REJECTED) == 0


def test_the_first_of_two_reviewers_is_told_that_another_is_needed(workspace: Workspace) -> None:
    other = ReleaseKey("double", "2026-W41")
    ledger = Ledger.open(workspace.ledger)
    draw(ledger, other, specification(release="double", reviewers=2))
    ledger.record_checks(other, b"[]", passed=True)
    asked = ("double", "--period", "2026-W41", "--reason", "fine", "--reviewer")
    assert "Another reviewer has to approve it, too." in run(workspace, "review", "approve", *asked, "ana").stdout
    Accounts.of(workspace).add("ben", OTHER)
    assert "Another" not in run(workspace, "review", "approve", *asked, "ben", typed=f"{OTHER}\n").stdout


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 10_000, "\x00", "\x1b[31m"])
def test_a_reason_is_one_line_of_words(workspace: Workspace, reason: str) -> None:
    result = run(workspace, "review", "approve", *NAMED, "--reviewer", "ana", "--reason", reason)
    assert result.exit_code == 9
    assert "must name its reason, in one line of at most 500 characters" in result.stderr
    assert Register.of(workspace).is_waiting(KEY)


@pytest.mark.parametrize("period", ["2026-W42", "never", "../../etc", "\x1b[31m"])
def test_an_unknown_candidate_is_told_so(workspace: Workspace, period: str) -> None:
    asked = ("weekly", "--period", period, "--reviewer", "ana", "--reason", "fine")
    for command in (("approve", *asked), ("reject", *asked), ("show", "weekly", "--period", period)):
        result = run(workspace, "review", *command)
        assert result.exit_code == 9
        assert "Traceback" not in told(result)


def test_what_is_withdrawn_is_noted_and_tombstones_stand_in_its_place(workspace: Workspace) -> None:
    assert run(workspace, "review", "withdraw", *BY_ANA).exit_code == 7  # not published
    assert events(workspace)[-1][1] is not What.WITHDREW
    run(workspace, "review", "approve", *BY_ANA)
    Ledger.open(workspace.ledger).record(EntryKind.PUBLISHED, KEY, {"manifests": {"partner": "0" * 64}})
    result = run(workspace, "review", "withdraw", *BY_ANA)
    assert (result.exit_code, result.stdout) == (
        0,
        "weekly/2026-W41/r1 is withdrawn; its bundles are gone, and tombstones stand in their place.\n"
        "Nobody has downloaded it.\n",
    )
    assert tombstone_of(workspace.bundle(Audience.PARTNER, "weekly", "2026-W41", 1)) is not None
    assert events(workspace)[-1] == ("ana", What.WITHDREW, "weekly/2026-W41/r1")
    assert "was withdrawn before" in run(workspace, "review", "withdraw", *BY_ANA).stdout
    assert [what for _, what, _ in events(workspace)].count(What.WITHDREW) == 1


def test_an_account_is_made_of_one_line_of_standard_input(workspace: Workspace) -> None:
    made = run(workspace, "reviewer", "add", "ben", "--also-known-as", "Ben", "--also-known-as", "bm", typed=OTHER)
    assert made.exit_code == 0
    assert "ben, also known as Ben, bm can decide from now on" in made.stdout
    assert Accounts.of(workspace).check_in("ben", OTHER) == "ben"
    shown = run(workspace, "reviewer", "list").stdout
    assert shown == "ana: may decide\nben: may decide; also known as Ben, bm\n"


@pytest.mark.parametrize("typed", ["", "\n", b"\xff\xfe four grey herons\n"])
def test_without_a_password_no_account_is_made(workspace: Workspace, typed: str | bytes) -> None:
    assert run(workspace, "reviewer", "add", "ben", typed=typed).exit_code == 2
    assert Accounts.of(workspace).names() == ("ana",)


def test_a_password_as_an_argument_is_refused_and_not_shown(workspace: Workspace) -> None:
    for command in (
        ("reviewer", "add", "ben", OTHER),
        ("reviewer", "password", "ana", OTHER),
        ("reviewer", "token", "ana", OTHER),
        ("review", "approve", "weekly", OTHER, *BY_ANA[1:]),
        ("review", "withdraw", "weekly", OTHER, *BY_ANA[1:]),
    ):
        result = run(workspace, *command)
        assert result.exit_code == 2
        assert "A password or token is never an argument" in result.stderr
        assert OTHER not in told(result)


def test_a_poor_password_is_refused_by_its_rule_and_not_shown(workspace: Workspace) -> None:
    for password in ("short words", "ana and ben share", "password1234"):
        result = run(workspace, "reviewer", "add", "ben", typed=password)
        assert result.exit_code == 13
        assert "a reviewer's password must" in result.stderr
        assert password not in told(result)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_name_that_is_none_is_refused_and_not_shown(workspace: Workspace, name: str) -> None:
    for command in ("add", "remove", "unlock"):
        result = run(workspace, "reviewer", command, "--", name, typed=f"{OTHER}\n")
        assert result.exit_code == 13
        assert not name.strip() or name[:40] not in result.stdout + result.stderr.replace("a line", "")
    assert Accounts.of(workspace).names() == ("ana",)


def test_a_password_is_changed_of_two_lines_and_tokens_that_stay_are_told(workspace: Workspace) -> None:
    run(workspace, "reviewer", "token", "ana")
    result = run(workspace, "reviewer", "password", "ana", typed=f"{PASSWORD}\n{OTHER}\n")
    assert result.exit_code == 0
    assert "Still in use: 1 token." in result.stdout
    assert Accounts.of(workspace).check_in("ana", OTHER)
    assert run(workspace, "reviewer", "password", "ana", typed=f"{WRONG}\n{PASSWORD}\n").exit_code == 13


def test_tokens_are_listed_by_number_and_revoked(workspace: Workspace) -> None:
    secret = run(workspace, "reviewer", "token", "ana").stdout.strip()
    shown = run(workspace, "reviewer", "tokens", "ana").stdout
    assert re.fullmatch(r"1   made [\d-]{10}   expires [\d-]{10} \d\d:\d\d UTC\n1 of ana\n", shown)
    assert "ana: may decide; 1 token" in run(workspace, "reviewer", "list").stdout
    assert run(workspace, "reviewer", "revoke", "ana", "1").stdout == "Token 1 of ana is revoked.\n"
    assert run(workspace, "reviewer", "revoke", "ana", "1").exit_code == 13
    assert run(workspace, "reviewer", "tokens", "ana").stdout == "No token of ana.\n"
    assert run(workspace, "review", "approve", *BY_ANA, typed=secret).exit_code == 13


def test_who_is_removed_decides_no_more_and_what_they_approved_waits_anew(workspace: Workspace) -> None:
    run(workspace, "review", "approve", *BY_ANA)
    assert run(workspace, "reviewer", "remove", "ana").stdout == "ana decides no more.\n"
    assert run(workspace, "review", "approve", *BY_ANA).exit_code == 13
    assert run(workspace, "review", "list").stdout.endswith("1 waiting\n")
    assert run(workspace, "reviewer", "list").stdout == (
        "ana: decides no more\nNobody can log in yet: demographics reviewer add NAME\n"
    )


def test_at_a_terminal_a_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, "reviewer", "add", "ben", typed=[OTHER, WRONG, OTHER, OTHER])
    assert "New password of ben: " in shown
    assert "The two entered values do not match" in shown
    assert "ben can decide from now on" in shown
    assert OTHER not in shown
    assert Accounts.of(Workspace(tmp_path)).check_in("ben", OTHER)


def test_at_a_terminal_one_may_leave(tmp_path: Path) -> None:
    assert "Aborted!" in on_a_terminal(tmp_path, "reviewer", "add", "ben", typed=["\x03"])
    assert Accounts.of(Workspace(tmp_path)).names() == ()


def on_a_terminal(home: Path, *arguments: str, typed: list[str]) -> str:
    """What a real terminal shows, which is also the one that controls the program."""
    command = [sys.executable, "-m", "pipeline.cli", "--home", str(home), *arguments]
    child, leader = pty.fork()
    if child == 0:
        os.environ.pop("NO_COLOR", None)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # shells have background programs ignore it
        os.execvpe(command[0], command, os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"})  # noqa: S606
    shown, left = b"", list(typed)
    while True:
        if not select.select([leader], [], [], 60)[0]:
            os.kill(child, signal.SIGKILL)
            break
        try:
            shown += os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if left and shown.endswith(b": "):
            shown += b"\n"
            os.write(leader, left.pop(0).encode() + b"\n")
    os.waitpid(child, 0)
    os.close(leader)
    return shown.decode()


def test_help_is_shown_without_the_rest_of_the_program() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from pipeline.cli import main; "
        "print([CliRunner().invoke(main, [*name.split(), '--help']).exit_code for name in "
        "('review approve', 'reviewer add', 'portal')], "
        "[one for one in ('fastapi', 'sqlalchemy') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 0, 0] []\n"
