"""A small private release with plausible noisy numbers, made without drawing any noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.publication.manifest import Approved, candidate_sha256
from pipeline.release.artefact import ROW_COLUMNS, LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY, Audience, Population

K = 50
NOISE_SD = {("",): 2.0, ("", "country"): 3.0, ("", "country", "operating_system"): 8.0}
COUNTRIES = ("AT", "DE", "FR", "NA", "US", "unknown")
SYSTEMS = ("Android", "Windows", "other", "unknown")
# Keys that a spreadsheet, an HTML page or a CSV reader could stumble over.
SECTIONS = ("docs", "=HYPERLINK(1)", '<b>"bold"</b>, a & b', "-shop", "other")

# group -> value; None where withheld, "D" where folded
Counts = Mapping[tuple[str, ...], int | str | None]

COUNTRY_COUNTS: Counts = {
    (TOTAL_KEY,): 4210,
    ("AT",): None,
    ("DE",): 1880,
    ("FR",): "D",
    ("NA",): 240,
    ("US",): 1915,
    ("unknown",): None,
    (REMAINDER_KEY,): 175,
}
SYSTEM_COUNTS: Counts = {
    (TOTAL_KEY, TOTAL_KEY): 4210,
    ("AT", TOTAL_KEY): None,
    ("DE", TOTAL_KEY): 1880,
    ("DE", "Android"): 140,
    ("DE", "Windows"): 1130,
    ("DE", "other"): None,
    ("DE", "unknown"): None,
    ("DE", REMAINDER_KEY): 610,
    ("FR", TOTAL_KEY): "D",
    ("NA", TOTAL_KEY): 240,
    ("NA", "Android"): None,
    ("NA", "Windows"): None,
    ("NA", "other"): None,
    ("NA", "unknown"): None,
    ("NA", REMAINDER_KEY): 240,
    ("US", TOTAL_KEY): 1915,
    ("US", "Android"): 900,
    ("US", "Windows"): 700,
    ("US", "other"): 190,
    ("US", "unknown"): 125,
    ("unknown", TOTAL_KEY): None,
    (REMAINDER_KEY, TOTAL_KEY): 175,
}
SECTION_COUNTS: Counts = {
    (TOTAL_KEY,): 6500,
    ("docs",): 3000,
    ("=HYPERLINK(1)",): 2000,
    ('<b>"bold"</b>, a & b',): 1000,
    ("-shop",): None,
    ("other",): None,
    (REMAINDER_KEY,): 500,
}


def frame_of(counts: Counts, dimensions: tuple[str, ...], level_sd: Mapping[int, float]) -> pd.DataFrame:
    rows = [_row(group, value, dimensions, level_sd) for group, value in counts.items()]
    types = {**dict.fromkeys(dimensions, "string"), **ROW_COLUMNS}
    return pd.DataFrame({name: pd.array([row[name] for row in rows], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]


def _row(
    group: tuple[str, ...], value: int | str | None, dimensions: tuple[str, ...], level_sd: Mapping[int, float]
) -> dict[str, Any]:
    kind = "remainder" if REMAINDER_KEY in group else "total" if set(group) == {TOTAL_KEY} else "group"
    row: dict[str, Any] = dict(zip(dimensions, group, strict=True)) | {"kind": kind}
    if not isinstance(value, int):
        withheld = dict.fromkeys(("value", "value_lo", "value_hi", "estimate", "noise_sd"))
        return row | withheld | {"obs_status": "Q", "conf_status": value or "C"}
    sd = level_sd[sum(key != TOTAL_KEY for key in group)] * (1.5 if kind == "remainder" else 1)
    reach = round(2 * sd)
    return row | {
        "value": value,
        "value_lo": max(K, value - reach),
        "value_hi": value + reach,
        "estimate": value + 0.25,
        "noise_sd": sd,
        "obs_status": "A",
        "conf_status": "F",
    }


def level(dimensions: tuple[str, ...], sd: float, table: str = "", max_groups: int = 1) -> LevelFacts:
    return LevelFacts(
        table=table,
        dimensions=dimensions,
        max_groups=max_groups,
        mechanism="discrete Laplace",
        epsilon="0.25",
        delta_selection="1e-09",
        delta_remainder="1e-09",
        scale=sd / 1.4,
        noise_sd=sd,
        threshold=K + 70,
    )


def header_of(**changes: Any) -> ReleaseHeader:
    tables = (
        _facts("countries", "Visitors by country", ("country",), ("Country",), (COUNTRIES,)),
        _facts(
            "systems",
            "Visitors by country and system",
            ("country", "operating_system"),
            ("Country", "Operating system"),
            (COUNTRIES, SYSTEMS),
        ),
        _facts("sections", "Sections of the site", ("section",), ("Section",), (SECTIONS,), 3),
    )
    content: dict[str, Any] = {
        "release": "audience_weekly",
        "title": "Weekly audience",
        "description": "Who visited the site in a week.",
        "owner": "Web analytics",
        "purpose": "Generic aggregated demographics for business partners.",
        "population": Population.VISITORS,
        "unit": "one visitor in one week",
        "period": "2026-W41",
        "period_start": "2026-10-05",
        "period_end": "2026-10-12",
        "revision": 1,
        "site": "Example Software",
        "publisher": "Example Software Ltd",
        "contact": "privacy@example.com",
        "synthetic": True,
        "epsilon": "1",
        "delta": "1e-07",
        "k": K,
        "levels": (
            level((), 2.0),
            level(("country",), 3.0),
            level(("country", "operating_system"), 8.0),
            level((), 9.0, "sections", 3),
            level(("section",), 9.0, "sections", 3),
        ),
        "tables": tables,
        "audiences": {
            Audience.PARTNER: ("countries", "systems", "sections"),
            Audience.AFFILIATE: ("countries",),
            Audience.RESELLER: ("countries", "systems"),
            Audience.ADVERTISER: ("sections",),
        },
        "specification_sha256": "5" * 64,
        "code_version": "0.1.0",
    }
    return ReleaseHeader(**(content | changes))


def _facts(
    name: str,
    title: str,
    dimensions: tuple[str, ...],
    titles: tuple[str, ...],
    keys: tuple[tuple[str, ...], ...],
    max_groups: int = 1,
) -> TableFacts:
    return TableFacts(
        name=name,
        title=title,
        dimensions=dimensions,
        dimension_titles=titles,
        keys=keys,
        max_groups=max_groups,
        measure="people" if max_groups == 1 else "people in groups",
    )


def release_of(**changes: Any) -> PrivateRelease:
    tables = {
        "countries": frame_of(COUNTRY_COUNTS, ("country",), {0: 2.0, 1: 3.0}),
        "systems": frame_of(SYSTEM_COUNTS, ("country", "operating_system"), {0: 2.0, 1: 3.0, 2: 8.0}),
        "sections": frame_of(SECTION_COUNTS, ("section",), {0: 9.0, 1: 9.0}),
    }
    return PrivateRelease(header_of(**changes), tables)


def with_table(release: PrivateRelease, name: str, frame: pd.DataFrame) -> PrivateRelease:
    return PrivateRelease(release.header, {**release.tables, name: frame})


def approval_of(release: PrivateRelease, verdicts: Verdicts, **changes: Any) -> Approved:
    content: dict[str, Any] = {
        "candidate_sha256": candidate_sha256(release, verdicts),
        "reviewer": "R. Eviewer",
        "decided_at": "2026-10-13T09:00:00+00:00",
        "scripted": False,
    }
    return Approved(**(content | changes))
