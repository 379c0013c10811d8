"""What skew costs, on both engines: people by country, system and browser, l0 = 4, as in ``bench_bounding``.

One person has a fifth of all events, in every group that there is; or half of all people are in one group and no other.
Beside each runs the same number of events without skew. Both engines must come to the same groups.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.bench_bounding import HEAVY_TAILED, KEYS, bounded, made_staging, usual_picks
from tests.benchmarks.measuring import Median, alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, LeftOut, Ratio, at_most

SIZE: Final = 50_000_000
SMALL_SIZE: Final = 40_000
GOAL: Final = 1.5
ROUNDS: Final = {"duckdb": 3, "spark": 1}  # Spark takes many times as long
WARM_UPS: Final = {"duckdb": 1, "spark": 0}
TITLES: Final = {"duckdb": "DuckDB", "spark": "Spark"}
EVEN: Final = "even"
SKEWED: Final = {"person": "a fifth of them one person's", "group": "half of all people in one group"}


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """Time and memory with and without skew, for each engine."""
    events = SMALL_SIZE if small else SIZE
    left_out = "it starts for longer than it counts" if small else "" if shutil.which("java") else "there is no Java"
    if left_out:
        yield LeftOut("Spark", left_out)
    engines = ("duckdb",) if left_out else ("duckdb", "spark")
    with tempfile.TemporaryDirectory() as folder:
        for name, (who, picks) in shapes().items():
            (Path(folder) / name).mkdir()
            made_staging(Path(folder) / name, events, who, picks)
        found = {engine: counted(Path(folder), engine, small) for engine in engines}
    for name in shapes():
        digests = {run.told["digest"] for medians in found.values() for run in medians[name].runs}
        assert len(digests) == 1, f"engines disagree on groups: {name}"
    for name in SKEWED:
        for engine, medians in found.items():
            yield figure(name, events, engine, medians)


def shapes() -> dict[str, tuple[str, Mapping[str, str]]]:
    """SQL of who did what."""
    usual = usual_picks()
    everywhere = {
        name: f"CASE WHEN who = 0 THEN '{name[0]}' || hash(event, 7, {place}) % {len(KEYS[name])} ELSE {pick} END"
        for place, (name, pick) in enumerate(usual.items())
    }
    in_one = {name: f"CASE WHEN hash(who, 9) % 2 = 0 THEN '{name[0]}0' ELSE {pick} END" for name, pick in usual.items()}
    return {
        EVEN: (HEAVY_TAILED, usual),
        "person": (f"CASE WHEN event % 5 = 0 THEN 0 ELSE {HEAVY_TAILED} END", everywhere),
        "group": (HEAVY_TAILED, in_one),
    }


def counted(folder: Path, engine: str, small: bool) -> dict[str, Median]:
    """Medians by shape, on one engine."""
    runs = {name: partial(alone, bounded, str(folder / name), engine) for name in shapes()}
    return in_turns(runs, 1 if small else ROUNDS[engine], 0 if small else WARM_UPS[engine])


def figure(name: str, events: int, engine: str, medians: Mapping[str, Median]) -> Figure:
    """One shape on one engine; of Spark, Java and its start are in it."""
    skewed, even = medians[name], medians[EVEN]
    return Figure(
        f"{TITLES[engine]}, {events:,} events, {SKEWED[name]}",
        "as many events without skew",
        Amount.of(skewed),
        Amount.of(even),
        Ratio.LONGER,
        rounds=len(skewed.runs),
        goals=(at_most(GOAL),),
    )
