"""Which engine counts, and where Spark is, is said in the environment, and docs/engines.md tells it."""

import re
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.people.settings import EngineName, EngineSettings

PAGE = (Path(__file__).parents[3] / "docs" / "engines.md").read_text("utf-8")


def test_people_are_counted_in_the_process_unless_told_otherwise() -> None:
    assert EngineSettings.from_environment().engine is EngineName.DUCKDB


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EngineSettings.model_fields:
        monkeypatch.setenv(f"DEMOGRAPHICS_{name.upper()}", "")
    assert EngineSettings.from_environment() == EngineSettings()


@pytest.mark.parametrize(
    ("spark", "server"),
    [
        ("local", ""),
        ("local[*]", ""),
        ("local[2]", ""),
        ("sc://spark.example.com", "spark.example.com"),
        ("sc://127.0.0.1:15002", "127.0.0.1:15002"),
        ("sc://spark.example.com:443/;use_ssl=true;token=hush", "spark.example.com:443"),
    ],
)
def test_spark_is_here_or_a_server(monkeypatch: pytest.MonkeyPatch, spark: str, server: str) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")
    monkeypatch.setenv("DEMOGRAPHICS_SPARK", spark)
    settings = EngineSettings.from_environment()
    assert (settings.engine, settings.server) == (EngineName.SPARK, server)
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENGINE", "polars"),
        ("SPARK", "yarn"),
        ("SPARK", "local[0]"),
        ("SPARK", "spark://hush@example.com:7077"),
        ("SPARK", "sc://;token=hush"),
        ("SPARK_MEMORY", "1 GB"),
        ("MEMORY", "80%"),
        ("SPILL", "unlimited"),
    ],
)
def test_another_value_is_refused_by_name_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DEMOGRAPHICS_{name}", value)
    with pytest.raises(ConfigurationError, match=rf"DEMOGRAPHICS_{name} must be") as refused:
        EngineSettings.from_environment()
    assert value not in str(refused.value)
    assert refused.value.__suppress_context__


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\S+)` \|", PAGE.partition("\n## ")[0], re.MULTILINE))
    fields = {f"DEMOGRAPHICS_{name.upper()}": str(one.default) for name, one in EngineSettings.model_fields.items()}
    assert rows == fields
