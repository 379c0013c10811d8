from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.publication import bundle
from pipeline.publication.bundle import publish_release
from pipeline.publication.manifest import Approved
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.workspace import Workspace
from tests.unit.publication.releases import approval_of, release_of


@pytest.fixture(autouse=True)
def uninspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the suite on bundles out, which takes a second: tests/unit/validation/test_bundle_checks.py has it."""
    monkeypatch.setattr(bundle, "_inspect", lambda *_: None)


@pytest.fixture(scope="session")
def verdicts() -> Verdicts:
    return Verdicts(
        (
            Verdict("release", "countries", "no group is smaller than k", True),
            Verdict("release", "sections", "parts of sections add up to their total", True),
            Verdict("staging", "staging", "every key is on its list", True),
        )
    )


@pytest.fixture(scope="session")
def release() -> PrivateRelease:
    return release_of()


@pytest.fixture(scope="session")
def approved(release: PrivateRelease, verdicts: Verdicts) -> Approved:
    return approval_of(release, verdicts)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "site")


@pytest.fixture(scope="session")
def published_once(
    tmp_path_factory: pytest.TempPathFactory, release: PrivateRelease, verdicts: Verdicts, approved: Approved
) -> Workspace:
    """Published for the whole session: to be copied, never changed."""
    workspace = Workspace(tmp_path_factory.mktemp("site"))
    publish_release(workspace, release, verdicts, approved)
    return workspace


@pytest.fixture
def published(published_once: Workspace, workspace: Workspace) -> Workspace:
    """A copy of a published workspace, to be changed at will."""
    shutil.copytree(published_once.home, workspace.home)
    return workspace
