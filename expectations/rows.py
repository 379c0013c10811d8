"""Each row of a table says what it is of, once, and its columns agree with each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from expectations.base import NUMBERS, REMAINDER, TOTAL, TableExpectation, VerdictExpectation, column, listed, of


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
    """One total; groups name keys from the first dimension on; a remainder stands in the last dimension it names.

    Args:
        people: Name of the measure that every group has.
    """

    people: str

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
        return bool(fits.all() and gapless and of(frame, self.people)["kind"].eq("total").sum() == 1)


class ExpectEachGroupToStandOnce(TableExpectation):
    """No two rows are of the same measure of the same group."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return not frame.duplicated([*self.dimensions, "measure"]).any()


class ExpectEveryMeasureOfListedGroups(TableExpectation):
    """A group whose people are listed has a row of each measure, in their order; a withheld one has that of people.

    Args:
        measures: Their names in order; people first.
    """

    measures: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        if frame[self.dimensions].isna().any(axis=None):
            return False
        groups = frame.groupby(self.dimensions, sort=False)
        places, rows = groups.cumcount(), groups["measure"].transform("size")
        wanted = places.map(dict(enumerate(self.measures))).to_numpy(dtype=object)
        of_people = places.eq(0)
        most = frame.loc[of_people, "value"].notna().map({True: len(self.measures), False: 1})
        named = frame["measure"].to_numpy(dtype=object) == wanted
        return bool(named.all() and (rows[of_people].to_numpy() == most.to_numpy()).all())


class ExpectStatusToAgreeWithValues(VerdictExpectation):
    """A listed row (A or U, F) shows everything; a withheld one (Q, C or D) shows nothing; there is nothing between.

    Args:
        withheld: Measures of which a row may be withheld: people, which decide for the others, and means, of which
            some cannot be told.
    """

    withheld: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        free = frame["obs_status"].isin(["A", "U"]) & frame["conf_status"].eq("F")
        withheld = frame["obs_status"].eq("Q") & frame["conf_status"].isin(["C", "D"])
        shown = frame[NUMBERS].notna()
        nothing = withheld & ~shown.any(axis=1) & frame["measure"].isin(self.withheld)
        return bool(((free & shown.all(axis=1)) | nothing).all())


class ExpectDoubtToFollowPeople(TableExpectation):
    """What selection may have made too high is marked U, and nothing else is.

    Selection reads people. A remainder is marked where its parent or a listed sibling is, of which it is what is left;
    a mean where one of its two numbers is. No other total is ever marked.

    Args:
        totals: Measures that were drawn; people first.
        means: ``name``, ``numerator`` and ``denominator`` of each mean.
    """

    totals: list[str]
    means: list[dict[str, str]]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        people, *others = self.totals
        unmarked = not listed(frame[frame["measure"].isin(others)])["obs_status"].eq("U").any()
        return unmarked and self._remainders_fit(frame, people) and all(self._fits(frame, mean) for mean in self.means)

    def _remainders_fit(self, frame: pd.DataFrame, people: str) -> bool:
        parts = self.parts(frame, people)
        doubtful, rest = parts["obs_status"].eq("U"), parts["kind"].eq("remainder")
        siblings = (doubtful & ~rest).groupby(parts["parent"]).transform("any")
        wanted = siblings | parts["obs_status_above"].eq("U")
        return bool((doubtful == wanted)[rest].all())

    def _fits(self, frame: pd.DataFrame, mean: dict[str, str]) -> bool:
        marked = {role: self.rows(frame, name).set_index("path")["obs_status"].eq("U") for role, name in mean.items()}
        wanted = marked["numerator"] | marked["denominator"]
        return bool(marked["name"].eq(wanted.reindex(marked["name"].index)).all())


class ExpectNumbersOfTheirMeasure(VerdictExpectation):
    """Totals and the ends of their intervals are whole, and no number is negative.

    Args:
        totals: Measures that were drawn, which are whole numbers.
        columns: Those that hold numbers; of whole type where the table has no mean.
        has_means: Whether it has.
    """

    totals: list[str]
    columns: list[str]
    has_means: bool

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        types = frame[self.columns].dtypes
        is_kind = pd.api.types.is_float_dtype if self.has_means else pd.api.types.is_integer_dtype
        shown = listed(frame)
        totals = shown[shown["measure"].isin(self.totals)]
        whole = all((column(totals, name) % 1 == 0).all() for name in self.columns)
        return all(map(is_kind, types)) and whole and all((column(shown, name) >= 0).all() for name in self.columns)


class ExpectPeopleToReachTheMinimum(VerdictExpectation):
    """No displayed number of people is under k.

    Args:
        people: Name of the measure.
        k: Hard minimum of people.
    """

    people: str
    k: int

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return bool((column(listed(of(frame, self.people)), "value") >= self.k).all())


class ExpectPrivateKeysToBeReleased(TableExpectation):
    """Where keys are private, only groups are named whose people reached the threshold: listed or folded ones.

    Args:
        private: Dimensions whose keys are not public.
        people: Name of the measure by which groups are withheld.
    """

    private: list[str]
    people: str

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        is_private = np.array([False, *(name in self.private for name in self.dimensions)])
        people = of(frame, self.people)
        names_a_key = is_private[self.depth(people)] & people["kind"].eq("group").to_numpy(dtype=bool)
        return not (names_a_key & people["conf_status"].eq("C").to_numpy(dtype=bool)).any()


class ExpectIntervalsToHoldTheirValue(VerdictExpectation):
    """The displayed value lies in its interval, ends included."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = listed(frame)
        return bool((rows["value_lo"].le(rows["value"]) & rows["value"].le(rows["value_hi"])).fillna(value=False).all())
