"""The command ``demographics subject``: people's requests, from coming in to being in force.

What names a person is asked for on the terminal, or read from standard input. It is never an argument: arguments are
seen by everybody on the machine, and shells keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import click

from pipeline.cli_console import bar, reported

if TYPE_CHECKING:
    from pipeline.cli_requests import Desk

_WHO: Final = ("customer", "visitor")
_NAMING: Final = """
What names the person is asked for, or read from standard input: lines such as 'customer: 4711', 'email: ...',
'address: ...', 'agent: ...', or one JSON object. It is never an argument: arguments are seen by everybody on the
machine, and shells keep them.
"""
Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def subject() -> None:
    """Requests of people: access, correction, erasure, opt-out; in force within 48 hours."""


def _asks(command: Command) -> Command:
    """What the four commands that take a request have in common."""
    options = (
        click.argument("population", metavar="customer|visitor", callback=_population),
        click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="", callback=_nothing, expose_value=False),
        click.option("--since", help="Day or instant from which on address and agent are the visitor's."),
        click.option(
            "--until", help="Day or instant until which they are [the day of the request; an opt-out: no end]."
        ),
        click.option("--received", help="When the company received the request, ISO 8601, not in the future [now]."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _population(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value not in _WHO:  # it may be a person's name, and is not shown
        raise click.UsageError(f"Say whose request it is: {' or '.join(_WHO)}.")
    return value


def _nothing(_context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        raise click.UsageError("What names a person is never an argument: leave it out, it is asked for.")


@subject.command("access", epilog=_NAMING)
@_asks
def subject_access(population: str, **options: str | None) -> None:
    """Tell a person what is held about them."""
    with _desk() as desk:
        desk.take("access", population, options)


@subject.command("correct", epilog=_NAMING)
@_asks
@click.option("--set", required=True, help="What it is to be: 'country=AT; language=de'.")
def subject_correct(population: str, **options: str | None) -> None:
    """Correct attributes of a person, in what is held and in what is extracted later."""
    with _desk() as desk:
        desk.take("correct", population, options)


@subject.command("erase", epilog=_NAMING)
@_asks
def subject_erase(population: str, **options: str | None) -> None:
    """Remove what is held about a person, and leave them out of what is extracted later."""
    with _desk() as desk:
        desk.take("erase", population, options)


@subject.command("opt-out", epilog=_NAMING)
@_asks
def subject_opt_out(population: str, **options: str | None) -> None:
    """Count a person no more, in what is held and in what is extracted later."""
    with _desk() as desk:
        desk.take("opt-out", population, options)


@subject.command("collect")
def subject_collect() -> None:
    """Take in what waits in the drop folder and in the database table."""
    with _desk() as desk:
        desk.collect()


@subject.command("apply")
def subject_apply() -> None:
    """Put every request that waits into force; exit code 12 where one has to wait on."""
    with _desk() as desk, bar(desk.console) as progress:
        desk.apply(progress)


@subject.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that are in force or closed.")
def subject_list(*, every: bool) -> None:
    """Show requests that wait: age, state, hours left. Names nobody."""
    with _desk() as desk:
        desk.show(every=every)


@subject.command("close")
@click.argument("request")
@click.option("--operator", required=True, help="Who closes it.")
@click.option("--reason", required=True, help="Why; it is kept: name nobody who asked.")
def subject_close(request: str, operator: str, reason: str) -> None:
    """Close a REQUEST that cannot be used, by its id; what was kept of it is gone."""
    with _desk() as desk:
        desk.close(request, operator, reason)


@subject.command("retry")
@click.argument("request")
def subject_retry(request: str) -> None:
    """Try a REQUEST that could not be used anew, by its id, after the site file was corrected."""
    with _desk() as desk:
        desk.retry(request)


@contextmanager
def _desk() -> Iterator[Desk]:
    with reported() as console:
        from pipeline.cli_requests import Desk

        yield Desk.open(console)
