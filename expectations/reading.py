"""Every line that was read ended in one place, and not too many of them were rejected.

The tables that these rules read have one row a place where lines of a source ended: ``source``, ``became`` (``read``,
``used``, ``left out``, ``rejected``; beside these ``carried``, of those used, and ``in files``, a count of their own),
and ``lines``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations.base import VerdictExpectation

_ENDS = ["used", "left out", "rejected"]
_COUNTS = ["read", *_ENDS, "carried", "in files"]


class ExpectEveryLineToEndInOnePlace(VerdictExpectation):
    """Of each source, the lines used, left out and rejected add up to those read; no number is negative."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        counts = _by_source(frame)
        alike = counts["read"].eq(counts[_ENDS].sum(axis=1)).all()
        return bool(alike and frame["lines"].ge(0).all())


class ExpectLinesOfFilesToBeCounted(VerdictExpectation):
    """Where it was counted how many lines the files of a source hold, so many were read."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        counts = _by_source(frame)
        told = counts.index.isin(frame.loc[frame["became"].eq("in files"), "source"])
        return bool(counts["read"].eq(counts["in files"])[told].all())


class ExpectRejectedShareToStayWithinLimit(VerdictExpectation):
    """Of the lines read from each source, no more than a share was rejected.

    Lines that were carried over were not read again: they are not among those that the share is of.

    Args:
        limits: By source, from 0 to 1.
    """

    limits: dict[str, float]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        counts = _by_source(frame)
        fresh = (counts["read"] - counts["carried"]).to_numpy(dtype=float)
        rejected = counts["rejected"].to_numpy(dtype=float)
        # In the very arithmetic of reading: a share that was let in then is let in here.
        shares = np.divide(rejected, fresh, out=np.where(rejected > 0, np.inf, 0.0), where=fresh > 0)
        limits = np.array([self.limits[source] for source in counts.index], dtype=float)
        return bool((shares <= limits).all())


class ExpectCarriedRowsToBeUsed(VerdictExpectation):
    """Rows are carried over of some sources only, and every one of them is used.

    Args:
        carrying: Names of the sources.
    """

    carrying: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        counts = _by_source(frame)
        strange = counts.loc[~counts.index.isin(self.carrying), "carried"]
        return bool(counts["carried"].between(0, counts["used"]).all() and strange.eq(0).all())


def _by_source(frame: pd.DataFrame) -> pd.DataFrame:
    # one row a source, one column a place
    sums = frame.groupby(["source", "became"])["lines"].sum().unstack(fill_value=0)
    return sums.reindex(columns=_COUNTS, fill_value=0)
