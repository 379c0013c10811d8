"""The history of checks: what became of each in earlier releases of the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdict, Verdicts

LONGEST: Final = 12
_FEW: Final = 4


class Outcome(StrEnum):
    """What became of a check."""

    HELD = "held"
    WARNED = "warned"
    FAILED = "failed"
    ABSENT = "did not exist"


@dataclass(frozen=True)
class Mark:
    """The outcome of a check in one release."""

    key: ReleaseKey
    outcome: Outcome


@dataclass(frozen=True)
class CheckSeries:
    """One check of a release, and the same check in earlier releases.

    Attributes:
        verdict: Of the release at hand.
        outcome: Of the release at hand.
        marks: Of earlier releases, oldest first.
    """

    verdict: Verdict
    outcome: Outcome
    marks: tuple[Mark, ...]

    @property
    def is_steady(self) -> bool:
        """Whether it held in every earlier release."""
        return all(mark.outcome is Outcome.HELD for mark in self.marks)

    @property
    def words(self) -> str:
        """The history as a sentence: what is not as usual by name, the rest by its number."""
        if not self.marks:
            return "There is no earlier release."
        held = sum(mark.outcome is Outcome.HELD for mark in self.marks)
        if held == len(self.marks):
            return f"Held in {f'all {held}' if held > 1 else 'the one'} before."
        found = {kind: [mark.key for mark in self.marks if mark.outcome is kind] for kind in Outcome}
        told = [f"{kind} in {_listed(keys)}" for kind, keys in found.items() if keys and kind is not Outcome.HELD]
        words = "; ".join([*told, *([f"held in {held} of the {len(self.marks)} before"] if held else [])])
        return f"{words[:1].upper()}{words[1:]}."


def outcome_of(verdict: Verdict) -> Outcome:
    """What became of a check."""
    if verdict.success:
        return Outcome.HELD
    return Outcome.WARNED if verdict.is_warning else Outcome.FAILED


def earlier(register: Register, key: ReleaseKey, most: int = LONGEST) -> tuple[ReleaseKey, ...]:
    """The newest releases of the same name that were first checked before this one was, oldest first."""
    firsts = {other: _first_checked(register, other) for other in register.histories if other.release == key.release}
    own = firsts.get(key) or 0
    before = sorted((number, other) for other, number in firsts.items() if number and other != key and number < own)
    return tuple(other for _, other in before[-most:])


def series(now: Verdicts, before: Sequence[tuple[ReleaseKey, Verdicts]]) -> tuple[CheckSeries, ...]:
    """Each check with its history: what failed first, then what warned, then the rest, in the order of suites.

    Args:
        now: Verdicts on the release at hand.
        before: Those on earlier releases, oldest first.
    """
    past = [(key, {_name(one): outcome_of(one) for one in verdicts.checks}) for key, verdicts in before]
    rows = [CheckSeries(one, outcome_of(one), _marks(one, past)) for one in now.checks]
    return tuple(sorted(rows, key=lambda row: _URGENCY[row.outcome]))


def _marks(
    verdict: Verdict, past: Sequence[tuple[ReleaseKey, Mapping[tuple[str, str, str], Outcome]]]
) -> tuple[Mark, ...]:
    return tuple(Mark(key, outcomes.get(_name(verdict), Outcome.ABSENT)) for key, outcomes in past)


_URGENCY: Final = {Outcome.FAILED: 0, Outcome.WARNED: 1, Outcome.HELD: 2, Outcome.ABSENT: 3}


def _listed(keys: Sequence[ReleaseKey]) -> str:
    names = [key.period if key.revision == 1 else f"{key.period} r{key.revision}" for key in keys]
    return ", ".join(names) if len(names) <= _FEW else f"{len(names)} of them"


def _name(verdict: Verdict) -> tuple[str, str, str]:
    return (verdict.suite, verdict.subject, verdict.check)


def _first_checked(register: Register, key: ReleaseKey) -> int:
    """Number of the ledger's first entry about checks of a release; 0 where there is none."""
    return next((entry.number for entry in register.history(key) if entry.kind == "checked"), 0)
