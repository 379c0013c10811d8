"""Restores a backup, and is killed before or after a step: the arguments say which."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from pipeline.recovery import restoring
from pipeline.recovery.sealing import BackupKey
from pipeline.workspace import Workspace


def main(backup: str, key: str, home: str, when: str, step: str) -> None:
    """Restore it, as far as it goes."""
    owner: Any = restoring
    *path, name = step.split(".")
    for part in path:
        owner = getattr(owner, part)
    whole = getattr(owner, name)

    def killed(*arguments: Any, **more: Any) -> None:
        if when == "after":
            whole(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)
    restoring.restore(Path(backup), BackupKey.read(Path(key)), Workspace(Path(home)), restoring.Terms())


main(*sys.argv[1:])
