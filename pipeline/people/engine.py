"""The DuckDB connection in which people are folded, bounded and grouped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psutil

# The interpreter and its libraries take about 150 MB beside it.
MEMORY_LIMIT = "180MB"
MAX_SPILL = "20GB"
_PREFIX = ".spill-"  # then the number of the process it belongs to


@contextmanager
def connect(spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection that spills below ``spill``, de-identified rows only.

    It cleans up after itself, and after others that were killed.
    """
    spill.mkdir(parents=True, exist_ok=True)
    _sweep(spill)
    with TemporaryDirectory(dir=spill, prefix=f"{_PREFIX}{os.getpid()}-") as folder, duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count() or 1}")
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"SET max_temp_directory_size = '{MAX_SPILL}'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET temp_directory = ?", [folder])
        yield connection


def _sweep(spill: Path) -> None:
    for left in spill.glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).split("-")[0]
        if not owner.isdigit() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
