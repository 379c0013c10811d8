"""Fixtures that all tests share: a small site, its specification, and staging that tests fill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind
from tests.builders import StagingOf, pseudonym, site_document, specification_document, write_visitors


@pytest.fixture
def site() -> SiteFile:
    return SiteFile.model_validate(site_document())


@pytest.fixture
def bound(site: SiteFile) -> BoundSpecification:
    return bind(ReleaseSpecification.model_validate(specification_document()), site)


@pytest.fixture
def secret() -> PeriodKey:
    return PeriodKey(b"k" * 32)


@pytest.fixture
def staging_of(tmp_path: Path) -> StagingOf:
    """Make staging of rows such as ``{"person": 1, "country": "DE"}``."""

    def make(rows: Iterable[Mapping[str, Any]]) -> Staging:
        frame = pd.DataFrame(list(rows))
        frame["person"] = [pseudonym(number) for number in frame["person"]]
        return write_visitors(tmp_path / "staging", frame)

    return make
