"""What the ledger says of a release, from its reservation to its publication."""

from __future__ import annotations

from pipeline.errors import LedgerError, NotApprovedError
from pipeline.privacy.accountant import compose
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger, Reservation
from pipeline.release.explanation import Checks, Cost, Decision, History
from pipeline.review.decisions import candidate_sha256, newest_decision
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Population


def reservation(ledger: Ledger, key: ReleaseKey) -> Reservation:
    """What was reserved for a release that was drawn.

    Raises:
        LedgerError: It was not drawn, or the chain of hashes is broken.
    """
    kinds = {entry.kind: entry for entry in ledger.entries(key)}
    if EntryKind.DRAWN not in kinds:
        raise LedgerError(
            "a release must be drawn to be explained",
            value=f"{key}, {'reserved only' if kinds else 'not in the ledger'}",
            remedy=f"Draw it: demographics run {key.release} --period {key.period}",
        )
    return Reservation.model_validate(dict(kinds[EntryKind.RESERVED].payload))


def history(ledger: Ledger, key: ReleaseKey, cap: BudgetCap) -> History:
    """The history of a drawn release.

    Args:
        ledger: That holds it.
        key: Of the release.
        cap: Of its population.

    Raises:
        LedgerError: It was not drawn, or the chain of hashes is broken.
    """
    reserved = reservation(ledger, key)
    newest = {entry.kind: entry for entry in ledger.entries(key)}  # of several of a kind the last
    published = newest.get(EntryKind.PUBLISHED)
    return History(
        reserved_at=newest[EntryKind.RESERVED].at,
        drawn_at=newest[EntryKind.DRAWN].at,
        artefact_sha256=newest[EntryKind.DRAWN].payload["artefact_sha256"],
        cost=_cost(ledger, reserved, cap),
        checks=_checks(ledger, key, newest.get(EntryKind.CHECKED)),
        decision=_decision(ledger, key),
        published_at=published.at if published else "",
        manifests=published.payload["manifests"] if published else None,
        revises=reserved.revises,
    )


def _cost(ledger: Ledger, reserved: Reservation, cap: BudgetCap) -> Cost:
    alone = compose([reserved.charge], cap.delta).epsilon
    spent = ledger.spent(Population(reserved.population), reserved.period_end, cap).epsilon
    return Cost(alone, cap.delta, spent, cap.epsilon, reserved.period_end.isoformat())


def _checks(ledger: Ledger, key: ReleaseKey, entry: Entry | None) -> Checks | None:
    content = ledger.checks(key)
    if entry is None or content is None:
        return None
    checks = Verdicts.from_bytes(content).checks
    failed = tuple(f"{check.subject}: {check.check}" for check in checks if not check.success)
    return Checks(entry.at, len(checks) - len(failed), len(checks), failed, entry.payload["checks_sha256"])


def _decision(ledger: Ledger, key: ReleaseKey) -> Decision | None:
    entry = newest_decision(ledger, key)
    if entry is None:
        return None
    payload = entry.payload
    try:
        stands = candidate_sha256(ledger, key) == payload["candidate_sha256"]
    except NotApprovedError:  # its checks have failed since
        stands = False
    return Decision(
        at=entry.at,
        verb=entry.kind.value,
        reviewer=payload["reviewer"],
        reason=payload["reason"],
        scripted=payload["scripted"],
        stands=stands,
        candidate_sha256=payload["candidate_sha256"],
    )
