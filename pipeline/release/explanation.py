"""A release explains itself: every step from the sources to the numbers, in words that a privacy reviewer can follow.

Reads the artefact and plain facts that it is given; no true count is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipeline.release.artefact import PrivateRelease, ReleaseHeader
from pipeline.release.history import Checks, Cost, Decision, History, LineCounts
from pipeline.release.methods import counting, showing
from pipeline.release.steps import Step, columns, indented
from pipeline.site import SiteFile
from pipeline.vocabulary import Population

__all__ = [
    "VISITOR_ORIGINS",
    "Checks",
    "Cost",
    "Decision",
    "History",
    "LineCounts",
    "customer_origins",
    "explain",
    "steps",
]

VISITOR_ORIGINS: Final = {
    "country": "the network address, looked up offline; the address is not kept",
    "operating_system": "the user agent, its family without a version; the agent is not kept",
    "browser": "the user agent, its family without a version; the agent is not kept",
    "language": "the language field of the log, the most wanted one without its region",
    "referrer_class": "the referring address, as one of a few classes; the address is not kept",
    "referrer_domain": "the referring address, its registered domain: a listed one, or any if the site file says so",
    "section": "the path, as the section of the site that the site file's rules put it into; no path is kept",
    "file_kind": "the path, as a kind of file by the site file's rules or the ending of the name; no path is kept",
    "entry_section": "the section of a visit's first page; half an hour of silence ends a visit",
    "exit_section": "the section of a visit's last page; half an hour of silence ends a visit",
    "from_section": "the section of the page before, in the same visit, where it is another one",
    "to_section": "the section of the page after another section's, in the same visit",
    "browser_version": "the user agent, family and major version as declared; the agent is not kept",
    "region": "the network address, looked up offline in the declared database; the address is not kept",
    "time_zone": "the zone that the browser itself reports, where the site logs it",
    "error_level": "the error log, of the request nearest to the error that has the same network address",
    "error_kind": "the error log, its message as one of a few kinds; no message is kept",
    "status_class": "the status of the answer, its first digit",
    "hour": "the time of the request in the site's time zone, its hour",
    "weekday": "the time of the request in the site's time zone, its day of the week",
}
_COLUMN_WORDS: Final = {
    "country": "as the code of a country",
    "region": "as the code of a region of declared countries",
    "category": "declared values only",
    "band": "a number, put into declared bands",
    "age": "a date of birth, of which the age is kept, in declared bands",
    "year": "a date, of which the year is kept",
    "month": "a date, of which year and month are kept",
}
# Of this source a line is a person, so that its counts of lines would be true counts of people.
_ONE_LINE_A_PERSON: Final = "customers"
_IDENTITIES: Final = {
    Population.VISITORS: "Visitors are told apart by network address and user agent",
    Population.CUSTOMERS: "Customers are told apart by the key column that the site file declares",
}
_FOLDING: Final = {
    Population.VISITORS: "What a visitor has one of (country, system, ...) is the value that most of the visitor's "
    "requests in the period have, of equals the first by alphabet. It depends on nobody else's requests.",
    Population.CUSTOMERS: "A customer has one record, of which each dimension is one value; of repeated keys one "
    "record is kept.",
}

_NOTICED: Final = (
    "Those count whom a version of the privacy policy binds that has the purpose for every audience: the one they "
    "accepted, or one they were notified of so long ago that it binds. When this was drawn, version {version} was in "
    "force. Who opted out does not count."
)


def explain(
    release: PrivateRelease,
    sources: Mapping[str, LineCounts] | None = None,
    history: History | None = None,
    origins: Mapping[str, str] = VISITOR_ORIGINS,
) -> str:
    """Every step from source to number, in words.

    Args:
        release: The artefact.
        sources: What became of the lines of each source; None where staging is there no more.
        history: What the ledger says; None leaves these steps out.
        origins: From what each dimension is made.

    Returns:
        Numbered steps, one sentence or row a line.
    """
    header = release.header
    found = [*steps(release, _source_lines(sources), origins), *(_keeping(header, history) if history else ())]
    parts = [f"{number}. {step.title}\n" + indented(step) for number, step in enumerate(found, start=1)]
    return "\n\n".join([f"{release.key}: {header.title}\n{_summary(header)}", *parts])


def steps(
    release: PrivateRelease, read: Iterable[str], origins: Mapping[str, str] = VISITOR_ORIGINS
) -> tuple[Step, ...]:
    """The steps from the sources to the rows of tables, without what the ledger says.

    Args:
        release: The artefact.
        read: What is told of the lines that were read, in sentences.
        origins: From what each dimension is made.
    """
    header = release.header
    return (*_making(header, read, origins), *counting(header), *showing(release))


def customer_origins(site: SiteFile) -> dict[str, str]:
    """From what each dimension of a site's customers is made, in words."""
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


