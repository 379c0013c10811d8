"""A small release that keeps every rule, to be broken on purpose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.privacy.budget import Epsilon
from pipeline.privacy.noise import DiscreteLaplace, sum_half_width
from pipeline.release.artefact import ROW_COLUMNS, LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY, Audience, Population

K = 10
PEOPLE = DiscreteLaplace(Epsilon.of("0.5"), 1)  # scale 2
GROUPS = DiscreteLaplace(Epsilon.of("0.75"), 3)  # scale 4
_DELTA = 1e-7

COUNTRY = ("by_country", "Country", ("country",), (("DE", "FR", "GB", "US"),), 1)
SYSTEM = (
    "by_system",
    "Country and system",
    ("country", "operating_system"),
    (("DE", "FR", "GB", "US"), ("Linux", "Windows")),
    1,
)
SECTION = ("by_section", "Section", ("section",), (("blog", "docs", "shop"),), 3)


def good_release() -> PrivateRelease:
    """Two tables over people that share levels, and one over the sections a person may have several of."""
    return PrivateRelease(
        _header(),
        {
            "by_country": frame(("country",), _COUNTRIES, PEOPLE),
            "by_system": frame(("country", "operating_system"), _SYSTEMS, PEOPLE),
            "by_section": frame(("section",), _SECTIONS, GROUPS),
        },
    )


# group -> (kind, value, estimate, noises of level and listed siblings); None: withheld, under C or D
Rows = Mapping[tuple[str, ...], tuple[str, int, int, int] | str]
_COUNTRIES: Rows = {
    (): ("total", 1000, 1000, 0),
    ("DE",): ("group", 300, 300, 0),
    ("FR",): "D",
    ("GB",): "C",
    ("US",): ("group", 500, 500, 0),
    (REMAINDER_KEY,): ("remainder", 200, 200, 2),
}
_SYSTEMS: Rows = {
    **_COUNTRIES,
    ("DE", "Linux"): "C",
    ("DE", "Windows"): "C",
    ("DE", REMAINDER_KEY): ("remainder", 300, 300, 0),
    ("US", "Linux"): ("group", 201, 203, 0),  # all are listed: moved to add up
    ("US", "Windows"): ("group", 299, 301, 0),
}
_SECTIONS: Rows = {
    (): ("total", 2000, 2000, 0),
    ("blog",): ("group", 400, 400, 0),
    ("docs",): ("group", 1500, 1500, 0),
    ("shop",): "C",
    (REMAINDER_KEY,): ("remainder", 100, 100, 2),
}


def frame(dimensions: tuple[str, ...], rows: Rows, noise: DiscreteLaplace) -> pd.DataFrame:
    """Rows of a table as the draw lays them out."""
    records = [_record(dimensions, group, row, noise) for group, row in rows.items()]
    types = {**dict.fromkeys(dimensions, "string"), **ROW_COLUMNS}
    return pd.DataFrame({name: pd.array([one[name] for one in records], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]


def _record(
    dimensions: tuple[str, ...], group: tuple[str, ...], row: tuple[str, int, int, int] | str, noise: DiscreteLaplace
) -> dict[str, Any]:
    named = dict(zip(dimensions, (*group, *[TOTAL_KEY] * len(dimensions)), strict=False))
    if isinstance(row, str):
        empty = dict.fromkeys(("value", "value_lo", "value_hi", "estimate", "noise_sd"))
        return {**named, **empty, "kind": "group", "obs_status": "Q", "conf_status": row}
    kind, value, estimate, siblings = row
    half = sum_half_width([(noise, 1 + siblings)]) if kind == "remainder" else noise.half_width()
    return {
        **named,
        "kind": kind,
        "value": value,
        "value_lo": min(max(estimate - half, K), value),
        "value_hi": max(estimate + half, value),
        "estimate": float(estimate),
        "noise_sd": math.sqrt(1 + siblings) * noise.sd,
        "obs_status": "A",
        "conf_status": "F",
    }


def _header() -> ReleaseHeader:
    return ReleaseHeader(
        release="weekly_audience",
        title="Weekly audience",
        description="Who came.",
        owner="Web",
        purpose="Trends",
        population=Population.VISITORS,
        unit="one visitor in one week",
        period="2026-W41",
        period_start="2026-10-05",
        period_end="2026-10-12",
        revision=1,
        site="Example",
        publisher="Example",
        contact="privacy@example.com",
        synthetic=True,
        epsilon="3",
        delta="1e-06",
        k=K,
        levels=(
            _level("", (), PEOPLE, 1),
            _level("", ("country",), PEOPLE, 1),
            _level("", ("country", "operating_system"), PEOPLE, 1),
            _level("by_section", (), GROUPS, 3),
            _level("by_section", ("section",), GROUPS, 1),
        ),
        tables=tuple(_facts(*table) for table in (COUNTRY, SYSTEM, SECTION)),
        audiences={Audience.PARTNER: ("by_country", "by_section"), Audience.RESELLER: ("by_system",)},
        specification_sha256="0" * 64,
        code_version="0",
    )


def _level(table: str, dimensions: tuple[str, ...], noise: DiscreteLaplace, contribution: int) -> LevelFacts:
    delta = -math.expm1(math.log1p(-_DELTA) / noise.sensitivity)
    return LevelFacts(
        table=table,
        dimensions=dimensions,
        max_groups=noise.sensitivity,
        mechanism="discrete Laplace",
        epsilon=f"{noise.epsilon.value:.12g}",
        delta_selection=f"{_DELTA:.3g}",
        delta_remainder=f"{_DELTA:.3g}",
        scale=noise.scale,
        noise_sd=noise.sd,
        threshold=K * contribution + noise.tail_point(delta),
    )


def _facts(
    name: str, title: str, dimensions: tuple[str, ...], keys: tuple[tuple[str, ...], ...], max_groups: int
) -> TableFacts:
    return TableFacts(
        name=name,
        title=title,
        dimensions=dimensions,
        dimension_titles=tuple(dimension.replace("_", " ").capitalize() for dimension in dimensions),
        keys=keys,
        max_groups=max_groups,
        measure="people" if max_groups == 1 else "people in groups",
    )
