"""Units of visitor logs are read inside of Spark's executors, and leave what one process leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml
from pyspark.sql import SparkSession

from pipeline.deidentify.staging import is_staged, load_staging
from pipeline.deidentify.visitors import finish_visitors, plan_visitors, stage_visitors, unread_units
from pipeline.errors import SourceError, StagingError
from pipeline.people.spark_reading import read_on_spark
from pipeline.site import load_site
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.engines import with_java
from tests.log_lines import DAY, site_of
from tests.unit.deidentify.test_units import rows, told, write_logs

pytestmark = with_java
UNIT = 45_000  # bytes


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: SparkSession) -> Workspace:
    """A site with logs of many kinds; executors read its file."""
    assert spark
    monkeypatch.setenv("DEMOGRAPHICS_ENGINE", "spark")
    monkeypatch.setenv("DEMOGRAPHICS_SPARK", "local[2]")
    write_logs(tmp_path)
    declared = site_of(error_logs=["*.err"]).model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(declared))
    return Workspace(tmp_path)


def test_spark_leaves_what_one_process_leaves_and_names_a_log_that_it_cannot_read(workspace: Workspace) -> None:
    site = load_site(workspace.site_file)
    earlier = stage_visitors(workspace, site, DAY)
    before = rows(earlier), told(earlier)
    token, units = plan_visitors(workspace, site, DAY, UNIT)
    assert units >= 3
    log = workspace.home / "c.log.gz"
    log.rename(kept := workspace.home / "kept")
    with pytest.raises(SourceError, match=r"a log must be readable, got c\.log\.gz"):
        read_on_spark(workspace, DAY, token)
    assert len(unread_units(workspace, site, DAY, token)) == 1
    assert load_staging(workspace, Population.VISITORS, DAY) == earlier
    kept.rename(log)
    read_on_spark(workspace, DAY, token)
    staging = finish_visitors(workspace, site, DAY, token)
    assert (rows(staging), told(staging)) == before


def test_executors_that_are_killed_are_told_without_a_word_of_theirs_and_another_try_goes_on(
    workspace: Workspace,
) -> None:
    site = load_site(workspace.site_file)
    token, _ = plan_visitors(workspace, site, DAY, UNIT)
    with killing_executors(), pytest.raises(StagingError, match="executors must be able to read visitor logs") as died:
        read_on_spark(workspace, DAY, token)
    assert "8.8.8" not in str(died.value)
    assert died.value.__suppress_context__
    assert not is_staged(workspace, Population.VISITORS, DAY)
    read_on_spark(workspace, DAY, token)
    staging = finish_visitors(workspace, site, DAY, token)
    assert rows(staging) == rows(stage_visitors(workspace, site, DAY))


@contextmanager
def killing_executors() -> Iterator[None]:
    """Kill the processes in which this process's Spark runs Python, as soon as there are any."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if "pyspark.daemon" in process.cmdline():
                        process.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
