"""The draft of a period's requests: de-identified rows that still have their time, until visits are known.

A draft is a Parquet file in the folder that becomes staging, and is removed before it does. It holds what staging
holds and, in columns that begin with an underscore, what only this run needs; none of these is in staging.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.deidentify.error_lines import RequestErrors, beside_requests
from pipeline.deidentify.pseudonyms import people_between
from pipeline.deidentify.visits import NOWHERE, Requests, Steps, follow
from pipeline.progress import Progress, silent
from pipeline.vocabulary import ERROR_KINDS, ERROR_LEVELS, PAGE_VIEWS, VISITS

DRAFT: Final = "draft.parquet"
ROWS_A_BUCKET: Final = 2_000_000
ROWS_A_GROUP: Final = 250_000


@contextmanager
def appending(path: Path, compression: str) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what appends a table to a Parquet file, in a thread; where there never is one, there is no file.

    A table is written while the caller makes the next one.
    """
    writer: pq.ParquetWriter | None = None
    pending: Future[None] | None = None

    def put(rows: pa.Table) -> None:
        nonlocal writer
        # Without Arrow's own schema, columns are read back as plain strings.
        writer = writer or pq.ParquetWriter(file, rows.schema, compression=compression, store_schema=False)
        writer.write_table(rows)

    def write(rows: pa.Table) -> None:
        nonlocal pending
        if rows.num_rows:
            if pending is not None:
                pending.result()
            pending = thread.submit(put, rows)

    with path.open("wb") as file, ThreadPoolExecutor(1, "writing") as thread:
        try:
            yield write
            if pending is not None:
                pending.result()
        finally:
            wait([pending] if pending is not None else [])
            if writer is not None:  # before its file, whatever happened
                writer.close()
        file.flush()
        os.fsync(file.fileno())
    if writer is None:
        path.unlink()


def write_events(
    draft: Path, target: Path, sections: Sequence[str], errors: pa.Table | None, progress: Progress = silent
) -> int:
    """Write staging's events out of a draft, and remove it: visits are followed, and times are gone.

    Args:
        draft: Of one period.
        target: The file to write.
        sections: Keys of sections, in the order of their codes.
        errors: What error logs tell, see ``beside_requests``; None where there are no error logs.
        progress: Told the requests that were followed.

    Returns:
        The number of errors that have a request beside them.
    """
    with duckdb.connect(config={"temp_directory": "", "threads": os.cpu_count() or 1}) as engine:
        steps = _followed(engine, draft, progress)
        told = None if errors is None else beside_requests(engine, errors, draft, len(steps.begins))
    additions = _Additions(steps, told, tuple(sections))
    with pq.ParquetFile(draft) as file, appending(target, "zstd") as write:
        names = [name for name in file.schema_arrow.names if not name.startswith("_")]
        start = 0
        for batch in file.iter_batches(ROWS_A_GROUP, columns=[*names, "_section", "_viewed"]):
            write(additions.to(pa.table(batch), slice(start, start + batch.num_rows), names))
            start += batch.num_rows
    draft.unlink()
    return told.told if told else 0


@dataclass(frozen=True)
class _Additions:
    """What staging has beside the columns of the draft."""

    steps: Steps
    errors: RequestErrors | None
    sections: tuple[str, ...]

    def to(self, draft: pa.Table, rows: slice, names: Sequence[str]) -> pa.Table:
        """Some rows of staging, given the same of the draft."""
        section = draft.column("_section").to_numpy()
        came_from = self.steps.came_from[rows]
        columns = {name: draft.column(name) for name in names}
        columns |= {
            "entry_section": _keys(np.where(self.steps.enters[rows], section, NOWHERE), self.sections),
            "exit_section": _keys(np.where(self.steps.leaves[rows], section, NOWHERE), self.sections),
            "from_section": _keys(came_from, self.sections),
            "to_section": _keys(np.where(came_from != NOWHERE, section, NOWHERE), self.sections),
            VISITS: pa.array(self.steps.begins[rows].astype(np.int8)),
            PAGE_VIEWS: draft.column("_viewed").cast(pa.int8()),
        }
        if self.errors:
            columns["error_level"] = _keys(self.errors.level[rows], ERROR_LEVELS)
            columns["error_kind"] = _keys(self.errors.kind[rows], ERROR_KINDS)
        return pa.table(columns)


def _keys(codes: np.ndarray, keys: Sequence[str]) -> pa.DictionaryArray:
    """Codes as keys; below zero there is none."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int16), mask=codes < 0), pa.array(keys, pa.string()))


def _followed(engine: duckdb.DuckDBPyConnection, draft: Path, progress: Progress) -> Steps:
    """The steps of all requests, bucket by bucket of people, so that memory stays bounded."""
    rows = pq.read_metadata(draft).num_rows
    steps = Steps.none(rows)
    buckets = -(-rows // ROWS_A_BUCKET)
    for number in range(buckets):
        progress("following visits", number, buckets)
        found: dict[str, Any] = engine.execute(
            f"{_REQUESTS} WHERE {people_between(number, buckets)}", [str(draft)]
        ).fetchnumpy()
        row = found.pop("row")
        steps.put(row, follow(Requests(**found)))
    progress("following visits", buckets, buckets)
    return steps


# Sixty-four bits of a pseudonym: that two of ten million people share them has a chance of three in a million, and two
# visits would be one.
_REQUESTS: Final = """
    SELECT file_row_number AS row, ('0x' || left(person, 16))::UBIGINT AS person, _moment AS moment, _number AS place,
        _section AS section, _viewed AS viewed
    FROM read_parquet(?, file_row_number = true)"""
