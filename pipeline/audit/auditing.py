"""Runs all attacks on a specification, and says what came of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.audit.attacks import Attack, attacks
from pipeline.audit.evidence import found, largest_bound
from pipeline.audit.people import Keys
from pipeline.audit.power import smallest_fault
from pipeline.audit.rounds import Series, Task, run
from pipeline.audit.worlds import LEAST_ROUNDS, Stage, World, worlds
from pipeline.errors import SpecificationError
from pipeline.privacy.calibration import share_out
from pipeline.progress import Progress, silent
from pipeline.spec import BoundSpecification

ROUNDS: Final = 240
_CHUNK: Final = 20

# Runs tasks, as ``map`` does.
Runner = Callable[[Callable[[Task], Series], Iterable[Task]], Iterator[Series]]


@dataclass(frozen=True)
class Terms:
    """How much is audited.

    Attributes:
        rounds: Releases of each input, at least 20; more find smaller faults.
        confidence: With which a correct pipeline passes, above 0.5 and below 1.
        tables: Names of the tables that are attacked; all unless some are named.
        inputs: Names of the pairs of inputs that are used (``worlds``); all unless some are named.
    """

    rounds: int = ROUNDS
    confidence: float = 0.95
    tables: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Line:
    """What one attack came to.

    Attributes:
        name: What was looked at.
        differ: What differed between the inputs.
        claimed: Epsilon, at ``delta``; what the attack was held against.
        delta: Likewise.
        lower: The bound on epsilon from below at the same delta; 0 where nothing was shown.
        violated: Whether the claim cannot be true.
        smallest: The smallest fault that the run would have shown, in words.
    """

    name: str
    differ: str
    claimed: float
    delta: float
    lower: float
    violated: bool
    smallest: str

    def sentence(self) -> str:
        """The bound in words."""
        return (
            f"{self.name}: epsilon is above {self.lower:.2f} at delta {self.delta:.2g}, claimed is {self.claimed:.2f}"
        )


@dataclass(frozen=True)
class Audit:
    """What an audit came to.

    Attributes:
        lines: One an attack.
        confidence: With which a correct pipeline passes.
        releases: How many were drawn.
        rows: How many published rows were held against the truth.
        wrong: How many of them speak of fewer than k people; that is a violation for certain.
        unequal: How many answers to a question differed from the first; likewise.
        asked: Whether any question was asked several times.
    """

    lines: tuple[Line, ...]
    confidence: float
    releases: int
    rows: int
    wrong: int
    unequal: int
    asked: bool

    @property
    def violated(self) -> bool:
        """Whether anything that is claimed does not hold."""
        return bool(self.wrong or self.unequal or any(line.violated for line in self.lines))

    def sentence(self) -> str:
        """The verdict in words."""
        broken = [line.sentence() for line in self.lines if line.violated]
        if self.wrong:
            broken.append(f"{self.wrong} of {self.rows} rows speak of fewer than k people")
        if self.unequal:
            broken.append("a release that was asked for again was another one")
        if broken:
            return f"What is claimed does not hold: {'; '.join(broken)}."
        return (
            f"Nothing speaks against what is claimed: {len(self.lines)} attacks on {self.releases:,} releases, each of "
            f"{self.rows:,} rows held against the truth. A correct pipeline passes in {self.confidence:.0%} of runs."
        )


def audit(
    bound: BoundSpecification, terms: Terms = Terms(), runner: Runner = map, progress: Progress = silent
) -> Audit:
    """Attack a specification; nobody's records are read, and nothing is spent of any ledger but ones in memory.

    Args:
        bound: What is audited.
        terms: How much of it, and how thoroughly.
        runner: Runs tasks, as ``map`` does; an executor's ``map`` runs several at once.
        progress: Told of releases drawn.

    Returns:
        One line an attack, and the verdict.

    Raises:
        SpecificationError: Too few rounds, a confidence out of range, or a table that there is not.
    """
    _require(bound, terms)
    levels = share_out(bound)
    # Nearly so many attacks are made.
    reach = largest_bound(terms.rounds // 2, (1 - terms.confidence) / (3 * len(levels)))
    stage = Stage(bound, levels, Keys(bound), reach)
    pairs = {world.name: world for world in worlds(stage) if not terms.inputs or world.name in terms.inputs}
    every = attacks(stage, pairs, terms.tables or frozenset(table.name for table in bound.tables))
    sides = _run(bound, pairs, every, terms.rounds, runner, progress)
    error = (1 - terms.confidence) / max(len(every), 1)
    series = [one for both in sides.values() for one in both]
    return Audit(
        tuple(_line(attack, *sides[attack.world], error) for attack in every),
        terms.confidence,
        2 * sum(world.rounds(terms.rounds) for world in pairs.values()),
        sum(one.rows for one in series),
        sum(one.wrong for one in series),
        sum(one.unequal for one in series),
        asked=any(world.answers > 1 for world in pairs.values()),
    )


def _require(bound: BoundSpecification, terms: Terms) -> None:
    names = {table.name for table in bound.tables}
    if terms.rounds < LEAST_ROUNDS:
        raise SpecificationError(
            f"an audit must have at least {LEAST_ROUNDS} rounds", value=terms.rounds, remedy=f"{ROUNDS} is usual."
        )
    if not 0.5 < terms.confidence < 1:
        raise SpecificationError(
            "the confidence of an audit must lie between 0.5 and 1", value=terms.confidence, remedy="0.95 is usual."
        )
    if math.isinf(bound.epsilon.value):
        raise SpecificationError("only releases with noise can be audited", remedy="Give a finite epsilon.")
    if unknown := sorted(terms.tables - names):
        raise SpecificationError(
            "an audited table must be one of the release",
            value=", ".join(unknown),
            remedy=f"Name some of: {', '.join(sorted(names))}.",
        )


def _run(
    bound: BoundSpecification,
    pairs: dict[str, World],
    every: tuple[Attack, ...],
    rounds: int,
    runner: Runner,
    progress: Progress,
) -> dict[str, tuple[Series, Series]]:
    tasks = [task for world in pairs.values() for task in _tasks(bound, world, every, rounds)]
    parts: dict[tuple[str, bool], list[Series]] = {}
    done, total = 0, sum(task.rounds for task in tasks)
    for task, series in zip(tasks, runner(run, tasks), strict=True):
        parts.setdefault((task.world, task.with_people), []).append(series)
        done += task.rounds
        progress("drawing releases of made-up people", done, total)
    return {name: (Series.joined(parts[name, True]), Series.joined(parts[name, False])) for name in pairs}


def _tasks(bound: BoundSpecification, world: World, every: tuple[Attack, ...], rounds: int) -> Iterator[Task]:
    looked, size = tuple(attack for attack in every if attack.world == world.name), world.rounds(rounds)
    for with_people in (True, False):
        for start in range(0, size, _CHUNK):
            first = start if with_people else size + start
            yield Task(bound, world, with_people, looked, first, min(_CHUNK, size - start))


def _line(attack: Attack, first: Series, second: Series, error: float) -> Line:
    one, other = first.numbers[attack.name], second.numbers[attack.name]
    if attack.twice:
        # The first period is without the people in both worlds; each draw stands in one pair of a world only.
        pairs = len(other) // 2
        one, other = one[: len(other)] - other[: len(one)], other[1 : 2 * pairs : 2] - other[0 : 2 * pairs : 2]
    # Once at the epsilon that holds nearly always, which is what is told, and once wherever the claim looks weakest.
    told = found(one, other, attack.claim.last, error / 2)
    weakest = found(one, other, attack.claim, error / 2)
    finding = weakest if weakest.violated and not told.violated else told
    return Line(
        attack.name,
        attack.differ,
        finding.epsilon,
        finding.delta,
        max(finding.lower, 0.0),
        finding.violated,
        smallest_fault(attack, len(first.numbers[attack.name]), error / 2),
    )
