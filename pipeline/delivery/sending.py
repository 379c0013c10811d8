"""Brings to recipients' stores what they may read, and takes back what is withdrawn."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipeline.delivery.catalogue import Catalogue
from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.delivery.entitlements import Entitlements, Recipient
from pipeline.delivery.stores.memory import Memories, Memory
from pipeline.delivery.stores.opening import open_store
from pipeline.delivery.stores.parcel import Parcel
from pipeline.delivery.stores.store import OccupiedError, Store
from pipeline.errors import DeliveryError, DemographicsError, VerificationError, kind_and_place
from pipeline.progress import Progress, silent
from pipeline.publication.manifest import SIGNATURE_NAME
from pipeline.publication.shelf import (
    TOMBSTONE_SIGNATURE_NAME,
    WITHDRAWN,
    Edition,
    audience_of,
    edition_at,
    pages_of,
)
from pipeline.review.tables import now_utc
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

_AT_ONCE: Final = 8  # stores; one that does not answer keeps no other waiting


@dataclass(frozen=True)
class StoreReport:
    """What came of one store in one round.

    Attributes:
        recipient: Whose it is.
        store: Its address.
        sent: Editions that are there whole now and were not before.
        withdrawn: Editions of which a tombstone alone is there now.
        problems: What could not be done, and why.
    """

    recipient: str
    store: str
    sent: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class SendingReport:
    """What came of one round, a part a store."""

    stores: tuple[StoreReport, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be done, of all stores."""
        return tuple(f"{one.recipient}: {problem}" for one in self.stores for problem in one.problems)


def send(
    workspace: Workspace,
    entitlements: Entitlements,
    now: dt.datetime | None = None,
    progress: Progress = silent,
    recipient: str | None = None,
) -> SendingReport:
    """Bring every store to what its recipient may read, as far as it can be reached.

    An edition is sent once; whatever was cut is completed. At the end of an entitlement nothing new is sent, and what
    was sent stays with the recipient; what is withdrawn is taken back then, too.

    Args:
        workspace: Of the site.
        entitlements: In force.
        now: The moment.
        progress: Told of each edition.
        recipient: Whose stores; all, if left out.
    """
    return _round(_tours(workspace, entitlements, now or now_utc(), recipient), progress)


def take_back(
    workspace: Workspace, entitlements: Entitlements, key: ReleaseKey, progress: Progress = silent
) -> SendingReport:
    """Take a withdrawn release back from all stores, as far as they can be reached; ``send`` does the rest later.

    Args:
        workspace: Of the site.
        entitlements: In force.
        key: Of the release; tombstones are in the place of its bundles.
        progress: Told of each edition.
    """
    return _round([replace(tour, only=key) for tour in _tours(workspace, entitlements, now_utc(), None)], progress)


@dataclass(frozen=True)
class _Task:
    """One edition, as it stands by now, and whether it has to be sent or taken back."""

    path: str
    edition: Edition
    parcel: Parcel

    @property
    def is_withdrawn(self) -> bool:
        return self.edition.status == WITHDRAWN

    def is_done(self, memory: Memory) -> bool:
        """Whether the store is remembered to have it as it is published."""
        known = memory.withdrawn if self.is_withdrawn else memory.editions
        with contextlib.suppress(VerificationError):  # it is being withdrawn at this very moment
            return self.path in known and known[self.path] == self.seal()
        return False

    def seal(self) -> str:
        """What tells it from what it was or will be."""
        return self.parcel.seal(TOMBSTONE_SIGNATURE_NAME if self.is_withdrawn else SIGNATURE_NAME)


@dataclass(frozen=True)
class _Tour:
    """All that one round does in one store."""

    workspace: Workspace
    catalogue: Catalogue
    recipient: Recipient
    address: str
    now: dt.datetime
    only: ReleaseKey | None = None
    memories: Memories = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memories", Memories(self.workspace, self.recipient.name, self.address))

    def tasks(self, memory: Memory) -> list[_Task]:
        """What is not in the store as it should be, as far as is remembered; what is withdrawn goes first."""
        found = {task.path: task for task in self._tasks(memory) if not task.is_done(memory)}
        return sorted(found.values(), key=lambda task: (not task.is_withdrawn, task.path))

    def _tasks(self, memory: Memory) -> Iterator[_Task]:
        for held in self.catalogue.editions(self.recipient.name, self.now):
            path = f"{self.recipient.shelf(held.edition.product)}/{held.edition.path}"
            if self._is_meant(held.edition):
                yield _Task(path, held.edition, Parcel(held.folder, path))
        for path in memory.editions:  # what may not be read any more, and was sent once
            task = self.task(path)
            if task is not None and task.is_withdrawn and self._is_meant(task.edition):
                yield task

    def task(self, path: str) -> _Task | None:
        """One edition as it is published at this moment; None where it is not."""
        shelf, product, period, revision = path.split("/")
        edition = edition_at(self.catalogue.published / shelf, product, period, int(revision.removeprefix("r")))
        return None if edition is None else _Task(path, edition, Parcel(self.catalogue.published / path, path))

    def _is_meant(self, edition: Edition) -> bool:
        if self.only is None:
            return True
        same = (edition.product, edition.period, edition.revision)
        return edition.status == WITHDRAWN and same == (self.only.release, self.only.period, self.only.revision)

    def pages(self, memory: Memory) -> dict[str, bytes]:
        """The files that change, by path: what publishers' keys there are, and what lies in the store."""
        pages = _keys(self.catalogue.published)
        shelves: dict[str, list[Edition]] = {}
        for path in (*memory.editions, *memory.withdrawn):
            if task := self.task(path):
                shelves.setdefault(path.partition("/")[0], []).append(task.edition)
        for shelf, editions in shelves.items():
            told = pages_of(tuple(sorted(editions)), audience_of(shelf))
            pages |= {f"{shelf}/{path}": content for path, content in told.items()}
        return pages


