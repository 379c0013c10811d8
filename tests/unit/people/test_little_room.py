"""A bucket that is larger than memory, and disks that are full: counted all the same, or told what to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import psutil
import pytest

from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import EVENTS
from pipeline.errors import ConfigurationError, DemographicsError, StagingError
from pipeline.people.bounding import bounded_groups
from pipeline.privacy.levels import LevelKey
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Population
from tests.builders import SECTIONS, WEEK
from tests.engines import with_java
from tests.full_disks import MEGABYTE, disk, files_up_to, may_mount
from tests.kinds_of_tables import table
from tests.staged import put_staging

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 800_000


SPILLING = "28m"  # with which much of it is


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    return staging_of(ROWS, tmp_path_factory.mktemp("large"))


def staging_of(rows: int, folder: Path) -> Staging:
    """One bucket of people who have two or three groups each, of which they may count in two."""
    places = ", ".join(f"'{section}'" for section in SECTIONS)
    found = duckdb.sql(
        f"SELECT left(sha256((i * 2 // 5)::VARCHAR), 32) AS person, [{places}][1 + i % {len(SECTIONS)}] AS section, "
        f"CASE WHEN i % 1000 = 0 THEN '{SECTIONS[0]}' END AS entry_section "
        f"FROM range({rows}) AS r(i)"
    )
    assert found is not None
    events = found.to_arrow_table()
    return put_staging(Folder(str(folder)), (Population.VISITORS, WEEK), {EVENTS: events}, {"visitor logs": rows})


@pytest.fixture
def of_sections(bound: BoundSpecification) -> BoundSpecification:
    """What little memory is needed for comes first, so that it is counted when the other turns out not to fit."""
    return replace(bound, tables=(table(1, "groups that only some events are of"), table(2, "groups")))


def limit(monkeypatch: pytest.MonkeyPatch, memory: str, spill: str) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_MEMORY", memory)
    monkeypatch.setenv("DEMOGRAPHICS_SPILL", spill)


def refusal(bound: BoundSpecification, staging: Staging, secret: PeriodKey, spill: Path) -> DemographicsError:
    with pytest.raises(DemographicsError) as refused:
        bounded_groups(bound, staging, secret, spill)
    assert refused.value.__suppress_context__
    return refused.value


def assert_counted(bound: BoundSpecification, staging: Staging, secret: PeriodKey, spill: Path) -> None:
    """All are counted, each in two groups."""
    assert staging.events is not None
    total = bounded_groups(bound, staging, secret, spill).levels[LevelKey("table_2", (), 2)]
    assert total["contributions"].tolist() == [2 * staging.events.rows * 2 // 5]


@pytest.mark.parametrize("limits", [("20m", "1m"), (SPILLING, "1g")], ids=["divided", "spilled"])
def test_a_bucket_that_is_larger_than_memory_is_spilled_or_divided_and_counts_the_same(
    of_sections: BoundSpecification,
    staging: Staging,
    secret: PeriodKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[str, str],
) -> None:
    whole = bounded_groups(of_sections, staging, secret, tmp_path)
    limit(monkeypatch, *limits)
    shares: list[int | None] = []
    found = bounded_groups(of_sections, staging, secret, tmp_path, lambda _what, _done, total: shares.append(total))
    assert (max(filter(None, shares)) > 1) == (limits[1] == "1m")
    assert set(found.levels) == set(whole.levels)
    for key, frame in whole.levels.items():
        pd.testing.assert_frame_equal(frame, found.levels[key])
    assert list(tmp_path.iterdir()) == []


def test_memory_that_is_too_small_for_any_part_of_a_bucket_is_named(
    of_sections: BoundSpecification,
    staging: Staging,
    secret: PeriodKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, "3m", "1g")
    refused = refusal(of_sections, staging, secret, tmp_path)
    assert isinstance(refused, ConfigurationError)
    assert "within 3m and 1g" in str(refused)
    assert "raise DEMOGRAPHICS_MEMORY, or DEMOGRAPHICS_SPILL" in refused.remedy


def test_a_full_disk_is_told_with_the_folder_to_free_and_then_all_are_counted(
    of_sections: BoundSpecification,
    staging: Staging,
    secret: PeriodKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, SPILLING, "1g")
    with files_up_to(MEGABYTE):
        refused = refusal(of_sections, staging, secret, tmp_path)
    assert isinstance(refused, StagingError)
    assert f"free space below {tmp_path}, or raise DEMOGRAPHICS_MEMORY" in refused.remedy
    assert list(tmp_path.iterdir()) == []
    assert_counted(of_sections, staging, secret, tmp_path)


if may_mount():  # elsewhere files that cannot grow must do

    def test_a_real_disk_of_eight_megabytes_that_is_full_is_told_the_same(
        of_sections: BoundSpecification,
        staging: Staging,
        secret: PeriodKey,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limit(monkeypatch, SPILLING, "1g")
        with disk(tmp_path / "spill", 8):
            (tmp_path / "spill" / "filled").write_bytes(bytes(7 * MEGABYTE))
            refused = refusal(of_sections, staging, secret, tmp_path / "spill")
            assert "there must be room for temporary files" in refused.rule
            (tmp_path / "spill" / "filled").unlink()
        assert_counted(of_sections, staging, secret, tmp_path / "spill")


@with_java
def test_a_disk_that_is_full_for_spark_is_told_and_then_all_are_counted(
    of_sections: BoundSpecification,
    secret: PeriodKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spark: SparkSession,
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")
    (java,) = (child for child in psutil.Process().children(recursive=True) if child.name() == "java")
    staging, spill = staging_of(20_000, tmp_path / "staging"), tmp_path / "spill"
    assert_counted(of_sections, staging, secret, spill)  # Java has unpacked its libraries
    with files_up_to(10_000, java):
        refused = refusal(of_sections, staging, secret, spill)
    assert isinstance(refused, StagingError)
    assert "there must be room for Spark's temporary files" in refused.rule
    assert str(spill) in refused.remedy
    assert_counted(of_sections, staging, secret, spill)
