"""Shows a plan to a person: what each table can be expected to tell, what a year costs, and what a change would do."""

from __future__ import annotations

import math
from statistics import fmean

from rich.console import Console
from rich.table import Column, Table

from pipeline.privacy.planning import GROUP_SIZES, Alternative, Plan, YearPlan, alternatives, plan
from pipeline.spec import BoundSpecification


def show_plan(bound: BoundSpecification, console: Console) -> None:
    """Print the plan of a specification and of its alternatives; reads nothing but the specification and the site."""
    found = plan(bound)
    console.print(
        f"{bound.specification.release}: epsilon {bound.epsilon}, delta {bound.delta}, k {bound.k}; the protected unit "
        f"is {bound.specification.unit}.",
        "\n",
        highlight=False,
    )
    console.print(_tables(found))
    console.print(
        "A group of the size under 50 % is released in half of all draws. ±: half a 95 % interval, as a share of a "
        "group of that size. In a table of several dimensions, the rows of its deepest one.\n",
        highlight=False,
    )
    console.print(_year(found.year), "\n", highlight=False)
    others = list(alternatives(bound))
    console.print(_changes(found, others), "")
    console.print(_without(found, others))


def _tables(found: Plan) -> Table:
    sizes = (f"± at {size:,}" for size in GROUP_SIZES)
    table = Table(_name("table"), "epsilon", "noise sd", "50 %", "99 %", *sizes, box=None)
    for one in found.tables:
        errors = (f"{one.relative_error(size):.1%}" for size in GROUP_SIZES)
        sizes_released = (f"{one.size_for_half:,}", f"{one.size_for_almost_all:,}")
        table.add_row(one.name, f"{one.epsilon:.3f}", f"{one.noise_sd:.1f}", *sizes_released, *errors)
    return table


def _year(year: YearPlan) -> str:
    cost = "more than its deltas allow" if math.isinf(year.epsilon) else f"epsilon {year.epsilon:.2f}"
    verdict = (
        "All of them fit."
        if year.affordable == year.periods
        else f"{year.affordable} in a row fit; the next is refused. Lower epsilon, or release less often."
    )
    return (
        f"A year of {year.periods} releases costs {cost} of {year.cap_epsilon:g} at delta {year.cap_delta:.3g}, "
        f"if nothing else is released of the same people. {verdict}"
    )


def _changes(found: Plan, others: list[Alternative]) -> Table:
    changes = [other for other in others if len(other.plan.tables) == len(found.tables)]
    table = Table(_name("released: 50 %"), "as it is", *(other.change for other in changes), box=None)
    for number, one in enumerate(found.tables):
        sizes = (f"{other.plan.tables[number].size_for_half:,}" for other in changes)
        table.add_row(one.name, f"{one.size_for_half:,}", *sizes)
    table.add_row("epsilon of a year", *(f"{plan.year.epsilon:.2f}" for plan in (found, *(o.plan for o in changes))))
    return table


def _without(found: Plan, others: list[Alternative]) -> Table:
    table = Table(_name("what if"), "smallest groups of the other tables", "epsilon of a year", box=None)
    sizes = {one.name: one.size_for_half for one in found.tables}
    for other in others:
        if len(other.plan.tables) < len(found.tables):
            ratios = [one.size_for_half / sizes[one.name] for one in other.plan.tables]
            table.add_row(other.change, f"{fmean(ratios) - 1:+.0%}", f"{other.plan.year.epsilon:.2f}")
    return table


def _name(header: str) -> Column:
    return Column(header, no_wrap=True)
