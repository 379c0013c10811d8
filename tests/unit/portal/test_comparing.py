"""What a page says of the change since the release before, of budgets, and of what it keeps in memory."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.portal import archive as archives
from pipeline.portal import budget
from pipeline.portal.archive import Archive
from pipeline.portal.background import Background
from pipeline.portal.comparing import compared, comparison_of
from pipeline.portal.figures import drawing
from pipeline.portal.listing import ROWS, listing
from pipeline.publication.charts import standalone
from pipeline.release.artefact import PrivateRelease
from pipeline.review.changes import changes
from pipeline.vocabulary import Population
from tests.recorded import RecordedSite, small

BROWSERS = small(
    tables=[
        {"name": "by_browser", "title": "By browser", "dimensions": ["browser"]},
        {"name": "by_system", "title": "By system", "dimensions": ["operating_system"]},
    ],
    audiences={"partner": ["by_browser", "by_system"]},
)


@pytest.fixture
def site(tmp_path: Path) -> RecordedSite:
    return RecordedSite(tmp_path / "site")


@pytest.fixture
def archive(site: RecordedSite) -> Archive:
    return Archive(site.workspace, site.ledger)


def moved(release: PrivateRelease, browser: str, by: float) -> PrivateRelease:
    """The same release with another number of one browser's people."""
    frame = release.tables["by_browser"].copy()
    there = frame["browser"] == browser
    assert there.sum() == 1
    frame.loc[there, ["value", "estimate"]] += by
    return dataclasses.replace(release, tables={**release.tables, "by_browser": frame})


def test_a_change_is_told_beside_its_noise(site: RecordedSite) -> None:
    release = site.release(site.draw(BROWSERS, "2026-W41"))
    rows = release.tables["by_browser"]
    largest = str(rows[rows["kind"] == "group"].nlargest(1, "value")["browser"].iloc[0])
    found = compared(changes(moved(release, largest, 1000), release), release.header.tables)
    first = found.largest[0]
    assert (first.group, first.table, first.difference, first.exceeds) == (largest, "By browser", "+1,000", True)
    assert first.words == "far more than noise"
    assert {one.words for one in found.largest[1:]} == {"no more than noise"}
    assert (found.exceeding, found.appeared, found.vanished, found.apart) == (1, (), (), ())


def test_a_number_that_stands_in_two_tables_is_compared_once(site: RecordedSite) -> None:
    release = site.release(site.draw(BROWSERS, "2026-W41"))
    found = compared(changes(release, release), release.header.tables)
    listed = sum(int(frame["value"].notna().sum()) for frame in release.tables.values())
    assert found.compared == listed - 1  # the total of both
    assert [one.group for one in found.largest].count("All") == 1


def test_groups_that_come_and_go_are_named(site: RecordedSite) -> None:
    release = site.release(site.draw(BROWSERS, "2026-W41"))
    frame = release.tables["by_browser"].copy()
    chosen = frame.index[(frame["kind"] == "group") & frame["value"].notna()][0]
    name = str(frame.loc[chosen, "browser"])
    frame.loc[chosen, ["value", "value_lo", "value_hi", "estimate", "noise_sd"]] = None
    without = dataclasses.replace(release, tables={**release.tables, "by_browser": frame})
    come = compared(changes(release, without), release.header.tables)
    gone = compared(changes(without, release), release.header.tables)
    assert [one.groups for one in come.appeared] == [(name,)] == [one.groups for one in gone.vanished]
    assert (come.vanished, gone.appeared) == ((), ())


def test_the_release_before_is_the_one_that_was_published_when_this_was_checked(
    site: RecordedSite, archive: Archive
) -> None:
    ana = site.reviewer()
    before = site.published(BROWSERS, "2026-W40", ana)
    key = site.waiting(BROWSERS, "2026-W42")
    site.published(BROWSERS, "2026-W41", ana)
    found = comparison_of(archive, archive.register(), key)
    assert found is not None
    assert found.before == before
    assert comparison_of(archive, archive.register(), before) is None


