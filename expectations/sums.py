"""Parts add up to their totals, and a grouping reads the same wherever it stands."""

from __future__ import annotations

import itertools

import pandas as pd

from expectations.base import TOTAL, TableExpectation, VerdictExpectation, listed


class ExpectPartsToAddUpToTheirParent(TableExpectation):
    """Listed groups and their remainder add up to the row they are parts of, at every depth."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        levels = self.levels(listed(frame))
        families = zip(self.dimensions, itertools.pairwise(levels), strict=True)
        return all(self._adds_up(parents, children, split) for split, (parents, children) in families)

    def _adds_up(self, parents: pd.DataFrame, children: pd.DataFrame, split: str) -> bool:
        names = self.dimensions
        # parts: one row a parent that has parts; the key of the dimension that splits it is ``all`` again
        parts = children.assign(**{split: TOTAL}).astype(dict.fromkeys(names, object))
        sums = parts.groupby(names)["value"].sum().rename("parts").reset_index()
        both = sums.merge(parents[[*names, "value"]].astype(dict.fromkeys(names, object)), on=names)
        return bool(both["parts"].eq(both["value"]).all())


class ExpectNothingUnderAWithheldParent(TableExpectation):
    """What is part of a withheld row, or of none, is not listed: it would tell about the withheld row."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        levels = self.levels(listed(frame))
        families = zip(self.dimensions, itertools.pairwise(levels), strict=True)
        return all(self._has_parents(parents, children, split) for split, (parents, children) in families)

    def _has_parents(self, parents: pd.DataFrame, children: pd.DataFrame, split: str) -> bool:
        wanted = children[self.dimensions].assign(**{split: TOTAL}).astype(object).drop_duplicates()
        return len(wanted.merge(parents[self.dimensions].astype(object), on=self.dimensions)) == len(wanted)


class ExpectSharedGroupsToReadTheSame(VerdictExpectation):
    """A group that stands in several tables reads the same in all of them.

    The table it reads has one row a row of any table of the release: ``family`` (tables that count the same), ``path``
    (the group: dimensions and keys in drilling order), ``members`` (the same whatever the order), then the values.

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
