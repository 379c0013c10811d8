"""Tables that cross, such as (os) and (browser, os): what a reader can subtract across the drill-down.

The total of a system less the listed (browser, system) groups of it is a number about the groups that are not listed,
as much as a remainder is, though no row tells it. So in every such line across a table one group is folded, unless the
line's own noisy numbers show that what is not listed is large enough (``selection.remainder_threshold``, whose price is
paid for each level that is subtracted from). A folded group has k people for certain, and so has what is not listed
with it. Where all groups of a line were released but the level as a whole was not, one is folded too: estimates of
such lines do not agree with the line's total, and nobody shall add up what does not add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from pipeline.privacy.budget import K
from pipeline.privacy.levels import LevelKey
from pipeline.privacy.noisy import Group, Keys, NoisyLevel
from pipeline.privacy.selection import remainder_threshold


def crossing_folds(
    noisy: Mapping[LevelKey, NoisyLevel], core: Set[tuple[str, ...]], keys: Keys, k: K
) -> dict[LevelKey, frozenset[Group]]:
    """Released groups that are folded because of levels that cross theirs.

    Args:
        noisy: Levels over the same people.
        core: Dimensions of the levels that agree exactly, as a whole: these need no folding among each other.
        keys: Of all dimensions.
        k: Hard minimum of people.

    Returns:
        By level; levels without any are left out. The smallest group of a line is taken.
    """
    folds = {}
    for key, child in noisy.items():
        hidden: set[Group] = set()
        for total in child.level.totals:
            exact = {total.dimensions, key.dimensions} <= core
            if key.dimensions[: len(total.dimensions)] != total.dimensions and not exact:
                _fold_lines(noisy[total], child, keys, k, hidden)
        if hidden:
            folds[key] = frozenset(hidden)
    return folds


def _fold_lines(total: NoisyLevel, child: NoisyLevel, keys: Keys, k: K, hidden: set[Group]) -> None:
    """Add to ``hidden`` one group of each line that needs it and has none yet."""
    places = total.level.key.places_in(child.level.key)
    lines: dict[Group, list[Group]] = {}
    for name in child.counts:
        lines.setdefault(tuple(name[place] for place in places), []).append(name)
    size = _line_size(total.level.key, child.level.key, keys)
    for line, names in lines.items():
        if line in total.counts and hidden.isdisjoint(names) and not _alone(total, child, line, names, size, k):
            hidden.add(min(names, key=lambda name: (child.counts[name], name)))


def _line_size(total: LevelKey, child: LevelKey, keys: Keys) -> int | None:
    """How many groups a line can have; None where nobody may know."""
    size = 1
    for name in set(child.dimensions) - set(total.dimensions):
        listed = keys[name]
        if listed is None:
            return None
        size *= len(listed)
    return size


def _alone(total: NoisyLevel, child: NoisyLevel, line: Group, names: list[Group], size: int | None, k: K) -> bool:
    if len(names) == size or line in child.exposed.get(total.level.key, ()):
        return False
    estimate = total.counts[line] - sum(child.counts[name] for name in names)
    return estimate >= remainder_threshold(total.level, child.level, len(names), k)
