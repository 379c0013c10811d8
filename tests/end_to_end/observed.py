"""An Airflow run that is watched: metrics are heard, events of lineage kept, and one DAG leaks on purpose."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.local import run
from pipeline.local.airflow import DAGS, LocalAirflow
from pipeline.workspace import Workspace
from tests.statsd import Heard, listening

LEAKING: Final = "leaking"
# It reads what it says where sources are: as literals, identifiers would be in Airflow's records of its source.
_LEAKING_DAG: Final = """
import datetime as dt
import logging
import os
import sys
from pathlib import Path

import structlog
from airflow.sdk import dag, task


@dag(schedule="@once", start_date=dt.datetime(2026, 1, 1), is_paused_upon_creation=False)
def leaking():
    @task
    def leak():
        told = (Path(os.environ["DEMOGRAPHICS_HOME"]) / "sources" / "planted.txt").read_text("utf-8").split("\\0")
        shaped, quoted = told[0].split("\\1"), told[1].split("\\1")
        library = logging.getLogger("some.library")
        for text in shaped:
            library.warning("read %s", text, extra={"who": text})
            structlog.get_logger("another").info("read", what=[text, {text: text}])
            print(text)
            print(text, file=sys.stderr)
        for text in quoted:
            try:
                raise KeyError(text)
            except KeyError:
                library.exception("not read")
        raise ValueError("; ".join(quoted))

    leak()


leaking()
"""


@dataclass
class Observed:
    """What was seen of a run from outside.

    Attributes:
        workspace: Of its site.
        heard: What was told by StatsD.
    """

    workspace: Workspace
    heard: Heard = field(default_factory=Heard)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of lineage, in order."""
        return [json.loads(line) for line in self._lineage.read_text("utf-8").splitlines()]

    @property
    def _lineage(self) -> Path:
        return self.workspace.home / "lineage.jsonl"

    def log_of_leaking(self) -> str:
        """What the task that leaks has logged, first of all tries."""
        (log,) = (self.workspace.airflow / "logs" / f"dag_id={LEAKING}").rglob("attempt=1.log")
        return log.read_text("utf-8")

    @contextlib.contextmanager
    def watching(self, shaped: tuple[str, ...], quoted: tuple[str, ...]) -> Iterator[None]:
        """Listen to every Airflow that starts in the block, and have it run the DAG that leaks.

        Args:
            shaped: Identifiers that the DAG logs and prints.
            quoted: Identifiers that are in messages of its exceptions.
        """
        planted = self.workspace.home / "sources" / "planted.txt"
        planted.write_text("\0".join("\1".join(texts) for texts in (shaped, quoted)), "utf-8")
        folder = self.workspace.home / "sources" / "dags"
        shutil.copytree(DAGS, folder)
        (folder / f"{LEAKING}.py").write_text(_LEAKING_DAG, "utf-8")
        with pytest.MonkeyPatch.context() as patch, listening() as listener:
            patch.setattr(run, "LocalAirflow", partial(LocalAirflow, dags=folder))
            for name, value in settings_of_watching(listener.port, self._lineage).items():
                patch.setenv(name, value)
            self.heard = listener.heard
            yield


def settings_of_watching(port: int, lineage: Path) -> dict[str, str]:
    """As docs/observe.md has them."""
    transport = {
        "type": "transform",
        "transformer_class": "pipeline.observation.lineage.OnlyDataSets",
        "transport": {"type": "file", "log_file_path": str(lineage), "append": True},
    }
    return {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "site",
        "AIRFLOW__OPENLINEAGE__DISABLE_SOURCE_CODE": "True",
        "AIRFLOW__OPENLINEAGE__EXTRACTORS": "pipeline.observation.lineage.StageExtractor",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }
