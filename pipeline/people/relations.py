"""Contribution bounding of relations that a DuckDB connection knows by name: tables, views, frames, Arrow tables.

Everybody counts in ``max_groups`` groups of a table at most, chosen by a keyed hash; events and sums count in those
groups alone, up to their limits. What becomes of a person's rows depends on that person's rows only, so that one
person more or less changes a level by no more than its sensitivity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from pipeline.measures import Measured, Scope
from pipeline.people.trees import LARGEST_COUNT, Counts, Tree, levels_of, trees_of
from pipeline.privacy.levels import LevelKey
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import EVENTS, UNKNOWN, Dimension

_PEOPLE_TABLE = "folded_people"


@dataclass(frozen=True)
class Relations:
    """Where a connection finds what is counted.

    Attributes:
        events: Name of a relation of one row an event: ``person``, dimensions, whole-number quantities of 64 bits at
            most; None where there are no events.
        persons: Name of a relation of ``person`` and per-person dimensions; None where these are folded from events.
            Of a person with several rows each dimension's first value by alphabet counts.
    """

    events: str | None
    persons: str | None


def group_relations(
    connection: duckdb.DuckDBPyConnection,
    bound: BoundSpecification,
    events: str | None,
    persons: str | None,
    secret: bytes,
) -> Mapping[LevelKey, pd.DataFrame]:
    """Bound and group named relations.

    Args:
        connection: Knows the relations.
        bound: What is counted.
        events: Name of the relation of events, see ``Relations``; rows without a person count for nobody.
        persons: Name of the relation of people.
        secret: Keys the choice of groups; whoever knows it can tell which groups a known person counts in.

    Returns:
        Exactly the levels that ``privacy.levels.demands`` names, as in ``BoundedGroups``.
    """
    levels: dict[LevelKey, pd.DataFrame] = {}
    for tree, query in tree_queries(connection, bound, Relations(events, persons)):
        levels |= levels_of(tree, fetched(connection, added_up(tree, query), parameters(tree, secret)))
    return levels


def tree_queries(
    connection: duckdb.DuckDBPyConnection, bound: BoundSpecification, relations: Relations
) -> Iterator[tuple[Tree, str]]:
    """SQL of each tree's bounded contributions: its dimensions, ``_people`` and ``_m0``, ``_m1``, ... to be added up.

    A query is run, with ``parameters``, before the next is asked for.
    """
    trees = trees_of(bound)
    held = {d.name: d for tree in trees for d in tree.dimensions if d.per_person}
    people = _people_of(relations, [held[name] for name in sorted(held)]) if held else ""
    if sum(not tree.only_events for tree in trees) > 1:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_PEOPLE_TABLE} AS {people}")
        people = f"FROM {_PEOPLE_TABLE}"
    for tree in trees:
        yield tree, (_of_people if tree.per_person else _of_groups)(tree, people, relations)


def parameters(tree: Tree, secret: bytes) -> dict[str, str]:
    """What the query of a tree is run with."""
    return {} if tree.per_person else {"secret": secret.hex()}


def added_up(tree: Tree, query: str) -> str:
    """SQL that adds up: one row a group that has anybody, in the order of keys, as text."""
    names = ", ".join(_quoted(tree.dimensions))
    sums = ", ".join(f"least(sum({column}), {LARGEST_COUNT})::BIGINT AS {column}" for column in tree.columns)
    groups = f"SELECT {names}, {sums} FROM ({query}) GROUP BY {names} HAVING sum(_people) > 0"
    # The values of an ENUM have an order of their own: it is their text that must be sorted by.
    texts = ", ".join(f"{name}::VARCHAR AS {name}" for name in _quoted(tree.dimensions))
    places = ", ".join(str(place + 1) for place in range(len(tree.dimensions)))
    return f"SELECT {texts}, {', '.join(tree.columns)} FROM ({groups}) ORDER BY {places}"


def fetched(connection: duckdb.DuckDBPyConnection, query: str, given: Mapping[str, str] | None = None) -> Counts:
    """Run a query and take its columns, NULL as None."""
    columns: Mapping[str, Any] = connection.execute(query, given).fetchnumpy()
    return {name: _without_mask(column) for name, column in columns.items()}


def _without_mask(column: np.ndarray | np.ma.MaskedArray) -> np.ndarray:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    values = column.data.astype(object)
    values[np.ma.getmaskarray(column)] = None
    return values


def _people_of(relations: Relations, dimensions: Sequence[Dimension]) -> str:
    """Everybody once, with one value of each dimension."""
    if relations.persons is None:
        return _folded(_named(relations.events), dimensions)
    values = ", ".join(f"min(coalesce({name}, '{UNKNOWN}')) AS {name}" for name in _quoted(dimensions))
    return f"SELECT person, {values} FROM {_named(relations.persons)} WHERE person IS NOT NULL GROUP BY person"


def _folded(events: str, dimensions: Sequence[Dimension]) -> str:
    """The value that most of a person's events have; of equals the first by alphabet, so that a re-run agrees.

    Of a partial dimension those events count that have a value; a person without any is ``unknown``.
    """
    columns = ", ".join(_quoted(dimensions))
    folded = ""
    for name, dimension in zip(_quoted(dimensions), dimensions, strict=True):
        tallies = f"SELECT person, {name} AS _value, sum(_n)::BIGINT AS _n FROM alike GROUP BY person, {name}"
        # The least pair of (fewness, value).
        value = "min({'less': -_n, 'value': _value})"
        value = (
            f"coalesce(({value} FILTER (_value IS NOT NULL)).value, '{UNKNOWN}')"
            if dimension.is_partial
            else f"{value}.value"
        )
        most = f"SELECT person, {value} AS {name} FROM ({tallies}) GROUP BY person"
        folded = f"SELECT * FROM ({folded}) JOIN ({most}) USING (person)" if folded else most
    alike = f"SELECT person, {columns}, count(*) AS _n FROM {events} GROUP BY person, {columns}"
    return f"WITH alike AS MATERIALIZED ({alike}) SELECT * FROM ({folded}) WHERE person IS NOT NULL"


def _of_people(tree: Tree, people: str, relations: Relations) -> str:
    """One row a person, who is in one group, with all that the person did."""
    names = ", ".join(_quoted(tree.dimensions))
    if not tree.measured:
        return f"SELECT {names}, 1 AS _people FROM ({people})"
    totals = ", ".join(f"coalesce({column}, 0) AS {column}" for column in tree.columns[1:])
    if relations.events is None:
        nothing = ", ".join(f"0 AS {column}" for column in tree.columns[1:])
        return f"SELECT {names}, 1 AS _people, {nothing} FROM ({people})"
    clipped = f"SELECT person, {_clipped(tree)} FROM {_named(relations.events)} GROUP BY person"
    return f"SELECT {names}, 1 AS _people, {totals} FROM ({people}) LEFT JOIN ({clipped}) USING (person)"


def _of_groups(tree: Tree, people: str, relations: Relations) -> str:
    """One row a (person, group), and further rows that take away again what is beyond a person's bounds.

    Most people are within their bounds: only the others' groups are hashed and put in order.
    """
    if relations.events is None:
        nothing = ", ".join(f"NULL::VARCHAR AS {name}" for name in _quoted(tree.dimensions))
        return f"SELECT {nothing}, {', '.join(f'0 AS {column}' for column in tree.columns)} WHERE $secret IS NULL"
    columns = ", ".join((*_quoted(tree.dimensions), "1 AS _people", *tree.columns[1:]))
    return f"""
        WITH pairs AS MATERIALIZED ({_pairs(tree, people, relations)}),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING {_beyond(tree)}),
        ordered AS ({_ordered(tree)})
        SELECT {columns} FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT {_surplus(tree)}"""


def _pairs(tree: Tree, people: str, relations: Relations) -> str:
    """(person, group) -> the person's clipped totals there."""
    names = ", ".join(f"{'p' if d.per_person else 'e'}.{_quote(d.name)}" for d in tree.dimensions)
    joined = "" if tree.only_events else f" JOIN ({people}) AS p USING (person)"
    source = f"{_named(relations.events)} AS e{joined}"
    measured = f", {_clipped(tree)}" if tree.measured else ""
    # An event without a value of a partial dimension is of no group.
    whole = [f"e.{_quote(d.name)} IS NOT NULL" for d in tree.dimensions if d.is_partial and not d.per_person]
    where = f" WHERE {' AND '.join(whole)}" if whole else ""
    return f"SELECT person, {names}{measured} FROM {source}{where} GROUP BY person, {names}"


