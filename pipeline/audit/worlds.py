"""Pairs of neighbouring inputs that bring out one kind of fault each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.audit.claims import losses
from pipeline.audit.people import HUGE, MOST_GROUPS, Crowd, Inputs, Keys, made_inputs
from pipeline.privacy.levels import Level, LevelKey
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Population

# Groups that are to be listed are so large that this is how rarely one is not.
_RARELY: Final = 1e-4
# A group at the edge is so large that it may be listed with this probability.
EDGE: Final = 0.1
# How often the same release is asked for.
ANSWERS: Final = 4
LEAST_ROUNDS: Final = 20
# A change by so many sigmas shows like one by a single scale of Laplace noise.
_BELL: Final = 1.5
_MOST_COPIES: Final = 40
_SMALL: Final = 10


@dataclass(frozen=True)
class World:
    """Two inputs that differ in some people.

    Attributes:
        name: What it brings out.
        people: In how many people the inputs differ.
        first: With these people.
        second: Without them.
        answers: How often each release is asked for.
        fewer: By what the number of rounds is divided: faults that show every time need few.
    """

    name: str
    people: int
    first: Inputs
    second: Inputs
    answers: int = 1
    fewer: int = 1

    @property
    def extra(self) -> tuple[Crowd, ...]:
        """The people in whom the inputs differ, where these are crowds of their own."""
        return self.first.crowds[len(self.second.crowds) :]

    def rounds(self, asked: int) -> int:
        """Of so many rounds, those that these inputs need."""
        return max(asked // self.fewer, LEAST_ROUNDS)


def needed(level: Level, k: int) -> int:
    """Contributions with which a group is listed but for one draw in ten thousand."""
    return edge_threshold(level, k) + level.noise.tail_point(_RARELY)


def edge_threshold(level: Level, k: int) -> int:
    """The smallest noisy count that may be listed, by the rule as it is written, not by the code that runs."""
    assert level.delta_selection is not None
    delta = -math.expm1(math.log1p(-level.delta_selection.value) / level.key.max_groups)
    return k * level.demand.largest + level.noise.tail_point(delta)


@dataclass(frozen=True)
class Stage:
    """What all worlds of one specification share.

    Attributes:
        bound: The specification.
        levels: Its levels, with their noise.
        keys: Of its dimensions.
        reach: The largest epsilon that the rounds can show. Inputs differ in so many people that the level that tells
            most is claimed at about that: with more, no fault of it would be seen; with fewer, less of the others.
    """

    bound: BoundSpecification
    levels: tuple[Level, ...]
    keys: Keys
    reach: float

    @property
    def k(self) -> int:
        """The hard minimum."""
        return self.bound.k.value

    @property
    def selecting(self) -> Iterator[Level]:
        """Levels of people."""
        return (level for level in self.levels if level.key.of_people)

    @property
    def together(self) -> int:
        """In how many groups anybody may be without being beyond a bound."""
        many = [table.max_groups for table in self.bound.tables if not table.per_person]
        return min([*many, self.places])

    @property
    def places(self) -> int:
        """How many groups of what a person may have many of are filled; one key of each dimension stays empty."""
        return max([1, *(min(len(self.keys.of(name)) - 1, MOST_GROUPS) for name in self.keys.many)])

    def people_within(self, loss: float) -> int:
        """In how many people inputs may differ, each of whom changes the noise's units by so much."""
        gaussian = any(level.noise.mechanism == "discrete Gaussian" for level in self.levels)
        return max(1, int(self.reach / (_BELL if gaussian else 1) / loss))

    def crowd_for(self, level: Level) -> int:
        """How many people, spread evenly, make the first group of a level surely listed."""
        several = [name for name in level.key.dimensions if name in self.keys.many]
        each = self.together if level.key.table else 1  # groups that a person counts in
        return math.ceil(needed(level, self.k) / each) * (self.places if several else 1)

    def spread(self, people: int, traits: Mapping[str, int], offset: Mapping[str, int]) -> Iterator[Crowd]:
        """So many people, evenly over what a person may have many of."""
        places = self.places if self.keys.many else 1
        for start in range(places):
            numbers = [(start + step) % places for step in range(self.together)]
            groups = tuple(
                {name: self.place(name, one + offset.get(name, 0)) for name in self.keys.many} for one in numbers
            )
            yield Crowd(people // places + 1, traits, groups)

    def place(self, name: str, number: int) -> int:
        """A place of a dimension, leaving its last key empty."""
        return number % max(len(self.keys.of(name)) - 1, 1)

    def background(self) -> list[Crowd]:
        """People of whom every dimension has two groups that are surely listed, the first one larger, and others empty.

        As there is always a key without anybody, no family is complete, and estimates are counts as they were drawn.
        """
        second = {
            name: max([self.crowd_for(one) for one in self.selecting if one.key.dimensions[-1:] == (name,)], default=0)
            for name in self.keys.dimensions
            if name in self.keys.traits or self._below(name)
        }
        first = max([2 * people for people in second.values()] + [self.crowd_for(one) for one in self.selecting])
        crowds = list(self.spread(first, {}, {}))
        for name, people in second.items():
            traits, offset = ({name: 1}, {}) if name in self.keys.traits else ({}, {name: 1})
            crowds += self.spread(people, traits, offset)
        return crowds

    def _below(self, name: str) -> bool:
        return any(name in level.key.dimensions[1:] for level in self.levels)

    def crowd(self, people: int, before: int, fit: Mapping[str, int]) -> Crowd:
        """People in the first group of each dimension that so many before them leave room in, else in another one."""
        aside = {name: int(before >= fit[name]) for name in self.keys.dimensions}
        groups = (
            {name: self.place(name, number + aside[name] * self.together) for name in self.keys.many}
            for number in range(self.together)
        )
        return Crowd(people, {name: aside[name] for name in self.keys.traits}, tuple(groups), amount=HUGE)

    def busy(self, people: int) -> Crowd:
        """People in as many groups as there are, with as many events and as large sums as can be."""
        limits = [one.key.measured.limit for one in self.levels if not one.key.of_people]
        copies = min(2 * max(limits, default=1) + 1, _MOST_COPIES)
        groups = tuple({name: self.place(name, number) for name in self.keys.many} for number in range(self.places))
        return Crowd(people, {}, groups, copies, HUGE, stray=True)


def worlds(stage: Stage) -> Iterator[World]:
    """All pairs of inputs for a specification."""
    bulk = _bulk(stage)
    yield bulk
    yield replace(bulk, name="again", answers=ANSWERS, fewer=4)
    yield _crowd(stage, bulk.second)
    yield _edge(stage)
    yield replace(_few(stage), fewer=2)
    yield replace(_remainder(stage), fewer=2)
    yield _whole(stage)


def _world(stage: Stage, name: str, first: list[Crowd], second: list[Crowd], *, folded: bool = False) -> World:
    differ = sum(one.size for one in first) - sum(one.size for one in second)
    inputs = [made_inputs(stage.bound, crowds, folded=folded) for crowds in (first, second)]
    return World(name, differ, inputs[0], inputs[1])


def _bulk(stage: Stage) -> World:
    """Large groups, and some people more who are as busy as can be."""
    background = stage.background()
    people = stage.busy(stage.people_within(max(losses(stage.levels))))
    # Visitors are folded to one value a dimension; of customers there is one row each from the start.
    folded = stage.bound.specification.population is Population.VISITORS
    return _world(stage, "bulk", [*background, people], background, folded=folded)


def _crowd(stage: Stage, background: Inputs) -> World:
    """Large groups, and as many people more in the first group of each level as its noise shows faults of best.

    People who would be too many for a level are in another group of its dimension, which nobody looks at.
    """
    most = stage.people_within(min(losses(stage.levels)))
    fit = dict.fromkeys(stage.keys.dimensions, most)
    for level in stage.levels:
        if len(level.key.dimensions) == 1:
            name = level.key.dimensions[0]
            fit[name] = min(fit[name], stage.people_within(losses([level])[0]))
    ends = sorted({*fit.values(), most})
    parts = [stage.crowd(end - start, start, fit) for start, end in zip([0, *ends], ends, strict=False)]
    first = made_inputs(stage.bound, [*background.crowds, *parts], folded=False)
    return World("crowd", most, first, made_inputs(stage.bound, background.crowds, folded=False))


def edges(stage: Stage) -> dict[LevelKey, tuple[Mapping[str, int], int]]:
    """For each level of people but totals: where its group at the edge is, and how many people it has."""
    taken: dict[str, int] = {}
    found: dict[LevelKey, tuple[Mapping[str, int], int]] = {}
    for level in stage.selecting:
        if not level.key.dimensions:
            continue
        last = level.key.dimensions[-1]
        place = taken.get(last, 2 if last in stage.keys.traits else stage.place(last, stage.places) or 2)
        if place < len(stage.keys.of(last)):
            taken[last] = place + 1
            found[level.key] = ({last: place}, edge_size(level, stage.k))
    return found


def edge_size(level: Level, k: int) -> int:
    """Contributions with which a group may be listed in one draw of ten."""
    return max(k, edge_threshold(level, k) - level.noise.tail_point(EDGE))


def _edge(stage: Stage) -> World:
    """In every level one group of k - 1 people, who are never listed, against one that may be listed now and then."""
    background = stage.background()
    many: list[Crowd] = []
    few: list[Crowd] = []
    for places, size in edges(stage).values():
        for people, crowds in ((size, many), (stage.k - 1, few)):
            crowds.append(Crowd(people, places, ({name: places.get(name, 0) for name in stage.keys.many},)))
    return _world(stage, "edge", [*background, *many], [*background, *few])


def _few(stage: Stage) -> World:
    """K - 1 people in all, against so many that totals may be listed now and then."""
    totals = [level for level in stage.selecting if not level.key.dimensions]
    size = min(edge_size(level, stage.k) for level in totals)
    return _world(stage, "few", [Crowd(size, {})], [Crowd(stage.k - 1, {})])


def _remainder(stage: Stage) -> World:
    """K people hidden beside listed siblings, against k - 1: one crowd for most families, one for the first dimensions.

    Who is hidden by a dimension that others are below is in none of the others' groups, and the other way round.
    """
    background = stage.background()
    parents = {level.key.dimensions[depth] for level in stage.levels for depth in range(len(level.key.dimensions) - 1)}
    crowds = []
    for chosen in ({*stage.keys.dimensions} - parents, parents):
        if chosen:
            places = {name: -2 if name in stage.keys.many else 2 for name in chosen}
            crowds.append((places, ({name: places.get(name, 0) for name in stage.keys.many},)))
    sizes = (stage.k, stage.k - 1)
    first, second = ([Crowd(size, places, groups) for places, groups in crowds] for size in sizes)
    return _world(stage, "remainder", [*background, *first], [*background, *second])


def _whole(stage: Stage) -> World:
    """Few people more, held against all levels together; dimensions of few keys have somebody everywhere."""
    people = stage.people_within(math.hypot(*losses(stage.levels)))
    small = {name: len(stage.keys.of(name)) for name in stage.keys.traits if len(stage.keys.of(name)) <= _SMALL}
    classes = max(small.values(), default=1)
    # Groups of a small dimension have one class each, others have all of them.
    shares = (1 if {*one.key.dimensions} & {*small} else classes for one in stage.selecting)
    size = max(math.ceil(stage.crowd_for(one) / share) for one, share in zip(stage.selecting, shares, strict=True))
    crowds = [crowd for number in range(classes) for crowd in stage.spread(size, dict.fromkeys(small, number), {})]
    return _world(stage, "whole", [*crowds, stage.busy(people)], crowds)
