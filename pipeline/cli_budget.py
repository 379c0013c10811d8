"""Shows what releases have cost: by population, by period, by release. Public figures only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pipeline.privacy.balance import MOST_PERIODS, PeriodBalance, ReleaseBalance
from pipeline.publication.report import BudgetFacts


def show_budget(
    populations: Sequence[BudgetFacts],
    periods: Sequence[PeriodBalance],
    releases: Sequence[ReleaseBalance],
    console: Console,
) -> None:
    """Print three tables: each population's rolling year, each period's cost, each release with its state."""
    if not populations:
        console.print("Nothing was reserved yet.", highlight=False)
        return
    console.print(_by_population(populations), "")
    console.print(_by_period(periods))
    if max(Counter(one.population for one in periods).values()) == MOST_PERIODS:
        console.print(f"Of each population the newest {MOST_PERIODS} periods.", highlight=False)
    console.print("", _by_release(releases))
    console.print("\nEpsilon is that of all releases of a row together, at the delta of the cap.", highlight=False)


def _by_population(populations: Sequence[BudgetFacts]) -> Table:
    table = _table("Population", "Window", "Spent", "Cap", "Left", "at delta")
    for facts in populations:
        amounts = (facts.spent_epsilon, facts.cap_epsilon, facts.left)
        table.add_row(facts.population, facts.window, *map(_epsilon, amounts), f"{facts.cap_delta:.3g}")
    return table


def _by_period(periods: Sequence[PeriodBalance]) -> Table:
    table = _table("Population", "Period", "Releases", "Epsilon", "Year to its end", "Left")
    for one in periods:
        amounts = map(_epsilon, (one.epsilon, one.year_epsilon, one.left))
        table.add_row(one.population, one.period, str(one.releases), *amounts)
    return table


def _by_release(releases: Sequence[ReleaseBalance]) -> Table:
    table = _table("Release", "Period", "Revision", "State", "Epsilon", "Why it was revised")
    for one in releases:
        place = (one.key.release, one.key.period, f"r{one.key.revision}")
        table.add_row(*place, one.state, _epsilon(one.epsilon), Text(one.revises))
    return table


_WORDS = {"Population", "Window", "Release", "Period", "State", "Why it was revised"}


def _table(*headers: str) -> Table:
    columns = (
        Column(header, justify="left" if header in _WORDS else "right", no_wrap=not header.startswith("Why"))
        for header in headers
    )
    return Table(*columns, box=None)


def _epsilon(amount: float) -> str:
    return f"{amount:.3f}"
