"""A table beside the same table of the release before: what changed by more than noise, and a tolerance, explain.

The rules read the rows of both, told apart by ``when`` (``now`` or ``before``), and no true count. Two releases are
drawn independently, so that the variance of a difference of their estimates, given what is true, is the sum of both
variances. With a tolerance for what changes from one period to the next anyway, the z-score of a move is

    z = (|now - before| - tolerance * max(before, 0)) / sqrt(sd_now^2 + sd_before^2).

Its numerator alone may be large where noise is: small groups. Its denominator alone is small beside any real change:
large groups, whose people come and go by more than noise every week. A z over the limit is beyond both.

How often noise alone exceeds the limit: the difference of two Laplace variables is farther than x standard deviations
from 0 with probability (1 + x) exp(-2 x), 0.2 % at 4; of two Gaussians, with 0.006 %.

Without rows of before there is nothing to compare with, and every rule holds.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expectations.base import TableExpectation, column, of

NOW: Final = "now"
BEFORE: Final = "before"
WHEN: Final = "when"
_FOLDED: Final = "D"


class _DriftExpectation(TableExpectation):
    """A rule about a table and the one before.

    Args:
        tolerance: Which share of what it was, or of all groups, may change in a period without being remarkable.
        limit: How many standard deviations of the noise are still put down to noise.
    """

    tolerance: float
    limit: float

    def both(self, frame: pd.DataFrame, measure: str) -> pd.DataFrame:
        """The rows of one measure, each beside that of the same group: ``_now`` and ``_before``.

        Returns:
            One row a group of either release, by its path, empty on the side where it has none. No rows where there was
            nothing before.
        """
        now, before = (self._at(frame, measure, when) for when in (NOW, BEFORE))
        return now.add_suffix("_now").join(before.add_suffix("_before"), how="outer" if len(before) else "inner")

    def _at(self, frame: pd.DataFrame, measure: str, when: str) -> pd.DataFrame:
        rows = self.located(of(frame[frame[WHEN].eq(when)], measure).reset_index(drop=True)).set_index("path")
        return rows.assign(listed=rows["value"].notna())


def _moved_too_far(
    now: NDArray[np.float64],
    before: NDArray[np.float64],
    noise: NDArray[np.float64],
    rule: _DriftExpectation,
) -> NDArray[np.bool_]:
    """Where z is over the limit, or is no number."""
    beyond = np.abs(now - before) - rule.tolerance * np.maximum(before, 0)
    return np.asarray(~(beyond <= rule.limit * noise), dtype=bool)  # multiplied out: there may be no noise


class ExpectMovesToStayWithinToleranceAndNoise(_DriftExpectation):
    """No number that both releases list moved by more than the tolerance and its noise.

    Estimates are compared, not displayed numbers, which are rounded and never negative.

    Args:
        measure: Whose numbers.
        kind: Of which rows: ``total`` or ``group``. A remainder is of other groups each time.
    """

    measure: str
    kind: str

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        pairs = self.both(frame, self.measure)
        rows = pairs[pairs["kind_now"].eq(self.kind) & _is_true(pairs["listed_now"]) & _is_true(pairs["listed_before"])]
        noise = np.hypot(column(rows, "noise_sd_now"), column(rows, "noise_sd_before"))
        return not _moved_too_far(column(rows, "estimate_now"), column(rows, "estimate_before"), noise, self).any()


class ExpectGroupsToComeAndGoNearTheThreshold(_DriftExpectation):
    """A group that one release lists and the other withholds was so near the threshold that it need not have moved far.

    Withheld for too few people, its noisy count was under the threshold of its level. The rule is that for moves, with
    the highest number that is withheld in the place of the one that is not told, and the level's own noise. Groups that
    are folded to protect another, or whose parent is withheld, say nothing of their own number.

    Args:
        people: Name of the measure by which groups are withheld.
        thresholds: By ``when``, of each depth, the total first.
        deviations: Of the noise of one count, likewise.
    """

    people: str
    thresholds: dict[str, list[int]]
    deviations: dict[str, list[float]]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        pairs = self.both(frame, self.people)
        return self._holds(pairs, NOW, BEFORE) and self._holds(pairs, BEFORE, NOW)

    def _holds(self, pairs: pd.DataFrame, shown: str, hidden: str) -> bool:
        rows = self._shown_once(pairs, shown, hidden)
        depth = rows[f"depth_{shown}"].to_numpy(dtype=int)
        highest = np.array(self.thresholds[hidden], dtype=float)[depth] - 1
        noise = np.hypot(column(rows, f"noise_sd_{shown}"), np.array(self.deviations[hidden], dtype=float)[depth])
        # Where less was shown than might have been withheld, nothing need have moved at all.
        number = np.maximum(column(rows, f"estimate_{shown}"), highest)
        now, before = (number, highest) if shown == NOW else (highest, number)
        return not _moved_too_far(now, before, noise, self).any()

    def _shown_once(self, pairs: pd.DataFrame, shown: str, hidden: str) -> pd.DataFrame:
        """Totals and groups that one release lists, and the other withholds for too few people."""
        told = pairs[pairs[f"kind_{shown}"].isin(["total", "group"]) & _is_true(pairs[f"listed_{shown}"])]
        above = pairs.index[_is_true(pairs[f"listed_{hidden}"])]
        tellable = told[f"parent_{shown}"].isin(above) | told[f"depth_{shown}"].eq(0)
        withheld = ~_is_true(told[f"listed_{hidden}"]) & ~told[f"conf_status_{hidden}"].eq(_FOLDED).fillna(value=False)
        return told[tellable & withheld]


class ExpectWithheldShareToHold(_DriftExpectation):
    """The share of groups that are withheld changed by no more than the tolerance and what chance explains.

    McNemar's test ("Note on the sampling error of the difference between correlated proportions or percentages", 1947):
    where nothing changed, noise lists a group now and not before as often as the other way round. Of so many groups
    that are listed once, the difference between both kinds has their number as its variance. Groups count whose parent
    both releases list: only these are listed or withheld for themselves.

    Args:
        people: Name of the measure by which groups are withheld.
    """

    people: str

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        pairs = self.both(frame, self.people)
        is_group = pairs["kind_now"].eq("group") | pairs["kind_before"].eq("group")
        parents = pairs["parent_now"].combine_first(pairs["parent_before"])
        in_both = pairs.index[_is_true(pairs["listed_now"]) & _is_true(pairs["listed_before"])]
        groups = pairs[is_group & parents.isin(in_both)]
        now, before = (_is_true(groups[f"listed_{when}"]) for when in (NOW, BEFORE))
        came, went = int((now & ~before).sum()), int((before & ~now).sum())
        return bool(abs(came - went) - self.tolerance * len(groups) <= self.limit * np.sqrt(came + went))


def _is_true(flags: pd.Series[bool]) -> pd.Series[bool]:
    """Flags that may be missing, where a release has no such row."""
    return flags.eq(True).fillna(value=False).astype(bool)
