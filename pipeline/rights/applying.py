"""Applies people's requests: to all staging that is held, and by tombstones to every later extract.

The order is what makes it sound whenever it is cut short. What a person asks to be told is put together, and marked as
done, before anything of theirs is removed. Tombstones stand before staging is changed, so that whatever is ingested
meanwhile obeys already. A request is marked as applied, and what names the person is gone, when all of this was done;
until then the next attempt does it all again, which changes nothing where it was done.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import sqlalchemy as sa

from pipeline.deidentify.locks import held, locked_periods
from pipeline.deidentify.obeying import obey_held, settled
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import Staging, is_checked, is_staged, load_staging, was_checked, write_checks
from pipeline.deidentify.tombstones import Tombstone, effects_of, put_up, standing
from pipeline.errors import ConfigurationError, RequestError, StagingError
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.head import advance
from pipeline.privacy.ledger import Ledger
from pipeline.progress import Progress, silent
from pipeline.rights.access import write_packet
from pipeline.rights.finding import Name, find_people, is_findable, names_of, rows_of
from pipeline.rights.holdings import HeldRows
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.store import RequestStore
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

ABOUT: Final = "subject_requests"
_LOCK: Final = ".subject_requests.lock"
_TICK: Final = dt.timedelta(microseconds=1)
_Found = Mapping[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Waiting:
    """A request that could not be applied yet.

    Attributes:
        id: Of the request.
        kind: What is asked for.
        reason: What is in the way, and what to do about it; names nobody.
    """

    id: str
    kind: RequestKind
    reason: str


@dataclass(frozen=True)
class Applied:
    """What became of the requests that were open.

    Attributes:
        ids: Those that are in force.
        waiting: Those that stay open.
        periods: Whose staging was changed: ``visitors/2026-W41``.
    """

    ids: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    periods: tuple[str, ...] = ()


def apply_requests(
    workspace: Workspace,
    site: SiteFile,
    now: dt.datetime,
    progress: Progress = silent,
    population: Population | None = None,
) -> Applied:
    """Apply all open requests, or those of one population.

    A period of which the key is missing, or the staging cannot be read, keeps open the requests that concern it; all
    that can be done of them is done, and the others are applied. Whoever calls this while it goes on waits.

    Args:
        workspace: Where staging, keys and the ledger lie.
        site: Says when days begin, and what is checked.
        now: An instant with a zone.
        progress: Told of the periods.
        population: Whose requests; None for everybody's.

    Raises:
        ConfigurationError: The key of subject requests is missing or another one. Nothing was applied.
        LedgerError: The database cannot be read or written.
        StagingError: The lock cannot be made.
    """
    with _alone(workspace):
        return _Application(workspace, site, now, progress).run(population)


class AskedMeanwhileError(RequestError):
    """Somebody asked for something while what they are in was drawn."""


def require_none_waiting(population: Population, connection: sa.Connection) -> None:
    """A last look, in the transaction that records a draw: whether a request is open that would change it.

    Raises:
        AskedMeanwhileError: There is one.
    """
    if RequestStore.is_any_open(connection, population, but=RequestKind.ACCESS):
        raise AskedMeanwhileError(
            f"what people asked for must be in force before anything is drawn of {population}",
            value="a request that came in while it was drawn",
            remedy="Draw it again.",
        )


def require_applied(
    workspace: Workspace, site: SiteFile, now: dt.datetime, population: Population, progress: Progress = silent
) -> None:
    """Apply what is open, before something is drawn from a population.

    Raises:
        RequestError: A request that would change what is counted cannot be applied.
        ConfigurationError: The key of subject requests is missing or another one.
    """
    if not RequestStore.open(workspace).open_requests():
        return
    applied = apply_requests(workspace, site, now, progress, population)
    reasons = {one.reason: None for one in applied.waiting if one.kind is not RequestKind.ACCESS}
    if reasons:
        raise RequestError(
            f"what people asked for must be in force before anything is drawn of {population}",
            value="; ".join(reasons),
            remedy="Remove what is in the way; the requests stay open until then.",
        )


@dataclass(frozen=True)
class _Open:
    """An open request in memory, and what it is looked for by."""

    id: str
    request: SubjectRequest
    names: tuple[Name, ...] = field(repr=False)
    first: dt.date | None
    last: dt.date | None

    def concerns(self, period: Period) -> bool:
        return self.stones("")[0].concerns(period)

    def stones(self, made: str) -> list[Tombstone]:
        """The tombstone of each of the person's names."""
        request = self.request
        return [
            Tombstone(name.digest, request.population, self.first, self.last, request.values, self.id, made)
            for name in self.names
        ]


