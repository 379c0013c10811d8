"""Attacks: numbers made from published tables that would tell two neighbouring inputs apart where something is wrong.

Each is held against what is claimed of just the levels that it can see: a fault in a level that has a twentieth of the
budget would hide behind the epsilon of the whole release.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from pipeline.audit.claims import Claim, claim_of, losses, single
from pipeline.audit.people import Crowd, Truth, truth_of
from pipeline.audit.reading import Cell, Estimates, Parts, Released, Statistic, Together
from pipeline.audit.worlds import ANSWERS, EDGE, Stage, World, edges, needed
from pipeline.measures import Total
from pipeline.privacy.levels import Level, LevelKey, level_keys
from pipeline.privacy.noisy import Group
from pipeline.release.header import people_name
from pipeline.spec import BoundTable
from pipeline.vocabulary import REMAINDER_KEY

# Of claims so many times beyond what rounds can show at best, only large faults would be seen.
_BEYOND_REACH: Final = 1.3


@dataclass(frozen=True)
class Attack:
    """One statistic, and what is claimed of it.

    Attributes:
        name: What is looked at, for people to read.
        differ: What differs between the inputs.
        world: Which inputs.
        table: Whose rows.
        claim: What must hold.
        statistic: Of one release.
        twice: Whether it is the difference of two releases of two periods, the first always without the people.
        again: Whether it is the mean of several answers to the same question.
        shift: By how much it differs between the inputs where all is right; 0 for marks.
        level: Whose noise it has, if one alone.
        cells: How many noises are added up in it.
    """

    name: str
    differ: str
    world: str
    table: str
    claim: Claim
    statistic: Statistic = field(repr=False)
    twice: bool = False
    again: bool = False
    shift: float = 0.0
    level: Level | None = None
    cells: int = 1


@dataclass(frozen=True)
class Shown:
    """A level as a table shows it."""

    level: Level
    table: BoundTable
    total: Total

    @property
    def depth(self) -> int:
        """By how many dimensions it groups."""
        return len(self.level.key.dimensions)

    @property
    def measure(self) -> str:
        """Under which name its rows stand."""
        return people_name(self.table) if self.level.key.of_people else self.total.name

    @property
    def name(self) -> str:
        """For people to read."""
        by = "by " + ", ".join(self.level.key.dimensions) if self.depth else "in total"
        return f"{self.table.name}, {by}" if self.level.key.of_people else f"{self.table.name}, {self.measure} {by}"


def shown(stage: Stage, tables: frozenset[str]) -> Iterator[Shown]:
    """Every level that some of these tables show, once."""
    levels = {level.key: level for level in stage.levels}
    for table in stage.bound.tables:
        if table.name in tables:
            for total in table.totals:
                for key in level_keys(table, total.measured):
                    if key in levels:
                        yield Shown(levels.pop(key), table, total)


def attacks(stage: Stage, worlds: Mapping[str, World], tables: frozenset[str]) -> tuple[Attack, ...]:
    """Every attack on these tables that these worlds have inputs for."""
    every = list(shown(stage, tables))
    found: list[Attack] = []
    if bulk := worlds.get("bulk"):
        found += _levels(stage, bulk, every)
        found += _parts(stage, bulk, every)
        found += _twice(bulk, found)
    if crowd := worlds.get("crowd"):
        found += _crowds(stage, crowd, every)
    if again := worlds.get("again"):
        found += _again(again, list(_levels(stage, again, every)))
    if edge := worlds.get("edge"):
        found += _edges(stage, edge, every)
    if few := worlds.get("few"):
        found += _few(stage, few, every)
    if remainder := worlds.get("remainder"):
        found += _remainders(stage, remainder, every)
    if (whole := worlds.get("whole")) and len(tables) == len(stage.bound.tables):
        found.append(_whole(stage, whole, every))
    return tuple(found)


def _slack(stage: Stage) -> float:
    # Selection of groups that are listed anyway, and remainders, show with less than the release's delta.
    return stage.bound.delta.value


@lru_cache(maxsize=512)
def _claim(levels: tuple[Level, ...], people: int, slack: float) -> Claim:
    return claim_of(levels, people, slack)


def _people(number: int) -> str:
    return f"{number} more people" if number > 1 else "one more person"


def _cells(stage: Stage, one: Shown, truth: Truth, among: frozenset[Group] | None = None) -> tuple[Cell, ...]:
    """Groups of a level that are surely released, all or among some, each with about what it counts."""
    level, k = one.level, stage.k
    selecting = next(other for other in stage.levels if other.key == level.key.people)
    several = any(name in stage.keys.many for name in level.key.dimensions)
    each = 1 if several or not level.key.table else stage.together
    return tuple(
        Cell(group, float(people * each))
        for group, people in truth.people.items()
        if len(group) == one.depth and people * each >= needed(selecting, k) and (among is None or group in among)
    )


def _groups(stage: Stage, one: Shown, crowd: Crowd) -> frozenset[Group]:
    return frozenset(stage.keys.group(one.table, crowd.traits, places)[: one.depth] for places in crowd.groups)


def _levels(stage: Stage, world: World, every: list[Shown]) -> Iterator[Attack]:
    """The noise and the bounds of each level: people who are as busy as can be, where counts are large."""
    for one in every:
        groups = _groups(stage, one, world.extra[0])
        cells = _cells(stage, one, truth_of(world.second, one.table, stage.keys), groups)
        if cells:
            yield _noise(stage, world, one, cells, world.people)


def _crowds(stage: Stage, world: World, every: list[Shown]) -> Iterator[Attack]:
    """The noise of levels, those that tell little of one person too: people who are all in the same groups."""
    for one in every:
        groups = _groups(stage, one, world.extra[0])
        people = sum(crowd.size for crowd in world.extra if _groups(stage, one, crowd) == groups)
        cells = _cells(stage, one, truth_of(world.second, one.table, stage.keys), groups)
        if cells and losses([one.level])[0] * people <= _BEYOND_REACH * stage.reach:
            # A person fills as many cells as there are here, which may be fewer than could be.
            shift = min(one.level.demand.l1, len(world.extra[0].groups) * one.level.key.measured.limit)
            attack = _noise(stage, world, one, cells, people)
            yield replace(
                attack,
                name=f"{one.name}, crowd",
                differ=f"{_people(people)}, in the same groups",
                shift=float(people * shift),
            )


def _noise(stage: Stage, world: World, one: Shown, cells: tuple[Cell, ...], people: int) -> Attack:
    return Attack(
        one.name,
        f"{_people(people)}, in every group there is",
        world.name,
        one.table.name,
        _claim((one.level,), people, _slack(stage)),
        Estimates(one.table.name, one.measure, cells),
        shift=float(people * one.level.demand.l1),
        level=one.level,
        cells=len(cells),
    )


def _parts(stage: Stage, world: World, every: list[Shown]) -> Iterator[Attack]:
    """What parts add up to, which is the total as it is displayed."""
    for one in every:
        if one.level.key.of_people and not one.depth:
            yield Attack(
                f"{one.table.name}, parts added up",
                _people(world.people),
                world.name,
                one.table.name,
                _claim((one.level,), world.people, _slack(stage)),
                Parts(one.table.name),
                shift=float(world.people * one.level.demand.l1),
                level=one.level,
            )


def _twice(world: World, found: list[Attack]) -> Iterator[Attack]:
    """The same people in two periods: noise that was used before would cancel out."""
    if found:
        one = min(found, key=lambda attack: attack.claim.epsilon)
        differ = f"{_people(world.people)} in the second"
        yield replace(one, name=f"{one.name}, two periods", differ=differ, level=None, twice=True)


def _again(world: World, found: list[Attack]) -> Iterator[Attack]:
    """The same question several times: the mean of answers would have less noise than one."""
    if found:
        # Fewer rounds show a claim of about one best.
        one = min(found, key=lambda attack: abs(math.log(attack.claim.epsilon)))
        yield replace(
            one, name=f"{one.name}, asked {ANSWERS} times", differ=_people(world.people), level=None, again=True
        )


def _edges(stage: Stage, world: World, every: list[Shown]) -> Iterator[Attack]:
    at = edges(stage)
    for one in every:
        if one.level.key in at:
            places, size = at[one.level.key]
            group = stage.keys.group(one.table, places, places)[: one.depth]
            yield _released(one, group, f"{size} people instead of {stage.k - 1}", world)


def _released(one: Shown, group: Group, differ: str, world: World) -> Attack:
    statistic = Released(one.table.name, group)
    return Attack(f"{one.name}: released", differ, world.name, one.table.name, single(0.0, EDGE), statistic)


def _few(stage: Stage, world: World, every: list[Shown]) -> Iterator[Attack]:
    size = world.first.crowds[0].size
    for one in every:
        if one.level.key.of_people and not one.depth:
            yield _released(one, (), f"{size} people instead of {stage.k - 1}", world)


def _remainders(stage: Stage, world: World, every: list[Shown]) -> Iterator[Attack]:
    levels = {level.key: level for level in stage.levels}
    for one in every:
        if not one.level.key.of_people or not one.depth:
            continue
        key = one.level.key
        parent = levels[LevelKey(key.table, key.dimensions[:-1], key.max_groups)]
        group = stage.keys.group(one.table, {}, {})[: one.depth - 1]
        yield Attack(
            f"{one.name}: remainder",
            f"{stage.k} people hidden instead of {stage.k - 1}",
            world.name,
            one.table.name,
            _claim((parent, one.level), world.people, _slack(stage)),
            Estimates(one.table.name, one.measure, (Cell((*group, REMAINDER_KEY)),)),
        )


def _whole(stage: Stage, world: World, every: list[Shown]) -> Attack:
    """All levels together, each by how much it tells."""
    parts = []
    for one in every:
        weight = one.level.demand.l1 / one.level.noise.sd**2
        cells = _cells(stage, one, truth_of(world.second, one.table, stage.keys))
        parts.append(Estimates(one.table.name, one.measure, tuple(Cell(c.group, c.instead, weight) for c in cells)))
    return Attack(
        "all tables together",
        _people(world.people),
        world.name,
        "",
        _claim(stage.levels, world.people, _slack(stage)),
        Together(tuple(parts)),
    )
