"""A small release that keeps every rule, to be broken on purpose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipeline.measures import Scope
from pipeline.privacy.accountant import Charge
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.noise import DiscreteLaplace, Noise, sum_half_width
from pipeline.release.artefact import LevelFacts, MeasureFacts, PrivateRelease, ReleaseHeader, TableFacts, column_types
from pipeline.vocabulary import PEOPLE, REMAINDER_KEY, TOTAL_KEY, Audience, Population

K = 10
DELTA = 1e-7
IN_GROUPS = "people in groups"

# measure -> (displayed number, estimate, its variance in variances of the level's noise)
Numbers = Mapping[str, tuple[int, float, float]]
# group -> (kind, numbers) where listed; C or D where withheld
Rows = Mapping[tuple[str, ...], tuple[str, Numbers] | str]


@dataclass(frozen=True)
class Counted:
    """A total of a table: its noise, and what one person may add."""

    noise: Noise
    facts: MeasureFacts


@dataclass(frozen=True)
class Made:
    """One table: ``totals`` has people first."""

    name: str
    dimensions: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    max_groups: int
    totals: tuple[Counted, ...]
    rows: Rows
    means: tuple[MeasureFacts, ...] = ()
    private: tuple[str, ...] = ()
    doubtful: frozenset[tuple[str, ...]] = field(default_factory=frozenset)

    @property
    def facts(self) -> TableFacts:
        return TableFacts(
            name=self.name,
            title=self.name,
            dimensions=self.dimensions,
            dimension_titles=tuple(dimension.replace("_", " ").capitalize() for dimension in self.dimensions),
            keys=self.keys,
            private=self.private,
            max_groups=self.max_groups,
            measure="people" if self.max_groups == 1 else "people in groups",
            measures=(*(total.facts for total in self.totals), *self.means),
        )

    def frame(self) -> pd.DataFrame:
        """Rows of the table as the draw lays them out."""
        records = [record for group, row in self.rows.items() for record in self._records(group, row)]
        types = column_types(self.facts)
        columns = {name: [one[name] for one in records] for name in types}
        return pd.DataFrame({name: pd.array(columns[name], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]

    def _records(self, group: tuple[str, ...], row: tuple[str, Numbers] | str) -> Iterator[dict[str, Any]]:
        named = dict(zip(self.dimensions, (*group, *[TOTAL_KEY] * len(self.dimensions)), strict=False))
        place = named | {"kind": "group" if group else "total"}
        if isinstance(row, str):
            empty = dict.fromkeys(("value", "value_lo", "value_hi", "estimate", "noise_sd"))
            yield {**place, **empty, "measure": self.facts.measure, "obs_status": "Q", "conf_status": row}
            return
        kind, numbers = row
        status = "U" if group in self.doubtful else "A"
        told = {total.facts.name: _number(total, *numbers[total.facts.name], kind) for total in self.totals}
        told |= {mean.name: _quotient(told[mean.numerator], told[mean.denominator]) for mean in self.means}
        for measure in self.facts.measures:
            marked = measure.kind == "people" or self.facts.measure in (measure.numerator, measure.denominator)
            place |= {"kind": kind, "measure": measure.name, "obs_status": status if marked else "A"}
            yield {**place, **told[measure.name], "conf_status": "F"}


def _number(total: Counted, value: int, estimate: float, variances: float, kind: str) -> dict[str, Any]:
    sd = math.sqrt(variances) * total.noise.sd
    least = K if total.facts.kind == "people" else 0
    if kind == "remainder":
        half: float = sum_half_width([(total.noise, max(round(variances), 1))])
    else:
        half = total.noise.half_width() if variances == 1 else 2.05 * sd
    return {
        "value": value,
        "value_lo": min(max(math.ceil(estimate - half), least), value),
        "value_hi": max(math.floor(estimate + half), value),
        "estimate": float(estimate),
        "noise_sd": sd,
    }


def _quotient(above: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    estimate = above["estimate"] / below["estimate"]
    return {
        "value": above["value"] / below["value"],
        "value_lo": above["value_lo"] / below["value_hi"],
        "value_hi": above["value_hi"] / below["value_lo"],
        "estimate": estimate,
        "noise_sd": math.hypot(above["noise_sd"], estimate * below["noise_sd"]) / below["estimate"],
    }


def people(noise: Noise, name: str = PEOPLE) -> Counted:
    return Counted(
        noise, MeasureFacts(name=name, title="People", unit="visitors", kind="people", quantity=PEOPLE, limit=1)
    )


def _total(noise: Noise, name: str, quantity: str, limit: int, scope: Scope) -> Counted:
    kind = "events" if quantity == "events" else "sum"
    facts = {"title": name.capitalize(), "unit": name, "kind": kind, "quantity": quantity, "limit": limit}
    return Counted(noise, MeasureFacts(name=name, scope=scope, **facts))


def _mean(name: str, numerator: str, denominator: str) -> MeasureFacts:
    return MeasureFacts(name=name, title=name, unit="each", kind="mean", numerator=numerator, denominator=denominator)


_COUNTRIES = ("DE", "FR", "GB", "US")


def tables(noises: Mapping[str, Noise]) -> tuple[Made, ...]:
    """Two tables over people that share levels, one of them with requests and a mean; one over sections, of which a
    person has several, with a sum; one of domains, which are private."""
    crowd, requests = people(noises["people"]), _total(noises["requests"], "requests", "events", 5, Scope.GROUP)
    in_sections = people(noises["sections"], IN_GROUPS)
    revenue = _total(noises["revenue"], "revenue", "revenue", 40, Scope.ALL)
    return (
        Made("by_country", ("country",), (_COUNTRIES,), 1, (crowd,), {
            group: row if isinstance(row, str) else (row[0], {PEOPLE: row[1][PEOPLE]})
            for group, row in _BY_SYSTEM.items() if len(group) < 2
        }),
        Made("by_system", ("country", "operating_system"), (_COUNTRIES, ("Linux", "Windows")), 1, (crowd, requests),
             _BY_SYSTEM, (_mean("requests_each", "requests", PEOPLE),)),
        Made("by_section", ("section",), (("blog", "docs", "shop"),), 3, (in_sections, revenue), _BY_SECTION),
        Made("by_domain", ("domain",), ((),), 2, (people(noises["domains"], IN_GROUPS),), _by_domain(noises["domains"]),
             private=("domain",), doubtful=frozenset({("news.example",), (REMAINDER_KEY,)})),
    )  # fmt: skip


_BY_SYSTEM: Rows = {
    (): ("total", {PEOPLE: (1000, 1000, 1), "requests": (4000, 4000, 1)}),
    ("DE",): ("group", {PEOPLE: (300, 300, 1), "requests": (1500, 1500, 1)}),
    ("DE", "Linux"): "C",
    ("DE", "Windows"): "C",
    ("DE", REMAINDER_KEY): ("remainder", {PEOPLE: (300, 300, 1), "requests": (1500, 1500, 1)}),
    ("FR",): "D",
    ("GB",): "C",
    # 500 was drawn, and 504 in both systems together: all are known better by that, and shown so that they add up
    ("US",): ("group", {PEOPLE: (501, 501 + 1 / 3, 2 / 3), "requests": (2400, 2400, 2 / 3)}),
    ("US", "Linux"): ("group", {PEOPLE: (202, 201 + 2 / 3, 2 / 3), "requests": (1000, 1000, 2 / 3)}),
    ("US", "Windows"): ("group", {PEOPLE: (299, 299 + 2 / 3, 2 / 3), "requests": (1400, 1400, 2 / 3)}),
    (REMAINDER_KEY,): ("remainder", {PEOPLE: (199, 198 + 2 / 3, 8 / 3), "requests": (100, 100, 8 / 3)}),
}
_BY_SECTION: Rows = {
    (): ("total", {IN_GROUPS: (2000, 2000, 1), "revenue": (9000, 9000, 1)}),
    ("blog",): ("group", {IN_GROUPS: (400, 400, 1), "revenue": (0, -60, 1)}),
    ("docs",): ("group", {IN_GROUPS: (1500, 1500, 1), "revenue": (9000, 9030, 1)}),
    ("shop",): "C",
    (REMAINDER_KEY,): ("remainder", {IN_GROUPS: (100, 100, 3), "revenue": (0, 30, 3)}),
}


def _by_domain(noise: Noise) -> Rows:
    near = K + noise.tail_point(_alone(2)) + 1
    rest = 1000 - 700 - near
    return {
        (): ("total", {IN_GROUPS: (1000, 1000, 1)}),
        ("mail.example",): ("group", {IN_GROUPS: (700, 700, 1)}),
        ("news.example",): ("group", {IN_GROUPS: (near, near, 1)}),
        ("shop.example",): "D",
        (REMAINDER_KEY,): ("remainder", {IN_GROUPS: (rest, rest, 3)}),
    }


def _laplace(epsilon: str, l1: int) -> Noise:
    return DiscreteLaplace(Epsilon.of(epsilon), l1)


LAPLACE: Mapping[str, Noise] = {
    "people": _laplace("0.5", 1),  # scale 2
    "requests": _laplace("0.5", 5),
    "sections": _laplace("0.75", 3),  # scale 4
    "revenue": _laplace("0.25", 40),
    "domains": _laplace("0.5", 2),
}
GAUSSIAN: Mapping[str, Noise] = {
    "people": DiscreteGaussian(10.0),
    "requests": DiscreteGaussian(50.0),
    "sections": DiscreteGaussian(20.0),
    "revenue": DiscreteGaussian(400.0),
    "domains": DiscreteGaussian(16.0),
}


def good_release(noises: Mapping[str, Noise] = LAPLACE, **changes: Any) -> PrivateRelease:
    """A release that keeps all rules, with Laplace noise or with Gaussian noise."""
    made = tables(noises)
    return PrivateRelease(header_of(made, **changes), {table.name: table.frame() for table in made})


def gaussian_release() -> PrivateRelease:
    return good_release(GAUSSIAN, noise="discrete Gaussian", epsilon="1.7", delta="2.4e-06", delta_noise="1e-06")


def header_of(made: Iterable[Made], **changes: Any) -> ReleaseHeader:
    made = tuple(made)
    levels = {(level.table, level.dimensions, level.quantity): level for table in made for level in _levels(table)}
    content: dict[str, Any] = {
        "release": "weekly_audience",
        "title": "Weekly audience",
        "description": "Who came.",
        "owner": "Web",
        "purpose": "Trends",
        "population": Population.VISITORS,
        "unit": "one visitor in one week",
        "period": "2026-W41",
        "period_start": "2026-10-05",
        "period_end": "2026-10-12",
        "revision": 1,
        "site": "Example",
        "publisher": "Example",
        "contact": "privacy@example.com",
        "synthetic": True,
        "epsilon": "6",
        "delta": "1.4e-06",
        "k": K,
        "noise": "discrete Laplace",
        "levels": tuple(levels.values()),
        "tables": tuple(table.facts for table in made),
        "audiences": {Audience.PARTNER: ("by_country", "by_section"), Audience.RESELLER: ("by_system",)},
        "specification_sha256": "0" * 64,
        "code_version": "0",
    }
    return ReleaseHeader(**(content | changes))


def _levels(table: Made) -> Iterator[LevelFacts]:
    for total in table.totals:
        for depth in range(len(table.dimensions) + 1):
            yield _level(table, total, depth)


def _level(table: Made, total: Counted, depth: int) -> LevelFacts:
    noise, measured, groups = total.noise, total.facts, table.max_groups
    of_people = measured.kind == "people"
    spreads = depth == len(table.dimensions) or groups == 1
    in_all = measured.scope is Scope.ALL
    largest = measured.limit * (1 if spreads or in_all else groups)
    silent = not noise.scale
    return LevelFacts(
        table="" if groups == 1 else table.name,
        dimensions=table.dimensions[:depth],
        max_groups=groups,
        quantity=measured.quantity,
        limit=measured.limit,
        scope=measured.scope,
        largest=largest,
        cells=groups if spreads and not in_all else 1,
        mechanism=noise.mechanism,
        epsilon=f"{noise.epsilon.value:.12g}" if isinstance(noise, DiscreteLaplace) else "",
        delta_selection=f"{DELTA:.3g}" if of_people else "0",
        delta_remainder=f"{DELTA:.3g}" if of_people else "0",
        scale=noise.scale,
        noise_sd=noise.sd,
        threshold=0 if not of_people else K if silent else K * largest + noise.tail_point(_alone(groups)),
    )


def _alone(groups: int) -> float:
    return -math.expm1(math.log1p(-DELTA) / groups)


@dataclass(frozen=True)
class Case:
    """A release as it is checked: beside the one before, and what was reserved for it."""

    release: PrivateRelease
    previous: PrivateRelease | None
    reserved: Charge | None


def case(release: PrivateRelease | None = None) -> Case:
    """A release that is like the one before, and for which was reserved what it cost."""
    now = release or good_release()
    return Case(now, of_period(now, "2026-W40"), charge_of(now.header))


def of_period(release: PrivateRelease, period: str) -> PrivateRelease:
    return PrivateRelease(release.header.model_copy(update={"period": period}), release.tables)


def charge_of(header: ReleaseHeader) -> Charge:
    """What noise as it is declared costs."""
    counts, pure, gaussians = Counter[str](), Counter[str](), Counter[str]()
    for level in header.levels:
        if level.mechanism == "discrete Gaussian":
            gaussians[f"{level.scale}:{level.largest}"] += level.cells
        elif level.mechanism == "discrete Laplace":
            (counts if level.largest == 1 else pure)[f"{float(level.epsilon) / level.cells:.12g}"] += level.cells
    deltas = [float(part) for level in header.levels for part in (level.delta_selection, level.delta_remainder)]
    silent = any(level.mechanism == "none" for level in header.levels)
    return Charge(counts=counts, pure=pure, gaussians=gaussians, delta=sum(deltas), infinite=silent)
