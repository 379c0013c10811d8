"""The log of downloads: who got which file, when, and by which way. What is not written down is not given out."""

from __future__ import annotations

import datetime as dt
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from pipeline.delivery.tables import DOWNLOADS
from pipeline.delivery.together import turns_at
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.tables import instant_of, now_utc, text_of, writing
from pipeline.workspace import Workspace

_LAST: Final = sa.select(sa.func.max(DOWNLOADS.c.number))
_MOST_AT_ONCE: Final = 500
_MANY: Final = 1_000  # rows that are read at a time


class Way(StrEnum):
    """How something reached a recipient."""

    PAGE = "page"
    API = "api"
    SHARING = "sharing"
    STORE = "store"


@dataclass(frozen=True)
class Download:
    """One file that one recipient got.

    Attributes:
        recipient: Who.
        way: How.
        token: With which token, by its number; None where something was put into the recipient's store.
        shelf: Of which shelf.
        product: Of which release.
        period: Of which period.
        revision: Which of its revisions.
        file: Its name.
        part: Which bytes, ``bytes 0-99``; empty for all of it.
    """

    recipient: str
    way: Way
    token: int | None
    shelf: str
    product: str
    period: str
    revision: int
    file: str
    part: str = ""


@dataclass(frozen=True)
class Noted:
    """One line of the log.

    Attributes:
        number: Its place, from 1, without gaps.
        at: When; UTC.
        download: What.
    """

    number: int
    at: dt.datetime
    download: Download


@dataclass(frozen=True)
class Reader:
    """Somebody who got something of an edition.

    Attributes:
        recipient: Who.
        first: When first.
        last: When last.
        files: How many times any file.
    """

    recipient: str
    first: dt.datetime
    last: dt.datetime
    files: int


_Waiting = tuple[Download, dt.datetime, "Future[None]"]


@dataclass
class Downloads:
    """The log of a site.

    One thread writes for all that ask, and everything that waits in one transaction: many downloads at once wait for
    one commit together, not for one after the other.

    Attributes:
        database: Of the ledger, up to date.
    """

    database: Database
    _waiting: queue.SimpleQueue[_Waiting | None] = field(default_factory=queue.SimpleQueue, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _writer: threading.Thread | None = field(default=None, repr=False)

    @classmethod
    def of(cls, workspace: Workspace) -> Downloads:
        """The log of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger))

    def note(self, download: Download, now: dt.datetime | None = None) -> None:
        """Write a download down; returns when it is on the disk.

        Raises:
            LedgerError: It cannot be written; then nothing may be given out.
        """
        self.note_all((download,), now)

    def note_all(self, downloads: Iterable[Download], now: dt.datetime | None = None) -> None:
        """Write downloads down; returns when all are on the disk.

        Args:
            downloads: Of what is made of several editions one line each: who got a number is told when it is withdrawn.
            now: When.

        Raises:
            LedgerError: They cannot be written; then nothing may be given out.
        """
        at = now or now_utc()
        waiting: list[_Waiting] = [(one, at, Future()) for one in downloads]
        with self._lock:
            if self._writer is None:  # with a queue of its own: what ends one writer ends no other
                self._waiting = queue.SimpleQueue()
                self._writer = threading.Thread(target=self._write_all, args=(self._waiting,), daemon=True)
                self._writer.start()
            for one in waiting:
                self._waiting.put(one)
        for *_, done in waiting:
            done.result()

    def close(self) -> None:
        """Write what waits, and end the writer; another note begins it anew."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                self._waiting.put(None)
        if writer is not None:
            writer.join()

    def listed(
        self,
        recipient: str | None = None,
        product: str | None = None,
        period: str | None = None,
        revision: int | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Iterator[Noted]:
        """The log in its order, or the part of it about these; a few rows are in memory at a time.

        Args:
            recipient: Of whom.
            product: Of which release.
            period: Of which period.
            revision: Of which revision.
            since: From when on, inclusive.
            until: Until when, exclusive.
        """
        asked = {"recipient": recipient, "product": product, "period": period, "revision": revision}
        wanted = [DOWNLOADS.c[name] == value for name, value in asked.items() if value is not None]
        wanted += [DOWNLOADS.c.at >= text_of(since)] if since else []
        wanted += [DOWNLOADS.c.at < text_of(until)] if until else []
        last = 0
        while rows := self._rows([*wanted, DOWNLOADS.c.number > last]):
            yield from (_noted(row) for row in rows)
            last = rows[-1].number

    def newest(self, recipient: str, limit: int) -> tuple[Noted, ...]:
        """The last downloads of a recipient, the newest first."""
        query = DOWNLOADS.select().where(DOWNLOADS.c.recipient == recipient).order_by(DOWNLOADS.c.number.desc())
        with self.database.reading() as connection:
            return tuple(_noted(row) for row in connection.execute(query.limit(limit)))

    def readers(
        self, product: str, period: str, revision: int, there: tuple[dt.datetime, dt.datetime | None] | None = None
    ) -> tuple[Reader, ...]:
        """Everybody who got anything of an edition, by name: they are told when it is withdrawn.

        Args:
            product: Of which release.
            period: Of which period.
            revision: Which of its revisions.
            there: Since when it was there, and until when; who then got all periods in one file got it too.
        """
        log = DOWNLOADS.c
        got = sa.and_(log.period == period, log.revision == revision)
        if there is not None:
            ends = [log.at < text_of(there[1])] if there[1] else []
            got = sa.or_(got, sa.and_(log.revision == 0, log.at >= text_of(there[0]), *ends))
        query = (
            sa.select(
                log.recipient,
                sa.func.min(log.at).label("first"),
                sa.func.max(log.at).label("last"),
                sa.func.count().label("files"),
            )
            .where(log.product == product, got)
            .group_by(log.recipient)
            .order_by(log.recipient)
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Reader(one.recipient, instant_of(one.first), instant_of(one.last), one.files) for one in rows)

    def _rows(self, wanted: list[Any]) -> list[Any]:
        query = DOWNLOADS.select().where(*wanted).order_by(DOWNLOADS.c.number).limit(_MANY)
        with self.database.reading() as connection:
            return list(connection.execute(query))

    def _write_all(self, waiting: queue.SimpleQueue[_Waiting | None]) -> None:
        ended = False
        while not ended:
            taken = [waiting.get()]
            while len(taken) < _MOST_AT_ONCE and not waiting.empty():
                taken.append(waiting.get())
            ended = None in taken
            self._write([one for one in taken if one is not None])

    def _write(self, notes: list[_Waiting]) -> None:
        if not notes:
            return
        try:
            with turns_at(self.database.name), writing(self.database) as connection:
                last = connection.execute(_LAST).scalar() or 0
                rows = [_values(last + place, one, at) for place, (one, at, _) in enumerate(notes, start=1)]
                connection.execute(DOWNLOADS.insert(), rows)
        except Exception as failure:  # noqa: BLE001  whoever waits is told, whatever it is
            for _, _, done in notes:
                done.set_exception(failure)
            return
        for _, _, done in notes:
            done.set_result(None)


def _values(number: int, download: Download, at: dt.datetime) -> dict[str, object]:
    return {"number": number, "at": text_of(at), **asdict(download), "way": download.way.value}


def _noted(row: Any) -> Noted:
    told = {name: getattr(row, name) for name in ("recipient", "token", "shelf", "product", "period")}
    download = Download(**told, way=Way(row.way), revision=row.revision, file=row.file, part=row.part)
    return Noted(row.number, instant_of(row.at), download)
