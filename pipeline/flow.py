"""The stages from the draw on, called one after the other: what DAG tasks and the command line share.

Arguments and results are references (names of populations, releases and periods): what Airflow keeps of a task tells
nothing about anybody. Everything else is found through the workspace, and heavy parts are imported where they are used.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pipeline import flow_staging
from pipeline.errors import LedgerError, RequestError, StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.deidentify.staging import SourceCounts, Staging
    from pipeline.privacy.balance import PeriodBalance, ReleaseBalance
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.budget_chart import BudgetPoint
    from pipeline.publication.report import BudgetFacts
    from pipeline.release.artefact import PrivateRelease
    from pipeline.spec import BoundSpecification

REJECTED: Final = "rejected"  # how a decision begins that stops a release
_MOST_ATTEMPTS: Final = 10  # at a draw, while people keep asking


def draw(release: str, period: str, progress: Progress = silent, revise: str = "", triggered_by: str = "") -> str:
    """Reserve budget, draw once and record; a release that was drawn is returned as it was.

    What people asked for until then is applied first. Where somebody asks while it is drawn, the noise is thrown away,
    which nobody has seen, and drawn anew from what is left.

    Args:
        release: Its name.
        period: Its period.
        progress: Told of each step.
        revise: Why the release is made anew, as its next revision at its own cost. A reason makes one revision: tried
            again, it returns that one.
        triggered_by: Who asked for it, who therefore cannot approve it; empty for a schedule.

    Returns:
        ``weekly_audience/2026-W41/r1``.

    Raises:
        PolicyError: The privacy policy does not cover its purpose for all its audiences. Nothing was spent.
        RequestError: Somebody's request cannot be applied, or requests keep coming in. Nothing was drawn.
        ConfigurationError: The period's key, or the key of requests, is missing or another one. Nothing was spent.
        StagingError: The period was not ingested and checked, or has nobody in it. Nothing was spent.
        ChecksFailedError: A check on staging, or on the bounded counts of people, failed. Nothing was spent.
        BudgetError: It would overdraw the budget. Nothing was spent.
        LedgerError: It was drawn under another specification, there is nothing to revise, or the ledger is older than
            what was drawn or published.
    """
    from pipeline.deidentify.locks import held
    from pipeline.policy import bind_covered
    from pipeline.privacy.head import advance
    from pipeline.privacy.ledger import Origin
    from pipeline.privacy.reservations import reservation_of
    from pipeline.rights.applying import AskedMeanwhileError, require_applied, require_none_waiting
    from pipeline.rights.retention import require_unpurged
    from pipeline.site import load_site

    workspace, when = Workspace.from_environment(), Period.parse(period)
    bound, covering = bind_covered(workspace, release, when)
    population, ledger = bound.specification.population, _newest_ledger(workspace)
    reservation, cap = reservation_of(bound, when, revise), bound.cap
    key = ledger.revision_for(release, period, revise) if revise else ledger.standing(release, period)
    if ledger.artefact(key) is not None:
        ledger.reserve(key, reservation, cap)  # costs nothing; refuses where the specification has changed since
        advance(workspace)  # whoever drew it may have been killed before
        return str(key)
    require_unpurged(workspace, ledger, population, when)
    for _ in range(_MOST_ATTEMPTS):
        require_applied(workspace, load_site(workspace.site_file), dt.datetime.now(dt.UTC), population, progress)
        with held(workspace, population, when):
            reserve = partial(ledger.reserve, key, reservation, cap)
            content = _draw_once(workspace, bound, covering, key, reserve, progress)
            with suppress(AskedMeanwhileError):
                origin = Origin(bound.specification.canonical, triggered_by)
                ledger.record_draw(key, content, partial(require_none_waiting, population), origin)
                advance(workspace)
                return str(key)
    raise RequestError(
        f"what people asked for must be in force before anything is drawn of {population}",
        value=f"new requests at each of {_MOST_ATTEMPTS} attempts",
        remedy="Draw it again.",
    )


def _draw_once(
    workspace: Workspace,
    bound: BoundSpecification,
    covering: frozenset[str],
    key: ReleaseKey,
    reserve: Callable[[], object],
    progress: Progress,
) -> bytes:
    """Draw from staging whose lock the caller holds; ``reserve`` is called when everything that it takes is there.

    Counting people tells nobody anything yet: budget is reserved before the noise, and after the checks on counts.
    """
    from pipeline.deidentify.obeying import settled
    from pipeline.deidentify.pseudonyms import period_key
    from pipeline.people.bounding import bounded_groups, require_dimensions
    from pipeline.release.draw import draw_release

    population, when = bound.specification.population, Period.parse(key.period)
    staging = settled(workspace, population, when)
    _require_checked(staging)
    require_dimensions(bound, staging)
    secret = period_key(workspace, population, when, make=False)
    groups = bounded_groups(bound, staging, secret, workspace.home / "spill", progress, covering=covering)
    from pipeline.validation.people import check_people  # takes ten seconds: not before what refuses at once

    check_people(workspace, bound, groups).require()
    reserve()
    return draw_release(bound, groups, revision=key.revision).to_bytes()


def _require_checked(staging: Staging) -> None:
    """Refuse staging of which not every suite says that it may be drawn from."""
    from pipeline.deidentify.staging import read_checks
    from pipeline.validation.verdicts import Verdicts

    verdicts = Verdicts.from_bytes(read_checks(staging)).require()
    wanted = {"sources", f"staging_{staging.population}"}
    if missing := wanted - {check.suite for check in verdicts.checks}:
        raise StagingError(
            "staging must be checked by every suite before anything is drawn from it",
            value=f"no verdicts of {', '.join(sorted(missing))} on {staging.population} in {staging.period}",
            remedy=f"Run the check task of ingest_{staging.population} for this period.",
        )


def validate(release: str, period: str) -> str:
    """Check a drawn release, record the verdicts, and write the reviewer's report. Warnings stop nothing.

    Raises:
        ChecksFailedError: A critical check failed: nobody can approve it, so it is not published.
    """
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.report import write_report
    from pipeline.review.changes import previous_when_checked
    from pipeline.review.history import reservation
    from pipeline.validation.release import check_release

    workspace = Workspace.from_environment()
    ledger = Ledger.open(workspace.ledger)
    key = ledger.standing(release, period)
    drawn = _drawn(ledger, key)
    previous, reserved = previous_when_checked(ledger, key), reservation(ledger, key).charge
    verdicts = check_release(workspace, drawn, previous, reserved=reserved)
    ledger.record_checks(key, verdicts.to_bytes(), passed=verdicts.passed)
    path = workspace.report(release, period, key.revision)
    facts = budget_facts(workspace, drawn.header.population, Period.parse(period))
    write_report(path, drawn, verdicts, replace(facts, course=_course(workspace, drawn.header.population, period)))
    verdicts.require()
    return str(key)


def decision(release: str, period: str) -> str:
    """What reviewers decided on the candidate as it stands: who approved or rejected it; empty while it waits.

    Raises:
        NotApprovedError: There is nothing that anybody could decide on, or it is withdrawn.
    """
    from pipeline.review.decisions import Register

    register = Register.of(Workspace.from_environment())
    key = register.ledger.standing(release, period)
    if register.is_waiting(key):
        return ""
    if rejection := register.rejection(key):
        return f"{REJECTED} by {rejection}"
    return f"approved by {register.approval(key).reviewer}"


def review_page(release: str, period: str) -> str:
    """The address at which reviewers decide on the candidate as it stands."""
    from pipeline.review.links import page_of

    return page_of(standing(release, period))


def alert_review(release: str, period: str, hours: str, run: str, state: str) -> str:
    """Write down that a run of an export waits past its deadline; nothing where the release is decided.

    Args:
        release: Its name.
        period: Its period.
        hours: Which deadline, in hours.
        run: Id of the run.
        state: Its state.

    Returns:
        The file, from the site's folder; empty where there is none.
    """
    from pipeline.review.decisions import Register
    from pipeline.review.late import alert, alerts

    workspace = Workspace.from_environment()
    register, key = Register.of(workspace), standing(release, period)
    path = alert(register, alerts(workspace), key, float(hours), run, state)
    return str(path.relative_to(workspace.home)) if path else ""


def waiting() -> list[ReleaseKey]:
    """Candidates on which nobody decided yet."""
    from pipeline.review.decisions import Register

    return list(Register.of(Workspace.from_environment()).waiting())


def standing(release: str, period: str) -> ReleaseKey:
    """The revision that every stage acts on: the newest that was drawn, or the first while none was."""
    from pipeline.privacy.ledger import Ledger

    return Ledger.open(Workspace.from_environment().ledger).standing(release, period)


def publish(release: str, period: str) -> str:
    """Write the bundles of all audiences, and of parts that recipients receive; fails closed without a living approval.

    Raises:
        PolicyError: The privacy policy does not cover, or covers no more, what was drawn.
        NotApprovedError: No approval covers exactly this candidate.
        ChecksFailedError: A check of what recipients would read failed; nothing became visible.
        PublicationError: A bundle cannot be written, or differs from what was published.
        LedgerError: The ledger is older than what was drawn or published.
    """
    from pipeline.delivery.approvals import in_force
    from pipeline.delivery.bundles import approved_of, recorded
    from pipeline.policy import require_covered_today
    from pipeline.privacy.chain import EntryKind
    from pipeline.privacy.head import advance
    from pipeline.publication.bundle import publish_release
    from pipeline.publication.spending import year_of
    from pipeline.review.decisions import Register
    from pipeline.validation.verdicts import Verdicts

    workspace = Workspace.from_environment()
    _newest_ledger(workspace)
    register = Register.of(workspace)
    ledger = register.ledger
    key = ledger.standing(release, period)
    approved = approved_of(register, key)
    verdicts = Verdicts.from_bytes(ledger.checks(key) or b"[]").require()
    drawn = _drawn(ledger, key)
    require_covered_today(workspace, drawn.header, Period.parse(period))
    cuts, year = in_force(workspace).cuts(release), year_of(workspace, ledger, key)
    bundles = publish_release(workspace, drawn, verdicts, approved, cuts, year)
    ledger.record(EntryKind.PUBLISHED, key, recorded(approved, bundles))
    advance(workspace)
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
    from pipeline.release import explanation
    from pipeline.review.decisions import Register
    from pipeline.review.history import history, reservation
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    register, site = Register.of(workspace), load_site(workspace.site_file)
    ledger = register.ledger
    key = ledger.standing(release, str(Period.parse(period)))
    population = reservation(ledger, key).population
    drawn, told = _drawn(ledger, key), history(register, key, site.budget[population])
    visitors = population is Population.VISITORS
    origins = explanation.VISITOR_ORIGINS if visitors else explanation.customer_origins(site)
    return explanation.explain(drawn, _line_counts(workspace, population, period), told, origins)


def run(release: str, period: str, progress: Progress = silent, revise: str = "", triggered_by: str = "") -> str:
    """All stages up to the reviewer's decision, without Airflow: to write a specification, or to revise a release."""
    from pipeline.policy import bind_covered
    from pipeline.privacy.ledger import Ledger

    workspace = Workspace.from_environment()
    population = bind_covered(workspace, release, Period.parse(period))[0].specification.population
    if revise:  # refused before the work rather than after it, as what the policy does not cover
        Ledger.open(workspace.ledger).revision_for(release, period, revise)
    flow_staging.stage(population, period, progress)
    flow_staging.check_staging(population, period)
    draw(release, period, progress, revise, triggered_by)
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


def _newest_ledger(workspace: Workspace) -> Ledger:
    """The ledger, once it is known to be no older than what was drawn and published: nothing is paid for twice."""
    from pipeline.privacy.head import require_seen
    from pipeline.privacy.ledger import Ledger
    from pipeline.publication.known import require_known

    require_seen(workspace)
    ledger = Ledger.open(workspace.ledger)
    require_known(workspace, ledger.entries(chained=False))
    return ledger


def _drawn(ledger: Ledger, key: ReleaseKey) -> PrivateRelease:
    from pipeline.release.artefact import PrivateRelease

    content = ledger.artefact(key)
    if content is None:
        raise LedgerError("a release must be drawn before it is checked", value=key, remedy="Draw it first.")
    return PrivateRelease.from_bytes(content)
