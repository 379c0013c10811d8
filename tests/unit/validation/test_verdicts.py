from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pipeline.errors import ChecksFailedError
from pipeline.validation.verdicts import WARNING, Verdict, Verdicts

HOLDS = Verdict("release", "by_country", "it adds up", True)
FAILS = Verdict("release", "by_country", "no group is too small", False)
WARNS = Verdict("release", "by_country", "nothing moved too far", False, WARNING)
QUIET = Verdict("release", "by_country", "nothing vanished", True, WARNING)


def test_a_warning_stops_nothing_and_is_told() -> None:
    verdicts = Verdicts((HOLDS, WARNS, QUIET)).require()
    assert verdicts.passed
    assert (verdicts.failed, verdicts.warnings) == ((), (WARNS,))


def test_a_critical_check_stops_a_release_whatever_warnings_say() -> None:
    verdicts = Verdicts((HOLDS, FAILS, WARNS))
    assert not verdicts.passed
    with pytest.raises(ChecksFailedError, match=r"1 failed \(by_country: no group is too small\)"):
        verdicts.require()


@pytest.mark.parametrize("checks", [(), (QUIET,), (QUIET, WARNS)])
def test_without_a_critical_check_nothing_passes(checks: tuple[Verdict, ...]) -> None:
    with pytest.raises(ChecksFailedError, match="no check at all"):
        Verdicts(checks).require()


def test_a_severity_that_nobody_knows_is_critical() -> None:
    unknown: Any = "hint"
    verdicts = Verdicts((HOLDS, Verdict("release", "x", "y", False, unknown)))
    assert not verdicts.passed
    assert not verdicts.warnings


def test_verdicts_from_before_there_were_severities_keep_their_bytes() -> None:
    recorded = b'[{"check":"it adds up","subject":"by_country","success":true,"suite":"release"}]'
    verdicts = Verdicts.from_bytes(recorded)
    assert verdicts == Verdicts((HOLDS,))
    assert verdicts.to_bytes() == recorded
    assert verdicts.sha256 == hashlib.sha256(recorded).hexdigest()


def test_a_warning_reads_as_it_was_written_in_whatever_order() -> None:
    content = Verdicts((WARNS, HOLDS, FAILS)).to_bytes()
    assert Verdicts((FAILS, WARNS, HOLDS)).to_bytes() == content
    assert Verdicts.from_bytes(content).warnings == (WARNS,)
    assert Verdicts.from_bytes(content).to_bytes() == content


def test_a_warning_is_another_outcome_than_a_failure() -> None:
    failure = Verdict(WARNS.suite, WARNS.subject, WARNS.check, False)
    assert Verdicts((HOLDS, WARNS)).sha256 != Verdicts((HOLDS, failure)).sha256
