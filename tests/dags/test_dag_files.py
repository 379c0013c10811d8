"""The DAG files as Airflow reads them: ids, schedules, wiring, and how thin they are."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

DAGS = Path(__file__).resolve().parents[2] / "dags"
FILES = (
    "deliver.py",
    "exports.py",
    "ingest_customers.py",
    "ingest_visitors.py",
    "periodic_review.py",
    "retention.py",
    "subject_requests.py",
)
INGEST = {"ingest_visitors", "ingest_customers"}
BY_THE_CLOCK = {"subject_requests", "retention", "periodic_review", "deliver"}
EXPORT_TASKS = ["draw", "validate", "await_review", "publish"]

# Reads a folder of DAG files as Airflow does, and tells what it found as JSON.
READER = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

def described(dag):
    tasks = {
        task.task_id: {
            "downstream": sorted(task.downstream_task_ids),
            "retries": task.retries,
            "retry_delay": task.retry_delay.total_seconds(),
            "owner": task.owner,
            "operator": type(task).__name__,
            "waits_for": [getattr(task, name, None) for name in ("release", "period")],
            "links": [link.name for link in task.operator_extra_links],
            "outlets": [outlet.name for outlet in task.outlets],
            "arguments": list(getattr(task, "op_args", ())),
            "trigger_rule": task.trigger_rule,
            "execution_timeout": task.execution_timeout.total_seconds() if task.execution_timeout else None,
        }
        for task in dag.tasks
    }
    timetable = DagSerialization.to_dict(dag)["dag"]["timetable"]
    return {"tasks": tasks, "timetable": timetable, "catchup": dag.catchup, "tags": sorted(dag.tags),
            "max_active_runs": dag.max_active_runs, "documentation": dag.doc_md or "",
            "params": list(dag.params),
            "deadlines": [[alert.reference.reference_name, alert.interval, alert.callback.path,
                           alert.callback.kwargs] for alert in dag.deadline or ()]}

bag = DagBag(dag_folder=sys.argv[1])
found = {"dags": {name: described(dag) for name, dag in bag.dags.items()},
         "errors": {Path(path).name: text for path, text in bag.import_errors.items()}}
Path(sys.argv[2]).write_text(json.dumps(found, default=str))
"""

Read = Callable[..., dict[str, Any]]


