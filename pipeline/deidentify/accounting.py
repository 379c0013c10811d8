"""Bad input is counted, not swallowed: every line or row that is read ends in exactly one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import RejectShareError


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
