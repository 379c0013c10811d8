"""What reviewers send: approve, reject, withdraw. The password, or a token, is asked for again each time, and signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from pipeline.errors import AccessError, DemographicsError, LedgerError, NotApprovedError, PublicationError
from pipeline.portal import taking_back
from pipeline.portal.access import accounts_of, checked_form, reviewer
from pipeline.portal.listing import address_of
from pipeline.portal.packet_page import asked, shown
from pipeline.publication import withdrawal
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Signer
from pipeline.review.sessions import Session
from pipeline.review.trail import What
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

SignedIn = Annotated[Session, Depends(reviewer)]
Form = Annotated[Mapping[str, str], Depends(checked_form)]

# Signs and records: workspace, release, reviewer, reason, digest of what was read.
_Record = Callable[[Workspace, ReleaseKey, Signer, str, str], object]
_STATUS: Final = {AccessError: 403, NotApprovedError: 409, LedgerError: 409, PublicationError: 500}


def approve(request: Request, session: SignedIn, form: Form, release: str, period: str, revision: str) -> Response:
    """Approve a candidate as it was read."""
    return _decide(request, session, form, (release, period, revision), (What.APPROVED, _approved))


def reject(request: Request, session: SignedIn, form: Form, release: str, period: str, revision: str) -> Response:
    """Reject a candidate as it was read."""
    return _decide(request, session, form, (release, period, revision), (What.REJECTED, _rejected))


def withdraw(request: Request, session: SignedIn, form: Form, release: str, period: str, revision: str) -> Response:
    """Withdraw a published release."""
    return _decide(request, session, form, (release, period, revision), (What.WITHDREW, _withdrawn))


# By the last part of their address.
ROUTES: Final = {"approve": approve, "reject": reject, "withdraw": withdraw}
_TOLD: Final = {What.APPROVED: "approved", What.REJECTED: "rejected", What.WITHDREW: "withdrawn"}


def _decide(
    request: Request,
    session: Session,
    form: Mapping[str, str],
    place: tuple[str, str, str],
    decision: tuple[What, _Record],
) -> Response:
    found = asked(request, *place)
    archive, _, key = found
    what, record = decision
    reason = " ".join(form.get("reason", "").split())  # a text field of several lines; a reason has one
    try:
        _require_seen(form)
        signer = accounts_of(request).signer(session.name, form.get("secret", ""))
        record(archive.workspace, key, signer, reason, form.get("seen", ""))
    except (AccessError, NotApprovedError, LedgerError, PublicationError) as failure:
        found = asked(request, *place)  # as it stands by now
        return shown(request, found, session.name, _problem(failure, reason))
    accounts_of(request).note(session.name, what, str(key))
    if what is What.WITHDREW:
        taking_back.soon(request.app, key)
    return RedirectResponse(f"{address_of(key)}?done={_TOLD[what]}", 303)


# Read anew, with the chain of hashes: a decision rests on nothing that pages keep.


def _approved(workspace: Workspace, key: ReleaseKey, signer: Signer, reason: str, seen: str) -> None:
    Register.of(workspace).approve(key, signer, reason, seen)


def _rejected(workspace: Workspace, key: ReleaseKey, signer: Signer, reason: str, seen: str) -> None:
    Register.of(workspace).reject(key, signer, reason, seen)


def _withdrawn(workspace: Workspace, key: ReleaseKey, signer: Signer, reason: str, _seen: str) -> None:
    if not withdrawal.withdraw(workspace, key, signer, reason):
        raise NotApprovedError("a release is withdrawn once", value=f"{key}, withdrawn before")


def _require_seen(form: Mapping[str, str]) -> None:
    """A page always says what it shows: a form that does not is none of ours, or the page showed no candidate."""
    if not form.get("seen"):
        raise NotApprovedError("a decision is on what was read", remedy="Read the page again, and decide there.")


def _problem(failure: DemographicsError, reason: str) -> dict[str, str]:
    status = next(number for kind, number in _STATUS.items() if isinstance(failure, kind))
    found = "" if failure.value is None else str(failure.value)
    return {"rule": failure.rule, "value": found, "remedy": failure.remedy, "reason": reason, "status": str(status)}
