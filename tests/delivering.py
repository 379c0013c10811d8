"""Sites whose bundles are published, with recipients who may read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
import yaml

from pipeline.delivery.approvals import Approvals, digest_of, in_force
from pipeline.privacy.chain import EntryKind
from pipeline.publication import bundle
from pipeline.publication.bundle import Approved, PublishedBundle, publish_release
from pipeline.publication.spending import year_of
from pipeline.review.reviewers import Signer
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdicts
from tests.recorded import RecordedSite, sample, small

__all__ = ["ENTITLEMENTS", "DeliveredSite", "sample", "small"]

# One recipient of each kind, and two resellers with countries of their own.
ENTITLEMENTS: Final[dict[str, Any]] = {
    "recipients": [
        {"name": "acme", "title": "Acme Analytics", "audience": "partner", "receives": {"weekly_audience": {}}},
        {"name": "linker", "title": "Linker", "audience": "affiliate", "receives": {"weekly_audience": {}}},
        {
            "name": "north",
            "title": "North Resale",
            "audience": "reseller",
            "receives": {"weekly_audience": {"rows": {"country": ["DE", "DK", "SE"]}, "totals": True}},
        },
        {
            "name": "south",
            "title": "South Resale",
            "audience": "reseller",
            "receives": {"weekly_audience": {"rows": {"country": ["ES", "FR", "IT"]}}},
        },
        {"name": "adline", "title": "Adline", "audience": "advertiser", "receives": {"weekly_audience": {}}},
    ]
}


@dataclass
class DeliveredSite(RecordedSite):
    """A site without sources whose releases are published for real: drawn with noise, approved, signed, on the disk.

    Attributes:
        inspected: Whether the suite ``bundle`` reads each bundle before it becomes visible. It takes most of the time,
            and has tests of its own.
    """

    inspected: bool = False

    def __post_init__(self) -> None:
        """Write the sample's files; specifications are added by ``offer``."""
        super().__post_init__()
        self.workspace.releases.mkdir(exist_ok=True)

    def entitle(self, signer: Signer, document: Mapping[str, Any] | None = None) -> None:
        """Write the file of entitlements, and put it into force."""
        self.workspace.entitlements_file.write_text(yaml.safe_dump(dict(document or ENTITLEMENTS)), "utf-8")
        approvals = Approvals.of(self.workspace)
        if (content := approvals.proposed()) is not None:
            approvals.approve(signer, digest_of(content))

    def offer(self, specification: Mapping[str, Any]) -> None:
        """Write a specification where entitlements are checked against it."""
        path = self.workspace.releases / f"{specification['release']}.yaml"
        path.write_text(yaml.safe_dump(dict(specification)), "utf-8")

    def deliver(self, specification: Mapping[str, Any], period: str, signer: Signer, **more: Any) -> ReleaseKey:
        """Draw, check, approve and publish a release, with its bundles."""
        self.offer(specification)
        key = self.waiting(specification, period, **more)
        self.register.approve(key, signer, "Numbers and noise look as usual.")
        self.put_out(key)
        return key

    def put_out(self, key: ReleaseKey) -> tuple[PublishedBundle, ...]:
        """Write the bundles of an approved release."""
        approval = self.register.approval(key)
        verdicts = Verdicts.from_bytes(self.ledger.checks(key) or b"[]")
        approved = Approved(approval.candidate_sha256, approval.reviewer, approval.decided_at, approval.scripted)
        cuts, year = in_force(self.workspace).cuts(key.release), year_of(self.workspace, self.ledger, key)
        with pytest.MonkeyPatch.context() as patch:
            if not self.inspected:
                patch.setattr(bundle, "_inspect", lambda *_: None)
            bundles = publish_release(self.workspace, self.release(key), verdicts, approved, cuts, year)
        digests = {one.shelf: one.manifest_sha256 for one in bundles if one.is_whole}
        told = {"candidate_sha256": approval.candidate_sha256, "manifests": digests}
        self.ledger.record(EntryKind.PUBLISHED, key, told)
        return bundles
