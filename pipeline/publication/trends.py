"""Trends: a line through the periods of a product with the band of its intervals, for the total and the largest groups.

A period that is withheld, withdrawn or not there breaks the line: nothing is drawn across what nobody can tell.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from pipeline.periods import Period
from pipeline.publication.charts import configured, panel_header
from pipeline.publication.derived.history import history
from pipeline.publication.reading import ReadBundle
from pipeline.publication.views import level_of
from pipeline.publication.words import key_label, number_of
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.vocabulary import TOTAL_KEY

LARGEST: Final = 5  # groups beside the total
MOST_PERIODS: Final = 60
NARROW, WIDE = 1, 3  # panels side by side: on a telephone, and elsewhere
_WIDTH, _HEIGHT = 232, 92  # of a panel; at full size one is one CSS pixel
_NUMBERS: Final = 48  # of the axis beside a panel
_MOST_TICKS: Final = 3
_LINE: Final = 36  # characters of a panel's title
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
    people = people.assign(label=_labels(people, facts), depth=level_of(people, facts.dimensions))
    periods = _periods([str(period) for period in rows["period"].unique()])
    newest = people[(people["period"] == periods[-1]) & people["value"].notna()]
    largest = newest[newest["depth"] == len(facts.dimensions)].nlargest(LARGEST, "value")["label"]
    totals = people[people["depth"] == 0]["label"].unique()
    every = pd.MultiIndex.from_product([[*totals, *largest], periods], names=["label", "period"])
    numbers = people.drop_duplicates(["label", "period"]).set_index(["label", "period"])[list(_COLUMNS[2:])]
    return numbers.reindex(every).astype("Float64").reset_index()


def is_course(rows: pd.DataFrame) -> bool:
    """Whether rows of a trend tell numbers of two periods at least."""
    return rows[rows["value"].notna()]["period"].nunique() > 1


def draw_trend(rows: pd.DataFrame, facts: TableFacts, across: int = WIDE) -> str:
    """SVG of the trend of one table; empty where fewer than two periods tell anything.

    Args:
        rows: As ``trend_rows`` gives them.
        facts: Of the table.
        across: How many panels stand side by side.
    """
    if not is_course(rows):
        return ""
    import vl_convert  # noqa: PLC0415 - loading takes a second

    drawing = str(vl_convert.vegalite_to_svg(_chart(rows, across).to_dict()))
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
    return f"{label}: from {told[0]} to {told[1]}." if len(group) > 1 else f"{label}: {told[0]} alone."


def _labels(rows: pd.DataFrame, facts: TableFacts) -> list[str]:
    keys = rows[list(facts.dimensions)].astype(str).itertuples(index=False, name=None)
    return [_label(facts, place) for place in keys]


def _label(facts: TableFacts, place: tuple[str, ...]) -> str:
    named = [key_label(name, key) for name, key in zip(facts.dimensions, place, strict=True) if key != TOTAL_KEY]
    return ", ".join(named) or TOTAL_KEY


def _periods(labels: Sequence[str]) -> list[str]:
    """All periods from the first to the last, those without an edition too; the newest ``MOST_PERIODS``."""
    found = sorted(map(Period.parse, labels))
    every, last = [found[0]], found[-1]
    while every[-1] < last:
        every.append(every[-1].next)
    return [str(period) for period in every[-MOST_PERIODS:]]


def _chart(rows: pd.DataFrame, across: int) -> Any:
    import altair as alt  # noqa: PLC0415 - loading takes half a second

    numbers = rows.astype(dict.fromkeys(_COLUMNS[2:], float)).assign(label=[_wrapped(one) for one in rows["label"]])
    time = alt.X("period:O", axis=_period_axis(alt, list(dict.fromkeys(rows["period"]))))
    base = alt.Chart(numbers.astype(object).where(numbers.notna(), None)).encode(x=time)
    scale, axis = alt.Scale(zero=False, nice=True), _number_axis(alt)
    up = alt.Y("value:Q", axis=axis, scale=scale)
    ends = {"y": alt.Y("value_lo:Q", axis=axis, scale=scale), "y2": "value_hi"}
    band = base.mark_area(color="var(--bar)", opacity=0.35).encode(**ends)
    whiskers = base.mark_rule(stroke="var(--bar)", strokeWidth=1.2).encode(**ends)
    line = base.mark_line(stroke="var(--ink)", strokeWidth=1.4).encode(y=up)
    points = base.mark_point(filled=True, size=14, opacity=1, fill="var(--ink)", stroke="var(--ink)").encode(y=up)
    layers = alt.layer(band, whiskers, line, points).properties(width=_WIDTH, height=_HEIGHT)
    header = panel_header(alt, labelExpr="split(datum.label, '\\n')")
    order = list(dict.fromkeys(numbers["label"]))
    panels = layers.facet(facet=alt.Facet("label:N", sort=order, header=header), columns=across, spacing=18)
    # Each panel has its own numbers, and shows its periods itself: the last row may be shorter than the others.
    return configured(panels.resolve_scale(y="independent").resolve_axis(x="independent", y="independent"))


def _wrapped(label: str) -> str:
    """A label in two lines at most."""
    return "\n".join(textwrap.wrap(label, _LINE, max_lines=2, placeholder="\u2026"))


def _number_axis(alt: Any) -> Any:
    return alt.Axis(
        title=None,
        domain=False,
        ticks=False,
        tickCount=3,
        gridColor="var(--line)",
        format=",~r",
        minExtent=_NUMBERS,
        maxExtent=_NUMBERS,
    )


def _period_axis(alt: Any, periods: Sequence[str]) -> Any:
    """Few labels, which lie flat and do not touch: the first period, the last, and some between."""
    steps = min(len(periods), _MOST_TICKS) - 1
    shown = [periods[round(place * (len(periods) - 1) / max(1, steps))] for place in range(steps + 1)]
    return alt.Axis(title=None, labelAngle=0, values=shown, tickColor="var(--line)", domainColor="var(--line)")
