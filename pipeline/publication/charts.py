"""Charts of published tables, drawn by Altair and written as SVG without a browser or a network.

Colours are variables of the page's style sheet, so that one drawing serves light, dark and paper. Labels have a fixed
place: the drawing does not depend on which fonts a machine has.
"""

from __future__ import annotations

import html
import re
from collections.abc import Container, Hashable
from typing import Any, Final

import pandas as pd

from pipeline.publication.views import AudienceView, level_of
from pipeline.publication.words import ROUGH, heading_of, key_label, number_of
from pipeline.release.artefact import MeasureFacts, TableFacts

LARGEST_GROUPS: Final = 15
LARGEST_PARENTS: Final = 5
LARGEST_CHILDREN: Final = 5

# Units of the drawing; at full size one is one CSS pixel.
_LABELS: Final = 132
_PLOT: Final = 276
_ROW: Final = 27
_ROW_IN_PANEL: Final = 23
_LABEL_LENGTH: Final = 20
_FONT: Final = "system-ui, sans-serif"
_OPENING: Final = re.compile(r"<svg\b[^>]*>")


def draw_charts(shown: AudienceView, skip: Container[str] = ()) -> dict[str, str]:
    """SVG of each table that has published groups, by ``chart_name``: of its people, and of its first sum.

    Args:
        shown: Whose tables.
        skip: Names of tables that need no drawing.
    """
    wanted = [(facts, one) for facts in shown.header.tables if facts.name not in skip for one in drawn_measures(facts)]
    drawn = {chart_name(facts, one): draw_chart(shown.tables[facts.name], facts, one) for facts, one in wanted}
    return {name: svg for name, svg in drawn.items() if svg}


def draw_chart(frame: pd.DataFrame, facts: TableFacts, measure: MeasureFacts) -> str:
    """SVG of one measure of a table; empty where the table has no published group."""
    rows = chart_rows(frame, facts, measure)
    return _svg(rows, facts, measure) if len(rows) else ""


def standalone(svg: str, palette: str) -> str:
    """A drawing that stands in a file of its own, where no page's style sheet reaches it.

    Args:
        svg: As it was drawn.
        palette: The colours, as rules of a style sheet.
    """
    return _OPENING.sub(lambda tag: f"{tag[0]}<style>{palette}</style>", svg, count=1)


def drawn_measures(facts: TableFacts) -> tuple[MeasureFacts, ...]:
    """What of a table is drawn: people, and the first sum."""
    return (facts.measures[0], *[measure for measure in facts.measures if measure.kind == "sum"][:1])


def chart_name(facts: TableFacts, measure: MeasureFacts) -> str:
    """Under which name a drawing is known: that of the table where it is of people."""
    return facts.name if measure.kind == "people" else f"{facts.name}/{measure.name}"


def chart_rows(frame: pd.DataFrame, facts: TableFacts, measure: MeasureFacts | None = None) -> pd.DataFrame:
    """The rows that a chart shows.

    Args:
        frame: The published table.
        facts: About it.
        measure: What is drawn; people, where nothing is named.

    Returns:
        One row a bar, in drawing order; columns: panel, label, value, value_lo, value_hi, row_kind, doubtful. ``panel``
        is empty for a table of one dimension, else it names the parent: the largest parents, of each the largest
        children. ``doubtful`` are those whose obs_status says that they are less reliable.
    """
    *parents, child = facts.dimensions
    frame = frame[frame["measure"] == (measure.name if measure else facts.measure)]
    finest = frame[(level_of(frame, facts.dimensions) == len(facts.dimensions)) & frame["value"].notna()]
    finest = finest.assign(parent=_joined(finest, parents), label=_labels(finest[child], child))
    if parents:
        largest = finest.groupby("parent")["value"].sum().nlargest(LARGEST_PARENTS).index
        order = {parent: place for place, parent in enumerate(largest)}
        finest = finest[finest["parent"].isin(order)].assign(place=lambda rows: rows["parent"].map(order))
    else:
        finest = finest.assign(place=0)
    most = LARGEST_CHILDREN if parents else LARGEST_GROUPS
    ranked = finest.assign(last=finest["row_kind"] == "remainder").sort_values(
        ["place", "last", "value"], ascending=[True, True, False], kind="stable"
    )
    kept = ranked[ranked["last"] | (ranked.groupby("place").cumcount() < most)]
    kept = kept.assign(doubtful=kept["obs_status"] == "U")
    columns = ["parent", "label", "value", "value_lo", "value_hi", "row_kind", "doubtful"]
    return kept[columns].rename(columns={"parent": "panel"}).astype({"value": int, "value_lo": int, "value_hi": int})


def describe(rows: pd.DataFrame, facts: TableFacts, measure: MeasureFacts) -> str:
    """A chart in a few sentences, for those who do not see it."""
    first = ", ".join(_described(row, measure) for row in rows.head(5).to_dict("records"))
    what = facts.title if measure.kind == "people" else f"{facts.title}, {heading_of(measure)}"
    return f"Bar chart with 95 % intervals: {what}. Largest first: {first}. The table has all figures."


