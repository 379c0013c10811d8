"""What people are folded, bounded and grouped in: what relations ask of an engine, and DuckDB in this process."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import numpy as np
import psutil

from pipeline.people.dialect import DUCKDB, Dialect
from pipeline.people.settings import EngineSettings
from pipeline.people.trees import Counts

# Each thread has parts of its own of whatever is grouped: more of them than memory has room for run out of it.
_MEMORY_A_THREAD: Final = 40 * 1024**2
_PREFIX = ".spill-"  # then the number of the process it belongs to


class Engine(Protocol):
    """Knows relations by name and runs queries on them."""

    @property
    def dialect(self) -> Dialect:
        """How its SQL is spelt."""

    def keep(self, name: str, query: str) -> None:
        """Give a query's rows, one a person, a name for the queries that follow."""

    def fetched(self, query: str, secret: bytes | None) -> Counts:
        """Run a query of groups, with the secret that it is keyed with, and take its columns, NULL as None."""


@dataclass(frozen=True)
class DuckDb:
    """DuckDB, by a connection that knows the relations."""

    connection: duckdb.DuckDBPyConnection
    dialect: Dialect = DUCKDB

    def keep(self, name: str, query: str) -> None:
        """See ``Engine``; in a temporary table."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def fetched(self, query: str, secret: bytes | None = None) -> Counts:
        """See ``Engine``."""
        columns: Mapping[str, Any] = self.connection.execute(query, parameters(secret)).fetchnumpy()
        return {name: _without_mask(column) for name, column in columns.items()}


def parameters(secret: bytes | None) -> dict[str, str]:
    """What a query of DuckDB is run with."""
    return {} if secret is None else {"secret": secret.hex()}


@contextmanager
def connect(spill: Path, settings: EngineSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection that spills below ``spill``, de-identified rows only.

    It cleans up after itself, and after others that were killed.

    Args:
        spill: Where.
        settings: What it may take of memory and disk.
    """
    with spilling(spill) as folder, duckdb.connect() as connection:
        threads = min(os.cpu_count() or 1, settings.memory_bytes // _MEMORY_A_THREAD)
        connection.execute(f"SET threads = {max(1, threads)}")
        connection.execute(f"SET memory_limit = '{settings.memory}iB'")
        connection.execute(f"SET max_temp_directory_size = '{settings.spill}iB'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET temp_directory = ?", [folder])
        yield connection


@contextmanager
def spilling(spill: Path, name: str = "") -> Iterator[str]:
    """A folder of this process for an engine's temporary files; those of processes that were killed are removed.

    Args:
        spill: Where it is made.
        name: Of an engine that has one such folder in a process; others get a new one each time.
    """
    spill.mkdir(parents=True, exist_ok=True)
    _sweep(spill)
    folder = spill / f"{_PREFIX}{os.getpid()}-{name or secrets.token_hex(4)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(spill: Path) -> None:
    for left in spill.glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).split("-")[0]
        if not owner.isdigit() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _without_mask(column: np.ndarray | np.ma.MaskedArray) -> np.ndarray:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    values = column.data.astype(object)
    values[np.ma.getmaskarray(column)] = None
    return values
