"""Noise, thresholds and intervals of a table are those the release declares for its levels.

Computed here once more from the declared scale, so that a slip in the draw does not pass its own check.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from expectations.base import TOTAL, TableExpectation, listed


def standard_deviation(scale: float) -> float:
    """Of discrete Laplace noise, sqrt(2 a) / (1 - a) with a = exp(-1 / scale); 0 without noise."""
    return math.sqrt(2 * math.exp(-1 / scale)) / -math.expm1(-1 / scale) if scale else 0.0


def upper_tail(scale: float, least: int) -> float:
    """P[noise >= least] for a positive ``least``, a^least / (1 + a)."""
    return math.exp(-least / scale) / (1 + math.exp(-1 / scale)) if scale else 0.0


def half_width(scale: float, confidence: float = 0.95) -> int:
    """Smallest q with P[|noise| <= q] >= confidence."""
    if not scale:
        return 0
    # 2 P[noise >= q + 1] <= 1 - confidence; from one below the closed form on, which rounding may have moved
    guess = math.ceil(-scale * math.log((1 - confidence) / 2 * (1 + math.exp(-1 / scale)))) - 2
    return next(q for q in range(max(guess, 0), guess + 4) if 2 * upper_tail(scale, q + 1) <= 1 - confidence)


class ExpectEstimatesToReachTheirThreshold(TableExpectation):
    """Every listed total and group has a noisy estimate of at least its level's threshold.

    Args:
        thresholds: Of each depth, the total first.
    """

    thresholds: list[int]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = listed(frame)
        rows = rows[rows["kind"].ne("remainder")]
        return bool((rows["estimate"] >= np.array(self.thresholds)[self.depth(rows)]).all())


class ExpectNoiseToBeThatOfTheLevel(TableExpectation):
    """The stated deviation of a listed row is its level's; of a remainder, its parent's and listed siblings' together.

    Args:
        scales: Of the noise, of each depth, the total first.
    """

    scales: list[float]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = listed(frame)
        own = np.array([standard_deviation(scale) for scale in self.scales])
        depth = self.depth(rows)
        is_remainder = rows["kind"].eq("remainder").to_numpy(dtype=bool)
        combined = np.sqrt(own[np.maximum(depth - 1, 0)] ** 2 + self._siblings(rows) * own[depth] ** 2)
        return np.allclose(rows["noise_sd"], np.where(is_remainder, combined, own[depth]), rtol=1e-6, atol=1e-9)

    def _siblings(self, rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        # of each row: how many listed groups have the same parent
        depth = self.depth(rows)
        parent = rows[self.dimensions].astype(object)
        for place, name in enumerate(self.dimensions, start=1):
            parent[name] = parent[name].mask(depth == place, TOTAL)
        groups = rows["kind"].eq("group").astype(int)
        return groups.groupby([parent[name] for name in self.dimensions] + [depth]).transform("sum").to_numpy()


class ExpectIntervalsToBeAsWideAsTheNoise(TableExpectation):
    """An interval is the estimate and 95 % of the noise on either side, not under k, and holds the displayed value.

    A remainder's noise is the sum of several, so its interval is at least as wide as that of its parent.

    Args:
        scales: Of the noise, of each depth, the total first.
        k: Hard minimum of people.
    """

    scales: list[float]
    k: int

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        rows = listed(frame)
        value, low, high = (rows[name].to_numpy(dtype=float) for name in ("value", "value_lo", "value_hi"))
        is_remainder = rows["kind"].eq("remainder").to_numpy(dtype=bool)
        widths = np.array([half_width(scale) for scale in self.scales])
        margin = widths[self.depth(rows) - is_remainder]
        estimate = rows["estimate"].to_numpy(dtype=float)
        least = np.minimum(np.maximum(estimate - margin, self.k), value)
        most = np.maximum(estimate + margin, value)
        wide_enough = (low <= least) & (high >= most)
        return bool((wide_enough & (is_remainder | ((low == least) & (high == most)))).all())
