"""Published tables as bytes: Parquet, which is canonical, and CSV for spreadsheets. Equal tables have equal bytes."""

from __future__ import annotations

import io
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import VerificationError
from pipeline.publication.views import column_order, means
from pipeline.release.artefact import TableFacts

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")

_TYPES: Final = {
    "period_start": pa.date32(),
    "period_end": pa.date32(),
    "value": pa.int64(),
    "value_lo": pa.int64(),
    "value_hi": pa.int64(),
    "estimate": pa.float64(),
    "noise_sd": pa.float64(),
    "is_total": pa.bool_(),
    "revision": pa.int32(),
}
# Whole numbers, but of tables with a mean.
_NUMBERS: Final = ("value", "value_lo", "value_hi")
_PANDAS_TYPES: Final[dict[pa.DataType, Any]] = {
    pa.int32(): "Int64",
    pa.int64(): "Int64",
    pa.float64(): "Float64",
    pa.bool_(): "boolean",
}


def arrow_schema(facts: TableFacts) -> pa.Schema:
    """Names and types of a published table's columns; whatever is not listed above is text."""
    types = _TYPES | (dict.fromkeys(_NUMBERS, pa.float64()) if means(facts) else {})
    return pa.schema([(name, types.get(name, pa.string())) for name in column_order(facts.dimensions)])


def parquet_bytes(frame: pd.DataFrame, facts: TableFacts) -> bytes:
    """A published table as Parquet, without a time of writing."""
    table = pa.Table.from_pandas(frame, schema=arrow_schema(facts), preserve_index=False)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="snappy")
    return sink.getvalue()


def read_parquet(content: bytes, facts: TableFacts) -> pd.DataFrame:
    """Read what ``parquet_bytes`` wrote.

    Raises:
        VerificationError: It is no Parquet file, or its columns or their types are others.
    """
    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError):
        raise VerificationError("a .parquet file must be Parquet", remedy="Download it again.") from None
    expected = arrow_schema(facts)
    if not table.schema.equals(expected):
        raise VerificationError(
            "a published table must have the published columns and types",
            value=", ".join(str(name) for name in table.schema.names)[:200],
            remedy="Download it again.",
        )
    return pd.DataFrame({name: _as_pandas(table[name]) for name in expected.names})


def csv_bytes(frame: pd.DataFrame, facts: TableFacts) -> bytes:
    """A published table as CSV: UTF-8 with a byte order mark, CRLF, text cells escaped, missing cells empty."""
    shown = escaped(frame, facts)
    shown["is_total"] = shown["is_total"].map({True: "true", False: "false"})
    return shown.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def read_csv(content: bytes, facts: TableFacts) -> pd.DataFrame:
    """Read what ``csv_bytes`` wrote; text cells stay escaped.

    Raises:
        VerificationError: It is no such file.
    """
    try:
        text = pd.read_csv(io.BytesIO(content), dtype="string", keep_default_na=False, encoding="utf-8-sig")
        return pd.DataFrame({field.name: _parsed(text[field.name], field.type) for field in arrow_schema(facts)})
    except (ValueError, KeyError, TypeError):
        raise VerificationError(
            "a .csv file must have the columns and the types of its table", remedy="Download it again."
        ) from None


def escaped(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    """The table as its CSV shows it: an apostrophe before text that a spreadsheet would run."""
    text = [name for name in column_order(facts.dimensions) if name not in _TYPES]
    return frame.assign(**{name: escape(frame[name]) for name in text})


def escape(column: pd.Series[str]) -> pd.Series[str]:
    """Put an apostrophe before each text that a spreadsheet would take for a formula."""
    return column.where(~column.str.startswith(FORMULA_STARTS), "'" + column)


def _as_pandas(column: pa.ChunkedArray) -> pd.Series[Any]:
    if pa.types.is_date32(column.type):
        return pd.Series(column.cast(pa.string()).to_pylist(), dtype="string")
    cells: pd.Series[Any] = pd.Series(column.to_pylist(), dtype=_PANDAS_TYPES.get(column.type, "string"))
    return cells


def _parsed(column: pd.Series[str], kind: pa.DataType) -> pd.Series[Any]:
    cells: pd.Series[Any] = column
    if pa.types.is_boolean(kind):
        cells = column.map({"true": True, "false": False})
    elif kind in _PANDAS_TYPES:
        cells = column.mask(column == "")
    return cells.astype(_PANDAS_TYPES.get(kind, "string"))
