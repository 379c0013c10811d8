"""How commands are told a password or a token: asked for without showing it, or read from standard input.

It is never an argument: arguments are seen by everybody on the machine, and shells keep them.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import click

TOKEN_VARIABLE: Final = "DEMOGRAPHICS_REVIEWER_TOKEN"  # noqa: S105  the name of a variable
_MOST_BYTES: Final = 4096  # of a line on standard input


def reviewer_secret(name: str) -> str:
    """A reviewer's password or token: from the environment, the terminal, or a line of standard input.

    Raises:
        click.UsageError: There is none.
    """
    return os.environ.get(TOKEN_VARIABLE, "").strip() or asked(f"Password or token of {name}")


def asked(what: str, *, twice: bool = False) -> str:
    """A secret that is typed, or the next line of standard input where that is no terminal.

    Args:
        what: Shown to who types.
        twice: Whether who types has to type it again.

    Raises:
        click.UsageError: Nothing was given, or no text.
    """
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))
    line = sys.stdin.buffer.readline(_MOST_BYTES)
    try:
        found = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.UsageError(f"{what}: must be text in UTF-8.") from None
    if not found:
        raise click.UsageError(f"{what}: type it at a terminal, or give it as a line of standard input.")
    return found


def nothing_else(_context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> None:
    """Refuse further arguments without showing them."""
    if value:
        raise click.UsageError("A password or token is never an argument: leave it out, it is asked for.")


REST = click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="", callback=nothing_else, expose_value=False)