def _clipped(tree: Tree) -> str:
    """A person's own total of each measure, from zero to the limit. Sums are of 128 bits: rows cannot overflow them."""
    return ", ".join(
        f"greatest(0, least({_total(measured)}, {measured.limit}))::BIGINT AS {column}"
        for column, measured in tree.measures
    )


def _total(measured: Measured) -> str:
    return "count(*)" if measured.quantity == EVENTS else f"coalesce(sum({_quote(measured.quantity)}), 0)"


def _beyond(tree: Tree) -> str:
    in_all = (f"sum({column}) > {measured.limit}" for column, measured in tree.measures if measured.scope is Scope.ALL)
    return " OR ".join((f"count(*) > {tree.key.max_groups}", *in_all))


def _ordered(tree: Tree) -> str:
    """Groups of people who are beyond a bound, in the keyed order in which they are let in, with what came in so far.

    Names stand behind the hash for the order of two groups of one text (a missing name has none).
    """
    names = ", ".join(_quoted(tree.dimensions))
    running = "".join(f", sum({column}) OVER so_far AS {column}_so_far" for column, _ in tree.measures)
    return f"""
        SELECT {", ".join((names, *tree.columns[1:]))}, row_number() OVER so_far AS _rank{running}
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY sha256(concat_ws(chr(31), $secret, person, {names})), {names}
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )"""


def _surplus(tree: Tree) -> str:
    dropped = f"_rank > {tree.key.max_groups}"
    cuts = [f"{column}_so_far > {measured.limit}" for column, measured in tree.measures if measured.scope is Scope.ALL]
    parts = [f"CASE WHEN {dropped} THEN -1 ELSE 0 END"]
    for column, measured in tree.measures:
        cut = (
            f"least({column}, greatest(0, {column}_so_far - {measured.limit}))" if measured.scope is Scope.ALL else "0"
        )
        parts.append(f"-CASE WHEN {dropped} THEN {column} ELSE {cut} END")
    return f"{', '.join((*_quoted(tree.dimensions), *parts))} FROM ordered WHERE {' OR '.join((dropped, *cuts))}"


def _named(relation: str | None) -> str:
    return "(SELECT NULL AS person WHERE false)" if relation is None else _quote(relation)


def _quoted(dimensions: Sequence[Dimension]) -> list[str]:
    return [_quote(dimension.name) for dimension in dimensions]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
