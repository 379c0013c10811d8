"""What the ledger says of a release, from its reservation to its publication."""

from __future__ import annotations

from pipeline.errors import LedgerError
from pipeline.privacy.accountant import compose
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.release.explanation import Checks, Cost, Decision, History
from pipeline.review.decisions import Register
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


def history(register: Register, key: ReleaseKey, cap: BudgetCap) -> History:
    """The history of a drawn release.

    Args:
        register: That holds it.
        key: Of the release.
        cap: Of its population.

    Raises:
        LedgerError: It was not drawn, or the chain of hashes is broken.
    """
    ledger = register.ledger
    reserved = reservation(ledger, key)
    newest = {entry.kind: entry for entry in register.history(key)}  # of several of a kind the last
    published = newest.get(EntryKind.PUBLISHED)
    return History(
        reserved_at=newest[EntryKind.RESERVED].at,
        drawn_at=newest[EntryKind.DRAWN].at,
        artefact_sha256=newest[EntryKind.DRAWN].payload["artefact_sha256"],
        cost=_cost(ledger, reserved, cap),
        checks=_checks(ledger, key, newest.get(EntryKind.CHECKED)),
        decision=_decision(register, key),
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
    verdicts = Verdicts.from_bytes(content)
    failed, warned = (
        tuple(f"{check.subject}: {check.check}" for check in chosen) for chosen in (verdicts.failed, verdicts.warnings)
    )
    of = len(verdicts.checks)
    return Checks(entry.at, of - len(failed) - len(warned), of, failed, entry.payload["checks_sha256"], warned)


def _decision(register: Register, key: ReleaseKey) -> Decision | None:
    made = [entry for entry in register.history(key) if entry.kind in (EntryKind.APPROVED, EntryKind.REJECTED)]
    if not made:
        return None
    entry = made[-1]
    payload = entry.payload
    return Decision(
        at=entry.at,
        verb=entry.kind.value,
        reviewer=payload["reviewer"],
        reason=payload["reason"],
        scripted=payload["scripted"],
        stands=entry in register.decisions(key),
        candidate_sha256=payload["candidate_sha256"],
    )
