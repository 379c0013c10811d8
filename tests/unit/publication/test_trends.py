"""Trends: a line through periods with the band of its intervals, broken where nobody can tell."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any, cast

import pandas as pd
import pytest

from pipeline.periods import Period
from pipeline.publication.manifest import Identity, Manifest
from pipeline.publication.reading import ReadBundle
from pipeline.publication.trends import (
    LARGEST,
    MOST_PERIODS,
    NARROW,
    WIDE,
    describe_trend,
    draw_trend,
    is_course,
    trend_rows,
)
from pipeline.publication.views import TRAILING_COLUMNS
from pipeline.release.artefact import MeasureFacts, TableFacts

SVG = "{http://www.w3.org/2000/svg}"
KEYS = ("Chrome", "Firefox", "Safari", "Edge", "Opera", "Brave", "Other & <co>")
HALF = 30  # of an interval


def facts_of(*dimensions: str) -> TableFacts:
    people = cast("Any", MeasureFacts).model_construct(
        name="people", kind="people", title="People", unit="visitors", quantity="people", limit=1, scope=""
    )
    return TableFacts.model_construct(
        name="by_browser",
        title='By browser <script> & "more"',
        dimensions=dimensions,
        dimension_titles=dimensions,
        measure="people",
        measures=(people,),
        keys=tuple(KEYS for _ in dimensions),
        private=(),
        max_groups=1,
    )


def row(key: str, value: int | None, kind: str = "group", **more: str) -> dict[str, Any]:
    ends = (None, None) if value is None else (value - HALF, value + HALF)
    numbers = {"value": value, "value_lo": ends[0], "value_hi": ends[1], "estimate": value, "noise_sd": 15.0}
    about = {"obs_status": "Q" if value is None else "A", "conf_status": "F", "is_total": kind == "total"}
    return {"browser": key, **more, "measure": "people", "unit": "visitors"} | numbers | about | {"row_kind": kind}


def bundle(period: str, *rows: dict[str, Any], dimensions: tuple[str, ...] = ("browser",)) -> ReadBundle:
    when = Period.parse(period)
    frame = pd.DataFrame([*rows]).assign(period_start=str(when.start), period_end=str(when.end), revision=1)
    frame = frame[["period_start", "period_end", *dimensions, *TRAILING_COLUMNS]]
    # Trends read the name and the days of a period, and no more of what a manifest says.
    whose, what = cast("Any", Identity), cast("Any", Manifest)
    identity = whose.model_construct(period=period, period_start=str(when.start), period_end=str(when.end))
    manifest = what.model_construct(identity=identity, tables=(facts_of(*dimensions),))
    return ReadBundle(manifest, {"by_browser": frame})


def week(period: str, total: int, *values: int | None) -> ReadBundle:
    groups = [row(key, value) for key, value in zip(KEYS, values, strict=False)]
    return bundle(period, row("all", total, "total"), *groups, row("all other", 40, "remainder"))


COURSE = [
    week("2026-W38", 900, 500, 300, 100),
    week("2026-W39", 950, 520, None, 110),
    week("2026-W41", 1_000, 560, 320, 120),
]


def test_the_band_is_the_interval_that_was_published() -> None:
    rows = trend_rows(COURSE, facts_of("browser")).dropna()
    told = {(one["label"], one["period"]): one for one in rows.to_dict("records")}
    for place, value in ((("Chrome", "2026-W39"), 520), (("all", "2026-W41"), 1_000)):
        record = told[place]
        assert [record[end] for end in ("value_lo", "value", "value_hi")] == [value - HALF, value, value + HALF]
    assert set(rows["label"]) == {"all", "Chrome", "Firefox", "Safari"}


def test_a_period_that_is_not_there_and_one_that_is_withheld_are_gaps() -> None:
    rows = trend_rows(COURSE, facts_of("browser"))
    firefox, total = (rows[rows["label"] == label] for label in ("Firefox", "all"))
    assert firefox["period"].tolist() == ["2026-W38", "2026-W39", "2026-W40", "2026-W41"]
    assert firefox["value"].isna().tolist() == [False, True, True, False]
    assert total["value_lo"].isna().tolist() == [False, False, True, False]


def pieces(weeks: list[ReadBundle]) -> int:
    """In how many pieces the lines of a drawing are."""
    drawn = ET.fromstring(draw_trend(trend_rows(weeks, facts_of("browser")), facts_of("browser")))  # noqa: S314  our own
    lines = [one for one in drawn.iter(f"{SVG}path") if one.get("stroke") == "var(--ink)" and not one.get("fill")]
    return sum(str(one.get("d")).count("M") for one in lines)


def test_a_line_breaks_at_a_gap_and_nowhere_else() -> None:
    unbroken = [*COURSE[:1], week("2026-W39", 950, 520, 310, 110), week("2026-W40", 980, 540, 315, 115), *COURSE[2:]]
    panels = 4  # all, Chrome, Firefox, Safari
    assert pieces(unbroken) == panels
    assert pieces(COURSE) == 2 * panels


def test_the_largest_groups_of_the_newest_period_are_shown_after_the_total() -> None:
    values = (10, 20, 30, 40, 50, 60, 70)
    rows = trend_rows([week("2026-W40", 280, *values), week("2026-W41", 280, *values)], facts_of("browser"))
    assert list(dict.fromkeys(rows["label"])) == ["all", *reversed(KEYS[-LARGEST:])]


def test_of_a_table_of_two_dimensions_the_finest_groups_are_shown() -> None:
    names = ("browser", "operating_system")
    rows = [
        row("all", 900, "total", operating_system="all"),
        row("Chrome", 600, operating_system="all"),
        row("Chrome", 400, operating_system="iOS"),
        row("Firefox", 100, operating_system="iOS"),
        row("Chrome", 200, "remainder", operating_system="all other"),
    ]
    both = [bundle(period, *rows, dimensions=names) for period in ("2026-W40", "2026-W41")]
    assert list(dict.fromkeys(trend_rows(both, facts_of(*names))["label"])) == ["all", "Chrome, iOS", "Firefox, iOS"]


def test_no_more_than_the_last_periods_are_shown() -> None:
    first = Period.parse("2024-W01")
    periods = [first]
    while len(periods) < MOST_PERIODS + 5:
        periods.append(periods[-1].next)
    rows = trend_rows([week(str(one), 100, 60) for one in periods], facts_of("browser"))
    assert rows["period"].nunique() == MOST_PERIODS
    assert rows["period"].iloc[-1] == str(periods[-1])


def test_one_period_makes_no_course() -> None:
    rows = trend_rows(COURSE[:1], facts_of("browser"))
    assert not is_course(rows)
    assert draw_trend(rows, facts_of("browser")) == ""
    assert not is_course(trend_rows([], facts_of("browser")))


@pytest.mark.parametrize(("across", "least", "most"), [(NARROW, 200, 340), (WIDE, 800, 1_000)])
def test_a_drawing_fits_where_it_is_shown(across: int, least: int, most: int) -> None:
    drawn = draw_trend(trend_rows(COURSE, facts_of("browser")), facts_of("browser"), across)
    width = re.search(r'width="(\d+)', drawn)
    assert width is not None
    assert least <= int(width[1]) <= most


def test_a_drawing_has_words_for_those_who_do_not_see_it_and_runs_nothing() -> None:
    values = (10, 20, 30, 40, 50, 60, 70)
    weeks = [week("2026-W40", 280, *values), week("2026-W41", 290, *values)]
    rows, facts = trend_rows(weeks, facts_of("browser")), facts_of("browser")
    drawn = draw_trend(rows, facts)
    assert "all: from 280 (250 to 310) in 2026-W40 to 290 (260 to 320) in 2026-W41." in describe_trend(rows, facts)
    assert ET.fromstring(drawn).get("aria-label") == describe_trend(rows, facts)  # noqa: S314  our own
    assert "<script" not in drawn
    assert "<co>" not in drawn


def test_a_group_that_one_period_alone_tells_is_said_to_be_so() -> None:
    weeks = [week("2026-W40", 280, None, 70), week("2026-W41", 290, 60, 80)]
    rows = trend_rows(weeks, facts_of("browser"))
    assert "Chrome: 60 (30 to 90) in 2026-W41 alone." in describe_trend(rows, facts_of("browser"))
