"""Made-up people for audits, in crowds of equals: an audit asks for nobody's records.

Whoever makes the people knows how many of them there are in any group, which is what the audit holds tables against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.privacy.noisy import Group
from pipeline.records import PERSON
from pipeline.spec import BoundSpecification, BoundTable
from pipeline.vocabulary import EVENTS, PEOPLE, Dimension

# Of an open dimension, whose keys nobody lists: as many are made up.
_OPEN_KEYS: Final = 12
# The most groups of one dimension that anybody is in.
MOST_GROUPS: Final = 9
# As much of a quantity as an event may carry: far beyond any limit, and sums of it stay within 64 bits.
HUGE: Final = 10**12


@dataclass(frozen=True)
class Crowd:
    """People who are all alike.

    Attributes:
        size: How many.
        traits: Of what a person has one of: dimension -> place in its list of keys.
        groups: Of what a person may have many of: for each group dimension -> place; each has an event.
        copies: How many events a group has.
        amount: Of every quantity, for each event.
        stray: Whether there are also single events with other traits, in numbers that do not decide.
    """

    size: int
    traits: Mapping[str, int]
    groups: tuple[Mapping[str, int], ...] = ({},)
    copies: int = 1
    amount: int = 1
    stray: bool = False


@dataclass(frozen=True)
class Inputs:
    """Records of crowds, as the library takes them, and the crowds they were made from."""

    crowds: tuple[Crowd, ...]
    people: pa.Table | None = field(repr=False)
    events: pa.Table | None = field(repr=False)


class Keys:
    """The dimensions that tables use, with their keys by place."""

    def __init__(self, bound: BoundSpecification) -> None:
        self.dimensions = {one.name: one for table in bound.tables for one in table.dimensions}
        self.traits = tuple(name for name, one in self.dimensions.items() if one.per_person)
        self.many = tuple(name for name, one in self.dimensions.items() if not one.per_person)
        self._keys = {name: _keys(one) for name, one in self.dimensions.items()}

    def of(self, name: str) -> Sequence[str]:
        """All keys of a dimension."""
        return self._keys[name]

    def key(self, name: str, place: int) -> str:
        """The key at a place, counted from the last where it is negative; beyond the list, it begins anew."""
        keys = self._keys[name]
        return keys[place % len(keys)]

    def group(self, table: BoundTable, traits: Mapping[str, int], places: Mapping[str, int]) -> Group:
        """The group of a table that these places make."""
        return tuple(
            self.key(one.name, (traits if one.per_person else places).get(one.name, 0)) for one in table.dimensions
        )


def _keys(dimension: Dimension) -> tuple[str, ...]:
    return tuple(f"made up {number}" for number in range(_OPEN_KEYS)) if dimension.is_open else dimension.keys


def made_inputs(bound: BoundSpecification, crowds: Iterable[Crowd], *, folded: bool) -> Inputs:
    """Records of these crowds, with one row a person beside their events, or with events alone, to be folded."""
    keys, alike = Keys(bound), tuple(crowd for crowd in crowds if crowd.size)
    quantities = sorted(
        {total.measured.quantity for table in bound.tables for total in table.totals} - {PEOPLE, EVENTS}
    )
    apart = bool(keys.traits) and not folded
    starts = np.cumsum([0, *(crowd.size for crowd in alike)])
    people, events = [], []
    for start, crowd in zip(starts, alike, strict=False):
        persons = np.arange(start, start + crowd.size)
        people.append({PERSON: persons, **{name: keys.key(name, crowd.traits.get(name, 0)) for name in keys.traits}})
        events += _events(persons, crowd, keys, quantities, with_traits=not apart)
    needed = bool(keys.many or quantities or not apart or _counts_events(bound))
    return Inputs(alike, _table(people) if apart else None, _table(events) if needed else None)


def _counts_events(bound: BoundSpecification) -> bool:
    return any(total.measured.quantity == EVENTS for table in bound.tables for total in table.totals)


def _events(
    persons: np.ndarray, crowd: Crowd, keys: Keys, quantities: Sequence[str], *, with_traits: bool
) -> list[dict[str, Any]]:
    traits = {name: keys.key(name, crowd.traits.get(name, 0)) for name in keys.traits} if with_traits else {}
    amounts = dict.fromkeys(quantities, crowd.amount)
    rows: list[dict[str, Any]] = []
    for places in crowd.groups:
        many = {name: keys.key(name, places.get(name, 0)) for name in keys.many}
        rows += [{PERSON: persons, **traits, **many, **amounts}] * crowd.copies
    if crowd.stray and with_traits:
        many = {name: keys.key(name, crowd.groups[0].get(name, 0)) for name in keys.many}
        others = ({name: keys.key(name, crowd.traits.get(name, 0) + 1)} for name in keys.traits)
        rows += [{PERSON: persons, **traits, **other, **many, **amounts} for other in others]
    return rows


def _table(parts: Sequence[Mapping[str, Any]]) -> pa.Table:
    """One table of parts that each have one array of persons, and one value a column beside it."""
    sizes = [len(part[PERSON]) for part in parts]
    columns = {PERSON: pa.array(np.concatenate([part[PERSON] for part in parts]))}
    for name in parts[0]:
        if name != PERSON:
            columns[name] = pa.array(np.repeat([part[name] for part in parts], sizes))
    return pa.table(columns)


@dataclass(frozen=True)
class Truth:
    """How many people there are in the groups of one table, whatever is kept of them by bounds.

    Attributes:
        people: Group of any depth -> distinct people.
        below: Group that is divided -> how many people are in exactly which of its children.
    """

    people: Mapping[Group, int]
    below: Mapping[Group, Mapping[frozenset[str], int]]

    def hidden(self, parent: Group, listed: Iterable[str]) -> int:
        """Distinct people in the children of a group that are not listed."""
        shown = frozenset(listed)
        return sum(size for children, size in self.below.get(parent, {}).items() if not children <= shown)


def truth_of(inputs: Inputs, table: BoundTable, keys: Keys) -> Truth:
    """Count the crowds."""
    people: Counter[Group] = Counter()
    below: dict[Group, Counter[frozenset[str]]] = {}
    for crowd in inputs.crowds:
        groups = {keys.group(table, crowd.traits, places) for places in crowd.groups}
        for depth in range(len(table.dimensions) + 1):
            for group in {one[:depth] for one in groups}:
                people[group] += crowd.size
                children = frozenset(one[depth] for one in groups if one[:depth] == group and depth < len(one))
                below.setdefault(group, Counter())[children] += crowd.size
    return Truth(people, below)
