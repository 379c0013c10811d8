"""What an audience is about to receive is read once more, and stops where it is not what was approved."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import ChecksFailedError
from pipeline.publication import bundle as writer
from pipeline.publication import contents
from pipeline.publication.bundle import publish_release
from pipeline.publication.encoding import csv_bytes
from pipeline.publication.key_list import KEYS_NAME, KEYS_SIGNATURE_NAME
from pipeline.publication.manifest import Approved
from pipeline.publication.signing import PUBLIC_KEY_NAME
from pipeline.publication.views import AudienceView, column_order, view, whole
from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.validation import data_docs, runs
from pipeline.validation.bundle import AFTER, BEFORE, Approval, Written, check_bundles, subjects
from pipeline.validation.suites import Check, Part, SuiteFile, load_suite
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace
from tests.unit.publication.releases import approval_of, private_release, release_of
from tests.unit.validation.bundle_breakages import BREAKAGES, As, Breakage

SUITE = load_suite("bundle")
VERDICTS = Verdicts((Verdict("release", "countries", "no group is smaller than k", True),))
PRODUCT = "audience_weekly"


@pytest.fixture(scope="module")
def release() -> PrivateRelease:
    return release_of()


@pytest.fixture(scope="module")
def approved(release: PrivateRelease) -> Approved:
    return approval_of(release, VERDICTS)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, release: PrivateRelease, approved: Approved) -> Workspace:
    """Published once, the suite included: to be copied, never changed."""
    workspace = Workspace(tmp_path_factory.mktemp("site"))
    publish_release(workspace, release, VERDICTS, approved)
    return workspace


def folder_of(workspace: Workspace, audience: Audience) -> Path:
    return workspace.bundle(audience, PRODUCT, "2026-W41", 1)


def approval(workspace: Workspace, release: PrivateRelease) -> Approval:
    candidate = approval_of(release, VERDICTS).candidate_sha256
    return Approval(candidate, VERDICTS.sha256, (workspace.published / PUBLIC_KEY_NAME).read_bytes())


def _name(part: str, check: Check) -> str:
    kwargs: Mapping[str, Any] = check.kwargs
    pair = f"{kwargs.get('column_A')}={kwargs.get('column_B')}"
    return f"{part}.{check.type}.{check.each or kwargs.get('column') or pair}"


def _only(name: str) -> SuiteFile:
    """The suite with one of its checks."""
    part = name.split(".", maxsplit=1)[0]
    checks = tuple(check for check in SUITE.parts[part].checks if _name(part, check) == name)
    return SUITE.model_copy(update={"parts": {part: Part(about=SUITE.parts[part].about, checks=checks)}})


def test_every_check_has_a_bundle_that_it_catches() -> None:
    names = [_name(part, check) for part, held in SUITE.parts.items() for check in held.checks]
    assert len(names) == len(set(names))
    assert set(BREAKAGES) == set(names)


@pytest.mark.parametrize(("name", "breakages"), BREAKAGES.items())
@pytest.mark.usefixtures("without_docs")
def test_broken_bundles_are_caught_by_the_check_that_is_meant_to(
    name: str, breakages: tuple[Breakage, ...], published: Workspace, release: PrivateRelease, tmp_path: Path
) -> None:
    suite, known = _only(name), approval(published, release)
    broken = []
    for place, breakage in enumerate(breakages):
        folder = tmp_path / str(place) / "bundle"
        shutil.copytree(folder_of(published, Audience.PARTNER), folder)
        breakage(folder)
        audience = breakage.audience if isinstance(breakage, As) else Audience.PARTNER
        written = Written(audience, audience, folder)
        (held,) = (one for one in subjects(release, known, written) if one.part in suite.parts)
        broken.append(dataclasses.replace(held, asset=f"broken_{place}", named=str(place)))
    verdicts = runs.run(Workspace(tmp_path), suite, PRODUCT, "broken", broken)
    caught = {int(one.subject) for one in verdicts.checks if not one.success}
    assert caught == set(range(len(breakages)))


@pytest.mark.parametrize("made", [release_of, private_release])
def test_bundles_as_they_are_written_pass_and_are_in_data_docs(made: Any, tmp_path: Path) -> None:
    workspace, release = Workspace(tmp_path), made()
    publish_release(workspace, release, VERDICTS, approval_of(release, VERDICTS))
    (run,) = data_docs.runs(workspace.data_docs, suite="bundle")
    assert (run.name, run.failed) == (f"{PRODUCT}.2026-W41.r1", [])
    assert {subject.subject for subject in run.subjects} == set(Audience)
    assert {subject.part for subject in run.subjects} == set(SUITE.parts)


def test_the_suite_says_of_whom_each_verdict_is(published: Workspace, release: PrivateRelease, tmp_path: Path) -> None:
    shutil.copytree(folder_of(published, Audience.PARTNER), tmp_path / "bundle")
    (tmp_path / "bundle" / "README.md").unlink()
    written = [
        Written(Audience.PARTNER, "partner", tmp_path / "bundle"),
        Written(Audience.RESELLER, "reseller", folder_of(published, Audience.RESELLER)),
    ]
    verdicts = check_bundles(Workspace(tmp_path), release, approval(published, release), written)
    assert {one.subject for one in verdicts.checks if not one.success} == {"partner"}
    assert len({(one.subject, one.check) for one in verdicts.checks}) == len(verdicts.checks)


def _one_more(frame: pd.DataFrame, facts: TableFacts) -> bytes:
    return csv_bytes(frame.assign(value=frame["value"] + 1), facts)


def _of_all(release: PrivateRelease, audience: Audience) -> AudienceView:
    """A view that cuts nothing."""
    cut = view(release, audience)
    return AudienceView(
        audience, cut.header.model_copy(update={"tables": release.header.tables}), whole(release).tables
    )


@pytest.mark.parametrize(
    ("where", "slip", "told"),
    [
        ((contents, "csv_bytes"), _one_more, "the rows in CSV are those of the release"),
        ((writer, "view"), _of_all, "exactly those that the audience is entitled to"),
        ((writer, "sums_bytes"), lambda entries: b"", "SHA256SUMS names the same files"),
    ],
)
def test_a_slip_of_the_code_that_writes_bundles_makes_nothing_visible(
    where: tuple[Any, str], slip: Any, told: str, release: PrivateRelease, approved: Approved, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*where, slip)
        with pytest.raises(ChecksFailedError, match=told):
            publish_release(workspace, release, VERDICTS, approved)
    left = {path.name for path in workspace.published.rglob("*") if path.is_file()}
    assert left == {".lock", PUBLIC_KEY_NAME, KEYS_NAME, KEYS_SIGNATURE_NAME}
    assert not [path for path in workspace.published.rglob("*") if path.name.startswith((".r", "r1"))]
    (run,) = data_docs.runs(workspace.data_docs)
    assert run.failed


def test_the_columns_that_recipients_are_promised_are_those_that_are_written() -> None:
    assert column_order(("country", "browser")) == (*BEFORE, "country", "browser", *AFTER)
