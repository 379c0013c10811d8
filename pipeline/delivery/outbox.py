"""The outbox of notices: each once, claimed by one sender at a time, tried again until it is sent or given up.

A sender that dies keeps its claim for some minutes; then another takes the notice, under the same id. So a notice is
sent at least once, and a receiver that saw its id before drops it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from pipeline.delivery.channels import Channel
from pipeline.delivery.news import Kind
from pipeline.delivery.tables import NOTICES
from pipeline.errors import DeliveryError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.tables import instant_of, text_of
from pipeline.workspace import Workspace

MOST_TRIES: Final = 9
CLAIM: Final = dt.timedelta(minutes=10)  # longer than a try can last
_FIRST: Final = dt.timedelta(minutes=2)
_GROWTH: Final = 3.0
_LONGEST: Final = dt.timedelta(hours=24)
_JITTER: Final = 0.25  # of the wait, so that receivers that were down are not all asked at one moment
_LEFT: Final = "its sender ended before it said what came of it"


class State(StrEnum):
    """Where a notice stands."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"
    """Overtaken before it was sent: what was new is withdrawn, or the recipient may not read it any more."""


@dataclass(frozen=True, order=True)
class Subject:
    """What one notice says to whom, by which channel; the outbox has each once.

    Attributes:
        recipient: To whom.
        channel: By what.
        kind: What happened.
        product: To which release.
        period: Of which period.
        revision: Which of its revisions.
    """

    recipient: str
    channel: Channel
    kind: Kind
    product: str
    period: str
    revision: int

    @property
    def about(self) -> tuple[Kind, str, str, int]:
        """What happened to which edition."""
        return self.kind, self.product, self.period, self.revision


@dataclass(frozen=True)
class Notice:
    """One notice of the outbox.

    Attributes:
        id: The same at each try, and where the outbox is lost and made again.
        subject: What it says, to whom.
        made: When it was put in; UTC.
        state: Where it stands.
        tries: How many have begun.
        due: When it is tried next, or when its claim ends.
        problem: Why the last try failed, in words; empty where there is nothing to say.
    """

    id: str
    subject: Subject
    made: dt.datetime
    state: State
    tries: int
    due: dt.datetime
    problem: str


