"""What killed runs leave behind, and how it is swept: never what a running task still uses.

Drafts of staging belong to whoever holds the lock of their period, drafts of publications to whoever holds the one
right to publish, rows that an engine spilled to a living process. The other drafts live for a fraction of a second: of
these, what has been left alone for an hour is nobody's.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from pipeline.deidentify import locks
from pipeline.deidentify.places import Place, staging_place
from pipeline.deidentify.staging import is_staged, place_of, strays, sweep_drafts
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.publication import files
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

QUIET: Final = dt.timedelta(hours=1)
STAGING: Final = "drafts of staging"
SPILLED: Final = "spilled rows"
KEY: Final = "drafts of keys"
PUBLICATION: Final = "drafts of publications"
OTHER: Final = "other drafts"
# Patterns, from the site's folder, of drafts that live for a fraction of a second.
_DRAFTS: Final[Mapping[str, tuple[str, ...]]] = {
    KEY: ("keys/.*.key.*", "keys/*/.*.key.*", "keys/signing/.*"),
    STAGING: (f"staging/*/.*{files.PARTIAL}",),
    OTHER: (
        f"reports/**/.*{files.PARTIAL}",
        f"data_docs/**/.*{files.PARTIAL}",
        "access/.*",
        "access/*/.*",
        ".sources.draft",
        ".sources.old",
        ".*.yaml.draft",
        ".first-site-*",
    ),
}


@dataclass(frozen=True)
class Leftover:
    """Something that a run which does not run any more has left.

    Attributes:
        kind: What it is, in words.
        path: Where; of staging in an object store, where it would be in the site's folder.
    """

    kind: str
    path: Path


@dataclass(frozen=True)
class Swept:
    """What was removed: how many of each kind."""

    removed: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{kind}: {number}" for kind, number in sorted(self.removed.items())) or "nothing"


def sweep(workspace: Workspace, now: dt.datetime) -> Swept:
    """Remove what killed runs have left.

    Args:
        workspace: Whose.
        now: The time, with a time zone.

    Raises:
        StagingError: Something cannot be removed; everything else was.
    """
    stuck: list[Path] = []
    removed = Counter(_sweep_staging(workspace, stuck))
    removed.update(_publication_drafts(workspace))
    for left in (*spilled(workspace, now), *drafts(workspace, now)):
        removed.update([left.kind] if removed_whole(left.path, stuck) else [])
    if stuck:
        raise StagingError(
            "what a killed run has left must be removable",
            value=", ".join(str(path.relative_to(workspace.home)) for path in stuck[:5]),
            remedy="Check owner and permissions of these, then run the retention DAG again.",
        )
    return Swept(dict(removed))


def leftovers(workspace: Workspace, now: dt.datetime, older_than: dt.timedelta) -> Iterator[Leftover]:
    """What ``sweep`` would remove and has been left alone for so long; removes nothing."""
    staging = (
        Leftover(STAGING, workspace.staging(population, period) / name)
        for population in Population
        for period, names in staging_drafts(workspace, population).items()
        for name in names
        if _is_quiet_draft(place_of(workspace, population, period), name, now, older_than)
    )
    published = workspace.published.rglob(f".*{files.PARTIAL}")
    found = [
        *(Leftover(PUBLICATION, path) for path in published),
        *spilled(workspace, now),
        *drafts(workspace, now),
    ]
    yield from staging
    yield from (left for left in found if is_quiet(left.path, now, older_than))


def staging_drafts(workspace: Workspace, population: Population) -> dict[Period, list[str]]:
    """By period, files in the place of its staging that are no part of it."""
    found = {}
    for name in staging_place(workspace, population).folders():
        with suppress(ConfigurationError):  # nothing of this program
            period = Period.parse(name)
            place = place_of(workspace, population, period)
            found[period] = strays(place, place.names())
    return {period: names for period, names in found.items() if names}


def spilled(workspace: Workspace, now: dt.datetime) -> Iterator[Leftover]:
    """Folders of rows that were spilled by processes that are gone; their rows are de-identified."""
    for path in sorted((workspace.home / "spill").glob(".spill-*-*")):
        if not _is_running(path) and is_quiet(path, now, QUIET):
            yield Leftover(SPILLED, path)


def drafts(workspace: Workspace, now: dt.datetime) -> Iterator[Leftover]:
    """Drafts that live for a fraction of a second, and have been left alone for an hour."""
    for kind, patterns in _DRAFTS.items():
        for path in sorted({path for pattern in patterns for path in workspace.home.glob(pattern)}):
            if not _is_wanted(path, workspace) and is_quiet(path, now, QUIET):
                yield Leftover(kind, path)


def is_quiet(path: Path, now: dt.datetime, span: dt.timedelta) -> bool:
    """Whether nothing in a file or folder has been written for so long; what is gone is not quiet."""
    try:
        inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
        newest = max(one.lstat().st_mtime for one in (path, *inside))
    except FileNotFoundError:
        return False
    return bool(now.timestamp() - newest >= span.total_seconds())


def removed_whole(path: Path, stuck: list[Path]) -> bool:
    """Remove a file or folder; whether it was there. What cannot be removed is added to ``stuck``."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    except OSError:
        stuck.append(path)
        return False
    return True


def _sweep_staging(workspace: Workspace, stuck: list[Path]) -> Iterator[str]:
    for population in Population:
        locked = locks.locked_periods(workspace, population)
        unstaged = {period for period in locked if not is_staged(workspace, population, period)}
        for period in sorted(unstaged | set(staging_drafts(workspace, population))):
            with locks.held_if_free(workspace, population, period) as free:
                if free:
                    place = place_of(workspace, population, period)
                    left = strays(place, place.names())
                    try:
                        _settle(workspace, population, period)
                    except (OSError, StagingError):
                        stuck.append(workspace.staging(population, period))
                        continue
                    yield from (STAGING for _ in left)


def _settle(workspace: Workspace, population: Population, period: Period) -> None:
    sweep_drafts(place_of(workspace, population, period))
    if not is_staged(workspace, population, period):
        # The lock of a period that is not held names it as if it were; who waits for it makes it anew.
        locks.lock_file(workspace, population, period).unlink(missing_ok=True)


def _is_quiet_draft(place: Place, name: str, now: dt.datetime, span: dt.timedelta) -> bool:
    written = place.modified(name)
    return written is not None and now - written >= span


def _publication_drafts(workspace: Workspace) -> Iterable[str]:
    if not workspace.published.is_dir():
        return ()
    with files.as_publication_errors(workspace.published), files.exclusive(workspace.published):
        found = list(workspace.published.rglob(f".*{files.PARTIAL}"))
        files.sweep(workspace.published)
    return [PUBLICATION] * len(found)


def _is_wanted(path: Path, workspace: Workspace) -> bool:
    # The sample's earlier sources, where the newer ones never took their place, are the only ones.
    return path.name == ".sources.old" and not (workspace.home / "sources").exists()


def _is_running(path: Path) -> bool:
    """Whether the process that a folder of spilled rows is named after still runs, and is older than the folder."""
    owner = path.name.removeprefix(".spill-").partition("-")[0]
    if not owner.isdigit():
        return False
    try:
        return bool(psutil.Process(int(owner)).create_time() <= path.stat().st_mtime + 1)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return True
