"""Writing files so that a reader sees all of one or none of it, also after a power cut."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.disk import sync_folder
from pipeline.errors import PublicationError

# Leftovers of a run that was killed are known by this ending; their names begin with a dot.
PARTIAL = ".partial"


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and wait until it is on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another in one step; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        write_durably(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def fill_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make a new folder with these files, all of it on the disk when this returns."""
    folder.mkdir(parents=True)
    for name, content in contents.items():
        write_durably(folder / name, content)
    sync_folder(folder)


def sweep(root: Path) -> None:
    """Remove what a killed run left anywhere under ``root``; its caller holds ``exclusive``."""
    for leftover in sorted(root.rglob(f".*{PARTIAL}")):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the one right to publish under ``root``; waits for whoever holds it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes, also when the process is killed
        yield


@contextmanager
def as_publication_errors(place: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an error that says what to do.

    Raises:
        PublicationError: The disk is full, or a path cannot be read or written.
    """
    try:
        yield
    except OSError as failure:
        reason = errno.errorcode.get(failure.errno or 0, type(failure).__name__)
        raise PublicationError(
            "publishing must be able to write its folders",
            value=f"{failure.filename or place} ({reason}: {failure.strerror})",
            remedy="Free space or correct the permissions, then run again; nothing is half published.",
        ) from None
