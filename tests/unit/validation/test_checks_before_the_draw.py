"""Nothing is drawn, and nothing is spent, before the checks on sources, staging and people have passed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline import flow, flow_staging
from pipeline.deidentify.staging import Staging, load_staging, read_checks, write_checks
from pipeline.errors import ChecksFailedError, StagingError
from pipeline.privacy.ledger import Ledger
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, pseudonym, write_visitors
from tests.staged import folder_of
from tests.unit.rights.homes import PERIOD, RELEASE, STAGED, enter, write_home


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A home with a week of staging that passed its checks."""
    write_home(tmp_path)
    return enter(monkeypatch, tmp_path)


def staging_of(workspace: Workspace) -> Staging:
    return load_staging(workspace, Population.VISITORS, WEEK)


@pytest.mark.parametrize("suite", ["sources", "staging_visitors"])
def test_without_the_verdicts_of_a_suite_nothing_is_drawn(suite: str, workspace: Workspace) -> None:
    held = Verdicts(tuple(check for check in STAGED.checks if check.suite != suite))
    write_checks(staging_of(workspace), held.to_bytes())
    with pytest.raises(StagingError, match=f"no verdicts of {suite} on visitors"):
        flow.draw(RELEASE, PERIOD)
    assert not Ledger.open(workspace.ledger).reservations()


def test_counts_that_break_a_rule_are_not_drawn_and_cost_nothing(workspace: Workspace) -> None:
    """Staging that holds what its checks did not see."""
    people = pd.DataFrame(
        {"person": [pseudonym(number) for number in range(60)], "country": "jane.planted@example.org"}
    )
    staging = write_visitors(folder_of(staging_of(workspace)), people)
    write_checks(staging, STAGED.to_bytes())
    with pytest.raises(ChecksFailedError, match="bounded groups: Country: every key is on the public list") as raised:
        flow.draw(RELEASE, PERIOD)
    assert not Ledger.open(workspace.ledger).reservations()
    written = [path for path in workspace.data_docs.rglob("*") if path.is_file()]
    assert len(written) > 2
    told = b"".join(path.read_bytes() for path in written) + str(raised.value).encode()
    assert b"planted" not in told


def test_a_draw_tells_of_its_checks_on_people_in_data_docs_and_is_paid_once(workspace: Workspace) -> None:
    flow.draw(RELEASE, PERIOD)
    assert len(Ledger.open(workspace.ledger).reservations()) == 1
    assert list((workspace.data_docs / "records" / "people").rglob("*.json"))


def test_staging_that_is_checked_through_the_flow_can_be_drawn_from(workspace: Workspace) -> None:
    flow_staging.check_staging("visitors", PERIOD)
    kept = Verdicts.from_bytes(read_checks(staging_of(workspace)))
    assert {check.suite for check in kept.checks} == {"sources", "staging_visitors"}
    flow.draw(RELEASE, PERIOD)
