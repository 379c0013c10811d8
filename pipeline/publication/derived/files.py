"""Shares and indices as files of a bundle. Equal bundles have equal bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.publication.derived.within import columns_of, dimensions_of
from pipeline.publication.encoding import escape
from pipeline.release.artefact import TableFacts

DERIVED: Final = "derived"  # name of the files; no table of a release may have it, since it is written after them
_DAYS: Final = ("period_start", "period_end")
_NUMBERS: Final = ("value", "value_lo", "value_hi")


def derived_schema(tables: Sequence[TableFacts]) -> pa.Schema:
    """Names and types of the columns."""
    types = dict.fromkeys(_DAYS, pa.date32()) | dict.fromkeys(_NUMBERS, pa.float64())
    return pa.schema([(name, types.get(name, pa.string())) for name in columns_of(tables)])


def derived_parquet(frame: pd.DataFrame, tables: Sequence[TableFacts]) -> bytes:
    """Derived numbers as Parquet, without a time of writing."""
    days = {name: pd.to_datetime(frame[name]).dt.date for name in _DAYS}
    table = pa.Table.from_pandas(frame.assign(**days), schema=derived_schema(tables), preserve_index=False)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="snappy")
    return sink.getvalue()


def derived_csv(frame: pd.DataFrame, tables: Sequence[TableFacts]) -> bytes:
    """Derived numbers as CSV, in the form of the tables."""
    texts = ["table", *dimensions_of(tables), "measure", "statistic"]
    shown = frame.assign(**{name: escape(frame[name].fillna("")) for name in texts})
    return shown.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
