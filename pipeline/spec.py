"""Release specifications: what is counted, for whom, under which bounds, in which period, for what purpose.

One YAML file a release, which a privacy reviewer can read. It is validated when loaded, and against the site that it
is run on (``bind``), so that a release that loads can be drawn.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import DemographicsError, SpecificationError
from pipeline.measures import BoundMeasure, Mean, Measure, Total, bind_measures, people_total
from pipeline.offer import Offer, offer_of
from pipeline.periods import PeriodKind
from pipeline.privacy.budget import MAX_K, Delta, Epsilon, K
from pipeline.site import BudgetCap, SiteFile
from pipeline.vocabulary import UNIT_NAMES, Audience, Dimension, Name, Population


@dataclass(frozen=True, order=True)
class ReleaseKey:
    """What makes a release one: its name, its period and its revision, 1 for the first."""

    release: str
    period: str
    revision: int = 1

    def __str__(self) -> str:
        return f"{self.release}/{self.period}/r{self.revision}"


class NoiseChoice(StrEnum):
    """Which noise counts get."""

    LEAST_ERROR = "least error"
    """Whichever of the two has the smaller error over the whole release, computed from public parameters."""
    LAPLACE = "discrete Laplace"
    GAUSSIAN = "discrete Gaussian"


class ReviewPolicy(StrEnum):
    """When a privacy reviewer must decide."""

    EVERY = "every release"
    ON_CHANGE = "on change"
    """Only where the specification, or the outcome of a check, differs from what was approved; revisions always."""


class PrivacyParameters(Document):
    """What the whole release may tell about one person in one period."""

    # The bounds are checked by the budget types below, whose messages say more; they stand here for the JSON Schema.
    epsilon: Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0})]
    """Privacy loss of the whole release, shared out over its tables."""
    delta: Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0, "exclusiveMaximum": 1})]
    """Probability with which the guarantee of epsilon may fail, for the whole release."""
    k: Annotated[int, Field(json_schema_extra={"minimum": 2, "maximum": MAX_K})]
    """No group of fewer distinct people is ever released."""
    noise: NoiseChoice = NoiseChoice.LEAST_ERROR
    """Which noise counts get: the one of less error over the whole release, that of hidden groups included, or the one
    that is named."""

    @model_validator(mode="after")
    def _types_hold(self) -> PrivacyParameters:
        try:
            Epsilon.of(self.epsilon), Delta.of(self.delta), K(self.k)
        except DemographicsError as failure:
            raise ValueError(str(failure)) from None
        return self


class TableSpecification(Document):
    """Distinct people by one or more dimensions, and what else is told of each group."""

    name: Name
    """Name of the table and of its files; no other table of the release has it."""
    title: Annotated[str, Field(min_length=1, max_length=120)]
    """Heading of the table, as recipients read it."""
    dimensions: Annotated[tuple[Name, ...], Field(min_length=1, max_length=4, json_schema_extra={"uniqueItems": True})]
    """In drilling order: each parent's rows add up to the parent's row."""
    max_groups: Annotated[int, Field(ge=1, le=100)] | None = None
    """In how many groups one person may count (l0). For dimensions of which a person may have many; a person
    who is in more is counted in a keyed random choice of this many."""
    private_keys: Annotated[tuple[Name, ...], Field(json_schema_extra={"uniqueItems": True})] = ()
    """Dimensions of the table of which only released keys are listed: where the list of keys would itself tell
    something. Of other dimensions every key is listed, withheld ones too."""
    measures: tuple[Measure, ...] = ()
    """What is told of a group beside its distinct people: events, sums, means. It is told of released groups."""
    weight: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1
    """How much the error of this table counts, against that of the others, when the budget is shared out."""

    @field_validator("dimensions")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("a dimension may stand in a table once only")
        return names


class ReleaseSpecification(Document):
    """One release: tables over the people of one population, drawn together."""

    release: Name
    """Name of the release; the file is named so too, with ``.yaml`` after it."""
    title: Annotated[str, Field(min_length=1, max_length=120)]
    """Heading of the release, as recipients read it."""
    description: Annotated[str, Field(min_length=1)]
    """What the release tells and how it is to be read, in a few sentences for recipients."""
    owner: Annotated[str, Field(min_length=1)]
    """The team that answers for the release."""
    purpose: Annotated[str, Field(min_length=1)]
    """Why it is made: a purpose of the privacy policy, by its name in ``policy.yaml``."""
    population: Population
    """The people that are counted."""
    period: PeriodKind
    """The period of one release: the one in which the site file tells people of this population apart."""
    privacy: PrivacyParameters
    """The most that the release may tell about one person."""
    tables: Annotated[tuple[TableSpecification, ...], Field(min_length=1)]
    """What is counted; all tables are drawn once, together."""
    audiences: Annotated[
        dict[Audience, Annotated[tuple[Name, ...], Field(json_schema_extra={"minItems": 1})]], Field(min_length=1)
    ]
    """Which tables each audience receives; an audience that is not named receives nothing."""
    review: ReviewPolicy = ReviewPolicy.EVERY
    """When a privacy reviewer must decide: on each release, or where it differs from what was approved."""
    reviewers: Annotated[int, Field(ge=1, le=2)] = 1
    """How many privacy reviewers must approve, each by an account of their own."""
    written_by: Annotated[tuple[str, ...], Field(json_schema_extra={"uniqueItems": True})] = ()
    """Who wrote the specification, by the names of their accounts: they cannot approve what comes of it."""

    @model_validator(mode="after")
    def _names_agree(self) -> ReleaseSpecification:
        names = [table.name for table in self.tables]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"table names must differ, repeated: {', '.join(repeated)}")
        for audience, tables in self.audiences.items():
            if unknown := sorted(set(tables) - set(names)):
                raise ValueError(f"audience {audience} names tables that do not exist: {', '.join(unknown)}")
            if not tables:
                raise ValueError(f"audience {audience} must receive at least one table")
        return self

    @property
    def unit(self) -> str:
        """The privacy unit in words: ``one visitor in one week``."""
        return f"one {UNIT_NAMES[self.population]} in one {self.period}"

    @cached_property
    def canonical(self) -> bytes:
        """The canonical form, as JSON: comments and layout of the YAML do not count."""
        # Without defaults, so that a specification keeps its digest when the program learns a new option.
        written = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(written, sort_keys=True, separators=(",", ":")).encode()

    @cached_property
    def sha256(self) -> str:
        """Digest of the canonical form."""
        return hashlib.sha256(self.canonical).hexdigest()


@dataclass(frozen=True)
class BoundTable:
    """A table whose dimensions are known.

    Attributes:
        name: Of the table.
        title: For people to read.
        dimensions: In drilling order.
        max_groups: l0; 1 for tables over what a person has one of.
        measures: What is told of a group, people first.
        private_keys: Names of dimensions whose keys are not public.
        weight: How much its error counts when the budget is shared out.
    """

    name: str
    title: str
    dimensions: tuple[Dimension, ...]
    max_groups: int
    measures: tuple[BoundMeasure, ...]
    private_keys: frozenset[str] = frozenset()
    weight: float = 1

    @property
    def per_person(self) -> bool:
        """Whether a person is in one group only, by construction."""
        return all(dimension.per_person for dimension in self.dimensions)

    @property
    def totals(self) -> tuple[Total, ...]:
        """The measures that are drawn, people first."""
        return tuple(measure for measure in self.measures if isinstance(measure, Total))

    @property
    def means(self) -> tuple[Mean, ...]:
        """The measures that are computed from drawn ones."""
        return tuple(measure for measure in self.measures if isinstance(measure, Mean))


@dataclass(frozen=True)
class Notice:
    """What people were told of a release's purpose.

    Attributes:
        version: Of the privacy policy.
        text: Its words for the purpose.
    """

    version: str
    text: str


@dataclass(frozen=True)
class BoundSpecification:
    """A specification that fits what it will be run on.

    ``epsilon`` is apart from the specification because tests of exactness set it to infinity. ``notice`` is None for
    own records, of which no policy speaks.
    """

    specification: ReleaseSpecification
    offer: Offer
    tables: tuple[BoundTable, ...]
    epsilon: Epsilon
    delta: Delta
    k: K
    notice: Notice | None = None

    @property
    def cap(self) -> BudgetCap:
        """What all releases about the population may spend together over a rolling year."""
        return self.offer.cap


def load_specification(path: Path) -> ReleaseSpecification:
    """Read one specification; its file is named as the release.

    Raises:
        SpecificationError: It is missing or breaks a rule; every broken rule is named.
    """
    specification = documents.load(path, ReleaseSpecification, SpecificationError)
    if path.stem != specification.release:
        raise SpecificationError(
            f"a specification's file must be named as its release, {specification.release}.yaml",
            value=path.name,
            remedy="Rename the file or the release.",
        )
    return specification


def load_specifications(folder: Path) -> tuple[ReleaseSpecification, ...]:
    """All specifications of a folder, by name.

    Raises:
        SpecificationError: There is none, or one is invalid.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise SpecificationError(
            "a folder of specifications must hold at least one .yaml file", value=folder, remedy="Write one."
        )
    return tuple(load_specification(path) for path in paths)


