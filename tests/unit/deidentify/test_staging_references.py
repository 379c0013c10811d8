"""Staging is what it is asked for, or nothing is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline import __version__
from pipeline.deidentify.staging import LAYOUT, load_staging, read_checks, write_checks
from pipeline.errors import StagingError
from pipeline.people.bounding import require_dimensions
from pipeline.periods import Period
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, StagingOf, pseudonym, write_visitors
from tests.staged import file_of


def test_a_period_that_was_not_ingested_is_named(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="no staging for visitors in 2026-W41"):
        load_staging(Workspace(tmp_path), Population.VISITORS, WEEK)


def test_staging_of_another_period_is_refused(tmp_path: Path) -> None:
    workspace, other = Workspace(tmp_path), Period.parse("2026-W42")
    write_visitors(workspace.staging(Population.VISITORS, other), pd.DataFrame({"person": [pseudonym(1)]}), WEEK)
    with pytest.raises(StagingError, match="must be of visitors in 2026-W42, got visitors in 2026-W41"):
        load_staging(workspace, Population.VISITORS, other)


def test_staging_from_before_a_dimension_was_declared_is_refused(
    bound: BoundSpecification, staging_of: StagingOf
) -> None:
    staging = staging_of([{"person": 1}])
    require_dimensions(bound, staging)
    path = file_of(staging.events)
    pd.read_parquet(path).drop(columns="section").to_parquet(path)
    with pytest.raises(StagingError, match="no section in visitors of 2026-W41"):
        require_dimensions(bound, staging)


@pytest.mark.parametrize("manifest", ["{", "[]", '{"population": "visitors", "period": "2026-W41", "sources": {}}'])
def test_staging_of_an_earlier_layout_or_with_a_broken_manifest_must_be_ingested_again(
    tmp_path: Path, manifest: str
) -> None:
    folder = Workspace(tmp_path).staging(Population.VISITORS, WEEK)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest)
    (folder / "events.parquet").write_bytes(b"PAR1")
    with pytest.raises(StagingError, match="Ingest the period again"):
        load_staging(Workspace(tmp_path), Population.VISITORS, WEEK)
    assert (folder / "events.parquet").exists()


def test_staging_of_a_later_layout_is_told_from_staging_that_is_broken(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    folder = workspace.staging(Population.VISITORS, WEEK)
    write_visitors(folder, pd.DataFrame({"person": [pseudonym(1)]}))
    told = json.loads((folder / "manifest.json").read_bytes())
    assert (told["layout"], told["code_version"]) == (LAYOUT, __version__)
    told |= {"layout": LAYOUT + 1, "code_version": "77.0.0", "what_came_later": True}
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(StagingError, match=r"got layout 2, by version 77\.0\.0\. Use that version"):
        load_staging(workspace, Population.VISITORS, WEEK)


def test_what_was_checked_before_an_upgrade_is_checked_after_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    folder = workspace.staging(Population.VISITORS, WEEK)
    write_visitors(folder, pd.DataFrame({"person": [pseudonym(1)]}))
    write_checks(load_staging(workspace, Population.VISITORS, WEEK), b"verdicts")
    told = json.loads((folder / "manifest.json").read_bytes())
    told["code_version"] = "0.0.1"
    del told["layout"]  # which the first versions did not write
    (folder / "manifest.json").write_text(json.dumps(told))
    assert read_checks(load_staging(workspace, Population.VISITORS, WEEK)) == b"verdicts"


def test_a_manifest_names_no_file_outside_of_its_period(tmp_path: Path) -> None:
    staging = write_visitors(tmp_path, pd.DataFrame({"person": [pseudonym(1)]}))
    told = staging.manifest.model_dump_json().replace(staging.manifest.files["events"][0].name, "../../x.parquet")
    with pytest.raises(ValidationError):
        type(staging.manifest).model_validate_json(told)
