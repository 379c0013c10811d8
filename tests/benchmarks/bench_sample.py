"""How fast the sample site is written, beside packing the same bytes with gzip alone.

python tests/benchmarks/bench_sample.py
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from pathlib import Path

from pipeline.sample import write_sample

GOAL = 100_000  # lines a second, compression, customers and orders included


def main() -> int:
    """Measure, print what came out, and fail below the goal."""
    with tempfile.TemporaryDirectory() as folder:
        written = write_sample(Path(folder))
        logs = [path for path in Path(folder, "sources", "logs").iterdir() if path.suffix == ".gz"]
        plain = [gzip.decompress(path.read_bytes()) for path in logs]
        started = time.perf_counter()
        for content in plain:
            gzip.compress(content, compresslevel=1)
        packing = time.perf_counter() - started
    speed = written.lines / written.seconds
    print(f"{written.lines:,} lines in {written.seconds:.2f} s: {speed:,.0f} lines/s (goal: at least {GOAL:,})")
    print(f"packing the same logs alone: {packing:.2f} s, ratio {packing / written.seconds:.2f}")
    return int(speed < GOAL)


if __name__ == "__main__":
    sys.exit(main())
