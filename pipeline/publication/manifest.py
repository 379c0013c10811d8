"""The manifest of a bundle: what it is, how it was protected, where it came from, and which files belong to it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import PublicationError, VerificationError
from pipeline.publication.cuts import CutFacts
from pipeline.publication.views import AudienceView
from pipeline.release.artefact import LevelFacts, PrivateRelease, TableFacts
from pipeline.review.candidate import candidate_digest
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import UNIT_NAMES, Audience, Population

MANIFEST_NAME: Final = "manifest.json"
SIGNATURE_NAME: Final = "manifest.json.minisig"
SUMS_NAME: Final = "SHA256SUMS"
MANIFEST_VERSION: Final = 2

TERMS: Final = (
    "For the audience named here and for the stated purpose. Do not try to single out, recognise or contact a "
    "person from these numbers, and do not join them with records about individuals for that end. Figures may be "
    "quoted with their intervals and the name of the release, its period and its revision."
)
_SELECTION: Final = (
    "A group of fewer than k people is never released. From k people on, a group is released only where its noisy "
    "number of people reaches the level's threshold. Events, sums and means are told of groups whose people do. What "
    "is so near the threshold that it is rather let in when its noise is high has obs_status U (low reliability)."
)
_POST_PROCESSING: Final = (
    "From all noisy numbers that speak of a group, least squares makes the best estimate, 'estimate', with a standard "
    "deviation of 'noise_sd'. It is rounded and kept from falling below zero, and shown parts add up to shown totals. "
    "A mean is the quotient of two shown numbers. Groups that are not shown are counted in 'all other'."
)

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Approved:
    """A reviewer's yes to exactly one candidate.

    Attributes:
        candidate_sha256: Digest of what was approved, ``candidate_sha256``.
        reviewer: Who approved it.
        decided_at: When, ISO 8601 with its offset, UTC.
        scripted: True where no person looked, as in a trial run.
    """

    candidate_sha256: str
    reviewer: str
    decided_at: str
    scripted: bool

    @property
    def instant(self) -> dt.datetime:
        """When it was decided.

        Raises:
            PublicationError: ``decided_at`` is no time with an offset.
        """
        try:
            instant = dt.datetime.fromisoformat(self.decided_at)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise PublicationError(
                "an approval must carry its time in ISO 8601 with an offset",
                value=repr(self.decided_at[:40]),
                remedy="Approve the candidate again.",
            )
        return instant.astimezone(dt.UTC)


class Identity(Document):
    """Which bundle this is."""

    release: str
    title: str
    audience: Audience
    period: str
    period_start: str
    """ISO date, inclusive."""
    period_end: str
    """ISO date, exclusive."""
    revision: Annotated[int, Field(ge=1)]
    supersedes: str | None
    """The revision that this one replaces."""
    status: Literal["published"]
    synthetic: bool
    """True where no real person is counted."""
    cut: CutFacts | None = None
    """What of the audience's tables the bundle shows; null where it shows them whole."""


class YearOfBudget(Document):
    """What releases about a population may cost in a year, and have cost when this one was reserved for.

    Worked out from the ledger up to that reservation, so that it is the same whenever a bundle is written.
    """

    year_to: str
    """ISO date, exclusive: the end of the period."""
    spent_epsilon: str
    """Of all releases in that year, this one among them."""
    cap_epsilon: str
    delta: str
    """At which both are accounted."""


class Privacy(Document):
    """How a person's presence is protected, in the release that this bundle is a view of."""

    unit: str
    adjacency: str
    epsilon: str
    delta: str
    """Of the whole release, all audiences together."""
    k: Annotated[int, Field(ge=2)]
    k_kind: str
    selection: str
    mechanism: str = ""
    """Of the noise of counts of people."""
    confidence: float = 0.95
    """Of all intervals."""
    levels: tuple[LevelFacts, ...]
    """Those that this bundle shows: bounds, mechanism, scale and threshold of each."""
    post_processing: str
    drawn: str
    not_covered: tuple[str, ...]
    year: YearOfBudget | None = None
    """Spent and cap for the year; null where no ledger was asked."""


class Approval(Document):
    """Who let it out."""

    reviewer: str
    decided_at: str
    scripted: bool


class Provenance(Document):
    """What it was made from."""

    candidate_sha256: Sha256
    """Of what the reviewer approved: specification, release and checks together."""
    artefact_sha256: Sha256
    """Of the recorded release, all tables and audiences."""
    specification_sha256: str
    key_lists_sha256: Sha256
    verdicts_sha256: Sha256
    checks: int
    """Validation checks, all of which held."""
    code_version: str
    policy_version: str = ""
    """Of the privacy policy that was in force when it was drawn."""
    approval: Approval


class FileEntry(Document):
    """One file of the bundle."""

    path: FileName
    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)] | None
    """Of a table; null elsewhere."""


