"""A release agrees with itself: parts add up to their total, at every depth, in whole numbers.

Works on noisy counts alone, but for one bit a parent (``exposed``); ``selection.remainder_threshold`` accounts for its
cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.privacy.budget import K
from pipeline.privacy.crossings import crossing_folds
from pipeline.privacy.least_squares import Estimate, Grouping, crossed_core, least_squares
from pipeline.privacy.levels import Level, LevelKey
from pipeline.privacy.noisy import Group, Keys, NoisyLevel
from pipeline.privacy.selection import remainder_threshold, threshold
from pipeline.privacy.whole_numbers import agreeing, apportion


@dataclass(frozen=True)
class SettledLevel:
    """A level after least squares over all levels that count the same.

    Attributes:
        noisy: As it was drawn.
        estimates: Of each released group: it agrees with the estimates of all other levels where these are complete.
        whole: Displayed counts that are given, in levels that several tables divide in different ways; else empty.
        least: Under which no displayed count lies: k where people are counted, otherwise 0.
        near: Groups whose count is so near the threshold that being released says it may be too high.
        folded: Released groups that are not listed, so that nothing can be told by subtraction across tables.
    """

    noisy: NoisyLevel
    estimates: Mapping[Group, Estimate]
    whole: Mapping[Group, int]
    least: int
    near: frozenset[Group]
    folded: frozenset[Group] = frozenset()

    @property
    def level(self) -> Level:
        """Which."""
        return self.noisy.level

    def displayed(self, group: Group) -> int:
        """The group's estimate as a whole number, where no parent binds it."""
        return self.whole.get(group, max(self.least, round(self.estimates[group].value)))


@dataclass(frozen=True)
class Family:
    """A parent's children, made consistent with it.

    Attributes:
        values: Displayed counts of the listed children.
        folded: Released children that protect the remainder and are not listed.
        remainder: Displayed count of all children that are not listed; None where every child is listed.
        complete: Whether all children there can be were released: then the remainder is of the folded ones alone.
    """

    values: Mapping[Group, int]
    folded: frozenset[Group]
    remainder: int | None
    complete: bool = False


def reconcile(noisy: Mapping[LevelKey, NoisyLevel], keys: Keys, k: K) -> dict[LevelKey, SettledLevel]:
    """Least squares over each set of levels that count the same of the same people.

    Args:
        noisy: All levels of a release.
        keys: Of all dimensions.
        k: Hard minimum of people.

    Returns:
        The levels, with estimates that agree wherever all parts of a group were released.
    """
    families: dict[LevelKey, list[LevelKey]] = {}
    for key in noisy:
        root = LevelKey(key.table, (), key.max_groups, key.measured)
        families.setdefault(root, []).append(key)
    return {key: level for members in families.values() for key, level in _reconciled(members, noisy, keys, k).items()}


def _reconciled(
    members: Sequence[LevelKey], noisy: Mapping[LevelKey, NoisyLevel], keys: Keys, k: K
) -> dict[LevelKey, SettledLevel]:
    groupings = [Grouping(key.dimensions, noisy[key].counts, noisy[key].level.noise.sd ** 2) for key in members]
    estimates = least_squares(groupings, keys)
    least = k.value if members[0].of_people else 0
    core = crossed_core(groupings, keys)
    inside = {names: {group: one.value for group, one in estimates[names].items()} for names in core}
    whole = agreeing(inside, keys, least) if core else {}
    folds = crossing_folds({key: noisy[key] for key in members}, core, keys, k)
    return {
        key: SettledLevel(
            noisy[key],
            estimates[key.dimensions],
            whole.get(key.dimensions, {}),
            least,
            _near(noisy[key], k),
            folds.get(key, frozenset()),
        )
        for key in members
    }


def _near(noisy: NoisyLevel, k: K) -> frozenset[Group]:
    if not noisy.level.key.of_people or not noisy.level.noise.scale:
        return frozenset()
    reach = threshold(noisy.level, k) + noisy.level.noise.half_width()
    return frozenset(group for group, count in noisy.counts.items() if count < reach)


def settle(
    parent: SettledLevel, child: SettledLevel, group: Group, value: int, keys: Sequence[Group] | None, k: K
) -> Family:
    """Make the children of one parent add up to it, in counts of people.

    Args:
        parent: Level of the parent.
        child: Level of the children.
        group: The parent.
        value: The parent's displayed count.
        keys: All children there can be, in the order in which they are listed; None where nobody may know them.
        k: Hard minimum of people.

    Returns:
        The children. Where all are listed their difference to the parent is spread over them evenly (their noise has
        one scale); otherwise it is the remainder, into which released children are folded, the smallest first, until it
        speaks of k people for certain and reads as at least k.
    """
    drawn = child.noisy.counts
    found = sorted(name for name in drawn if name[:-1] == group) if keys is None else [n for n in keys if n in drawn]
    released = {name: child.displayed(name) for name in found}
    hidden = [name for name in released if name in child.folded]
    complete = keys is not None and len(released) == len(keys)
    if complete and not hidden and value >= k.value * len(released):
        return Family(_complete(child, released, value), frozenset(), None, complete=True)
    # The rule that protects the remainder reads the counts as they were drawn: its price was computed for these.
    estimate = parent.noisy.counts[group] - sum(drawn[name] for name in released)
    threshold = remainder_threshold(parent.level, child.level, len(released), k)
    alone = group not in child.noisy.exposed.get(parent.level.key, ()) and estimate >= threshold
    family = _folded(released, hidden, value, k, fewest=0 if alone or not released else 1)
    return replace(family, complete=complete)


def _complete(child: SettledLevel, released: Mapping[Group, int], value: int) -> Mapping[Group, int]:
    if released.keys() <= child.whole.keys():
        return released
    return apportion({name: child.estimates[name].value for name in released}, value, child.least)


def _folded(released: Mapping[Group, int], hidden: Sequence[Group], value: int, k: K, fewest: int) -> Family:
    listed = {name: count for name, count in released.items() if name not in hidden}
    left = value - sum(listed.values())
    folded = list(hidden)
    for name in sorted(listed, key=lambda name: (listed[name], name)):
        if len(folded) >= fewest and left >= k.value:
            break
        folded.append(name)
        left += released[name]
    kept = {name: count for name, count in released.items() if name not in folded}
    return Family(kept, frozenset(folded), left)


def follow(child: SettledLevel, family: Family, value: int, rest: float, remainder: Group) -> dict[Group, int]:
    """Displayed numbers of another total for the children that are listed, and for their remainder.

    Args:
        child: Level of the children that counts this total.
        family: Which children are listed.
        value: The parent's displayed number of this total.
        rest: Estimate of the remainder; read only where there is one.
        remainder: Under which name the remainder's number is returned.

    Returns:
        Whole numbers of at least zero that add up to ``value``.
    """
    listed = {name: child.estimates[name].value for name in family.values}
    if family.remainder is None:
        whole = {name: child.whole[name] for name in listed if name in child.whole}
        return whole if len(whole) == len(listed) else apportion(listed, value, 0)
    return apportion({**listed, remainder: rest}, value, 0)