class _Application:
    """One run over the open requests."""

    def __init__(self, workspace: Workspace, site: SiteFile, now: dt.datetime, progress: Progress) -> None:
        self._workspace, self._site, self._now, self._progress = workspace, site, now, progress
        self._store = RequestStore.open(workspace)
        self._waiting: dict[str, Waiting] = {}
        self._found: set[str] = set()  # requests whose person is in something that is held
        self._periods: list[str] = []
        self._applied: list[str] = []

    def run(self, population: Population | None) -> Applied:
        every = self._open(population)
        asking = [one for one in every if one.request.kind is RequestKind.ACCESS]
        changing = [one for one in every if one.request.kind is not RequestKind.ACCESS]
        if asking:
            self._tell(asking)
        if changing:
            self._change(self._not_ahead_of(asking, changing))
        self._store.note_waiting({one.id: one.reason for one in self._waiting.values()})
        return Applied(tuple(self._applied), tuple(self._waiting.values()), tuple(self._periods))

    def _open(self, population: Population | None) -> list[_Open]:
        rows = [row for row in self._store.open_requests() if population in (None, row.population)]
        key, found = self._store.key if rows else None, []
        for row in rows:
            assert key is not None
            try:
                request = self._store.unseal(row)
            except ConfigurationError as failure:  # of this one row, since the key is the right one
                self._waiting[row.id] = Waiting(row.id, RequestKind(row.kind), str(failure))
                continue
            first, last = _days(request, self._site)
            found.append(_Open(row.id, request, names_of(request, key), first, last))
        return found

    def _tell(self, asking: list[_Open]) -> None:
        """Make the packets of those who ask what is held about them."""
        rows: dict[str, list[HeldRows]] = {one.id: [] for one in asking}

        def collect(staging: Staging, found: _Found) -> None:
            people = {identity: {person for person, _ in pairs} for identity, pairs in found.items()}
            for identity, held_rows in rows_of(staging, people).items():
                rows[identity].append(held_rows)

        self._in_each_period(asking, collect)
        for one in self._not_waiting(asking):
            try:
                write_packet(self._workspace, self._site, one.id, one.request, rows[one.id], self._now)
            except (RequestError, ConfigurationError) as failure:
                self._wait([one], str(failure))
        self._finish(self._not_waiting(asking))

    def _change(self, changing: list[_Open]) -> None:
        """Remove and correct people in what is held, and see to it that later extracts do so too."""
        store, made = database.opened(self._workspace.ledger), self._now.astimezone(dt.UTC)
        # In the order in which they were received, since of two corrections the later one stands.
        stones = [
            stone
            for place, one in enumerate(changing)
            for stone in one.stones((made + place * _TICK).isoformat(timespec="microseconds"))
        ]
        with store.writing() as connection:
            put_up(connection, stones)
        self._in_each_period(changing, self._obey)
        self._finish(self._not_waiting(changing))

    def _in_each_period(self, every: list[_Open], act: Callable[[Staging, _Found], None]) -> None:
        """Do something, under its lock, with each period held, knowing who of those named is there."""
        for population in sorted({one.request.population for one in every}):
            periods = locked_periods(self._workspace, population)
            for number, period in enumerate(periods):
                self._progress(f"requests of {population}", number, len(periods))
                concerned = [one for one in every if one.request.population is population and one.concerns(period)]
                try:
                    self._in_period(population, period, concerned, act)
                except (ConfigurationError, StagingError) as failure:
                    self._wait(concerned, f"{population} of {period}: {failure}")
            self._progress(f"requests of {population}", len(periods), len(periods))

    def _in_period(
        self, population: Population, period: Period, every: list[_Open], act: Callable[[Staging, _Found], None]
    ) -> None:
        with held(self._workspace, population, period):
            staging = self._settled(population, period)
            if staging is None or not every:
                return
            key = period_key(self._workspace, population, period, make=False)
            self._wait([one for one in every if not is_findable(staging, one.names)], _WITHOUT_ALIASES.format(period))
            found = find_people(staging, key, {one.id: one.names for one in every if is_findable(staging, one.names)})
            self._found.update(found)
            act(staging, found)

    def _settled(self, population: Population, period: Period) -> Staging | None:
        if not is_staged(self._workspace, population, period):
            return None
        return settled(self._workspace, population, period)

    def _obey(self, staging: Staging, found: _Found) -> None:
        stones = standing(self._workspace, staging.population, staging.period).stones
        effects = effects_of(stones, {pair for pairs in found.values() for pair in pairs})
        if effects and obey_held(staging, effects):
            self._periods.append(f"{staging.population}/{staging.period}")
        now = load_staging(self._workspace, staging.population, staging.period)
        if was_checked(now) and not is_checked(now):
            self._check(now)

    def _check(self, staging: Staging) -> None:
        """Check staging again that was checked before it changed, so that a release under way goes on."""
        from pipeline.validation.staging import check_staging  # noqa: PLC0415 - takes ten seconds to import

        write_checks(staging, check_staging(self._workspace, self._site, staging).to_bytes())

    def _not_ahead_of(self, asking: list[_Open], changing: list[_Open]) -> list[_Open]:
        """Requests without those of people who still wait to be told what is held about them."""
        untold = {name.digest for one in asking if one.id in self._waiting for name in one.names}
        behind = [one for one in changing if untold.intersection(name.digest for name in one.names)]
        self._wait(behind, "the person must be told first what is held about them, which waits")
        return [one for one in changing if one not in behind]

    def _wait(self, every: Iterable[_Open], reason: str) -> None:
        for one in every:
            self._waiting.setdefault(one.id, Waiting(one.id, one.request.kind, reason))

    def _not_waiting(self, every: Iterable[_Open]) -> list[_Open]:
        return [one for one in every if one.id not in self._waiting]

    def _finish(self, done: list[_Open]) -> None:
        """Note in the ledger what was done, then forget who asked for it."""
        if not done:
            return
        note = {"requests": {one.id: one.request.kind.value for one in done}, "periods": sorted(self._periods)}
        day = self._now.astimezone(self._site.zone).date().isoformat()
        Ledger.open(self._workspace.ledger).note(EntryKind.OBEYED, ABOUT, day, note)
        advance(self._workspace)  # an older ledger would not know whom to leave out
        for outcome, ones in groupby(sorted(done, key=self._outcome), self._outcome):
            self._store.mark_applied([one.id for one in ones], outcome, self._now)
        self._applied += [one.id for one in done]

    def _outcome(self, one: _Open) -> str:
        there = one.id in self._found
        match one.request.kind:
            case RequestKind.ACCESS:
                return "told what is held" if there else "told that nothing is held"
            case RequestKind.CORRECT:
                return f"{'corrected in what is held' if there else _NOTHING}; later extracts are corrected"
        return f"{'removed from what was held' if there else _NOTHING}; later extracts leave them out"


_NOTHING: Final = "nothing was held"
_WITHOUT_ALIASES: Final = (
    "customers of {}: nobody is found by an e-mail address in staging that was made without. Declare customers.email "
    "in the site file, and ingest the period again."
)


def _days(request: SubjectRequest, site: SiteFile) -> tuple[dt.date | None, dt.date | None]:
    """First and last day, in the site's time zone, on which a name is the person's."""
    first = request.since.astimezone(site.zone).date() if request.since else None
    last = (request.until.astimezone(dt.UTC) - _TICK).astimezone(site.zone).date() if request.until else None
    return first, last


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Wait until nobody else applies requests: what one has removed another could not tell its person any more."""
    folder = workspace.home / "staging"
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        raise StagingError(
            "the lock of requests must be writable",
            value=f"{failure.strerror or type(failure).__name__} on {_LOCK}",
            remedy=f"Check permissions and free space under {folder}.",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
