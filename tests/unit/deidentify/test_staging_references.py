"""Staging is what it is asked for, or nothing is drawn from it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.deidentify.staging import load_staging
from pipeline.errors import StagingError
from pipeline.people.bounding import require_dimensions
from pipeline.periods import Period
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, StagingOf, pseudonym, write_visitors


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
    pd.read_parquet(staging.events).drop(columns="section").to_parquet(staging.events)
    with pytest.raises(StagingError, match="no section in visitors of 2026-W41"):
        require_dimensions(bound, staging)
