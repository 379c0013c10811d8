"""How fast the sample site is written, beside packing the same bytes with gzip alone."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.sample import write_sample
from tests.benchmarks.measuring import alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, no_less_than

GOAL: Final = 100_000  # lines a second, compression, customers and orders included
LINES: Final = 600_000
PEOPLE: Final = 40_000
ROUNDS: Final = 3


def figures(small: bool) -> Iterator[Figure]:
    """Lines a second."""
    lines, people = (2_000, 300) if small else (LINES, PEOPLE)
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder), lines=lines, visitors=people, customers=people)
        rivals = {"ours": lambda: alone(written, lines, people), "theirs": lambda: alone(packed, folder)}
        found = in_turns(rivals, 1 if small else ROUNDS, warm_up=0 if small else 1)
    ours, theirs = found["ours"], found["theirs"]
    yield Figure(
        f"writing the sample site, {lines:,} lines of logs",
        "packing the same logs with gzip",
        Amount(lines / ours.seconds, ours.megabytes),
        Amount(lines / theirs.seconds, theirs.megabytes),
        Ratio.MANY,
        "lines a second",
        len(ours.runs),
        (no_less_than(GOAL),),
    )


def written(lines: int, people: int) -> None:
    """The site, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder), lines=lines, visitors=people, customers=people)


def packed(folder: str) -> None:
    """Its logs, unpacked and packed again."""
    for path in Path(folder, "sources", "logs").glob("*.gz"):
        gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1)
