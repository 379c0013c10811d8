"""Bad input is counted, not swallowed: every line or row that is read ends in exactly one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb
from pydantic import Field

from pipeline.documents import Document
from pipeline.errors import RejectShareError

MOST_PLACES: Final = 5  # lines of one reason that are told by their place
# A reason of leaving out: somebody asked to be removed, or not to be counted.
AT_REQUEST: Final = "at a person's request"


@dataclass(frozen=True)
class Accounting:
    """What became of the lines or rows of one source in one period.

    Attributes:
        read: Lines read.
        used: Lines that went into staging.
        left_out: By reason: ``bot``, ``outside the period``, ... Lines that are fine but not wanted.
        rejected: By reason: lines that could not be used.
        places: By reason of rejection, where some such lines stand: ``access.log line 12``; never what they say.
    """

    read: int = 0
    used: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = self.used + sum(self.left_out.values()) + sum(self.rejected.values())
        if parts != self.read:
            raise AssertionError(f"{self.read} lines read, but {parts} accounted for")

    @property
    def rejected_share(self) -> float:
        """Rejected lines as a share of those read; 0 where none was read."""
        return sum(self.rejected.values()) / self.read if self.read else 0.0

    def require_share(self, source: str, limit: float) -> None:
        """Refuse a source of which too much could not be used.

        Raises:
            RejectShareError: More than ``limit`` was rejected; names the reasons and the places of some lines, never
                the lines.
        """
        if self.rejected_share > limit:
            reasons = ", ".join(f"{reason} {count:,}{self._where(reason)}" for reason, count in self.rejected.items())
            raise RejectShareError(
                f"{source}: at most {limit:.2%} of the lines may be rejected",
                value=f"{self.rejected_share:.2%} of {self.read:,} ({reasons})",
                remedy="Check format and encoding in the site file, or raise max_rejected_share.",
            )

    def _where(self, reason: str) -> str:
        return f" ({'; '.join(found)})" if (found := self.places.get(reason)) else ""


class Verdicts(Document):
    """How many lines came to which verdict, and where some of those stand that were rejected; never what they say."""

    counts: dict[str, int] = Field(default={})
    """Lines by verdict."""
    places: dict[str, tuple[tuple[int, int], ...]] = Field(default={})
    """By reason of rejection, number of the file and of the line, in this order; a few of each."""

    @classmethod
    def together(cls, parts: Iterable[Verdicts]) -> Verdicts:
        """Those of several parts of one source."""
        counts: Counter[str] = Counter()
        places: dict[str, list[tuple[int, int]]] = {}
        for part in parts:
            counts.update(part.counts)
            for reason, found in part.places.items():
                places.setdefault(reason, []).extend(found)
        least = {reason: tuple(sorted(found)[:MOST_PLACES]) for reason, found in places.items()}
        return cls(counts=dict(counts), places=least)

    def accounting(
        self, used: int, left_out: Iterable[str], rejected: Iterable[str], labels: Sequence[str] = ()
    ) -> Accounting:
        """What became of the lines; reasons of no line are left out.

        Args:
            used: Lines that went into staging.
            left_out: Verdicts that are reasons of leaving a line out.
            rejected: Verdicts that are reasons of rejecting one.
            labels: Names of the files by their numbers; without any, no places are told.
        """
        places = {
            reason: tuple(f"{labels[file]} line {number}" for file, number in self.places[reason])
            for reason in rejected
            if labels and self.places.get(reason)
        }
        return Accounting(sum(self.counts.values()), used, self._of(left_out), self._of(rejected), places)

    def _of(self, reasons: Iterable[str]) -> dict[str, int]:
        return {reason: count for reason in reasons if (count := self.counts.get(reason, 0))}


class Tally:
    """Verdicts on log lines, counted block by block.

    Args:
        rejected: Verdicts of which the places of some lines are remembered.
    """

    def __init__(self, rejected: Sequence[str]) -> None:
        self._counts: Counter[str] = Counter()
        self._places: dict[str, dict[int, list[int]]] = {reason: {} for reason in rejected}

    @property
    def verdicts(self) -> Verdicts:
        """On the lines so far."""
        places = {
            reason: tuple(sorted((file, number) for file, numbers in found.items() for number in numbers))
            for reason, found in self._places.items()
        }
        return Verdicts.together([Verdicts(counts=dict(self._counts), places=places)])

    def add(self, engine: duckdb.DuckDBPyConnection, table: str, file: int) -> None:
        """Count a table of lines of one file, told by its number: ``number`` and ``verdict``."""
        found = Counter(dict(engine.execute(f"SELECT verdict, count(*) FROM {table} GROUP BY verdict").fetchall()))
        self._counts.update(found)
        for reason, files in self._places.items():
            if found[reason] and (room := MOST_PLACES - len(files.get(file, ()))) > 0:
                numbers = f"SELECT number FROM {table} WHERE verdict = ? ORDER BY number LIMIT {room}"
                files.setdefault(file, []).extend(number for (number,) in engine.execute(numbers, [reason]).fetchall())
