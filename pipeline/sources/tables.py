"""Tables of people and orders: declared columns of a database table or a delimited file, as Arrow batches of text.

Nothing that is read is written anywhere: a batch lives in memory until its reader has generalised it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence, Set
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.site import CsvSource, DatabaseSource
from pipeline.sources.columnar import open_columnar
from pipeline.sources.delimited import CsvTable
from pipeline.sources.rows import Span


class Table(Protocol):
    """What the readers of tables have in common."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the source has, read or not."""

    @property
    def rejected(self) -> Counter[str]:
        """Rows that could not be read, by reason; complete when the batches are."""

    @property
    def place(self) -> str:
        """Which table this is, without credentials; another table has another."""

    def batches(
        self, names: Sequence[str], typed: Set[str] = frozenset(), span: Span | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The named columns and no others, as text, called ``c0``, ``c1``, ... in the order asked for; NULL stays.

        Args:
            names: Columns, any of them more than once.
            typed: Of these, columns that may come as whole numbers, dates or times, where the source has them so.
            span: Rows that are wanted, for a source that can look for them; it may give more.
        """


def open_table(source: DatabaseSource | CsvSource, base: Path) -> Table:
    """Open a source for reading; relative paths are relative to ``base``.

    Raises:
        SourceError: It is missing, unreadable, or not a table.
    """
    return open_columnar(source, base) if isinstance(source, DatabaseSource) else CsvTable.open(source, base)


def require_columns(table: Table, names: Sequence[str], label: str) -> None:
    """Check that the declared columns are there, each once.

    The header itself is not shown: where the file has none, it is somebody's record.

    Raises:
        SourceError: One is missing, or stands there twice.
    """
    for name in names:
        if (found := table.columns.count(name)) != 1:
            problem = "no such column" if found == 0 else f"{found} columns of that name"
            raise SourceError(
                f"{label}: the column that the site file declares as {name!r} must be there once",
                value=f"{problem} among the {len(table.columns)} of the header",
                remedy="Check the delimiter, the header line and the name in the site file.",
            )
