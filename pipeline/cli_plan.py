"""Shows a plan to a person: what each table can be expected to tell, what a year costs, and what a change would do."""

from __future__ import annotations

import math
from statistics import fmean

from rich.console import Console
from rich.table import Column, Table

from pipeline.measures import Scope
from pipeline.privacy.planning import (
    GROUP_SIZES,
    Alternative,
    Kind,
    MeasurePlan,
    NoiseError,
    NoisePlan,
    Plan,
    YearPlan,
    alternatives,
    noise_plan,
    plan,
)
from pipeline.spec import BoundSpecification, NoiseChoice


def show_plan(bound: BoundSpecification, console: Console) -> None:
    """Print the plan of a specification and of its alternatives; reads nothing but the specification and the site."""
    found = plan(bound)
    console.print(
        f"{bound.specification.release}: epsilon {bound.epsilon}, delta {bound.delta}, k {bound.k}; the protected unit "
        f"is {bound.specification.unit}.",
        "\n",
        highlight=False,
    )
    console.print(_noise(noise_plan(bound)), "\n", highlight=False)
    console.print(_tables(found))
    console.print(
        "A group of the size under 50 % is released in half of all draws. ±: half a 95 % interval, as a share of a "
        "group of that size. In a table of several dimensions, the rows of its deepest one.\n",
        highlight=False,
    )
    if measures := [measure for table in found.tables for measure in table.measures]:
        console.print(_measures(measures), "")
    console.print(_year(found.year), "\n", highlight=False)
    others = list(alternatives(bound))
    console.print(_changes(found, [other for other in others if other.kind is Kind.PARAMETER]), "")
    console.print(_smaller(found, [other for other in others if other.kind is Kind.TABLES]))


def _noise(found: NoisePlan) -> str:
    other = next(choice for choice in found.errors if choice is not found.choice)
    error = found.errors[other]
    if found.asked is NoiseChoice.LEAST_ERROR:
        why = (
            "it has the smaller error over all rows, hidden ones included" if error else "it alone can be drawn exactly"
        )
    else:
        why = "the specification names it"
    against = _error(error) if error else "would need a sigma or a delta out of its bounds"
    own = found.errors[found.choice]
    assert own is not None, "the noise that is drawn can be drawn"
    return (
        f"Counts get {found.choice} noise, because {why}. Root mean square error of a row, in units of what one person "
        f"may add, and of how far above k a group is shown almost always: {_error(own)}; {other}: {against}."
    )


def _error(found: NoiseError) -> str:
    return f"{found.shown:.1f} and {found.hidden:.1f}"


def _tables(found: Plan) -> Table:
    sizes = (f"± at {size:,}" for size in GROUP_SIZES)
    table = Table(_name("table"), Column("epsilon", min_width=7), "noise sd", "50 %", "99 %", *sizes, box=None)
    for one in found.tables:
        errors = (f"{one.relative_error(size):.1%}" for size in GROUP_SIZES)
        sizes_released = (f"{one.size_for_half:,}", f"{one.size_for_almost_all:,}")
        epsilon = "-" if one.epsilon is None else f"{one.epsilon:.3f}"
        table.add_row(one.name, epsilon, f"{one.noise_sd:.1f}", *sizes_released, *errors)
    return table


def _measures(measures: list[MeasurePlan]) -> Table:
    table = Table(_name("measure"), "of table", "one person adds at most", "noise sd", "± (95 %)", "unit", box=None)
    for one in measures:
        where = "in each group" if one.measured.scope is Scope.GROUP else "in all"
        most = f"{one.measured.limit:,} {where}"
        table.add_row(one.name, one.table, most, f"{one.noise_sd:,.1f}", f"{one.half_width:,}", one.unit)
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
    table = Table(_name("released: 50 %"), "as it is", *(other.change for other in others), box=None)
    for number, one in enumerate(found.tables):
        sizes = (f"{other.plan.tables[number].size_for_half:,}" for other in others)
        table.add_row(one.name, f"{one.size_for_half:,}", *sizes)
    table.add_row("epsilon of a year", *(f"{plan.year.epsilon:.2f}" for plan in (found, *(o.plan for o in others))))
    return table


def _smaller(found: Plan, others: list[Alternative]) -> Table:
    table = Table("what if", "smallest groups of the other tables", "epsilon of a year", box=None)
    before = {one.name: one for one in found.tables}
    for other in others:
        same = [one for one in other.plan.tables if one.dimensions == before[one.name].dimensions]
        change = (
            f"{fmean(one.size_for_half / before[one.name].size_for_half for one in same) - 1:+.0%}" if same else "-"
        )
        table.add_row(other.change, change, f"{other.plan.year.epsilon:.2f}")
    return table


def _name(header: str) -> Column:
    return Column(header, no_wrap=True)
