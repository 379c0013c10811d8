"""What the expectations about whole tables have in common: they answer yes or no, and nothing else."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from numpy.typing import NDArray

TOTAL = "all"
REMAINDER = "all other"
# What a listed row shows.
NUMBERS = ["value", "value_lo", "value_hi", "estimate", "noise_sd"]
STEP = "\x1f"  # unit separator, which no key holds


class VerdictExpectation(BatchExpectation):
    """A rule about a whole table.

    What a table holds never gets into the result: a rule that cannot be evaluated does not hold, and the error, which
    might quote a value, is dropped.
    """

    @abstractmethod
    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine[Any] | None = None,
    ) -> dict[str, Any]:
        assert execution_engine is not None
        frame = execution_engine.get_domain_records({"batch_id": self.batch_id})
        try:
            return {"success": bool(self.holds(frame))}
        except Exception:  # noqa: BLE001  whatever it is, it may quote a value
            return {"success": False}


class TableExpectation(VerdictExpectation):
    """A rule about one table that people drill down into.

    Args:
        dimensions: The table's dimensions in drilling order. A row of depth d names a key of the first d of them and
            says ``all`` in the others; depth 0 is the total.
    """

    dimensions: list[str]

    def depth(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Depth of each row: how many dimensions it names a key of."""
        return np.asarray((frame[self.dimensions].to_numpy(dtype=object) != TOTAL).sum(axis=1), dtype=np.int64)

    def located(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with ``depth``, ``path`` (the group), and ``parent``.

        That is the path of the row that they are a part of; of the total its own.
        """
        depth, path = self.depth(rows), pd.Series("", index=rows.index, dtype=object)
        parent = path
        for place, name in enumerate(self.dimensions, start=1):
            key = rows[name].astype(object)
            path, parent = path + key + STEP, parent + key.mask(depth == place, TOTAL) + STEP
        return rows.assign(depth=depth, path=path, parent=parent)

    def rows(self, frame: pd.DataFrame, measure: str) -> pd.DataFrame:
        """The rows that show a number of one measure.

        Returns:
            As ``located``. Beside them, with ``_above``, what the row shows that they are a part of: missing where it
            shows nothing.
        """
        rows = self.located(listed(of(frame, measure)).reset_index(drop=True))
        above = rows.set_index("path")[[*NUMBERS, "obs_status"]].add_suffix("_above")
        return rows.join(above, on="parent")

    def parts(self, frame: pd.DataFrame, measure: str) -> pd.DataFrame:
        """The same of all rows but the total."""
        rows = self.rows(frame, measure)
        return rows[rows["depth"] > 0]


def of(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure."""
    return frame[frame["measure"].eq(measure)]


def listed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that show a value."""
    return frame[frame["value"].notna()]


def column(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Numbers of a column; missing ones are NaN, which fits no rule."""
    return rows[name].to_numpy(dtype=float, na_value=np.nan)
