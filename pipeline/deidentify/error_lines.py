"""Errors, each told of the request it came with: the one nearest in time that has the same network address.

An error log names no user agent, so an error alone is nobody's; the request beside it is a visitor's. Addresses meet
as keyed pseudonyms only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

# A server writes an error while it answers, and the request when it has answered, or when it has come.
FARTHEST_SECONDS: Final = 60
NO_ERROR: Final = -1
ERRORS: Final = pa.schema(
    [("address", pa.uint64()), ("moment", pa.int64()), ("level", pa.int16()), ("kind", pa.int16())]
)


@dataclass(frozen=True)
class RequestErrors:
    """What error logs say of requests; arrays of one length, one element a request that has errors.

    Attributes:
        row: Of the request, ascending (int64).
        level: Code of its worst error (int16).
        kind: Code of that error's kind (int16).
        told: Errors that have a request beside them.
    """

    row: np.ndarray
    level: np.ndarray
    kind: np.ndarray
    told: int

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level and kind of some requests by their rows, or ``NO_ERROR`` (int16)."""
        level, kind = (np.full(len(rows), NO_ERROR, np.int16) for _ in range(2))
        if len(self.row):
            place = np.minimum(np.searchsorted(self.row, rows), len(self.row) - 1)
            found = self.row[place] == rows
            level[found], kind[found] = self.level[place[found]], self.kind[place[found]]
        return level, kind


def beside_requests(engine: duckdb.DuckDBPyConnection, errors: pa.Table, drafts: Mapping[str, int]) -> RequestErrors:
    """Find each error's request.

    Args:
        engine: Has no raw value, and can read the drafts.
        errors: Of the schema ``ERRORS``: pseudonym of the address, microseconds since the period's start, codes.
        drafts: Requests with ``_address``, ``_moment`` and ``_number``: the address of each file, and how many rows
            the files before it have.
    """
    starts = pa.table({"filename": [*drafts], "start": pa.array(drafts.values(), pa.int64())})
    engine.register("errors", errors)
    engine.register("starts", starts)
    engine.execute("CREATE TEMP TABLE told AS SELECT row_number() OVER () AS error, * FROM errors")
    engine.unregister("errors")
    given = {"drafts": [*drafts], "farthest": FARTHEST_SECONDS * 1_000_000}
    found: Mapping[str, Any] = engine.execute(_NEAREST, given).fetchnumpy()
    engine.execute("DROP TABLE told")
    engine.unregister("starts")
    level, kind = (found[name].astype(np.int16) for name in ("level", "kind"))
    return RequestErrors(found["row"].astype(np.int64), level, kind, int(found["errors"].sum()))


# One row a request that has errors. Of requests of one moment the first line stands for all; of equally near ones the
# later, since most servers write errors first.
_NEAREST: Final = """
    WITH requests AS (
        SELECT _address AS address, _moment AS moment, arg_min(start + file_row_number, _number) AS row
        FROM read_parquet($drafts, file_row_number = true, filename = true)
        SEMI JOIN told ON _address = address
        JOIN starts USING (filename)
        GROUP BY ALL
    ), beside AS (
        SELECT error, row, told.moment - requests.moment AS distance, 1 AS earlier
        FROM told ASOF JOIN requests ON told.address = requests.address AND told.moment >= requests.moment
        UNION ALL
        SELECT error, row, requests.moment - told.moment, 0
        FROM told ASOF JOIN requests ON told.address = requests.address AND told.moment <= requests.moment
    ), nearest AS (
        SELECT error, arg_min(row, (distance, earlier)) AS row FROM beside WHERE distance <= $farthest GROUP BY error
    )
    SELECT row, count(*) AS errors, min((level, kind))[1] AS level, min((level, kind))[2] AS kind
    FROM nearest JOIN told USING (error) GROUP BY row ORDER BY row"""
