"""A small private release with plausible noisy numbers, made without drawing any noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from pipeline.measures import Scope
from pipeline.publication.manifest import Approved, candidate_sha256
from pipeline.release.artefact import (
    LevelFacts,
    MeasureFacts,
    PrivateRelease,
    ReleaseHeader,
    TableFacts,
    column_types,
)
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


# What is told of the sections that are listed, beside people: (requests, revenue in cents)
FURTHER: Mapping[str, tuple[int, int]] = {
    TOTAL_KEY: (21_000, 1_234_567),
    "docs": (12_000, 0),
    "=HYPERLINK(1)": (6_000, 1_200_000),
    '<b>"bold"</b>, a & b': (2_000, 30_000),
    REMAINDER_KEY: (1_000, 4_567),
}
FURTHER_SD = {"requests": 40.0, "revenue": 900.0}


def frame_of(
    counts: Counts, dimensions: tuple[str, ...], level_sd: Mapping[int, float], measure: str = "people"
) -> pd.DataFrame:
    """Rows of people."""
    rows = [_row(group, value, dimensions, _sds(group, counts, level_sd), K) for group, value in counts.items()]
    return framed(
        [row | {"measure": measure} for row in rows], _facts("x", "X", dimensions, dimensions, ((),) * len(dimensions))
    )


def framed(rows: Sequence[Mapping[str, Any]], facts: TableFacts) -> pd.DataFrame:
    types = column_types(facts)
    return pd.DataFrame({name: pd.array([row[name] for row in rows], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]


def sections_frame() -> pd.DataFrame:
    """Rows of people in groups, and of requests, revenue and revenue for each request of those that are listed."""
    people = frame_of(SECTION_COUNTS, ("section",), {0: 9.0, 1: 9.0}, "people in groups").to_dict("records")
    rows: list[dict[str, Any]] = []
    for row in people:
        # the smallest listed one lies close to the threshold, and so does what is left of them
        doubtful = row["section"] in ('<b>"bold"</b>, a & b', REMAINDER_KEY)
        rows.append({str(name): value for name, value in row.items()} | ({"obs_status": "U"} if doubtful else {}))
        if row["conf_status"] == "F":
            rows += _further(row["section"])
    return framed(rows, SECTIONS_FACTS)


def _further(section: str) -> list[dict[str, Any]]:
    group = (section,)
    siblings = sum(key not in (TOTAL_KEY, REMAINDER_KEY) for key in FURTHER) if section == REMAINDER_KEY else 0
    told = {}
    for (name, sd), value in zip(FURTHER_SD.items(), FURTHER[section], strict=True):
        told[name] = _row(group, value, ("section",), sd * (1 + siblings) ** 0.5, 0) | {"measure": name}
    above, below = told["revenue"], told["requests"]
    mean = below | {
        "measure": "revenue_each",
        "value": above["value"] / below["value"],
        "value_lo": above["value_lo"] / below["value_hi"],
        "value_hi": above["value_hi"] / below["value_lo"],
        "estimate": above["estimate"] / below["estimate"],
    }
    return [*told.values(), mean]


def _sds(group: tuple[str, ...], counts: Counts, level_sd: Mapping[int, float]) -> float:
    """Of a remainder, that of its parent and its listed siblings together; else that of its level."""
    depth = sum(key != TOTAL_KEY for key in group)
    if REMAINDER_KEY not in group:
        return level_sd[depth]
    place = depth - 1
    siblings = [
        key
        for key, value in counts.items()
        if isinstance(value, int) and key[:place] == group[:place] and key[place] not in (TOTAL_KEY, REMAINDER_KEY)
        and set(key[depth:]) <= {TOTAL_KEY}
    ]  # fmt: skip
    return float((level_sd[place] ** 2 + len(siblings) * level_sd[depth] ** 2) ** 0.5)


def _row(
    group: tuple[str, ...], value: int | str | None, dimensions: tuple[str, ...], sd: float, least: int
) -> dict[str, Any]:
    kind = "remainder" if REMAINDER_KEY in group else "total" if set(group) == {TOTAL_KEY} else "group"
    row: dict[str, Any] = dict(zip(dimensions, group, strict=True)) | {"kind": kind}
    if not isinstance(value, int):
        withheld = dict.fromkeys(("value", "value_lo", "value_hi", "estimate", "noise_sd"))
        return row | withheld | {"obs_status": "Q", "conf_status": value or "C"}
    reach = round(2 * sd)
    return row | {
        "value": value,
        "value_lo": min(max(least, value - reach), value),
        "value_hi": value + reach,
        "estimate": value + 0.25,
        "noise_sd": sd,
        "obs_status": "A",
        "conf_status": "F",
    }


def level(
    dimensions: tuple[str, ...], sd: float, table: str = "", max_groups: int = 1, measure: MeasureFacts | None = None
) -> LevelFacts:
    of = {} if measure is None else {"quantity": measure.quantity, "limit": measure.limit, "scope": measure.scope}
    delta = "0" if measure else "1e-09"
    return LevelFacts(
        table=table,
        dimensions=dimensions,
        max_groups=max_groups,
        mechanism="discrete Laplace",
        epsilon="0.25",
        delta_selection=delta,
        delta_remainder=delta,
        scale=sd / 1.4,
        noise_sd=sd,
        threshold=0 if measure else K + 70,
        **of,
    )


def people_facts(name: str = "people") -> MeasureFacts:
    return MeasureFacts(name=name, title="People", unit="visitors", kind="people", quantity="people", limit=1)


REQUESTS = MeasureFacts(
    name="requests", title="Requests", unit="requests", kind="events", quantity="events", limit=20, scope=Scope.GROUP
)
REVENUE = MeasureFacts(
    name="revenue", title="Revenue", unit="0.01 EUR", kind="sum", quantity="revenue", limit=300_000, scope=Scope.ALL
)
EACH = MeasureFacts(
    name="revenue_each",
    title="Revenue per request",
    unit="0.01 EUR per requests",
    kind="mean",
    numerator="revenue",
    denominator="requests",
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
        SECTIONS_FACTS,
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
        "noise": "discrete Laplace",
        "levels": (
            level((), 2.0),
            level(("country",), 3.0),
            level(("country", "operating_system"), 8.0),
            level((), 9.0, "sections", 3),
            level(("section",), 9.0, "sections", 3),
            *(
                level(grouping, FURTHER_SD[measure.name], "sections", 3, measure)
                for measure in (REQUESTS, REVENUE)
                for grouping in ((), ("section",))
            ),
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


def _facts(  # noqa: PLR0913, PLR0917
    name: str,
    title: str,
    dimensions: tuple[str, ...],
    titles: tuple[str, ...],
    keys: tuple[tuple[str, ...], ...],
    max_groups: int = 1,
    further: tuple[MeasureFacts, ...] = (),
) -> TableFacts:
    measure: Literal["people", "people in groups"] = "people" if max_groups == 1 else "people in groups"
    return TableFacts(
        name=name,
        title=title,
        dimensions=dimensions,
        dimension_titles=titles,
        keys=keys,
        max_groups=max_groups,
        measure=measure,
        measures=(people_facts(measure), *further),
    )


SECTIONS_FACTS = _facts(
    "sections",
    "Sections of the site",
    ("section",),
    ("Section",),
    (SECTIONS,),
    3,
    (REQUESTS, REVENUE, EACH),
)


def release_of(**changes: Any) -> PrivateRelease:
    tables = {
        "countries": frame_of(COUNTRY_COUNTS, ("country",), {0: 2.0, 1: 3.0}),
        "systems": frame_of(SYSTEM_COUNTS, ("country", "operating_system"), {0: 2.0, 1: 3.0, 2: 8.0}),
        "sections": sections_frame(),
    }
    return PrivateRelease(header_of(**changes), tables)


def private_release() -> PrivateRelease:
    """The same, but that the keys of sections are on no public list: only those that were released are named."""
    release = release_of()
    facts = SECTIONS_FACTS.model_copy(update={"keys": ((),), "private": ("section",)})
    frame = release.tables["sections"]
    named = with_table(release, "sections", frame[frame["conf_status"].ne("C")].reset_index(drop=True))
    header = release.header.model_copy(update={"tables": (*release.header.tables[:2], facts)})
    return PrivateRelease(header, named.tables)


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
