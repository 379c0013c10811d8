from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.deidentify.staging import SourceCounts
from pipeline.local.summary import Checks, IngestedPeriod, ReleaseLines, Summary
from pipeline.local.words import show
from pipeline.publication.report import BudgetFacts
from pipeline.release.figures import Counted, TableGroups
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience, Population

HOME = Path("/srv/site")
RELEASE = ReleaseLines(
    key=ReleaseKey("weekly_audience", "2026-W41"),
    title="Weekly audience",
    people=Counted(31_204, 31_131, 31_277),
    k=50,
    least=500,
    tables=(TableGroups("Visitors by country", 40, 210),),
    checks=Checks(151, 151),
    drawn_now=True,
    unchanged=False,
    reviewer="scripted-reviewer",
    scripted=True,
    bundles={Audience.PARTNER: HOME / "published" / "partner" / "weekly_audience" / "2026-W41" / "r1"},
    report=HOME / "reports" / "weekly_audience" / "2026-W41" / "r1" / "report.html",
)
SUMMARY = Summary(
    home=HOME,
    synthetic=True,
    ingested=(
        IngestedPeriod(
            Population.VISITORS,
            "2026-W41",
            {"visitor logs": SourceCounts(read=1_000, used=900, left_out={"bot": 80}, rejected={"format": 20})},
            Checks(27, 27),
        ),
    ),
    releases=(RELEASE,),
    budgets=(BudgetFacts(Population.VISITORS, 30, 1e-4, 1.25, 28.75, "the year to 12 October 2026"),),
    reserved_now=1,
    data_docs=HOME / "data_docs" / "index.html",
    seconds=61.4,
)


def told(width: int = 120, **changes: object) -> str:
    output = io.StringIO()
    show(dataclasses.replace(SUMMARY, **changes), Console(file=output, width=width))  # type: ignore[arg-type]
    return output.getvalue()


def changed(**changes: object) -> tuple[ReleaseLines, ...]:
    return (dataclasses.replace(RELEASE, **changes),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [
        "nobody in them exists",
        "1,000",
        "bot 80",
        "format 20",
        "31,204",
        "31,131 to 31,277",
        "Noisy on purpose",
        "40 of 250",
        "1.25",
        "28.75",
        "1e-04",
        "27 of 27",
        "151 of 151",
        "by a script, not by a person",
        "drawn now",
        "Budget was spent on one release.",
        str(RELEASE.report),
        str(RELEASE.bundles[Audience.PARTNER]),
    ],
)
def test_the_summary_tells(words: str) -> None:
    assert words in told()


def test_a_release_that_was_returned_is_said_to_be_the_same_and_to_have_cost_nothing() -> None:
    text = told(releases=changed(drawn_now=False, unchanged=True), reserved_now=0)
    assert "the same release as before, byte for byte" in text
    assert "Nothing was spent." in text
    assert "drawn now" not in text


def test_a_release_that_an_earlier_run_drew_but_did_not_publish_is_not_called_unchanged() -> None:
    text = told(releases=changed(drawn_now=False, unchanged=False), reserved_now=0)
    assert "byte for byte" not in text


def test_a_small_site_is_told_why_most_groups_are_withheld() -> None:
    assert "small site" not in told()
    assert "small site" in told(releases=changed(people=Counted(900, 800, 1_000)))
    assert "withheld" in told(releases=changed(people=None))


def test_a_persons_approval_is_told_with_the_persons_name() -> None:
    text = told(releases=changed(scripted=False, reviewer="A. Reviewer"))
    assert "approved by A. Reviewer" in text
    assert "script" not in text


def test_paths_are_never_broken_so_that_they_can_be_copied() -> None:
    assert str(RELEASE.bundles[Audience.PARTNER]) in told(width=40)


def test_where_keys_are_private_no_number_of_others_is_told() -> None:
    tables = (TableGroups("Visitors by site they came from", 40, None),)
    output = told(releases=changed(tables=tables))
    assert re.search(r"Visitors by site they came from +40$", output, re.MULTILINE)
    assert "only those that were released are counted" in " ".join(output.split())
