"""How long Great Expectations' pages are kept, and how they end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from pipeline.errors import StagingError
from pipeline.rights.retention import purge_expired
from pipeline.site import SiteFile
from pipeline.validation import data_docs
from pipeline.validation.data_docs import RunRecord
from pipeline.workspace import Workspace
from tests.builders import site_document
from tests.privileges import open_folder, without_root
from tests.unit.rights.test_retention import BERLIN, DUE, HOUR, SITE, UTC, VISITORS, WEEK, keep


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def docs_of(workspace: Workspace, at: dt.datetime) -> RunRecord:
    """A run of checks in Data Docs."""
    run = RunRecord(at=at, suite="release", about="A suite.", name="weekly.2026-W41.r1", subjects=())
    data_docs.add_run(workspace.data_docs, run)
    return run


def files_of(workspace: Workspace, run: RunRecord) -> list[bool]:
    return [(workspace.data_docs / place).exists() for place in (run.page, run.record)]


def test_data_docs_are_kept_for_the_declared_days_and_go_after_the_last(workspace: Workspace) -> None:
    ran = dt.datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # the 23rd in Berlin
    old, new = docs_of(workspace, ran), docs_of(workspace, ran + HOUR)  # the 24th
    last = dt.datetime(2027, 12, 28, tzinfo=BERLIN)  # 400 days after the 23rd
    assert purge_expired(workspace, SITE, last + 23 * HOUR).docs == 0
    assert files_of(workspace, old) == [True, True]
    assert purge_expired(workspace, SITE, last + 24 * HOUR).docs == 2
    assert (files_of(workspace, old), files_of(workspace, new)) == ([False, False], [True, True])
    assert [run.at for run in data_docs.runs(workspace.data_docs)] == [new.at]
    index = (workspace.data_docs / "index.html").read_text("utf-8")
    assert (new.page in index, old.page in index) == (True, False)
    assert purge_expired(workspace, SITE, last + 48 * HOUR).docs == 2
    assert "No run is kept" in (workspace.data_docs / "index.html").read_text("utf-8")
    assert [path.name for path in workspace.data_docs.iterdir() if path.is_dir()] == []


def test_the_days_of_data_docs_are_those_of_the_site_file(workspace: Workspace) -> None:
    docs_of(workspace, dt.datetime(2026, 11, 23, tzinfo=UTC))
    site = SiteFile.model_validate(site_document() | {"retention": {"data_docs_days": 3}})
    assert purge_expired(workspace, site, dt.datetime(2026, 11, 26, 23, 59, tzinfo=UTC)).docs == 0
    assert purge_expired(workspace, site, dt.datetime(2026, 11, 27, tzinfo=UTC)).docs == 2


def test_files_of_data_docs_that_tell_no_time_go_by_their_age(workspace: Workspace) -> None:
    page = workspace.data_docs / "validations" / "old.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>What was checked")
    now = dt.datetime.now(UTC)
    assert purge_expired(workspace, SITE, now + dt.timedelta(days=399)).docs == 0
    assert purge_expired(workspace, SITE, now + dt.timedelta(days=401)).docs == 1
    assert not page.parent.exists()


def test_where_nothing_was_checked_a_purge_makes_no_data_docs(workspace: Workspace) -> None:
    purge_expired(workspace, SITE, DUE)
    assert not workspace.data_docs.exists()


def test_data_docs_that_cannot_be_removed_are_told_and_keep_nothing_else() -> None:
    with open_folder() as home:
        home.chmod(0o777)
        with without_root():
            stuck_docs(Workspace(home / "site"))


def stuck_docs(workspace: Workspace) -> None:
    keep(workspace)
    run = docs_of(workspace, dt.datetime(2025, 1, 1, tzinfo=UTC))
    pages = (workspace.data_docs / run.page).parent
    pages.chmod(0o500)
    with pytest.raises(StagingError, match=r"1 left: a file of Data Docs"):
        purge_expired(workspace, SITE, DUE)
    assert not workspace.staging(VISITORS, WEEK).exists()
    pages.chmod(0o700)
    assert purge_expired(workspace, SITE, DUE).docs == 1
