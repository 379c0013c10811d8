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
from pipeline.deidentify.obeying import settled
from pipeline.deidentify.staging import WITHDRAWN_CHECKS
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
        path: Where.
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
    removed = Counter(_sweep_staging(workspace))
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
    staging = (path for population in Population for _, path in staging_drafts(workspace, population))
    published = workspace.published.rglob(f".*{files.PARTIAL}")
    found = [
        *(Leftover(STAGING, path) for path in staging),
        *(Leftover(PUBLICATION, path) for path in published),
        *spilled(workspace, now),
        *drafts(workspace, now),
    ]
    yield from (left for left in found if is_quiet(left.path, now, older_than))


def staging_drafts(workspace: Workspace, population: Population) -> Iterator[tuple[Period, Path]]:
    """Drafts of a population's staging and what they have replaced, and drafts of changes inside of staging."""
    beside = (path for path in (workspace.home / "staging" / population).glob(".*") if path.is_dir())
    inside = (
        path
        for path in (workspace.home / "staging" / population).glob("*/.*")
        if path.name != WITHDRAWN_CHECKS and not path.parent.name.startswith(".")
    )
    named = [*((path, path.name) for path in beside), *((path, path.parent.name) for path in inside)]
    for path, name in sorted(named):
        with suppress(ConfigurationError):  # nothing of this program
            yield Period.parse(name.removeprefix(".").partition(".")[0]), path


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


def _sweep_staging(workspace: Workspace) -> Iterator[str]:
    for population in Population:
        found = {period for period, _ in staging_drafts(workspace, population)}
        locked = locks.locked_periods(workspace, population)
        for period in sorted(found | {one for one in locked if not workspace.staging(population, one).exists()}):
            with locks.held_if_free(workspace, population, period) as free:
                if free:
                    left = [path for of, path in staging_drafts(workspace, population) if of == period]
                    _settle(workspace, population, period)
                    yield from (STAGING for path in left if not path.exists())


def _settle(workspace: Workspace, population: Population, period: Period) -> None:
    # A draft that took the place of staging in the middle is not removed, but what it was made for is finished.
    with suppress(StagingError):  # there is no staging beside the drafts
        settled(workspace, population, period)
    if not workspace.staging(population, period).exists():
        # The lock of a period that is not held names it as if it were; who waits for it makes it anew.
        locks.lock_file(workspace, population, period).unlink(missing_ok=True)


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
