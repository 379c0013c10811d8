"""Plays a year's worth of a made-up site in a minute, and writes down what it leaves, as the newest version.

``python -m tests.released_schemas``; see ``README.md`` beside this file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from click.testing import CliRunner

from pipeline.cli import main
from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.privacy.database import VERSIONS
from pipeline.workspace import Workspace
from tests.released_schemas import FOLDER
from tests.released_schemas.recording import record

SPECIFICATION = """\
release: weekly
title: Weekly audience
description: Visitors of a made-up site in a week, by operating system.
owner: Marketing
purpose: aggregated_demographics
population: visitors
period: week
privacy: {epsilon: 1, delta: 1.0e-7, k: 20}
tables:
  - {name: by_system, title: By operating system, dimensions: [operating_system]}
audiences: {partner: [by_system]}
"""
ENTITLEMENTS = """\
recipients:
  - name: acme
    title: Acme Partners
    audience: partner
    receives: {weekly: {}}
    webhook: https://hooks.invalid/demographics
  - name: north
    title: North Partners
    audience: partner
    receives: {weekly: {rows: {operating_system: [Windows, macOS]}}}
"""
PASSWORD = "marble kettle orchard seven"
VISITOR = "address: 198.51.100.7\nagent: Mozilla/5.0 (X11; Linux x86_64) Made-up/1.0\n"
SIGNED = "--reviewer ana --reason"


def play(home: Path) -> None:
    """Everything that leaves a row somewhere."""
    said("sample --lines 12000 --visitors 2000 --customers 300")
    (home / "entitlements.yaml").unlink()
    (home / "releases").mkdir()
    (home / "releases" / "weekly.yaml").write_text(SPECIFICATION, "utf-8")
    said("subject erase customer", asked="email: ada@example.org\n")
    said("subject opt-out visitor --since 2026-10-06", asked=VISITOR)
    said("subject apply")
    said("subject opt-out customer", asked="email: grace@example.org\n")
    said("reviewer add ana", asked=PASSWORD)
    said("reviewer token ana", asked=PASSWORD)
    said("run weekly --period 2026-W41")
    said(f"review approve weekly --period 2026-W41 {SIGNED} plausible", asked=PASSWORD)
    said("publish weekly --period 2026-W41")
    said("run weekly --period 2026-W42")
    said(f"review reject weekly --period 2026-W42 {SIGNED} incomplete", asked=PASSWORD)
    said("run weekly --period 2026-W42 --revise --reason completed")
    deliver(home)


def deliver(home: Path) -> None:
    """Recipients, what they got, and a withdrawal that one of them is to be told of."""
    (home / "entitlements.yaml").write_text(ENTITLEMENTS, "utf-8")
    said("entitlements approve --reviewer ana", asked=PASSWORD)
    said("deliver")
    said("recipient token acme --days 30 --label nightly")
    said("recipient token north")
    said("recipient revoke 2")
    said("recipient webhook-secret acme")
    said(f"review approve weekly --period 2026-W42 --revision 2 {SIGNED} completed", asked=PASSWORD)
    said("publish weekly --period 2026-W42")
    downloads = Downloads.of(Workspace(home))
    for name in ("by_system.csv", "README.md"):
        downloads.note(Download("acme", Way.API, 1, "partner", "weekly", "2026-W41", 1, name))
    downloads.close()
    said(f"review withdraw weekly --period 2026-W42 --revision 2 {SIGNED} mistaken", asked=PASSWORD)
    said("deliver")


def said(line: str, asked: str = "") -> None:
    """Run a command of the program."""
    done = CliRunner().invoke(main, line.split(), input=asked)
    assert done.exit_code == 0, f"{line}: {done.output}"


with tempfile.TemporaryDirectory() as made:
    os.environ.pop("DEMOGRAPHICS_LEDGER", None)
    os.environ |= {"DEMOGRAPHICS_HOME": made, "DEMOGRAPHICS_RELEASES": f"{made}/releases"}
    play(Path(made))
    record(Path(made), FOLDER / VERSIONS[-1])
