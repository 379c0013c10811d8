"""The ledger: what was reserved, drawn, checked, decided, published and withdrawn, and the noisy tables themselves.

Append-only (the database refuses changes) and chained by hashes. Budget is reserved before noise is drawn, in the
transaction that checks it. A noisy table is recorded in the transaction that marks the release as drawn, and is what
every later run gets: noise that was not recorded was never shown to anybody, so a run that was killed before may draw
again under the reservation that stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from pipeline import documents
from pipeline.errors import LedgerError
from pipeline.privacy import chain, database
from pipeline.privacy.accountant import Loss, compose
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.database import Database
from pipeline.privacy.reservations import (
    Reservation,
    Standing,
    fits_at_once,
    in_year,
    over_cap,
    require_budget,
    require_same,
    standing_with,
)
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

_SPECIFICATION: Final = "specification"  # as bytes beside the chain
_DECIDED: Final = frozenset({EntryKind.APPROVED, EntryKind.REJECTED, EntryKind.PUBLISHED})


@dataclass(frozen=True)
class Origin:
    """What a draw is made from, for those who review it.

    Attributes:
        specification: Its canonical form; the reservation has its digest.
        triggered_by: Who asked for the draw, by the name that Airflow or the machine knows; empty for a schedule.
    """

    specification: bytes
    triggered_by: str = ""


class Ledger:
    """A ledger in a database that SQLAlchemy reaches: SQLite by default, or PostgreSQL."""

    def __init__(self, store: Database) -> None:
        self._database = store
        self._read = _Read()

    @classmethod
    def open(cls, address: Path | str) -> Ledger:
        """Open a ledger, made where there is none yet and brought up to date where an earlier program made it.

        Args:
            address: A SQLite file, or an SQLAlchemy URL of a SQLite file or a PostgreSQL database.

        Raises:
            LedgerError: It cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(address))

    @classmethod
    def in_memory(cls) -> Ledger:
        """A new ledger that is gone with this object: for trying things out, and for audits of many releases."""
        return cls(database.in_memory())

    def reserve(self, key: ReleaseKey, reservation: Reservation, cap: BudgetCap) -> bool:
        """Reserve budget for a revision of a release, or find that it is reserved.

        Returns:
            True where this call reserved, False where the same reservation stood already (nothing is spent again).

        Raises:
            BudgetError: Some rolling year with this release would exceed the cap. Nothing was written.
            LedgerError: It was reserved under another specification or for another reason, or it revises what was
                never drawn.
        """
        self._compose_ahead(key, reservation, cap)
        with self._database.writing() as connection:
            standing = chain.find(connection, EntryKind.RESERVED, key)
            if standing is not None:
                drawn = chain.find(connection, EntryKind.DRAWN, key) is not None
                require_same(key, _reservation(standing), reservation, drawn=drawn)
                return False
            _require_predecessor(connection, key, reservation)
            require_budget(self._known(connection).standing(reservation.population), reservation, cap)
            chain.append(connection, EntryKind.RESERVED, key, reservation.model_dump(mode="json"))
            return True

    def record_draw(
        self,
        key: ReleaseKey,
        content: bytes,
        last_look: Callable[[sa.Connection], None] | None = None,
        origin: Origin | None = None,
    ) -> bytes:
        """Record a drawn release; where one was recorded before, that one stands and is returned.

        Args:
            key: Of the release.
            content: Its bytes.
            last_look: Called in the transaction that records, beside which nobody writes; it may raise.
            origin: What it was made from; nobody can approve a release that has none.

        Raises:
            LedgerError: Nothing was reserved for it, or it was reserved for another specification.
        """
        with self._database.writing() as connection:
            reserved = chain.find(connection, EntryKind.RESERVED, key)
            if reserved is None:
                raise LedgerError("budget must be reserved before noise is drawn", value=key, remedy="Reserve first.")
            standing = _artefact(connection, key)
            if standing is not None:
                return standing
            if last_look is not None:
                last_look(connection)
            payload = {"artefact_sha256": chain.keep(connection, key, "release", content)}
            if origin is not None:
                if chain.keep(connection, key, _SPECIFICATION, origin.specification) != _reserved_for(reserved):
                    raise LedgerError("what is drawn must be what was reserved for", value=key, remedy="Draw it again.")
                payload["triggered_by"] = origin.triggered_by
            chain.append(connection, EntryKind.DRAWN, key, payload)
            return content

    def artefact(self, key: ReleaseKey) -> bytes | None:
        """The recorded bytes of a release; None where it was not drawn yet.

        Raises:
            LedgerError: It was drawn, but its bytes are missing or are others: fails closed.
        """
        with self._database.reading() as connection:
            return _artefact(connection, key)

    def specification(self, key: ReleaseKey) -> bytes | None:
        """The canonical form of the specification that a release was drawn from; None where it was not drawn.

        Raises:
            LedgerError: It was drawn, but the specification is missing or is another one: fails closed.
        """
        with self._database.reading() as connection:
            reserved = chain.find(connection, EntryKind.RESERVED, key)
            if reserved is None or chain.find(connection, EntryKind.DRAWN, key) is None:
                return None
            return chain.kept(connection, key, _SPECIFICATION, _reserved_for(reserved))

    def standing(self, release: str, period: str) -> ReleaseKey:
        """The revision that every stage acts on: the newest that was drawn, or the first while none was."""
        with self._database.reading() as connection:
            drawn = chain.revisions(connection, EntryKind.DRAWN, release, period)
        return drawn[-1].key if drawn else ReleaseKey(release, period)

    def revision_for(self, release: str, period: str, reason: str) -> ReleaseKey:
        """The revision that a reason to revise makes, or has made: a retry with the same reason makes no second one.

        Raises:
            LedgerError: Nothing was drawn that could be revised, another revision waits to be drawn, or the reason
                made a revision that was revised since.
        """
        with self._database.reading() as connection:
            reserved = chain.revisions(connection, EntryKind.RESERVED, release, period)
            drawn = {entry.key for entry in chain.revisions(connection, EntryKind.DRAWN, release, period)}
        if not drawn:
            raise _nothing_to_revise(ReleaseKey(release, period))
        newest = reserved[-1].key
        made = next((entry.key for entry in reserved if _reservation(entry).revises == reason), None)
        if made == newest:
            return newest
        if made is not None:
            raise LedgerError(
                "a reason to revise makes one revision",
                value=f"the reason of {made}, and {newest} is newer",
                remedy="Give this revision a reason of its own.",
            )
        if newest not in drawn:
            raise LedgerError(
                "a revision must be drawn before it is revised in turn",
                value=f"{newest}, reserved only",
                remedy=f"Draw it first, for the reason it was reserved for: {_reservation(reserved[-1]).revises!r}.",
            )
        return ReleaseKey(release, period, newest.revision + 1)

    def record_checks(self, key: ReleaseKey, content: bytes, *, passed: bool) -> None:
        """Record the verdicts on a drawn release; the same ones once.

        Raises:
            LedgerError: The release was not drawn.
        """
        with self._database.writing() as connection:
            _require_possible(connection, key, EntryKind.CHECKED)
            newest = chain.find(connection, EntryKind.CHECKED, key)
            if newest is not None and _checks(connection, key, newest) == content:
                return
            number = 1 if newest is None else int(newest.payload["number"]) + 1
            digest = chain.keep(connection, key, f"checks/{number}", content)
            payload = {"number": number, "checks_sha256": digest, "passed": passed}
            chain.append(connection, EntryKind.CHECKED, key, payload)

    def checks(self, key: ReleaseKey) -> bytes | None:
        """The newest verdicts on a release; None where there are none."""
        with self._database.reading() as connection:
            newest = chain.find(connection, EntryKind.CHECKED, key)
            return None if newest is None else _checks(connection, key, newest)

    def record(self, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> bool:
        """Append an entry about a drawn release.

        Returns:
            False where this kind is to be written once and was.

        Raises:
            LedgerError: The release was not drawn; it is withdrawn, and nothing is decided or published of it any
                more; or it is to be withdrawn and was never published.
        """
        if kind in chain.NOTES:
            raise AssertionError(f"{kind} is about no release")
        with self._database.writing() as connection:
            if kind in chain.ONCE and chain.find(connection, kind, key) is not None:
                return False
            _require_possible(connection, key, kind)
            chain.append(connection, kind, key, payload)
            return True

    def note(self, kind: EntryKind, about: str, period: str, payload: Mapping[str, Any]) -> bool:
        """Append a note about something that is no release; the same one once.

        Args:
            kind: ``PURGED``, ``OBEYED`` or ``SIGNING``.
            about: What it is about: ``staging.visitors``, ``subject_requests``.
            period: Its period, or empty.
            payload: What it says; never anything about a person, nor a count of people.

        Returns:
            False where the same note stood already.
        """
        if kind not in chain.NOTES:
            raise AssertionError(f"{kind} is about a release")
        with self._database.writing() as connection:
            return chain.append_note(connection, kind, ReleaseKey(about, period, 0), payload)

    def notes(self, kind: EntryKind, about: str | None = None) -> tuple[Entry, ...]:
        """Notes of a kind in order, or those about one thing."""
        with self._database.reading() as connection:
            found = chain.read_after(connection, kind, 0)
        return tuple(entry for entry in found if about in (None, entry.key.release))

    def newest(self, kind: EntryKind, key: ReleaseKey) -> Entry | None:
        """The newest entry of a kind about a release."""
        with self._database.reading() as connection:
            return chain.find(connection, kind, key)

    def state(self, key: ReleaseKey) -> EntryKind | None:
        """How far a release has come: withdrawn, or published, or what its newest entry says; None before all."""
        with self._database.reading() as connection:
            return state_of(chain.kinds(connection, key))

    def entries(self, key: ReleaseKey | None = None, *, chained: bool = True) -> tuple[Entry, ...]:
        """All entries in order, or those about one release.

        Args:
            key: Of the release.
            chained: Whether the chain of hashes must hold: not for who goes on to look at a broken one.

        Raises:
            LedgerError: The chain of hashes is broken.
        """
        with self._database.reading() as connection:
            every = chain.read(connection)
        if chained:
            chain.require_chain(every)
        return every if key is None else tuple(entry for entry in every if entry.key == key)

    def head(self) -> tuple[int, str]:
        """Number and digest of the last entry: another one as soon as anything was appended."""
        with self._database.reading() as connection:
            return chain.last(connection)

    def reservations(self) -> tuple[tuple[ReleaseKey, Reservation], ...]:
        """Everything that was reserved, in order."""
        with self._database.reading() as connection:
            return self._known(connection).reservations

    def spent(self, population: Population, year_to: dt.date, cap: BudgetCap) -> Loss:
        """What releases about a population have cost together in the year before ``year_to``, at the cap's delta."""
        with self._database.reading() as connection:
            reservations = self._known(connection).reservations
        charges = (one.charge for _, one in reservations if one.population is population and in_year(one, year_to))
        return compose(charges, cap.delta)

    def _compose_ahead(self, key: ReleaseKey, asked: Reservation, cap: BudgetCap) -> None:
        # Composing takes up to two seconds, the first time in a program. What is composed before the lock is taken is
        # remembered, so that under it there is nothing left to compute unless another writer came in between. There is
        # nothing to compose where what this program has read leaves plenty of budget.
        if self._read.last and fits_at_once(self._read.standing(asked.population), asked, cap):
            return
        with self._database.reading() as connection:
            if chain.find(connection, EntryKind.RESERVED, key) is not None:
                return
            standing = self._known(connection).standing(asked.population)
        over_cap(standing, asked, cap)

    def _known(self, connection: sa.Connection) -> _Read:
        known = self._read
        if new := chain.read_after(connection, EntryKind.RESERVED, known.last):
            self._read = known = known.with_more(new)  # in one step: threads that read at once write the same
        return known


@dataclass(frozen=True)
class _Read:
    """Reservations that were read: entries never change, so each is read once.

    Attributes:
        last: The number of the last of them.
        reservations: All, in order.
        sums: What they cost, by population.
    """

    last: int = 0
    reservations: tuple[tuple[ReleaseKey, Reservation], ...] = ()
    sums: Mapping[Population, Standing] = field(default_factory=dict)

    def standing(self, population: Population) -> Standing:
        """What was reserved for a population."""
        return self.sums.get(population, {})

    def with_more(self, entries: Sequence[Entry]) -> _Read:
        """These, and those of entries that were written since."""
        new = tuple((entry.key, _reservation(entry)) for entry in entries)
        sums = dict(self.sums)
        for population in {one.population for _, one in new}:
            own = (one for _, one in new if one.population is population)
            sums[population] = standing_with(self.standing(population), own)
        return _Read(entries[-1].number, (*self.reservations, *new), sums)


def state_of(kinds: tuple[EntryKind, ...]) -> EntryKind | None:
    """The state that a release is in after entries of these kinds, in their order."""
    final = (kind for kind in (EntryKind.WITHDRAWN, EntryKind.PUBLISHED) if kind in kinds)
    return next(final, kinds[-1] if kinds else None)


def _artefact(connection: sa.Connection, key: ReleaseKey) -> bytes | None:
    drawn = chain.find(connection, EntryKind.DRAWN, key)
    return None if drawn is None else chain.kept(connection, key, "release", drawn.payload["artefact_sha256"])


def _checks(connection: sa.Connection, key: ReleaseKey, entry: Entry) -> bytes:
    return chain.kept(connection, key, f"checks/{entry.payload['number']}", entry.payload["checks_sha256"])


def _reserved_for(reserved: Entry) -> str:
    return str(reserved.payload["specification_sha256"])


def _reservation(entry: Entry) -> Reservation:
    return documents.parse(dict(entry.payload), Reservation, LedgerError, f"the reservation of {entry.key}")


def _require_possible(connection: sa.Connection, key: ReleaseKey, kind: EntryKind) -> None:
    """Refuse an entry that its predecessors do not allow."""
    if chain.find(connection, EntryKind.DRAWN, key) is None:
        raise LedgerError(f"a release must be drawn before it is {kind}", value=key, remedy="Draw it first.")
    if kind is EntryKind.WITHDRAWN and chain.find(connection, EntryKind.PUBLISHED, key) is None:
        raise LedgerError(
            "a release must be published before it is withdrawn",
            value=f"{key}, not published",
            remedy="Reject it: it is not published then.",
        )
    if kind in _DECIDED and chain.find(connection, EntryKind.WITHDRAWN, key) is not None:
        raise LedgerError(
            f"a withdrawn release is not {kind} again", value=key, remedy="Release a revision: --revise --reason."
        )


def _require_predecessor(connection: sa.Connection, key: ReleaseKey, reservation: Reservation) -> None:
    """A first revision revises nothing; a later one revises what was drawn, for a reason."""
    if (key.revision > 1) is not bool(reservation.revises):
        raise LedgerError("a revision after the first, and no other, has a reason", value=key, remedy="Give one.")
    if key.revision > 1:
        before = ReleaseKey(key.release, key.period, key.revision - 1)
        if chain.find(connection, EntryKind.DRAWN, before) is None:
            raise _nothing_to_revise(before)


def _nothing_to_revise(key: ReleaseKey) -> LedgerError:
    return LedgerError("what is revised must have been drawn", value=f"{key}, not drawn", remedy="Draw it first.")
