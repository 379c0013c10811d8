"""Finding, in staging that is held, who is named by a request: by the pseudonyms that the period's key makes of names.

Names are in memory only, and none reaches an engine: what is looked for is pseudonyms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.subject_key import SubjectKey
from pipeline.deidentify.tables import StagedTable, bucket_of
from pipeline.deidentify.tombstones import customer_handle, email_handle, trimmed, visitor_handle
from pipeline.rights.holdings import HeldRows
from pipeline.rights.requests import SubjectRequest
from pipeline.vocabulary import Population

_MEMORY_LIMIT: Final = "256MB"
_Found = tuple[str, str, str]  # request, digest, pseudonym


@dataclass(frozen=True)
class Name:
    """One way in which a request names its person.

    Attributes:
        digest: What a tombstone knows it by.
        told: What staging's pseudonym, or alias, is made of.
        is_alias: Whether it is an e-mail address.
    """

    digest: str
    told: str = field(repr=False)
    is_alias: bool = False


def names_of(request: SubjectRequest, key: SubjectKey) -> tuple[Name, ...]:
    """Every way in which a request names its person."""
    if request.population is Population.VISITORS:
        handle = visitor_handle(request.address, request.agent)
        return (Name(key.digest(handle), f"{request.address}\0{request.agent}"),)
    found = []
    if request.customer:
        handle = customer_handle(request.customer)
        found.append(Name(key.digest(handle), trimmed(request.customer)))
    if request.email:
        handle = email_handle(request.email)
        found.append(Name(key.digest(handle), handle, is_alias=True))
    return tuple(found)


def is_findable(staging: Staging, names: Sequence[Name]) -> bool:
    """Whether staging has what it takes to find who is so named: aliases, for an e-mail address."""
    return staging.aliases is not None or not any(name.is_alias for name in names)


def find_people(
    staging: Staging, key: PeriodKey, named: Mapping[str, Sequence[Name]]
) -> dict[str, frozenset[tuple[str, str]]]:
    """Who of those named is in a period's staging.

    Args:
        staging: Of the period, whose lock the caller holds.
        key: Of the period.
        named: By request, how it names its person, who is findable.

    Returns:
        By request that names somebody who is there, the pseudonym of each with the digest that it was found by.

    Raises:
        StagingError: A file cannot be read.
    """
    direct: list[_Found] = []
    aliases: list[_Found] = []
    for identity, names in named.items():
        for name in names:
            (aliases if name.is_alias else direct).append((identity, name.digest, key.pseudonym(name.told)))
    if aliases:
        persons = _by_alias(staging, {alias for _, _, alias in aliases})
        direct += [
            (identity, digest, person) for identity, digest, alias in aliases for person in persons.get(alias, ())
        ]
    there = _there(staging, {person for _, _, person in direct})
    found: dict[str, set[tuple[str, str]]] = {}
    for identity, digest, person in direct:
        if person in there:
            found.setdefault(identity, set()).add((person, digest))
    return {identity: frozenset(pairs) for identity, pairs in found.items()}


def rows_of(staging: Staging, people: Mapping[str, Collection[str]]) -> dict[str, HeldRows]:
    """What staging holds about people, by request.

    Args:
        staging: Of one period, whose lock the caller holds.
        people: By request, the pseudonyms of its person.

    Raises:
        StagingError: A file cannot be read.
    """
    wanted = {person for persons in people.values() for person in persons}
    tables = [_rows(table, wanted) if table else None for table in (staging.persons, staging.events)]
    return {
        identity: HeldRows(staging.period, *(_of(table, persons) if table else None for table in tables))
        for identity, persons in people.items()
    }


def _of(rows: pa.Table, persons: Collection[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows.column("person"), pa.array(sorted(persons), pa.string())))


def _by_alias(staging: Staging, aliases: Collection[str]) -> dict[str, list[str]]:
    """Pseudonyms of customers by the pseudonyms of their e-mail addresses."""
    assert staging.aliases is not None
    found: dict[str, list[str]] = {}
    for row in _selected(staging.aliases, "alias", aliases).to_pylist():
        found.setdefault(row["alias"], []).append(row["person"])
    return found


def _there(staging: Staging, people: Collection[str]) -> set[str]:
    tables = [table for table in (staging.persons, staging.events) if table]
    return {
        person for table in tables for person in _rows(table, people, "DISTINCT person").column("person").to_pylist()
    }


def _rows(table: StagedTable, people: Collection[str], what: str = "*") -> pa.Table:
    """Rows of some people: of the files of their buckets alone."""
    buckets = {bucket_of(person, table.buckets) for person in people}
    files = tuple(file for file in table.files if file.bucket in buckets) or table.files[:1]
    return _selected(replace(table, files=files), "person", people, what)


def _selected(table: StagedTable, column: str, values: Collection[str], what: str = "*") -> pa.Table:
    """Rows of a table whose column has one of some values; the engine sees no name."""
    query = f"SELECT {what} FROM read_parquet($paths) AS held SEMI JOIN wanted ON held.{column} = wanted.value"
    with table.readable(), duckdb.connect(config={"temp_directory": "", "memory_limit": _MEMORY_LIMIT}) as engine:
        table.place.attach(engine)
        engine.register("wanted", pa.table({"value": pa.array(sorted(values), pa.string())}))
        found = engine.sql(query, params={"paths": table.paths()})
        assert found is not None
        return pa.table(found.to_arrow_table())
