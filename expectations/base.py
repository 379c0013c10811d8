"""What the expectations about whole tables have in common: they answer yes or no, and nothing else."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation

TOTAL = "all"
REMAINDER = "all other"


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

    def depth(self, frame: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Depth of each row: how many dimensions it names a key of."""
        return np.asarray((frame[self.dimensions].to_numpy(dtype=object) != TOTAL).sum(axis=1), dtype=np.int64)

    def levels(self, frame: pd.DataFrame) -> list[pd.DataFrame]:
        """The rows of each depth, from the total down."""
        depth = self.depth(frame)
        return [frame[depth == place] for place in range(len(self.dimensions) + 1)]


def listed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that show a value."""
    return frame[frame["value"].notna()]