def _summary(header: ReleaseHeader) -> str:
    synthetic = " The sources are synthetic: nobody in them exists." if header.synthetic else ""
    return f"How its numbers came about, step by step. No true count of people is told here.{synthetic}"


def _making(header: ReleaseHeader, read: Iterable[str], origins: Mapping[str, str]) -> Iterator[Step]:
    yield Step("Sources: what was read and what was left out", tuple(read))
    named = dict.fromkeys(name for table in header.tables for name in table.dimensions)
    made = (f"{name}: {origins.get(name, 'a column that the site file declares no more')}." for name in named)
    key = "; what remains is a pseudonym, an HMAC-SHA-256 under a secret key of the period."
    yield Step("De-identification, in the memory of the reading task", (_IDENTITIES[header.population] + key, *made))
    unit = f"The privacy unit is {header.unit}: what is hidden is whether one of them was there, and all they did."
    is_of_customers = header.population is Population.CUSTOMERS
    noticed = [_NOTICED.format(version=header.policy_version)] if is_of_customers and header.policy_version else []
    yield Step("People", (unit, _FOLDING[header.population], *noticed))


def _source_lines(sources: Mapping[str, LineCounts] | None) -> Iterator[str]:
    if sources is None:
        yield "The period's staging is there no more, so how many lines were read cannot be told."
        return
    for name, counts in sources.items():
        if name == _ONE_LINE_A_PERSON:
            yield f"{name}: a line is a person here, so no number of lines is told, only why some were not used."
        else:
            yield f"{name}: {counts.read:,} lines read, {counts.used:,} used."
        yield f"  left out (fine, but not wanted): {_reasons(name, counts.left_out)}"
        yield f"  rejected (could not be used): {_reasons(name, counts.rejected)}"
    yield "Lines of the staging that is there now; the period may have been ingested again since the draw."


def _reasons(source: str, counts: Mapping[str, int]) -> str:
    told = "" if source == _ONE_LINE_A_PERSON else " {:,}"
    return ", ".join(reason + told.format(count) for reason, count in sorted(counts.items()) if count) or "none"


def _keeping(header: ReleaseHeader, history: History) -> Iterator[Step]:
    cost = history.cost
    anew = f"Revision {header.revision}, made anew and paid for again: {history.revises}."
    yield Step(
        "Budget",
        (
            *((anew,) if history.revises else ()),
            f"Reserved {history.reserved_at}, before any noise was drawn: epsilon {header.epsilon} at delta "
            f"{header.delta}, for all tables and audiences together.",
            f"Composed: epsilon {cost.epsilon:.4g} at delta {cost.delta:.3g}, the delta of the yearly cap.",
            f"The year to {cost.year_to}: epsilon {cost.spent:.4g} of {cost.cap:g} is spent on {header.population}, "
            "this release included.",
        ),
    )
    drawn = f"Drawn {history.drawn_at}, once; every later run returns these bytes, SHA-256 {history.artefact_sha256}."
    specified = f"By the specification with SHA-256 {header.specification_sha256}, version {header.code_version}."
    yield Step("Draw", (drawn, specified))
    yield Step("Checks", tuple(_checks(history.checks)))
    yield Step("Decision", tuple(_decision(history.decision)))
    yield Step("Publication", tuple(_publication(header, history)))


def _checks(checks: Checks | None) -> Iterator[str]:
    if checks is None:
        yield "Not checked yet."
        return
    yield f"{checks.at}: {checks.passed:,} of {checks.of:,} checks passed, SHA-256 of the verdicts {checks.sha256}."
    yield from (f"failed: {check}" for check in checks.failed)
    yield from (f"warning: {check}" for check in checks.warned)


def _decision(decision: Decision | None) -> Iterator[str]:
    if decision is None:
        yield "Not decided yet: nothing is published without a reviewer's approval."
        return
    who = f"{decision.reviewer}, a script, not a person" if decision.scripted else decision.reviewer
    yield f"{decision.at}: {decision.verb} by {who}. Reason: {decision.reason}"
    yield f"Decided on specification, tables and checks together, SHA-256 {decision.candidate_sha256}."
    if not decision.stands:
        yield "It holds no more: the candidate has changed since."


def _publication(header: ReleaseHeader, history: History) -> Iterator[str]:
    if not history.published_at:
        yield "Not published yet."
        return
    yield f"Published {history.published_at}. All audiences hold rows of the one draw; SHA-256 of each manifest:"
    yield from columns(("audience", "manifest"), iter(sorted((history.manifests or {}).items())))
    unread = sorted({str(audience) for audience in header.audiences} - set(history.manifests or {}))
    yield from (f"{audience}: no bundle" for audience in unread)
