"""Errors, each told of the request it came with: the one nearest in time that has the same network address.

An error log names no user agent, so an error alone is nobody's; the request beside it is a visitor's. Addresses meet
as keyed pseudonyms only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
    """What error logs say of requests.

    Attributes:
        level: Of each request the code of its worst error, or ``NO_ERROR`` (int16).
        kind: Code of that error's kind, or ``NO_ERROR`` (int16).
        told: Errors that have a request beside them.
    """

    level: np.ndarray
    kind: np.ndarray
    told: int


def beside_requests(engine: duckdb.DuckDBPyConnection, errors: pa.Table, draft: Path, rows: int) -> RequestErrors:
    """Find each error's request.

    Args:
        engine: Has no raw value.
        errors: Of the schema ``ERRORS``: pseudonym of the address, microseconds since the period's start, codes.
        draft: Requests with ``_address``, ``_moment`` and ``_number``.
        rows: Of the draft.
    """
    level, kind = (np.full(rows, NO_ERROR, np.int16) for _ in range(2))
    engine.register("errors", errors)
    engine.execute("CREATE TEMP TABLE told AS SELECT row_number() OVER () AS error, * FROM errors")
    engine.unregister("errors")
    given = {"draft": str(draft), "farthest": FARTHEST_SECONDS * 1_000_000}
    found: Mapping[str, Any] = engine.execute(_NEAREST, given).fetchnumpy()
    engine.execute("DROP TABLE told")
    level[found["row"]], kind[found["row"]] = found["level"], found["kind"]
    return RequestErrors(level, kind, int(found["errors"].sum()))


# One row a request that has errors. Of requests of one moment the first line stands for all; of equally near ones the
# later, since most servers write errors first.
_NEAREST: Final = """
    WITH requests AS (
        SELECT _address AS address, _moment AS moment, arg_min(file_row_number, _number) AS row
        FROM read_parquet($draft, file_row_number = true) SEMI JOIN told ON _address = address
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
    FROM nearest JOIN told USING (error) GROUP BY row"""
