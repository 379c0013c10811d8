"""Text as columns: dictionaries of byte strings, looked up and joined a million rows at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float64]


def texts(values: Iterable[str]) -> pa.Array:
    """A dictionary of byte strings: a log is bytes, and not all of them are UTF-8."""
    return pa.array([value.encode() for value in values], pa.binary())


def join(*parts: pa.Array | bytes) -> pa.Array:
    """Columns and constants, one after the other, row by row."""
    scalars = (pa.scalar(part, pa.binary()) if isinstance(part, bytes) else part for part in parts)
    return pc.binary_join_element_wise(*scalars, b"")


def draw(rng: np.random.Generator, weights: Weights, size: int) -> Index:
    """``size`` independent choices of an index, in proportion to ``weights``."""
    ends = np.cumsum(weights)
    index: Index = np.searchsorted(ends, rng.random(size) * ends[-1], side="right")
    return index


def spread(rng: np.random.Generator, total: int, members: int, sigma: float) -> Index:
    """Share ``total`` out over ``members``, one each at least and the rest with a heavy tail.

    Args:
        rng: Source of chance.
        total: How many there are to share out; at least ``members``.
        members: Over how many.
        sigma: Standard deviation of the logarithm of their weights (log-normal).
    """
    weights = rng.lognormal(0.0, sigma, members)
    return 1 + rng.multinomial(total - members, weights / weights.sum())
