"""What is known of a release beside its artefact: what became of the sources, and what the ledger says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class LineCounts(Protocol):
    """What became of the lines of one source."""

    @property
    def read(self) -> int:
        """Lines read."""

    @property
    def used(self) -> int:
        """Lines that went into staging."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Lines that are fine but not wanted, by reason."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Lines that could not be used, by reason."""


@dataclass(frozen=True)
class Cost:
    """What a release costs, and its population's year.

    Attributes:
        epsilon: Of this release alone, composed, at ``delta``; infinite without noise.
        delta: Of the population's cap.
        spent: Epsilon of the year to the end of the period, this release included.
        cap: Epsilon that may be spent in it.
        year_to: Day on which that year ends, ISO date.
    """

    epsilon: float
    delta: float
    spent: float
    cap: float
    year_to: str


@dataclass(frozen=True)
class Checks:
    """The newest verdicts.

    Attributes:
        at: When they were recorded.
        passed: How many checks hold.
        of: How many there are.
        failed: Those that stop a release and do not hold, in words.
        sha256: Of the verdicts.
        warned: Those that do not hold and stop nothing, in words.
    """

    at: str
    passed: int
    of: int
    failed: tuple[str, ...]
    sha256: str
    warned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The newest decision.

    Attributes:
        at: When.
        verb: ``approved`` or ``rejected``.
        reviewer: Who decided.
        reason: Why.
        scripted: True where a script decided.
        stands: False where the candidate has changed since.
        candidate_sha256: What was decided on.
    """

    at: str
    verb: str
    reviewer: str
    reason: str
    scripted: bool
    stands: bool
    candidate_sha256: str


@dataclass(frozen=True)
class History:
    """What the ledger says of a release.

    Attributes:
        reserved_at: When its budget was reserved.
        drawn_at: When its noise was drawn.
        artefact_sha256: Of the noisy tables.
        cost: In epsilon and delta.
        checks: None where it was not checked yet.
        decision: None where nobody decided yet.
        published_at: Empty where it is not published.
        manifests: Digests of the bundles' manifests by audience.
        revises: Why it was made anew; empty for the first revision.
    """

    reserved_at: str
    drawn_at: str
    artefact_sha256: str
    cost: Cost
    checks: Checks | None = None
    decision: Decision | None = None
    published_at: str = ""
    manifests: Mapping[str, str] | None = None
    revises: str = ""