def test_budgets_are_worked_out_beside_the_page(site: RecordedSite, archive: Archive) -> None:
    key = site.draw(BROWSERS, "2026-W41")
    register = archive.register()
    budget.year_of(archive, register, Population.VISITORS, key.period)
    archive.balances.settle()
    year = budget.year_of(archive, register, Population.VISITORS, key.period)
    assert year is not None
    assert year.balance.year_epsilon == pytest.approx(1, abs=0.1)
    assert year.balance.left == pytest.approx(30 - year.balance.year_epsilon)
    budget.account_of(archive, register, Population.VISITORS)
    archive.balances.settle()
    account = budget.account_of(archive, register, Population.VISITORS)
    assert account is not None
    assert account.epsilons == {key: year.balance.year_epsilon}
    assert "cap" in budget.course_of(archive, register, Population.VISITORS, key.period)
    assert budget.course_of(archive, register, Population.CUSTOMERS, key.period) == ""
    assert budget.populations(archive, register) == (Population.VISITORS,)


def test_a_new_reservation_makes_a_budget_anew(site: RecordedSite, archive: Archive) -> None:
    site.draw(BROWSERS, "2026-W41")
    spent = []
    for draw in (False, True):
        if draw:
            site.draw(BROWSERS, "2026-W40")
        budget.year_of(archive, archive.register(), Population.VISITORS, "2026-W41")
        archive.balances.settle()
        year = budget.year_of(archive, archive.register(), Population.VISITORS, "2026-W41")
        assert year is not None
        spent.append(year.balance.year_epsilon)
    assert spent[1] > spent[0]


def test_work_in_the_background_is_done_once_and_waited_for_briefly() -> None:
    held, calls = threading.Event(), []

    def work() -> str:
        calls.append(1)
        held.wait(10)
        return "done"

    background: Background[str] = Background("test")
    begun = time.monotonic()
    assert background.at_hand("key", work) is None
    assert time.monotonic() - begun < 1
    held.set()
    assert background.soon("key", work).result(10) == "done"
    assert background.at_hand("key", work) == "done"
    assert calls == [1]
    background.close()


def test_what_failed_in_the_background_is_tried_again() -> None:
    answers = iter([ValueError("no"), None])

    def work() -> str:
        if failure := next(answers):
            raise failure
        return "done"

    background: Background[str] = Background("test")
    with pytest.raises(ValueError, match="no"):
        background.soon("key", work).result(10)
    assert background.soon("key", work).result(10) == "done"
    background.close()


def test_a_broken_chain_is_found_by_the_next_reading(
    site: RecordedSite, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = site.waiting(BROWSERS, "2026-W41")
    assert archive.register().history(key)
    with sqlite3.connect(site.home / "ledger.db") as connection:
        connection.execute("DROP TRIGGER IF EXISTS entries_are_never_changed")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE entries SET payload = replace(payload, 'true', 'false') WHERE kind = 'checked'")
    monkeypatch.setattr(archives, "_LOOK_AGAIN", 0.001)
    with pytest.raises(LedgerError, match="chain of hashes"):
        archive.register()


def test_pages_of_the_list_do_not_overlap(site: RecordedSite, archive: Archive) -> None:
    for week in range(1, ROWS + 3):
        site.draw(BROWSERS, f"2026-W{week:02d}")
    found = [listing(archive, archive.register(), "", "", number) for number in (1, 2, 9)]
    assert [len(one.rows) for one in found] == [ROWS, 2, 2]
    assert {row.key for row in found[0].rows}.isdisjoint(row.key for row in found[1].rows)
    assert found[0].rows[0].key.period == f"2026-W{ROWS + 2:02d}"
    assert found[2].number == 2


def test_a_figure_is_drawn_by_its_name_alone(site: RecordedSite, archive: Archive) -> None:
    key = site.draw(BROWSERS, "2026-W41")
    assert drawing(archive, archive.register(), key, "by_nothing") is None
    found = drawing(archive, archive.register(), key, "by_browser")
    assert found is not None
    assert found.result().count("<style>") == 1
    assert drawing(archive, archive.register(), key, "by_browser") is found


def test_a_drawing_takes_its_colours_along() -> None:
    assert standalone('<svg width="1"><g/></svg>', ":root{}") == '<svg width="1"><style>:root{}</style><g/></svg>'
