"""What happens on a site whose people ask for things, told in parts: each does something, and says what it saw."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass

import yaml

from pipeline.deidentify.locks import held
from pipeline.rights.rows import State
from tests.end_to_end.planting import ADDRESS_V4, ADDRESS_V6, AGENT, CUSTOMER, EMAIL, FORWARDED
from tests.end_to_end.rights_site import (
    CUSTOMERS,
    MONTH,
    NEXT_WEEK,
    REQUESTS,
    VISITORS,
    WEEK,
    Ran,
    Site,
    customer,
    settle,
    until,
    visitor,
)
from tests.reviewing import approve

NOBODY = "nobody.quagmire@unmistakable.example"
V4, V6, BEHIND_PROXY = (f"{address}\0{AGENT}" for address in (ADDRESS_V4, ADDRESS_V6, FORWARDED))
MANY = 2_000
_CALLED = {"success", "failed"}


def ago(hours: float) -> str:
    """So many hours before now."""
    return (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)).isoformat(timespec="seconds")


@dataclass(frozen=True)
class First:
    """What was seen before and after the first run of the DAG.

    Attributes:
        before: People in staging of the week, and of the month.
        erased: Pseudonyms of who is erased, of the week and of the month.
        paused: State of the run while the DAG was paused.
        ran: The run.
        corrected: Customer key of who is corrected, and their country before.
    """

    before: tuple[set[str], set[str]]
    erased: tuple[str, str]
    paused: str
    ran: Ran
    corrected: tuple[str, str]


def people_ask(site: Site) -> First:
    """Both populations are ingested; then people ask, by all three ways, and the DAG runs for the first time."""
    site.ingest(VISITORS, WEEK)
    site.ingest(VISITORS, NEXT_WEEK)
    site.ingest(CUSTOMERS, MONTH)
    before = site.people(VISITORS, WEEK), site.people(CUSTOMERS, MONTH)
    # Somebody of another country than the one they will say.
    corrected = next(key for key, _ in site.sample_customers if site.country(key) != "AT")
    country = site.country(corrected)
    dropped = site.drop(
        "requests of zebulon quagmire.csv",
        customer("access", email=EMAIL),
        visitor(ADDRESS_V4, WEEK, "access"),
        customer("erase", email=EMAIL),
        customer("erase", email=EMAIL),  # the same once more
        visitor(ADDRESS_V4, WEEK),
        customer("erase", email=NOBODY),
        customer("correct", customer=corrected, set="country=AT"),
        customer("erase", email=f"not an address {EMAIL}", received=ago(25)),
    )
    site.enter("1", **visitor(FORWARDED, WEEK, "opt-out"))
    run = site.start(REQUESTS)
    settle(dropped)
    paused = site.now(run).state
    site.let_run(REQUESTS)
    erased = site.pseudonym(VISITORS, WEEK, V4), site.pseudonym(CUSTOMERS, MONTH, CUSTOMER)
    return First(before, erased, paused, site.ended(run), (corrected, country))


@dataclass(frozen=True)
class Hanging:
    """What was seen while a period was locked, so that nothing could be applied or drawn."""

    before: set[str]
    alerts: list[dict[str, object]]
    called: dict[int, str]
    applying: Ran
    exporting: Ran
    asked: tuple[str, str]


def a_run_hangs(site: Site) -> Hanging:
    """A run hangs, and its deadlines pass; then an export runs, and somebody asks while it does."""
    site.let_run("export_weekly")
    before = site.people(VISITORS, NEXT_WEEK)
    folder = site.workspace.home / "reports" / "requests" / "alerts"
    with held(site.workspace, VISITORS, NEXT_WEEK):
        early = site.erase_visitor(ADDRESS_V6, NEXT_WEEK)
        applying = site.start(REQUESTS)
        until(lambda: site.task_state(applying, "apply") == "running", "apply runs")
        site.move_deadlines(applying)
        until(lambda: set(site.deadlines(applying).values()) <= _CALLED, "both deadlines are told of")
        exporting = site.start("export_weekly", NEXT_WEEK)
        until(lambda: site.task_state(exporting, "draw") == "running", "draw runs")
        late = site.erase_visitor(FORWARDED, NEXT_WEEK)
        assert site.request(late).state is State.OPEN
    applied = site.ended(applying)
    site.await_review(exporting)
    approve("weekly", str(NEXT_WEEK))
    called = site.deadlines(applying)
    alerts = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    return Hanging(before, alerts, called, applied, site.ended(exporting), (early, late))


@dataclass(frozen=True)
class Keyless:
    """What was seen while the key of requests was another one, then missing, then back again.

    Attributes:
        asked: A request of two days ago that waits all the while.
        many: People who opt out in one file, by pseudonym.
        wrong: A run under another key.
        missing: A run without one.
        ingested: An ingestion without one.
        drawn: An export without one.
        kept: Whether the file was still there, and the requests, after these.
        back: The run when the key was back.
        seconds: How long that took.
    """

    asked: str
    many: set[str]
    wrong: Ran
    missing: Ran
    ingested: Ran
    drawn: Ran
    kept: tuple[bool, bool]
    back: Ran
    seconds: float


def the_key_is_lost(site: Site) -> Keyless:
    """Two thousand people opt out at once, and the key of requests is lost for a while."""
    asking = site.sample_customers[:MANY]
    dropped = site.drop("many.csv", *(customer("opt-out", email=email) for _, email in asking))
    asked = site.ask("erase", "customer", f"customer: {site.sample_customers[-2][0]}\n", "--received", ago(49))
    site.erase_visitor(ADDRESS_V6, WEEK)
    settle(dropped)
    site.let_run("export_trends")
    key, before = site.workspace.subject_key, len(site.requests)
    right = key.read_bytes()
    key.write_text("0123456789abcdef" * 4, "ascii")
    wrong = site.run(REQUESTS)
    key.unlink()
    missing = site.run(REQUESTS)
    ingested, drawn = site.run("ingest_visitors", WEEK), site.run("export_trends", NEXT_WEEK)
    kept = dropped.is_file(), len(site.requests) == before and site.request(asked).state is State.OPEN
    key.write_bytes(right)
    key.chmod(0o600)
    started = time.monotonic()
    back = site.run(REQUESTS)
    many = {site.pseudonym(CUSTOMERS, MONTH, named) for named, _ in asking}
    return Keyless(asked, many, wrong, missing, ingested, drawn, kept, back, time.monotonic() - started)


@dataclass(frozen=True)
class Withdrawn:
    """What became of two releases whose purpose the policy withdrew: one was drawn, one was not."""

    drawn: Ran
    not_drawn: Ran


def a_purpose_is_withdrawn(site: Site) -> Withdrawn:
    """A version of the policy without a purpose is in force from today on, while a release waits for its reviewer."""
    waiting = site.drawn("trends", WEEK)
    path = site.workspace.policy_file
    policy = yaml.safe_load(path.read_text("utf-8"))
    newest = policy["versions"][-1]
    purposes = {name: purpose for name, purpose in newest["purposes"].items() if name != "site_trends"}
    today = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    policy["versions"].append({"version": "withdrawn", "effective": today, "purposes": purposes})
    path.write_text(yaml.safe_dump(policy, sort_keys=False), "utf-8")
    approve("trends", str(WEEK))
    return Withdrawn(site.ended(waiting), site.run("export_trends", NEXT_WEEK))


@dataclass(frozen=True)
class Retained:
    """Which of the two weeks' staging and keys were there after runs as of two moments."""

    before: tuple[list[bool], Ran]
    after: tuple[list[bool], Ran]


def retention_runs(site: Site) -> Retained:
    """Thirty days after the second week, which ends before the clocks go back and is due after it."""
    site.let_run("retention")
    path = site.workspace.site_file
    document = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump(document | {"retention": {"staging_days": 30}}, sort_keys=False), "utf-8")

    def there() -> list[bool]:
        weeks = (WEEK, NEXT_WEEK)
        staging = [site.workspace.staging(VISITORS, week).exists() for week in weeks]
        return staging + [site.workspace.period_key(VISITORS, week).exists() for week in weeks]

    # Midnight of 18 November in Berlin is 23 hours UTC; 30 times 24 hours would have been over an hour before.
    due = dt.datetime(2026, 11, 17, 23, tzinfo=dt.UTC)
    before = site.run("retention", as_of=due - dt.timedelta(minutes=1))
    was = there()
    after = site.run("retention", as_of=due)
    return Retained((was, before), (there(), after))
