"""The stages, called one after the other: what DAG tasks and the command line share.

Arguments and results are references (names of populations, releases and periods): what Airflow keeps of a task tells
nothing about anybody. Everything else is found through the workspace, and heavy parts are imported where they are used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pipeline.errors import LedgerError, StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.deidentify.staging import SourceCounts
    from pipeline.privacy.balance import PeriodBalance, ReleaseBalance
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.budget_chart import BudgetPoint
    from pipeline.publication.report import BudgetFacts
    from pipeline.release.artefact import PrivateRelease
    from pipeline.site import SiteFile

_COLUMN_WORDS: Final = {
    "country": "as the code of a country",
    "region": "as the code of a region of declared countries",
    "category": "declared values only",
    "band": "a number, put into declared bands",
    "age": "a date of birth, of which the age is kept, in declared bands",
    "year": "a date, of which the year is kept",
    "month": "a date, of which year and month are kept",
}


def stage(population: str, period: str, progress: Progress = silent) -> str:
    """Ingest one period of one population; returns ``visitors/2026-W41``."""
    from pipeline.deidentify.customers import stage_customers
    from pipeline.deidentify.visitors import stage_visitors
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    site = load_site(workspace.site_file)
    who, when = Population(population), Period.parse(period)
    run = stage_visitors if who is Population.VISITORS else stage_customers
    run(workspace, site, when, progress)
    return f"{population}/{period}"


def check_staging(population: str, period: str) -> str:
    """Run the suites on staging; keeps verdicts beside it, without which nothing is drawn from it.

    Raises:
        ChecksFailedError: A check failed.
    """
    from pipeline.deidentify.staging import load_staging, write_checks
    from pipeline.site import load_site
    from pipeline.validation import staging as suites

    workspace = Workspace.from_environment()
    staging = load_staging(workspace, Population(population), Period.parse(period))
    verdicts = suites.check_staging(workspace, load_site(workspace.site_file), staging)
    write_checks(staging, verdicts.to_bytes())
    verdicts.require()
    return f"{population}/{period}"


def draw(release: str, period: str, progress: Progress = silent, revise: str = "") -> str:
    """Reserve budget, draw once and record; a release that was drawn is returned as it was.

    Args:
        release: Its name.
        period: Its period.
        progress: Told of each step.
        revise: Why the release is made anew, as its next revision at its own cost. A reason makes one revision: tried
            again, it returns that one.

    Returns:
        ``weekly_audience/2026-W41/r1``.

    Raises:
        StagingError: The period was not ingested and checked, or has nobody in it. Nothing was spent.
        BudgetError: It would overdraw the budget. Nothing was spent.
        LedgerError: It was drawn under another specification, or there is nothing to revise.
    """
    from pipeline.deidentify.pseudonyms import period_key
    from pipeline.deidentify.staging import load_staging, read_checks
    from pipeline.people.bounding import bounded_groups, require_dimensions
    from pipeline.privacy.ledger import Ledger
    from pipeline.privacy.reservations import reservation_of
    from pipeline.release.draw import draw_release
    from pipeline.site import load_site
    from pipeline.spec import bind, load_specification
    from pipeline.validation.verdicts import Verdicts

    workspace = Workspace.from_environment()
    bound = bind(load_specification(workspace.releases / f"{release}.yaml"), load_site(workspace.site_file))
    population, when, cap = bound.specification.population, Period.parse(period), bound.cap
    ledger, reservation = Ledger.open(workspace.ledger), reservation_of(bound, when, revise)
    key = ledger.revision_for(release, period, revise) if revise else ledger.standing(release, period)
    if ledger.artefact(key) is None:
        staging = load_staging(workspace, population, when)
        Verdicts.from_bytes(read_checks(staging)).require()
        require_dimensions(bound, staging)
        secret = period_key(workspace, population, when)  # before anything is spent: it may not be to be had
        ledger.reserve(key, reservation, cap)
        groups = bounded_groups(bound, staging, secret, workspace.home / "spill", progress)
        ledger.record_draw(key, draw_release(bound, groups, revision=key.revision).to_bytes())
    else:
        ledger.reserve(key, reservation, cap)  # costs nothing; refuses where the specification has changed since
    return str(key)


def validate(release: str, period: str) -> str:
    """Check a drawn release, record the verdicts, and write the reviewer's report.

    Raises:
        ChecksFailedError: A check failed: nobody can approve it, so it is not published.
    """
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.report import write_report
    from pipeline.validation.release import check_release

    workspace = Workspace.from_environment()
    ledger = Ledger.open(workspace.ledger)
    key = ledger.standing(release, period)
    drawn = _drawn(ledger, key)
    verdicts = check_release(workspace, drawn)
    ledger.record_checks(key, verdicts.to_bytes(), passed=verdicts.passed)
    path = workspace.report(release, period, key.revision)
    facts = budget_facts(workspace, drawn.header.population, Period.parse(period))
    write_report(path, drawn, verdicts, replace(facts, course=_course(workspace, drawn.header.population, period)))
    verdicts.require()
    return str(key)


def is_decided(release: str, period: str) -> bool:
    """Whether a reviewer approved the candidate as it stands.

    Raises:
        NotApprovedError: It was rejected.
    """
    from pipeline.privacy.ledger import Ledger
    from pipeline.review.decisions import require_approval, waiting

    ledger = Ledger.open(Workspace.from_environment().ledger)
    key = ledger.standing(release, period)
    if key in waiting(ledger):
        return False
    require_approval(ledger, key)
    return True


def approve(key: ReleaseKey, reviewer: str, reason: str, scripted: bool = False) -> None:
    """Record an approval of the candidate as it stands.

    Raises:
        NotApprovedError: There is a newer revision, which the reviewer has not read.
    """
    from pipeline.privacy.ledger import Ledger
    from pipeline.review import decisions

    ledger = Ledger.open(Workspace.from_environment().ledger)
    decisions.require_newest(ledger, key)
    decisions.approve(ledger, key, reviewer, reason, scripted=scripted)


def reject(key: ReleaseKey, reviewer: str, reason: str) -> None:
    """Record a rejection of the candidate as it stands.

    Raises:
        NotApprovedError: There is a newer revision, which the reviewer has not read.
    """
    from pipeline.privacy.ledger import Ledger
    from pipeline.review import decisions

    ledger = Ledger.open(Workspace.from_environment().ledger)
    decisions.require_newest(ledger, key)
    decisions.reject(ledger, key, reviewer, reason)


def waiting() -> list[ReleaseKey]:
    """Candidates on which nobody decided yet."""
    from pipeline.privacy.ledger import Ledger
    from pipeline.review import decisions

    return list(decisions.waiting(Ledger.open(Workspace.from_environment().ledger)))


def standing(release: str, period: str) -> ReleaseKey:
    """The revision that every stage acts on: the newest that was drawn, or the first while none was."""
    from pipeline.privacy.ledger import Ledger

    return Ledger.open(Workspace.from_environment().ledger).standing(release, period)


def publish(release: str, period: str) -> str:
    """Write all audiences' bundles; fails closed without a living approval.

    Raises:
        NotApprovedError: No approval covers exactly this candidate.
        PublicationError: A bundle cannot be written, or differs from what was published.
    """
    from pipeline.privacy.chain import EntryKind
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.bundle import Approved, publish_release
    from pipeline.review.decisions import require_approval
    from pipeline.validation.verdicts import Verdicts

    workspace = Workspace.from_environment()
    ledger = Ledger.open(workspace.ledger)
    key = ledger.standing(release, period)
    approval = require_approval(ledger, key)
    verdicts = Verdicts.from_bytes(ledger.checks(key) or b"[]").require()
    approved = Approved(approval.candidate_sha256, approval.reviewer, approval.decided_at, approval.scripted)
    bundles = publish_release(workspace, _drawn(ledger, key), verdicts, approved)
    digests = {bundle.audience: bundle.manifest_sha256 for bundle in bundles}
    ledger.record(EntryKind.PUBLISHED, key, {"candidate_sha256": approval.candidate_sha256, "manifests": digests})
    return str(key)


def budgets() -> list[BudgetFacts]:
    """Spent and left of each population, in the year to the end of its latest period in the ledger."""
    from pipeline.privacy.balance import periods_of
    from pipeline.privacy.ledger import Ledger
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    reservations = Ledger.open(workspace.ledger).reservations()
    periods = {who: tuple(periods_of(reservations, who)) for who in sorted(load_site(workspace.site_file).budget)}
    return [budget_facts(workspace, who, Period.parse(found[-1])) for who, found in periods.items() if found]


def balances() -> tuple[list[PeriodBalance], list[ReleaseBalance]]:
    """What each period and each release has cost: of a population's periods the newest, of releases all."""
    from pipeline.privacy.balance import MOST_PERIODS, by_period, by_release, periods_of
    from pipeline.privacy.ledger import Ledger
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    ledger, caps = Ledger.open(workspace.ledger), load_site(workspace.site_file).budget
    reservations = ledger.reservations()
    periods = [
        balance
        for who, cap in sorted(caps.items())
        for balance in by_period(reservations, who, cap, tuple(periods_of(reservations, who))[-MOST_PERIODS:])
    ]
    return periods, list(by_release(ledger, caps))


