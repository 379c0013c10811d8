"""Remainders that no table shows, but that a reader of two tables can subtract.

People by system, less those by country and system that are listed, are the people of that system in other countries.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.audit.people import Inputs, Keys
from pipeline.audit.reading import Readings
from pipeline.privacy.noisy import Group
from pipeline.spec import BoundSpecification, BoundTable
from pipeline.vocabulary import REMAINDER_KEY


@dataclass(frozen=True)
class Crossing:
    """Two tables over people, one of which divides the groups of the other in a way that neither shows.

    Attributes:
        whole: Name of the table with the larger groups.
        parts: Name of the table with the smaller ones.
        depth: Of the smaller groups in their table.
        places: Where the dimensions of the larger groups stand in the smaller ones.
        cells: How many smaller groups each larger one may have; 0 where nobody may know that.
        people: Larger group -> smaller group -> people.
    """

    whole: str
    parts: str
    depth: int
    places: tuple[int, ...]
    cells: int
    people: Mapping[Group, Mapping[Group, int]]

    def wrong(self, readings: Readings, k: int) -> tuple[int, int]:
        """How many listed larger groups were looked at, and how many leave fewer than k people."""
        listed: dict[Group, set[Group]] = {}
        for group, row in readings[self.parts].people():
            if row.listed and len(group) == self.depth and group[-1] != REMAINDER_KEY:
                listed.setdefault(tuple(group[place] for place in self.places), set()).add(group)
        looked = wrong = 0
        for group, row in readings[self.whole].people():
            if not row.listed or len(group) != len(self.places) or group[-1:] == (REMAINDER_KEY,):
                continue
            if len(listed.get(group, ())) == self.cells:  # nobody is left in other cells, as there are none
                continue
            looked += 1
            cells = self.people.get(group, {})
            wrong += sum(people for cell, people in cells.items() if cell not in listed.get(group, set())) < k
        return looked, wrong


def crossings_of(bound: BoundSpecification, inputs: Inputs, keys: Keys) -> tuple[Crossing, ...]:
    """Every crossing of a release's tables over people, with the truth about it."""
    return tuple(_crossings(bound, inputs, keys))


def _crossings(bound: BoundSpecification, inputs: Inputs, keys: Keys) -> Iterator[Crossing]:
    tables = [table for table in bound.tables if table.per_person]
    pairs = ((whole, parts) for whole in tables for parts in tables)
    for whole, parts in pairs:
        large, names = _names(whole), _names(parts)
        for depth in range(2, len(names) + 1):
            if set(large) < set(names[:depth]) and names[: len(large)] != large:
                places = tuple(names.index(name) for name in large)
                people = _people(parts, depth, places, inputs, keys)
                yield Crossing(whole.name, parts.name, depth, places, _cells(parts, depth, places), people)


def _names(table: BoundTable) -> tuple[str, ...]:
    return tuple(dimension.name for dimension in table.dimensions)


def _cells(parts: BoundTable, depth: int, places: tuple[int, ...]) -> int:
    others = [one for place, one in enumerate(parts.dimensions[:depth]) if place not in places]
    private = any(one.name in parts.private_keys for one in others)
    return 0 if private else math.prod(len(one.keys) for one in others)


def _people(
    parts: BoundTable, depth: int, places: tuple[int, ...], inputs: Inputs, keys: Keys
) -> dict[Group, Counter[Group]]:
    found: dict[Group, Counter[Group]] = {}
    for crowd in inputs.crowds:
        cell = keys.group(parts, crowd.traits, {})[:depth]
        found.setdefault(tuple(cell[place] for place in places), Counter())[cell] += crowd.size
    return found
