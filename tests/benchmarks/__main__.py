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

from tests.benchmarks import BENCHMARKS, page
from tests.benchmarks.reporting import Figure, LeftOut, Result, line, machine, missed


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
        if not options.small:
            page.write()  # after each, so that a run that is broken off has its page
    for problem in problems:
        print(f"MISSED {problem}")
    return int(bool(problems))


def run(name: str, *, small: bool) -> list[str]:
    """Run one benchmark, and keep its result unless it is a small one.

    Returns:
        What is not as it should be: goals that it misses, or that it failed.
    """
    found: list[Figure] = []
    left_out: list[LeftOut] = []
    begun = time.perf_counter()
    try:
        for one in importlib.import_module(f"tests.benchmarks.bench_{name}").figures(small):
            if isinstance(one, Figure):
                found.append(one)
                print(line(one), flush=True)
            elif isinstance(one, LeftOut):
                left_out.append(one)
                print(f"  left out: {one.what}: {one.why}", flush=True)
    except Exception:  # noqa: BLE001 - the others are still worth measuring
        traceback.print_exc()
        return [f"{name}: it failed; its earlier result stands"]
    took = time.perf_counter() - begun
    print(f"  {took:.0f} s in all", flush=True)
    if not small:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        Result(name, today, machine(), took, tuple(found), tuple(left_out)).store()
    return [f"{name}: {one}" for one in missed(found)]


if __name__ == "__main__":
    sys.exit(main())
