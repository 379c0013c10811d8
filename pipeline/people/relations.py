"""Contribution bounding of relations that an engine knows by name: tables, views, frames, Arrow tables.

Everybody counts in ``max_groups`` groups of a table at most, chosen by a keyed hash; events and sums count in those
groups alone, up to their limits. What becomes of a person's rows depends on that person's rows only, so that one
person more or less changes a level by no more than its sensitivity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from pipeline.measures import Measured, Scope
from pipeline.people.dialect import Dialect
from pipeline.people.engine import Engine
from pipeline.people.trees import LARGEST_COUNT, PEOPLE_COLUMN, Tree, levels_of, trees_of
from pipeline.privacy.levels import LevelKey
from pipeline.progress import Progress, silent
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import EVENTS, UNKNOWN, Dimension

PEOPLE_TABLE: Final = "folded_people"


@dataclass(frozen=True)
class Relations:
    """Where an engine finds what is counted.

    Attributes:
        events: Name of a relation of one row an event: ``person``, dimensions, whole-number quantities of 64 bits at
            most; None where there are no events.
        persons: Name of a relation of ``person`` and per-person dimensions; None where these are folded from events.
            Of a person with several rows each dimension's first value by alphabet counts.
    """

    events: str | None
    persons: str | None


def group_relations(
    engine: Engine, bound: BoundSpecification, relations: Relations, secret: bytes, progress: Progress = silent
) -> Mapping[LevelKey, pd.DataFrame]:
    """Bound and group named relations.

    Args:
        engine: Knows the relations.
        bound: What is counted.
        relations: Their names; rows without a person count for nobody.
        secret: Keys the choice of groups; whoever knows it can tell which groups a known person counts in.
        progress: Told after each tree of levels.

    Returns:
        Exactly the levels that ``privacy.levels.demands`` names, as in ``BoundedGroups``.
    """
    levels: dict[LevelKey, pd.DataFrame] = {}
    for number, (tree, query) in enumerate(tree_queries(engine, bound, relations)):
        progress("counting people", number, None)
        levels |= levels_of(tree, engine.fetched(added_up(tree, query, engine.dialect), key_of(tree, secret)))
    return levels


def tree_queries(engine: Engine, bound: BoundSpecification, relations: Relations) -> Iterator[tuple[Tree, str]]:
    """SQL of each tree's bounded contributions: its dimensions, ``_people`` and ``_m0``, ``_m1``, ... to be added up.

    A query is run, with ``key_of`` it, before the next is asked for.
    """
    trees, dialect = trees_of(bound), engine.dialect
    held = {d.name: d for tree in trees for d in tree.dimensions if d.per_person}
    people = _people_of(relations, [held[name] for name in sorted(held)], dialect) if held else ""
    if sum(not tree.only_events for tree in trees) > 1:
        engine.keep(PEOPLE_TABLE, people)
        people = f"SELECT * FROM {PEOPLE_TABLE}"
    for tree in trees:
        yield tree, (_of_people if tree.per_person else _of_groups)(tree, people, relations, dialect)


def key_of(tree: Tree, secret: bytes) -> bytes | None:
    """What the query of a tree is keyed with; None where nothing is chosen."""
    return None if tree.per_person else secret


def added_up(tree: Tree, query: str, dialect: Dialect) -> str:
    """SQL that adds up: one row a group that has anybody, in the order of keys, as text."""
    quoted = _quoted(tree.dimensions, dialect)
    names, sums = ", ".join(quoted), ", ".join(_added(column, dialect) for column in tree.columns)
    groups = f"SELECT {names}, {sums} FROM ({query}) GROUP BY {names} HAVING sum(_people) > 0"
    # The values of an ENUM have an order of their own: it is their text that must be sorted by.
    texts = ", ".join(f"CAST({name} AS {dialect.text}) AS {name}" for name in quoted)
    places = ", ".join(f"{place + 1} NULLS LAST" for place in range(len(quoted)))
    return f"SELECT {texts}, {', '.join(tree.columns)} FROM ({groups}) ORDER BY {places}"


def _added(column: str, dialect: Dialect) -> str:
    # People are fewer than rows; only measures need more than 64 bits.
    total = f"sum({column})" if column == PEOPLE_COLUMN else dialect.total.format(column)
    return f"CAST(least({total}, {LARGEST_COUNT}) AS BIGINT) AS {column}"


def _people_of(relations: Relations, dimensions: Sequence[Dimension], dialect: Dialect) -> str:
    """Everybody once, with one value of each dimension."""
    if relations.persons is None:
        return _folded(_named(relations.events, dialect), dimensions, dialect)
    values = ", ".join(f"min(coalesce({name}, '{UNKNOWN}')) AS {name}" for name in _quoted(dimensions, dialect))
    persons = _named(relations.persons, dialect)
    return f"SELECT person, {values} FROM {persons} WHERE person IS NOT NULL GROUP BY person"


def _folded(events: str, dimensions: Sequence[Dimension], dialect: Dialect) -> str:
    """The value that most of a person's events have; of equals the first by alphabet, so that a re-run agrees.

    Of a partial dimension those events count that have a value; a person without any is ``unknown``.
    """
    names = _quoted(dimensions, dialect)
    columns, folded = ", ".join(names), ""
    for name, dimension in zip(names, dimensions, strict=True):
        tallies = f"SELECT person, {name} AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, {name}"
        where = " FILTER (WHERE _value IS NOT NULL)" if dimension.is_partial else ""
        # The least pair of (fewness, value).
        value = dialect.least.format(number="-_n", value="_value", where=where)
        value = f"coalesce({value}, '{UNKNOWN}')" if dimension.is_partial else value
        most = f"SELECT person, {value} AS {name} FROM ({tallies}) GROUP BY person"
        folded = f"SELECT * FROM ({folded}) JOIN ({most}) USING (person)" if folded else most
    alike = f"SELECT person, {columns}, count(*) AS _n FROM {events} GROUP BY person, {columns}"
    return f"WITH alike AS {dialect.once}({alike}) SELECT * FROM ({folded}) WHERE person IS NOT NULL"


def _of_people(tree: Tree, people: str, relations: Relations, dialect: Dialect) -> str:
    """One row a person, who is in one group, with all that the person did."""
    names = ", ".join(_quoted(tree.dimensions, dialect))
    if not tree.measured:
        return f"SELECT {names}, 1 AS _people FROM ({people})"
    totals = ", ".join(f"coalesce({column}, 0) AS {column}" for column in tree.columns[1:])
    if relations.events is None:
        nothing = ", ".join(f"0 AS {column}" for column in tree.columns[1:])
        return f"SELECT {names}, 1 AS _people, {nothing} FROM ({people})"
    clipped = f"SELECT person, {_clipped(tree, dialect)} FROM {_named(relations.events, dialect)} GROUP BY person"
    return f"SELECT {names}, 1 AS _people, {totals} FROM ({people}) LEFT JOIN ({clipped}) USING (person)"


def _of_groups(tree: Tree, people: str, relations: Relations, dialect: Dialect) -> str:
    """One row a (person, group), and further rows that take away again what is beyond a person's bounds.

    Most people are within their bounds: only the others' groups are hashed and put in order.
    """
    names = _quoted(tree.dimensions, dialect)
    if relations.events is None:
        nothing = ", ".join(f"CAST(NULL AS {dialect.text}) AS {name}" for name in names)
        zeros = ", ".join(f"0 AS {column}" for column in tree.columns)
        return f"SELECT {nothing}, {zeros} WHERE {dialect.secret} IS NULL"
    columns = ", ".join((*names, "1 AS _people", *tree.columns[1:]))
    return f"""
        WITH pairs AS {dialect.once}({_pairs(tree, people, relations, dialect)}),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING {_beyond(tree, dialect)}),
        ordered AS ({_ordered(tree, dialect)})
        SELECT {columns} FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT {_surplus(tree, dialect)}"""


def _pairs(tree: Tree, people: str, relations: Relations, dialect: Dialect) -> str:
    """(person, group) -> the person's clipped totals there."""
    names = ", ".join(f"{'p' if d.per_person else 'e'}.{dialect.quoted(d.name)}" for d in tree.dimensions)
    joined = "" if tree.only_events else f" JOIN ({people}) AS p USING (person)"
    source = f"{_named(relations.events, dialect)} AS e{joined}"
    measured = f", {_clipped(tree, dialect)}" if tree.measured else ""
    # An event without a value of a partial dimension is of no group.
    partial = [d for d in tree.dimensions if d.is_partial and not d.per_person]
    whole = [f"e.{name} IS NOT NULL" for name in _quoted(partial, dialect)]
    where = f" WHERE {' AND '.join(whole)}" if whole else ""
    return f"SELECT person, {names}{measured} FROM {source}{where} GROUP BY person, {names}"


