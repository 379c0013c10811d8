"""One number of a table with its uncertainty: what is displayed, its interval, the estimate and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from pipeline.privacy.consistency import Family, SettledLevel
from pipeline.privacy.intervals import gaussian_half_widths, laplace_half_widths
from pipeline.privacy.least_squares import Estimate
from pipeline.privacy.noise import DiscreteLaplace, Noise, sum_half_width
from pipeline.privacy.noisy import Group

CONFIDENCE: Final = 0.95
# Two intervals that each hold with 97.5 % hold together with 95 % (Bonferroni).
_BOTH: Final = 1 - (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Number:
    """A listed number.

    Attributes:
        value: Displayed: a whole number, or a quotient of two.
        low: Lower end of the 95 % interval.
        high: Upper end.
        estimate: Before rounding and clamping.
        sd: Standard deviation of the noise in the estimate.
        near: Whether selection may have made it too high.
        wide: The same interval at 97.5 %, for quotients.
    """

    value: float
    low: float
    high: float
    estimate: float
    sd: float
    near: bool = False
    wide: tuple[float, float] = (-math.inf, math.inf)

    def row(self) -> dict[str, Any]:
        """As columns of a table."""
        return {
            "value": self.value,
            "value_lo": self.low,
            "value_hi": self.high,
            "estimate": float(self.estimate),
            "noise_sd": self.sd,
            "obs_status": "U" if self.near else "A",
        }


def listed(level: SettledLevel, group: Group, value: int) -> Number:
    """The number of a group that was released."""
    estimate, noise = level.estimates[group], level.level.noise
    widths = [_half_width(noise, estimate, confidence) for confidence in (CONFIDENCE, _BOTH)]
    number = Number(value, 0, 0, estimate.value, math.sqrt(estimate.variance), group in level.near)
    return _between(number, widths, level.least)


def remainder_of(parent: SettledLevel, child: SettledLevel, group: Group, family: Family, value: int) -> Number:
    """The number of what a group has beyond its listed children.

    The errors of parent and children are independent where some part was not released: it takes up the difference,
    and so the group says nothing about those that were. Where all were, the remainder is the sum of the folded ones.
    """
    near = any(name in child.near for name in family.values) or group in parent.near
    parts = [child.estimates[name] for name in (family.folded if family.complete else family.values)]
    if family.complete:
        estimate, variance = sum(part.value for part in parts), sum(math.sqrt(part.variance) for part in parts) ** 2
        together = parts[0] if len(parts) == 1 else Estimate(estimate, variance, 0)  # at most; errors may go together
        widths = [_half_width(child.level.noise, together, confidence) for confidence in (CONFIDENCE, _BOTH)]
        return _between(Number(value, 0, 0, estimate, math.sqrt(variance), near), widths, parent.least)
    whole = parent.estimates[group]
    estimate, variance = whole.value - sum(part.value for part in parts), math.fsum(p.variance for p in (whole, *parts))
    if all(one.own_weight == 1 for one in (whole, *parts)):
        noises = [(parent.level.noise, 1), (child.level.noise, len(parts))]
        widths = [sum_half_width(noises, confidence) for confidence in (CONFIDENCE, _BOTH)]
    else:
        together = replace(whole, variance=variance)
        widths = [_half_width(parent.level.noise, together, confidence) for confidence in (CONFIDENCE, _BOTH)]
    return _between(Number(value, 0, 0, estimate, math.sqrt(variance), near), widths, parent.least)


def quotient(numerator: Number, denominator: Number) -> Number | None:
    """A mean of two numbers; None where the lower one is not positive.

    Its interval is that of both numbers at 97.5 % taken at their corners; its standard deviation is the delta method's,
    with errors taken as independent.
    """
    if denominator.value <= 0 or denominator.estimate <= 0 or denominator.wide[0] <= 0:
        return None
    value, estimate = numerator.value / denominator.value, numerator.estimate / denominator.estimate
    low, high = numerator.wide[0] / denominator.wide[1], numerator.wide[1] / denominator.wide[0]
    sd = math.hypot(numerator.sd, estimate * denominator.sd) / denominator.estimate
    return Number(value, min(low, value), max(high, value), estimate, sd, numerator.near or denominator.near)


def _half_width(noise: Noise, estimate: Estimate, confidence: float) -> float:
    if estimate.own_weight == 1 and estimate.variance <= noise.sd**2:
        return noise.half_width(confidence)
    own_sd = noise.sd * estimate.own_weight
    return _combined(isinstance(noise, DiscreteLaplace), own_sd, estimate.variance - own_sd**2, confidence)


@lru_cache(maxsize=4096)  # cells of a level mostly have the same
def _combined(laplace: bool, own_sd: float, rest_variance: float, confidence: float) -> float:
    if laplace:
        return float(laplace_half_widths(own_sd, rest_variance, confidence))
    return float(gaussian_half_widths(own_sd**2 + rest_variance, confidence))


def _between(number: Number, widths: Sequence[float], least: int) -> Number:
    (low, high), wide = (_interval(number, width, least) for width in widths)
    return Number(number.value, low, high, number.estimate, number.sd, number.near, wide)


def _interval(number: Number, width: float, least: int) -> tuple[int, int]:
    # The whole numbers within the width: the truth is one. Nothing listed lies below ``least``, so no interval need
    # reach there; and it holds the displayed value.
    low, high = math.ceil(number.estimate - width), math.floor(number.estimate + width)
    return min(max(low, least), int(number.value)), max(high, int(number.value))
