"""The commands ``demographics review`` and ``demographics reviewer``: decisions, and who makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import click

from pipeline.cli_console import reported
from pipeline.cli_secrets import REST, TOKEN_VARIABLE, asked, reviewer_secret

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.cli_reviewers import Office

_ASKED: Final = f"""
The password is asked for, or a token; both may be a line of standard input, and a token may be in {TOKEN_VARIABLE}.
Neither is ever an argument: arguments are seen by everybody on the machine, and shells keep them.
"""
_PERIOD: Final = click.option("--period", required=True, help="Day 2026-10-05, ISO week 2026-W41 or month 2026-10.")
_REVISION: Final = click.option("--revision", default=1, show_default=True, help="The revision that was read.")
Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def review() -> None:
    """Candidates that wait for a privacy reviewer's decision."""


@review.command("list")
def review_list() -> None:
    """List candidates on which nobody decided yet, and where to read them."""
    with _office() as office:
        office.list_waiting()


@review.command("show")
@click.argument("release")
@_PERIOD
@_REVISION
def review_show(release: str, period: str, revision: int) -> None:
    """Show what stands of RELEASE, what was decided on it, and the digest of what a decision is on."""
    with _office() as office:
        office.show(release, period, revision)


def _decides(command: Command) -> Command:
    """What the commands that decide have in common."""
    options = (
        click.argument("release"),
        REST,
        _PERIOD,
        _REVISION,
        click.option("--reviewer", required=True, help="Whose account decides."),
        click.option("--reason", required=True, help="Why, in one line; kept in the ledger."),
    )
    for option in reversed(options):
        command = option(command)
    return command


_CANDIDATE: Final = click.option(
    "--candidate", default="", metavar="SHA256", help="Of the candidate that was read; refused where it is another now."
)


@review.command("approve", epilog=_ASKED)
@_decides
@_CANDIDATE
def review_approve(release: str, period: str, revision: int, reviewer: str, reason: str, candidate: str) -> None:
    """Approve RELEASE exactly as it stands; any later change voids the approval."""
    with _office() as office:
        office.decide("approve", (release, period, revision), reviewer, reviewer_secret(reviewer), reason, candidate)


@review.command("reject", epilog=_ASKED)
@_decides
@_CANDIDATE
def review_reject(release: str, period: str, revision: int, reviewer: str, reason: str, candidate: str) -> None:
    """Reject RELEASE; it is not published."""
    with _office() as office:
        office.decide("reject", (release, period, revision), reviewer, reviewer_secret(reviewer), reason, candidate)


@review.command("withdraw", epilog=_ASKED)
@_decides
def review_withdraw(release: str, period: str, revision: int, reviewer: str, reason: str) -> None:
    """Withdraw RELEASE, which was published: its bundles go, and a tombstone says so to recipients."""
    with _office() as office:
        office.withdraw((release, period, revision), reviewer, reviewer_secret(reviewer), reason)


@click.group()
def reviewer() -> None:
    """Accounts of privacy reviewers."""


@reviewer.command("add", epilog=_ASKED)
@click.argument("name")
@REST
@click.option(
    "--also-known-as",
    multiple=True,
    metavar="N",
    help="Another name of the same person: in Airflow, on the machine, in specifications. May be repeated.",
)
def reviewer_add(name: str, also_known_as: tuple[str, ...]) -> None:
    """Make an account NAME; asks for its password twice. Who knows it can decide."""
    with _office() as office:
        office.add(name, asked(f"New password of {name}", twice=True), also_known_as)


@reviewer.command("list")
def reviewer_list() -> None:
    """List reviewers: who may decide, who is locked out, and how many tokens there are."""
    with _office() as office:
        office.list_reviewers()


@reviewer.command("password", epilog=_ASKED)
@click.argument("name")
@REST
def reviewer_password(name: str) -> None:
    """Change the password of NAME; asks for the old one, then twice for the new one. Sessions end, tokens stay."""
    with _office() as office:
        old = asked(f"Password of {name}")
        office.change_password(name, old, asked(f"New password of {name}", twice=True))


@reviewer.command("token", epilog=_ASKED)
@click.argument("name")
@REST
@click.option("--days", default=90, show_default=True, help="For how long it can be used, 1 to 366.")
def reviewer_token(name: str, days: int) -> None:
    """Make a token by which scripts decide as NAME; it is written to standard output, once."""
    with _office() as office:
        office.issue_token(name, asked(f"Password of {name}"), days)


@reviewer.command("tokens")
@click.argument("name")
def reviewer_tokens(name: str) -> None:
    """List the tokens of NAME by number, without their secret."""
    with _office() as office:
        office.list_tokens(name)


@reviewer.command("revoke")
@click.argument("name")
@click.argument("number", type=int)
def reviewer_revoke(name: str, number: int) -> None:
    """Revoke the token NUMBER of NAME, and end the sessions of NAME."""
    with _office() as office:
        office.revoke(name, number)


@reviewer.command("remove")
@click.argument("name")
def reviewer_remove(name: str) -> None:
    """Let NAME decide no more; candidates that NAME approved and nobody published wait anew."""
    with _office() as office:
        office.remove(name)


@reviewer.command("unlock")
@click.argument("name")
def reviewer_unlock(name: str) -> None:
    """Let NAME in again at once after too many failures."""
    with _office() as office:
        office.unlock(name)


@contextmanager
def _office() -> Iterator[Office]:
    with reported() as console:
        yield _opened(console)


def _opened(console: Console) -> Office:
    from pipeline.cli_reviewers import Office

    return Office.open(console)
