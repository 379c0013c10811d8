"""Bounded counts agree with each other: what holds by construction, whoever the people are.

The tables that these rules read have one row a group of a level: ``family`` (what counts the same, over groups that
drill down into each other), ``people_family`` (the family that counts the people of these groups), ``level`` (by which
dimensions), ``of_people``, ``group`` and ``parent`` (the group it is a part of; missing of a total), ``people`` (of
families of people only; in totals of a table over groups a lower bound), ``contributions``, ``max_groups``, ``limit``
(the most that one person adds to one group, or to all) and ``once`` (whether nobody is in two groups of it).
"""

from __future__ import annotations

import pandas as pd

from expectations.base import VerdictExpectation

_ROUNDED = 1 + 1e-12


class ExpectGroupsToStandOnce(VerdictExpectation):
    """No group stands twice in a family, so that there is one total at most."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return not frame.duplicated(["family", "group"]).any()


class ExpectCountsOfSomebody(VerdictExpectation):
    """A group of people has somebody, who contributes; no other count is negative, and none is missing."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        people = frame.loc[frame["of_people"], ["people", "contributions"]]
        others = frame.loc[~frame["of_people"], "contributions"]
        return bool(people.ge(1).fillna(value=False).all(axis=None) and others.ge(0).fillna(value=False).all())


class _LevelsExpectation(VerdictExpectation):
    """A rule about the levels of a specification.

    Args:
        levels: Of each, ``family``, ``people_family``, ``level``, and ``above``: the level that it divides, or nothing.
    """

    levels: list[dict[str, str]]


class ExpectPartsOfLevelsToAddUp(_LevelsExpectation):
    """The contributions of a level's groups add up to those of the level above, group by group.

    Every group but a total is a part of one that is there, and every group that a level divides has parts in it.

    Args:
        largest: Where counts end: a sum beyond it is cut off there.
    """

    largest: int

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        held = {(str(family), str(level)): rows for (family, level), rows in frame.groupby(["family", "level"])}
        pairs = [((one["family"], one["level"]), (one["family"], one["above"])) for one in self.levels if one["above"]]
        nothing = frame.iloc[:0]
        return all(self._fit(held.get(level, nothing), held.get(above, nothing)) for level, above in pairs)

    def _fit(self, parts: pd.DataFrame, wholes: pd.DataFrame) -> bool:
        counts = parts.assign(rough=parts["contributions"].astype(float))
        sums = counts.groupby("parent", dropna=False)[["contributions", "rough"]].sum()
        told = wholes.set_index("group")["contributions"]
        if set(sums.index) != set(told.index):
            return False
        told = told.reindex(sums.index)
        cut_off = told.eq(self.largest) & sums["rough"].ge(self.largest)
        return bool((sums["contributions"].eq(told) | cut_off).all())


class ExpectPeopleToFitTheirContributions(VerdictExpectation):
    """Everybody counts, and in no more groups than the bound lets.

    Contributions are as many as people at least, and ``max_groups`` times as many at most; where nobody is in two
    groups they are as many.
    """

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = frame[frame["of_people"]]
        people, counts = rows["people"].astype("int64"), rows["contributions"]
        within = people.le(counts) & _shared_out(counts, rows["max_groups"]).le(people)
        return bool((within & (people.eq(counts) | ~rows["once"])).all())


class ExpectPeopleOfPartsToFitTheirWhole(VerdictExpectation):
    """The people of a group are as many as those of its largest part at least, and as all parts' together at most."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        # Sums of floats never leave their range; below 10^11 people they are exact, and rounding hides nobody.
        rows = frame[frame["of_people"]].astype({"people": float})
        wholes = rows.set_index(["family", "group"])["people"]
        # one row a group that is divided, once for each level that divides it
        parts = rows[rows["parent"].notna()].groupby(["level", "family", "parent"])["people"]
        spans = parts.agg(["max", "sum"]).reset_index()
        told = wholes.reindex(pd.MultiIndex.from_frame(spans[["family", "parent"]])).to_numpy()
        return bool(((spans["max"].to_numpy() <= told) & (told <= spans["sum"].to_numpy() * _ROUNDED)).all())


class ExpectTotalsOfTheGroupsOfPeople(_LevelsExpectation):
    """Events and sums are told of exactly the groups that people are counted in."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        groups = frame.groupby(["family", "level"])["group"].agg(frozenset).to_dict()
        return all(
            groups.get((one["family"], one["level"])) == groups.get((one["people_family"], one["level"]))
            for one in self.levels
        )


class ExpectTotalsToStayWithinTheirLimit(VerdictExpectation):
    """Events and sums of a group are at most what one person may add times the people who count there."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        people = frame[frame["of_people"]].set_index(["family", "group"])["contributions"]
        others = frame[~frame["of_people"]]
        counted = people.reindex(pd.MultiIndex.from_frame(others[["people_family", "group"]]))
        least = _shared_out(others["contributions"], others["limit"])
        return bool((least.to_numpy() <= counted.to_numpy(dtype=float)).all())


def _shared_out(counts: pd.Series[int], most: pd.Series[int]) -> pd.Series[int]:
    """How many it takes at least, where each adds ``most``; divided, because a product may leave 64 bits."""
    return -(-counts // most)
