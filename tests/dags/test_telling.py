"""What tasks tell Airflow's metrics, heard by a real StatsD listener."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.observation.metrics import CATALOGUE, Kind
from tests import asking
from tests.otlp import collecting
from tests.statsd import Heard, listening

# Calls stages as tasks do. The first fails by a rule, the second by an error that quotes somebody.
PROGRAM = """
import os, sys
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import otel_logger, statsd_logger
from pipeline import flow, flow_rights
from pipeline.errors import BudgetError
from pipeline.local.tasks import call

opentelemetry = conf.getboolean("metrics", "otel_on")
logger = otel_logger.get_otel_logger if opentelemetry else statsd_logger.get_statsd_logger
stats.initialize(factory=logger, export_legacy_names=False)

def over_budget(release, period):
    raise BudgetError("the budget must hold")

def quoting(release, period):
    raise ValueError("jane.doe@example.org")

flow.draw, flow.validate = over_budget, quoting
for stage in ("draw", "validate"):
    try:
        call(stage, "weekly", "2026-W41")
    except Exception:
        pass
call("stage", "visitors", "2026-W41")
call("stage", "customers", "2026-10")
call("deliver_everything")
if "broken" in sys.argv:
    flow.publish = lambda release, period: "published"
    stats.gauge = lambda *args, **named: 1 / 0
    print(call("publish", "weekly", "2026-W41"), flush=True)
sys.stderr.flush()
os._exit(0)  # as the process of a task ends
"""


def run(home: Path, port: int, *arguments: str, **switches: str) -> str:
    metrics = {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(port), "STATSD_INFLUXDB_ENABLED": "True", **switches}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(home / "airflow"),
            "DEMOGRAPHICS_HOME": str(home),
            "DEMOGRAPHICS_RELEASES": str(home / "releases"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            **{f"AIRFLOW__METRICS__{name}": value for name, value in metrics.items()},
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    workspace = asking.write_home(tmp_path_factory.mktemp("told") / "home")
    with listening() as listener:
        told = run(workspace.home, listener.port, "broken", STATSD_ON="True")
    assert "published" in told  # a metric that cannot be told stops nothing
    assert "ZeroDivisionError" in told
    return listener.heard


def test_only_what_the_catalogue_has_is_told(heard: Heard) -> None:
    names = {f"airflow.{one.stat}" for one in CATALOGUE}
    ours = {one.name for one in heard.values if one.name.startswith("airflow.demographics")}
    assert ours <= names
    assert {f"airflow.{one.stat}" for one in CATALOGUE if one.kind is Kind.GAUGE and not one.labels} - ours == {
        "airflow.demographics.backup_age_hours"  # there is none
    }


def test_lines_are_counted_by_source(heard: Heard) -> None:
    assert heard.value("lines_read_total", population="visitors", source="visitor_logs") == 280
    assert heard.value("lines_read_total", population="customers", source="orders") == 100  # of 80: in hundreds


def test_failures_are_told_by_class_and_say_nothing_else(heard: Heard) -> None:
    assert heard.value("stage_failures_total", stage="draw", error="BudgetError") == 1
    assert heard.value("stage_failures_total", stage="validate", error="other") == 1
    assert "jane" not in str(heard.values)
    assert {one.labels["stage"] for one in heard.values if one.name.endswith("last_success_timestamp_seconds")} == {
        "stage",
        "deliver_everything",
    }


def test_opentelemetry_gets_the_same_before_the_process_of_a_task_ends(heard: Heard, tmp_path: Path) -> None:
    workspace = asking.write_home(tmp_path / "home")
    with collecting() as collector, listening() as listener:
        run(workspace.home, collector.port, OTEL_ON="True", STATSD_PORT=str(listener.port))
    by_statsd = {(one.name, *sorted(one.labels.items())) for one in heard.values if "demographics" in one.name}
    assert {one for one in collector.told if "demographics" in str(one[0])} == by_statsd
    assert listener.heard.values == []  # which is off
