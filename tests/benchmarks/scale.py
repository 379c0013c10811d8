"""Makes ``docs/scale.md``: what large sites would take, reckoned from the results that are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2

from tests.benchmarks.bench_skew import SIZE, SKEWED, TITLES
from tests.benchmarks.measuring import ROOT
from tests.benchmarks.reporting import Figure, Result, amount, number

PAGE: Final = ROOT / "docs" / "scale.md"
TEMPLATE: Final = Path(__file__).with_name("scale.md.j2")
NEEDED: Final = frozenset({"ingestion", "bounding", "cells", "ledger", "cost"})
EVENTS_A_DAY: Final = (1e9, 1e11)
DAYS: Final = 7  # a week is counted at once
PARTITION: Final = 200e6  # bytes
MICROSECONDS_AN_HOUR: Final = 3.6e9


@dataclass(frozen=True)
class Costs:
    """Of one line, or event: bytes, and microseconds of a core, or in DuckDB of two cores."""

    line_bytes: float
    read: float
    finish: float
    staged: float
    duckdb: float
    spark: float
    shuffled: float


@dataclass(frozen=True)
class Site:
    """What a site of so many events a day takes: of a day ``logs`` and ``reading``, of a week the rest.

    Bytes, hours of a core (``reading``, ``spark``) or of a machine (``finishing``, ``duckdb``).
    """

    events: float
    costs: Costs

    @property
    def logs(self) -> float:
        return self.events * self.costs.line_bytes

    @property
    def reading(self) -> float:
        return self.events * self.costs.read / MICROSECONDS_AN_HOUR

    @property
    def staging(self) -> float:
        return self.events * DAYS * self.costs.staged

    @property
    def finishing(self) -> float:
        return self.events * DAYS * self.costs.finish / MICROSECONDS_AN_HOUR

    @property
    def duckdb(self) -> float:
        return self.events * DAYS * self.costs.duckdb / MICROSECONDS_AN_HOUR

    @property
    def spark(self) -> float:
        return self.events * DAYS * self.costs.spark / MICROSECONDS_AN_HOUR

    @property
    def shuffled(self) -> float:
        return self.events * DAYS * self.costs.shuffled

    @property
    def partitions(self) -> float:
        return self.shuffled / PARTITION


def page(results: Iterable[Result]) -> str:
    """The page as Markdown; empty while a benchmark that it reckons with has no result."""
    found = {result.benchmark: result.figures for result in results}
    if NEEDED - found.keys():
        return ""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(number=number, events=SIZE, **_told(found))


def _told(found: dict[str, tuple[Figure, ...]]) -> dict[str, Any]:
    staged, steps = _of(found, "ingestion", "an event in staging"), _of(found, "ingestion", "visits of a line")
    counted = _of(found, "bounding", "bounded groups, 50,000,000")
    work, shuffled = (_of(found, "cost", f"{what} on Spark an event, of 4,000,000") for what in ("work", "shuffled"))
    largest = _of(found, "cost", "memory of the largest task on Spark, of 4,000,000").ours.value
    costs = Costs(
        staged.theirs.value,
        steps.theirs.value,
        steps.ours.value,
        staged.ours.value,
        counted.ours.value / 50,
        work.ours.value,
        shuffled.ours.value,
    )
    return {
        **vars(costs),
        "day": [Site(events, costs) for events in EVENTS_A_DAY],
        "times_work": work.times,
        "times_shuffled": shuffled.times,
        "times_duckdb": counted.times,
        "largest": largest,
        "grown": largest / (shuffled.ours.value * 4 / 2),
        "cells": _of(found, "cells", "noise, thresholds").ours.value,
        "reservations": _of(found, "ledger", "SQLite on the disk").ours.value,
        "skew": _skew(found) if "skew" in found else {},
    }


def _of(found: dict[str, tuple[Figure, ...]], benchmark: str, *parts: str) -> Figure:
    return next(figure for figure in found[benchmark] if all(part in figure.name for part in parts))


def _skew(found: dict[str, tuple[Figure, ...]]) -> dict[str, list[str]]:
    """By shape what each engine took, in the order of ``TITLES``; without skew first."""
    even = [_of(found, "skew", engine).theirs for engine in TITLES.values()]
    rows = {"none": even} | {
        name: [_of(found, "skew", engine, name).ours for engine in TITLES.values()] for name in SKEWED.values()
    }
    return {name: [amount(one, "s") for one in amounts] for name, amounts in rows.items()}
