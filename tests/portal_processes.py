"""``demographics portal`` as a process of its own, as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from pipeline.workspace import HOME_VARIABLE, Workspace

_PATIENCE: Final = 30  # seconds


@dataclass(frozen=True)
class PortalProcess:
    """One that listens.

    Attributes:
        port: Of 127.0.0.1.
        process: Itself.
    """

    port: int
    process: psutil.Process

    def memory(self) -> int:
        """Bytes of memory that it and its children have in use now."""
        each = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in each)


@contextmanager
def portal_process(workspace: Workspace, log: IO[str] | None = None, **settings: str) -> Iterator[PortalProcess]:
    """Serve a site on a free port.

    Args:
        workspace: Of the site.
        log: Where its log goes, as JSON; to that of the tests, as text, if left out.
        settings: By name, ``handover`` for ``DEMOGRAPHICS_PORTAL_HANDOVER``; others of the environment do not count.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMOGRAPHICS_")}
    given = {f"DEMOGRAPHICS_PORTAL_{name.upper()}": value for name, value in settings.items()}
    given |= {HOME_VARIABLE: str(workspace.home), "DEMOGRAPHICS_LOG": "json" if log else "text"}
    command = [str(Path(sys.executable).with_name("demographics")), "portal", "--port", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env={**kept, **given})
    try:
        assert running.stdout is not None
        told = running.stdout.readline()
        port = told.rpartition(":")[2].strip()
        assert port.isdigit(), f"the portal does not start: {told}"
        yield PortalProcess(int(port), psutil.Process(running.pid))
    finally:
        running.terminate()
        running.wait(_PATIENCE)
