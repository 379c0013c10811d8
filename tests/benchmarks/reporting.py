"""What benchmarks find: figures, each a ratio to something that ran beside it, and what was left out, kept as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from tests.benchmarks.measuring import Median, Run

RESULTS: Final = Path(__file__).parent / "results"
_LIBRARIES: Final = ("duckdb", "numpy", "pandas", "pyarrow", "opendp", "great-expectations", "apache-airflow")


class Ratio(StrEnum):
    """What a ratio tells of the product."""

    LONGER = "times as long"
    FASTER = "times as fast"
    MUCH = "times as much"
    MANY = "times as many"

    def of(self, ours: float, theirs: float) -> float:
        """The ratio, from the two seconds of ``LONGER`` and ``FASTER``, else from the two amounts."""
        return theirs / ours if self is Ratio.FASTER else ours / theirs


@dataclass(frozen=True)
class Goal:
    """What a figure must be.

    Attributes:
        bound: In the figure's unit, or of its ratio.
        at_most: Whether the bound is the highest value allowed; else it is the lowest.
        of_ratio: Whether the ratio is meant; else the product's own amount.
    """

    bound: float
    at_most: bool
    of_ratio: bool = True


@dataclass(frozen=True)
class Amount:
    """What was measured of one side.

    Attributes:
        value: In the figure's unit.
        megabytes: Peak of memory of the whole process tree, where it was measured.
    """

    value: float
    megabytes: float | None = None

    @classmethod
    def of(cls, found: Run | Median) -> Amount:
        """Seconds, and megabytes of the whole process tree."""
        return cls(found.seconds, found.megabytes)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What the product did, and with how much.
        beside: What ran beside it in the same session.
        ours: Of the product.
        theirs: Of that.
        ratio: What the ratio tells.
        unit: Of both amounts: ``s``, ``ms``, ``MB``, ``a second`` ...
        rounds: Of which the amounts are medians.
        goals: What must hold.
    """

    name: str
    beside: str
    ours: Amount
    theirs: Amount
    ratio: Ratio
    unit: str = "s"
    rounds: int = 1
    goals: tuple[Goal, ...] = ()

    @property
    def times(self) -> float:
        """The ratio."""
        return self.ratio.of(self.ours.value, self.theirs.value)

    def meets(self, goal: Goal) -> bool:
        """Whether a goal is reached."""
        value = self.times if goal.of_ratio else self.ours.value
        return value <= goal.bound if goal.at_most else value >= goal.bound

    @property
    def is_met(self) -> bool:
        """Whether all goals are reached."""
        return all(map(self.meets, self.goals))


@dataclass(frozen=True)
class LeftOut:
    """Something that could not be measured.

    Attributes:
        what: Such as a program.
        why: Why not.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    Attributes:
        benchmark: Its name, as in ``make bench BENCH=name``.
        day: When, ISO 8601.
        machine: What was measured on.
        seconds: How long all of it took.
        figures: In order.
        left_out: In order.
    """

    benchmark: str
    day: str
    machine: dict[str, str]
    seconds: float
    figures: tuple[Figure, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def command(self) -> str:
        """What makes it anew."""
        return f"make bench BENCH={self.benchmark}"

    def store(self, folder: Path | None = None) -> None:
        """Write it in place of what was found before."""
        folder = folder or RESULTS
        folder.mkdir(exist_ok=True)
        text = json.dumps(_rounded(asdict(self)), indent=1, ensure_ascii=False)
        (folder / f"{self.benchmark}.json").write_text(f"{text}\n", encoding="utf-8")


def stored(folder: Path | None = None) -> Iterator[Result]:
    """All results that are kept, by name.

    Args:
        folder: Where; ``RESULTS`` where none is named.
    """
    for path in sorted((folder or RESULTS).glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(map(_figure, document.pop("figures")))
        left_out = tuple(LeftOut(**one) for one in document.pop("left_out"))
        yield Result(**document, figures=figures, left_out=left_out)


def at_most(bound: float) -> Goal:
    """A ratio of so much or less."""
    return Goal(bound, at_most=True)


def at_least(bound: float) -> Goal:
    """A ratio of so much or more."""
    return Goal(bound, at_most=False)


def no_more_than(bound: float) -> Goal:
    """So much or less of the product's own amount."""
    return Goal(bound, at_most=True, of_ratio=False)


def no_less_than(bound: float) -> Goal:
    """So much or more of the product's own amount."""
    return Goal(bound, at_most=False, of_ratio=False)


def line(figure: Figure) -> str:
    """A figure as one line for a terminal."""
    amounts = f"{amount(figure.ours, figure.unit)} beside {amount(figure.theirs, figure.unit)} ({figure.beside})"
    goals = "; ".join(f"goal: {goal_text(figure, goal)}" for goal in figure.goals)
    word = ("met    " if figure.is_met else "MISSED ") if figure.goals else "       "
    return f"  {word}{figure.name}: {amounts}, {number(figure.times)} {figure.ratio}" + (f"; {goals}" if goals else "")


def goal_text(figure: Figure, goal: Goal) -> str:
    """A goal in words."""
    unit = str(figure.ratio) if goal.of_ratio else figure.unit
    return f"{'at most' if goal.at_most else 'at least'} {number(goal.bound)} {unit}"


def amount(one: Amount, unit: str) -> str:
    """An amount with its unit, and with memory where it was measured."""
    memory = f", {one.megabytes:,.0f} MB" if one.megabytes is not None and unit != "MB" else ""
    return f"{number(one.value)} {unit}".strip() + memory


def number(value: float) -> str:
    """A number with three digits that count, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine() -> dict[str, str]:
    """What the figures were measured on: nothing that names it or its owner."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "processor": f"{_processor()}, {psutil.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def missed(figures: Iterable[Figure]) -> list[str]:
    """Names of those that miss a goal."""
    return [figure.name for figure in figures if not figure.is_met]


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if not facts.exists():
        return platform.processor() or platform.machine()
    names = [one.partition(":")[2].strip() for one in facts.read_text("utf-8").splitlines() if "model name" in one]
    return names[0] if names else platform.machine()


def _figure(document: dict[str, Any]) -> Figure:
    document["ours"], document["theirs"] = Amount(**document["ours"]), Amount(**document["theirs"])
    document["goals"] = tuple(Goal(**goal) for goal in document["goals"])
    document["ratio"] = Ratio(document["ratio"])
    return Figure(**document)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