def _clipped(tree: Tree, dialect: Dialect) -> str:
    """A person's own total of each measure, from zero to the limit; rows cannot overflow the sum before."""
    return ", ".join(
        f"CAST(greatest(0, least({_total(measured, dialect)}, {measured.limit})) AS BIGINT) AS {column}"
        for column, measured in tree.measures
    )


def _total(measured: Measured, dialect: Dialect) -> str:
    if measured.quantity == EVENTS:
        return "count(*)"
    return f"coalesce({dialect.total.format(dialect.quoted(measured.quantity))}, 0)"


def _beyond(tree: Tree, dialect: Dialect) -> str:
    in_all = [
        f"{dialect.total.format(column)} > {measured.limit}"
        for column, measured in tree.measures
        if measured.scope is Scope.ALL
    ]
    return " OR ".join((f"count(*) > {tree.key.max_groups}", *in_all))


def _ordered(tree: Tree, dialect: Dialect) -> str:
    """Groups of people who are beyond a bound, in the keyed order in which they are let in, with what came in so far.

    Names stand behind the hash for the order of two groups of one text (a missing name has none).
    """
    quoted = _quoted(tree.dimensions, dialect)
    names, ranks = ", ".join(quoted), ", ".join(f"{name} NULLS LAST" for name in quoted)
    running = "".join(f", {dialect.total.format(column)} OVER so_far AS {column}_so_far" for column, _ in tree.measures)
    keyed = dialect.digest.format(f"concat_ws(chr(31), {dialect.secret}, {dialect.person}, {names})")
    return f"""
        SELECT {", ".join((names, *tree.columns[1:]))}, row_number() OVER so_far AS _rank{running}
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY {keyed}, {ranks}
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )"""


def _surplus(tree: Tree, dialect: Dialect) -> str:
    dropped = f"_rank > {tree.key.max_groups}"
    cuts = [f"{column}_so_far > {measured.limit}" for column, measured in tree.measures if measured.scope is Scope.ALL]
    parts = [f"CASE WHEN {dropped} THEN -1 ELSE 0 END"]
    for column, measured in tree.measures:
        cut = (
            f"least({column}, greatest(0, {column}_so_far - {measured.limit}))" if measured.scope is Scope.ALL else "0"
        )
        parts.append(f"-CASE WHEN {dropped} THEN {column} ELSE {cut} END")
    names = _quoted(tree.dimensions, dialect)
    return f"{', '.join((*names, *parts))} FROM ordered WHERE {' OR '.join((dropped, *cuts))}"


def _named(relation: str | None, dialect: Dialect) -> str:
    return "(SELECT NULL AS person WHERE false)" if relation is None else dialect.quoted(relation)


def _quoted(dimensions: Sequence[Dimension], dialect: Dialect) -> list[str]:
    return [dialect.quoted(dimension.name) for dimension in dimensions]