def explain(release: str, period: str) -> str:
    """Every step from source to number of a drawn release, in words; reads no true count.

    Raises:
        LedgerError: It was not drawn.
    """
    from pipeline.privacy.ledger import Ledger
    from pipeline.release import explanation
    from pipeline.review.history import history, reservation
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    ledger, site = Ledger.open(workspace.ledger), load_site(workspace.site_file)
    key = ledger.standing(release, str(Period.parse(period)))
    population = reservation(ledger, key).population
    drawn, told = _drawn(ledger, key), history(ledger, key, site.budget[population])
    visitors = population is Population.VISITORS
    origins = explanation.VISITOR_ORIGINS if visitors else _customer_origins(site)
    return explanation.explain(drawn, _line_counts(workspace, population, period), told, origins)


def run(release: str, period: str, progress: Progress = silent, revise: str = "") -> str:
    """All stages up to the reviewer's decision, without Airflow: to write a specification, or to revise a release."""
    from pipeline.privacy.ledger import Ledger
    from pipeline.spec import load_specification

    workspace = Workspace.from_environment()
    population = load_specification(workspace.releases / f"{release}.yaml").population
    if revise:  # refused before the work rather than after it
        Ledger.open(workspace.ledger).revision_for(release, period, revise)
    stage(population, period, progress)
    check_staging(population, period)
    draw(release, period, progress, revise)
    return validate(release, period)


