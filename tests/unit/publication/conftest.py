from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.publication import bundle
from pipeline.publication.bundle import publish_release
from pipeline.publication.manifest import Approved
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.workspace import Workspace
from tests.unit.publication.keyed import CUT, EARLY
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


@pytest.fixture(scope="module")
def site_once(
    tmp_path_factory: pytest.TempPathFactory, release: PrivateRelease, verdicts: Verdicts
) -> tuple[Workspace, Callable[[Workspace], object]]:
    def again(workspace: Workspace) -> object:
        return publish_release(workspace, release, verdicts, approval_of(release, verdicts, decided_at=EARLY), [CUT])

    workspace = Workspace(tmp_path_factory.mktemp("keys") / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "_inspect", lambda *_: None)
        again(workspace)
    return workspace, again


@pytest.fixture
def site(site_once: tuple[Workspace, object], tmp_path: Path) -> Workspace:
    return Workspace(shutil.copytree(site_once[0].home, tmp_path / "site"))


@pytest.fixture
def publish_again(site_once: tuple[Workspace, Callable[[Workspace], object]]) -> Callable[[Workspace], object]:
    return site_once[1]
