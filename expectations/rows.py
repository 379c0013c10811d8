"""Each row of a table says what it is of, once, and its columns agree with each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations.base import REMAINDER, TOTAL, TableExpectation, VerdictExpectation, listed

_SHOWN = ["value", "value_lo", "value_hi", "estimate", "noise_sd"]


class ExpectColumnsToBeDeclared(VerdictExpectation):
    """The columns are exactly the declared ones, in their order.

    Great Expectations' own ``ExpectTableColumnsToMatchOrderedList`` would do, but that its page cannot be made where a
    result holds no observed value.

    Args:
        columns: Names of all columns.
    """

    columns: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return list(frame.columns) == self.columns


class ExpectKeysToFitTheKindOfRow(TableExpectation):
    """One total; groups name keys from the first dimension on; a remainder stands in the last dimension it names."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        # one row a row of the table, one column a dimension
        keys = frame[self.dimensions].to_numpy(dtype=object)
        named, remainders = keys != TOTAL, keys == REMAINDER
        places, depth = np.arange(1, len(self.dimensions) + 1), named.sum(axis=1)[:, None]
        at_depth = np.equal(places, depth)
        shapes = {
            "total": depth[:, 0] == 0,
            "group": (depth[:, 0] > 0) & ~remainders.any(axis=1),
            "remainder": (depth[:, 0] > 0) & (remainders == at_depth).all(axis=1),
        }
        kinds = [frame["kind"].eq(kind).to_numpy(dtype=bool) for kind in shapes]
        fits = np.select(kinds, list(shapes.values()), default=False)
        gapless = (named == (places <= depth)).all()
        return bool(fits.all() and gapless and frame["kind"].eq("total").sum() == 1)


class ExpectEachGroupToStandOnce(TableExpectation):
    """No two rows are of the same group."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return not frame.duplicated(self.dimensions).any()


class ExpectStatusToAgreeWithValues(VerdictExpectation):
    """A listed row (A, F) shows everything; a withheld one (Q with C or D) shows nothing; there is nothing between."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        free = frame["obs_status"].eq("A") & frame["conf_status"].eq("F")
        withheld = frame["obs_status"].eq("Q") & frame["conf_status"].isin(["C", "D"])
        shown = frame[_SHOWN].notna()
        return bool(((free & shown.all(axis=1)) | (withheld & ~shown.any(axis=1))).all())


class ExpectCountsToBeWholeNumbers(VerdictExpectation):
    """Counts are whole numbers and none is negative.

    Args:
        columns: Those that hold counts.
    """

    columns: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        counts = frame[self.columns]
        return all(map(pd.api.types.is_integer_dtype, counts.dtypes)) and not counts.lt(0).any(axis=None)


class ExpectIntervalsToHoldTheirValue(VerdictExpectation):
    """The displayed value lies in its interval, ends included."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = listed(frame)
        return bool((rows["value_lo"].le(rows["value"]) & rows["value"].le(rows["value_hi"])).fillna(value=False).all())