class Manifest(Document):
    """Everything that a signature vouches for."""

    manifest_version: Literal[1, 2]
    """1: no workbook and no derived numbers; 2: with both."""
    identity: Identity
    population: Population
    description: str
    purpose: str
    privacy: Privacy
    provenance: Provenance
    tables: tuple[TableFacts, ...]
    files: tuple[FileEntry, ...]
    """All but this manifest, its signature and SHA256SUMS."""
    sums: FileEntry
    """SHA256SUMS itself."""
    publisher: str
    contact: str
    terms: str

    @property
    def subject(self) -> str:
        """Which bundle it is, in one line."""
        identity = self.identity
        return f"{identity.audience}/{identity.release}/{identity.period}/r{identity.revision}"

    def to_bytes(self) -> bytes:
        """JSON for people to read, the same bytes for the same manifest."""
        return json_bytes(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Read what ``to_bytes`` wrote.

        Raises:
            VerificationError: It is no manifest.
        """
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise VerificationError("manifest.json must be a JSON object", remedy="Download it again.")
        version = document.get("manifest_version")
        if isinstance(version, int) and version > MANIFEST_VERSION:
            raise VerificationError(
                f"a bundle must have a manifest of a version that this program knows, {MANIFEST_VERSION} or earlier",
                value=f"version {version}",
                remedy="A later release of the program wrote it: use that one.",
            )
        return documents.parse(document, cls, VerificationError, MANIFEST_NAME)


def json_bytes(document: object) -> bytes:
    """JSON with two spaces and a last line end."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def file_entry(path: str, content: bytes, rows: int | None = None) -> FileEntry:
    """What the manifest says of a file."""
    return FileEntry(path=path, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), rows=rows)


def sums_bytes(entries: tuple[FileEntry, ...]) -> bytes:
    """``SHA256SUMS`` as ``sha256sum --check`` reads it."""
    return "".join(f"{entry.sha256}  {entry.path}\n" for entry in entries).encode()


def identity_of(view: AudienceView) -> Identity:
    """Which bundle a view becomes."""
    header = view.header
    assert view.audience is not None
    return Identity(
        release=header.release,
        title=header.title,
        audience=view.audience,
        period=header.period,
        period_start=header.period_start,
        period_end=header.period_end,
        revision=header.revision,
        supersedes=f"r{view.supersedes}" if view.supersedes else None,
        status="published",
        synthetic=header.synthetic,
        cut=view.cut.facts if view.cut else None,
    )


def candidate_sha256(release: PrivateRelease, verdicts: Verdicts) -> str:
    """Digest of what a reviewer decides on: specification, release and checks, so that any change voids a decision."""
    return candidate_digest(release.header.specification_sha256, release.sha256, verdicts.sha256)


def provenance_of(view: AudienceView, approved: Approved, artefact_sha256: str, verdicts: Verdicts) -> Provenance:
    """What a bundle was made from."""
    return Provenance(
        candidate_sha256=approved.candidate_sha256,
        artefact_sha256=artefact_sha256,
        specification_sha256=view.header.specification_sha256,
        key_lists_sha256=view.key_lists_sha256,
        verdicts_sha256=verdicts.sha256,
        checks=len(verdicts.checks),
        code_version=view.header.code_version,
        policy_version=view.header.policy_version,
        approval=Approval(**{name: value for name, value in asdict(approved).items() if name != "candidate_sha256"}),
    )


def manifest_of(
    view: AudienceView, provenance: Provenance, entries: tuple[FileEntry, ...], year: YearOfBudget | None = None
) -> Manifest:
    """The manifest of one bundle."""
    header = view.header
    return Manifest(
        manifest_version=MANIFEST_VERSION,
        identity=identity_of(view),
        population=header.population,
        description=header.description,
        purpose=header.purpose_text or header.purpose,
        privacy=_privacy_of(view, year),
        provenance=provenance,
        tables=header.tables,
        files=entries,
        sums=file_entry(SUMS_NAME, sums_bytes(entries)),
        publisher=header.publisher or header.site,
        contact=header.contact,
        terms=TERMS,
    )


def not_covered(population: Population, unit: str) -> tuple[str, ...]:
    """What the guarantee does not promise, in words; the same on every page that speaks of it."""
    person = UNIT_NAMES[population]
    told_apart = (
        "A visitor is told apart without cookies, by address and browser: somebody with two devices is two visitors "
        "and is protected as each of them."
        if population is Population.VISITORS
        else "Somebody with two customer accounts is two customers and is protected as each of them."
    )
    return (
        f"The protected unit is {unit}. Somebody who is counted in several periods is protected in each, and the "
        "losses of those releases add up.",
        told_apart,
        f"What is true of a whole group can be learned, and may be said of a {person} of that group whether or not "
        "that person was counted.",
        "Other releases, and what recipients know from elsewhere, are not part of this guarantee.",
    )


def _privacy_of(view: AudienceView, year: YearOfBudget | None) -> Privacy:
    header = view.header
    return Privacy(
        unit=header.unit,
        adjacency="add or remove one unit",
        epsilon=header.epsilon,
        delta=header.delta,
        k=header.k,
        k_kind="distinct people in a group, before noise; holds for certain",
        selection=_SELECTION,
        mechanism=header.noise,
        levels=header.levels,
        post_processing=_POST_PROCESSING,
        drawn="once for all audiences and all tables; this bundle is a view of that one draw",
        not_covered=not_covered(header.population, header.unit),
        year=year,
    )


def revision_number(folder_name: str) -> int | None:
    """The N of a folder named ``rN``; None for any other name."""
    found = re.fullmatch(r"r([1-9]\d*)", folder_name)
    return int(found[1]) if found else None
