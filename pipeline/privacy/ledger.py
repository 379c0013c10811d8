"""The ledger: what was reserved, drawn, checked, decided and published, and the noisy tables themselves.

Append-only (the database refuses changes) and chained by hashes. Budget is reserved before noise is drawn, in the
transaction that checks it. A noisy table is recorded in the transaction that marks the release as drawn, and is what
every later run gets: noise that was not recorded was never shown to anybody, so a run that was killed before may draw
again under the reservation that stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from pipeline.documents import Document
from pipeline.errors import BudgetError, LedgerError
from pipeline.privacy import chain
from pipeline.privacy.accountant import Charge, Loss, compose
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

_YEAR: Final = dt.timedelta(days=365)


class Reservation(Document):
    """Payload of ``reserved``: everything that decides what a release costs whom."""

    population: Population
    period_start: dt.date
    period_end: dt.date
    specification_sha256: str
    charge: Charge


class Ledger:
    """A ledger in a database that SQLAlchemy reaches; SQLite by default."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Open the ledger of a workspace, made where there is none yet.

        Raises:
            LedgerError: The file cannot be opened or written.
        """
        ledger = cls(chain.connect(path))
        with ledger._transaction() as connection:
            chain.create(connection)
        return ledger

    def reserve(self, key: ReleaseKey, reservation: Reservation, cap: BudgetCap) -> bool:
        """Reserve budget for a release, or find that it is reserved.

        Returns:
            True where this call reserved, False where the same reservation stood already (nothing is spent again).

        Raises:
            BudgetError: Some rolling year with this release would exceed the cap. Nothing was written.
            LedgerError: The release was reserved under another specification.
        """
        payload = reservation.model_dump(mode="json")
        with self._transaction() as connection:
            standing = chain.find(connection, EntryKind.RESERVED, key)
            if standing is not None:
                _require_same(key, standing.payload, payload)
                return False
            _require_budget(_reservations(connection, reservation.population), reservation, cap)
            chain.append(connection, EntryKind.RESERVED, key, payload)
            return True

    def record_draw(self, key: ReleaseKey, content: bytes) -> bytes:
        """Record a drawn release; where one was recorded before, that one stands and is returned.

        Raises:
            LedgerError: Nothing was reserved for it.
        """
        with self._transaction() as connection:
            if chain.find(connection, EntryKind.RESERVED, key) is None:
                raise LedgerError("budget must be reserved before noise is drawn", value=key, remedy="Reserve first.")
            standing = _artefact(connection, key)
            if standing is not None:
                return standing
            digest = chain.keep(connection, key, "release", content)
            chain.append(connection, EntryKind.DRAWN, key, {"artefact_sha256": digest})
            return content

    def artefact(self, key: ReleaseKey) -> bytes | None:
        """The recorded bytes of a release; None where it was not drawn yet.

        Raises:
            LedgerError: It was drawn, but its bytes are missing or are others: fails closed.
        """
        with self._transaction() as connection:
            return _artefact(connection, key)

    def record_checks(self, key: ReleaseKey, content: bytes, *, passed: bool) -> None:
        """Record the verdicts on a drawn release; the same ones once.

        Raises:
            LedgerError: The release was not drawn.
        """
        with self._transaction() as connection:
            _require_drawn(connection, key, EntryKind.CHECKED)
            newest = chain.find(connection, EntryKind.CHECKED, key)
            if newest is not None and self._checks(connection, key, newest) == content:
                return
            number = 1 if newest is None else int(newest.payload["number"]) + 1
            digest = chain.keep(connection, key, f"checks/{number}", content)
            payload = {"number": number, "checks_sha256": digest, "passed": passed}
            chain.append(connection, EntryKind.CHECKED, key, payload)

    def checks(self, key: ReleaseKey) -> bytes | None:
        """The newest verdicts on a release; None where there are none."""
        with self._transaction() as connection:
            newest = chain.find(connection, EntryKind.CHECKED, key)
            return None if newest is None else self._checks(connection, key, newest)

    def record(self, kind: EntryKind, key: ReleaseKey, payload: Mapping[str, Any]) -> bool:
        """Append an entry about a drawn release.

        Returns:
            False where this kind is to be written once and was.

        Raises:
            LedgerError: The release was not drawn.
        """
        with self._transaction() as connection:
            _require_drawn(connection, key, kind)
            if kind in chain.ONCE and chain.find(connection, kind, key) is not None:
                return False
            chain.append(connection, kind, key, payload)
            return True

    def newest(self, kind: EntryKind, key: ReleaseKey) -> Entry | None:
        """The newest entry of a kind about a release."""
        with self._transaction() as connection:
            return chain.find(connection, kind, key)

    def entries(self, key: ReleaseKey | None = None) -> tuple[Entry, ...]:
        """All entries in order, or those about one release.

        Raises:
            LedgerError: The chain of hashes is broken.
        """
        with self._transaction() as connection:
            every = chain.read(connection)
        chain.require_chain(every)
        return every if key is None else tuple(entry for entry in every if entry.key == key)

    def spent(self, population: Population, year_to: dt.date, cap: BudgetCap) -> Loss:
        """What releases about a population have cost together in the year before ``year_to``, at the cap's delta."""
        with self._transaction() as connection:
            reservations = _reservations(connection, population)
        return compose((one.charge for one in reservations if _in_year(one, year_to)), cap.delta)

    def _checks(self, connection: sa.Connection, key: ReleaseKey, entry: Entry) -> bytes:
        return chain.kept(connection, key, f"checks/{entry.payload['number']}", entry.payload["checks_sha256"])

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as failure:
            raise LedgerError(
                "the ledger must be readable, writable and append-only",
                value=f"{type(failure.orig).__name__} on {self._engine.url.database}",
                remedy="Check the path, its permissions and the disk; entries are never changed.",
            ) from None


