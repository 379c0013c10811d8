"""What the draw leaves of a level: noisy counts, and of the truth one bit for each number that can be subtracted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.privacy.levels import Level, LevelKey

Group = tuple[str, ...]
Keys = Mapping[str, tuple[str, ...] | None]  # dimension -> its public list; None where it is private


@dataclass(frozen=True)
class NoisyLevel:
    """What the draw leaves of a level.

    Attributes:
        level: Which.
        counts: Released groups with their noisy counts.
        exposed: For each level that this one's groups can be subtracted from (``Level.totals``), those of its groups of
            which the parts that are not released may have fewer than k people together.
    """

    level: Level
    counts: Mapping[Group, int]
    exposed: Mapping[LevelKey, frozenset[Group]]
