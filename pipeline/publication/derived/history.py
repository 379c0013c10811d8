"""All periods of a product in one tidy table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.publication.derived.within import dimensions_of
from pipeline.publication.encoding import escape
from pipeline.publication.reading import ReadBundle
from pipeline.publication.views import LEADING_COLUMNS, TRAILING_COLUMNS

_NUMBERS: Final = ("value", "value_lo", "value_hi", "estimate", "noise_sd")


def history(bundles: Sequence[ReadBundle], table: str | None = None) -> pd.DataFrame:
    """The rows of several editions of a product, one below the other.

    Args:
        bundles: Of each period one: the newest revision that stands.
        table: Of one table; of all by default.

    Returns:
        One row a period, table, group and measure, by period; columns: ``period``, those of a published table with
        ``table`` before its dimensions, and every dimension that any of them has, missing where a table does not have
        it.
    """
    ordered = sorted(bundles, key=lambda bundle: bundle.manifest.identity.period_start)
    facts = [one for bundle in ordered for one in bundle.manifest.tables if table in (None, one.name)]
    parts = [
        bundle.tables[one.name].assign(period=bundle.manifest.identity.period, table=one.name)
        for bundle in ordered
        for one in bundle.manifest.tables
        if table in (None, one.name)
    ]
    names = ["period", *LEADING_COLUMNS, "table", *dimensions_of(facts), *TRAILING_COLUMNS]
    numbers = dict.fromkeys(_NUMBERS, "Float64")  # of several tables, of which some have whole numbers
    every = pd.concat([part.astype(numbers) for part in parts], ignore_index=True) if parts else pd.DataFrame()
    made = every.reindex(columns=names)
    kinds = {"is_total": "boolean", "revision": "Int64"} | numbers
    return made.astype(kinds | {name: "string" for name in names if name not in kinds})


def history_parquet(frame: pd.DataFrame) -> bytes:
    """A history as Parquet, without a time of writing."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    days = [table.column(name).cast(pa.date32()) for name in LEADING_COLUMNS]
    for name, column in zip(LEADING_COLUMNS, days, strict=True):
        table = table.set_column(table.schema.get_field_index(name), name, column)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), sink, compression="snappy")
    return sink.getvalue()


def history_csv(frame: pd.DataFrame) -> bytes:
    """A history as CSV: UTF-8 with a byte order mark, CRLF, text that a spreadsheet would run escaped."""
    texts = [str(name) for name in frame.columns if pd.api.types.is_string_dtype(frame[name])]
    shown = frame.assign(**{name: escape(frame[name].fillna("")) for name in texts})
    shown["is_total"] = shown["is_total"].map({True: "true", False: "false"})
    return shown.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
