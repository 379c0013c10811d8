"""Draws a release: true counts go in, noisy tables come out, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from pipeline import __version__
from pipeline.errors import StagingError
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.consistency import Group, NoisyLevel
from pipeline.privacy.levels import Level, LevelKey, share_out
from pipeline.privacy.noise import DiscreteLaplace, Randomiser, add_noise
from pipeline.privacy.selection import threshold
from pipeline.release.artefact import LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.release.tables import table_frame
from pipeline.spec import BoundSpecification, BoundTable

NoiseSource = Callable[[DiscreteLaplace], Randomiser]


def draw_release(
    bound: BoundSpecification,
    groups: BoundedGroups,
    revision: int = 1,
    source: NoiseSource = DiscreteLaplace.randomiser,
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
    levels = {level.key: level for level in share_out(bound)}
    noisy = {key: _draw_level(level, groups.levels, bound, source(level.noise)) for key, level in levels.items()}
    tables = {table.name: table_frame(table, noisy, bound.k) for table in bound.tables}
    return PrivateRelease(_header(bound, groups, tuple(levels.values()), revision), tables)


def _draw_level(
    level: Level, truth: Mapping[LevelKey, pd.DataFrame], bound: BoundSpecification, randomiser: Randomiser
) -> NoisyLevel:
    frame = truth[level.key]
    _require_known_keys(frame, level, bound)
    # group -> people, contributions; groups under k never meet the noise
    eligible = frame[frame["people"] >= bound.k.value]
    drawn = add_noise(eligible["contributions"].tolist(), randomiser)
    least = threshold(level, bound.k)
    names = _groups(eligible, level.key)
    counts = {name: count for name, count in zip(names, drawn, strict=True) if count >= least}
    return NoisyLevel(level, counts, _exposed(frame, level, counts, bound.k.value))


def _exposed(frame: pd.DataFrame, level: Level, counts: Mapping[Group, int], k: int) -> frozenset[Group]:
    """Parents whose unreleased children may have fewer than k people together, by a bound that cannot err above."""
    if not level.key.dimensions:
        return frozenset()
    largest: dict[Group, int] = {}
    contributions: dict[Group, int] = {}
    for name, people, count in zip(_groups(frame, level.key), frame["people"], frame["contributions"], strict=True):
        parent, hidden = name[:-1], name not in counts
        largest[parent] = max(largest.get(parent, 0), int(people) * hidden)
        contributions[parent] = contributions.get(parent, 0) + int(count) * hidden
    certain = {parent: max(most, -(-contributions[parent] // level.key.max_groups)) for parent, most in largest.items()}
    return frozenset(parent for parent, people in certain.items() if people < k)


def _groups(frame: pd.DataFrame, key: LevelKey) -> list[Group]:
    if not key.dimensions:
        return [()] * len(frame)
    return list(zip(*(frame[name].astype(str) for name in key.dimensions), strict=True))


def _require_known_keys(frame: pd.DataFrame, level: Level, bound: BoundSpecification) -> None:
    for dimension in {d.name: d for table in bound.tables for d in table.dimensions}.values():
        if dimension.name in level.key.dimensions and not frame[dimension.name].isin(dimension.keys).all():
            raise StagingError(
                f"staging must hold keys of the declared list of {dimension.name} only",
                remedy="Ingest the period again: the site file has changed since.",
            )


def _header(
    bound: BoundSpecification, groups: BoundedGroups, levels: tuple[Level, ...], revision: int
) -> ReleaseHeader:
    specification, site = bound.specification, bound.site
    return ReleaseHeader(
        release=specification.release,
        title=specification.title,
        description=specification.description,
        owner=specification.owner,
        purpose=specification.purpose,
        population=specification.population,
        unit=specification.unit,
        period=str(groups.period),
        period_start=groups.period.start.isoformat(),
        period_end=groups.period.end.isoformat(),
        revision=revision,
        site=site.site,
        publisher=site.publisher or site.site,
        contact=site.contact,
        synthetic=site.synthetic,
        epsilon=str(bound.epsilon),
        delta=str(bound.delta),
        k=bound.k.value,
        levels=tuple(_level_facts(level, bound) for level in levels),
        tables=tuple(_table_facts(table) for table in bound.tables),
        audiences=specification.audiences,
        specification_sha256=specification.sha256,
        code_version=__version__,
    )


def _level_facts(level: Level, bound: BoundSpecification) -> LevelFacts:
    return LevelFacts(
        table=level.key.table,
        dimensions=level.key.dimensions,
        max_groups=level.key.max_groups,
        mechanism="discrete Laplace" if level.noise.scale else "none",
        epsilon=f"{level.epsilon.value:.12g}",
        delta_selection=str(level.delta_selection),
        delta_remainder=str(level.delta_remainder),
        scale=level.noise.scale,
        noise_sd=level.noise.sd,
        threshold=threshold(level, bound.k),
    )


def _table_facts(table: BoundTable) -> TableFacts:
    return TableFacts(
        name=table.name,
        title=table.title,
        dimensions=tuple(dimension.name for dimension in table.dimensions),
        dimension_titles=tuple(dimension.title for dimension in table.dimensions),
        keys=tuple(dimension.keys for dimension in table.dimensions),
        max_groups=table.max_groups,
        measure="people" if table.per_person else "people in groups",
    )
