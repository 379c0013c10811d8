"""Trends: a line through the periods of a product with the band of its intervals, for the total and the largest groups.

A period that is withheld, withdrawn or not there breaks the line: nothing is drawn across what nobody can tell.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from pipeline.periods import Period
from pipeline.publication.charts import configured
from pipeline.publication.derived.history import history
from pipeline.publication.reading import ReadBundle
from pipeline.publication.words import key_label, number_of
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.vocabulary import TOTAL_KEY

LARGEST: Final = 5  # groups beside the total
MOST_PERIODS: Final = 60
_WIDTH, _HEIGHT = 480, 96  # of a panel; at full size one is one CSS pixel
_COLUMNS: Final = ("label", "period", "value", "value_lo", "value_hi")


def trend_rows(bundles: Sequence[ReadBundle], facts: TableFacts) -> pd.DataFrame:
    """What a trend shows: the total of a table and its largest groups, of each period one row.

    Args:
        bundles: Of each period one: the newest revision that stands.
        facts: Of the table, as the newest of them has it.

    Returns:
        Rows by panel and period; columns: label, period, value, value_lo, value_hi. Numbers are missing where a period
        is not there or withholds the group. The last ``MOST_PERIODS`` periods, no gap between them left out.
    """
    rows = history(bundles, facts.name)
    if not len(rows):
        return pd.DataFrame(columns=list(_COLUMNS))
    people = rows[(rows["measure"] == facts.measure) & (rows["row_kind"] != "remainder")]
    people = people.assign(label=_labels(people, facts))
    periods = _periods([str(period) for period in rows["period"].unique()])
    newest = people[(people["period"] == rows["period"].iloc[-1]) & people["value"].notna()]
    largest = newest[newest["row_kind"] == "group"].nlargest(LARGEST, "value")["label"]
    totals = people[people["row_kind"] == "total"]["label"].unique()
    every = pd.MultiIndex.from_product([[*totals[:1], *largest], periods], names=["label", "period"])
    numbers = people.drop_duplicates(["label", "period"]).set_index(["label", "period"])[list(_COLUMNS[2:])]
    return numbers.reindex(every).astype("Float64").reset_index()


def draw_trend(bundles: Sequence[ReadBundle], facts: TableFacts) -> str:
    """SVG of the trend of one table; empty where fewer than two periods tell anything."""
    rows = trend_rows(bundles, facts)
    if rows[rows["value"].notna()]["period"].nunique() < 2:
        return ""
    import vl_convert  # noqa: PLC0415 - loading takes a second

    drawing = str(vl_convert.vegalite_to_svg(_chart(rows).to_dict()))
    opening = f'<svg role="img" aria-label="{html.escape(describe_trend(rows, facts))}" '
    return drawing.replace("<svg ", opening, 1)


def describe_trend(rows: pd.DataFrame, facts: TableFacts) -> str:
    """A trend in a few sentences, for those who do not see it."""
    measure = facts.measures[0]
    parts = [_course(label, group, measure) for label, group in rows.dropna().groupby("label", sort=False)]
    return f"Lines with 95 % bands by period: {facts.title}. {' '.join(parts)}"


def _course(label: Any, group: pd.DataFrame, measure: MeasureFacts) -> str:
    first, last = group.iloc[0], group.iloc[-1]
    told = [
        f"{number_of(measure, row['value'], rounded=True)} "
        f"({number_of(measure, row['value_lo'], rounded=True)} to {number_of(measure, row['value_hi'], rounded=True)})"
        f" in {row['period']}"
        for row in (first, last)
    ]
    return f"{label}: from {told[0]} to {told[1]}."


def _labels(rows: pd.DataFrame, facts: TableFacts) -> list[str]:
    keys = rows[list(facts.dimensions)].astype(str).itertuples(index=False, name=None)
    return [_label(facts, place) for place in keys]


def _label(facts: TableFacts, place: tuple[str, ...]) -> str:
    named = [key_label(name, key) for name, key in zip(facts.dimensions, place, strict=True) if key != TOTAL_KEY]
    return ", ".join(named) or "All"


def _periods(labels: Sequence[str]) -> list[str]:
    """All periods from the first to the last, those without an edition too; the newest ``MOST_PERIODS``."""
    found = sorted(map(Period.parse, labels))
    every, last = [found[0]], found[-1]
    while every[-1] < last:
        every.append(every[-1].next)
    return [str(period) for period in every[-MOST_PERIODS:]]


def _chart(rows: pd.DataFrame) -> Any:
    import altair as alt  # noqa: PLC0415 - loading takes half a second

    numbers = rows.astype(dict.fromkeys(_COLUMNS[2:], float))
    across = alt.X("period:O", axis=_period_axis(alt, rows["period"].nunique()))
    base = alt.Chart(numbers.where(numbers.notna(), None)).encode(x=across)
    axis = alt.Axis(title=None, domain=False, ticks=False, tickCount=3, gridColor="var(--line)", format=",~r")
    up = alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=False, nice=True))
    ends = {"y": alt.Y("value_lo:Q", axis=axis, scale=alt.Scale(zero=False, nice=True)), "y2": "value_hi"}
    band = base.mark_area(color="var(--bar)", opacity=0.28).encode(**ends)
    whiskers = base.mark_rule(stroke="var(--bar)", strokeWidth=1.2).encode(**ends)
    line = base.mark_line(stroke="var(--ink)", strokeWidth=1.6).encode(y=up)
    points = base.mark_point(filled=True, size=26, fill="var(--ink)", stroke="var(--ink)").encode(y=up)
    layers = alt.layer(band, whiskers, line, points).properties(width=_WIDTH, height=_HEIGHT)
    header = alt.Header(
        orient="top", title=None, labelAnchor="start", labelFontSize=12, labelFontWeight="bold", labelColor="var(--ink)"
    )
    order = list(dict.fromkeys(rows["label"]))
    panels = layers.facet(row=alt.Row("label:N", sort=order, header=header), spacing=14)
    return configured(panels.resolve_scale(y="independent"))


def _period_axis(alt: Any, number: int) -> Any:
    return alt.Axis(
        title=None,
        labelAngle=-40 if number > 6 else 0,
        labelOverlap=True,
        tickColor="var(--line)",
        domain=False,
    )
