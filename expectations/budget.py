"""The levels' shares, scales and thresholds follow from epsilon, delta and k.

These read one row a level: ``epsilon``, ``delta`` and ``delta_selection`` as written, ``max_groups``, ``mechanism``,
``scale``, ``noise_sd``, ``threshold``, ``k``, and ``contribution``: how much one person can change one count by.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd

from expectations.base import VerdictExpectation
from expectations.noise import standard_deviation, upper_tail

# Deltas are written with three digits, epsilons with more.
_ROUNDING = Fraction(1, 100)


class ExpectSharesToStayWithinTheBudget(VerdictExpectation):
    """What the levels spend adds up to no more than the release may.

    Args:
        column: ``epsilon`` or ``delta``; decimals, several in one text with ``+`` between them.
        budget: Of the release, as it is written.
        rounding: By which share of itself the sum may exceed the budget because shares are written rounded.
    """

    column: str
    budget: str
    rounding: float

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        if self.budget == "inf":
            return True
        spent = sum((Fraction(part) for share in frame[self.column] for part in share.split("+")), Fraction(0))
        return 0 < spent <= Fraction(self.budget) * (1 + Fraction(str(self.rounding)))


class ExpectNoiseUnlessEpsilonIsInfinite(VerdictExpectation):
    """A level has no noise if and only if its epsilon is infinite, which no specification can ask for."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        silent = frame["epsilon"].eq("inf")
        return bool(frame["mechanism"].eq("none").eq(silent).all() and frame["scale"].eq(0).eq(silent).all())


class ExpectScaleToFollowEpsilon(VerdictExpectation):
    """The scale of a level's noise is max_groups / epsilon."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return np.allclose(frame["scale"], frame["max_groups"] / frame["epsilon"].astype(float), rtol=1e-6, atol=0)


class ExpectDeviationToFollowScale(VerdictExpectation):
    """The stated standard deviation is that of discrete Laplace noise of the stated scale."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return np.allclose(
            frame["noise_sd"], [standard_deviation(scale) for scale in frame["scale"]], rtol=1e-9, atol=0
        )


class ExpectThresholdToKeepDelta(VerdictExpectation):
    """A group of k people, one more than may ever be hidden for certain, is released with at most the stated delta.

    Source: pre-thresholding (google/differential-privacy, ``common_docs/pre_thresholding.md``), for a person who is in
    max_groups groups: 1 - (1 - P[noise >= threshold - k * contribution])^max_groups.
    """

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        names = ("scale", "threshold", "k", "contribution", "max_groups", "delta_selection")
        return all(_keeps_delta(*level) for level in zip(*(frame[name].tolist() for name in names), strict=True))


def _keeps_delta(scale: float, threshold: int, k: int, contribution: int, groups: int, delta: str) -> bool:
    if not scale:
        return threshold >= k
    beyond = threshold - k * contribution
    if beyond <= 0:
        return False
    return -math.expm1(groups * math.log1p(-upper_tail(scale, beyond))) <= Fraction(delta) * (1 + _ROUNDING)