def bind(specification: ReleaseSpecification, site: SiteFile) -> BoundSpecification:
    """Check a specification against the site and resolve its dimensions; see ``bind_to``.

    Raises:
        ConfigurationError: The site has no such population.
        SpecificationError: As ``bind_to`` says.
    """
    return bind_to(specification, offer_of(site, specification.population))


def bind_to(specification: ReleaseSpecification, offer: Offer) -> BoundSpecification:
    """Check a specification against what its population offers, and resolve its dimensions and measures.

    Raises:
        SpecificationError: A dimension or quantity that is not offered, another period than the population's,
            bounds missing or without effect, or a budget beyond the population's cap.
    """
    if specification.period is not offer.period:
        raise SpecificationError(
            f"the period must be the one in which {specification.population} are told apart, {offer.period}",
            value=f"period={specification.period}",
            remedy=f"Set period to {offer.period}.",
        )
    people = people_total(str(specification.population))
    bound = BoundSpecification(
        specification,
        offer,
        tuple(_bind_table(table, offer, people) for table in specification.tables),
        Epsilon.of(specification.privacy.epsilon),
        Delta.of(specification.privacy.delta),
        K(specification.privacy.k),
    )
    _check_orders(bound.tables)
    _check_private_keys(bound.tables)
    _check_cap(bound)
    return bound


