"""Tombstones: what is left of a person's request once it was applied, so that every later extract obeys it.

A tombstone knows its person by a keyed digest of how they were named, and says either that they are left out, or which
attributes of theirs are corrected. It holds nothing else of them.
"""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from pipeline.deidentify.subject_key import SubjectKey, subject_key
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

TOMBSTONES: Final = sa.table(
    "tombstones",
    *(
        sa.column(name, sa.Text)
        for name in ("digest", "request", "population", "first", "last", "dimension_values", "made")
    ),
)
# What the engine's trim() takes away: separators of category Zs, all of which lie here.
_BLANKS: Final = "".join(chr(code) for code in range(0x3001) if unicodedata.category(chr(code)) == "Zs")
# The parts of a name are told apart by a character that none of them holds.
_CUSTOMER, _EMAIL, _VISITOR = "customer\0", "e-mail\0", "visitor\0"


@dataclass(frozen=True)
class Tombstone:
    """One person, as one request named them.

    Attributes:
        digest: Keyed, of how they were named.
        population: Among whom they are.
        first: First day on which that name is theirs; None without a beginning.
        last: Last day; None without an end.
        values: Corrected attributes, dimension -> key; empty where the person is left out.
        request: The request that it is left of.
        made: When, ISO 8601 in UTC: of two corrections of one attribute the later one stands.
    """

    digest: str
    population: Population
    first: dt.date | None
    last: dt.date | None
    values: Mapping[str, str]
    request: str
    made: str

    def concerns(self, period: Period) -> bool:
        """Whether one of the period's days is among its days."""
        return (self.first is None or self.first < period.end) and (self.last is None or self.last >= period.start)


@dataclass(frozen=True)
class Effects:
    """What requests change in the staging of one period, by pseudonym.

    Attributes:
        left_out: Who is not in it.
        corrected: Whose attributes are others: dimension -> key.
    """

    left_out: frozenset[str] = field(default=frozenset(), repr=False)
    corrected: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.left_out or self.corrected)


