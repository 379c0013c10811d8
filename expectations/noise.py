"""Noise, thresholds and intervals of a table are those the release declares for its levels.

Computed here once more from the declared scale, so that a slip in the draw does not pass its own check. Estimates are
those of least squares over all levels that count the same: a row's own noisy count, or closer to the truth than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from expectations.base import TableExpectation, column, of

GAUSSIAN: Final = "discrete Gaussian"
_CONFIDENCE: Final = 0.95
# From this sigma on the discrete Gaussian is the rounded continuous one, to far below what is told.
_COARSE: Final = 1000
# Between these many standard deviations lies the half width of every error that is a sum of these noises: 1.96 of a
# Gaussian, 2.12 of a single Laplace variable; whole numbers move it by one or two.
_NARROWEST: Final = 1.9
_WIDEST: Final = 2.2
# Farther than so many standard deviations least squares moves nothing: below 1e-9 for a single Laplace variable.
_MOVED: Final = 15


@dataclass(frozen=True)
class Distribution:
    """Noise over whole numbers, symmetric around zero.

    Attributes:
        mechanism: ``discrete Laplace``, ``discrete Gaussian``, or ``none``.
        scale: Of Laplace noise, or sigma of Gaussian noise; 0 without noise.
    """

    mechanism: str
    scale: float

    @cached_property
    def sd(self) -> float:
        """Standard deviation: sqrt(2 a) / (1 - a) with a = exp(-1 / scale), or that of the discrete Gaussian."""
        if not self.scale:
            return 0.0
        if self.mechanism == GAUSSIAN:
            return self.scale if self.scale >= _COARSE else _gaussian(self.scale)[0]
        return math.sqrt(2 * math.exp(-1 / self.scale)) / -math.expm1(-1 / self.scale)

    def upper_tail(self, least: int) -> float:
        """P[noise >= least] for a positive ``least``."""
        if not self.scale:
            return 0.0
        if self.mechanism == GAUSSIAN and self.scale >= _COARSE:
            return float(norm.sf((least - 0.5) / self.scale))
        if self.mechanism == GAUSSIAN:
            tails = _gaussian(self.scale)[1]
            return float(tails[least]) if least < len(tails) else 0.0
        return math.exp(-least / self.scale) / (1 + math.exp(-1 / self.scale))

    @cached_property
    def half_width(self) -> int:
        """Smallest q with P[|noise| <= q] >= 95 %."""
        if not self.scale:
            return 0
        # 2 P[noise >= q + 1] <= 5 %; from below the continuous quantile on, which rounding may have moved
        guess = math.floor(norm.isf((1 - _CONFIDENCE) / 2) * self.sd) - 3
        return next(q for q in range(max(guess, 0), 4 * guess + 100) if 2 * self.upper_tail(q + 1) <= 1 - _CONFIDENCE)


@lru_cache(maxsize=256)
def _gaussian(sigma: float) -> tuple[float, NDArray[np.float64]]:
    # standard deviation; P[noise >= z] for z = 0, 1, ... up to 40 sigma, beyond which it is below 1e-300
    weights = np.exp(-(np.arange(math.ceil(40 * sigma) + 2) ** 2) / (2 * sigma**2))
    whole = weights[0] + 2 * weights[1:].sum()
    variance = 2 * (np.arange(len(weights)) ** 2 * weights).sum() / whole
    return math.sqrt(variance), np.cumsum(weights[::-1])[::-1] / whole


class _NoiseExpectation(TableExpectation):
    """A rule about a table's noise.

    Args:
        mechanism: Of the noise, one for the whole release.
        scales: Of the noise, by the name of each total of the table and then by depth, the table's total first.
        crossed: Totals whose levels are linked otherwise than by drilling down. Below the second depth their estimates
            may owe more to their parents than to themselves.
    """

    mechanism: str
    scales: dict[str, list[float]]
    crossed: list[str]

    def noises(self, rows: pd.DataFrame, measure: str) -> list[Distribution]:
        """Noise of each row's level."""
        of_depth = [Distribution(self.mechanism, scale) for scale in self.scales[measure]]
        return [of_depth[depth] for depth in rows["depth"]]

    def may_differ(self, rows: pd.DataFrame, measure: str) -> NDArray[np.bool_]:
        """Where an estimate may owe more to its parent."""
        return np.asarray(rows["depth"].ge(2).to_numpy(dtype=bool) & (measure in self.crossed), dtype=bool)


def _deviations(noises: list[Distribution]) -> NDArray[np.float64]:
    return np.array([noise.sd for noise in noises], dtype=float)


def _is_remainder(rows: pd.DataFrame) -> NDArray[np.bool_]:
    return rows["kind"].eq("remainder").to_numpy(dtype=bool)