def _described(row: dict[Hashable, Any], measure: MeasureFacts) -> str:
    value, low, high = (number_of(measure, row[name], rounded=True) for name in ("value", "value_lo", "value_hi"))
    return f"{row['panel']} {row['label']} {value} ({low} to {high}{', ' + ROUGH if row['doubtful'] else ''})".strip()


def _joined(frame: pd.DataFrame, names: list[str]) -> pd.Series[str]:
    joined = pd.Series("", index=frame.index)
    for name in names:
        joined = joined + ", " + _labels(frame[name], name)
    return joined.str.removeprefix(", ")


def _labels(keys: pd.Series[str], dimension: str) -> pd.Series[str]:
    return keys.map({key: key_label(dimension, key) for key in keys.unique()}).astype(str)


def _svg(rows: pd.DataFrame, facts: TableFacts, measure: MeasureFacts) -> str:
    import vl_convert  # noqa: PLC0415 - loading takes a second

    drawing = vl_convert.vegalite_to_svg(_chart(rows, measure).to_dict())
    opening = f'<svg role="img" aria-label="{html.escape(describe(rows, facts, measure))}" '
    return str(drawing).replace("<svg ", opening, 1)


def _chart(rows: pd.DataFrame, measure: MeasureFacts) -> Any:
    import altair as alt  # noqa: PLC0415 - loading takes half a second

    short = rows.assign(label=_shortened(rows), text=_texts(rows, measure))
    across = alt.X("value:Q", axis=_value_axis(alt), scale=alt.Scale(domain=[0, _reach(short)], nice=False))
    row = _ROW_IN_PANEL if rows["panel"].any() else _ROW
    base = alt.Chart(short).encode(y=alt.Y("label:N", sort=None, axis=_label_axis(alt)))
    kinds = alt.Scale(domain=["group", "remainder"], range=["var(--bar)", "var(--bar-rest)"])
    bars = base.mark_bar(size=row - 9).encode(x=across, color=alt.Color("row_kind:N", legend=None, scale=kinds))
    ends = {"value_lo": "value_lo:Q", "value_hi": "value_hi:Q"}
    whiskers = base.mark_rule(stroke="var(--ink)", strokeWidth=1.5).encode(x=ends["value_lo"], x2="value_hi")
    caps = [base.mark_tick(color="var(--ink)", thickness=1.5, size=8).encode(x=end) for end in ends.values()]
    texts = base.mark_text(align="left", dx=6, fontSize=12, fill="var(--ink)").encode(x=ends["value_hi"], text="text:N")
    layers = alt.layer(bars, whiskers, *caps, texts).properties(width=_PLOT, height=alt.Step(row))
    panels = [panel for panel in rows["panel"].unique() if panel]
    return configured(_panels(alt, layers, panels) if panels else layers)


def _shortened(rows: pd.DataFrame) -> pd.Series[str]:
    # Long labels are cut; where that makes two of a panel equal they are numbered, so that each keeps its bar.
    cut = rows["label"].where(
        rows["label"].str.len() <= _LABEL_LENGTH, rows["label"].str.slice(0, _LABEL_LENGTH - 1) + "\u2026"
    )
    again = cut.groupby([rows["panel"], cut]).cumcount()
    return cut.where(again == 0, cut + " (" + (again + 1).astype(str) + ")")


def _texts(rows: pd.DataFrame, measure: MeasureFacts) -> pd.Series[str]:
    figures = rows["value"].map(lambda value: number_of(measure, value, rounded=True))
    return figures.where(~rows["doubtful"], figures + f" ({ROUGH})")


def _reach(rows: pd.DataFrame) -> float:
    # As far as the axis goes so that each figure has its place after its bar; something, where all numbers are 0.
    figures = (14 + 7.5 * rows["text"].str.len()).clip(upper=0.8 * _PLOT)
    return max(1.0, float((rows["value_hi"] * _PLOT / (_PLOT - figures)).max()))


def _panels(alt: Any, layers: Any, order: list[str]) -> Any:
    header = panel_header(alt, labelLimit=_PLOT)
    return layers.facet(row=alt.Row("panel:N", sort=order, header=header), spacing=14).resolve_scale(y="independent")


def panel_header(alt: Any, **more: object) -> Any:
    """What stands above a panel."""
    return alt.Header(
        orient="top",
        title=None,
        labelAnchor="start",
        labelFontSize=12,
        labelFontWeight="bold",
        labelColor="var(--ink)",
        **more,
    )


def configured(chart: Any) -> Any:
    """A chart in the dress of all charts."""
    return (
        chart.configure(background="transparent", font=_FONT, aria=False, padding=4)
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, labelColor="var(--ink)", labelPadding=6)
    )


def _label_axis(alt: Any) -> Any:
    return alt.Axis(
        title=None, domain=False, ticks=False, labelLimit=0, labelOverlap=False, minExtent=_LABELS, maxExtent=_LABELS
    )


def _value_axis(alt: Any) -> Any:
    return alt.Axis(title=None, domain=False, ticks=False, tickCount=4, gridColor="var(--line)", labels=False)
