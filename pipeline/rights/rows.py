"""Rows of people's requests: what is kept of each, and what may be told of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from pipeline.rights.contents import Unusable
from pipeline.rights.requests import DEADLINE, SubjectRequest

_TEXTS: Final = ("id", "kind", "population", "origin", "received", "recorded", "state", "reason", "applied", "outcome")
_KEYS: Final = ("fingerprint", "row_key")
REQUESTS: Final = sa.table(
    "subject_requests",
    *(sa.column(name, sa.Text) for name in (*_TEXTS, *_KEYS)),
    sa.column("sealed", sa.LargeBinary),
)
LISTED: Final = [REQUESTS.c[name] for name in _TEXTS]


class State(StrEnum):
    """How far a request has come."""

    OPEN = "open"
    """Received, and waits to be applied."""
    REFUSED = "refused"
    """Cannot be used as it is: somebody has to ask again, correct the site file and retry, or close it."""
    APPLIED = "applied"
    CLOSED = "closed"
    """Not applied: closed by a person, or the same as another one."""


# Those whose deadline runs.
WAITING: Final = (State.OPEN, State.REFUSED)


class Origin(StrEnum):
    """How a request came in."""

    COMMAND_LINE = "command line"
    DROP_FOLDER = "drop folder"
    TABLE = "database table"


@dataclass(frozen=True)
class Incoming:
    """Something that is to be kept.

    Attributes:
        content: A request, or something that cannot be used as one.
        origin: How it came in.
        row_key: A keyed digest of the row it came in as, which is taken once; None where it has none.
    """

    content: SubjectRequest | Unusable
    origin: Origin
    row_key: str | None = None


@dataclass(frozen=True)
class Received:
    """What became of something that came in.

    Attributes:
        id: Of the request.
        due: When it must be in force.
        again: Whether it was there already: the same row, or the same request while it waits.
    """

    id: str
    due: dt.datetime
    again: bool


@dataclass(frozen=True)
class RequestRow:
    """What may be told of a request: nothing that names anybody.

    Attributes:
        id: ``R-7KQ2M4XW``, drawn at random.
        kind: What is asked for; empty where that could not be read.
        population: Of whom; empty where that could not be read.
        origin: How it came in.
        received: When the company received it.
        recorded: When the product did.
        state: How far it has come.
        reason: Why it is refused; empty otherwise.
        applied: When it was applied or closed.
        outcome: What came of it, or why it was closed.
        sealed: Its content, where it was asked for and is still there.
    """

    id: str
    kind: str
    population: str
    origin: Origin
    received: dt.datetime
    recorded: dt.datetime
    state: State
    reason: str
    applied: dt.datetime | None
    outcome: str
    sealed: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, row: sa.Row[Any]) -> RequestRow:
        """A row of the database, with ``sealed`` or without."""
        found = row._mapping
        return cls(
            id=found["id"],
            kind=found["kind"],
            population=found["population"],
            origin=Origin(found["origin"]),
            received=dt.datetime.fromisoformat(found["received"]),
            recorded=dt.datetime.fromisoformat(found["recorded"]),
            state=State(found["state"]),
            reason=found["reason"],
            applied=dt.datetime.fromisoformat(found["applied"]) if found["applied"] else None,
            outcome=found["outcome"] or "",
            sealed=found.get("sealed"),
        )

    @property
    def due(self) -> dt.datetime:
        """When it must be in force."""
        return self.received + DEADLINE

    @property
    def waits(self) -> bool:
        """Whether its deadline runs."""
        return self.state in WAITING
