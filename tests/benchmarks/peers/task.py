"""What every peer is asked for: people per (country, operating system, browser), each in so many groups at most.

Standard library only: a peer runs in an environment of its own, as
``python -m tests.benchmarks.peers.NAME EVENTS RELEASED`` and options.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PERSON = "person"
NAMES = ("country", "operating_system", "browser")


@dataclass(frozen=True)
class Task:
    """One release.

    Attributes:
        events: Parquet file, or a folder of some: ``person`` and the three dimensions, one row an event.
        released: Where released groups are written, as CSV.
        epsilon: Of the whole release.
        delta: Likewise.
        groups: In how many groups a person counts at most (l0), once in each.
        k: Least number of people of a released group, where the library can be told; 1 for none.
        sizes: How many keys each dimension has on its public list, which the product is given.
    """

    events: Path
    released: Path
    epsilon: float
    delta: float
    groups: int
    k: int
    sizes: tuple[int, ...]

    def release(self, rows: Iterable[Iterable[Any]], **more: float) -> None:
        """Write released groups, keys and count, and tell how many there are and what else is to be told."""
        written = list(rows)
        with self.released.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((*NAMES, "people"))
            writer.writerows(written)
        print(f"\n{json.dumps({'groups': len(written), **more})}", flush=True)


def asked() -> Task:
    """The task on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("events", type=Path)
    parser.add_argument("released", type=Path)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-8)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--k", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs=3, default=(60, 6, 6))
    return Task(**vars(parser.parse_args()))
