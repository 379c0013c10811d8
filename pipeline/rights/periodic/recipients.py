"""Checks of who can read what was published: entitlements in force, and the tokens of recipients."""

from __future__ import annotations

import datetime as dt
from typing import Final

from pipeline.delivery.approvals import Approvals
from pipeline.delivery.downloads import Downloads
from pipeline.delivery.tokens import Scope, Token, Tokens
from pipeline.errors import DemographicsError
from pipeline.rights.periodic.evidence import Evidence
from pipeline.rights.periodic.findings import Failure, Looked

UNUSED: Final = dt.timedelta(days=90)


def in_order(evidence: Evidence) -> Looked:
    """Entitlements in force still fit what is released; tells of tokens that nobody needs."""
    approvals = Approvals.of(evidence.workspace)
    standing, living = approvals.newest(), _living(evidence)
    failures = []
    if standing is not None:
        try:
            approvals.checked(standing.content)
        except DemographicsError as failure:
            failures.append(Failure.of(failure, f"Entitlements {standing.number}"))
    told = [_told(evidence, approvals, token) for token in living]
    waits = ["entitlements.yaml waits for a reviewer: what it changes is not in force."] if approvals.proposed() else []
    return Looked(len(living) + (standing is not None), tuple(failures), (*waits, *filter(None, told)))


def _living(evidence: Evidence) -> list[Token]:
    return [token for token in Tokens.of(evidence.workspace).listed() if token.is_living(evidence.now)]


def _told(evidence: Evidence, approvals: Approvals, token: Token) -> str:
    """Why a token should be revoked; empty where it should not."""
    name, recipient = f"Token {token.number} of {token.recipient}", approvals.in_force().find(token.recipient)
    if recipient is None or recipient.has_ended(evidence.now):
        return f"{name} opens nothing: it is no recipient in force. Revoke it."
    if token.scopes == {Scope.FEED}:
        return ""  # a feed has no number in it, and nobody writes down that it was read
    used = [one.at for one in _downloads(evidence).newest(token.recipient, 1_000) if one.download.token == token.number]
    if evidence.now - max([token.made, *used]) > UNUSED:
        return f"{name} was not used for {UNUSED.days} days. Revoke it where nobody needs it."
    return ""


def _downloads(evidence: Evidence) -> Downloads:
    return Downloads.of(evidence.workspace)
