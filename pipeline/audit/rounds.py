"""Releases by the thousand: each round is one release of made-up people, with a ledger and a secret of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline import library
from pipeline.audit.attacks import Attack
from pipeline.audit.crossings import Crossing, crossings_of
from pipeline.audit.evidence import Floats
from pipeline.audit.people import Inputs, Keys, Truth, truth_of
from pipeline.audit.reading import Reading, Readings, violations
from pipeline.audit.worlds import World
from pipeline.periods import Period
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease
from pipeline.spec import BoundSpecification

_FIRST_DAY = dt.date(2024, 1, 1)


@dataclass(frozen=True)
class Task:
    """Some rounds on one input.

    Attributes:
        bound: The specification.
        pair: Made-up people.
        with_people: Whether those in whom the inputs differ are among them.
        attacks: What is looked at in each release.
        first: Number of the first round; each has a period of its own.
        rounds: How many.
    """

    bound: BoundSpecification
    pair: World = field(repr=False)
    with_people: bool
    attacks: tuple[Attack, ...] = field(repr=False)
    first: int
    rounds: int

    @property
    def world(self) -> str:
        """Name of the pair of inputs."""
        return self.pair.name

    @property
    def inputs(self) -> Inputs:
        """The one that is released."""
        return self.pair.first if self.with_people else self.pair.second


@dataclass(frozen=True)
class Series:
    """What rounds on one input gave.

    Attributes:
        numbers: Name of an attack -> its statistic, one number a round.
        rows: How many published rows were held against the truth.
        wrong: How many of them speak of fewer than k people.
        unequal: How many answers differed from the first one to the same question.
    """

    numbers: Mapping[str, Floats]
    rows: int
    wrong: int
    unequal: int

    @classmethod
    def joined(cls, parts: Sequence[Series]) -> Series:
        """All rounds of several parts, in their order."""
        names = parts[0].numbers
        return cls(
            {name: np.concatenate([part.numbers[name] for part in parts]) for name in names},
            sum(part.rows for part in parts),
            sum(part.wrong for part in parts),
            sum(part.unequal for part in parts),
        )


def run(task: Task) -> Series:
    """Draw, ask again where an attack does, read, and hold rows against the truth."""
    keys, tables = Keys(task.bound), {table.name: table for table in task.bound.tables}
    truths = {name: truth_of(task.inputs, table, keys) for name, table in tables.items()}
    crossings = crossings_of(task.bound, task.inputs, keys)
    numbers: dict[str, list[float]] = {attack.name: [] for attack in task.attacks}
    rows = wrong = unequal = 0
    for period in _periods(task):
        releases = _asked(task, period)
        readings = [_readings(release, tables) for release in releases]
        for attack in task.attacks:
            numbers[attack.name].append(float(np.mean([attack.statistic(one) for one in readings])))
        looked = _held_against(task.bound, readings[0], truths, crossings)
        rows, wrong = rows + looked[0], wrong + looked[1]
        unequal += sum(one.sha256 != releases[0].sha256 for one in releases[1:])
    return Series({name: np.asarray(values) for name, values in numbers.items()}, rows, wrong, unequal)


def _periods(task: Task) -> Iterator[Period]:
    period = Period.containing(_FIRST_DAY, task.bound.specification.period)
    for number in range(task.first + task.rounds):
        if number >= task.first:
            yield period
        period = period.next


def _asked(task: Task, period: Period) -> list[PrivateRelease]:
    ledger, made = Ledger.in_memory(), task.inputs
    return [
        library.release(task.bound, period, ledger, people=made.people, events=made.events)
        for _ in range(task.pair.answers)
    ]


def _readings(release: PrivateRelease, tables: Mapping[str, object]) -> Readings:
    return {name: Reading(release, name) for name in tables}


def _held_against(
    bound: BoundSpecification, readings: Readings, truths: Mapping[str, Truth], crossings: tuple[Crossing, ...]
) -> tuple[int, int]:
    k = bound.k.value
    found = [violations(readings[name], truths[name], k) for name in truths]
    found += [crossing.wrong(readings, k) for crossing in crossings]
    return sum(rows for rows, _ in found), sum(wrong for _, wrong in found)
