"""The summary of a run in words and tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.local.summary import IngestedPeriod, ReleaseLines, Summary
from pipeline.release.figures import TableGroups
from pipeline.vocabulary import AUDIENCE_TITLES

# Fewer people than this many times the threshold make a site small: most groups then stay under it.
_SMALL = 20


class _Line(Text):
    """Text that is never broken, so that what it names can be copied."""


def show(summary: Summary, console: Console) -> None:
    """Print the summary."""
    for part in _parts(summary):
        console.print(part, soft_wrap=isinstance(part, _Line), highlight=False)


def _parts(summary: Summary) -> Iterator[RenderableType]:
    yield Text(f"\nSummary ({summary.seconds:.0f} s)", style="bold")
    if summary.synthetic:
        yield Text("The sources are synthetic: nobody in them exists.")
    yield from _section("Rows in", *_rows_in(summary.ingested))
    yield from _section("People counted", _people(summary.releases), *_small(summary.releases))
    yield from _section("Groups released and withheld", *_groups(summary.releases))
    yield from _section("Privacy budget", _budget(summary))
    yield from _section("Checks", _checks(summary))
    yield from _section("Review", *_review(summary.releases))
    yield from _section("This run", *_this_run(summary))
    yield from _section("Where it is", *_places(summary))


def _section(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield from parts


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def _rows_in(ingested: tuple[IngestedPeriod, ...]) -> Iterator[RenderableType]:
    table = _table("source", "period", "read", "used", "left out", "rejected", right=("read", "used"))
    for one in ingested:
        for name, counts in one.sources.items():
            left_out, rejected = _reasons(counts.left_out), _reasons(counts.rejected)
            table.add_row(name, one.period, f"{counts.read:,}", f"{counts.used:,}", left_out, rejected)
    yield table
    yield Text("Left out: fine, but not wanted. Rejected: could not be used.", style="dim")


def _reasons(counts: dict[str, int]) -> str:
    named = [f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]) if count]
    return "\n".join(named) or "none"


def _people(releases: tuple[ReleaseLines, ...]) -> RenderableType:
    table = _table("release", "period", "people", "95 % interval", right=("people",))
    for one in releases:
        interval = f"{one.people.low:,} to {one.people.high:,}" if one.people else ""
        table.add_row(one.title, one.key.period, f"{one.people.value:,}" if one.people else "withheld", interval)
    return Group(table, Text("Noisy on purpose: the true number is not told.", style="dim"))


def _small(releases: tuple[ReleaseLines, ...]) -> Iterator[RenderableType]:
    small = [one for one in releases if one.people is None or one.people.value < _SMALL * one.least]
    if small:
        least = max(one.least for one in small)
        yield Text(
            f"This is a small site: most groups are withheld, and that is right. A group is released only where it "
            f"has at least k = {small[0].k} people and its noisy count reaches {least}; spread over many countries "
            f"or systems, few groups of a small site do. Withheld does not tell whether there was anybody.",
            style="yellow",
        )


def _groups(releases: tuple[ReleaseLines, ...]) -> Iterator[RenderableType]:
    for title, editions in groupby(releases, key=lambda one: one.title):
        every = tuple(editions)
        yield Text(title, style="italic")
        table = _table("table", *(one.key.period for one in every), right=tuple(one.key.period for one in every))
        for rows in zip(*(one.tables for one in every), strict=True):
            table.add_row(rows[0].title, *(_released(row) for row in rows))
        yield table
    yield Text(
        "Released of all groups on a table's list. The others had too few people, or nobody: which is not told. "
        "Where there is no public list, only those that were released are counted.",
        style="dim",
    )


def _released(row: TableGroups) -> str:
    if row.withheld is None:
        return f"{row.released:,}"
    return f"{row.released:,} of {row.released + row.withheld:,}"


def _budget(summary: Summary) -> RenderableType:
    table = _table("population", "spent", "left", "cap", "at delta", "over", right=("spent", "left", "cap"))
    for one in summary.budgets:
        numbers = (f"{number:.2f}" for number in (one.spent_epsilon, one.left, one.cap_epsilon))
        table.add_row(str(one.population), *numbers, f"{one.cap_delta:.0e}", one.window)
    return Group(table, Text("Epsilon, composed over all releases of the year.", style="dim"))


def _checks(summary: Summary) -> RenderableType:
    table = _table("of", "passed", right=("passed",))
    for staged in summary.ingested:
        subject = f"staging of {staged.population}, {staged.period}"
        table.add_row(subject, f"{staged.checks.passed} of {staged.checks.of}")
    for one in summary.releases:
        table.add_row(f"{one.title}, {one.key.period}", f"{one.checks.passed} of {one.checks.of}")
    return table


def _review(releases: tuple[ReleaseLines, ...]) -> Iterator[RenderableType]:
    scripted = sum(one.scripted for one in releases)
    if scripted:
        yield Text(
            f"{scripted} of {len(releases)} approvals were given by a script, not by a person: right for trying the "
            f"product out, and for nothing else.",
            style="yellow",
        )
    for one in releases:
        if not one.scripted:
            yield Text(f"{one.title}, {one.key.period}: approved by {one.reviewer}.")


def _this_run(summary: Summary) -> Iterator[RenderableType]:
    for one in summary.releases:
        name = f"{one.title}, {one.key.period}"
        if one.drawn_now:
            yield Text(f"{name}: drawn now, once and for all.")
        elif one.unchanged:
            yield Text(f"{name}: the same release as before, byte for byte.", style="green")
        else:
            yield Text(f"{name}: drawn by an earlier run; that release was completed now.")
    if summary.reserved_now == 0:
        yield Text("Nothing was spent.", style="green")
    else:
        releases = "one release" if summary.reserved_now == 1 else f"{summary.reserved_now} releases"
        yield Text(f"Budget was spent on {releases}.")


def _places(summary: Summary) -> Iterator[RenderableType]:
    for one in summary.releases:
        yield Text(f"{one.title}, {one.key.period}", style="italic")
        yield _place("report", one.report)
        for audience, folder in one.bundles.items():
            yield _place(f"bundle for {AUDIENCE_TITLES[audience]}", folder)
    yield Text("All of them", style="italic")
    yield _place("Great Expectations", summary.data_docs)
    yield _place("Airflow's logs", summary.home / "airflow" / "logs")
    yield _Line(f"  {'review':<23} demographics portal, after demographics reviewer add")


def _place(what: str, path: Path) -> _Line:
    return _Line(f"  {what:<23} {_shown(path)}")


def _shown(path: Path) -> str:
    """Relative to where the reader stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
