"""Decisions on a candidate: bound to the SHA-256 of specification, tables and checks, so that any change voids them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import NotApprovedError
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.review.candidate import candidate_digest
from pipeline.spec import ReleaseKey


@dataclass(frozen=True)
class Approval:
    """A living approval of exactly the candidate that stands in the ledger.

    Attributes:
        candidate_sha256: What was approved.
        reviewer: Who decided.
        decided_at: ISO 8601, UTC.
        scripted: True where a script decided, which says so.
    """

    candidate_sha256: str
    reviewer: str
    decided_at: str
    scripted: bool


def candidate_sha256(ledger: Ledger, key: ReleaseKey) -> str:
    """Digest of what a reviewer decides on.

    Raises:
        NotApprovedError: The release is not drawn and checked yet, or its checks failed.
    """
    reserved, drawn, checked = (
        ledger.newest(kind, key) for kind in (EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.CHECKED)
    )
    if reserved is None or drawn is None or checked is None or not checked.payload["passed"]:
        raise NotApprovedError(
            "a release must be drawn, and all its checks must have passed, before anybody decides on it",
            value=key,
            remedy="Run draw and validate first.",
        )
    return candidate_digest(
        reserved.payload["specification_sha256"], drawn.payload["artefact_sha256"], checked.payload["checks_sha256"]
    )


def approve(ledger: Ledger, key: ReleaseKey, reviewer: str, reason: str, *, scripted: bool = False) -> None:
    """Record an approval; see ``_decide``."""
    _decide(ledger, EntryKind.APPROVED, key, reviewer, reason, scripted=scripted)


def reject(ledger: Ledger, key: ReleaseKey, reviewer: str, reason: str) -> None:
    """Record a rejection; see ``_decide``."""
    _decide(ledger, EntryKind.REJECTED, key, reviewer, reason, scripted=False)


def require_approval(ledger: Ledger, key: ReleaseKey) -> Approval:
    """The living approval of a candidate; without one, publishing fails closed.

    Raises:
        NotApprovedError: Nobody decided, the newest decision rejects, or it was on other bytes.
    """
    digest = candidate_sha256(ledger, key)
    decision = newest_decision(ledger, key)
    if decision is None:
        raise NotApprovedError(
            "a privacy reviewer must approve a release before it is published",
            value=f"no decision on {key}",
            remedy=f"demographics review approve {key.release} --period {key.period}",
        )
    if decision.kind is EntryKind.REJECTED:
        raise NotApprovedError(
            "a rejected release is not published",
            value=f"{key}: {decision.payload['reason']}",
            remedy="Ask the reviewer.",
        )
    if decision.payload["candidate_sha256"] != digest:
        raise NotApprovedError(
            "an approval holds for exactly the bytes it was given for",
            value=f"{key} has changed since",
            remedy="Have it reviewed again.",
        )
    payload = decision.payload
    return Approval(digest, payload["reviewer"], decision.at, payload["scripted"])


def newest_decision(ledger: Ledger, key: ReleaseKey) -> Entry | None:
    """The newest approval or rejection of a release."""
    found = (ledger.newest(kind, key) for kind in (EntryKind.APPROVED, EntryKind.REJECTED))
    return max((entry for entry in found if entry is not None), key=lambda entry: entry.number, default=None)


def waiting(ledger: Ledger) -> tuple[ReleaseKey, ...]:
    """Candidates whose checks passed and on which nobody decided yet, as they stand."""
    entries = ledger.entries()
    checked = dict.fromkeys(entry.key for entry in entries if entry.kind is EntryKind.CHECKED)
    published = {entry.key for entry in entries if entry.kind is EntryKind.PUBLISHED}
    return tuple(key for key in checked if key not in published and _is_waiting(ledger, key))


def _is_waiting(ledger: Ledger, key: ReleaseKey) -> bool:
    try:
        digest = candidate_sha256(ledger, key)
    except NotApprovedError:
        return False
    decision = newest_decision(ledger, key)
    return decision is None or decision.payload["candidate_sha256"] != digest


def _decide(ledger: Ledger, kind: EntryKind, key: ReleaseKey, reviewer: str, reason: str, *, scripted: bool) -> None:
    """Record a decision on the candidate as it stands.

    Raises:
        NotApprovedError: There is no candidate, it was decided, or reviewer or reason is missing.
    """
    if not reviewer.strip() or not reason.strip():
        raise NotApprovedError("a decision must name its reviewer and its reason", remedy="Give both.")
    digest = candidate_sha256(ledger, key)
    if not _is_waiting(ledger, key):
        raise NotApprovedError("a candidate is decided once", value=key, remedy="See: demographics review list")
    payload = {"candidate_sha256": digest, "reviewer": reviewer, "reason": reason, "scripted": scripted}
    ledger.record(kind, key, payload)
