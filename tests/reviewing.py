"""Reviewers of tests: a key pair each, whose public half lies where decisions are verified."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.periods import Period
from pipeline.privacy.accountant import Charge
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Origin
from pipeline.privacy.reservations import Reservation
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Reviewer, Reviewers, Signer
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey, ReleaseSpecification
from pipeline.workspace import Workspace

KEY = ReleaseKey("weekly", "2026-W41")


def reviewer(
    place: Workspace | Reviewers, name: str = "ana", *, also_known_as: tuple[str, ...] = (), scripted: bool = False
) -> Signer:
    """A new reviewer, or one with a new key: what was published by the former one stays approved."""
    reviewers = Reviewers(place.reviewer_keys) if isinstance(place, Workspace) else place
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    before = reviewers.find(name)
    former = (*before.former_keys, before.public_key) if before else ()
    made = Reviewer(name=name, public_key=public, also_known_as=also_known_as, scripted=scripted, former_keys=former)
    reviewers.put(made)
    return Signer(name, key, scripted)


def approve(release: str, period: str, name: str = "ana", reason: str = "read and approved", revision: int = 1) -> None:
    """Approve a candidate of the workspace of the environment, as a reviewer of that name."""
    workspace = Workspace.from_environment()
    Register.of(workspace).approve(ReleaseKey(release, period, revision), reviewer(workspace, name), reason)


def specification(**changes: object) -> ReleaseSpecification:
    """A specification for ledgers that hold no real tables."""
    document: dict[str, object] = {
        "release": "weekly",
        "title": "Weekly",
        "description": "Visitors by country",
        "owner": "Marketing",
        "purpose": "aggregated demographics",
        "population": "visitors",
        "period": "week",
        "privacy": {"epsilon": 1, "delta": 1e-9, "k": 20},
        "tables": [{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
        "audiences": {"partner": ["by_country"]},
    }
    return ReleaseSpecification.model_validate(document | changes)


def draw(
    ledger: Ledger,
    key: ReleaseKey,
    asked: ReleaseSpecification | None = None,
    *,
    revises: str = "",
    triggered_by: str = "",
    content: bytes = b"tables",
) -> None:
    """Reserve and record a release, with bytes for tables."""
    asked, period = asked or specification(release=key.release), Period.parse(key.period)
    reservation = Reservation(
        population=asked.population,
        period_start=period.start,
        period_end=period.end,
        specification_sha256=asked.sha256,
        charge=Charge(counts={"1": 1}, pure={}, delta=1e-9),
        revises=revises,
    )
    ledger.reserve(key, reservation, BudgetCap(epsilon=200, delta=1e-5))
    ledger.record_draw(key, content, origin=Origin(asked.canonical, triggered_by))


def reviewers_in(folder: Path) -> Reviewers:
    """Where a test keeps its reviewers."""
    return Reviewers(folder / "reviewers")


class Desk:
    """A ledger, and the reviewers who decide on what is in it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.in_memory()
        self.reviewers = Reviewers(folder)
        self.ana, self.ben = reviewer(self.reviewers, "ana"), reviewer(self.reviewers, "ben")

    @property
    def register(self) -> Register:
        return Register(self.ledger, self.reviewers)

    def candidate(self, key: ReleaseKey = KEY, asked: ReleaseSpecification | None = None, by: str = "") -> None:
        draw(self.ledger, key, asked, triggered_by=by, content=f"tables of {key}".encode())
        self.ledger.record_checks(key, b"[]", passed=True)

    def publish(self, key: ReleaseKey = KEY) -> None:
        self.register.approve(key, self.ana, "fine")
        self.ledger.record(EntryKind.PUBLISHED, key, {})
