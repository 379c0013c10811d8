"""The catalogue of metrics, and what of it is told of a site."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from airflow.sdk._shared.observability.metrics.validators import stat_name_otel_handler
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from pipeline import cli, flow_observation
from pipeline.observation import metrics
from pipeline.observation.metrics import CATALOGUE, Kind, Metric, Sample, in_hundreds, label
from pipeline.rights.requests import RequestKind
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE
from tests import asking
from tests.delivering import DeliveredSite, small

GAUGES = {one for one in CATALOGUE if one.kind is Kind.GAUGE}
BY_TASKS = {metrics.REJECTED_SHARE, metrics.STAGE_SUCCESS}  # nothing tells them afterwards


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    """A site with two releases that are published, one of them twice, one that waits, and one that is withdrawn."""
    made = DeliveredSite(tmp_path_factory.mktemp("observed"))
    ana = made.reviewer()
    for release, period in (
        ("weekly", "2026-W40"),
        ("weekly", "2026-W41"),
        ("other", "2026-W41"),
        ("gone", "2026-W41"),
    ):
        made.published(small(release=release), period, ana)
    made.register.withdraw(made.published(small(release="gone"), "2026-W42", ana), ana, "It was wrong.")
    made.waiting(small(release="weekly"), "2026-W42", people=3_000)
    return made


@pytest.fixture
def there(site: DeliveredSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveredSite:
    (tmp_path / "backups" / "2026-11-30").mkdir(parents=True)
    monkeypatch.setenv("DEMOGRAPHICS_BACKUPS", str(tmp_path / "backups"))
    monkeypatch.setenv(HOME_VARIABLE, str(site.workspace.home))
    monkeypatch.setenv(RELEASES_VARIABLE, str(site.workspace.releases))
    return site


def values(samples: Iterable[Sample], metric: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(one.labels.values()): one.value for one in samples if one.metric is metric}


def value(samples: Iterable[Sample], metric: Metric) -> float:
    (found,) = values(samples, metric).values()
    return found


def test_names_follow_the_rules_of_prometheus_and_fit_into_opentelemetry() -> None:
    assert len({one.name for one in CATALOGUE}) == len(CATALOGUE)
    for one in CATALOGUE:
        assert re.fullmatch(r"demographics_[a-z0-9_]+", one.name)
        assert one.name.endswith("_total") == (one.kind is Kind.COUNTER)
        assert one.meaning.endswith(".")
        assert stat_name_otel_handler("airflow", one.stat) == f"airflow.{one.stat}"


def test_a_sample_has_the_labels_of_its_metric() -> None:
    with pytest.raises(AssertionError, match="has the labels"):
        Sample(metrics.BUDGET_LEFT, 1, {})


def test_every_gauge_is_told(there: DeliveredSite) -> None:
    assert {one.metric for one in flow_observation.gauges()} == GAUGES - BY_TASKS


def test_releases_are_counted_as_the_ledger_has_them(there: DeliveredSite) -> None:
    told = flow_observation.gauges()
    assert value(told, metrics.RELEASES_PUBLISHED) == 4
    assert value(told, metrics.RELEASES_WITHDRAWN) == 1
    assert value(told, metrics.REVIEWS_WAITING) == 1
    assert value(told, metrics.LEDGER_UP) == 1


def test_people_are_those_of_the_newest_published_period_and_as_noisy(there: DeliveredSite) -> None:
    people = values(flow_observation.gauges(), metrics.PEOPLE_RELEASED)
    assert people.keys() == {("weekly",), ("other",), ("gone",)}
    key = next(key for key in there.register.histories if (key.release, key.period) == ("weekly", "2026-W41"))
    table = there.release(key).tables["by_browser"]
    totals = table[(table["kind"] == "total") & (table["measure"] == "people")]["value"]
    assert people["weekly",] == int(totals.iloc[0])
    assert people["weekly",] > 5_000  # what waits has half as many


def test_the_withheld_share_is_that_of_listed_groups(there: DeliveredSite) -> None:
    for share in values(flow_observation.gauges(), metrics.WITHHELD_SHARE).values():
        assert 0 <= share < 1


def test_ages_are_those_of_the_moment(there: DeliveredSite) -> None:
    now = dt.datetime.now(dt.UTC)
    told = flow_observation.gauges(now + dt.timedelta(hours=30))
    assert value(told, metrics.REVIEWS_OLDEST) == pytest.approx(30, abs=0.5)
    assert value(told, metrics.BACKUP_AGE) == pytest.approx(30, abs=0.5)
    assert value(told, metrics.REQUESTS_OLDEST) == 0


def test_where_there_is_no_backup_none_has_an_age(
    there: DeliveredSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", str(tmp_path / "missing"), str(tmp_path / "backups" / "2026-11-30")):
        monkeypatch.setenv("DEMOGRAPHICS_BACKUPS", folder)
        assert values(flow_observation.gauges(), metrics.BACKUP_AGE) == {}


def test_what_is_left_of_a_budget_is_what_the_ledger_leaves(there: DeliveredSite) -> None:
    told = flow_observation.gauges()
    caps, left = values(told, metrics.BUDGET_CAP), values(told, metrics.BUDGET_LEFT)
    assert caps.keys() == left.keys() == {("visitors",), ("customers",)}
    assert 0 <= left["visitors",] < caps["visitors",]
    assert left["customers",] == caps["customers",]  # nothing was reserved


def test_a_ledger_that_cannot_be_read_is_told(there: DeliveredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEDGER_VARIABLE, "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    told = flow_observation.gauges()
    without = {metrics.DISK_FREE, metrics.DISK_FREE_SHARE, metrics.BACKUP_AGE, metrics.LEDGER_UP}
    assert {one.metric for one in told} == without
    assert value(told, metrics.LEDGER_UP) == 0
    assert 0 < value(told, metrics.DISK_FREE_SHARE) <= 1


def test_the_command_writes_what_prometheus_reads(there: DeliveredSite) -> None:
    done = CliRunner().invoke(cli.main, ["--home", str(there.workspace.home), "metrics"])
    assert done.exit_code == 0, done.output
    families = {one.name: one for one in text_string_to_metric_families(done.output)}
    assert families.keys() == {one.name for one in GAUGES - BY_TASKS}
    assert {one.type for one in families.values()} == {"gauge"}
    left = families[metrics.BUDGET_LEFT.name]
    assert {sample.labels["population"] for sample in left.samples} == {"visitors", "customers"}
    assert left.documentation == metrics.BUDGET_LEFT.meaning


def test_requests_are_told_by_age_and_not_by_whose_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = asking.write_home(tmp_path / "asked")
    asking.enter(monkeypatch, workspace)
    asking.ask(workspace, asking.customer(RequestKind.ERASE, 3), asking.visitor(RequestKind.ERASE, "8.8.8.1"))
    for hours, late, overdue in ((1, 0, 0), (30, 2, 0), (50, 0, 2)):
        told = flow_observation.gauges(asking.NOW - dt.timedelta(hours=5) + dt.timedelta(hours=hours))
        assert value(told, metrics.REQUESTS_WAITING) == 2
        assert value(told, metrics.REQUESTS_OLDEST) == hours
        assert value(told, metrics.REQUESTS_LATE) == late
        assert value(told, metrics.REQUESTS_OVERDUE) == overdue


def test_rows_of_people_are_told_in_hundreds_and_lines_of_logs_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = asking.write_home(tmp_path / "asked")
    log = workspace.home / "access.log"
    log.write_text(log.read_text("utf-8") + "no line of a log\n" * 2, "utf-8")
    asking.enter(monkeypatch, workspace)
    asking.stage_all(workspace, weeks=asking.WEEKS[:1], months=asking.MONTHS[:1])
    counters, (share,) = flow_observation.ingested(Population.VISITORS.value, str(asking.WEEKS[0]))
    assert values(counters, metrics.LINES_READ) == {("visitors", "visitor_logs"): 282}
    assert values(counters, metrics.LINES_STAGED) == {("visitors", "visitor_logs"): 140}
    assert list(values(counters, metrics.LINES_REJECTED).values()) == [2]
    assert share.value == 0.0071
    counters, shares = flow_observation.ingested(Population.CUSTOMERS.value, str(asking.MONTHS[0]))
    assert {one.value for one in counters} == {0, 100}  # of 40 customers and 80 orders
    assert {one.value for one in shares} == {0}


@pytest.mark.parametrize(("rows", "told"), [(0, 0), (49, 0), (51, 100), (149, 100), (30_049, 30_000)])
def test_hundreds_hide_one_row(rows: int, told: int) -> None:
    assert in_hundreds(rows) == told


def test_labels_are_words() -> None:
    assert label("visitor logs") == "visitor_logs"
    assert label("at a person's request, again") == "at_a_person_s_request_again"
