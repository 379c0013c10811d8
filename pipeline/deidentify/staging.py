"""De-identified staging: what is kept of a period's sources, replaced as a whole or not at all.

In ``{population}/{period}/`` of the place that staging lies in (see ``places``) there are

- ``events/``: ``person`` and what a person may have many of (for visitors one row a request, with all dimensions,
  ``visits`` and ``page_views``; for customers one row an order, with ``product``, and ``revenue`` where the amount is
  declared);
- ``persons/``: for customers, one row a person with all per-person dimensions;
- ``aliases/``: for customers whose e-mail address is declared, ``person`` and ``alias``, the pseudonym of the address,
  by which a person who names it is found;
- ``manifest.json``: what was read, used and rejected, and which files of which bucket of people the tables consist of;
- ``checks.json``: the verdicts on what a manifest tells of, without which nothing is drawn from it;
- ``drafts/``: of runs under way.

``person`` is a pseudonym: 32 hexadecimal digits of an HMAC under the period's key. Each table is a folder of Parquet
files, see ``tables``.

A file is written once. What changes gets new files, then a new manifest, in one step; then what the manifest does not
name any more is removed. So a crash leaves the earlier staging or the new one, and files that nobody reads, which the
next one who holds the lock sweeps.

Who writes a period's staging, changes something in it, draws from it or reads rows of it holds the period's lock; see
``locks``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from pipeline import __version__, documents
from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.places import PARTIAL, Place, staging_place
from pipeline.deidentify.tables import ALIASES, EVENTS, MOST_BUCKETS, PERSONS, StagedFile, StagedTable
from pipeline.documents import Document
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

MANIFEST: Final = "manifest.json"
CHECKS: Final = "checks.json"
DRAFTS: Final = "drafts"
PLAN: Final = "plan.json"  # in a folder of drafts: a run of many tasks, which do not hold the lock in between
LONGEST_RUN: Final = dt.timedelta(hours=24)  # then its drafts are swept like those of a run that was killed
LAYOUT: Final = 1  # of manifest and tables; another number where a program of before would misread them
_BY_WHOM: Final = {"code_version", "layout"}  # what a manifest says of the program, and not of rows


class SourceCounts(Document):
    """``Accounting`` of one source, as it is written down."""

    read: int
    """Lines read, and those carried over."""
    used: int
    left_out: dict[str, int]
    rejected: dict[str, int]
    carried: int = 0
    """Of those used, how many were carried over from earlier staging of the period instead of being read again."""

    @classmethod
    def of(cls, accounting: Accounting) -> SourceCounts:
        """Write down an accounting."""
        return cls(
            read=accounting.read,
            used=accounting.used,
            left_out=dict(accounting.left_out),
            rejected=dict(accounting.rejected),
        )


class ContentRead(Document):
    """One log file as it was read, told by its content: its name and place may change, and it may have grown since."""

    sha256: str
    """Of the unpacked bytes."""
    bytes: int
    """Unpacked."""
    lines: int


class StagingManifest(Document):
    """What a period's staging was made of.

    Counts of lines. In a source of customers a line is a person: its counts are for the operator, who has the source.
    """

    population: Population
    period: str
    sources: dict[str, SourceCounts]
    """By source: ``visitor logs``, ``error logs``, ``customers``, ``orders``."""
    contents: dict[str, tuple[ContentRead, ...]] = Field(default={})
    """Of visitor and error logs, what was read, each content once."""
    formats: dict[str, int] = Field(default={})
    """Of visitor logs, how many files are in which format."""
    began: dt.datetime | None = None
    """Of customers that are read by what changed, when the reading began."""
    declaration: str = ""
    """Of these, a keyed digest of how they are declared: earlier staging of another declaration is not carried over."""
    buckets: int = Field(default=1, ge=1, le=MOST_BUCKETS)
    """Of people, into which each table is divided: a power of two."""
    files: dict[str, tuple[StagedFile, ...]] = Field(default={})
    """Of each table, at least one."""
    run: str = ""
    """The run of many tasks that wrote it."""
    layout: int = Field(default=LAYOUT, ge=1)
    """Of manifest and tables."""
    code_version: str = Field(default=__version__)
    """Of the program that wrote it."""

    @property
    def sha256(self) -> str:
        """Of all that it says of rows: names of files are never used again, so that other rows have another one.

        The same for every version of the program: what was checked before an upgrade is checked after it.
        """
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True, exclude=_BY_WHOM).encode()).hexdigest()

    @property
    def names(self) -> set[str]:
        """All files of all tables, in the place of the period."""
        return {f"{table}/{file.name}" for table, files in self.files.items() for file in files}


@dataclass(frozen=True)
class Staging:
    """De-identified staging of one population in one period.

    Attributes:
        population: Who.
        period: When.
        place: Holds the manifest and the tables.
        manifest: What it was made of.
    """

    population: Population
    period: Period
    place: Place
    manifest: StagingManifest

    def table(self, name: str) -> StagedTable | None:
        """One of the tables; None where the period has none of that name."""
        files = self.manifest.files.get(name)
        return StagedTable(name, self.place, self.manifest.buckets, files) if files else None

    @property
    def events(self) -> StagedTable | None:
        """One row an event; may be absent for customers without orders."""
        return self.table(EVENTS)

    @property
    def persons(self) -> StagedTable | None:
        """One row a person; absent for visitors, who are folded from events."""
        return self.table(PERSONS)

    @property
    def aliases(self) -> StagedTable | None:
        """One row a customer with an e-mail address; absent where that is not declared."""
        return self.table(ALIASES)


def place_of(workspace: Workspace, population: Population, period: Period) -> Place:
    """Where the staging of a period lies, whether there is any or not."""
    return staging_place(workspace, population, str(period))


def is_staged(workspace: Workspace, population: Population, period: Period) -> bool:
    """Whether a period has staging, of whatever kind."""
    return place_of(workspace, population, period).has(MANIFEST)


def load_staging(workspace: Workspace, population: Population, period: Period) -> Staging:
    """The staging of a period.

    Raises:
        StagingError: There is none, or it is of another population or period, or of another layout than today's.
    """
    place = place_of(workspace, population, period)
    content = place.read(MANIFEST)
    if content is None:
        raise StagingError(
            "a period must be ingested before it is released",
            value=f"no staging for {population} in {period}",
            remedy=f"Run ingest_{population} for this period.",
        )
    manifest = _manifest_of(content)
    if (manifest.population, manifest.period) != (population, str(period)):
        raise StagingError(
            f"staging in {period} must be of {population} in {period}",
            value=f"{manifest.population} in {manifest.period}",
            remedy="Ingest the period again.",
        )
    return Staging(population, period, place, manifest)


def _manifest_of(content: bytes) -> StagingManifest:
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not told.get("files"):
        raise StagingError(
            "staging must have a manifest that names its files",
            value="one that cannot be read, or of an earlier version of the program",
            remedy="Ingest the period again.",
        )
    if isinstance(layout := told.get("layout", LAYOUT), int) and layout > LAYOUT:
        raise StagingError(
            f"staging must be of a layout that this program knows, {LAYOUT} or earlier",
            value=f"layout {layout}, by version {told.get('code_version', 'unknown')!s:.20}",
            remedy="Use that version of the program or a later one, or ingest the period again.",
        )
    return documents.parse(told, StagingManifest, StagingError, MANIFEST)


def earlier_manifest(workspace: Workspace, population: Population, period: Period) -> StagingManifest | None:
    """What the period's staging was made of so far; None where there is none, or none that can be read."""
    try:
        return load_staging(workspace, population, period).manifest
    except StagingError:
        return None


