"""What people may ask for, and what is owed to them without asking, shown through a real Airflow on a small site.

One Airflow serves the whole module, and its tests follow one another: what one of them needs it makes sure of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from pipeline.deidentify.staging import is_checked, load_staging
from pipeline.local.airflow import LocalAirflow
from pipeline.rights.rows import State
from pipeline.vocabulary import Audience
from tests import postgresql
from tests.end_to_end.planting import ADDRESS_V4, EMAIL, leaks
from tests.end_to_end.rights_site import (
    CUSTOMERS,
    MONTH,
    NEXT_WEEK,
    REQUESTS,
    VISITORS,
    WEEK,
    Site,
    environment,
    write_site,
)
from tests.end_to_end.rights_story import (
    BEHIND_PROXY,
    MANY,
    NOBODY,
    V4,
    V6,
    First,
    Hanging,
    Keyless,
    Retained,
    Withdrawn,
    a_purpose_is_withdrawn,
    a_run_hangs,
    people_ask,
    retention_runs,
    the_key_is_lost,
)
from tests.end_to_end.traces import Traces
from tests.staged import contents, folder_of

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgresql_server: sa.URL) -> Iterator[Site]:
    """A site whose ledger and whose Airflow are on PostgreSQL, as in production."""
    workspace = write_site(tmp_path_factory.mktemp("site"))
    running = {"ingest_visitors", "ingest_customers"}  # an export would start by itself, before anybody has asked
    with (
        postgresql.database(postgresql_server) as ledger,
        postgresql.database(postgresql_server) as records,
        environment(workspace, ledger),
        LocalAirflow(workspace, workspace.releases, unpaused=running, database=records) as airflow,
    ):
        yield Site(workspace, airflow)


@pytest.fixture(scope="module")
def first(site: Site) -> First:
    return people_ask(site)


@pytest.fixture(scope="module")
def hanging(site: Site, first: First) -> Hanging:
    assert first.ran.run.state == "success"
    return a_run_hangs(site)


@pytest.fixture(scope="module")
def keyless(site: Site, hanging: Hanging) -> Keyless:
    assert hanging.applying.run.state == "success"
    return the_key_is_lost(site)


@pytest.fixture(scope="module")
def withdrawn(site: Site, keyless: Keyless) -> Withdrawn:
    assert keyless.back.run.state == "success"
    return a_purpose_is_withdrawn(site)


@pytest.fixture(scope="module")
def retained(site: Site, withdrawn: Withdrawn) -> Retained:
    assert withdrawn.drawn.run.state == "failed"
    return retention_runs(site)


def test_a_dag_that_goes_by_the_clock_waits_until_somebody_lets_it_run(first: First) -> None:
    assert first.paused == "queued"
    assert first.ran.run.state == "success", first.ran.errors
    assert set(first.ran.tasks.values()) == {"success"}


def test_a_person_who_was_erased_is_in_no_staging_any_more(site: Site, first: First) -> None:
    week, month = first.erased
    assert week in first.before[0]
    assert month in first.before[1]
    gone = first.before[0] - site.people(VISITORS, WEEK), first.before[1] - site.people(CUSTOMERS, MONTH)
    assert gone == ({week, site.pseudonym(VISITORS, WEEK, BEHIND_PROXY)}, {month})
    for population, period in ((VISITORS, WEEK), (CUSTOMERS, MONTH)):
        staging = load_staging(site.workspace, population, period)
        assert is_checked(staging)  # anew, so that a release goes on
        content = b"".join(contents(folder_of(staging)).values())
        assert not any(pseudonym.encode() in content for pseudonym in first.erased)


def test_a_person_who_was_erased_between_extract_and_draw_is_in_no_release(site: Site, first: First) -> None:
    for release in ("weekly", "monthly"):
        site.let_run(f"export_{release}")
    weekly, monthly = site.publish("weekly", WEEK), site.publish("monthly", MONTH)
    assert (weekly.run.state, monthly.run.state) == ("success", "success"), (weekly.errors, monthly.errors)
    # Of the week two people are gone, the second by the table of requests; of the month one.
    assert site.published_people("weekly", WEEK) == len(first.before[0]) - 2
    assert site.published_people("monthly", MONTH) == len(first.before[1]) - 1


@pytest.fixture(scope="module")
def extracted_again(site: Site, first: First) -> First:
    """Both populations are extracted once more."""
    site.ingest(VISITORS, WEEK)
    site.ingest(CUSTOMERS, MONTH)
    return first


def test_a_correction_shows_in_what_is_held(site: Site, first: First) -> None:
    key, country = first.corrected
    assert country != "AT"
    assert site.country(key) == "AT"


def test_a_later_extract_leaves_them_out(site: Site, extracted_again: First) -> None:
    week, month = site.people(VISITORS, WEEK), site.people(CUSTOMERS, MONTH)
    assert extracted_again.erased[0] not in week
    assert extracted_again.erased[1] not in month
    assert (len(week), len(month)) == (len(extracted_again.before[0]) - 2, len(extracted_again.before[1]) - 1)


def test_a_later_extract_is_corrected(site: Site, extracted_again: First) -> None:
    assert site.country(extracted_again.corrected[0]) == "AT"


def test_the_same_request_twice_is_one_request(site: Site, first: First) -> None:
    assert first.ran.run.state == "success"
    erasures = [
        row for row in site.requests if (row.kind, row.population, row.state) == ("erase", "customers", "applied")
    ]
    assert len(erasures) == 2  # of who is there, and of nobody
    again = [row for row in site.requests if row.outcome.startswith("the same as ")]
    assert [row.state for row in again] == [State.CLOSED]
    before = site.people(CUSTOMERS, MONTH)
    asked = [site.ask("erase", "customer", f"email: {EMAIL}\n") for _ in range(2)]
    assert asked[0] == asked[1]
    assert site.run(REQUESTS).run.state == "success"
    assert site.request(asked[0]).outcome.startswith("nothing was held")
    assert site.people(CUSTOMERS, MONTH) == before


def test_a_request_for_a_person_who_does_not_exist_is_in_force_and_changes_nothing(site: Site, first: First) -> None:
    assert first.ran.run.state == "success"
    outcomes = [row.outcome for row in site.requests if row.kind == "erase" and row.state == "applied"]
    assert "nothing was held; later extracts leave them out" in outcomes


def test_who_asks_what_is_held_is_told_before_it_is_removed(site: Site, first: First) -> None:
    assert first.ran.run.state == "success"
    asked = {row.population: row for row in site.requests if row.kind == "access"}
    assert {row.outcome for row in asked.values()} == {"told what is held"}
    told = {
        population: json.loads((site.workspace.access / row.id / "held.json").read_bytes())
        for population, row in asked.items()
    }
    (month,) = told["customers"]["held"]
    assert month["attributes"]["country"]["values"] == ["DE"]
    assert month["attributes"]["customer_kind"]["values"] == ["business"]
    assert month["activity"]["product"]["events"] == {"Studio": 1}
    (week,) = told["visitors"]["held"]
    assert week["period"] == str(WEEK)
    assert week["attributes"]["browser"]["values"] == ["Firefox"]
    page = site.workspace.access / asked["customers"].id / "index.html"
    assert "What is held about you" in page.read_text("utf-8")
    assert page.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_is_kept_and_warned_of_at_24_hours_without_its_content(site: Site, first: First) -> None:
    (refused,) = [row for row in site.requests if row.state is State.REFUSED]
    assert "line 9" in refused.reason
    assert first.ran.tasks["watch"] == "success"
    warnings = [line for line in first.ran.logs["watch"].splitlines() if '"level":"warning"' in line]
    assert any(f"{refused.id} (refused, 25.0 h)" in line for line in warnings)
    assert any(one["id"] == refused.id and one["warned"] for one in site.report()["waiting"])
    assert list(site.workspace.inbox.iterdir()) == []


def test_a_run_that_hangs_is_told_of_by_airflow_at_23_and_47_hours(hanging: Hanging) -> None:
    assert {alert["hours"]: alert["level"] for alert in hanging.alerts} == {23: "warning", 47: "failure"}
    assert hanging.called == {23: "success", 47: "failed"}  # as Airflow shows it
    assert {alert["state"] for alert in hanging.alerts} == {"running"}
    assert {alert["run"] for alert in hanging.alerts} == {hanging.applying.run.run}
    assert hanging.applying.run.state == "success", hanging.applying.errors


def test_who_asks_while_an_export_runs_is_not_in_it(site: Site, hanging: Hanging) -> None:
    assert hanging.exporting.run.state == "success", hanging.exporting.errors
    early, late = (site.pseudonym(VISITORS, NEXT_WEEK, named) for named in (V6, BEHIND_PROXY))
    assert {early, late} <= hanging.before
    assert hanging.before - site.people(VISITORS, NEXT_WEEK) == {early, late}
    assert site.published_people("weekly", NEXT_WEEK) == len(hanging.before) - 2
    assert {site.request(one).state for one in hanging.asked} == {State.APPLIED}


def test_a_published_release_stays_as_it_is_when_somebody_is_erased(site: Site, hanging: Hanging) -> None:
    assert hanging.exporting.run.state == "success"
    bundle = site.workspace.bundle(Audience.PARTNER, "weekly", str(NEXT_WEEK), 1)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    site.erase_visitor(ADDRESS_V4, NEXT_WEEK)
    assert site.run(REQUESTS).run.state == "success"
    assert site.pseudonym(VISITORS, NEXT_WEEK, V4) not in site.people(VISITORS, NEXT_WEEK)
    again = site.run("export_weekly", NEXT_WEEK)
    assert again.run.state == "success", again.errors
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_without_a_periods_key_a_request_waits_and_the_run_says_so(site: Site, first: First) -> None:
    assert first.ran.run.state == "success"
    named, _ = site.sample_customers[-1]
    key = site.workspace.period_key(CUSTOMERS, MONTH)
    hidden = key.rename(key.with_name("hidden"))
    asked = site.ask("opt-out", "customer", f"customer: {named}\n")
    failed = site.run(REQUESTS)
    assert (failed.run.state, failed.tasks["apply"], failed.tasks["watch"]) == ("failed", "failed", "success")
    assert f"no {key.name}" in failed.errors["apply"]
    assert failed.tasks["done"] == "upstream_failed"
    assert site.request(asked).state is State.OPEN
    hidden.rename(key)
    assert site.run(REQUESTS).run.state == "success"
    assert site.request(asked).outcome.startswith("removed from what was held")


def test_a_wrong_key_stops_everything_with_a_clear_error_and_loses_nothing(keyless: Keyless) -> None:
    for task in ("collect", "apply"):
        assert keyless.wrong.tasks[task] == "failed"
        assert "must be the one with which they began" in keyless.wrong.errors[task]
    assert keyless.kept == (True, True)


def test_a_missing_key_stops_everything_and_no_new_one_is_made(keyless: Keyless) -> None:
    for task in ("collect", "apply"):
        assert keyless.missing.tasks[task] == "failed"
        assert "no subjects.key" in keyless.missing.errors[task]
    for ran, task in ((keyless.ingested, "plan"), (keyless.drawn, "draw")):
        assert ran.tasks[task] == "failed"
        assert "no subjects.key" in ran.errors[task]


def test_a_request_past_48_hours_fails_its_watch_loudly(keyless: Keyless) -> None:
    for failed in (keyless.wrong, keyless.missing):
        assert (failed.run.state, failed.tasks["watch"]) == ("failed", "failed")
        assert "must be in force within 48 hours" in failed.errors["watch"]
        assert f"{keyless.asked} (open, 49.0 h)" in failed.errors["watch"]


def test_two_thousand_requests_at_once_are_in_force_in_one_run(site: Site, keyless: Keyless) -> None:
    assert keyless.back.run.state == "success", keyless.back.errors
    assert len(keyless.many) == MANY
    assert not keyless.many & site.people(CUSTOMERS, MONTH)
    applied = [row for row in site.requests if row.kind == "opt-out" and row.state is State.APPLIED]
    assert len(applied) >= MANY
    assert list(site.workspace.inbox.iterdir()) == []
    assert keyless.seconds < 60
    assert site.request(keyless.asked).state is State.APPLIED


def test_a_release_whose_purpose_is_withdrawn_is_not_published(site: Site, withdrawn: Withdrawn) -> None:
    assert withdrawn.drawn.tasks["publish"] == "failed"
    assert "no purpose 'site_trends'" in withdrawn.drawn.errors["publish"]
    assert not site.workspace.bundle(Audience.PARTNER, "trends", str(WEEK), 1).exists()


def test_a_release_whose_purpose_is_withdrawn_is_not_drawn(withdrawn: Withdrawn) -> None:
    assert withdrawn.not_drawn.tasks["draw"] == "failed"
    assert "no purpose 'site_trends'" in withdrawn.not_drawn.errors["draw"]


def test_the_review_passes_and_fails_where_something_published_was_changed(site: Site, withdrawn: Withdrawn) -> None:
    assert withdrawn.drawn.run.state == "failed"
    site.let_run("periodic_review")
    assert site.run("periodic_review").run.state == "success"
    bundle = site.workspace.bundle(Audience.PARTNER, "weekly", str(WEEK), 1)
    table = bundle / "by_country.csv"
    right = table.read_bytes()
    table.write_bytes(right.replace(b"DE", b"AT"))
    failed = site.run("periodic_review")
    table.write_bytes(right)
    assert failed.run.state == "failed"
    (report,) = (site.workspace.home / "reports" / "periodic").rglob("report.json")
    assert "by_country.csv" in report.read_text("utf-8")


def test_staging_is_kept_to_midnight_of_its_last_day_also_where_clocks_went_back(retained: Retained) -> None:
    there, ran = retained.before
    assert ran.run.state == "success", ran.errors
    assert there == [False, True, False, True]


def test_then_it_is_deleted_and_its_key_is_destroyed(retained: Retained) -> None:
    there, ran = retained.after
    assert ran.run.state == "success", ran.errors
    assert there == [False, False, False, False]


def test_nobody_who_asked_is_named_anywhere(site: Site, first: First, keyless: Keyless, retained: Retained) -> None:
    """No identifier, no plain digest of one, no pseudonym of who is erased: in logs, XComs, databases and reports."""
    assert retained.after[1].run.state == "success"
    for name, address in (("ledger.db", str(site.workspace.ledger)), ("airflow.db", site.airflow.database)):
        assert postgresql.copied(address, site.workspace.home / name) > 0
    for expected in ("staging", "airflow/logs", "access", "reports", "published"):
        assert (site.workspace.home / expected).exists(), f"there is no {expected}, so nothing was searched there"
    assert leaks(site.workspace.home) == []
    emails = [email for _, email in site.sample_customers[:5]]
    search = Traces((*first.erased, *sorted(keyless.many)[:200], NOBODY, *emails), (NOBODY, *emails))
    assert search.found_under(site.workspace.home, leave_out=["sources"]) == []
