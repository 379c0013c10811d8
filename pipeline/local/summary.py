"""What a run leaves for a person to read: rows, people, groups, budget, checks, and where everything is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import flow
from pipeline.deidentify.staging import SourceCounts, load_staging, read_checks
from pipeline.periods import Period
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease
from pipeline.release.figures import Counted, TableGroups, groups_of, people_of
from pipeline.review.decisions import Register
from pipeline.site import load_site
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import PEOPLE, Audience, Population
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.publication.report import BudgetFacts


@dataclass(frozen=True)
class Checks:
    """How many checks there were, and how many held."""

    passed: int
    of: int

    @classmethod
    def of_bytes(cls, content: bytes) -> Checks:
        """Count recorded verdicts."""
        verdicts = Verdicts.from_bytes(content).checks
        return cls(sum(verdict.success for verdict in verdicts), len(verdicts))


@dataclass(frozen=True)
class IngestedPeriod:
    """What became of one period's sources. Counts of lines, never of people.

    Attributes:
        population: Whose.
        period: Its label.
        sources: By name.
        checks: On staging.
    """

    population: Population
    period: str
    sources: Mapping[str, SourceCounts]
    checks: Checks


@dataclass(frozen=True)
class ReleaseLines:
    """One release.

    Attributes:
        key: Which.
        title: For people to read.
        people: The noisy total; None where even the total is withheld.
        k: Its minimum of people in a group.
        least: The noisy count from which on every one of its tables over people releases a group.
        tables: Groups of each table.
        checks: On the release.
        drawn_now: True where this run drew it; otherwise the ledger returned what was drawn before.
        unchanged: True where what was published before this run has the same bytes after it.
        reviewer: Who approved it.
        scripted: True where a script did.
        bundles: Folder of each audience's bundle.
        report: The reviewer's report.
    """

    key: ReleaseKey
    title: str
    people: Counted | None
    k: int
    least: int
    tables: tuple[TableGroups, ...]
    checks: Checks
    drawn_now: bool
    unchanged: bool
    reviewer: str
    scripted: bool
    bundles: Mapping[Audience, Path]
    report: Path


@dataclass(frozen=True)
class Summary:
    """All of it, for one run.

    Attributes:
        home: The workspace.
        synthetic: True where the sources are made up.
        ingested: In the order of ingestion.
        releases: By name and period.
        budgets: Of each population, for the year to its newest period.
        reserved_now: How many releases were paid for in this run.
        data_docs: First page of Great Expectations' pages.
        seconds: How long the run took.
    """

    home: Path
    synthetic: bool
    ingested: tuple[IngestedPeriod, ...]
    releases: tuple[ReleaseLines, ...]
    budgets: tuple[BudgetFacts, ...]
    reserved_now: int
    data_docs: Path
    seconds: float


@dataclass(frozen=True)
class Snapshot:
    """What stood before a run.

    Attributes:
        reserved: Releases that were paid for.
        artefacts: SHA-256 of each release that was drawn.
        published: SHA-256 over all files of the bundles of each release.
    """

    reserved: frozenset[ReleaseKey]
    artefacts: Mapping[ReleaseKey, str]
    published: Mapping[ReleaseKey, str]


def snapshot(workspace: Workspace) -> Snapshot:
    """Note what the ledger and the published folder hold; nothing is made where there is none yet."""
    if isinstance(workspace.ledger, Path) and not workspace.ledger.exists():
        return Snapshot(frozenset(), {}, {})
    entries = Ledger.open(workspace.ledger).entries()
    return Snapshot(
        frozenset(entry.key for entry in entries if entry.kind is EntryKind.RESERVED),
        {entry.key: entry.payload["artefact_sha256"] for entry in entries if entry.kind is EntryKind.DRAWN},
        {entry.key: published_sha256(workspace, entry.key) for entry in entries if entry.kind is EntryKind.PUBLISHED},
    )


def published_sha256(workspace: Workspace, key: ReleaseKey) -> str:
    """Digest over names and bytes of all files of all audiences' bundles of a release."""
    digest = hashlib.sha256()
    for audience in Audience:
        folder = workspace.bundle(audience, key.release, key.period, key.revision)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(workspace.published)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def summarise(
    workspace: Workspace,
    ingested: Sequence[tuple[Population, Period]],
    releases: Sequence[ReleaseKey],
    before: Snapshot,
    seconds: float,
) -> Summary:
    """Read what the run left: manifests of staging, the ledger, and the published releases. Reads no true count.

    Args:
        workspace: Where.
        ingested: Populations and periods of the run.
        releases: What the run released.
        before: What stood before it.
        seconds: How long it took.
    """
    after = snapshot(workspace)
    newest = {population: max(one[1] for one in ingested if one[0] is population) for population, _ in ingested}
    return Summary(
        home=workspace.home,
        synthetic=load_site(workspace.site_file).synthetic,
        ingested=tuple(_ingested(workspace, population, period) for population, period in ingested),
        releases=tuple(_release(workspace, key, before, after) for key in releases),
        budgets=tuple(flow.budget_facts(workspace, population, period) for population, period in newest.items()),
        reserved_now=len(after.reserved - before.reserved),
        data_docs=workspace.data_docs / "index.html",
        seconds=seconds,
    )


def _ingested(workspace: Workspace, population: Population, period: Period) -> IngestedPeriod:
    staging = load_staging(workspace, population, period)
    return IngestedPeriod(population, str(period), staging.manifest.sources, Checks.of_bytes(read_checks(staging)))


def _release(workspace: Workspace, key: ReleaseKey, before: Snapshot, after: Snapshot) -> ReleaseLines:
    ledger = Ledger.open(workspace.ledger)
    release = PrivateRelease.from_bytes(ledger.artefact(key) or b"")
    approval = Register.of(workspace).approval(key)
    place = (key.release, key.period, key.revision)
    return ReleaseLines(
        key=key,
        title=release.header.title,
        people=people_of(release),
        k=release.header.k,
        least=_least(release),
        tables=groups_of(release),
        checks=Checks.of_bytes(ledger.checks(key) or b"[]"),
        drawn_now=key not in before.artefacts,
        unchanged=before.artefacts.get(key) == after.artefacts[key]
        and before.published.get(key) == after.published[key],
        reviewer=approval.reviewer,
        scripted=approval.scripted,
        bundles={audience: workspace.bundle(audience, *place) for audience in release.header.audiences},
        report=workspace.report(*place),
    )


def _least(release: PrivateRelease) -> int:
    """The largest threshold of its tables over people; of all its tables where it has no other."""
    levels = [level for level in release.header.levels if level.quantity == PEOPLE]
    return max(level.threshold for level in [one for one in levels if one.max_groups == 1] or levels)
