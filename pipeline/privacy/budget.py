"""Privacy parameters as types: epsilon, delta and k are never bare numbers.

Epsilon and delta are exact fractions of the decimals that were written, so that shares add up to the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pipeline.errors import SpecificationError


@dataclass(frozen=True)
class Epsilon:
    """Privacy loss, pure part: a positive number, or infinity for tests of exactness.

    Attributes:
        value: As a float, for computing scales.
        exact: The exact value; None stands for infinity.
    """

    value: float
    exact: Fraction | None

    @classmethod
    def of(cls, value: str | float | Fraction) -> Epsilon:
        """From what a specification says.

        Raises:
            SpecificationError: Not a positive, finite number.
        """
        exact = _fraction(value)
        if exact is None or exact <= 0:
            raise SpecificationError(
                "epsilon must be a positive, finite number", value=f"epsilon={value}", remedy="0.1 to 2 is usual."
            )
        return cls(float(exact), exact)

    @classmethod
    def infinite(cls) -> Epsilon:
        """No noise at all: for comparing with exact answers in tests, never reachable from a specification."""
        return cls(math.inf, None)

    def share(self, part: Fraction) -> Epsilon:
        """This fraction of the budget; infinity stays infinite."""
        return self if self.exact is None else Epsilon.of(self.exact * part)

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True, order=True)
class Delta:
    """Probability that the guarantee of epsilon does not hold: strictly between 0 and 1."""

    exact: Fraction

    @classmethod
    def of(cls, value: str | float | Fraction) -> Delta:
        """From what a specification says.

        Raises:
            SpecificationError: Not strictly between 0 and 1.
        """
        exact = _fraction(value)
        if exact is None or not 0 < exact < 1:
            raise SpecificationError(
                "delta must lie strictly between 0 and 1",
                value=f"delta={value}",
                remedy="Use far less than one over the number of people, 1e-7 for example.",
            )
        return cls(exact)

    @property
    def value(self) -> float:
        """As a float, for computing thresholds."""
        return float(self.exact)

    def share(self, part: Fraction) -> Delta:
        """This fraction of the budget."""
        return Delta.of(self.exact * part)

    def __str__(self) -> str:
        return f"{self.value:.3g}"


MAX_K: Final = 1_000_000


@dataclass(frozen=True, order=True)
class K:
    """Smallest number of distinct people a released group may have."""

    value: int

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 2 <= self.value <= MAX_K:
            raise SpecificationError(
                f"k must be a whole number from 2 to {MAX_K}", value=f"k={self.value}", remedy="50 is usual."
            )

    def __str__(self) -> str:
        return str(self.value)


def _fraction(value: str | float | Fraction) -> Fraction | None:
    try:
        return value if isinstance(value, Fraction) else Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None