def _tours(workspace: Workspace, entitlements: Entitlements, now: dt.datetime, name: str | None) -> list[_Tour]:
    catalogue = Catalogue(workspace.published, entitlements)
    chosen = [one for one in entitlements.recipients if name in (None, one.name)]
    return [_Tour(workspace, catalogue, one, store, now) for one in chosen for store in one.stores]


def _round(tours: Sequence[_Tour], progress: Progress) -> SendingReport:
    if not tours:
        return SendingReport()
    downloads = Downloads.of(tours[0].workspace)
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stores") as pool:
            return SendingReport(tuple(pool.map(lambda tour: _Round(tour, downloads, progress).go(), tours)))
    finally:
        downloads.close()


@dataclass
class _Round:
    """One store's part of a round."""

    tour: _Tour
    downloads: Downloads
    progress: Progress
    _sent: list[str] = field(default_factory=list)
    _withdrawn: list[str] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)

    def go(self) -> StoreReport:
        """Do it as far as it goes; a store that fails stops no other."""
        try:
            self._go()
        except DemographicsError as failure:
            self._problems.append(str(failure).removesuffix("."))
        except Exception as failure:  # noqa: BLE001 - its message may quote what it should not
            self._problems.append(f"an error of the program: {kind_and_place(failure)}")
        found = (tuple(one) for one in (self._sent, self._withdrawn, self._problems))
        return StoreReport(self.tour.recipient.name, self.tour.address, *found)

    def _go(self) -> None:
        memory = self.tour.memories.read()
        tasks = self.tour.tasks(memory)
        if not tasks and not _changed(self.tour.pages(memory), memory):
            return  # without a word to the store
        store = open_store(self.tour.address)
        try:
            self._pages(store, first=True)
            for task in tasks:
                self._one(task.path, store)
            self._pages(store)
        finally:
            store.close()

    def _one(self, path: str, store: Store) -> None:
        """Bring one edition in order: it alone holds the store, so that a withdrawal waits for no more than that."""
        with self.tour.memories.exclusive() as memory:
            task = self.tour.task(path)  # as it stands by now: it may have been withdrawn since, or done
            if task is None or task.is_done(memory):
                return
            try:
                self._carry_out(task, store, memory)
            except (OccupiedError, VerificationError) as failure:  # of this edition alone
                self._problems.append(str(failure).removesuffix("."))

    def _carry_out(self, task: _Task, store: Store, memory: Memory) -> None:
        digest = {task.path: task.seal()}
        if task.is_withdrawn:
            task.parcel.take_back(store)
            standing = {path: one for path, one in memory.editions.items() if path != task.path}
            told = {"editions": standing, "withdrawn": memory.withdrawn | digest}
            self._withdrawn.append(task.path)
        else:
            task.parcel.send(store, lambda name, done, total: self._give(task, name, done, total))
            told = {"editions": memory.editions | digest}
            self._sent.append(task.path)
        self.tour.memories.keep(memory.model_copy(update=told))

    def _give(self, task: _Task, name: str, done: int, total: int) -> None:
        """Write a file into the log of downloads before it is given out."""
        one, shelf = task.edition, task.path.partition("/")[0]
        self.progress(f"{self.tour.recipient.name}: {one.path}", done, total)
        who = self.tour.recipient.name
        self.downloads.note(Download(who, Way.STORE, None, shelf, one.product, one.period, one.revision, name))

    def _pages(self, store: Store, *, first: bool = False) -> None:
        """Put the files that changed; before all editions the keys alone, by which these are verified."""
        with self.tour.memories.exclusive() as memory:
            pages = _keys(self.tour.catalogue.published) if first else self.tour.pages(memory)
            changed, kept = _changed(pages, memory), dict(memory.pages)
            for folder in {path.rpartition("/")[0] for path in changed}:
                store.sweep(folder)
            for path in changed:
                store.replace(path, pages[path])
                kept[path] = _digest(pages[path])
            for path in () if first else set(memory.pages) - set(pages):  # no edition of the product stands any more
                store.remove(path)
                del kept[path]
            if kept != memory.pages:
                self.tour.memories.keep(memory.model_copy(update={"pages": kept}))


def _changed(pages: Mapping[str, bytes], memory: Memory) -> list[str]:
    return [path for path, content in pages.items() if memory.pages.get(path) != _digest(content)]


def _keys(published: Path) -> dict[str, bytes]:
    """The files that lie beside all shelves: the publisher's public keys."""
    found = sorted(published.iterdir()) if published.is_dir() else []
    return {path.name: path.read_bytes() for path in found if path.is_file() and not path.name.startswith(".")}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def require_sent(report: SendingReport) -> None:
    """Refuse a round in which something could not be done.

    Raises:
        DeliveryError: Something could not; everything else was.
    """
    if report.problems:
        raise DeliveryError(
            "every store must be brought to what its recipient may read",
            value="; ".join(report.problems),
            remedy="All others were; what could not be done is tried again by the next demographics deliver.",
        )
