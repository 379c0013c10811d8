"""Decisions on candidates: signed by a reviewer, bound to exactly what was read, so that any change voids them.

Every question here is answered from the ledger's whole chain and from the reviewers' public keys, each time: nothing
that Airflow holds, and no row without a reviewer's signature, has a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from pipeline.errors import LedgerError, NotApprovedError
from pipeline.privacy.chain import NOTES, Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.review.candidate import Candidate, candidate_of, specification_of
from pipeline.review.reviewers import Reviewer, Reviewers, Signer, compared, require_words, signed, statement
from pipeline.spec import ReleaseKey, ReleaseSpecification, ReviewPolicy
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Approval:
    """A living approval of exactly the candidate that stands in the ledger.

    Attributes:
        candidate_sha256: What is approved.
        reviewers: Who decided.
        decided_at: When the last of them did; ISO 8601, UTC.
        scripted: True where a script decided, which says so.
        rests_on: The release whose approval holds for this one too, since neither specification nor checks differ;
            None where this very candidate was approved.
    """

    candidate_sha256: str
    reviewers: tuple[str, ...]
    decided_at: str
    scripted: bool
    rests_on: ReleaseKey | None = None

    @property
    def reviewer(self) -> str:
        """Who decided, in words."""
        return " and ".join(self.reviewers)


@dataclass(frozen=True)
class Register:
    """The ledger as reviewers read it at one moment.

    Attributes:
        ledger: Of the releases.
        reviewers: Whose word counts.
        of_old: Whether the word of reviewers counts who decide no more, approvals rest on what was withdrawn since, and
            a broken chain of hashes is passed over: to look at what was published then, never to publish.
    """

    ledger: Ledger
    reviewers: Reviewers
    of_old: bool = False

    @classmethod
    def of(cls, workspace: Workspace, *, of_old: bool = False) -> Register:
        """The register of a site, read when it is first asked."""
        return cls(Ledger.open(workspace.ledger), Reviewers(workspace.reviewer_keys), of_old)

    @cached_property
    def histories(self) -> dict[ReleaseKey, tuple[Entry, ...]]:
        """All entries about each release in order, the release first that was reserved first.

        Raises:
            LedgerError: The chain of hashes is broken.
        """
        found: dict[ReleaseKey, list[Entry]] = {}
        for entry in self.ledger.entries(chained=not self.of_old):
            if entry.kind not in NOTES:
                found.setdefault(entry.key, []).append(entry)
        return {key: tuple(entries) for key, entries in found.items()}

    def history(self, key: ReleaseKey) -> tuple[Entry, ...]:
        """All entries about one release, in order; none where there is no such release."""
        return self.histories.get(key, ())

    def candidate(self, key: ReleaseKey) -> Candidate:
        """What is decided on.

        Raises:
            NotApprovedError: The release is not drawn and checked yet, or its checks failed.
        """
        return candidate_of(key, self.history(key))

    def decisions(self, key: ReleaseKey) -> tuple[Entry, ...]:
        """Approvals and rejections of the candidate as it stands that a reviewer signed, each reviewer's last."""
        try:
            candidate = self.candidate(key)
        except NotApprovedError:
            return ()
        made = [entry for entry in self.history(key) if entry.kind in _VERBS and self._counts(entry, candidate)]
        return tuple({entry.payload["reviewer"]: entry for entry in made}.values())

    def unsigned(self, key: ReleaseKey) -> tuple[Entry, ...]:
        """Decisions on a release that no reviewer signed: somebody wrote or copied them there."""
        made = (entry for entry in self.history(key) if entry.kind in (*_VERBS, EntryKind.WITHDRAWN))
        return tuple(entry for entry in made if not self.is_signed(entry))

    def is_signed(self, entry: Entry) -> bool:
        """Whether a decision bears the signature of the reviewer that it names."""
        return self._signer_of(entry, formerly=True) is not None

    def waiting(self) -> tuple[ReleaseKey, ...]:
        """Candidates whose checks passed and that want a decision, as they stand; of revisions the newest."""
        newest = [list(same)[-1] for _, same in groupby(sorted(self.histories), lambda key: (key.release, key.period))]
        drawn = [self._drawn(key) for key in newest]
        standing = {key for key in drawn if key is not None}
        return tuple(key for key in self.histories if key in standing and self.is_waiting(key))

    def is_waiting(self, key: ReleaseKey) -> bool:
        """Whether a candidate wants a decision."""
        kinds = {entry.kind for entry in self.history(key)}
        if kinds & {EntryKind.PUBLISHED, EntryKind.WITHDRAWN}:
            return False
        try:
            candidate, made = self.candidate(key), self.decisions(key)
            if _rejects(made):
                return False
            return len(made) < self.specification(key).reviewers and self._standing_approval(candidate) is None
        except NotApprovedError:
            return False
        except LedgerError:  # its specification is gone or another: nobody can approve it, and somebody should look
            return True

    def specification(self, key: ReleaseKey) -> ReleaseSpecification:
        """What a release was drawn from.

        Raises:
            LedgerError: It is not there, or is another one.
        """
        return specification_of(self.ledger, key)

    def approval(self, key: ReleaseKey) -> Approval:
        """The living approval of a candidate; without one, publishing fails closed.

        Raises:
            NotApprovedError: Too few decided, somebody rejected it, it was on other bytes, or the release is withdrawn.
            LedgerError: The chain is broken, or the specification is not what was reserved for.
        """
        if not self.of_old:
            self._require_not_withdrawn(key)
        candidate, made = self.candidate(key), self.decisions(key)
        for entry in made:
            if entry.kind is EntryKind.REJECTED:
                raise NotApprovedError(
                    "a rejected release is not published",
                    value=f"{key}: {entry.payload['reason']}",
                    remedy=f"Ask the reviewer, {entry.payload['reviewer']}.",
                )
        if len(made) >= self.specification(key).reviewers:
            return _approval(candidate, made)
        standing = self._standing_approval(candidate)
        if standing is None:
            raise self._nobody_approved(key, made)
        return standing

    def rejection(self, key: ReleaseKey) -> str:
        """Who rejected the candidate as it stands and why; empty where nobody did."""
        found = [entry.payload for entry in self.decisions(key) if entry.kind is EntryKind.REJECTED]
        return f"{found[0]['reviewer']}: {found[0]['reason']}" if found else ""

    def refusal(self, key: ReleaseKey, reviewer: Reviewer) -> str:
        """Why a reviewer cannot decide on a candidate; empty where they can."""
        if any(entry.payload["reviewer"] == reviewer.name for entry in self.decisions(key)):
            return "two reviewers decide on this release, each once"
        return self._partial(self.candidate(key), reviewer)

    def _partial(self, candidate: Candidate, reviewer: Reviewer) -> str:
        """Why somebody is no judge of a candidate; empty where they are."""
        if reviewer.names & {compared(name) for name in self.specification(candidate.key).written_by}:
            return "who wrote the specification does not decide on what comes of it"
        if candidate.triggered_by and compared(candidate.triggered_by) in reviewer.names:
            return "who triggered the draw does not decide on it"
        return ""

    def approve(self, key: ReleaseKey, signer: Signer, reason: str, seen: str = "") -> None:
        """Record an approval of the candidate as it stands.

        Args:
            key: Of the release.
            signer: Who decides.
            reason: Why, in one line.
            seen: Digest of the candidate that was read, where that is known.

        Raises:
            NotApprovedError: There is no candidate, it was decided, revised or withdrawn, it is not the one that was
                read, the reason is missing, or the reviewer is none, or cannot decide on this one.
        """
        self._decide(EntryKind.APPROVED, key, signer, reason, seen)

    def reject(self, key: ReleaseKey, signer: Signer, reason: str, seen: str = "") -> None:
        """Record a rejection of the candidate as it stands; see ``approve``."""
        self._decide(EntryKind.REJECTED, key, signer, reason, seen)

    def withdraw(self, key: ReleaseKey, signer: Signer, reason: str) -> bool:
        """Record that a published release is withdrawn; it is not approved or published again.

        Returns:
            False where it was withdrawn before.

        Raises:
            NotApprovedError: The reason is missing, or the reviewer is none.
            LedgerError: It was not published.
        """
        self._require_reviewer(signer)
        payload = signed(EntryKind.WITHDRAWN, key, {"reason": require_words(reason)}, signer)
        return self.ledger.record(EntryKind.WITHDRAWN, key, payload)

    def _decide(self, kind: EntryKind, key: ReleaseKey, signer: Signer, reason: str, seen: str) -> None:
        reason, reviewer = require_words(reason), self._require_reviewer(signer)
        self._require_not_withdrawn(key)
        self._require_newest(key)
        candidate = self.candidate(key)
        if seen and seen != candidate.sha256:
            raise NotApprovedError(
                "a decision is on what was read", value=f"{key} has changed since", remedy="Read it again."
            )
        if not self.is_waiting(key):
            raise NotApprovedError("a candidate is decided once", value=key, remedy="See: demographics review list")
        if why := self.refusal(key, reviewer):
            raise NotApprovedError(why, value=f"{signer.name} on {key}", remedy="Ask another reviewer.")
        said = {"candidate_sha256": candidate.sha256, "checked": candidate.checked, "reason": reason}
        self.ledger.record(kind, key, signed(kind, key, said, signer))

    def _require_reviewer(self, signer: Signer) -> Reviewer:
        found = self.reviewers.find(signer.name)
        if found is None or not found.active:
            raise NotApprovedError(
                "a decision is made by a reviewer's own account", value=signer.name, remedy="demographics reviewer add"
            )
        return found

    def _require_not_withdrawn(self, key: ReleaseKey) -> None:
        for entry in self.history(key):
            if entry.kind is EntryKind.WITHDRAWN:
                raise NotApprovedError(
                    "a withdrawn release is not approved or published again",
                    value=f"{key}, withdrawn by {entry.payload['reviewer']}: {entry.payload['reason']}",
                    remedy=f"Release a revision: demographics run {key.release} --period {key.period} "
                    "--revise --reason ...",
                )

    def _require_newest(self, key: ReleaseKey) -> None:
        newest = self.ledger.standing(key.release, key.period)
        if newest != key and newest in self.histories:
            raise NotApprovedError(
                "a decision is on the newest revision of a release",
                value=f"{key}, and {newest} was drawn",
                remedy=f"Read r{newest.revision}, then decide with --revision {newest.revision}.",
            )

    def _drawn(self, key: ReleaseKey) -> ReleaseKey | None:
        """The newest revision up to this one that was drawn."""
        before = (ReleaseKey(key.release, key.period, number) for number in range(key.revision, 0, -1))
        return next((one for one in before if _has(self.history(one), EntryKind.DRAWN)), None)

    def _counts(self, entry: Entry, candidate: Candidate) -> bool:
        """Whether a decision is on this very candidate, and by a reviewer who may decide on it."""
        payload, reviewer = entry.payload, self._signer_of(entry, formerly=self.of_old)
        same = (payload.get("candidate_sha256"), payload.get("checked")) == (candidate.sha256, candidate.checked)
        if not same or reviewer is None or not (reviewer.active or self.of_old):
            return False
        return not self._partial(candidate, reviewer)

    def _no_judges(self, key: ReleaseKey) -> list[str]:
        """Why decisions do not count that were signed by somebody who is no judge of the candidate."""
        candidate = self.candidate(key)
        signers = [self._signer_of(entry, formerly=False) for entry in self.history(key) if entry.kind in _VERBS]
        return [why for one in signers if one is not None and (why := self._partial(candidate, one))]

    def _signer_of(self, entry: Entry, *, formerly: bool) -> Reviewer | None:
        reviewer = self.reviewers.find(str(entry.payload.get("reviewer", "")))
        said, signature = statement(entry.kind, entry.key, entry.payload), entry.payload.get("signature")
        return reviewer if reviewer and reviewer.has_signed(said, signature, formerly=formerly) else None

    def _standing_approval(self, candidate: Candidate) -> Approval | None:
        """The approval of an earlier release that holds for this one, where the specification asks for no more."""
        key = candidate.key
        if key.revision > 1 or self.specification(key).review is not ReviewPolicy.ON_CHANGE:
            return None
        for other in reversed(self.histories):
            if other.release == key.release and other != key and (approval := self._same_as(other, candidate)):
                return approval
        return None

    def _same_as(self, other: ReleaseKey, candidate: Candidate) -> Approval | None:
        history = self.history(other)
        if not _has(history, EntryKind.PUBLISHED) or (_has(history, EntryKind.WITHDRAWN) and not self.of_old):
            return None
        try:
            approved, made = self.candidate(other), self.decisions(other)
        except NotApprovedError:  # its checks have failed since
            return None
        differ = (approved.specification_sha256, approved.checks_sha256) != (
            candidate.specification_sha256,
            candidate.checks_sha256,
        )
        if differ or len(made) < self.specification(other).reviewers or _rejects(made):
            return None
        return _approval(candidate, made, rests_on=other)

    def _nobody_approved(self, key: ReleaseKey, made: Sequence[Entry]) -> NotApprovedError:
        if self.unsigned(key):
            return NotApprovedError(
                "a decision holds only with the signature of a reviewer's account",
                value=f"{key}, with an entry that no reviewer signed",
                remedy="Find out who wrote into the ledger; then decide: demographics review approve",
            )
        if judges := self._no_judges(key):
            return NotApprovedError(judges[0], value=f"a decision on {key}", remedy="Have another reviewer decide.")
        if any(entry.kind in _VERBS for entry in self.history(key)) and not made:
            return NotApprovedError(
                "an approval holds for exactly the bytes it was given for",
                value=f"{key} has changed since, or its reviewer decides no more",
                remedy="Have it reviewed again.",
            )
        return NotApprovedError(
            "a privacy reviewer must approve a release before it is published",
            value=f"{len(made)} of {self.specification(key).reviewers} decisions on {key}"
            if made
            else f"no decision on {key}",
            remedy=f"demographics review approve {key.release} --period {key.period}",
        )


_VERBS = (EntryKind.APPROVED, EntryKind.REJECTED)


def _approval(candidate: Candidate, made: Sequence[Entry], rests_on: ReleaseKey | None = None) -> Approval:
    return Approval(
        candidate.sha256,
        tuple(entry.payload["reviewer"] for entry in made),
        max(entry.at for entry in made),
        any(entry.payload["scripted"] for entry in made),
        rests_on,
    )


def _rejects(made: Sequence[Entry]) -> bool:
    return any(entry.kind is EntryKind.REJECTED for entry in made)


def _has(history: Sequence[Entry], kind: EntryKind) -> bool:
    return any(entry.kind is kind for entry in history)
