"""What a periodic review finds: of each promise how much was looked at, and what does not hold."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from pipeline import __version__
from pipeline.errors import ChecksFailedError, DemographicsError


@dataclass(frozen=True)
class Failure:
    """Something that does not hold.

    Attributes:
        words: What, and where.
        remedy: What to do about it.
    """

    words: str
    remedy: str

    @classmethod
    def of(cls, error: DemographicsError, place: str = "") -> Failure:
        """A broken rule as a failure."""
        told = error.rule if error.value is None else f"{error.rule}, got {error.value}"
        return cls(f"{place}: {told}" if place else told[:1].upper() + told[1:], error.remedy)


@dataclass(frozen=True)
class Looked:
    """What a check saw.

    Attributes:
        at: How many things it looked at.
        failures: What does not hold.
        told: What a reader should know although nothing is broken.
    """

    at: int
    failures: tuple[Failure, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: Of the check.
        promise: What holds where it passes, as a sentence.
        looked_at: How many things were looked at.
        things: What they are, in the plural.
        failures: What does not hold.
        told: What a reader should know although nothing is broken.
    """

    name: str
    promise: str
    looked_at: int
    things: str
    failures: tuple[Failure, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def seen(self) -> str:
        """How many of which things: ``1 bundle``, ``12 bundles``."""
        return f"{self.looked_at:,} {self.things.removesuffix('s') if self.looked_at == 1 else self.things}"


@dataclass(frozen=True)
class Findings:
    """What a review found.

    Attributes:
        site: Name of the site.
        at: When it was made, in the site's time zone.
        findings: One a check, in their order.
    """

    site: str
    at: dt.datetime
    findings: tuple[Finding, ...]

    @property
    def month(self) -> str:
        """``2026-11``."""
        return f"{self.at:%Y-%m}"

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks in which something failed."""
        return tuple(finding for finding in self.findings if not finding.passed)

    @property
    def told(self) -> tuple[str, ...]:
        """What a reader should know although nothing is broken."""
        return tuple(words for finding in self.findings for words in finding.told)

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return not self.failed

    def require(self) -> Findings:
        """Itself, where everything holds.

        Raises:
            ChecksFailedError: Something does not; names the checks, and the first of their failures.
        """
        if not self.passed:
            first = "; ".join(f"{one.name}: {one.failures[0].words}" for one in self.failed[:5])
            raise ChecksFailedError(
                "what was published and what is kept must be as it was promised",
                value=f"{len(self.failed)} of {len(self.findings)} checks failed ({first})",
                remedy=f"Read reports/periodic/{self.month}/report.html, which says what to do about each.",
            )
        return self

    def to_bytes(self) -> bytes:
        """JSON for programs and for people."""
        document = {
            "site": self.site,
            "month": self.month,
            "reviewed_at": self.at.isoformat(timespec="seconds"),
            "code_version": __version__,
            "passed": self.passed,
            "checks": [_document(finding) for finding in self.findings],
        }
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _document(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.name,
        "promise": finding.promise,
        "looked_at": finding.looked_at,
        "things": finding.things,
        "passed": finding.passed,
        "failures": [{"words": one.words, "remedy": one.remedy} for one in finding.failures],
        "told": list(finding.told),
    }