def _unmoved(rows: pd.DataFrame, own: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows whose estimate is their own noisy count: least squares had nothing to add to it."""
    return np.asarray(np.isclose(column(rows, "noise_sd"), own, rtol=1e-9, atol=0) & ~_is_remainder(rows), dtype=bool)


class ExpectNoiseToStayWithinThatOfTheLevel(_NoiseExpectation):
    """The stated deviation of a listed row is above 0, and at most its level's, since least squares makes none worse.

    A remainder's is at most its parent's and its listed siblings' together; or, where all siblings were released, at
    most those of the folded ones, which it consists of, added up.

    Args:
        people: Name of the measure by which groups are withheld.
        private: Dimensions whose keys are not public: of them nobody knows that all were released.
    """

    people: str
    private: list[str]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        folded = self._folded(self.located(of(frame, self.people)))
        return all(self._holds(self.rows(frame, measure), measure, folded) for measure in self.scales)

    def _folded(self, rows: pd.DataFrame) -> pd.Series[int]:
        # parent -> how many children it consists of that are not listed, where all are known to have been released
        own_dimension = rows["depth"].map(dict(enumerate(self.dimensions, start=1)))
        unknown = rows["conf_status"].eq("C") | own_dimension.isin(self.private)
        folded = rows["conf_status"].eq("D").groupby(rows["parent"]).sum()
        return folded.where(~unknown.groupby(rows["parent"]).any(), 0).astype(int)

    def _holds(self, rows: pd.DataFrame, measure: str, folded: pd.Series[int]) -> bool:
        own = _deviations(self.noises(rows, measure))
        stated, above = column(rows, "noise_sd"), column(rows, "noise_sd_above")
        # What a family hangs from may be known worse than the family, which then is told as its parent is.
        own_at_most = np.where(self.may_differ(rows, measure), np.maximum(own, above), own)
        of_folded = rows["parent"].map(folded).to_numpy(dtype=float) * own_at_most
        left = np.maximum(np.sqrt(above**2 + _siblings(rows)), of_folded)
        at_most = np.where(_is_remainder(rows), left, own_at_most)
        return bool((((stated > 0) | (own == 0)) & (stated <= at_most * (1 + 1e-9))).all())


def _siblings(rows: pd.DataFrame) -> NDArray[np.float64]:
    # of each row: the variances of all listed groups with its parent, added up
    variance = (rows["noise_sd"] ** 2).where(rows["kind"].eq("group") & rows["depth"].gt(0), 0.0)
    return variance.groupby(rows["parent"]).transform("sum").to_numpy(dtype=float)


class ExpectEstimatesToReachTheirThreshold(_NoiseExpectation):
    """Every listed total and group has a noisy count of at least its level's threshold, as far as can be seen.

    Where least squares added nothing, the estimate is that count. Elsewhere it was moved, by something with a variance
    of what was gained.

    Args:
        people: Name of the measure of people, by which groups are selected.
        thresholds: Of each depth, the total first.
    """

    people: str
    thresholds: list[int]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = self.rows(frame, self.people)
        own, stated = _deviations(self.noises(rows, self.people)), column(rows, "noise_sd")
        gained = np.sqrt(np.maximum(own**2 - stated**2, 0))
        moved = np.where(self.may_differ(rows, self.people), own + stated, gained)
        least = np.array(self.thresholds, dtype=float)[rows["depth"]] - _MOVED * np.where(_unmoved(rows, own), 0, moved)
        return bool((_is_remainder(rows) | (column(rows, "estimate") >= least)).all())


class ExpectRowsNearTheThresholdToBeMarked(_NoiseExpectation):
    """What lies nearer to the threshold than 95 % of the noise is marked U, and what lies farther from it is not.

    Selection reads noisy counts, which can be seen where least squares added nothing to them.

    Args:
        people: Name of the measure of people, by which groups are selected.
        thresholds: Of each depth, the total first.
    """

    people: str
    thresholds: list[int]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = self.rows(frame, self.people)
        noises = self.noises(rows, self.people)
        reach = np.array(self.thresholds)[rows["depth"]] + np.array([noise.half_width for noise in noises], dtype=float)
        near = (column(rows, "estimate") < reach) & (_deviations(noises) > 0)
        marked = rows["obs_status"].eq("U").to_numpy(dtype=bool)
        return bool((marked == near)[_unmoved(rows, _deviations(noises))].all())


class ExpectIntervalsToBeAsWideAsTheNoise(_NoiseExpectation):
    """An interval is the whole numbers within 95 % of the noise of the estimate, not under the least there can be.

    Exactly so where the estimate is the row's own noisy count; elsewhere as wide as its deviation makes it.

    Args:
        least: By total, what no displayed number is under: k of people, otherwise 0.
    """

    least: dict[str, int]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return all(self._holds(self.rows(frame, measure), measure) for measure in self.scales)

    def _holds(self, rows: pd.DataFrame, measure: str) -> bool:
        noises, stated = self.noises(rows, measure), column(rows, "noise_sd")
        widths = np.array([noise.half_width for noise in noises], dtype=float)
        exact = _unmoved(rows, _deviations(noises))
        slack = np.array([noise.scale >= _COARSE for noise in noises], dtype=float)
        narrow = np.where(exact, widths - slack, np.maximum(_NARROWEST * stated - 1, 0))
        wide = np.where(exact, widths + slack, _WIDEST * stated + 2)
        (low, high), (lower, higher) = self._ends(rows, narrow, measure), self._ends(rows, wide, measure)
        found_low, found_high = column(rows, "value_lo"), column(rows, "value_hi")
        return bool(((lower <= found_low) & (found_low <= low) & (high <= found_high) & (found_high <= higher)).all())

    def _ends(
        self, rows: pd.DataFrame, width: NDArray[np.float64], measure: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        value, estimate = column(rows, "value"), column(rows, "estimate")
        low, high = np.ceil(estimate - width), np.floor(estimate + width)
        return np.minimum(np.maximum(low, self.least[measure]), value), np.maximum(high, value)
