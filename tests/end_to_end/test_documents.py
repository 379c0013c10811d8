"""Every command in the documents is run, in their order, on the sample site."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
PROGRAM = Path(sys.executable).with_name("demographics")


def commands(document: Path) -> list[list[str]]:
    """Lines of the document's shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines if shlex.split(line, comments=True)]


def run(command: list[str], folder: Path, **exported: str) -> subprocess.CompletedProcess[str]:
    """Run a command, or two with a pipe between them."""
    environment = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8", **exported}
    settings: dict[str, Any] = {"cwd": folder, "env": environment, "text": True, "timeout": 300}
    pipe = command.index("|") if "|" in command else len(command)
    first = subprocess.run(
        command[:pipe], capture_output=True, check=pipe < len(command), stdin=subprocess.DEVNULL, **settings
    )
    if pipe == len(command):
        return first
    return subprocess.run(command[pipe + 1 :], capture_output=True, check=False, input=first.stdout, **settings)


def test_the_two_commands_come_first() -> None:
    assert [command[:2] for command in commands(PROJECT / "README.md")[:2]] == [["make", "run"], ["make", "test"]]


def test_every_command_of_the_program_in_the_documents_works(tmp_path: Path) -> None:
    # What `make run` leaves in .run/sample is here what the commands before leave in .run/trial.
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "sample").symlink_to("trial")
    exported: dict[str, str] = {}
    ran = 0
    for command in (command for document in DOCUMENTS for command in commands(document)):
        if command[0] == "export":
            exported |= dict([command[1].split("=", 1)])
        elif "demographics" in command:
            done = run(command, tmp_path, **exported)
            assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
            ran += 1
    assert ran >= 8


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_other_command_is_a_target_of_make_or_the_gate(document: Path) -> None:
    for command in commands(document):
        if "demographics" in command or command[0] == "export":
            continue
        assert command[0] == "make", shlex.join(command)
        # Only told, not done: `make run` and `make test` have tests of their own.
        done = run(["make", "--dry-run", *command[1:]], PROJECT)
        assert done.returncode == 0, done.stderr


def test_every_command_of_the_program_is_documented() -> None:
    from pipeline.cli import main

    text = "\n".join(document.read_text("utf-8") for document in DOCUMENTS)
    for name in main.commands:
        assert f"demographics {name}" in text, f"demographics {name} stands in no document"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target
