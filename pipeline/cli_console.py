"""What every command shares: a console, how errors end the program, and a line of progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from pipeline.errors import INTERNAL_EXIT_CODE, DemographicsError, PublicationError, kind_and_place

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.progress import Progress


@contextmanager
def reported() -> Iterator[Console]:
    """A console; errors end the program with a message and an exit code, and never with a traceback's values."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    try:
        yield console
    except (click.Abort, click.ClickException):  # at a prompt
        raise
    except DemographicsError as failure:
        _stop(str(failure), failure.exit_code)
    except OSError as failure:
        _stop(
            "The site's folder must be readable and writable, with room on the disk, "
            f"got {failure.strerror} for {failure.filename}. Check its permissions.",
            PublicationError.exit_code,
        )
    except Exception as failure:  # noqa: BLE001  whatever it is, its message may quote a record
        _stop(f"This is an error of the program, not of its input: {kind_and_place(failure)}.", INTERNAL_EXIT_CODE)


def _stop(message: str, exit_code: int) -> NoReturn:
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True, soft_wrap=True).print("[bold red]Stopped.[/]", escape(message), highlight=False)
    sys.exit(exit_code)


@contextmanager
def bar(console: Console) -> Iterator[Progress]:
    """A line of progress a step on a terminal; nothing where the output is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, int] = {}

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = int(bars.add_task(what, total=total))
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield progress
