"""Parts add up to their totals, means are quotients, and a grouping reads the same wherever it stands."""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations.base import NUMBERS, TableExpectation, VerdictExpectation, column

# Estimates are sums of floats.
_RELATIVE = 1e-9
_ABSOLUTE = 1e-6


class _TotalsExpectation(TableExpectation):
    """A rule about the parts of every measure that was drawn, each beside the row that it is part of.

    Args:
        totals: Measures that were drawn.
    """

    totals: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return all(self.fits(self.parts(frame, name)) for name in self.totals)

    def fits(self, parts: pd.DataFrame) -> bool:
        """Whether it holds for one measure."""
        raise NotImplementedError


class ExpectPartsToAddUpToTheirParent(_TotalsExpectation):
    """Of every total, listed groups and their remainder add up exactly to the row they are parts of, at every depth."""

    def fits(self, parts: pd.DataFrame) -> bool:
        """Whether it holds for one measure."""
        families = parts.groupby("parent")
        sums = families["value"].sum() == families["value_above"].first()
        return bool(sums.fillna(value=False).all())


class ExpectEstimatesToAddUp(_TotalsExpectation):
    """The estimates of parts add up as well: a remainder's is what is left, and a complete family's are consistent."""

    def fits(self, parts: pd.DataFrame) -> bool:
        """Whether it holds for one measure."""
        families = parts.groupby("parent")
        sums, wholes = families["estimate"].sum(), families["estimate_above"].first()
        return np.allclose(sums, wholes, rtol=_RELATIVE, atol=_ABSOLUTE)


class ExpectNothingUnderAWithheldParent(_TotalsExpectation):
    """What is part of a withheld row, or of none, is not listed: it would tell about the withheld row."""

    def fits(self, parts: pd.DataFrame) -> bool:
        """Whether it holds for one measure."""
        return bool(parts["value_above"].notna().all())


class _MeansExpectation(TableExpectation):
    """A rule about means and the two totals that each is made of.

    Args:
        means: ``name``, ``numerator`` and ``denominator`` of each.
    """

    means: list[dict[str, str]]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return all(self.fits(self._beside(frame, mean)) for mean in self.means)

    def fits(self, rows: pd.DataFrame) -> bool:
        """Whether it holds for one mean: its numbers, and with ``_n`` and ``_d`` those of its two totals."""
        raise NotImplementedError

    def _beside(self, frame: pd.DataFrame, mean: dict[str, str]) -> pd.DataFrame:
        rows = self.rows(frame, mean["name"]).set_index("path")[NUMBERS]
        for role, ending in (("numerator", "_n"), ("denominator", "_d")):
            rows = rows.join(self.rows(frame, mean[role]).set_index("path")[NUMBERS].add_suffix(ending))
        return rows


class ExpectMeansToBeQuotients(_MeansExpectation):
    """A displayed mean is the quotient of two displayed numbers of its group."""

    def fits(self, rows: pd.DataFrame) -> bool:
        """Whether it holds for one mean."""
        return np.allclose(column(rows, "value") * column(rows, "value_d"), column(rows, "value_n"), rtol=1e-12, atol=0)


class ExpectMeansToBeAsSureAsTheirTotals(_MeansExpectation):
    """A mean's estimate and deviation follow from those of its two numbers, and its interval holds their corners.

    The deviation is the delta method's with independent errors; the ends are those of intervals at 97.5 %, which lie
    beyond the ends at 95 % that are listed.
    """

    def fits(self, rows: pd.DataFrame) -> bool:
        """Whether it holds for one mean."""
        numbers = {name: column(rows, name) for name in rows.columns}
        above, below, quotient = numbers["estimate_n"], numbers["estimate_d"], numbers["estimate"]
        deviation = np.hypot(numbers["noise_sd_n"], quotient * numbers["noise_sd_d"])
        wide = (numbers["value_lo"] * numbers["value_hi_d"] <= numbers["value_lo_n"] * (1 + _RELATIVE)) & (
            numbers["value_hi"] * numbers["value_lo_d"] >= numbers["value_hi_n"] * (1 - _RELATIVE)
        )
        agrees = np.allclose(quotient * below, above, rtol=_RELATIVE, atol=_ABSOLUTE)
        return bool(agrees and wide.all() and np.allclose(numbers["noise_sd"] * below, deviation, rtol=_RELATIVE))


class ExpectSharedGroupsToReadTheSame(VerdictExpectation):
    """A number that stands in several tables reads the same in all of them.

    The table it reads has one row a row of any table of the release: ``family`` (what counts the same in tables that
    share their levels), ``path`` (the group: dimensions and keys in drilling order), ``members`` (the same whatever the
    order), then the values.

    Args:
        columns: What must be the same.
        statuses: What must be the same besides where the drilling order is the same.
    """

    columns: list[str]
    statuses: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        shared = frame.groupby(["family", "members"])[self.columns].nunique()
        in_order = frame.groupby(["family", "path"])[[*self.columns, *self.statuses]].nunique(dropna=False)
        return bool(shared.le(1).all(axis=None) and in_order.le(1).all(axis=None))
