"""The command ``demographics entitlements``: who may read what, and putting it into force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pipeline.cli_console import bar, reported
from pipeline.cli_secrets import REST, reviewer_secret
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.delivery.approvals import Approvals
    from pipeline.flow_delivery import Delivered


@click.group()
def entitlements() -> None:
    """Who the recipients are, and what each may read."""


@entitlements.command("show")
def entitlements_show() -> None:
    """Show what is in force, in words, and whether the file waits for a reviewer."""
    with _approvals() as (approvals, console):
        from pipeline.delivery.wording import lines_of

        newest = approvals.newest()
        if newest is None:
            console.print("Nothing is in force: nobody can read anything.", highlight=False)
        else:
            told = f"Number {newest.number}, approved by {newest.reviewer} on {newest.at:%Y-%m-%d %H:%M} UTC."
            console.print(told, markup=False, highlight=False)
            for line in lines_of(newest.entitlements):
                console.print(line, markup=False, highlight=False)
        _tell_proposed(approvals, console)


@entitlements.command("check")
def entitlements_check() -> None:
    """Check the file against the specifications and the site; nothing changes."""
    with _approvals() as (approvals, console):
        content = _content(approvals)
        found = approvals.checked(content)
        console.print(f"valid, {len(found.recipients)} recipients", highlight=False)


@entitlements.command("difference")
def entitlements_difference() -> None:
    """Show what the file changes of what is in force, line by line."""
    with _approvals() as (approvals, console):
        from pipeline.delivery.wording import difference

        content = approvals.proposed()
        newest = approvals.newest()
        lines = difference(newest.content if newest else b"", content) if content is not None else ()
        for line in lines or ["The file is what is in force."]:
            console.print(line, markup=False, highlight=False)
        _tell_proposed(approvals, console)


@entitlements.command("approve")
@REST
@click.option("--reviewer", required=True, help="Whose account decides.")
@click.option(
    "--seen", default="", metavar="SHA256", help="Of the file that was read; refused where it is another now."
)
def entitlements_approve(reviewer: str, seen: str) -> None:
    """Put the file into force, exactly as it was read; asks for the reviewer's password or token."""
    with _approvals() as (approvals, console):
        from pipeline.delivery.approvals import digest_of
        from pipeline.review.accounts import Accounts
        from pipeline.review.trail import What

        content = _content(approvals)
        accounts = Accounts.of(approvals.workspace)
        signer = accounts.signer(reviewer, reviewer_secret(reviewer))
        approved = approvals.approve(signer, seen or digest_of(content))
        accounts.note(signer.name, What.APPROVED, f"entitlements {approved.number}")
        console.print(f"In force: entitlements {approved.number}. Now: demographics deliver", highlight=False)


@click.command()
@click.option("--recipient", metavar="NAME", help="Bring the stores of this recipient alone up to date.")
def deliver(recipient: str | None) -> None:
    """Bring to recipients what is published: bundles of parts, their stores, and notices.

    Exit code 14 where something could not be brought to where it belongs; everything else was then.
    """
    with reported() as console:
        from pipeline import flow_delivery

        with bar(console) as progress:
            done = flow_delivery.deliver(recipient, progress)
        published = Workspace.from_environment().published
        for folder in done.written:
            console.print(str(folder.relative_to(published)), markup=False, highlight=False)
        for line in _delivered(done):
            console.print(line, markup=False, highlight=False)
        done.require()


def _delivered(done: Delivered) -> Iterator[str]:
    stores, notices = done.sending.stores if done.sending else (), done.notices
    for one in stores:
        yield from (f"{one.recipient}: {path} is in {one.store}" for path in one.sent)
        yield from (f"{one.recipient}: {path} is taken back from {one.store}" for path in one.withdrawn)
    yield from notices.problems if notices and not notices.failed else ()  # they are tried again
    sent, withdrawn = sum(len(one.sent) for one in stores), sum(len(one.withdrawn) for one in stores)
    told = [f"{len(done.written)} bundles were written"] if done.written else []
    told += [f"{sent} editions were sent to stores"] if sent else []
    told += [f"{withdrawn} were taken back"] if withdrawn else []
    told += [f"{notices.sent} notices were sent"] if notices and notices.sent else []
    told += [f"{notices.waiting} notices wait"] if notices and notices.waiting else []
    if told:
        yield f"{', '.join(told)}."
    elif not done.problems:
        yield "Everything is there."


def _content(approvals: Approvals) -> bytes:
    from pipeline.errors import ConfigurationError

    content = approvals.file()
    if content is None:
        raise ConfigurationError(
            "there must be a file of entitlements",
            value=f"no {approvals.workspace.entitlements_file.name}",
            remedy="Write one in the site's folder; docs/entitlements.md says how.",
        )
    return content


def _tell_proposed(approvals: Approvals, console: Console) -> None:
    from pipeline.delivery.approvals import digest_of

    content = approvals.proposed()
    if content is not None:
        told = f"entitlements.yaml waits for a reviewer: {digest_of(content)}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _approvals() -> Iterator[tuple[Approvals, Console]]:
    with reported() as console:
        from pipeline.delivery.approvals import Approvals

        yield Approvals.of(Workspace.from_environment()), console
