"""A release agrees with itself: parts add up to their total, at every depth, in whole numbers of at least k.

Works on noisy counts alone, but for one bit a parent (``exposed``); ``selection.remainder_threshold`` accounts for its
cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.privacy.budget import K
from pipeline.privacy.levels import Level
from pipeline.privacy.selection import remainder_threshold

Group = tuple[str, ...]


@dataclass(frozen=True)
class NoisyLevel:
    """What the draw leaves of a level.

    Attributes:
        level: Which.
        counts: Released groups with their noisy counts.
        exposed: Parents whose children that are not released may have fewer than k people together.
    """

    level: Level
    counts: Mapping[Group, int]
    exposed: frozenset[Group]


@dataclass(frozen=True)
class Family:
    """A parent's children, made consistent with it.

    Attributes:
        values: Displayed counts of the listed children.
        folded: Released children that protect the remainder and are not listed.
        remainder: Displayed count of all children that are not listed; None where every child is listed.
    """

    values: Mapping[Group, int]
    folded: frozenset[Group]
    remainder: int | None


def settle(parent: NoisyLevel, child: NoisyLevel, group: Group, value: int, keys: Sequence[Group], k: K) -> Family:
    """Make the children of one parent add up to it.

    Args:
        parent: Level of the parent.
        child: Level of the children.
        group: The parent.
        value: The parent's displayed count.
        keys: All children there can be.
        k: Hard minimum of people.

    Returns:
        The children. Where all are released their difference to the parent is spread over them evenly (their noise has
        one scale); otherwise it is the remainder, into which released children are folded, the smallest first, until it
        speaks of k people for certain and reads as at least k.
    """
    released = {key: child.counts[key] for key in keys if key in child.counts}
    if len(released) == len(keys) and value >= k.value * len(keys):
        return Family(apportion(released, value, k.value), frozenset(), None)
    estimate = parent.counts[group] - sum(released.values())
    alone = group not in child.exposed and estimate >= remainder_threshold(parent.level, child.level, len(released), k)
    ascending = sorted(released, key=lambda key: (released[key], key))
    fewest = 0 if alone or not released else 1
    left = value - sum(released.values())
    folded: list[Group] = []
    for key in ascending:
        if len(folded) >= fewest and left >= k.value:
            break
        folded.append(key)
        left += released[key]
    kept = {key: count for key, count in released.items() if key not in folded}
    return Family(kept, frozenset(folded), left)


def apportion(estimates: Mapping[Group, int], total: int, least: int) -> dict[Group, int]:
    """Whole numbers that add up to ``total``, as near to the estimates as an even shift allows, none under ``least``.

    Largest remainders (Hamilton), ties by key. ``total`` is at least ``least`` times the number of estimates.
    """
    free = dict(estimates)
    result: dict[Group, int] = {}
    while free:
        shift, over = divmod(total - sum(result.values()) - sum(free.values()), len(free))
        shifted = {key: count + shift for key, count in free.items()}
        low = [key for key, count in shifted.items() if count < least]
        if not low:
            for key in sorted(shifted, key=lambda key: (-free[key], key))[:over]:
                shifted[key] += 1
            return result | shifted
        result |= dict.fromkeys(low, least)
        free = {key: count for key, count in free.items() if key not in result}
    return result
