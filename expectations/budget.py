"""The levels' noise, sensitivities and thresholds follow from epsilon, delta, k and the bounds.

These read one row a level: ``people`` (whether it counts them), ``mechanism``, ``epsilon``, ``delta``,
``delta_selection`` and ``delta_remainder`` as written, ``max_groups``, ``limit``, ``scope``, ``scale``, ``noise_sd``,
``threshold``, ``k``, ``largest`` and ``cells`` as declared. Computed from the bounds and from the tables are ``l1`` (by
how much one person changes all counts together), ``most`` (one count), and ``at_once`` (how many counts by that much).
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from expectations.base import VerdictExpectation
from expectations.noise import GAUSSIAN, Distribution
from pipeline.privacy.accountant import Charge, compose

# Deltas are written with three digits, epsilons with more.
_ROUNDING = Fraction(1, 100)


class ExpectSharesToStayWithinTheBudget(VerdictExpectation):
    """What the levels spend, and what is spent beside them, adds up to no more than the release may.

    Args:
        column: Decimals, several in one text with ``+`` between them.
        beside: What is spent beside the levels, as it is written.
        budget: Of the release, as it is written.
    """

    column: str
    beside: str
    budget: str

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        shares = [Fraction(part) for share in frame[self.column] for part in share.split("+")]
        spent = sum(shares, Fraction(self.beside))
        return min(shares) >= 0 and Fraction(self.beside) >= 0 and 0 < spent <= Fraction(self.budget) * (1 + _ROUNDING)


class ExpectComposedNoiseToStayWithinEpsilon(VerdictExpectation):
    """What all levels' noise loses together is no more than epsilon, at the delta that is set apart for it.

    Composed once more from the declared scales, with the sensitivities that follow from the bounds.

    Args:
        epsilon: Of the release, as it is written.
        delta: Of its delta, what the noise takes.
        rounding: By which share of itself epsilon may be exceeded because numbers are written rounded.
    """

    epsilon: str
    delta: str
    rounding: float

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        if self.epsilon == "inf":
            return True
        loss = compose([_charge(frame.to_dict("records"))], float(self.delta))
        return loss.epsilon <= float(self.epsilon) * (1 + self.rounding)


def _charge(levels: list[dict[Any, Any]]) -> Charge:
    """As ``pipeline.privacy.accountant.charge``, from what is written of the levels."""
    pure: Counter[str] = Counter()
    gaussians: Counter[str] = Counter()
    for level in levels:
        if level["mechanism"] == GAUSSIAN:
            gaussians[f"{level['scale']!r}:{level['most']}"] += level["at_once"]
        else:
            # So many changes of ``most`` together are ``l1``: the loss of each is that share of scale^-1 l1.
            pure[f"{level['l1'] / level['scale'] / level['at_once']:.12g}"] += level["at_once"]
    infinite = any(not level["scale"] for level in levels)
    return Charge(counts={}, pure=dict(pure), gaussians=dict(gaussians), delta=0, infinite=infinite)


class ExpectNoiseUnlessEpsilonIsInfinite(VerdictExpectation):
    """A level has no noise if and only if its epsilon is infinite, which no specification can ask for."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        silent = frame["epsilon"].eq("inf")
        return bool((frame["mechanism"].eq("none").eq(silent) & silent.ne(frame["scale"].gt(0))).all())


class ExpectScaleToFollowEpsilon(VerdictExpectation):
    """The scale of Laplace noise is the level's L1 sensitivity / epsilon; Gaussian noise has no epsilon of its own."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        no_epsilon = frame["epsilon"].eq("")
        levels = frame[~no_epsilon]
        follows = np.allclose(levels["scale"], levels["l1"] / levels["epsilon"].astype(float), rtol=1e-6, atol=0)
        return follows and bool(no_epsilon.eq(frame["mechanism"].eq(GAUSSIAN)).all())


class ExpectSensitivityToFollowBounds(VerdictExpectation):
    """By how much one person changes a count, and how many counts so, follows from the bounds; people count once."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        follows = frame["largest"].eq(frame["most"]) & frame["cells"].eq(frame["at_once"])
        once = ~frame["people"] | (frame["limit"].eq(1) & frame["scope"].eq("in each group"))
        return bool((follows & once & frame["limit"].ge(1) & frame["max_groups"].ge(1)).all())


class ExpectDeviationToFollowScale(VerdictExpectation):
    """The stated standard deviation is that of the stated noise."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        noises = map(Distribution, frame["mechanism"], frame["scale"])
        return np.allclose(frame["noise_sd"], [noise.sd for noise in noises], rtol=1e-9, atol=0)


class ExpectPeopleAloneToSelect(VerdictExpectation):
    """Thresholds of people are k at least; other levels have none, and spend no delta: people choose for them."""

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        nothing = frame["threshold"].eq(0) & frame["delta_selection"].eq("0") & frame["delta_remainder"].eq("0")
        return bool(frame["threshold"].ge(frame["k"]).where(frame["people"], nothing).all())


class ExpectThresholdToKeepDelta(VerdictExpectation):
    """A group of k people, one more than may ever be hidden for certain, is released with at most the stated delta.

    Source: pre-thresholding (google/differential-privacy, ``common_docs/pre_thresholding.md``), for a person who is in
    max_groups groups: 1 - (1 - P[noise >= threshold - k * most])^max_groups.
    """

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        return all(_keeps_delta(level) for level in frame[frame["people"]].to_dict("records"))


def _keeps_delta(level: dict[Any, Any]) -> bool:
    if not level["scale"]:
        return bool(level["threshold"] >= level["k"])
    beyond = level["threshold"] - level["k"] * level["most"]
    if beyond <= 0:
        return False
    alone = Distribution(level["mechanism"], level["scale"]).upper_tail(beyond)
    return -math.expm1(level["max_groups"] * math.log1p(-alone)) <= Fraction(level["delta_selection"]) * (1 + _ROUNDING)
