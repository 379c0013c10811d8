"""The command ``demographics config``: what is set, and what is wrong with it."""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import click

from pipeline.cli_console import reported
from pipeline.errors import ConfigurationError
from pipeline.workspace import HOME_VARIABLE, Workspace


@click.group()
def config() -> None:
    """Settings of this deployment: what holds, and everything that is wrong."""


@config.command()
@click.option("--all", "everything", is_flag=True, help="Those too that are not set.")
def show(*, everything: bool) -> None:
    """Show the settings that are set, and where each comes from; secrets are never shown."""
    with reported() as console:
        from rich.table import Column, Table

        from pipeline.flow_settings import all_settings, problems

        # A password in the wrong variable breaks its rule, or one that several settings share.
        broken = [one.where for one in problems(_workspace())]
        table = Table("setting", Column("value", overflow="fold"), "from", box=None, pad_edge=False)
        for setting in all_settings():
            if everything or setting.is_set:
                hides = setting.is_set and not setting.hidden and any(fnmatchcase(setting.name, one) for one in broken)
                value = "set, breaks a rule" if hides else setting.value
                table.add_row(setting.name, value, "environment" if setting.is_set else "default")
        console.print(table, markup=False)


@config.command()
def check() -> None:
    """Check every setting, the site file and all specifications, and tell every problem at once.

    Asks no server and changes nothing. Exit code 3 where there is a problem.
    """
    with reported() as console:
        from pipeline.flow_settings import all_settings, problems

        found = problems(_workspace())
        for one in found:
            console.print(f"{one.where}: {one.rule}\n  {one.remedy}", markup=False, highlight=False)
        if not found:
            count = sum(setting.is_set for setting in all_settings())
            console.print(f"{count} settings, the site file and its specifications: valid", highlight=False)
    if found:
        click.echo(f"{len(found)} problem{'s' if len(found) > 1 else ''}.", err=True)
        sys.exit(ConfigurationError.exit_code)


def _workspace() -> Workspace:
    """The site's, which need not be there."""
    return Workspace(Path(os.environ[HOME_VARIABLE]))
