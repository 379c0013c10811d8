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


class ExpectChargeToBeWhatWasReserved(VerdictExpectation):
    """What the declared noise costs is what the ledger reserved for it before anything was drawn.

    Computed once more as ``pipeline.privacy.accountant.charge`` does, but from the declared scales and the bounds, not
    from the epsilons that are declared beside them: noise that is smaller than what was paid for does not pass.

    Args:
        reserved: The charge, as ``pipeline.privacy.accountant.Charge`` writes it; empty where nothing was reserved.
    """

    reserved: dict[str, Any]

    def holds(self, frame: pd.DataFrame) -> bool:
        """Whether the rule holds for this table."""
        if not self.reserved:
            return False
        asked = Charge.model_validate(self.reserved)
        levels = frame.to_dict("records")
        noisy = [level for level in levels if level["scale"]]
        shares = [Fraction(part) for level in levels for part in level["delta"].split("+")]
        return (
            asked.infinite == (len(noisy) < len(levels))
            and _sigmas(asked.gaussians) == _sigmas(_charge(noisy).gaussians)
            and _alike(asked.counts, _losses(noisy, of_one=True))
            and _alike(asked.pure, _losses(noisy, of_one=False))
            and abs(sum(shares) - Fraction(asked.delta)) <= Fraction(asked.delta) * _ROUNDING
        )


def _losses(levels: list[dict[Any, Any]], *, of_one: bool) -> list[float]:
    """Epsilon of each count that has Laplace noise: those that one person changes by one, or all others."""
    laplace = [one for one in levels if one["mechanism"] != GAUSSIAN and (one["most"] == 1) is of_one]
    return sorted(one["l1"] / one["scale"] / one["at_once"] for one in laplace for _ in range(one["at_once"]))


def _alike(written: dict[str, int], found: list[float]) -> bool:
    """Whether epsilons that are written, with twelve digits and how often each, are those found."""
    losses = sorted(float(epsilon) for epsilon, times in written.items() for _ in range(times))
    return len(losses) == len(found) and np.allclose(losses, found, rtol=1e-9, atol=0)


def _sigmas(written: dict[str, int]) -> dict[tuple[float, int], int]:
    parts = {key: key.partition(":") for key in written}
    return {(float(sigma), int(largest)): written[key] for key, (sigma, _, largest) in parts.items()}


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
