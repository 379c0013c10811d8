"""Alerts, the dashboard and the mapping of names speak of metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import airflow
import promql_parser
import pytest
import yaml

from pipeline.errors import RejectShareError
from pipeline.observation.logs import LogSettings
from pipeline.observation.metrics import CATALOGUE, Kind, table
from pipeline.observation.settings import ObservationSettings
from tests.end_to_end.observed import settings_of_watching

FOLDER: Final = Path(__file__).parents[3] / "docker" / "observation"
DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "observe.md"
ALERTS: Final = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
DASHBOARD: Final = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
RULES: Final = {rule["alert"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
PANELS: Final = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}
OURS: Final = {one.name: one for one in CATALOGUE}
# What the exporter adds to every metric, and to a timer.
ADDED: Final = frozenset({"instance", "job", "quantile"})


def of_airflow() -> set[str]:
    """The names of Airflow's own metrics, as the exporter writes them."""
    path = Path(airflow.__file__).parent / "_shared/observability/metrics/metrics_template.yaml"
    listed = yaml.safe_load(path.read_text("utf-8"))["metrics"]
    return {f"airflow_{one['name'].replace('.', '_')}" for one in listed}


def selectors(expression: Any) -> Iterator[Any]:
    """Every metric that an expression asks for."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    for node in found:
        if isinstance(node, promql_parser.VectorSelector):
            yield node


EXPRESSIONS: Final = {
    **{name: rule["expr"] for name, rule in RULES.items()},
    **{f"{title}, {one['refId']}": one["expr"] for title, panel in PANELS.items() for one in panel["targets"]},
}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_every_expression_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    asked = list(selectors(expression))
    assert asked
    for one in asked:
        assert one.name in OURS or one.name in of_airflow()
        if one.name in OURS:
            assert {matcher.name for matcher in one.matchers.matchers} <= {*OURS[one.name].labels, *ADDED}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_a_counter_is_asked_how_it_grows(expression: str) -> None:
    for one in selectors(expression):
        if one.name in OURS and OURS[one.name].kind is Kind.COUNTER:
            assert "increase(" in expression or "rate(" in expression


def test_an_alert_says_what_is_so_and_what_to_do() -> None:
    for name, rule in RULES.items():
        assert re.fullmatch(r"([A-Z][a-z]+)+", name)
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert f'error="{RejectShareError.__name__}"' in RULES["RejectsAboveShare"]["expr"]


def test_every_stage_that_is_named_is_one() -> None:
    from pipeline import flow, flow_delivery, flow_rights, flow_staging

    rooms = (flow, flow_delivery, flow_rights, flow_staging)
    named = {
        name
        for text in EXPRESSIONS.values()
        for found in re.findall(r'stage=~?"([^"]*)"', text)
        for name in found.split("|")
    }
    assert named == {"deliver_everything", "purge_expired", "watch_requests"}
    assert all(any(hasattr(room, name) for room in rooms) for name in named)


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {one.name for panel in PANELS.values() for target in panel["targets"] for one in selectors(target["expr"])}
    assert shown >= OURS.keys()


def test_a_panel_says_what_it_shows_in_which_unit() -> None:
    places = set()
    for title, panel in PANELS.items():
        assert panel["description"].endswith("."), title
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["type"] in ("stat", "timeseries")
        for metric in {one.name for target in panel["targets"] for one in selectors(target["expr"])} & OURS.keys():
            assert OURS[metric].meaning in panel["description"], f"{title} says something else of {metric}"
        places.add((panel["gridPos"]["x"], panel["gridPos"]["y"]))
    assert len(places) == len(PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_names_no_server_of_anybody() -> None:
    text = json.dumps(DASHBOARD)
    assert "http" not in text
    assert {target["datasource"]["uid"] for panel in PANELS.values() for target in panel["targets"]} == {"${source}"}


def test_what_airflow_sends_is_mapped_to_the_names_of_the_catalogue() -> None:
    (mapping,) = yaml.safe_load((FOLDER / "statsd-mapping.yaml").read_text("utf-8"))["mappings"]
    pattern = re.compile(re.escape(mapping["match"]).replace(r"\*", "([^.]*)"))
    for one in CATALOGUE:
        found = pattern.fullmatch(f"airflow.{one.stat}")
        assert found is not None
        assert mapping["name"].replace("$1", found[1]) == one.name


def test_the_page_lists_every_metric_every_alert_and_every_setting() -> None:
    page = DOCUMENT.read_text("utf-8")
    assert table() in page
    for name, rule in RULES.items():
        assert f"| `{name}` | {rule['labels']['severity']} | " in page
        assert f" | {rule['annotations']['action']} |" in page
    for settings in (LogSettings, ObservationSettings):
        for field in settings.model_fields:
            assert f"`DEMOGRAPHICS_{field.upper()}`" in page


def test_the_page_has_the_settings_with_which_a_run_is_watched_in_tests() -> None:
    page = DOCUMENT.read_text("utf-8")
    for name, value in settings_of_watching(0, Path("lineage.jsonl")).items():
        assert name in page
        for word in re.findall(r"pipeline\.[\w.]+", value):
            assert word in page
