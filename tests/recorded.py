"""Sites whose ledger holds releases of made-up people: drawn, checked, decided and published, without any source."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from pipeline.people.groups import BoundedGroups
from pipeline.periods import Period
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger, Origin
from pipeline.privacy.reservations import reservation_of
from pipeline.records import checked, grouped
from pipeline.release.artefact import PrivateRelease
from pipeline.release.draw import draw_release
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Reviewers, Signer
from pipeline.sample.site_file import POLICY_FILE, SITE_FILE
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, Notice, ReleaseKey, ReleaseSpecification, bind
from pipeline.validation.suites import load_suite
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import EVENTS, PEOPLE
from pipeline.workspace import Workspace
from tests import reviewing
from tests.builders import specification_document

SAMPLE: Final = Path(__file__).parents[1] / "dags" / "releases"
_EVENTS_EACH: Final = 3
_NOTICE: Final = Notice("2024-05", "To tell partners how many people use what we make, never who they are.")


@dataclass
class RecordedSite:
    """A site without sources, in a folder."""

    home: Path
    _groups: dict[tuple[str, int], BoundedGroups] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the sample's site file and policy."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.workspace.site_file.write_text(SITE_FILE, "utf-8")
        self.workspace.policy_file.write_text(POLICY_FILE, "utf-8")
        self.ledger = Ledger.open(self.workspace.ledger)
        self.site = SiteFile.model_validate(yaml.safe_load(SITE_FILE))

    @property
    def workspace(self) -> Workspace:
        """Its folder."""
        return Workspace(self.home)

    @property
    def register(self) -> Register:
        """The ledger as it is now."""
        return Register(self.ledger, Reviewers(self.workspace.reviewer_keys))

    def reviewer(self, name: str = "ana", **more: Any) -> Signer:
        """A reviewer, without an account."""
        return reviewing.reviewer(self.workspace, name, **more)

    def bound(self, specification: Mapping[str, Any]) -> BoundSpecification:
        """A specification that fits the site."""
        found = bind(ReleaseSpecification.model_validate(specification), self.site)
        return dataclasses.replace(found, notice=_NOTICE)

    def draw(
        self,
        specification: Mapping[str, Any],
        period: str,
        *,
        people: int = 6_000,
        revises: str = "",
        triggered_by: str = "",
    ) -> ReleaseKey:
        """Reserve, draw and record a release, or its next revision for a reason."""
        bound, when = self.bound(specification), Period.parse(period)
        name = bound.specification.release
        key = self.ledger.revision_for(name, period, revises) if revises else ReleaseKey(name, period)
        self.ledger.reserve(key, reservation_of(bound, when, revises), bound.cap)
        groups = dataclasses.replace(self._grouped(bound, when, people), period=when)
        drawn = draw_release(bound, groups, key.revision).to_bytes()
        self.ledger.record_draw(key, drawn, origin=Origin(bound.specification.canonical, triggered_by))
        return key

    def check(self, key: ReleaseKey, failed: Collection[int] = (), warned: Collection[int] = ()) -> Verdicts:
        """Record verdicts of the suite ``release``, of which these do not hold."""
        checks = list(self._checks(key))
        made = [
            Verdict(
                "release", subject, words, place not in {*failed, *warned}, "warning" if place in warned else "critical"
            )
            for place, (subject, words) in enumerate(checks)
        ]
        verdicts = Verdicts(tuple(made))
        self.ledger.record_checks(key, verdicts.to_bytes(), passed=verdicts.passed)
        return verdicts

    def waiting(self, specification: Mapping[str, Any], period: str, **more: Any) -> ReleaseKey:
        """Draw and check a release, so that it waits for a decision."""
        key = self.draw(specification, period, **more)
        self.check(key)
        return key

    def published(self, specification: Mapping[str, Any], period: str, signer: Signer, **more: Any) -> ReleaseKey:
        """The same, approved and published, as the ledger has it."""
        key = self.waiting(specification, period, **more)
        self.register.approve(key, signer, "Numbers and noise look as usual.")
        self.publish(key)
        return key

    def publish(self, key: ReleaseKey) -> None:
        """Record that an approved release was published."""
        approval = self.register.approval(key)
        self.ledger.record(
            EntryKind.PUBLISHED,
            key,
            {"candidate_sha256": approval.candidate_sha256, "manifests": {"partner": "0" * 64}},
        )

    def release(self, key: ReleaseKey) -> PrivateRelease:
        """What was drawn."""
        return PrivateRelease.from_bytes(self.ledger.artefact(key) or b"")

    def _checks(self, key: ReleaseKey) -> list[tuple[str, str]]:
        parts, release = load_suite("release").parts, self.release(key)
        words: defaultdict[str, str] = defaultdict(lambda: "all", k=str(release.header.k))
        found = []
        for facts in release.header.tables:
            words["title"] = facts.dimension_titles[0]
            found += [(facts.name, check.description.format_map(words)) for check in parts["table"].checks]
        whole = [check for part in ("groups", "levels", "entitlements") for check in parts[part].checks]
        return list(dict.fromkeys([*found, *(("release", one.description.format_map(words)) for one in whole)]))

    def _grouped(self, bound: BoundSpecification, period: Period, people: int) -> BoundedGroups:
        key = (bound.specification.sha256, people)
        if key not in self._groups:
            inputs = checked(bound, *_made(bound, people))
            self._groups[key] = grouped(bound, period, inputs, b"s" * 32)
        return self._groups[key]


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """A specification of the sample, with changes."""
    document: dict[str, Any] = yaml.safe_load((SAMPLE / f"{name}.yaml").read_text("utf-8"))
    return document | changes


def small(**changes: Any) -> dict[str, Any]:
    """A specification of two small tables, with the noise that surely hides the least of their groups."""
    tables = [
        {"name": "by_browser", "title": "By browser", "dimensions": ["browser"]},
        {"name": "by_section", "title": "By section", "dimensions": ["section"], "max_groups": 2},
    ]
    audiences = {"partner": ["by_browser", "by_section"], "reseller": ["by_browser"]}
    document = specification_document(tables=tables, audiences=audiences)
    document["privacy"] = {**document["privacy"], "noise": "discrete Laplace"}
    return document | changes


def _made(bound: BoundSpecification, number: int) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """People, and what they did where the tables ask for it."""
    dimensions = {one.name: one for table in bound.tables for one in table.dimensions}.values()
    people = {one.name: _keys(one.name, one.keys, number) for one in dimensions if one.per_person}
    many = [one for one in dimensions if not one.per_person]
    sums = {total.measured.quantity for table in bound.tables for total in table.totals} - {PEOPLE, EVENTS}
    frame = pd.DataFrame({"person": range(number), **people})
    if not many and not sums:
        return frame, None
    rows = number * _EVENTS_EACH
    events = {one.name: _keys(one.name, one.keys, rows) for one in many}
    amounts = dict.fromkeys(sums, np.random.default_rng(7).integers(1_000, 90_000, rows))
    return frame, pd.DataFrame({"person": np.repeat(np.arange(number), _EVENTS_EACH), **events, **amounts})


def _keys(name: str, keys: tuple[str, ...], rows: int) -> list[str]:
    """Keys of which few are frequent, the same ones each time."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
    weights = 1 / np.arange(1, len(keys) + 1) ** 1.4
    chosen: list[str] = rng.choice(
        rng.permutation(np.array(keys, dtype=object)), rows, p=weights / weights.sum()
    ).tolist()
    return chosen