def budget_facts(workspace: Workspace, population: Population, period: Period) -> BudgetFacts:
    """What releases about a population have cost in the year to a period's end, and what is left."""
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.report import BudgetFacts
    from pipeline.site import load_site

    cap = load_site(workspace.site_file).budget[population]
    spent = Ledger.open(workspace.ledger).spent(population, period.end, cap).epsilon
    left = max(cap.epsilon - spent, 0.0)
    return BudgetFacts(population, cap.epsilon, cap.delta, spent, left, f"the year to {period.end:%d %B %Y}")


def _course(workspace: Workspace, population: Population, period: str) -> tuple[BudgetPoint, ...]:
    from pipeline.privacy.balance import around, by_period
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.budget_chart import BudgetPoint
    from pipeline.site import load_site

    reservations = Ledger.open(workspace.ledger).reservations()
    cap = load_site(workspace.site_file).budget[population]
    years = by_period(reservations, population, cap, around(reservations, population, period))
    return tuple(BudgetPoint(one.period, one.year_epsilon, one.period == period) for one in years)


def _line_counts(workspace: Workspace, population: Population, period: str) -> Mapping[str, SourceCounts] | None:
    from pipeline.deidentify.staging import load_staging

    try:
        return load_staging(workspace, population, Period.parse(period)).manifest.sources
    except StagingError:  # purged, or never there in this place
        return None


def _customer_origins(site: SiteFile) -> dict[str, str]:
    if site.customers is None:
        return {}
    found = {
        name: "the amounts of the orders, added up and put into declared bands"
        if one.kind == "order_value"
        else f"column {one.column!r}, {_COLUMN_WORDS[one.kind]}"
        for name, one in site.customers.dimensions.items()
    }
    orders = site.customers.orders
    return found | ({"product": f"column {orders.product!r} of the orders, declared products only"} if orders else {})


def _drawn(ledger: Ledger, key: ReleaseKey) -> PrivateRelease:
    from pipeline.release.artefact import PrivateRelease

    content = ledger.artefact(key)
    if content is None:
        raise LedgerError("a release must be drawn before it is checked", value=key, remedy="Draw it first.")
    return PrivateRelease.from_bytes(content)
