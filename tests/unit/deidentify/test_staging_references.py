"""Staging is what it is asked for, or nothing is drawn from it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.deidentify.staging import load_staging
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


def test_a_manifest_names_no_file_outside_of_its_period(tmp_path: Path) -> None:
    staging = write_visitors(tmp_path, pd.DataFrame({"person": [pseudonym(1)]}))
    told = staging.manifest.model_dump_json().replace(staging.manifest.files["events"][0].name, "../../x.parquet")
    with pytest.raises(ValidationError):
        type(staging.manifest).model_validate_json(told)
