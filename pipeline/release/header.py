"""What is public about a release: its parameters and the way its numbers were made."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from pipeline import __version__
from pipeline.measures import BoundMeasure, Mean, Total
from pipeline.periods import Period
from pipeline.privacy.budget import K
from pipeline.privacy.levels import Level
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.privacy.selection import threshold
from pipeline.release.artefact import LevelFacts, MeasureFacts, ReleaseHeader, TableFacts
from pipeline.spec import BoundSpecification, BoundTable
from pipeline.vocabulary import EVENTS, PEOPLE


def header_of(bound: BoundSpecification, period: Period, levels: tuple[Level, ...], revision: int) -> ReleaseHeader:
    """Everything public about a release, from its specification and its levels alone."""
    specification, publisher = bound.specification, bound.offer.publisher
    return ReleaseHeader(
        release=specification.release,
        title=specification.title,
        description=specification.description,
        owner=specification.owner,
        purpose=specification.purpose,
        purpose_text=bound.notice.text if bound.notice else "",
        policy_version=bound.notice.version if bound.notice else "",
        population=specification.population,
        unit=specification.unit,
        period=str(period),
        period_start=period.start.isoformat(),
        period_end=period.end.isoformat(),
        revision=revision,
        site=publisher.site,
        publisher=publisher.name or publisher.site,
        contact=publisher.contact,
        synthetic=publisher.synthetic,
        epsilon=str(bound.epsilon),
        delta=str(bound.delta),
        k=bound.k.value,
        noise=levels[0].noise.mechanism,
        delta_noise=f"{float(bound.delta.exact - _delta_of_rules(levels)):.3g}",
        levels=_levels_facts(levels, bound.k),
        tables=tuple(table_facts(table) for table in bound.tables),
        audiences=specification.audiences,
        specification_sha256=specification.sha256,
        code_version=__version__,
    )


@lru_cache(maxsize=64)
def _delta_of_rules(levels: tuple[Level, ...]) -> Fraction:
    """What selection and remainders take of delta."""
    parts = (delta for level in levels for delta in (level.delta_selection, level.delta_remainder) if delta)
    return sum((delta.exact for delta in parts), Fraction(0))


def people_name(table: BoundTable) -> str:
    """What a table's counts of people are called: a person may be in several groups of some."""
    return PEOPLE if table.per_person else "people in groups"


@lru_cache(maxsize=256)  # whoever asks for many releases asks for the same facts each time
def table_facts(table: BoundTable) -> TableFacts:
    """A table, as people read it."""
    return TableFacts(
        name=table.name,
        title=table.title,
        dimensions=tuple(dimension.name for dimension in table.dimensions),
        dimension_titles=tuple(dimension.title for dimension in table.dimensions),
        keys=tuple(() if dimension.name in table.private_keys else dimension.keys for dimension in table.dimensions),
        private=tuple(dimension.name for dimension in table.dimensions if dimension.name in table.private_keys),
        max_groups=table.max_groups,
        measure=people_name(table),
        measures=tuple(_measure_facts(measure, table) for measure in table.measures),
    )


def _measure_facts(measure: BoundMeasure, table: BoundTable) -> MeasureFacts:
    if isinstance(measure, Mean):
        numerator, denominator = (
            people_name(table) if name == PEOPLE else name for name in (measure.numerator, measure.denominator)
        )
        return MeasureFacts(
            name=measure.name,
            title=measure.title,
            unit=measure.unit,
            kind="mean",
            numerator=numerator,
            denominator=denominator,
        )
    return _total_facts(measure, table)


def _total_facts(total: Total, table: BoundTable) -> MeasureFacts:
    quantity = total.measured.quantity
    return MeasureFacts(
        name=people_name(table) if quantity == PEOPLE else total.name,
        title=total.title,
        unit=total.unit,
        kind="people" if quantity == PEOPLE else "events" if quantity == EVENTS else "sum",
        quantity=quantity,
        limit=total.measured.limit,
        scope=total.measured.scope,
    )


@lru_cache(maxsize=64)
def _levels_facts(levels: tuple[Level, ...], k: K) -> tuple[LevelFacts, ...]:
    return tuple(_level_facts(level, k) for level in levels)


def _level_facts(level: Level, k: K) -> LevelFacts:
    noise, key = level.noise, level.key
    return LevelFacts(
        table=key.table,
        dimensions=key.dimensions,
        max_groups=key.max_groups,
        quantity=key.measured.quantity,
        limit=key.measured.limit,
        scope=key.measured.scope,
        largest=level.demand.largest,
        cells=level.demand.cells,
        mechanism=noise.mechanism,
        epsilon=f"{noise.epsilon.value:.12g}" if isinstance(noise, DiscreteLaplace) else "",
        delta_selection=str(level.delta_selection or "0"),
        delta_remainder=str(level.delta_remainder or "0"),
        scale=noise.scale,
        noise_sd=noise.sd,
        threshold=threshold(level, k) if key.of_people else 0,
    )
