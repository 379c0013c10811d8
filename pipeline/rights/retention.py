"""Retention: what is kept for a declared time only, and is destroyed when it is over.

Staging of a period goes at midnight, in the site's time zone, ``retention.staging_days`` days after the period's end,
and its key goes first: whatever a crash leaves then is of nobody, and the next run finishes it. Before anything goes,
what is about to be purged is written down beside it, so that the ledger is told of every purge, also of one that was
killed in the middle.

Releases do not need staging once their noise is drawn. What was not drawn by then is not drawn any more.

Data Docs hold nothing of people. They go too, ``retention.data_docs_days`` days after the run that they tell of.

Tombstones stay. One whose last day is long over would do nothing for a period that is ingested in time, but logs may
be kept for years, and if one of them is ingested once more, the tombstone is all that leaves that person out. It names
nobody without the key of subject requests.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipeline.deidentify import locks
from pipeline.deidentify.key_store import destroy_key
from pipeline.deidentify.places import Place, staging_place
from pipeline.deidentify.staging import MANIFEST, is_staged, place_of
from pipeline.disk import sync_folder
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.progress import Progress, silent
from pipeline.publication import files
from pipeline.rights import access, sweeping
from pipeline.site import SiteFile
from pipeline.validation import data_docs
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_JOURNAL: Final = "purging"  # ending of the file that says what a purge is about to do
_KEY: Final = ".key"


@dataclass(frozen=True)
class Purged:
    """What was destroyed.

    Attributes:
        periods: Whose staging and key: ``visitors/2026-W41``.
        packets: How many access packets.
        docs: How many files of Data Docs.
    """

    periods: tuple[str, ...] = ()
    packets: int = 0
    docs: int = 0


def due_at(period: Period, staging_days: int, zone: ZoneInfo) -> dt.datetime:
    """When staging of a period is due: local midnight of a day, which is no fixed number of hours after its end."""
    return dt.datetime.combine(period.end + dt.timedelta(days=staging_days), dt.time(tzinfo=zone))


def is_due(period: Period, site: SiteFile, now: dt.datetime) -> bool:
    """Whether the time for which staging of a period is kept is over."""
    # Two times of one zone are compared by their clocks, which go back in autumn: so as instants.
    return due_at(period, site.retention.staging_days, site.zone).astimezone(dt.UTC) <= now.astimezone(dt.UTC)


def kept_periods(workspace: Workspace, population: Population) -> tuple[Period, ...]:
    """Periods of which there is staging or a key, under whichever name, or a purge that was not finished."""
    staging, keys = workspace.home / "staging" / population, workspace.home / "keys" / population
    names = [*staging_place(workspace, population).folders(), *(path.name for path in staging.glob(f".*.{_JOURNAL}"))]
    names += [path.name for path in keys.glob("*") if _KEY in path.name]
    found = set()
    for name in names:
        with suppress(ConfigurationError):  # nothing of this program
            found.add(Period.parse(name.removeprefix(".").partition(".")[0]))
    return tuple(sorted(found))


def purge_expired(workspace: Workspace, site: SiteFile, now: dt.datetime, progress: Progress = silent) -> Purged:
    """Destroy staging, keys, access packets and Data Docs whose declared time is over.

    Args:
        workspace: Whose.
        site: Declares how long things are kept, and its time zone.
        now: The time, with a time zone.
        progress: Told of each period that is due.

    Raises:
        StagingError: Something could not be destroyed; everything else was. Run again, it goes on where it stopped.
        LedgerError: The ledger cannot be written; what is purged already will be told to it by the next run.
    """
    due = [
        (population, period)
        for population in Population
        for period in kept_periods(workspace, population)
        if is_due(period, site, now)
    ]
    ledger = Ledger.open(workspace.ledger) if due else None
    purged, stuck = [], []
    for number, (population, period) in enumerate(due):
        progress("purging", number, len(due))
        assert ledger is not None
        try:
            if _Purge(workspace, site, population, period).run(ledger):
                purged.append(f"{population}/{period}")
        except (OSError, StagingError) as failure:
            stuck.append(f"{population}/{period} ({getattr(failure, 'strerror', None) or 'its lock'})")
    progress("purging", len(due), len(due))
    packets = [path for path in expired_packets(workspace, site, now) if _remove_packet(path, stuck)]
    docs = _purge_docs(workspace, site, now, stuck)
    for left in sweeping.spilled(workspace, now):
        shutil.rmtree(left.path, ignore_errors=True)
    _require_all(stuck)
    return Purged(tuple(purged), len(packets), docs)


def expired_packets(workspace: Workspace, site: SiteFile, now: dt.datetime) -> tuple[Path, ...]:
    """Access packets whose declared time is over: each says the last day on which it is kept."""
    today = now.astimezone(site.zone).date()
    packets = sorted(path for path in workspace.access.glob("*") if not path.name.startswith("."))
    return tuple(path for path in packets if _kept_until(path, site) < today)


def docs_kept_from(site: SiteFile, now: dt.datetime) -> dt.datetime:
    """The first instant whose Data Docs are kept: local midnight, so many days before today."""
    day = now.astimezone(site.zone).date() - dt.timedelta(days=site.retention.data_docs_days)
    return dt.datetime.combine(day, dt.time(tzinfo=site.zone)).astimezone(dt.UTC)


def require_unpurged(workspace: Workspace, ledger: Ledger, population: Population, period: Period) -> None:
    """Say of a period without staging that it was purged, where it was; its absence alone says less.

    Raises:
        StagingError: It was purged.
    """
    if is_staged(workspace, population, period):
        return
    notes = ledger.notes(EntryKind.PURGED, subject_of(population))
    gone = next((note for note in reversed(notes) if note.key.period == str(period)), None)
    if gone is not None:
        raise StagingError(
            "nothing is drawn from a period whose declared time of retention is over",
            value=f"staging of {population} in {period}, purged on {gone.at[:10]}",
            remedy="Its key is destroyed too. If its sources may still be used, ingest it again and draw the same day.",
        )


def subject_of(population: Population) -> str:
    """What notes on purges are about: ``staging.visitors``."""
    return f"staging.{population}"


@dataclass(frozen=True)
class _Purge:
    """The purge of one period."""

    workspace: Workspace
    site: SiteFile
    population: Population
    period: Period

    def run(self, ledger: Ledger) -> bool:
        """Destroy the key, then staging, then tell the ledger; whether there was anything to purge."""
        with locks.held(self.workspace, self.population, self.period):
            notes = self._begun()
            destroy_key(self._key)
            self._remove_staging()
            for note in notes:
                ledger.note(EntryKind.PURGED, subject_of(self.population), str(self.period), note)
            for journal in (*self._folder.glob(f".{self._journal.name}.*"), self._journal):  # and drafts of it
                journal.unlink(missing_ok=True)
            locks.lock_file(self.workspace, self.population, self.period).unlink(missing_ok=True)
            sync_folder(self._folder)
        return bool(notes)

    @property
    def _key(self) -> Path:
        return self.workspace.period_key(self.population, self.period)

    @property
    def _staging(self) -> Place:
        return place_of(self.workspace, self.population, self.period)

    @property
    def _folder(self) -> Path:
        """Of the site: the journal and the lock lie in it, wherever staging does."""
        return self.workspace.staging(self.population, self.period).parent

    @property
    def _journal(self) -> Path:
        return self._folder / f".{self.period}.{_JOURNAL}"

    def _begun(self) -> list[dict[str, Any]]:
        """What the ledger will be told: of purges that were begun before, and of what is there now."""
        notes = json.loads(self._journal.read_bytes()) if self._journal.exists() else []
        if (note := self._note()) and note not in notes:
            notes.append(note)
            files.replace(self._journal, json.dumps(notes).encode())
        return list(notes)

    def _note(self) -> dict[str, Any] | None:
        """Which staging is purged, told by when it was written; a period may be ingested and purged again."""
        made = self._staging.modified(MANIFEST)
        if made is None and self._key.exists():
            made = dt.datetime.fromtimestamp(self._key.stat().st_mtime, dt.UTC)
        if made is None:
            return None
        due = due_at(self.period, self.site.retention.staging_days, self.site.zone)
        return {
            "population": self.population.value,
            "period": str(self.period),
            "due": due.isoformat(),
            "staged": made.isoformat(timespec="microseconds"),
            "key": "destroyed",
            "staging": "deleted",
        }

    def _remove_staging(self) -> None:
        # What has no manifest is no staging: whoever looks without the lock finds none, and never half of one.
        self._staging.remove(MANIFEST)
        self._staging.clear()


def _kept_until(packet: Path, site: SiteFile) -> dt.date:
    try:
        return dt.date.fromisoformat(json.loads((packet / access.FACTS).read_bytes())["kept_until"])
    except (OSError, ValueError, KeyError, TypeError):  # nothing that says so: from when it was put here
        made = dt.datetime.fromtimestamp(packet.lstat().st_mtime, site.zone).date()
        return made + dt.timedelta(days=site.retention.access_days)


def _remove_packet(path: Path, stuck: list[str]) -> bool:
    failed: list[Path] = []
    removed = sweeping.removed_whole(path, failed)
    stuck.extend("an access packet" for _ in failed)
    return removed


def _purge_docs(workspace: Workspace, site: SiteFile, now: dt.datetime, stuck: list[str]) -> int:
    try:
        removed, left = data_docs.purge(workspace.data_docs, docs_kept_from(site, now))
    except OSError as failure:
        stuck.append(f"Data Docs ({failure.strerror})")
        return 0
    stuck.extend("a file of Data Docs" for _ in left)
    return removed


def _require_all(stuck: list[str]) -> None:
    if stuck:
        raise StagingError(
            "what is kept for a declared time must be destroyed when it is over",
            value=f"{len(stuck)} left: {', '.join(stuck[:5])}",
            remedy="Check who may write in staging, keys, access and data_docs, then run the retention DAG again.",
        )
