"""What validation leaves: verdicts without values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pipeline.errors import ChecksFailedError

Severity = Literal["critical", "warning"]
CRITICAL: Final = "critical"
WARNING: Final = "warning"


@dataclass(frozen=True, order=True)
class Verdict:
    """One check's outcome.

    Attributes:
        suite: Name of the suite under ``expectations/``.
        subject: What was checked: a table of the release, or ``staging``.
        check: The rule, in words a reviewer can read.
        success: Whether it holds.
        severity: ``critical`` where a release cannot do without it, ``warning`` where a reviewer should look.
    """

    suite: str
    subject: str
    check: str
    success: bool
    severity: Severity = CRITICAL

    @property
    def is_warning(self) -> bool:
        """Whether it stops nothing where it does not hold; any word but ``warning`` counts as critical."""
        return self.severity == WARNING


@dataclass(frozen=True)
class Verdicts:
    """All checks of one stage on one release or one period of staging."""

    checks: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """True where there are critical checks and every one holds: no check is no pass, and nor are warnings alone."""
        critical = [check.success for check in self.checks if not check.is_warning]
        return bool(critical) and all(critical)

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """Critical checks that do not hold: nothing is published."""
        return tuple(check for check in self.checks if not check.success and not check.is_warning)

    @property
    def warnings(self) -> tuple[Verdict, ...]:
        """Warnings that do not hold: they stop nothing, and a reviewer should know."""
        return tuple(check for check in self.checks if not check.success and check.is_warning)

    def to_bytes(self) -> bytes:
        """Canonical JSON in a fixed order; no times, so that equal outcomes have equal bytes.

        A severity is written where it is not critical: verdicts from before there were severities keep their bytes, and
        with them the decisions that are bound to their digest.
        """
        rows = [_written(check) for check in sorted(self.checks)]
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
        """Return these verdicts if all critical checks hold.

        Raises:
            ChecksFailedError: At least one does not, or there is none; names the checks, no values.
        """
        if not self.passed:
            failed = [f"{check.subject}: {check.check}" for check in self.failed]
            raise ChecksFailedError(
                "every validation check must hold before publication",
                value=f"{len(failed)} failed ({'; '.join(failed[:5])})" if failed else "no check at all",
                remedy="Read the Data Docs, correct the cause, and run the stage again.",
            )
        return self


def _written(check: Verdict) -> dict[str, Any]:
    row = asdict(check)
    return row if check.severity != CRITICAL else {name: value for name, value in row.items() if name != "severity"}
