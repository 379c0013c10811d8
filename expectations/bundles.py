"""What recipients read is what was released."""

from __future__ import annotations

import pandas as pd

from expectations.base import VerdictExpectation


class ExpectRowsToReadAsReleased(VerdictExpectation):
    """The rows of a table read from a file are those of the release: the same cells in the same order.

    The table it reads has the rows of several tables, each as often as there are sources: ``table`` and ``source``,
    then their cells.

    Args:
        table: Which table.
        source: Where it was read from.
        release: What the rows of the release have as their source.
    """

    table: str
    source: str
    release: str

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        of_table = frame[frame["table"].eq(self.table)]
        read, released = (
            of_table[of_table["source"].eq(source)].drop(columns="source").reset_index(drop=True)
            for source in (self.source, self.release)
        )
        return bool(len(released)) and read.equals(released)
