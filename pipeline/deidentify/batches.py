"""Batches of a source of people or orders: read ahead, looked at for payment data, handed to an engine in memory."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Generator, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.deidentify.accounting import Accounting
from pipeline.progress import Progress
from pipeline.site import CsvSource, DatabaseSource
from pipeline.sources.ahead import one_ahead
from pipeline.sources.payment import PaymentWatch, refuse_payment_names
from pipeline.sources.rows import Span
from pipeline.sources.tables import Table, open_table, require_columns

USED: Final = "used"
OPTED_OUT: Final = "opted out"
LEFT_OUT: Final = frozenset({OPTED_OUT, "signed up later", "outside the period", "no such customer"})
_SAMPLE: Final = 1_000  # values, by which a column is told to have few distinct ones
_PIECE: Final = 10_000  # rows; the engine shares a batch out over its threads by pieces


@dataclass(frozen=True)
class Stage:
    """What both sources are read with: a connection in memory, the period, and where paths begin."""

    connection: duckdb.DuckDBPyConnection
    start: dt.datetime
    end: dt.datetime
    base: Path
    progress: Progress


@dataclass(frozen=True)
class Reading:
    """A source that was opened, and what is read of it.

    Attributes:
        stage: Engine and period.
        table: The source.
        label: ``customers`` or ``orders``.
        columns: Those that are read; ``c0``, ``c1``, ... in batches.
    """

    stage: Stage
    table: Table
    label: str
    columns: tuple[str, ...]

    @classmethod
    def open(
        cls, stage: Stage, source: DatabaseSource | CsvSource, columns: Sequence[str], others: Sequence[str], label: str
    ) -> Reading:
        """Open a source, and check its header.

        Args:
            stage: Engine and period.
            source: What the site file declares.
            columns: Columns to read; one that is named twice is read once.
            others: Columns that must be there and are not read.
            label: For messages and progress.

        Raises:
            SourceError: It is missing, unreadable, not a table, or lacks a column; or a column is named as a payment
                instrument.
        """
        table = open_table(source, stage.base)
        refuse_payment_names(table.columns, label)
        read = tuple(dict.fromkeys(columns))
        require_columns(table, (*read, *others), label)
        return cls(stage, table, label, read)

    def place(self, column: str) -> str:
        """How a column is called in batches."""
        return f"c{self.columns.index(column)}"

    def batches(self, typed: Set[str] = frozenset(), span: Span | None = None) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Batches, each with the number of rows before it; text of few distinct values comes as a dictionary.

        Raises:
            SourceError: The source cannot be read to its end, or carries payment-instrument data.
        """
        watch, read = PaymentWatch(self.columns, self.label), 0
        with closing(one_ahead(_in_dictionaries(self.table.batches(self.columns, typed, span)))) as batches:
            for batch in batches:
                watch.look_at(self.stage.connection, batch)
                yield batch, read
                read += len(batch)
                self.stage.progress(f"reading {self.label}", read, None)
        watch.refuse()

    @property
    def rejected(self) -> Counter[str]:
        """Rows that could not be read, by reason; complete when the batches are."""
        return self.table.rejected


def _in_dictionaries(batches: Generator[pa.RecordBatch, None, None]) -> Generator[pa.RecordBatch, None, None]:
    """Batches whose columns of few distinct texts are dictionaries: each text is then looked at once."""
    with closing(batches):
        for batch in batches:
            columns = [_in_dictionary(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _in_dictionary(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    sample = column.slice(0, _SAMPLE)
    is_repeated = 2 * len(sample.dictionary_encode().dictionary) <= len(sample)
    return column.dictionary_encode() if is_repeated else column


def in_pieces(batch: pa.RecordBatch) -> pa.Table:
    """A batch as a table of which several threads can take a part each."""
    pieces = [batch.slice(start, _PIECE) for start in range(0, len(batch), _PIECE)]
    return pa.Table.from_batches(pieces, batch.schema)


def account(connection: duckdb.DuckDBPyConnection, table: str, rejected: Counter[str]) -> Accounting:
    """What became of the rows of a table with a column ``outcome``, and of those that were never in it."""
    outcomes = dict(connection.execute(f"SELECT outcome, count(*) FROM {table} GROUP BY outcome").fetchall())
    used = outcomes.pop(USED, 0)
    left_out = {reason: count for reason, count in sorted(outcomes.items()) if reason in LEFT_OUT}
    refused = Counter({reason: count for reason, count in outcomes.items() if reason not in LEFT_OUT}) + rejected
    read = used + sum(left_out.values()) + sum(refused.values())
    return Accounting(read, used, left_out, dict(sorted(refused.items())))
