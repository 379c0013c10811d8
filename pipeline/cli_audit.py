"""Audits a specification for a person at a terminal: progress, one line an attack, and a verdict."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from rich.console import Console
from rich.table import Column, Table

from pipeline.audit.auditing import Audit, Line, Runner, Terms, audit
from pipeline.progress import Progress
from pipeline.spec import BoundSpecification

# How ``demographics audit`` ends where something that is claimed does not hold.
VIOLATION_EXIT_CODE = 2


def run_audit(bound: BoundSpecification, terms: Terms, processes: int, console: Console, progress: Progress) -> bool:
    """Audit, and print what came of it; reads the specification and the site file, and nothing of anybody.

    Args:
        bound: What is audited.
        terms: How much of it, and how thoroughly.
        processes: How many draw releases at once; 1 draws them in this one.
        console: Where to.
        progress: Told of releases drawn.

    Returns:
        Whether everything that is claimed may hold.
    """
    with _runner(processes) as runner:
        found = audit(bound, terms, runner, progress)
    console.print(
        f"{bound.specification.release}: epsilon {bound.epsilon}, delta {bound.delta}, k {bound.k}; the protected unit "
        f"is {bound.specification.unit}.",
        "\n",
        highlight=False,
    )
    console.print(_table(found))
    console.print(
        "Claimed: epsilon of the levels that an attack sees, at a delta, for inputs that differ so. Found: epsilon is "
        "above this, at the same delta. Smallest fault: what this run would have shown, with about even odds.\n",
        highlight=False,
    )
    console.print(found.sentence(), style="bold red" if found.violated else "", highlight=False, markup=False)
    return not found.violated


@contextmanager
def _runner(processes: int) -> Iterator[Runner]:
    if processes <= 1:
        yield map
        return
    # Started afresh: the engine and its threads do not outlive a fork.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _table(found: Audit) -> Table:
    names = ("attack", "inputs", "claimed", "at delta", "found", "verdict", "smallest fault")
    table = Table(*(Column(name, no_wrap=name in ("claimed", "found", "verdict")) for name in names), box=None)
    tables: dict[str, list[tuple[str, Line]]] = {}
    for line in found.lines:
        where, _, attack = line.name.partition(", ")  # most attacks are on one table, whose name comes first
        tables.setdefault(where, []).append((attack, line))
    for where, lines in tables.items():
        table.add_row(where, style="bold")
        for attack, line in lines:
            table.add_row(
                f"  {attack or 'whatever they tell'}", *_cells(line), style="bold red" if line.violated else ""
            )
    table.add_row(
        f"{found.rows:,} rows of at least k people", "", "certain", "", f"{found.wrong:,} others", _verdict(found.wrong)
    )
    if found.asked:
        table.add_row("the same bytes again", "", "certain", "", f"{found.unequal:,} others", _verdict(found.unequal))
    return table


def _cells(line: Line) -> tuple[str, ...]:
    numbers = f"{line.claimed:.2f}", f"{line.delta:.2g}", f"{line.lower:.2f}"
    return (line.differ, *numbers, _verdict(line.violated), line.smallest)


def _verdict(broken: int) -> str:
    return "VIOLATED" if broken else "holds"
