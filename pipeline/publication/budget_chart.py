"""The drawing of a budget over time, for reviewers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from pipeline.publication.charts import configured
from pipeline.publication.words import counted, decimal

# Units of the drawing; at full size one is one CSS pixel.
_WIDTH: Final = 640
_HEIGHT: Final = 170
_WIDEST_BAR: Final = 26
_LABEL: Final = 78  # of a period, with the gap to the next
_FIGURE: Final = 32  # half of what a figure takes


@dataclass(frozen=True)
class BudgetPoint:
    """What the year to the end of one period costs.

    Attributes:
        period: Its label.
        spent_epsilon: Composed over all releases of that year.
        at_hand: True for the period of the release that is reported.
    """

    period: str
    spent_epsilon: float
    at_hand: bool


def draw_course(points: Sequence[BudgetPoint], cap_epsilon: float) -> str:
    """SVG of the years to these periods, in their order, against the cap.

    Args:
        points: One at least, with finite epsilons.
        cap_epsilon: What a year may cost.
    """
    import vl_convert  # noqa: PLC0415 - loading takes a second

    drawing = vl_convert.vegalite_to_svg(_chart(points, cap_epsilon).to_dict())
    opening = f'<svg role="img" aria-label="{html.escape(describe_course(points, cap_epsilon))}" '
    return str(drawing).replace("<svg ", opening, 1)


def describe_course(points: Sequence[BudgetPoint], cap_epsilon: float) -> str:
    """The drawing in words, for those who do not see it."""
    at_hand = " ".join(
        f"The year to {point.period}, this release included: {decimal(point.spent_epsilon)}."
        for point in points
        if point.at_hand
    )
    most = max(points, key=lambda point: point.spent_epsilon)
    return (
        f"Bar chart: epsilon spent in the year to each of {counted(len(points), 'period')}, "
        f"{points[0].period} to {points[-1].period}, against a cap of {decimal(cap_epsilon)}. {at_hand} The most: "
        f"{decimal(most.spent_epsilon)}, in the year to {most.period}."
    )


def _chart(points: Sequence[BudgetPoint], cap_epsilon: float) -> Any:
    import altair as alt  # noqa: PLC0415 - loading takes half a second

    # one row a period
    rows = pd.DataFrame(
        {
            "period": [point.period for point in points],
            "epsilon": [point.spent_epsilon for point in points],
            "at_hand": [point.at_hand for point in points],
            "text": [f"\u03b5 = {decimal(point.spent_epsilon)}" for point in points],
        }
    )
    top = 1.15 * max(cap_epsilon, *rows["epsilon"])
    across = alt.X("period:N", sort=None, scale=alt.Scale(paddingInner=0.25), axis=_period_axis(alt, points))
    up = alt.Y("epsilon:Q", scale=alt.Scale(domain=[0, top], nice=False), axis=_epsilon_axis(alt))
    colour = alt.Color(
        "at_hand:N", legend=None, scale=alt.Scale(domain=[True, False], range=["var(--bar)", "var(--bar-rest)"])
    )
    width = min(_WIDEST_BAR, 0.75 * _WIDTH / len(points))
    bars = alt.Chart(rows).mark_bar(size=width).encode(x=across, y=up, color=colour)
    return configured(
        alt.layer(bars, *_cap(alt, cap_epsilon), *_figure(alt, rows, across)).properties(width=_WIDTH, height=_HEIGHT)
    )


def _figure(alt: Any, rows: pd.DataFrame, across: Any) -> list[Any]:
    # The figure stands over its bar, with a rim of paper that keeps it apart from taller neighbours and from the cap.
    marked = rows[rows["at_hand"]]
    middle = _WIDTH * (marked.index[0] + 0.5) / len(rows) if len(marked) else 0
    align = "left" if middle < _FIGURE else "right" if middle > _WIDTH - _FIGURE else "center"
    base = alt.Chart(marked).encode(x=across, y="epsilon:Q", text="text:N")
    dress = {"align": align, "dy": -8, "fontSize": 12, "fontWeight": "bold"}
    rim = base.mark_text(**dress, stroke="var(--paper)", strokeWidth=5, strokeJoin="round")
    return [rim, base.mark_text(**dress, fill="var(--ink)")]


def _cap(alt: Any, cap_epsilon: float) -> list[Any]:
    rows = pd.DataFrame({"cap": [cap_epsilon], "text": [f"cap, \u03b5 = {decimal(cap_epsilon)}"]})
    line = alt.Chart(rows).mark_rule(stroke="var(--bad)", strokeWidth=1.5, strokeDash=[6, 4]).encode(y="cap:Q")
    words = alt.Chart(rows).mark_text(align="left", dx=4, dy=-8, fontSize=12, fill="var(--bad)")
    return [line, words.encode(y="cap:Q", x=alt.value(0), text="text:N")]


def _period_axis(alt: Any, points: Sequence[BudgetPoint]) -> Any:
    # As many labels as have room; the period at hand is among them.
    step = -(-len(points) * _LABEL // _WIDTH)
    offset = next((number for number, point in enumerate(points) if point.at_hand), 0) % step
    shown = [point.period for point in points[offset::step]]
    return alt.Axis(title=None, values=shown, labelAngle=0, labelOverlap=False, ticks=False, domainColor="var(--line)")


def _epsilon_axis(alt: Any) -> Any:
    return alt.Axis(title=None, domain=False, ticks=False, tickCount=4, gridColor="var(--line)")
