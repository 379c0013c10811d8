"""Makes ``docs/benchmarks.md``, its drawing and ``docs/scale.md`` from the results that are kept.

``python -m tests.benchmarks.page``.
"""

from __future__ import annotations

import ast
import html
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from tests.benchmarks import BENCHMARKS, scale
from tests.benchmarks.measuring import ROOT
from tests.benchmarks.reporting import Figure, Result, amount, goal_text, number, stored

PAGE: Final = ROOT / "docs" / "benchmarks.md"
DRAWING: Final = PAGE.with_suffix(".svg")
_MET, _MISSED = "met", "missed"
_COLOURS: Final = {_MET: "#2f6f9f", _MISSED: "#b3441e"}
_WIDTH, _ROW = 420, 22
_FARTHEST: Final = 30  # times better or worse; what is farther stands at the edge

_HEAD: Final = """# Benchmarks

`make bench` measures everything here anew, and writes this page; `make bench BENCH="ledger portal"` does so for what
is named. Each figure is a ratio to something that ran beside it in the same session. Everything runs in a process of
its own, in turns with what it is compared with, after a warm-up; amounts are medians. Memory is the peak of the whole
process tree: the resident memory that the kernel kept, of one process; of several, their proportional shares added
up, looked at every 25 ms. Data is made up by generators with a fixed seed. `make bench` ends with an error where a
goal is missed, after everything was measured.
"""
_DRAWN: Final = """![How far each figure is from its goal](benchmarks.svg)

How many times better than its goal a figure is, on a logarithmic scale: right of the line it is met, and a cross
misses it. What is farther than 30 times stands at the edge.
"""


def write() -> None:
    """Write the page and the drawing, and the page that reckons with them."""
    found = in_order(stored())
    PAGE.write_text(page(found), encoding="utf-8")
    if reckoned := scale.page(found):
        scale.PAGE.write_text(reckoned, encoding="utf-8")
    if any(figure.goals for result in found for figure in result.figures):
        DRAWING.write_text(drawing(found), encoding="utf-8")


def in_order(results: Iterator[Result]) -> list[Result]:
    """As they ran."""
    return sorted(results, key=lambda result: BENCHMARKS.index(result.benchmark))


def page(results: Sequence[Result]) -> str:
    """The page as Markdown."""
    if not results:
        return f"{_HEAD}\nNothing was measured yet.\n"
    parts = [_HEAD, _DRAWN, _machines(results), *map(_section, results)]
    return "\n".join(part for part in parts if part)


def _machines(results: Sequence[Result]) -> str:
    of_each: dict[str, list[Result]] = {}
    for result in results:
        words = ", ".join(fact if name in _PLAIN else f"{name} {fact}" for name, fact in result.machine.items())
        of_each.setdefault(words, []).append(result)
    lines = []
    for words, those in of_each.items():
        days = sorted({result.day for result in those})
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        which = "" if len(of_each) == 1 else f" ({', '.join(result.benchmark for result in those)})"
        lines.append(f"Measured {when}{which} on: {words}.")
    minutes = sum(result.seconds for result in results) / 60
    return "\n".join([*lines, f"All of it took {minutes:.0f} minutes.", ""])


_PLAIN: Final = ("processor", "memory", "system")


def _section(result: Result) -> str:
    lines = [f"## {result.benchmark.replace('_', ' ').capitalize()}", "", about(result.benchmark), ""]
    lines += [f"`{result.command}`, {result.seconds:.0f} s.", ""]
    if result.figures:
        lines += ["| What | This product | Beside it | | Ratio | Goal |", "|---|---|---|---|---|---|"]
        lines += map(_row, result.figures)
        lines.append("")
    lines += [f"Left out: {one.what}, because {one.why}.\n" for one in result.left_out]
    return "\n".join(lines)


def _row(figure: Figure) -> str:
    goals = [f"{_word(figure.meets(goal))}: {goal_text(figure, goal)}" for goal in figure.goals]
    cells = [
        figure.name,
        amount(figure.ours, figure.unit),
        amount(figure.theirs, figure.unit),
        figure.beside,
        f"{number(figure.times)} {figure.ratio}",
        "; ".join(goals),
    ]
    return f"| {' | '.join(cells)} |"


def _word(is_met: bool) -> str:
    return _MET if is_met else f"**{_MISSED}**"


def about(benchmark: str) -> str:
    """What the module of a benchmark says of it."""
    source = Path(__file__).with_name(f"bench_{benchmark}.py").read_text(encoding="utf-8")
    return " ".join((ast.get_docstring(ast.parse(source)) or "").replace("``", "`").split())


def distances(results: Sequence[Result]) -> pd.DataFrame:
    """One row a goal that has a distance: ``name``, ``times`` (better than the goal), ``state``."""
    figures = [figure for result in results for figure in result.figures if figure.goals]
    names = Counter(figure.name for figure in figures)
    rows = []
    for figure in figures:
        beside = f", beside {figure.beside}" if names[figure.name] > 1 else ""
        for goal in figure.goals:
            value = figure.times if goal.of_ratio else figure.ours.value
            if value > 0 and goal.bound > 0:
                times = goal.bound / value if goal.at_most else value / goal.bound
                name = f"{figure.name}{beside}: {goal_text(figure, goal)}"
                rows.append((name, times, _MET if figure.meets(goal) else _MISSED))
    return pd.DataFrame(rows, columns=["name", "times", "state"])


def drawing(results: Sequence[Result]) -> str:
    """The distances as SVG, readable on light and dark pages."""
    import vl_convert

    rows = distances(results)
    words = f"How many times better than its goal: {', '.join(f'{r.name} {r.times:.2g}' for r in rows.itertuples())}"
    svg = str(vl_convert.vegalite_to_svg(_chart(rows).to_dict()))
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(words)}" ', 1)


def escaped(text: str) -> str:
    """As it stands in the drawing."""
    return html.escape(text, quote=False)


def _chart(rows: pd.DataFrame) -> Any:
    import altair as alt

    scale = alt.Scale(type="log", domain=[1 / _FARTHEST, _FARTHEST], clamp=True, nice=False)
    names = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelLimit=0, ticks=False, domain=False))
    colours = alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values()))
    across = alt.X("times:Q", scale=scale, axis=alt.Axis(title="times better than the goal", format="~g"))
    base = alt.Chart(rows).encode(y=names)
    line = alt.Chart(pd.DataFrame({"times": [1]})).mark_rule(stroke="#555", strokeWidth=1.5).encode(x="times:Q")
    bars = (
        base.transform_calculate(goal="1")
        .mark_rule(strokeWidth=2, opacity=0.6)
        .encode(x=across, x2="goal:Q", color=alt.Color("state:N", scale=colours, legend=None))
    )
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=across,
        color=alt.Color("state:N", scale=colours, legend=alt.Legend(title=None, orient="top")),
        shape=alt.Shape("state:N", scale=alt.Scale(domain=list(_COLOURS), range=["circle", "cross"]), legend=None),
    )
    layers = alt.layer(line, bars, dots).properties(width=_WIDTH, height=alt.Step(_ROW), background="white", padding=12)
    return layers.configure(font="system-ui, sans-serif").configure_view(stroke=None).configure_axis(gridColor="#ddd")


if __name__ == "__main__":
    write()
