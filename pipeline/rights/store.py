"""People's requests while they wait, in the ledger's database: sealed until they were applied, then without content.

What names a person stands in the column ``sealed`` alone, encrypted with the key of subject requests. When a request
was applied or closed it is overwritten. SQLite leaves no copy of it in its file (``secure_delete``), and deletes the
journal of the transaction with its end. PostgreSQL keeps the old row until VACUUM, and in its write-ahead log; so do
backups of either. What stands there tells something only to who also holds the key, which lies elsewhere: keep the two
in different backups.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa

from pipeline.deidentify.subject_key import SubjectKey, subject_key
from pipeline.errors import RequestError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.rights.contents import Unusable, fields_of, request_bytes, request_of, sameness
from pipeline.rights.requests import DEADLINE, RequestKind, SubjectRequest
from pipeline.rights.rows import LISTED, REQUESTS, WAITING, Incoming, Origin, Received, RequestRow, State
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

__all__ = ["WAITING", "Incoming", "Origin", "Received", "RequestRow", "RequestStore", "State", "Unusable"]

# Letters and digits that nobody takes for one another (Crockford's base 32).
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ID: Final = re.compile(f"R-[{_LETTERS}]{{8}}")
_PART: Final = 500  # values of one query; databases bound their number
_LONGEST_NOTE: Final = 200
_EARLIER: Final = (
    REQUESTS.update()
    .where(REQUESTS.c.id == sa.bindparam("which"), REQUESTS.c.received > sa.bindparam("moment"))
    .values(received=sa.bindparam("moment"))
)


class RequestStore:
    """The requests of one deployment."""

    def __init__(self, workspace: Workspace, kept_in: Database) -> None:
        self._workspace, self._database = workspace, kept_in

    @classmethod
    def open(cls, workspace: Workspace) -> RequestStore:
        """Open the store; the key is looked for when something is to be sealed or opened.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(workspace, database.opened(workspace.ledger))

    @cached_property
    def key(self) -> SubjectKey:
        """The key of subject requests, made when it is needed for the first time.

        Raises:
            ConfigurationError: It was made before and is missing, or another one.
        """
        return subject_key(self._workspace, self._database)

    def receive(self, request: SubjectRequest, origin: Origin, row_key: str | None = None) -> Received:
        """Keep a request, sealed, until it is applied; the same one again while it waits is the one that waits.

        Raises:
            ConfigurationError: The key is missing or another one. Nothing was kept.
            LedgerError: The database cannot be written. Nothing was kept.
        """
        return self.receive_all([Incoming(request, origin, row_key)])[0]

    def receive_unusable(self, unusable: Unusable, origin: Origin, row_key: str | None = None) -> Received:
        """Keep something that cannot be used, sealed, until somebody closes it; its deadline runs all the same.

        Raises:
            ConfigurationError: The key is missing or another one. Nothing was kept.
            LedgerError: The database cannot be written. Nothing was kept.
        """
        return self.receive_all([Incoming(unusable, origin, row_key)])[0]

    def receive_all(self, incoming: Sequence[Incoming]) -> tuple[Received, ...]:
        """Keep all of them in one transaction; what became of each, in their order.

        Raises:
            ConfigurationError: The key is missing or another one. Nothing was kept.
            LedgerError: The database cannot be written. Nothing was kept.
        """
        rows = [self._row(one) for one in incoming]  # sealed before the lock of all writers is held
        if not rows:
            return ()
        with self._writing() as connection:
            found, changes = _sorted_out(rows, _known(connection, rows), _new_ids(connection, len(rows)))
            if changes.new:
                connection.execute(REQUESTS.insert(), changes.new)
            if changes.earlier:
                connection.execute(_EARLIER, changes.earlier)
        return found

    def row_keys(self, origin: Origin) -> frozenset[str]:
        """The keys of all rows that ever came in one way."""
        query = sa.select(REQUESTS.c.row_key).where(REQUESTS.c.origin == origin, REQUESTS.c.row_key.is_not(None))
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def rows(self) -> tuple[RequestRow, ...]:
        """All requests without their content, those received first at first."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(*LISTED).order_by(REQUESTS.c.received, REQUESTS.c.id)).all()
        return tuple(RequestRow.of(row) for row in found)

    def open_requests(self) -> tuple[RequestRow, ...]:
        """Those that wait to be applied, with their sealed content, those received first at first."""
        query = REQUESTS.select().where(REQUESTS.c.state == State.OPEN)
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(REQUESTS.c.received, REQUESTS.c.id)).all()
        return tuple(RequestRow.of(row) for row in found)

    def unseal(self, row: RequestRow) -> SubjectRequest:
        """The request that an open row holds.

        Raises:
            ConfigurationError: The key is missing or another one, or the content was changed.
        """
        assert row.sealed is not None
        return request_of(self.key.open(row.sealed))

    def refused_fields(self, identity: str) -> tuple[RequestRow, dict[str, object] | None]:
        """A refused request, and its fields; None where these could not be told.

        Raises:
            RequestError: There is no refused request of that id.
            ConfigurationError: The key is missing or another one.
        """
        with self._database.reading() as connection:
            row = _refused(connection, identity)
        assert row.sealed is not None
        return row, fields_of(self.key.open(row.sealed))

    def reopen(self, identity: str, request: SubjectRequest) -> Received:
        """Make an open request of a refused one, now that its fields are understood.

        Raises:
            RequestError: There is no refused request of that id.
            ConfigurationError: The key is missing or another one.
        """
        row = self._row(Incoming(request, Origin.COMMAND_LINE))
        changed = {name: row[name] for name in ("kind", "population", "received", "state", "reason", "sealed")}
        with self._writing() as connection:
            _refused(connection, identity)
            standing = _known(connection, [row]).get(row["fingerprint"])
            if standing is None:
                _change(connection, identity, changed | {"fingerprint": row["fingerprint"]})
                return Received(identity, request.received + DEADLINE, again=False)
            _change(connection, identity, _gone(State.CLOSED, _same_as(standing.id), _now()))
            return standing

    def refuse_again(self, identity: str, reason: str) -> None:
        """Say anew why a refused request cannot be used.

        Raises:
            RequestError: There is no refused request of that id.
        """
        with self._writing() as connection:
            _refused(connection, identity)
            _change(connection, identity, {"reason": reason})

    def close(self, identity: str, operator: str, reason: str) -> None:
        """Close a refused request; its content is gone, who closed it and why stays.

        Args:
            identity: Its id.
            operator: Who closes it.
            reason: Why; names nobody who asked.

        Raises:
            RequestError: There is no refused request of that id, or operator or reason is no short line.
        """
        note = f"closed by {_line(operator, 'operator')}: {_line(reason, 'reason')}"
        with self._writing() as connection:
            _refused(connection, identity)
            _change(connection, identity, _gone(State.CLOSED, note, _now()))

    @staticmethod
    def is_any_open(connection: sa.Connection, population: Population, but: RequestKind) -> bool:
        """Whether requests of a population are open, but those of a kind; in the caller's transaction."""
        query = sa.select(REQUESTS.c.id).where(
            REQUESTS.c.state == State.OPEN, REQUESTS.c.population == population.value, REQUESTS.c.kind != but.value
        )
        return connection.execute(query.limit(1)).first() is not None

    def note_waiting(self, reasons: Mapping[str, str]) -> None:
        """Write down why open requests, by id, could not be applied yet; the reasons name nobody."""
        statement = REQUESTS.update().where(REQUESTS.c.id == sa.bindparam("which"), REQUESTS.c.state == State.OPEN)
        if rows := [{"which": identity, "why": reason} for identity, reason in reasons.items()]:
            with self._writing() as connection:
                connection.execute(statement.values(reason=sa.bindparam("why")), rows)

    def mark_applied(self, ids: Iterable[str], outcome: str, now: dt.datetime) -> None:
        """Mark open requests as applied, in one transaction; their content and what tells them again is gone.

        Args:
            ids: Of them; one that is not open any more is left as it is.
            outcome: What came of them; names nobody, and counts nobody.
            now: When they were applied.
        """
        statement = REQUESTS.update().where(REQUESTS.c.id == sa.bindparam("which"), REQUESTS.c.state == State.OPEN)
        gone = _gone(State.APPLIED, outcome, now) | {"reason": ""}  # what was in the way is no more
        with self._writing() as connection:
            if rows := [{"which": one} for one in ids]:
                connection.execute(statement.values(gone), rows)

    def _row(self, one: Incoming) -> dict[str, Any]:
        content, key = one.content, self.key
        is_request = isinstance(content, SubjectRequest)
        return {
            "kind": str(content.kind),
            "population": str(content.population),
            "origin": one.origin.value,
            "received": _text(content.received),
            "recorded": _text(_now()),
            "state": State.OPEN if isinstance(content, SubjectRequest) else State.REFUSED,
            "reason": "" if isinstance(content, SubjectRequest) else content.reason,
            "sealed": key.seal(request_bytes(content) if isinstance(content, SubjectRequest) else content.to_bytes()),
            "fingerprint": key.fingerprint(f"{is_request} {sameness(content)}"),
            "row_key": one.row_key,
        }

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._database.writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")  # zeros where something was
            yield connection


