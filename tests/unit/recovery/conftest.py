"""Fixtures of backups: one site for all tests of a module, which copy what they break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.workspace import KEYS_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE
from tests.unit.recovery.recovering import Known, site_with_everything


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with pytest.MonkeyPatch.context() as patch:
        for name in (LEDGER_VARIABLE, RELEASES_VARIABLE, KEYS_VARIABLE):
            patch.setenv(name, "")
        yield site_with_everything(tmp_path_factory.mktemp("recovery"))


@pytest.fixture(scope="session")
def backup(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return known.backed_up(tmp_path_factory.mktemp("backups") / "monday.age")
