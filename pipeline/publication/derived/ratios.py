"""Quotients of noisy numbers, with intervals.

A number is ``(value, half)``: half the width of its 95 % interval. What is said here of two numbers ignores that they
are correlated. Parts and their totals are, positively, since least squares made them agree; their quotient is therefore
told no more exactly than it is, and a little less (``docs/decisions/0014-derived-numbers.md``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noisy:
    """Numbers with half the width of their 95 % intervals; NaN where there is none.

    Attributes:
        value: One each.
        half: Likewise.
    """

    value: Numbers
    half: Numbers

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Noisy:
        """The numbers of published rows; the wider side of an interval that zero cuts off."""
        value, low, high = (frame[name].to_numpy(float, na_value=np.nan) for name in ("value", "value_lo", "value_hi"))
        return cls(value, np.maximum(high - value, value - low))

    def at(self, places: npt.NDArray[np.int64]) -> Noisy:
        """The numbers at these places; none where a place is -1."""
        found = np.append(self.value, np.nan), np.append(self.half, np.nan)
        return Noisy(found[0][places], found[1][places])


@dataclass(frozen=True)
class Interval:
    """Values with the ends of their intervals; NaN where none can be told.

    Attributes:
        value: One each.
        low: Lower ends.
        high: Upper ends.
    """

    value: Numbers
    low: Numbers
    high: Numbers


def quotient(above: Noisy, below: Noisy) -> Interval:
    """``above / below`` by Fieller's theorem, for independent numbers.

    The interval holds every r for which ``above - r below`` is no farther from zero than its noise; it is bounded where
    ``below`` is farther from zero than its own. Source: E. C. Fieller, Some problems in interval estimation, Journal of
    the Royal Statistical Society B 16 (1954), 175-185.
    """
    with np.errstate(all="ignore"):
        square = below.value**2 - below.half**2
        product = above.value * below.value
        root = np.sqrt(product**2 - square * (above.value**2 - above.half**2))
        bounded = (square > 0) & (below.value > 0)
        ends = (np.where(bounded, side / square, np.nan) for side in (product - root, product + root))
        return Interval(np.where(bounded, above.value / below.value, np.nan), *ends)


def double_quotient(above: tuple[Noisy, Noisy], below: tuple[Noisy, Noisy], times: float = 1.0) -> Interval:
    """``times (a b) / (c d)`` by the delta method on logarithms; nothing where a number is within its noise of zero.

    Source: G. W. Oehlert, A note on the delta method, The American Statistician 46 (1992), 27-29.
    """
    every = (*above, *below)
    with np.errstate(all="ignore"):
        value = times * above[0].value * above[1].value / (below[0].value * below[1].value)
        told = np.logical_and.reduce([one.value > one.half for one in every])
        width = np.sqrt(sum((one.half / one.value) ** 2 for one in every))
        value = np.where(told, value, np.nan)
        return Interval(value, value * np.exp(-width), value * np.exp(width))


def difference(now: Noisy, before: Noisy) -> Interval:
    """``now - before``, for independent numbers: their half-widths add up as squares."""
    value, half = now.value - before.value, np.hypot(now.half, before.half)
    return Interval(value, value - half, value + half)
