"""The review packet: all that a reviewer reads of one release, and whether they can decide on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.errors import LedgerError, NotApprovedError
from pipeline.portal import budget, data_docs
from pipeline.portal.archive import Archive, Drawn, PageRegister, digest_of
from pipeline.portal.budget import Year
from pipeline.portal.comparing import Comparison, comparison_of
from pipeline.portal.listing import address_of
from pipeline.privacy.chain import EntryKind
from pipeline.publication.words import counted
from pipeline.release.artefact import ReleaseHeader
from pipeline.release.explanation import VISITOR_ORIGINS, customer_origins, steps
from pipeline.release.steps import Step
from pipeline.review.decisions import Register
from pipeline.review.difference import ApprovedBefore, Line, approved_before, difference, hunks
from pipeline.review.series import CheckSeries, Outcome, earlier, outcome_of, series
from pipeline.review.standing import Standing, State
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population

_DECIDABLE: Final = frozenset({State.WAITING})


@dataclass(frozen=True)
class Point:
    """One thing of the verdict line: what it is about, the verdict, more of it, and where to read on."""

    about: str
    verdict: str
    more: str
    tone: str  # good | note | bad | quiet
    place: str


@dataclass(frozen=True)
class SpecificationChange:
    """What differs from what was approved last.

    Attributes:
        before: What was approved last under this name; None where nothing was.
        lines: All lines of the specification, marked.
    """

    before: ApprovedBefore | None
    lines: tuple[Line, ...]

    @property
    def hunks(self) -> tuple[Line, ...]:
        """The lines that differ, with some about them."""
        return hunks(self.lines)

    @property
    def added(self) -> int:
        """Lines that are new."""
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        """Lines that are gone."""
        return sum(line.kind == "removed" for line in self.lines)


@dataclass(frozen=True)
class Packet:
    """What is decided on, in short; ``packet_parts`` has the long parts.

    Attributes:
        key: Of the release.
        address: Of its page.
        standing: Where it stands.
        header: What is public about it.
        seen: Digest of the candidate; empty where nobody can decide on it.
        refusal: Why the reviewer cannot decide; empty where they can, or where nobody has to.
        triggered_by: Who asked for the draw; empty for a schedule.
        revises: Why it was made anew; empty for a first revision.
        checked: Digests of its verdicts and of those on earlier releases, which tell one history from another.
        counts: How many checks have which outcome.
        earlier: Releases with which its checks are compared, oldest first.
        specification: What differs from what was approved last; None where the ledger does not hold it.
        comparison: With the release before; None where there is none.
        year: What is spent and left; None while it is worked out.
        data_docs: Address of the page about its checks; empty where there is none.
        has_report: Whether its report is there.
    """

    key: ReleaseKey
    address: str
    standing: Standing
    header: ReleaseHeader
    seen: str
    refusal: str
    triggered_by: str
    revises: str
    checked: tuple[str, ...]
    counts: Mapping[Outcome, int]
    earlier: tuple[ReleaseKey, ...]
    specification: SpecificationChange | None
    comparison: Comparison | None
    year: Year | None
    data_docs: str
    has_report: bool

    @property
    def decidable(self) -> bool:
        """Whether the reviewer can approve or reject it."""
        return self.standing.state in _DECIDABLE and not self.refusal


def packet_of(archive: Archive, register: PageRegister, key: ReleaseKey, reviewer: str) -> Packet:
    """What a reviewer reads of a drawn release.

    Args:
        archive: Of the site.
        register: The ledger as it is now.
        key: Of the release.
        reviewer: Name of who reads it.

    Raises:
        LedgerError: Something that the ledger recorded is missing, or is another thing.
    """
    header, standing = archive.header(register, key), register.standing(key)
    before = earlier(register, key)
    return Packet(
        key,
        address_of(key),
        standing,
        header,
        _seen(register, key),
        refusal_of(register, standing, reviewer),
        str(_said(register, key, EntryKind.DRAWN, "triggered_by")),
        str(_said(register, key, EntryKind.RESERVED, "revises")),
        tuple(digest_of(register, one, EntryKind.CHECKED, "checks_sha256") for one in (key, *before)),
        Counter(outcome_of(check) for check in archive.verdicts(register, key).checks),
        before,
        specification_change(archive, register, key),
        comparison_of(archive, register, key),
        budget.year_of(archive, register, header.population, key.period),
        data_docs.run_of(archive.workspace, key),
        archive.workspace.report(key.release, key.period, key.revision).is_file(),
    )


def series_of(
    archive: Archive, register: PageRegister, key: ReleaseKey, before: Sequence[ReleaseKey]
) -> tuple[CheckSeries, ...]:
    """Each check of a release with its history, what does not hold first."""
    return series(archive.verdicts(register, key), [(one, archive.verdicts(register, one)) for one in before])


def specification_change(archive: Archive, register: PageRegister, key: ReleaseKey) -> SpecificationChange | None:
    """What differs from what was approved last; None where the ledger does not hold what was drawn from."""
    now = archive.specification(register, key)
    if now is None:
        return None
    before = archive.once(("approved", register.stamp, key), lambda: approved_before(register, key))
    then = archive.specification(register, before.key) if before else None
    digests = (now.sha256, then.sha256 if then else "")
    return SpecificationChange(before, archive.once(("difference", *digests), lambda: difference(then, now)))


def steps_of(archive: Archive, drawn: Drawn) -> tuple[Step, ...]:
    """Every step from the sources to the numbers, in words."""
    header = drawn.header
    visitors = header.population is Population.VISITORS
    read = f"How many lines were read and used is told by: demographics explain {header.release}"
    return steps(
        drawn.release,
        [f"{read} --period {header.period}."],
        VISITOR_ORIGINS if visitors else customer_origins(archive.site),
    )


def points(packet: Packet) -> list[Point]:
    """The verdict line."""
    return [_checks_point(packet), _specification_point(packet), _numbers_point(packet), _budget_point(packet)]


def refusal_of(register: Register, standing: Standing, reviewer: str) -> str:
    """Why a reviewer cannot decide on a candidate that waits; empty where they can, or where it does not wait."""
    known = register.reviewers.find(reviewer)
    if known is None or not known.active:
        return "this account decides no more"
    if standing.state not in _DECIDABLE:
        return ""
    try:
        return register.refusal(standing.key, known)
    except (NotApprovedError, LedgerError) as failure:
        return failure.rule


def _seen(register: Register, key: ReleaseKey) -> str:
    try:
        return register.candidate(key).sha256
    except NotApprovedError:
        return ""


def _said(register: PageRegister, key: ReleaseKey, kind: EntryKind, name: str) -> object:
    """What the entry of a kind says; nothing, where it does not say it."""
    return next((one.payload.get(name, "") for one in register.history(key) if one.kind is kind), "")


def _checks_point(packet: Packet) -> Point:
    failed, warned = packet.counts[Outcome.FAILED], packet.counts[Outcome.WARNED]
    every = sum(packet.counts.values())
    more = f"{packet.counts[Outcome.HELD]:,} of {every:,} hold"
    if not every:
        return Point("Checks", "Not checked yet", "nothing is published unchecked", "bad", "#checks")
    if failed:
        return Point("Checks", f"{counted(failed, 'check')} failed", more, "bad", "#checks")
    if warned:
        return Point("Checks", counted(warned, "warning"), more, "note", "#checks")
    return Point("Checks", "All hold", more, "good", "#checks")


def _specification_point(packet: Packet) -> Point:
    change = packet.specification
    if change is None:
        return Point("Specification", "Not held", "the ledger has no copy of it", "bad", "#specification")
    if change.before is None:
        return Point("Specification", "Never approved", "read it whole", "note", "#specification")
    since = f"since {change.before.key.period}, r{change.before.key.revision}"
    if not (change.added or change.removed):
        return Point("Specification", "Unchanged", since, "good", "#specification")
    lines = f"{change.added:,} added, {change.removed:,} removed"
    return Point("Specification", "Changed", f"{lines} {since}", "note", "#specification")


def _numbers_point(packet: Packet) -> Point:
    found = packet.comparison
    if found is None:
        return Point("Numbers", "Nothing to compare", "no earlier period is published", "quiet", "#changes")
    since = f"since {found.before.period}"
    if not found.exceeding:
        return Point("Numbers", "As before", f"no change exceeds the noise {since}", "good", "#changes")
    most = found.largest[0]
    more = f"most: {most.group}, {most.share or most.difference} {since}"
    return Point("Numbers", f"{found.exceeding:,} beyond noise", more, "note", "#changes")


def _budget_point(packet: Packet) -> Point:
    if packet.year is None:
        return Point("Budget", "Being worked out", "reload the page in a moment", "quiet", "#budget")
    balance, cap = packet.year.balance, packet.year.cap.epsilon
    tone = "good" if balance.left >= cap / 10 else "note"
    return Point("Budget", f"ε = {balance.left:.3g} left", f"of {cap:.3g} in the rolling year", tone, "#budget")
