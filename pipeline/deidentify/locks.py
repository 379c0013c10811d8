"""The lock of a period's staging: who writes it, removes somebody from it or draws from it is alone with it.

An advisory lock of the file system (``flock``), which ends with its holder: a task that is killed leaves none. It lies
in the site's folder, also where staging lies in an object store.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.deidentify.places import staging_place
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_ENDING = ".lock"


@contextmanager
def held(workspace: Workspace, population: Population, period: Period) -> Iterator[None]:
    """Hold the lock of a period; waits for whoever holds it.

    Raises:
        StagingError: The lock cannot be made.
    """
    descriptor = _taken(lock_file(workspace, population, period), wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held_if_free(workspace: Workspace, population: Population, period: Period) -> Iterator[bool]:
    """Hold the lock of a period unless somebody else does; yields whether it is held.

    Raises:
        StagingError: The lock cannot be made.
    """
    descriptor = _taken(lock_file(workspace, population, period), wait=False)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock_file(workspace: Workspace, population: Population, period: Period) -> Path:
    """Where the lock of a period is. Who holds it may remove it: who waits for it then makes it anew."""
    folder = workspace.staging(population, period).parent
    return folder / f".{period}{_ENDING}"


def locked_periods(workspace: Workspace, population: Population) -> list[Period]:
    """The periods of a population that have staging, or that somebody is writing, in order."""
    found = set()
    locks = (path.name for path in (workspace.home / "staging" / population).glob(f".*{_ENDING}"))
    for name in (*locks, *staging_place(workspace, population).folders()):
        with suppress(ConfigurationError):  # nothing of this program
            found.add(Period.parse(name.removeprefix(".").removesuffix(_ENDING)))
    return sorted(found)


def _taken(path: Path, *, wait: bool) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):
                return descriptor
            os.close(descriptor)  # its holder removed it while this one waited
    except OSError as failure:
        raise StagingError(
            "the lock of a period must be writable",
            value=f"{failure.strerror or type(failure).__name__} on {path.name}",
            remedy=f"Check permissions and free space under {path.parent}.",
        ) from None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
