"""A release that was published is revised: made anew for a reason, paid for again, reviewed again, beside the first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline import cli, flow
from pipeline.privacy.ledger import Ledger
from pipeline.publication.verify import verify_bundle
from pipeline.sample import write_sample
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.accounts import PASSWORD
from tests.builders import specification_document

PERIOD = "2026-W41"
FIRST, SECOND = (ReleaseKey("weekly", PERIOD, revision) for revision in (1, 2))
REASON = "a log file came late"


@dataclass(frozen=True)
class Story:
    """What was seen on the way of a release that was published, revised and published again.

    Attributes:
        workspace: Where.
        revised: Outcome of the command that made the revision.
        unapproved: Outcome of publishing it before anybody had approved it.
        listed: What waited for a reviewer then.
        spent: Epsilon of the year, before and after the revision.
        first_edition: Digests of the first edition's files, before and after the revision was published.
    """

    workspace: Workspace
    revised: Result
    unapproved: Result
    listed: Result
    spent: tuple[float, float]
    first_edition: tuple[dict[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A home that the commands of this module work on."""
    home: Path = tmp_path_factory.mktemp("home")
    write_sample(home, lines=20_000, visitors=4_000, customers=1_000)
    (home / "releases").mkdir()
    document = specification_document(
        privacy={"epsilon": 1, "delta": 1e-7, "k": 20},
        tables=[{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
        audiences={"partner": ["by_country"]},
    )
    (home / "releases" / "weekly.yaml").write_text(yaml.safe_dump(document), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        patch.setenv(RELEASES_VARIABLE, str(home / "releases"))
        patch.setenv(LEDGER_VARIABLE, "")
        yield Workspace(home)


@pytest.fixture(scope="module")
def story(workspace: Workspace) -> Story:
    first = workspace.bundle(Audience.PARTNER, "weekly", PERIOD, 1)
    assert run().exit_code == 0
    assert demographics("reviewer", "add", "ana", typed=f"{PASSWORD}\n").exit_code == 0
    assert f"{FIRST} is approved by ana." in approve(1).output
    assert publish().exit_code == 0
    before, spent = published(first), flow.budgets()[0].spent_epsilon
    revised, unapproved, listed = run("--revise", "--reason", REASON), publish(), demographics("review", "list")
    assert "--revision 2" in approve(1).output  # who has read the first alone may not approve the second
    assert f"{SECOND} is approved by ana." in approve(2).output
    assert publish().exit_code == 0
    after = flow.budgets()[0].spent_epsilon
    return Story(workspace, revised, unapproved, listed, (spent, after), (before, published(first)))


def demographics(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=typed)


def run(*arguments: str) -> Result:
    return demographics("run", "weekly", "--period", PERIOD, *arguments)


def approve(revision: int) -> Result:
    words = ("--reviewer", "ana", "--reason", "seen", "--revision", str(revision))
    return demographics("review", "approve", "weekly", "--period", PERIOD, *words, typed=f"{PASSWORD}\n")


def publish() -> Result:
    return demographics("publish", "weekly", "--period", PERIOD)


def published(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [("--revise",), ("--reason", REASON), ("--revise", "--reason", " "), ("--revise", "--reason", "two\nlines")],
)
def test_a_revision_and_its_reason_belong_together(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "--reason" in refused.stderr


def test_what_was_never_drawn_is_not_revised_and_not_ingested_for_it(workspace: Workspace) -> None:
    refused = demographics("run", "weekly", "--period", "2026-W42", "--revise", "--reason", REASON)
    assert refused.exit_code == 7
    assert "must have been drawn" in refused.stderr
    assert not (workspace.home / "staging" / "visitors" / "2026-W42").exists()


def test_a_revision_is_drawn_beside_the_first_edition_and_paid_for(story: Story) -> None:
    assert story.revised.exit_code == 0, story.revised.stderr
    assert f"{SECOND} is drawn and checked." in story.revised.output
    assert str(story.workspace.report("weekly", PERIOD, 2)) in story.revised.output.replace("\n", "")
    assert story.spent[1] > story.spent[0]
    assert flow.draw("weekly", PERIOD) == str(SECOND)


def test_a_revision_needs_an_approval_of_its_own(story: Story) -> None:
    assert story.unapproved.exit_code == 9
    assert f"no decision on {SECOND}" in story.unapproved.stderr
    assert str(story.workspace.report("weekly", PERIOD, 2)) in story.listed.output.replace("\n", "")


def test_recipients_find_the_revision_and_still_have_the_first_edition(story: Story) -> None:
    before, after = story.first_edition
    assert before == after
    verify_bundle(story.workspace.bundle(Audience.PARTNER, "weekly", PERIOD, 2))
    shelf = story.workspace.published / "partner"
    assert json.loads((shelf / "weekly" / "latest.json").read_bytes())["revision"] == 2
    assert "r2: replaces r1" in (shelf / "CHANGELOG.md").read_text("utf-8")


def test_the_same_reason_again_returns_the_revision_it_made(story: Story) -> None:
    ledger = Ledger.open(story.workspace.ledger)
    reserved, content = ledger.reservations(), ledger.artefact(SECOND)
    assert f"{SECOND} is drawn and checked." in run("--revise", "--reason", REASON).output
    assert ledger.reservations() == reserved
    assert ledger.artefact(SECOND) == content


@pytest.mark.usefixtures("story")
def test_the_budget_shows_both_editions_and_the_reason() -> None:
    shown = demographics("budget").output.splitlines()
    first, second = (line for line in shown if line.strip().startswith("weekly "))
    assert first.split()[:4] == ["weekly", PERIOD, "r1", "published"]
    assert second.split()[:4] == ["weekly", PERIOD, "r2", "published"]
    assert second.rstrip().endswith(REASON)
    assert any(line.split()[:3] == ["visitors", PERIOD, "2"] for line in shown)


def test_the_report_of_a_revision_draws_the_budget(story: Story) -> None:
    report = story.workspace.report("weekly", PERIOD, 2).read_text("utf-8")
    assert "Revision 2" in report
    assert f"Bar chart: epsilon spent in the year to each of 1 period, {PERIOD} to {PERIOD}" in report


def test_the_explanation_tells_why_it_was_revised(story: Story) -> None:
    told = demographics("explain", "weekly", "--period", PERIOD).output
    assert f"Revision 2, made anew and paid for again: {REASON}." in " ".join(told.split())
