"""Reads made lines with a format, for tests: the real SQL in the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.site import LogSource
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import COLUMNS, LogFormat, open_format

PLANTED = "Tr4ck-m3-s3cr3t"  # stands in cookies of made lines, and must come out nowhere

Row = dict[str, Any]


def source_of(**options: Any) -> LogSource:
    return LogSource.model_validate({"paths": ["x.log"], **options})


def block_of(*lines: str, first: int = 1) -> pa.Table:
    """Lines as blocks have them: numbered, each with its line feed."""
    ended = [line if line.endswith("\n") else line + "\n" for line in lines]
    return pa.table({"line": ended, "number": pa.array(range(first, first + len(lines)), pa.int32())})


def opened(*lines: str, zone: str = "UTC", **options: Any) -> LogFormat:
    return open_format(source_of(**options), ZoneInfo(zone), block_of(*lines))


def rows_of(reader: LogFormat, block: pa.Table) -> list[Row]:
    """What the format tells of a block, in order of lines; ``moment`` as text, in UTC."""
    return sorted(_rows(reader, block), key=lambda row: int(row["number"]))


def _rows(reader: LogFormat, block: pa.Table) -> Iterator[Row]:
    with memory_engine("made lines") as engine:
        for part, select in reader.parts(block):
            engine.register("lines", part)
            moment = "(moment AT TIME ZONE 'UTC')::VARCHAR AS moment"
            relation = engine.sql(f"SELECT * REPLACE ({moment}) FROM ({select})")
            assert tuple(relation.columns) == COLUMNS
            yield from (dict(zip(COLUMNS, row, strict=True)) for row in relation.fetchall())
            engine.unregister("lines")


def read(*lines: str, zone: str = "UTC", **options: Any) -> list[Row]:
    """What lines of one file are read as."""
    rows = rows_of(opened(*lines, zone=zone, **options), block_of(*lines))
    assert [row["number"] for row in rows] == list(range(1, len(lines) + 1))
    assert PLANTED not in str(rows)
    return rows


def read_one(line: str, **options: Any) -> Row:
    (row,) = read(line, **options)
    return row


def picked(row: Row, *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)
