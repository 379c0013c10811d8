"""Draws a release: true counts go in, noisy tables come out, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from pipeline.errors import StagingError
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.calibration import share_out
from pipeline.privacy.consistency import reconcile
from pipeline.privacy.levels import Level, LevelKey
from pipeline.privacy.noise import Noise, Randomiser, add_noise
from pipeline.privacy.noisy import Group, NoisyLevel
from pipeline.privacy.selection import threshold
from pipeline.release.artefact import PrivateRelease
from pipeline.release.header import header_of, table_facts
from pipeline.release.tables import table_frame
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

NoiseSource = Callable[[Noise], Randomiser]


def operating_system_noise(noise: Noise) -> Randomiser:
    """Where noise comes from: its library's own source, without a seed."""
    return noise.randomiser()


def draw_release(
    bound: BoundSpecification,
    groups: BoundedGroups,
    revision: int = 1,
    source: NoiseSource = operating_system_noise,
) -> PrivateRelease:
    """Draw noise once for every level and lay the tables out.

    Each call draws anew; that a release is drawn once is the ledger's to hold.

    Args:
        bound: What is released, under which parameters.
        groups: True bounded counts; they end here.
        revision: Number of the revision, from 1.
        source: Where noise comes from; tests alone pass another.

    Returns:
        The noisy tables. (epsilon, delta)-DP for adding or removing one person of the period.

    Raises:
        StagingError: Staging holds a key that is not on its dimension's list.
    """
    levels = share_out(bound)
    noisy: dict[LevelKey, NoisyLevel] = {}
    # People come first: they decide which groups there is anything to tell of.
    for level in sorted(levels, key=lambda level: not level.key.of_people):
        frame = groups.levels[level.key]
        _require_known_keys(frame, level, bound)
        chosen = None if level.key.of_people else noisy[level.key.people].counts
        noisy[level.key] = _draw_level(level, frame, bound, chosen, source(level.noise))
    private = frozenset(name for table in bound.tables for name in table.private_keys)
    lists = {dimension.name: dimension.keys for table in bound.tables for dimension in table.dimensions}
    settled = reconcile(noisy, {name: None if name in private else keys for name, keys in lists.items()}, bound.k)
    tables = {table.name: table_frame(table, table_facts(table), settled, bound.k) for table in bound.tables}
    return PrivateRelease(header_of(bound, groups.period, levels, revision), tables)


def _draw_level(
    level: Level,
    frame: pd.DataFrame,
    bound: BoundSpecification,
    chosen: Mapping[Group, int] | None,
    randomiser: Randomiser,
) -> NoisyLevel:
    """Noise for one level: of people where ``chosen`` is None, otherwise of something about the chosen groups."""
    names, counts = _groups(frame, level.key), frame["contributions"].tolist()
    if chosen is not None:
        truth = dict(zip(names, counts, strict=True))
        drawn = add_noise((truth.get(name, 0) for name in chosen), randomiser)
        return NoisyLevel(level, dict(zip(chosen, drawn, strict=True)), {})
    # groups under k never meet the noise
    people = frame["people"].tolist()
    eligible = [place for place, number in enumerate(people) if number >= bound.k.value]
    drawn = add_noise((counts[place] for place in eligible), randomiser)
    least = threshold(level, bound.k)
    released = {names[place]: count for place, count in zip(eligible, drawn, strict=True) if count >= least}
    found = {total: _exposed(level, total, (names, people, counts), released, bound.k.value) for total in level.totals}
    return NoisyLevel(level, released, found)


def _exposed(
    level: Level,
    total: LevelKey,
    truth: tuple[list[Group], list[int], list[int]],
    released: Mapping[Group, int],
    k: int,
) -> frozenset[Group]:
    """Groups of ``total`` whose unreleased parts may have fewer than k people, by a bound that cannot err above."""
    places = total.places_in(level.key)
    largest: dict[Group, int] = {}
    contributions: dict[Group, int] = {}
    for name, number, count in zip(*truth, strict=True):
        whole, hidden = tuple(name[place] for place in places), name not in released
        largest[whole] = max(largest.get(whole, 0), number * hidden)
        contributions[whole] = contributions.get(whole, 0) + count * hidden
    certain = {whole: max(most, -(-contributions[whole] // level.key.max_groups)) for whole, most in largest.items()}
    return frozenset(whole for whole, number in certain.items() if number < k)


def _groups(frame: pd.DataFrame, key: LevelKey) -> list[Group]:
    if not key.dimensions:
        return [()] * len(frame)
    return list(zip(*(map(str, frame[name].tolist()) for name in key.dimensions), strict=True))


def _require_known_keys(frame: pd.DataFrame, level: Level, bound: BoundSpecification) -> None:
    for dimension in {d.name: d for table in bound.tables for d in table.dimensions}.values():
        if dimension.name not in level.key.dimensions:
            continue
        found = set(frame[dimension.name].tolist())
        known = found.isdisjoint((TOTAL_KEY, REMAINDER_KEY)) if dimension.is_open else found <= {*dimension.keys}
        if not known:
            raise StagingError(
                f"staging must hold keys of the declared list of {dimension.name} only",
                remedy="Ingest the period again: the site file has changed since.",
            )
