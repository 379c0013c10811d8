"""The engine that sees raw values: DuckDB in memory, which never writes a temporary file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.errors import SourceError

MEMORY_LIMIT: Final = "2GB"  # many times what a block of lines takes; a run that needs more fails instead of spilling
_MOST_THREADS: Final = 8


@contextmanager
def memory_engine(what: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that keeps everything in memory and reaches no file.

    Args:
        what: What is being read, for the error message.

    Raises:
        SourceError: The engine failed. Its own message may quote a raw value and is dropped.
    """
    connection = duckdb.connect(
        config={
            "threads": min(os.cpu_count() or 1, _MOST_THREADS),
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": "",
            "preserve_insertion_order": "false",
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
        yield connection
    except (duckdb.Error, pa.ArrowException) as failure:
        raise SourceError(
            f"{what} must be readable within {MEMORY_LIMIT} of memory",
            value=type(failure).__name__,
            remedy="Check the file; split it if single lines are huge.",
        ) from None
    finally:
        connection.close()


def quoted(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
