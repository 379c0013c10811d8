"""A disk that is full while a release is published: a clear error, nothing half done, and the next run completes."""

from __future__ import annotations

import resource

import pytest

from pipeline.errors import PublicationError
from pipeline.publication.bundle import publish_release
from pipeline.publication.key_ring import open_ring
from pipeline.publication.manifest import Approved
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.verdicts import Verdicts
from pipeline.workspace import Workspace


@pytest.mark.parametrize("limit", [3_000, 10_000, 20_000])
def test_a_disk_that_is_full_while_publishing_leaves_nothing_half_published(
    workspace: Workspace, release: PrivateRelease, verdicts: Verdicts, approved: Approved, limit: int
) -> None:
    open_ring(workspace)  # the ledger and its keys are there before
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))  # no file may grow beyond these bytes
    try:
        with pytest.raises(PublicationError, match=r"EFBIG.*nothing is half published"):
            publish_release(workspace, release, verdicts, approved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    left = [path for path in workspace.published.rglob("*") if path.is_file() and path.parent != workspace.published]
    assert left == []
    assert len(publish_release(workspace, release, verdicts, approved)) == 4