@dataclass
class _Changes:
    """What a transaction of rows that came in writes."""

    new: list[dict[str, Any]] = field(default_factory=list)
    earlier: list[dict[str, Any]] = field(default_factory=list)


def _sorted_out(
    rows: Sequence[Mapping[str, Any]], standing: Mapping[str, Received], ids: Sequence[str]
) -> tuple[tuple[Received, ...], _Changes]:
    """What becomes of each row that came in, and what is to be written.

    Args:
        rows: As they came in.
        standing: What is there already, by row key and by fingerprint.
        ids: New ones, as many as rows.
    """
    known, found, changes = dict(standing), [], _Changes()
    for row, identity in zip(rows, ids, strict=True):
        key, due = row["row_key"], dt.datetime.fromisoformat(row["received"]) + DEADLINE
        if key and key in known:
            found.append(known[key])
            continue
        same = known.get(row["fingerprint"])
        if same is None:
            changes.new.append({**row, "id": identity, "applied": None, "outcome": None})
        elif key:  # so that this row is not taken again when that request was applied
            gone = _gone(State.CLOSED, _same_as(same.id), _now())
            changes.new.append({**row, "id": identity, "reason": "", **gone})
        if same is not None and due < same.due:  # asked for earlier than it came in at first
            changes.earlier.append({"which": same.id, "moment": row["received"]})
        one = Received(same.id if same else identity, min(due, same.due) if same else due, again=same is not None)
        found.append(one)
        known |= {name: replace(one, again=True) for name in (key, row["fingerprint"]) if name}
    return tuple(found), changes


