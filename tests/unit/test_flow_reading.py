"""The steps of reading visitor logs, as tasks of Airflow call them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline import flow_staging
from pipeline.deidentify.staging import load_staging
from pipeline.errors import ConfigurationError
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.log_lines import DAY, events, line, site_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a log of about two megabytes and a half."""
    monkeypatch.setenv("DEMOGRAPHICS_HOME", str(tmp_path))
    monkeypatch.delenv("DEMOGRAPHICS_ENGINE", raising=False)
    declared = site_of().model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(declared))
    (tmp_path / "a.log").write_text(line() * 12_000)
    (tmp_path / "b.log").write_text(line(address="9.9.9.9"))
    return tmp_path


def test_references_alone_go_from_task_to_task(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_UNIT_MEGABYTES", "1")
    units = flow_staging.plan_reading(str(DAY)).split()
    token = units[0].partition(".")[0]
    assert units == [f"{token}.{unit}" for unit in range(4)]
    for unit in reversed(units):
        assert flow_staging.read_unit(str(DAY), unit) == unit
    assert flow_staging.finish_reading(str(DAY), units[0]) == f"visitors/{DAY}"
    assert len(events(load_staging(Workspace(home), Population.VISITORS, DAY))) == 12_001


def test_a_small_site_has_one_unit_and_spark_one_reference(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (home / "site.yaml").exists()
    assert [unit.partition(".")[2] for unit in flow_staging.plan_reading(str(DAY)).split()] == ["0"]
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")
    assert [unit.partition(".")[2] for unit in flow_staging.plan_reading(str(DAY)).split()] == ["all"]


@pytest.mark.parametrize("variable", ["DEMOGRAPHICS_UNIT_MEGABYTES", "DEMOGRAPHICS_READERS"])
def test_a_setting_that_is_no_number_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert (home / "site.yaml").exists()
    monkeypatch.setenv(variable, "many")
    with pytest.raises(ConfigurationError, match=variable.removeprefix("DEMOGRAPHICS_").lower()):
        flow_staging.plan_reading(str(DAY))
