"""De-identified staging: what is kept of a period's sources, replaced as a whole or not at all.

A folder ``staging/{population}/{period}/`` holds

- ``events.parquet``: ``person`` and what a person may have many of (for visitors one row a request, with all
  dimensions, ``visits`` and ``page_views``; for customers one row an order, with ``product``, and ``revenue`` where
  the amount is declared);
- ``persons.parquet``: for customers, one row a person with all per-person dimensions;
- ``aliases.parquet``: for customers whose e-mail address is declared, ``person`` and ``alias``, the pseudonym of the
  address, by which a person who names it is found;
- ``manifest.json``: what was read, used and rejected;
- ``checks.json``: the verdicts on all this, without which nothing is drawn from it.

``person`` is a pseudonym: 32 hexadecimal digits of an HMAC under the period's key.

Who writes a period's folder, changes something in it or draws from it holds the period's lock; see ``locks``.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import Field

from pipeline import __version__, documents
from pipeline.deidentify.accounting import Accounting
from pipeline.documents import Document
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

EVENTS = "events.parquet"
PERSONS = "persons.parquet"
ALIASES = "aliases.parquet"
MANIFEST = "manifest.json"
CHECKS = "checks.json"
WITHDRAWN_CHECKS = f".{CHECKS}"


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
    began: datetime | None = None
    """Of customers that are read by what changed, when the reading began."""
    declaration: str = ""
    """Of these, a keyed digest of how they are declared: earlier staging of another declaration is not carried over."""
    code_version: str = Field(default=__version__)


@dataclass(frozen=True)
class Staging:
    """De-identified staging of one population in one period.

    Attributes:
        population: Who.
        period: When.
        folder: Holds ``events.parquet`` and for customers ``persons.parquet``.
        manifest: What it was made of.
    """

    population: Population
    period: Period
    folder: Path
    manifest: StagingManifest

    @property
    def events(self) -> Path:
        """One row an event; may be absent for customers without orders."""
        return self.folder / EVENTS

    @property
    def persons(self) -> Path:
        """One row a person; absent for visitors, who are folded from events."""
        return self.folder / PERSONS

    @property
    def aliases(self) -> Path:
        """One row a customer with an e-mail address; absent where that is not declared."""
        return self.folder / ALIASES


def load_staging(workspace: Workspace, population: Population, period: Period) -> Staging:
    """The staging of a period.

    Raises:
        StagingError: There is none, or it is of another population or period.
    """
    folder = workspace.staging(population, period)
    path = folder / MANIFEST
    if not path.is_file():
        raise StagingError(
            "a period must be ingested before it is released",
            value=f"no staging for {population} in {period}",
            remedy=f"Run ingest_{population} for this period.",
        )
    manifest = documents.parse(json.loads(path.read_text("utf-8")), StagingManifest, StagingError, MANIFEST)
    if (manifest.population, manifest.period) != (population, str(period)):
        raise StagingError(
            f"staging in {folder.name} must be of {population} in {period}",
            value=f"{manifest.population} in {manifest.period}",
            remedy="Ingest the period again.",
        )
    return Staging(population, period, folder, manifest)


def earlier_manifest(workspace: Workspace, population: Population, period: Period) -> StagingManifest | None:
    """What the period's staging was made of so far; None where there is none, or none that can be read."""
    try:
        return load_staging(workspace, population, period).manifest
    except (StagingError, ValueError):
        return None


@contextmanager
def replace_staging(workspace: Workspace, population: Population, period: Period) -> Iterator[Path]:
    """Yield an empty folder to write staging into; it takes the period's place when the block ends well.

    The caller holds the period's lock. The block writes the Parquet files and calls ``write_manifest``. Where it
    raises, or is killed, the period's earlier staging stays as it was; what a killed run left is swept by the next.
    """
    final = workspace.staging(population, period)
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(workspace, population, period)
    draft = final.parent / f".{period}.{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        yield draft
        _swap(draft, final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep_drafts(workspace: Workspace, population: Population, period: Period) -> None:
    """Remove what runs that were killed left of a period; the caller holds the period's lock, so that nobody writes.

    Who was killed between the two steps of putting new staging into the place of the earlier left the period without
    any: the newest that is whole takes its place.
    """
    final = workspace.staging(population, period)
    left = [path for path in final.parent.glob(f".{period}.*") if path.is_dir()]
    if not final.exists() and (whole := [path for path in left if (path / MANIFEST).is_file()]):
        max(whole, key=lambda path: (path / MANIFEST).stat().st_mtime_ns).rename(final)
    for path in left:
        shutil.rmtree(path, ignore_errors=True)


def write_manifest(folder: Path, manifest: StagingManifest, name: str = MANIFEST) -> None:
    """Write the manifest, last of the folder's files, through to the disk."""
    path = folder / name
    with path.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())


def write_checks(staging: Staging, verdicts: bytes) -> None:
    """Keep the verdicts on staging beside it; they go when the period is ingested again."""
    draft = staging.folder / WITHDRAWN_CHECKS
    draft.write_bytes(verdicts)
    draft.replace(staging.folder / CHECKS)


def withdraw_checks(folder: Path) -> None:
    """Take back the verdicts on staging, which is about to change; ``was_checked`` still tells that there were any."""
    with suppress(FileNotFoundError):
        (folder / CHECKS).replace(folder / WITHDRAWN_CHECKS)


def was_checked(staging: Staging) -> bool:
    """Whether there are verdicts on staging, or were before it changed."""
    return any((staging.folder / name).exists() for name in (CHECKS, WITHDRAWN_CHECKS))


def read_checks(staging: Staging) -> bytes:
    """The verdicts on staging.

    Raises:
        StagingError: It was not checked since it was ingested.
    """
    try:
        return (staging.folder / CHECKS).read_bytes()
    except FileNotFoundError:
        raise StagingError(
            "staging must be checked before anything is drawn from it",
            value=f"no verdicts on {staging.population} in {staging.period}",
            remedy=f"Run the check task of ingest_{staging.population} for this period.",
        ) from None


def _swap(draft: Path, final: Path) -> None:
    if not (draft / MANIFEST).is_file():
        raise AssertionError("staging must be written with its manifest")
    if final.exists():
        # A folder cannot be replaced in one step: a reader in between finds none, and says so.
        old = final.parent / f".{final.name}.{secrets.token_hex(4)}"
        final.rename(old)
        draft.rename(final)
        shutil.rmtree(old)
    else:
        draft.rename(final)