def read_dags(folder: Path, **settings: str) -> dict[str, Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DEMOGRAPHICS"))}
    airflow = {"AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    answer = folder / "answer.json"
    subprocess.run(
        [sys.executable, "-c", READER, str(DAGS), str(answer)],
        env={**inherited, **airflow, **settings},
        cwd=folder,
        check=True,
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The project's own DAGs, where no site is set."""
    found = read_dags(tmp_path_factory.mktemp("airflow"))
    assert found["errors"] == {}
    return found


def specification_names() -> set[str]:
    return {path.stem for path in (DAGS / "releases").glob("*.yaml")}


def test_there_is_a_dag_for_each_population_and_each_specification(read: dict[str, Any]) -> None:
    assert specification_names() >= {"weekly_audience", "weekly_movements", "monthly_customers"}
    assert set(read["dags"]) == INGEST | BY_THE_CLOCK | {f"export_{name}" for name in specification_names()}


@pytest.mark.parametrize(
    ("dag", "cron", "key_format"),
    [("ingest_visitors", "0 0 * * 1", "%G-W%V-%u"), ("ingest_customers", "0 0 1 * *", "%Y-%m")],
)
def test_ingestion_runs_at_the_end_of_a_period_for_that_period(
    read: dict[str, Any], dag: str, cron: str, key_format: str
) -> None:
    timetable = read["dags"][dag]["timetable"]
    assert timetable["__type"].endswith("CronPartitionTimetable")
    assert timetable["__var"]["expression"] == cron
    assert timetable["__var"]["key_format"] == key_format
    assert timetable["__var"]["run_offset"] == -1
    assert timetable["__var"]["timezone"] == "UTC"
    assert timetable["__var"]["run_immediately"] == 0  # the first run waits for the next end of a period


@pytest.mark.parametrize(
    ("population", "steps"), [("visitors", ["plan", "read", "finish", "check"]), ("customers", ["stage", "check"])]
)
def test_ingestion_stages_then_checks_and_only_then_tells_the_exports(
    read: dict[str, Any], population: str, steps: list[str]
) -> None:
    dag = read["dags"][f"ingest_{population}"]
    assert set(dag["tasks"]) == set(steps)
    for step, following in pairwise(steps):
        assert following in dag["tasks"][step]["downstream"]
        assert dag["tasks"][step]["outlets"] == []
    assert dag["tasks"]["check"]["downstream"] == []
    assert dag["tasks"]["check"]["outlets"] == [f"staging_{population}"]
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)


@pytest.mark.parametrize("release", sorted(specification_names()))
def test_an_export_starts_with_its_populations_staging_and_runs_its_stages_in_order(
    read: dict[str, Any], release: str
) -> None:
    dag = read["dags"][f"export_{release}"]
    population = yaml.safe_load((DAGS / "releases" / f"{release}.yaml").read_text())["population"]
    assert dag["timetable"]["__type"].endswith("PartitionedAssetTimetable")
    assert f"staging_{population}" in json.dumps(dag["timetable"]["__var"]["asset_condition"])
    assert set(dag["tasks"]) == set(EXPORT_TASKS)
    downstream = [dag["tasks"][task]["downstream"] for task in EXPORT_TASKS]
    assert downstream == [["validate"], ["await_review"], ["publish"], []]


@pytest.mark.parametrize("release", sorted(specification_names()))
def test_an_export_waits_for_the_reviewers_of_its_release_and_links_to_their_page(
    read: dict[str, Any], release: str
) -> None:
    waiting = read["dags"][f"export_{release}"]["tasks"]["await_review"]
    assert waiting["operator"] == "AwaitReview"
    assert waiting["links"] == ["Review page"]
    assert waiting["waits_for"][0] == release
    assert waiting["waits_for"][1].startswith("{{ (dag_run.partition_key")
    assert "<http://127.0.0.1:8600/releases>" in read["dags"][f"export_{release}"]["documentation"]


@pytest.mark.parametrize("release", sorted(specification_names()))
def test_an_export_on_which_nobody_decides_in_two_days_is_told_of(read: dict[str, Any], release: str) -> None:
    callback = "pipeline.local.tasks.review_overdue"
    kwargs = {"release": release, "hours": 48}
    assert read["dags"][f"export_{release}"]["deadlines"] == [
        ["DagRunQueuedAtDeadline", 48 * 3600, callback, kwargs],
    ]


def test_every_task_has_an_owner_retries_soon_and_is_told_references_only(read: dict[str, Any]) -> None:
    names = {"visitors", "customers"} | specification_names()
    references = ("{{ (dag_run.", "{{ task_instance.xcom_pull(task_ids='plan'")
    for dag in read["dags"].values():
        for task in dag["tasks"].values():
            assert task["owner"] not in ("", "airflow")
            assert task["retries"] == 2
            assert 0 < task["retry_delay"] <= 60
            assert all(argument in names or argument.startswith(references) for argument in task["arguments"])
        assert dag["params"] == []  # nothing is asked of who starts a run


def test_requests_are_collected_applied_and_watched_every_hour(read: dict[str, Any]) -> None:
    dag = read["dags"]["subject_requests"]
    assert dag["timetable"]["__var"]["expression"] == "0 * * * *"
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert {name: task["downstream"] for name, task in dag["tasks"].items()} == {
        "collect": ["apply", "done"],
        "apply": ["done", "watch"],
        "watch": ["done"],
        "done": [],
    }


def test_what_is_open_is_applied_and_watched_whatever_failed_before_and_the_run_fails_with_any(
    read: dict[str, Any],
) -> None:
    tasks = read["dags"]["subject_requests"]["tasks"]
    rules = {name: task["trigger_rule"] for name, task in tasks.items()}
    assert rules == {"collect": "all_success", "apply": "all_done", "watch": "all_done", "done": "all_success"}
    assert [name for name, task in tasks.items() if not task["downstream"]] == ["done"]  # what a run's state is


def test_a_run_that_hangs_is_told_of_an_hour_before_each_deadline_and_tries_end_before_the_first(
    read: dict[str, Any],
) -> None:
    dag = read["dags"]["subject_requests"]
    callback = "pipeline.local.tasks.deadline_missed"
    assert dag["deadlines"] == [
        ["DagRunQueuedAtDeadline", 23 * 3600, callback, {"hours": 23}],
        ["DagRunQueuedAtDeadline", 47 * 3600, callback, {"hours": 47}],
    ]
    apply = dag["tasks"]["apply"]
    assert apply["execution_timeout"] * (1 + apply["retries"]) < 23 * 3600


@pytest.mark.parametrize(
    ("dag", "cron", "tasks"),
    [
        ("retention", "30 3 * * *", ["purge", "sweep"]),
        ("periodic_review", "0 5 1 * *", ["review"]),
        ("deliver", "*/5 * * * *", ["send"]),
    ],
)
def test_what_runs_by_the_clock_has_its_hours_and_no_task_waits_for_another(
    read: dict[str, Any], dag: str, cron: str, tasks: list[str]
) -> None:
    found = read["dags"][dag]
    assert found["timetable"]["__type"].endswith("CronTriggerTimetable")
    assert found["timetable"]["__var"]["expression"] == cron
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)
    assert sorted(found["tasks"]) == tasks
    assert not any(task["downstream"] for task in found["tasks"].values())


def test_every_dag_explains_itself_and_has_tags(read: dict[str, Any]) -> None:
    for dag in read["dags"].values():
        assert len(dag["documentation"]) > 200
        assert dag["tags"]


def test_period_and_time_zone_are_those_of_the_site(tmp_path: Path) -> None:
    site = {
        "site": "Test site",
        "time_zone": "Pacific/Auckland",
        "visitors": {"logs": ["access.log"], "period": "day"},
        "budget": {"visitors": {"epsilon": 30, "delta": 1e-5}},
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
    dags = read_dags(tmp_path, DEMOGRAPHICS_HOME=str(tmp_path))["dags"]
    visitors, customers = (dags[f"ingest_{name}"]["timetable"]["__var"] for name in ("visitors", "customers"))
    assert (visitors["expression"], visitors["key_format"]) == ("0 0 * * *", "%Y-%m-%d")
    by_the_clock = [dags[name]["timetable"]["__var"] for name in ("retention", "periodic_review")]
    assert {one["timezone"] for one in (visitors, customers, *by_the_clock)} == {"Pacific/Auckland"}
    assert customers["expression"] == "0 0 1 * *"  # the site has none, so the usual period stands


def test_an_invalid_site_file_is_an_import_error_with_its_rule(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("site: Test site\nbudget: {}\n")
    errors = read_dags(tmp_path, DEMOGRAPHICS_HOME=str(tmp_path))["errors"]
    assert set(errors) == {
        "ingest_visitors.py",
        "ingest_customers.py",
        "periodic_review.py",
        "retention.py",
        "deliver.py",
    }
    assert "at least one of visitors and customers must be declared" in errors["ingest_visitors.py"]


def test_an_invalid_specification_is_an_import_error_with_its_rule(tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    releases.mkdir()
    document = yaml.safe_load((DAGS / "releases" / "weekly_audience.yaml").read_text())
    document["privacy"]["k"] = 1
    (releases / "weekly_audience.yaml").write_text(yaml.safe_dump(document))
    found = read_dags(tmp_path, DEMOGRAPHICS_RELEASES=str(releases))
    assert set(found["errors"]) == {"exports.py"}
    assert "SpecificationError" in found["errors"]["exports.py"]
    assert "k must be a whole number from 2" in found["errors"]["exports.py"]
    assert not [name for name in found["dags"] if name.startswith("export_")]


def test_a_specification_in_another_folder_makes_its_dag(tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    releases.mkdir()
    document = yaml.safe_load((DAGS / "releases" / "weekly_audience.yaml").read_text())
    (releases / "other.yaml").write_text(yaml.safe_dump(document | {"release": "other"}))
    found = read_dags(tmp_path, DEMOGRAPHICS_RELEASES=str(releases))
    assert set(found["dags"]) == INGEST | BY_THE_CLOCK | {"export_other"}


def test_the_deadline_of_a_review_and_the_portal_are_those_of_the_environment(tmp_path: Path) -> None:
    settings = {"DEMOGRAPHICS_REVIEW_DEADLINE": "7.5", "DEMOGRAPHICS_PORTAL_URL": "https://review.example.org/"}
    export = read_dags(tmp_path, **settings)["dags"]["export_weekly_audience"]
    assert [deadline[1] for deadline in export["deadlines"]] == [7.5 * 3600]
    assert "<https://review.example.org/releases>" in export["documentation"]


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("DEMOGRAPHICS_REVIEW_DEADLINE", "two days", "must be a number of hours above 0, 8784 at most"),
        ("DEMOGRAPHICS_PORTAL_URL", "javascript:alert(1)", "must be the address at which reviewers reach the portal"),
    ],
)
def test_a_setting_of_the_review_that_cannot_be_used_is_an_import_error_with_its_rule(
    tmp_path: Path, setting: str, value: str, rule: str
) -> None:
    errors = read_dags(tmp_path, **{setting: value})["errors"]
    assert set(errors) == {"exports.py"}
    assert rule in errors["exports.py"]


def test_there_are_exactly_the_known_dag_files() -> None:
    assert sorted(path.name for path in DAGS.rglob("*.py")) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_dag_file_is_thin(name: str) -> None:
    source = (DAGS / name).read_text()
    code = [line for line in _without_docstring(source).splitlines() if line.strip()]
    assert len(code) <= 60
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda | ast.Try | ast.While)]


@pytest.mark.parametrize("name", FILES)
def test_a_dag_file_imports_nothing_heavy_and_in_under_a_second(name: str, tmp_path: Path) -> None:
    heavy = "pandas numpy duckdb pyarrow great_expectations scipy altair dp_accounting diffprivlib"
    program = (
        "import runpy, sys, time\n"
        "import airflow.sdk\n"
        "started = time.process_time()\n"
        "runpy.run_path(sys.argv[1])\n"
        "print(time.process_time() - started, *set(sys.argv[2].split()) & set(sys.modules))\n"
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEMOGRAPHICS")}
    answer = subprocess.run(
        [sys.executable, "-c", program, str(DAGS / name), heavy],
        env={**inherited, "AIRFLOW_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, *found = answer.stdout.splitlines()[-1].split()
    assert found == []
    assert float(seconds) < 1


def _without_docstring(source: str) -> str:
    lines = source.splitlines()
    first = ast.parse(source).body[0]
    return "\n".join(lines[first.end_lineno :])


def test_lineage_names_data_sets_of_every_task_that_has_some(read: dict[str, Any]) -> None:
    from pipeline.observation.lineage import data_sets

    without = {("retention", "sweep"), ("subject_requests", "done")}
    for name, dag in read["dags"].items():
        for task in dag["tasks"]:
            assert any(data_sets(name, task, dag["tags"])) == ((name, task) not in without), f"{name}.{task}"
    assert data_sets("export_monthly_customers", "draw", read["dags"]["export_monthly_customers"]["tags"])[0] == (
        "staging/customers",
    )
