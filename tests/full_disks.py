"""Disks that are full, as a process meets them: files that cannot grow, and a real disk of a few megabytes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MEGABYTE = 1024**2


@contextmanager
def files_up_to(size: int, process: psutil.Process | None = None) -> Iterator[None]:
    """No file that a process writes, this one unless told otherwise, may grow beyond so many bytes."""
    limited = process or psutil.Process()
    before = limited.rlimit(psutil.RLIMIT_FSIZE)
    limited.rlimit(psutil.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        limited.rlimit(psutil.RLIMIT_FSIZE, before)


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mount a disk of so many megabytes, in memory."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def may_mount() -> bool:
    """Whether this process may mount a disk: as root, and not in a container that keeps even root from it."""
    if os.geteuid() != 0:
        return False
    try:
        with tempfile.TemporaryDirectory() as folder, disk(Path(folder, "disk"), 1):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
