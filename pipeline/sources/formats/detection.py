"""Which format a file is in: the one under which most of its first lines are requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources.engine import memory_engine
from pipeline.sources.formats.fields import LogFormat

LOOKED_AT: Final = 1_000  # lines
ENOUGH: Final = 0.9  # of them
_DIRECTIVE: Final = "^#(Fields|Version|Software|Date):"
# A name would do for an address where hosts are looked up; but a virtual host would, too.
_REQUESTS: Final = r"""
    SELECT count(*) FROM ({select})
    WHERE regexp_full_match(address, '[0-9A-Fa-f:.]+') AND moment IS NOT NULL AND path <> ''"""


def has_directives(head: pa.Table) -> bool:
    """Whether the first lines say themselves how others are to be read."""
    return bool(pc.any(pc.match_substring_regex(_first(head).column("line"), _DIRECTIVE)).as_py())


def best_of(formats: Sequence[LogFormat], head: pa.Table) -> LogFormat | None:
    """The format under which most of the first lines are requests; of equals the first; None where none are.

    The first under which nearly all are is taken at once: rotated sets are of many files.

    Args:
        formats: More specific ones first.
        head: The first block of a file.
    """
    first = _first(head)
    scores: list[int] = []
    with memory_engine("visitor logs") as engine:
        for one in formats:
            scores.append(sum(_score(engine, part, select) for part, select in one.parts(first)))
            if scores[-1] >= ENOUGH * first.num_rows:
                return one
    best = max(range(len(formats)), key=lambda place: scores[place])
    return formats[best] if scores[best] else None


def _score(engine: duckdb.DuckDBPyConnection, lines: pa.Table, select: str) -> int:
    engine.register("lines", lines)
    ((count,),) = engine.execute(_REQUESTS.format(select=select)).fetchall()
    engine.unregister("lines")
    return int(count)


def _first(head: pa.Table) -> pa.Table:
    return head.slice(0, LOOKED_AT)
