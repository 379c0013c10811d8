"""Benchmarks: ``make bench`` runs all of them, ``make bench BENCH="ledger portal"`` those that are named.

Each module ``bench_NAME`` has a function ``figures(small)`` that yields figures (``reporting``) of what it measured
with ``measuring``; ``small`` asks for sizes of a second or two, by which tests see that a benchmark still runs. Results
are kept in ``results/`` and make the page ``docs/benchmarks.md``.
"""

from typing import Final

# In the order in which they run: what takes longest comes last.
BENCHMARKS: Final = (
    "ingestion",
    "customers",
    "bounding",
    "cells",
    "least_squares",
    "ledger",
    "library",
    "validation",
    "sample",
    "portal",
    "downloads",
    "airflow",
    "accuracy",
    "peers",
    "skew",
    "cost",
)
