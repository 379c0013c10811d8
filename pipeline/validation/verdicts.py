"""What validation leaves: verdicts without values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from pipeline.errors import ChecksFailedError


@dataclass(frozen=True, order=True)
class Verdict:
    """One check's outcome.

    Attributes:
        suite: Name of the suite under ``expectations/``.
        subject: What was checked: a table of the release, or ``staging``.
        check: The rule, in words a reviewer can read.
        success: Whether it holds.
    """

    suite: str
    subject: str
    check: str
    success: bool


@dataclass(frozen=True)
class Verdicts:
    """All checks of one stage on one release or one period of staging."""

    checks: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """True where there are checks and every one holds: no check is no pass."""
        return bool(self.checks) and all(check.success for check in self.checks)

    def to_bytes(self) -> bytes:
        """Canonical JSON in a fixed order; no times, so that equal outcomes have equal bytes."""
        rows = [asdict(check) for check in sorted(self.checks)]
        return json.dumps(rows, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Verdicts:
        """Read what ``to_bytes`` wrote."""
        return cls(tuple(Verdict(**row) for row in json.loads(content)))

    @property
    def sha256(self) -> str:
        """Digest of the canonical bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def require(self) -> Verdicts:
        """Return these verdicts if all checks hold.

        Raises:
            ChecksFailedError: At least one does not, or there is none; names the checks, no values.
        """
        if not self.passed:
            failed = [f"{check.subject}: {check.check}" for check in self.checks if not check.success]
            raise ChecksFailedError(
                "every validation check must hold before publication",
                value=f"{len(failed)} failed ({'; '.join(failed[:5])})" if failed else "no check at all",
                remedy="Read the Data Docs, correct the cause, and run the stage again.",
            )
        return self