@dataclass(frozen=True)
class Tombstones:
    """The tombstones that concern one period; false where there are none.

    A stage installs them, puts into the table ``asked`` the pseudonym and the digest of everybody whom it meets among
    them, and asks for the effects when it has met everybody.
    """

    stones: tuple[Tombstone, ...] = ()
    key: SubjectKey | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.stones)

    def install(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give the engine ``tombstone(text)``, ``tombstones (digest)``, and two tables that are still empty.

        These are ``asked (person, digest)``, and ``same (digest, other)`` for another name of somebody who was met.
        """
        assert self.key is not None
        self.key.install(connection)
        digests = pa.table({"digest": pa.array({stone.digest for stone in self.stones}, pa.string())})
        connection.register("_digests", digests)
        connection.execute("CREATE OR REPLACE TEMP TABLE tombstones AS SELECT digest FROM _digests")
        connection.unregister("_digests")
        connection.execute("CREATE OR REPLACE TEMP TABLE asked (person VARCHAR, digest VARCHAR)")
        connection.execute("CREATE OR REPLACE TEMP TABLE same (digest VARCHAR, other VARCHAR)")

    def effects(self, connection: duckdb.DuckDBPyConnection) -> Effects:
        """What the tombstones of those in ``asked`` change."""
        asked = connection.execute("SELECT DISTINCT person, digest FROM asked").fetchall()
        return effects_of(self.stones, asked)

    def put_up_other_names(self, workspace: Workspace, connection: duckdb.DuckDBPyConnection) -> None:
        """Put up each tombstone under the other names of whom it is of, by which they are known when one changes.

        Raises:
            LedgerError: The database cannot be written.
        """
        others: dict[str, list[str]] = {}
        for digest, other in connection.execute("SELECT DISTINCT digest, other FROM same").fetchall():
            others.setdefault(digest, []).append(other)
        more = [replace(stone, digest=other) for stone in self.stones for other in others.get(stone.digest, ())]
        if not {(stone.digest, stone.request) for stone in more} <= {(one.digest, one.request) for one in self.stones}:
            store = database.opened(workspace.ledger)
            with store.writing() as transaction:
                put_up(transaction, more)


def effects_of(stones: Iterable[Tombstone], asked: Iterable[tuple[str, str]]) -> Effects:
    """What tombstones change for people who were met.

    Args:
        stones: Of one period.
        asked: Pseudonym and digest of each who was met.
    """
    by_digest: dict[str, list[Tombstone]] = {}
    for stone in sorted(stones, key=lambda one: (one.made, one.request)):
        by_digest.setdefault(stone.digest, []).append(stone)
    left_out: set[str] = set()
    corrected: dict[str, list[Tombstone]] = {}
    for person, digest in asked:
        for stone in by_digest.get(digest, ()):
            if stone.values:
                corrected.setdefault(person, []).append(stone)
            else:
                left_out.add(person)
    values = {
        person: {
            name: key
            for stone in sorted(found, key=lambda one: (one.made, one.request))
            for name, key in stone.values.items()
        }
        for person, found in corrected.items()
        if person not in left_out
    }
    return Effects(frozenset(left_out), values)


def standing(workspace: Workspace, population: Population, period: Period) -> Tombstones:
    """The tombstones that concern a period.

    Raises:
        ConfigurationError: There are some, and their key is missing or is another one: nobody is extracted who might
            have asked to be left out.
        LedgerError: The database cannot be read.
    """
    address = workspace.ledger
    if isinstance(address, Path) and not address.exists():
        return Tombstones()  # nobody has asked for anything yet
    store = database.opened(address)
    stones = tuple(stone for stone in stones_of(store, population) if stone.concerns(period))
    return Tombstones(stones, subject_key(workspace, store)) if stones else Tombstones()


def stones_of(store: Database, population: Population) -> tuple[Tombstone, ...]:
    """All tombstones of a population."""
    query = TOMBSTONES.select().where(TOMBSTONES.c.population == population.value)
    with store.reading() as connection:
        rows = connection.execute(query.order_by(TOMBSTONES.c.made, TOMBSTONES.c.request)).all()
    return tuple(
        Tombstone(
            row.digest,
            population,
            dt.date.fromisoformat(row.first) if row.first else None,
            dt.date.fromisoformat(row.last) if row.last else None,
            json.loads(row.dimension_values),
            row.request,
            row.made,
        )
        for row in rows
    )


def put_up(connection: sa.Connection, stones: Iterable[Tombstone]) -> None:
    """Write tombstones, in the caller's transaction; one that stands already is left as it is."""
    known = {tuple(row) for row in connection.execute(sa.select(TOMBSTONES.c.digest, TOMBSTONES.c.request))}
    rows = {
        (stone.digest, stone.request): {
            "digest": stone.digest,
            "request": stone.request,
            "population": stone.population.value,
            "first": stone.first.isoformat() if stone.first else None,
            "last": stone.last.isoformat() if stone.last else None,
            "dimension_values": json.dumps(dict(stone.values), sort_keys=True),
            "made": stone.made,
        }
        for stone in stones
    }
    if new := [row for key, row in rows.items() if key not in known]:
        connection.execute(TOMBSTONES.insert(), new)


def trimmed(text: str) -> str:
    """A text as the engine trims it."""
    return text.strip(_BLANKS)


def customer_handle(customer: str) -> str:
    """How a customer is named by what tells customers apart."""
    return _CUSTOMER + trimmed(customer)


def customer_handle_sql(customer: str) -> str:
    """The same in SQL, of an expression."""
    return f"'customer' || chr(0) || trim({customer})"


def email_handle(email: str) -> str:
    """How a customer is named by an e-mail address; upper and lower case are one."""
    # Letter by letter, as the engine does it; Python alone would tell a sigma at the end of a word from others.
    return _EMAIL + "".join(letter.lower()[:1] for letter in trimmed(email))


def email_handle_sql(email: str) -> str:
    """The same in SQL, of an expression; also what the alias of a customer is the pseudonym of."""
    return f"'e-mail' || chr(0) || lower(trim({email}))"


def visitor_handle(address: str, user_agent: str) -> str:
    """How a visitor is named: an address in its normal form, and the user agent as ingestion cuts it."""
    return f"{_VISITOR}{address}\0{user_agent}"


def visitor_handle_sql(address: str, user_agent: str) -> str:
    """The same in SQL, of two expressions."""
    return f"'visitor' || chr(0) || {address} || chr(0) || coalesce({user_agent}, '')"