def _artefact(connection: sa.Connection, key: ReleaseKey) -> bytes | None:
    drawn = chain.find(connection, EntryKind.DRAWN, key)
    return None if drawn is None else chain.kept(connection, key, "release", drawn.payload["artefact_sha256"])


def _require_drawn(connection: sa.Connection, key: ReleaseKey, kind: EntryKind) -> None:
    if chain.find(connection, EntryKind.DRAWN, key) is None:
        raise LedgerError(f"a release must be drawn before it is {kind}", value=key, remedy="Draw it first.")


def _reservations(connection: sa.Connection, population: Population) -> list[Reservation]:
    found = (Reservation.model_validate(dict(entry.payload)) for entry in chain.read(connection, EntryKind.RESERVED))
    return [one for one in found if one.population is population]


def _require_same(key: ReleaseKey, standing: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    if standing != asked:
        differing = sorted(name for name in asked if standing.get(name) != asked[name])
        raise LedgerError(
            f"{key} was reserved once and keeps its parameters",
            value=f"another {', '.join(differing)}",
            remedy="Restore the specification, or give the changed one a new name.",
        )


def _in_year(reservation: Reservation, year_to: dt.date) -> bool:
    return year_to - _YEAR < reservation.period_end <= year_to


def _require_budget(standing: list[Reservation], asked: Reservation, cap: BudgetCap) -> None:
    """Refuse where any rolling year that holds the new period would exceed the cap."""
    every = [*standing, asked]
    ends = {one.period_end for one in every if asked.period_end <= one.period_end < asked.period_end + _YEAR}
    for end in sorted(ends):
        before = compose((one.charge for one in standing if _in_year(one, end)), cap.delta)
        after = compose((one.charge for one in every if _in_year(one, end)), cap.delta)
        if after.epsilon > cap.epsilon:
            left = max(cap.epsilon - before.epsilon, 0.0)
            alone = compose([asked.charge], cap.delta).epsilon
            raise BudgetError(
                f"{asked.population}: the year to {end} may cost at most epsilon={cap.epsilon:g} at "
                f"delta={cap.delta:.3g}",
                value=f"epsilon={after.epsilon:.4g} with this release ({alone:.4g} alone; {left:.4g} was left)",
                remedy="Wait until earlier periods leave the year, lower epsilon, or raise the cap in the site file.",
            )
