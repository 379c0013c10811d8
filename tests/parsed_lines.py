"""Lines as a format reads them, by the real engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.sources.formats.fields import COLUMNS, LogFormat

MOMENT = dt.datetime(2026, 10, 5, 10, 11, 12, tzinfo=dt.UTC).timestamp()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(config={"threads": 2, "temp_directory": ""})
    engine.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
    return engine


def parsed(log_format: LogFormat, *blocks: Sequence[str]) -> list[dict[str, Any]]:
    """One row a line, in order; ``moment`` in seconds since 1970."""
    rows: list[dict[str, Any]] = []
    for block in blocks:
        numbers = pa.array(range(len(rows) + 1, len(rows) + len(block) + 1), pa.int64())
        found: list[dict[str, Any]] = []
        for lines, select in log_format.parts(pa.table({"line": list(block), "number": numbers})):
            _engine().register("lines", lines)
            told = _engine().sql(f"SELECT * REPLACE (epoch(moment) AS moment) FROM ({select})")
            assert tuple(told.columns) == COLUMNS
            found += told.to_arrow_table().to_pylist()
            _engine().unregister("lines")
        rows += sorted(found, key=lambda row: int(row["number"]))
        assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    return rows


def told(log_format: LogFormat, line: str) -> dict[str, Any]:
    """What a format reads in one line, without its number."""
    (row,) = parsed(log_format, [line])
    del row["number"]
    return row


def is_no_request(row: dict[str, Any]) -> bool:
    """Whether a row is of a line that is not of the format, and tells nothing of it."""
    return all(not row[column] or row[column] == "-" for column in COLUMNS if column != "number")
