"""What a release takes beside the same table of other libraries: whole processes, from Python's start to noisy groups.

People by country, operating system and browser, in four groups at most, epsilon 1 and delta 1e-8, of the same files.
Ours is a release as it is: every level of the table, hard k, least squares. A peer that takes longer than a quarter of
an hour is ended; the ratio is then what it is at least. How much of ours is counting ``bench_bounding`` tells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.deidentify.tables import EVENTS
from tests.benchmarks.bench_bounding import made_staging
from tests.benchmarks.measuring import Median, Run, in_turns
from tests.benchmarks.peers.environments import (
    LONGEST,
    PEERS,
    CannotRunError,
    Peer,
    Release,
    TooLongError,
    by_hand,
    ours,
)
from tests.benchmarks.reporting import Amount, Figure, LeftOut, Ratio, at_least

GOALS_AT: Final = 10_000_000
LARGEST: Final = 50_000_000
SIZES: Final = (1_000_000, GOALS_AT, LARGEST)
SMALL: Final = 20_000
# Of ten million events, in seconds: a slower peer does not go on to fifty.
QUICK: Final = 60
K: Final = ("--k", "50")


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """Each peer at each size, as far as it goes."""
    if small:
        yield from of_size(SMALL, {PEERS[0]: by_hand})
        yield from (LeftOut(peer.name, "a small run makes no environment") for peer in PEERS[1:])
        return
    rivals = {peer: peer.released for peer in PEERS}
    for events in SIZES:
        found = {}
        for one in of_size(events, rivals):
            found[one.beside if isinstance(one, Figure) else one.what] = one
            yield one
        rivals = {peer: run for peer, run in rivals.items() if goes_on(found.get(peer.name), events)}


def goes_on(found: Figure | LeftOut | None, events: int) -> bool:
    """Whether a peer meets five times as many events."""
    return isinstance(found, Figure) and (events < GOALS_AT or found.theirs.value <= QUICK)


def of_size(events: int, rivals: Mapping[Peer, Callable[..., Release]]) -> Iterator[Figure | LeftOut]:
    """Each peer beside ours, of so many events."""
    with tempfile.TemporaryDirectory() as folder:
        staging = Path(folder)
        made_staging(staging, events)
        for peer, released in rivals.items():
            rounds = peer if events < LARGEST else replace(peer, rounds=1)
            try:
                yield beside(rounds, partial(released, staging / EVENTS), staging, events)
            except CannotRunError as failure:
                yield LeftOut(peer.name, f"{events:,} events: {failure}")


def beside(peer: Peer, released: Callable[[], Release], staging: Path, events: int) -> Figure:
    """One peer and ours in turns; where it is ended, ours alone beside the time that it was given."""
    name = f"release, {events:,} events"
    try:
        turns = {"ours": lambda: ours(staging, *K).run, "theirs": lambda: released().run}
        found = in_turns(turns, peer.rounds, warm_up=0)
    except TooLongError as failure:
        name = f"{name} ({failure}: the ratio is at least this)"
        found = {"ours": Median((ours(staging, *K).run,)), "theirs": Median((Run(LONGEST, 0),))}
    goals = (at_least(peer.faster),) if events == GOALS_AT else ()
    mine, theirs = (Amount.of(found[side]) for side in ("ours", "theirs"))
    return Figure(name, peer.name, mine, theirs, Ratio.FASTER, rounds=len(found["ours"].runs), goals=goals)