def _known(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, Received]:
    """What is there already of rows that come in, by row key and by fingerprint."""
    return {
        value: Received(identity, dt.datetime.fromisoformat(received) + DEADLINE, again=True)
        for column in (REQUESTS.c.row_key, REQUESTS.c.fingerprint)
        for value, identity, received in _where(connection, column, [row[column.name] for row in rows])
    }


def _where(
    connection: sa.Connection, column: sa.ColumnClause[Any], values: Sequence[str | None]
) -> Iterator[tuple[str, str, str]]:
    """The value of a column, id and instant of each request that has one of so many values there."""
    chosen = sa.select(column, REQUESTS.c.id, REQUESTS.c.received)
    wanted = [value for value in values if value]
    for start in range(0, len(wanted), _PART):
        for row in connection.execute(chosen.where(column.in_(wanted[start : start + _PART]))):
            yield row[0], row[1], row[2]


def _new_ids(connection: sa.Connection, count: int) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        drawn = ["R-" + "".join(secrets.choice(_LETTERS) for _ in range(8)) for _ in range(count - len(found))]
        found |= set(drawn) - {identity for identity, _, _ in _where(connection, REQUESTS.c.id, drawn)}
    return list(found)


def _refused(connection: sa.Connection, identity: str) -> RequestRow:
    row = connection.execute(REQUESTS.select().where(REQUESTS.c.id == identity)).first()
    if row is None or row.state != State.REFUSED:
        is_id = _ID.fullmatch(identity) is not None  # anything else may be a name that was put there
        raise RequestError(
            "a request to retry or to close must be a refused one",
            value=(f"{identity}, {row.state if row else 'unknown'}") if is_id else "something that is no id",
            remedy="demographics subject list shows them.",
        )
    return RequestRow.of(row)


def _change(connection: sa.Connection, identity: str, values: Mapping[str, Any]) -> None:
    connection.execute(REQUESTS.update().where(REQUESTS.c.id == identity).values(dict(values)))


def _gone(state: State, outcome: str, now: dt.datetime) -> dict[str, Any]:
    return {"state": state.value, "sealed": None, "fingerprint": None, "applied": _text(now), "outcome": outcome}


def _same_as(identity: str) -> str:
    return f"the same as {identity}"


def _line(text: str, name: str) -> str:
    found = text.strip()
    if not found or not found.isprintable() or len(found) > _LONGEST_NOTE:
        raise RequestError(f"{name} must be one line of 1 to {_LONGEST_NOTE} characters", remedy="Write it so.")
    return found


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
