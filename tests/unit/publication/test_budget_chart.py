from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.publication.budget_chart import BudgetPoint, describe_course, draw_course
from pipeline.publication.bundle import publish_release
from pipeline.publication.report import BudgetFacts, report_bytes
from pipeline.publication.views import whole
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.unit.publication.releases import approval_of, release_of

YEAR = tuple(BudgetPoint(f"2026-W{week:02d}", week / 10, week == 31) for week in range(1, 54))


def texts(drawing: str) -> list[str]:
    root = ElementTree.fromstring(drawing)  # noqa: S314 - drawn a moment ago
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_bar_a_period_is_drawn_and_the_one_at_hand_in_another_colour() -> None:
    drawing = draw_course(YEAR, 10)
    assert drawing.count('fill="var(--bar-rest)"') == 52
    assert drawing.count('fill="var(--bar)"') == 1


def test_the_figure_at_hand_and_the_cap_are_written_beside_their_marks() -> None:
    written = texts(draw_course(YEAR, 10))
    assert "\u03b5 = 3.1" in written
    assert "cap, \u03b5 = 10" in written


@pytest.mark.parametrize("number", [1, 2, 12, 53])
def test_the_period_at_hand_has_its_label_however_many_there_are(number: int) -> None:
    points = [BudgetPoint(f"2026-W{week:02d}", 1.0, week == number) for week in range(1, number + 1)]
    labels = [text for text in texts(draw_course(points, 10)) if text.startswith("2026-W")]
    assert f"2026-W{number:02d}" in labels
    assert len(labels) <= 9


def test_the_drawing_is_told_in_words_too() -> None:
    told = describe_course(YEAR, 10)
    assert told in draw_course(YEAR, 10)
    assert "53 periods, 2026-W01 to 2026-W53, against a cap of 10" in told
    assert "The year to 2026-W31, this release included: 3.1." in told
    assert "The most: 5.3, in the year to 2026-W53." in told


def test_a_report_draws_the_years_that_have_a_finite_cost(release: PrivateRelease) -> None:
    def page(*course: BudgetPoint) -> str:
        budget = BudgetFacts(Population.VISITORS, 10.0, 1e-6, 3.25, 6.75, "the year to 11 October 2026", course)
        return report_bytes(whole(release), {}, None, budget=budget).decode()

    broken = BudgetPoint("2026-W40", math.inf, False)
    assert "each of 1 period, 2026-W41 to 2026-W41" in page(broken, BudgetPoint("2026-W41", 3.25, True))
    assert "figure class" not in page(broken)
    assert "figure class" not in page()


def test_a_revision_of_what_was_never_published_is_published_first(workspace: Workspace, verdicts: Verdicts) -> None:
    second = release_of(revision=2)
    publish_release(workspace, second, verdicts, approval_of(second, verdicts))
    changes = Path(workspace.published, "partner", "CHANGELOG.md").read_text("utf-8")
    assert "r2: first published" in changes
    assert "replaces" not in changes
