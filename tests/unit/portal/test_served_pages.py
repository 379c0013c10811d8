"""Pages that other parts of the product wrote: what is served of a folder, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.portal import data_docs
from pipeline.portal.failures import RefusedError
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

KEY = ReleaseKey("weekly", "2026-W41")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    home = tmp_path / "site"
    for name, content in {
        "data_docs/index.html": "index",
        "data_docs/runs/release/weekly.2026-W41.r1/20261012T080000.000000Z.html": "older",
        "data_docs/runs/release/weekly.2026-W41.r1/20261013T080000.000000Z.html": "newer",
        "data_docs/records/release/weekly.2026-W41.r1/20261013T080000.000000Z.json": "record",
        "data_docs/.lock": "",
        "secret.html": "secret",
        "reports/weekly/2026-W41/r1/report.html": "report",
    }.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    (home / "data_docs" / "way-out.html").symlink_to(home / "secret.html")
    return Workspace(home)


def test_a_page_is_served_with_a_policy_of_its_own(workspace: Workspace) -> None:
    answer = data_docs.served(workspace.data_docs, "")
    assert Path(answer.path) == workspace.data_docs / "index.html"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.html",
        "runs/../../secret.html",
        "/etc/passwd",
        "//etc/hostname.html",
        "way-out.html",
        ".lock",
        "records/release/weekly.2026-W41.r1/20261013T080000.000000Z.json",
        "runs",
        "nothing.html",
        "a\x00b.html",
    ],
)
def test_nothing_else_is_served(workspace: Workspace, path: str) -> None:
    with pytest.raises(RefusedError) as refused:
        data_docs.served(workspace.data_docs, path)
    assert refused.value.status == 404


def test_the_newest_run_of_a_release_is_linked(workspace: Workspace) -> None:
    assert data_docs.run_of(workspace, KEY) == (
        "/data-docs/runs/release/weekly.2026-W41.r1/20261013T080000.000000Z.html"
    )
    assert data_docs.run_of(workspace, ReleaseKey("weekly", "2026-W40")) == ""


def test_the_report_of_a_release_is_served(workspace: Workspace) -> None:
    assert Path(data_docs.report(workspace, KEY).path).read_text("utf-8") == "report"
