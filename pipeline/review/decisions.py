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
        NotApprovedError: Nobody decided, the newest decision rejects, it was on other bytes, or the release is
            withdrawn.
    """
    _require_not_withdrawn(ledger, key)
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


def require_newest(ledger: Ledger, key: ReleaseKey) -> None:
    """Refuse a decision on a revision that has been revised since: its reader has not read the newest.

    Raises:
        NotApprovedError: Names the newest revision.
    """
    newest = ledger.standing(key.release, key.period)
    if newest != key:
        raise NotApprovedError(
            "a decision is on the newest revision of a release",
            value=f"{key}, and {newest} was drawn",
            remedy=f"Read the report of r{newest.revision}, then decide with --revision {newest.revision}.",
        )


def newest_decision(ledger: Ledger, key: ReleaseKey) -> Entry | None:
    """The newest approval or rejection of a release."""
    found = (ledger.newest(kind, key) for kind in (EntryKind.APPROVED, EntryKind.REJECTED))
    return max((entry for entry in found if entry is not None), key=lambda entry: entry.number, default=None)


def withdraw(ledger: Ledger, key: ReleaseKey, reviewer: str, reason: str) -> bool:
    """Record that a published release is withdrawn; it is not approved or published again.

    Returns:
        False where it was withdrawn before.

    Raises:
        NotApprovedError: Reviewer or reason is missing.
        LedgerError: It was not published.
    """
    _require_words(reviewer, reason)
    return ledger.record(EntryKind.WITHDRAWN, key, {"reviewer": reviewer, "reason": reason})


def waiting(ledger: Ledger) -> tuple[ReleaseKey, ...]:
    """Candidates whose checks passed and on which nobody decided yet, as they stand; of revisions the newest."""
    entries = ledger.entries()
    checked = dict.fromkeys(entry.key for entry in entries if entry.kind is EntryKind.CHECKED)
    published = {entry.key for entry in entries if entry.kind is EntryKind.PUBLISHED}
    drawn = [entry.key for entry in entries if entry.kind is EntryKind.DRAWN]
    standing = set({(key.release, key.period): key for key in sorted(drawn)}.values())
    return tuple(key for key in checked if key in standing - published and _is_waiting(ledger, key))


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
        NotApprovedError: There is no candidate, it was decided, revised or withdrawn, or reviewer or reason is missing.
    """
    _require_words(reviewer, reason)
    _require_not_withdrawn(ledger, key)
    newest = ledger.standing(key.release, key.period)
    if key.revision < newest.revision:
        raise NotApprovedError("only the newest revision is decided on", value=f"{key}; {newest} replaces it")
    digest = candidate_sha256(ledger, key)
    if not _is_waiting(ledger, key):
        raise NotApprovedError("a candidate is decided once", value=key, remedy="See: demographics review list")
    payload = {"candidate_sha256": digest, "reviewer": reviewer, "reason": reason, "scripted": scripted}
    ledger.record(kind, key, payload)


def _require_words(reviewer: str, reason: str) -> None:
    if not reviewer.strip() or not reason.strip():
        raise NotApprovedError("a decision must name its reviewer and its reason", remedy="Give both.")


def _require_not_withdrawn(ledger: Ledger, key: ReleaseKey) -> None:
    withdrawn = ledger.newest(EntryKind.WITHDRAWN, key)
    if withdrawn is not None:
        raise NotApprovedError(
            "a withdrawn release is not approved or published again",
            value=f"{key}, withdrawn by {withdrawn.payload['reviewer']}: {withdrawn.payload['reason']}",
            remedy=f"Release a revision: demographics run {key.release} --period {key.period} --revise --reason ...",
        )
