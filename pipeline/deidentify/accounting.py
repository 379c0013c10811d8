"""Bad input is counted, not swallowed: every line or row that is read ends in exactly one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb

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


class Tally:
    """Verdicts on log lines, counted block by block.

    Args:
        rejected: Verdicts of which the places of some lines are remembered.

    Attributes:
        counts: Lines by verdict.
    """

    def __init__(self, rejected: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {reason: [] for reason in rejected}

    def add(self, engine: duckdb.DuckDBPyConnection, table: str, label: str) -> None:
        """Count a table of one file's lines: ``number`` and ``verdict``."""
        found = Counter(dict(engine.execute(f"SELECT verdict, count(*) FROM {table} GROUP BY verdict").fetchall()))
        self.counts.update(found)
        for reason, places in self._places.items():
            if found[reason] and (room := MOST_PLACES - len(places)) > 0:
                numbers = f"SELECT number FROM {table} WHERE verdict = ? ORDER BY number LIMIT {room}"
                places += [f"{label} line {number}" for (number,) in engine.execute(numbers, [reason]).fetchall()]

    def accounting(self, used: int, left_out: Mapping[str, int]) -> Accounting:
        """What became of the lines; reasons of no line are left out."""
        return Accounting(
            self.counts.total(),
            used,
            {reason: count for reason, count in left_out.items() if count},
            {reason: self.counts[reason] for reason in self._places if self.counts[reason]},
            {reason: tuple(places) for reason, places in self._places.items() if places},
        )
