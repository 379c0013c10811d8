"""Runs benchmarks one after the other, keeps what they find, and goes on where a goal is missed.

python -m tests.benchmarks [--small] [NAME ...]
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import sys
import time
import traceback
from typing import Final

from tests.benchmarks.reporting import Figure, LeftOut, Result, line, machine, missed

# In the order in which they run: what tells most comes first, what takes longest last.
BENCHMARKS: Final = {
    "ingestion": "bench_ingestion",
    "customers": "bench_customers",
    "bounding": "bench_bounding",
    "cells": "bench_cells",
    "least_squares": "bench_least_squares",
    "ledger": "bench_ledger",
    "library": "bench_library",
    "validation": "bench_validation",
    "sample": "bench_sample",
    "portal": "bench_portal",
    "downloads": "bench_downloads",
    "airflow": "bench_airflow",
    "peers": "bench_peers",
    "skew": "bench_skew",
}


def main() -> int:
    """Run what is named, or all; end with 1 where a goal was missed or something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}; else all")
    parser.add_argument("--small", action="store_true", help="small sizes, of which nothing is kept")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    names = [name for name in BENCHMARKS if not options.names or name in options.names]
    problems: list[str] = []
    for place, name in enumerate(names, 1):
        print(f"{name} ({place} of {len(names)})", flush=True)
        problems += run(name, small=options.small)
    for problem in problems:
        print(f"MISSED {problem}")
    return int(bool(problems))


def run(name: str, *, small: bool) -> list[str]:
    """Run one benchmark, and keep its result unless it is a small one.

    Returns:
        What is not as it should be: goals that it misses, or that it failed.
    """
    begun, found, left_out = time.perf_counter(), [], []
    try:
        for one in importlib.import_module(f"tests.benchmarks.{BENCHMARKS[name]}").figures(small):
            if isinstance(one, Figure):
                found.append(one)
                print(line(one), flush=True)
            elif isinstance(one, LeftOut):
                left_out.append(one)
                print(f"  left out: {one.what}: {one.why}", flush=True)
    except Exception:  # noqa: BLE001 - the others are still worth measuring
        traceback.print_exc()
        return [f"{name}: it failed, and what was found before is kept"]
    took = time.perf_counter() - begun
    print(f"  {took:.0f} s in all", flush=True)
    if not small:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        Result(name, today, machine(), took, tuple(found), tuple(left_out)).store()
    return [f"{name}: {one}" for one in missed(found)]


if __name__ == "__main__":
    sys.exit(main())
