"""What a reviewer decides on: one draw, its specification and its checks, in one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline import documents
from pipeline.errors import LedgerError, NotApprovedError, SpecificationError
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.spec import ReleaseKey, ReleaseSpecification


@dataclass(frozen=True)
class Candidate:
    """A drawn release whose checks have passed, as it stands in the ledger.

    Attributes:
        key: Of the release.
        specification_sha256: Of what was asked for.
        artefact_sha256: Of the noisy tables.
        checks_sha256: Of the verdicts.
        checked: Digest of the ledger's entry about these checks: what was read when somebody decided.
        triggered_by: Who asked for the draw; empty for a schedule.
    """

    key: ReleaseKey
    specification_sha256: str
    artefact_sha256: str
    checks_sha256: str
    checked: str
    triggered_by: str

    @property
    def sha256(self) -> str:
        """Over the digests of specification, tables and checks: any change of one changes it."""
        return candidate_digest(self.specification_sha256, self.artefact_sha256, self.checks_sha256)


def candidate_digest(specification: str, artefact: str, checks: str) -> str:
    """SHA-256 over the SHA-256 of specification, tables and checks: any change of one changes it."""
    parts = {"specification": specification, "artefact": artefact, "checks": checks}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def candidate_of(key: ReleaseKey, entries: Sequence[Entry]) -> Candidate:
    """The candidate that a release's entries make.

    Args:
        key: Of the release.
        entries: All about it, in order.

    Raises:
        NotApprovedError: The release is not drawn and checked yet, or its newest checks failed.
    """
    newest = {entry.kind: entry for entry in entries}
    try:
        reserved, drawn, checked = (newest[kind] for kind in (EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.CHECKED))
    except KeyError:
        raise _no_candidate(key) from None
    if not checked.payload["passed"]:
        raise _no_candidate(key)
    return Candidate(
        key,
        reserved.payload["specification_sha256"],
        drawn.payload["artefact_sha256"],
        checked.payload["checks_sha256"],
        checked.sha256,
        drawn.payload.get("triggered_by", ""),
    )


def specification_of(ledger: Ledger, key: ReleaseKey) -> ReleaseSpecification:
    """The specification that a release was drawn from, as the ledger kept it.

    Raises:
        LedgerError: The release was not drawn, or its specification is missing or another one: fails closed.
    """
    content = ledger.specification(key)
    if content is None:
        raise LedgerError("a release must be drawn before it is decided on", value=key, remedy="Draw it first.")
    return _parsed(content)


@lru_cache(maxsize=512)
def _parsed(content: bytes) -> ReleaseSpecification:
    return documents.parse(json.loads(content), ReleaseSpecification, SpecificationError, "the recorded specification")


def _no_candidate(key: ReleaseKey) -> NotApprovedError:
    return NotApprovedError(
        "a release must be drawn, and all its checks must have passed, before anybody decides on it",
        value=key,
        remedy="Run draw and validate first.",
    )
