"""What a release tells beside the same table of other libraries, at equal epsilon, delta, bounds and data.

People by country, operating system and browser, in four groups at most, epsilon 1 and delta 1e-8; 36,000 groups with a
long tail, so that selection matters. A table of ours is a tree: its total, countries and systems are drawn too, of the
same budget. So peers are measured twice: releasing the groups alone at all of the budget, and as one of the four tables
that it takes to tell as much, at a quarter of it. Where a peer can hold k = 50, that is measured too.

Errors are those of groups of at least 50 people that both released, against distinct people before any bound. The
error of the total is that of all people of all groups: of what ours says, and of the sum of what a peer says, of which
nothing else is known. Each releases once: the medians are over hundreds of groups.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from pipeline.deidentify.tables import EVENTS
from tests.benchmarks.bench_bounding import NAMES, made_staging
from tests.benchmarks.peers.environments import PEERS, CannotRunError, Peer, Release, TooLongError, by_hand, ours
from tests.benchmarks.reporting import Amount, Figure, Goal, LeftOut, Ratio, at_least, at_most

NUMBER: Final = 1_000_000  # events
SMALL: Final = 50_000
SIZES: Final = (200, 12, 15)
# The higher, the more people share the first keys.
SKEW: Final = (3, 2, 2)
LEAST: Final = 50  # people of groups whose errors are looked at
MORE_GROUPS: Final = 1.2
K: Final = 50
LEVELS: Final = 4
EPSILON: Final = 1.0
DELTA: Final = 1e-8

People = Mapping[tuple[str, ...], float]


@dataclass(frozen=True)
class Comparison:
    """Under which terms peers are compared.

    Attributes:
        name: In words.
        share: Of the budget, for a peer's table.
        k: Hard minimum; 1 for none, which is 2 for ours.
    """

    name: str
    share: float
    k: int

    def takes(self, peer: Peer) -> bool:
        """Whether a peer can be compared so."""
        return self.k == 1 or peer.holds_k

    @property
    def options(self) -> tuple[str, ...]:
        """Of a peer's script."""
        return ("--epsilon", f"{EPSILON * self.share}", "--delta", f"{DELTA * self.share}", "--k", f"{self.k}")


COMPARISONS: Final = tuple(
    Comparison(f"{told}{hard}", share, k)
    for k, hard in ((1, ""), (K, f", k = {K}"))
    for share, told in ((1 / LEVELS, "with its totals"), (1.0, "groups alone"))
)


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """Groups and errors beside each peer, in each comparison."""
    peers: Mapping[Peer, Callable[..., Release]] = {PEERS[0]: by_hand} if small else {p: p.released for p in PEERS}
    with tempfile.TemporaryDirectory() as folder:
        staging = Path(folder)
        made_staging(staging, SMALL if small else NUMBER, picks=long_tail())
        truth = true_people(staging / EVENTS)
        for comparison in COMPARISONS[:1] if small else COMPARISONS:
            budget = ("--epsilon", f"{EPSILON}", "--delta", f"{DELTA}", "--sizes", *map(str, SIZES))
            mine = ours(staging, *budget, "--k", f"{comparison.k}")
            theirs: dict[str, Release] = {}
            for peer, released in peers.items():
                if comparison.takes(peer):
                    try:
                        theirs[peer.name] = released(staging / EVENTS, *comparison.options)
                    except (CannotRunError, TooLongError) as failure:
                        yield LeftOut(peer.name, f"{comparison.name}: {str(failure).splitlines()[-1]}")
            yield from compared(comparison.name, mine, theirs, truth)


def long_tail() -> dict[str, str]:
    """SQL of each dimension: a person's own key, of which the first are the most frequent, or now and then the next."""
    return {
        name: f"'{name[0]}' || ((floor({size} * pow(hash(who || '{name}') / pow(2::DOUBLE, 64), {skew}))::BIGINT + "
        f"(hash(event || '{name}') % 10 = 0)::INT) % {size})"
        for name, size, skew in zip(NAMES, SIZES, SKEW, strict=True)
    }


def true_people(events: Path) -> People:
    """Distinct people of each group."""
    names = ", ".join(NAMES)
    query = f"SELECT {names}, count(DISTINCT person) FROM read_parquet('{events}/*.parquet') GROUP BY {names}"
    with duckdb.connect() as connection:
        return {tuple(keys): float(people) for *keys, people in connection.execute(query).fetchall()}


def compared(name: str, mine: Release, theirs: Mapping[str, Release], truth: People) -> Iterator[Figure]:
    """Ours beside each peer's."""
    best = max(theirs, key=lambda peer: len(theirs[peer].people), default="")
    total = sum(truth.values())
    for peer, release in theirs.items():
        numbers = len(mine.people), len(release.people)
        goals = (at_least(MORE_GROUPS),) if peer == best else ()
        yield figure(f"groups released, {name}", peer, numbers, "groups", goals)
        both = [group for group in mine.people.keys() & release.people.keys() if truth.get(group, 0) >= LEAST]
        if both:
            errors = (median_error(mine.people, truth, both), median_error(release.people, truth, both))
            yield figure(f"median error, {name}", peer, errors, "%", (at_most(1),))
        off = (100 * abs(one - total) / total for one in (mine.run.told["total"], sum(release.people.values())))
        yield figure(f"error of the total, {name}", peer, tuple(off), "%", (at_most(1),))


def figure(name: str, peer: str, values: Sequence[float], unit: str, goals: tuple[Goal, ...]) -> Figure:
    """Ours and theirs: the ratio tells how many groups, or how much error."""
    mine, theirs = map(Amount, values)
    ratio = Ratio.MANY if unit == "groups" else Ratio.MUCH
    return Figure(name, peer, mine, theirs, ratio, unit=unit, goals=goals)


def median_error(people: People, truth: People, groups: Sequence[tuple[str, ...]]) -> float:
    """Of released counts, in per cent of the truth."""
    return statistics.median(100 * abs(people[group] - truth[group]) / truth[group] for group in groups)