@dataclass(frozen=True)
class Outbox:
    """The outbox of a site.

    Attributes:
        database: Of the ledger, up to date.
    """

    database: Database

    @classmethod
    def of(cls, workspace: Workspace) -> Outbox:
        """The outbox of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(database.opened(workspace.ledger))

    def put(self, subjects: Collection[Subject], origin: str, now: dt.datetime) -> int:
        """Put in what is not there yet; returns how many.

        Args:
            subjects: What is to be told.
            origin: The portal's address: two sites that tell one receiver the same use other ids.
            now: The moment.
        """
        if not self._missing(subjects):  # nobody waits for the writers' lock for nothing
            return 0
        with self.database.writing() as connection:
            rows = [_row(one, origin, now) for one in sorted(_unknown(connection, subjects))]
            if rows:
                connection.execute(NOTICES.insert(), rows)
        return len(rows)

    def claim(self, now: dt.datetime, leaving: Collection[tuple[str, Channel]] = ()) -> Notice | None:
        """Take the next notice that is due: nobody else gets it before the claim ends. Withdrawals come first.

        Args:
            now: The moment.
            leaving: Recipients and channels that are not asked now.

        Returns:
            None where nothing is due.
        """
        query = _due(now, leaving)
        with self.database.reading() as connection:
            if connection.execute(query).first() is None:
                return None
        with self.database.writing() as connection:
            for row in connection.execute(query).all():
                if row.tries < MOST_TRIES:
                    return _claimed(connection, row, now)
                _set(connection, row.id, state=State.FAILED, problem=_LEFT)
        return None

    def sent(self, notice: Notice) -> None:
        """Write down that a notice was sent."""
        self._settle(notice, state=State.SENT, problem="")

    def drop(self, notice: Notice) -> None:
        """Write down that there is nothing to say any more."""
        self._settle(notice, state=State.DROPPED, problem="overtaken")

    def postpone(self, notice: Notice, problem: str, now: dt.datetime) -> State:
        """Write down why a try failed; the notice waits for its next one, or is given up.

        Returns:
            What became of it.
        """
        if notice.tries >= MOST_TRIES:
            self._settle(notice, state=State.FAILED, problem=problem)
            return State.FAILED
        due = text_of(now + wait_after(notice.tries))
        self._settle(notice, state=State.WAITING, problem=problem, due=due)
        return State.WAITING

    def listed(self, state: State | None = None) -> tuple[Notice, ...]:
        """All notices, or those of one state, in the order in which they were put in."""
        query = NOTICES.select().order_by(NOTICES.c.made, NOTICES.c.id)
        if state is not None:
            query = query.where(NOTICES.c.state == state.value)
        with self.database.reading() as connection:
            return tuple(_notice(row) for row in connection.execute(query))

    def waiting(self) -> int:
        """How many are not sent yet and not given up."""
        query = sa.select(sa.func.count()).where(NOTICES.c.state.in_([State.WAITING.value, State.SENDING.value]))
        with self.database.reading() as connection:
            return connection.execute(query).scalar() or 0

    def put_back(self, id_: str, now: dt.datetime) -> Notice:
        """Let a notice that was given up be tried anew, with all its tries; or one that waits, at once.

        Raises:
            DeliveryError: There is none such.
        """
        able = [State.FAILED.value, State.DROPPED.value, State.WAITING.value]
        own = NOTICES.select().where(NOTICES.c.id == id_, NOTICES.c.state.in_(able))
        with self.database.writing() as connection:
            if connection.execute(own).first() is None:
                raise DeliveryError(
                    "a notice that is put back must be one that was not sent", remedy="demographics notices"
                )
            _set(connection, id_, state=State.WAITING, tries=0, due=text_of(now))
            return _notice(connection.execute(own).one())

    def _missing(self, subjects: Collection[Subject]) -> bool:
        if not subjects:
            return False
        with self.database.reading() as connection:
            return bool(_unknown(connection, subjects))

    def _settle(self, notice: Notice, **values: Any) -> None:
        with self.database.writing() as connection:
            _set(connection, notice.id, notice.tries, **values)


def wait_after(tries: int, draw: float | None = None) -> dt.timedelta:
    """How long a notice waits after so many tries: 2, 6, 18 minutes and so on to a day, and up to a quarter more.

    Args:
        tries: How many failed, from 1.
        draw: 0 to 1, of the jitter; drawn where it is not given.
    """
    chance = random.random() if draw is None else draw  # noqa: S311  no secret
    return min(_LONGEST, _FIRST * _GROWTH ** (tries - 1)) * (1 + _JITTER * chance)


def _due(now: dt.datetime, leaving: Iterable[tuple[str, Channel]]) -> sa.Select[Any]:
    open_ = NOTICES.c.state.in_([State.WAITING.value, State.SENDING.value])
    left = [sa.not_(sa.and_(NOTICES.c.recipient == name, NOTICES.c.channel == by.value)) for name, by in leaving]
    first = sa.case((NOTICES.c.kind == Kind.WITHDRAWN.value, 0), else_=1)
    chosen = NOTICES.select().where(open_, NOTICES.c.due <= text_of(now), *left)
    return chosen.order_by(first, NOTICES.c.due, NOTICES.c.id).limit(20)


def _claimed(connection: sa.Connection, row: Any, now: dt.datetime) -> Notice:
    _set(connection, row.id, state=State.SENDING, tries=row.tries + 1, due=text_of(now + CLAIM))
    return _notice(connection.execute(NOTICES.select().where(NOTICES.c.id == row.id)).one())


def _set(connection: sa.Connection, id_: str, claimed_at: int | None = None, **values: Any) -> None:
    chosen = NOTICES.update().where(NOTICES.c.id == id_)
    if claimed_at is not None:  # a try; when its claim has ended, whoever claimed it next says what came of it
        chosen = chosen.where(NOTICES.c.state == State.SENDING.value, NOTICES.c.tries == claimed_at)
    connection.execute(chosen.values(**values))


def _unknown(connection: sa.Connection, subjects: Collection[Subject]) -> set[Subject]:
    names = sorted({one.recipient for one in subjects})
    rows = connection.execute(NOTICES.select().where(NOTICES.c.recipient.in_(names)))
    return set(subjects) - {_subject(row) for row in rows}


def _row(subject: Subject, origin: str, now: dt.datetime) -> dict[str, object]:
    named = "\n".join([origin, *map(str, (subject.recipient, subject.channel, *subject.about))])
    told = {name: getattr(subject, name) for name in ("recipient", "product", "period", "revision")}
    told |= {"channel": subject.channel.value, "kind": subject.kind.value, "problem": "", "tries": 0}
    id_ = f"msg_{hashlib.sha256(named.encode()).hexdigest()[:27]}"
    return told | {"id": id_, "made": text_of(now), "due": text_of(now), "state": State.WAITING.value}


def _subject(row: Any) -> Subject:
    return Subject(row.recipient, Channel(row.channel), Kind(row.kind), row.product, row.period, row.revision)


def _notice(row: Any) -> Notice:
    made, due = instant_of(row.made), instant_of(row.due)
    return Notice(row.id, _subject(row), made, State(row.state), row.tries, due, row.problem)