def _bind_table(table: TableSpecification, offer: Offer, people: Total) -> BoundTable:
    known = offer.dimensions
    if unknown := [name for name in table.dimensions if name not in known]:
        raise SpecificationError(
            f"table {table.name}: a dimension must be one that the site offers",
            value=", ".join(unknown),
            remedy=f"Use some of: {', '.join(sorted(known))}.",
        )
    dimensions = tuple(known[name] for name in table.dimensions)
    _check_groups(table, dimensions)
    return BoundTable(
        table.name,
        table.title,
        dimensions,
        table.max_groups or 1,
        bind_measures(table.name, people, table.measures, offer.quantities),
        _private_keys(table, dimensions),
        table.weight,
    )


def _private_keys(table: TableSpecification, dimensions: tuple[Dimension, ...]) -> frozenset[str]:
    if strangers := sorted(set(table.private_keys) - set(table.dimensions)):
        raise SpecificationError(
            f"table {table.name}: private_keys must name dimensions of the table",
            value=", ".join(strangers),
            remedy="Remove them.",
        )
    return frozenset(table.private_keys) | {dimension.name for dimension in dimensions if dimension.is_open}


def _check_groups(table: TableSpecification, dimensions: tuple[Dimension, ...]) -> None:
    many = [dimension.name for dimension in dimensions if not dimension.per_person]
    if many and table.max_groups is None:
        raise SpecificationError(
            f"table {table.name}: max_groups must be set where a person may have many of a dimension",
            value=f"no max_groups with {', '.join(many)}",
            remedy="Set max_groups, 3 for example: a person counts in so many groups at most.",
        )
    if not many and table.max_groups not in (None, 1):
        raise SpecificationError(
            f"table {table.name}: max_groups must be left out where a person is in one group only",
            value=f"max_groups={table.max_groups}",
            remedy="Remove max_groups.",
        )


def _check_orders(tables: tuple[BoundTable, ...]) -> None:
    """The same people by the same dimensions are drawn once, so all tables must drill through them in one order."""
    orders: dict[frozenset[str], tuple[str, ...]] = {}
    for table in tables:
        names = tuple(dimension.name for dimension in table.dimensions) if table.per_person else ()
        for depth in range(2, len(names) + 1):
            first = orders.setdefault(frozenset(names[:depth]), names[:depth])
            if first != names[:depth]:
                raise SpecificationError(
                    f"table {table.name}: tables over the same dimensions must name them in the same order",
                    value=f"{', '.join(names[:depth])} here and {', '.join(first)} before",
                    remedy="Use one order: two would be drawn apart and would not agree.",
                )


def _check_private_keys(tables: tuple[BoundTable, ...]) -> None:
    private = {name for table in tables for name in table.private_keys}
    for table in tables:
        if public := sorted(private & {dimension.name for dimension in table.dimensions} - table.private_keys):
            raise SpecificationError(
                f"table {table.name}: keys that are private in one table must be so in every table",
                value=f"{', '.join(public)} is listed here",
                remedy="Add it to private_keys of this table: its withheld rows would name the keys of the other.",
            )


def _check_cap(bound: BoundSpecification) -> None:
    population, cap = bound.specification.population, bound.cap
    if bound.epsilon.value > cap.epsilon or bound.delta.value > cap.delta:
        raise SpecificationError(
            f"one release may not ask for more than the yearly cap for {population}, "
            f"epsilon={cap.epsilon:g} and delta={cap.delta:.3g}",
            value=f"epsilon={bound.epsilon} and delta={bound.delta}",
            remedy="Lower the release's parameters; the cap stands in the site file.",
        )