@dataclass
class NewStaging:
    """Staging that is being made.

    Attributes:
        place: Of the period, to write files of tables into.
        drafts: A folder of this run, removed when it ends.
        manifest: To be set to what was written.
    """

    place: Place
    drafts: Place
    manifest: StagingManifest | None = None


@contextmanager
def replace_staging(workspace: Workspace, population: Population, period: Period) -> Iterator[NewStaging]:
    """Yield what staging is written with; it takes the place of the period's earlier when the block ends well.

    The caller holds the period's lock. The block writes files and sets the manifest. Where it raises, or is killed, the
    period's earlier staging stays as it was; what a killed run left is swept by the next.
    """
    place = place_of(workspace, population, period)
    sweep_drafts(place)
    new = NewStaging(place, place.under(DRAFTS, secrets.token_hex(8)))
    try:
        yield new
        if new.manifest is None:
            raise AssertionError("staging must be written with its manifest")
        write_manifest(place, new.manifest)
        place.remove(CHECKS)
    except BaseException:
        with suppress(StagingError, OSError):  # what is told is why it was not written
            sweep_drafts(place)
        raise
    sweep_drafts(place)


def write_manifest(place: Place, manifest: StagingManifest) -> None:
    """Put a manifest in place, in one step, when all files that it names are there; from here on they count."""
    place.replace(MANIFEST, manifest.model_dump_json(indent=2).encode())


