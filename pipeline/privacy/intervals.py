"""Intervals for estimates whose error is a sum of noises: a cell's own and what other cells lent it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import elementwise
from scipy.special import ndtri

Floats = NDArray[np.float64]
# Scales nearer to each other than this are taken as equal: the error is of second order, below 1e-8.
_EQUAL: Final = 1e-4
# So close that linear interpolation between them is right to seven digits.
_RATIOS: Final = np.linspace(0, math.sqrt(0.5), 2049)


def laplace_half_widths(own_sd: ArrayLike, rest_variance: ArrayLike, confidence: float = 0.95) -> Floats:
    """Half widths of central intervals for an error of a Laplace variable and an independent rest.

    The rest is a sum of weighted Laplace variables. It is taken as a single one of the same variance, which is exact
    where one noise or two make up the error, and careful otherwise: of intervals at 95 %, up to 96.6 % hold, most where
    nearly all of the error is lent by many others.

    Args:
        own_sd: Standard deviation of the cell's own noise in the error: own_weight times that of the noise.
        rest_variance: Variance of everything else, variance - own_sd^2; rounding below 0 counts as 0.
        confidence: Between 0.9 and 1; below, a single Laplace variable would not be careful.

    Returns:
        Smallest q with P[|error| <= q] >= confidence, in counts; the arguments' shape. Noise on whole numbers is taken
        as continuous noise of its standard deviation: round the ends of an interval outwards to whole numbers.
    """
    own, rest = np.broadcast_arrays(np.asarray(own_sd, float), np.sqrt(np.maximum(rest_variance, 0.0)))
    whole = np.hypot(own, rest)
    # Only the ratio of the two matters, and not which is which.
    ratio = np.minimum(own, rest) / np.where(whole, whole, 1.0)
    return np.asarray(whole * np.interp(ratio, _RATIOS, _unit_half_widths(confidence)))


def gaussian_half_widths(variance: ArrayLike, confidence: float = 0.95) -> Floats:
    """The same for Gaussian noise, whose weighted sums are Gaussian: exact.

    Args:
        variance: Of the whole error.
        confidence: Between 0 and 1.
    """
    return np.asarray(ndtri((1 + confidence) / 2) * np.sqrt(np.asarray(variance, float)))


def two_laplace_tail(q: ArrayLike, scale: ArrayLike, other: ArrayLike) -> Floats:
    """P[|sum of two independent Laplace variables| > q], q >= 0, scales not both 0.

    (a^2 exp(-q / a) - b^2 exp(-q / b)) / (a^2 - b^2); for equal scales its limit, exp(-q / b) (1 + q / (2 b)).
    """
    q, a, b = np.broadcast_arrays(np.asarray(q, float), np.minimum(scale, other), np.maximum(scale, other))
    equal = b - a < _EQUAL * b
    same = np.sqrt((a**2 + b**2) / 2)
    apart = np.where(equal, 0.0, a)  # keeps the quotient defined where it is not used
    small = apart**2 * np.exp(-q / np.where(apart, apart, 1.0))
    different = (b**2 * np.exp(-q / b) - small) / (b**2 - apart**2)
    return np.asarray(np.where(equal, np.exp(-q / same) * (1 + q / (2 * same)), different))


@lru_cache
def _unit_half_widths(confidence: float) -> Floats:
    """For errors of variance 1, by the smaller part's standard deviation: ``_RATIOS``."""
    left = 1 - confidence
    smaller, larger = _RATIOS / math.sqrt(2), np.sqrt(1 - _RATIOS**2) / math.sqrt(2)
    # One Laplace variable has about the widest interval for its variance; three times that is beyond any.
    ends = np.zeros_like(_RATIOS), np.full_like(_RATIOS, -3 * math.log(left))
    root = elementwise.find_root(lambda q, a, b: two_laplace_tail(q, a, b) - left, ends, args=(smaller, larger))
    return np.asarray(root.x)