def sweep_drafts(place: Place) -> None:
    """Remove what is no part of a period's staging; the caller holds the period's lock, so that nobody writes."""
    names = place.names()
    left = strays(place, names)
    if len(left) == len(names):  # and the folder itself
        place.clear()
    for name in left:
        place.remove(name)


def strays(place: Place, names: Collection[str]) -> list[str]:
    """Of the files of a period's place, those that are no part of its staging: drafts, and what was replaced.

    Drafts of a run of many tasks are none as long as it may go on, see ``LONGEST_RUN``.
    Of staging that cannot be read all counts as a part of it, but drafts.
    """
    begun = dt.datetime.now(dt.UTC) - LONGEST_RUN
    runs = [name.removesuffix(PLAN) for name in names if name.startswith(f"{DRAFTS}/") and name.endswith(f"/{PLAN}")]
    under_way = tuple(run for run in runs if (made := place.modified(run + PLAN)) and made > begun)
    names = [name for name in names if not name.startswith(under_way)]
    content = place.read(MANIFEST)
    try:
        kept = _manifest_of(content).names | {MANIFEST, CHECKS} if content is not None else set()
    except StagingError:
        return [name for name in names if name.startswith(f"{DRAFTS}/") or name.endswith(PARTIAL)]
    return [name for name in names if name not in kept]


class _Checks(Document):
    """``checks.json``: verdicts, and the manifest of what they are on."""

    manifest_sha256: str
    verdicts: str


def write_checks(staging: Staging, verdicts: bytes) -> None:
    """Keep the verdicts on staging beside it; they are of no other than this, and go when it is ingested again."""
    checks = _Checks(manifest_sha256=staging.manifest.sha256, verdicts=verdicts.decode())
    staging.place.replace(CHECKS, checks.model_dump_json(indent=2).encode())


def was_checked(staging: Staging) -> bool:
    """Whether there are verdicts on staging, or on what it was before it changed."""
    return staging.place.has(CHECKS)


def is_checked(staging: Staging) -> bool:
    """Whether there are verdicts on staging as it is."""
    return _verdicts(staging) is not None


def read_checks(staging: Staging) -> bytes:
    """The verdicts on staging.

    Raises:
        StagingError: It was not checked since it was ingested or changed.
    """
    verdicts = _verdicts(staging)
    if verdicts is None:
        raise StagingError(
            "staging must be checked before anything is drawn from it",
            value=f"no verdicts on {staging.population} in {staging.period}",
            remedy=f"Run the check task of ingest_{staging.population} for this period.",
        )
    return verdicts


def _verdicts(staging: Staging) -> bytes | None:
    try:
        checks = _Checks.model_validate_json(staging.place.read(CHECKS) or b"")
    except ValueError:
        return None
    return checks.verdicts.encode() if checks.manifest_sha256 == staging.manifest.sha256 else None
