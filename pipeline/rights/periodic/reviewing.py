"""Makes a periodic review, and writes what it found for people and for programs."""

from __future__ import annotations

import datetime as dt
import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline import __version__
from pipeline.errors import ChecksFailedError, DemographicsError, kind_and_place
from pipeline.privacy.ledger import Ledger
from pipeline.progress import Progress, silent
from pipeline.publication import files
from pipeline.rights import pages
from pipeline.rights.periodic import kept, published, recipients
from pipeline.rights.periodic.evidence import Evidence
from pipeline.rights.periodic.findings import Failure, Finding, Findings, Looked
from pipeline.site import SiteFile
from pipeline.workspace import Workspace

REPORT_NAME: Final = "report.html"
FACTS_NAME: Final = "report.json"
_MOST_SHOWN: Final = 30  # of one check on the page; the JSON has all


@dataclass(frozen=True)
class Check:
    """One promise that is looked at.

    Attributes:
        name: In a word.
        promise: What holds where it passes, as a sentence.
        things: What is looked at, in the plural.
        look: Looks at all of them.
    """

    name: str
    promise: str
    things: str
    look: Callable[[Evidence], Looked]

    def make(self, evidence: Evidence) -> Finding:
        """Look; a check that cannot be made is one that fails."""
        try:
            seen = self.look(evidence)
        except DemographicsError as failure:
            seen = Looked(0, (Failure.of(failure),))
        except Exception as failure:  # noqa: BLE001 - whatever it is, its message may quote what it read
            words = f"This could not be checked: {kind_and_place(failure)}"
            seen = Looked(0, (Failure(words, "Mend that, and review again."),))
        return Finding(self.name, self.promise, seen.at, self.things, seen.failures, seen.told)


# One check a promise, in the order in which they are read.
CHECKS: Final = (
    Check(
        "Bundles",
        "Every published bundle is signed by the publisher, complete, untouched, and the very one that was recorded.",
        "bundles",
        published.genuine,
    ),
    Check(
        "Shelves",
        "Recipients can read exactly what the ledger says was published.",
        "bundles",
        published.complete,
    ),
    Check(
        "Entitlements",
        "Each audience has the tables that the approved specification grants it, and no others.",
        "bundles",
        published.entitled,
    ),
    Check(
        "Recipients",
        "The entitlements in force give no recipient more than today's specifications grant.",
        "entitlements and tokens",
        recipients.in_order,
    ),
    Check(
        "Approvals",
        "A reviewer's living approval covers exactly what was published.",
        "releases",
        published.approved,
    ),
    Check(
        "Purposes",
        "The privacy policy in force covers the purpose and the audiences of each release that is published.",
        "releases",
        published.covered,
    ),
    Check(
        "Ledger",
        "Every entry of the ledger continues the chain of hashes, and all that was drawn and checked is as recorded.",
        "entries",
        kept.unbroken,
    ),
    Check(
        "Budget",
        "No rolling year of releases has cost more privacy than the cap of its population.",
        "rolling years",
        kept.within_caps,
    ),
    Check(
        "Specifications",
        "Every specification stands as it was when a reviewer last approved a release of it.",
        "specifications",
        kept.approved_specifications,
    ),
    Check(
        "Requests",
        "Every request of a person is in force within 48 hours, or still has time.",
        "requests",
        kept.requests_in_time,
    ),
    Check(
        "Retention",
        "No staging, key, access packet or Data Docs are kept longer than declared; no killed run has left anything.",
        "holdings",
        kept.kept_no_longer,
    ),
    Check(
        "Keys",
        "Every key can be read by its owner only.",
        "key files",
        kept.keys_closed,
    ),
)


def review_everything(workspace: Workspace, site: SiteFile, now: dt.datetime, progress: Progress = silent) -> Findings:
    """Check everything that was published, and all that is kept, against what was promised.

    Args:
        workspace: Where it lies.
        site: As it is declared today.
        now: The time, with a time zone.
        progress: Told of each check.

    Returns:
        What was found, also where a check could not be made: that is a failure of it.

    Raises:
        LedgerError: The ledger cannot be read at all.
    """
    evidence = Evidence(workspace, site, now, Ledger.open(workspace.ledger))
    findings = []
    for number, check in enumerate(CHECKS):
        progress("reviewing", number, len(CHECKS))
        findings.append(check.make(evidence))
    progress("reviewing", len(CHECKS), len(CHECKS))
    return Findings(site.publisher or site.site, now.astimezone(site.zone), tuple(findings))


def write_report(workspace: Workspace, findings: Findings) -> Path:
    """Write ``reports/periodic/{YYYY-MM}/report.json`` and ``report.html``; those of an earlier review give way.

    Returns:
        The page.

    Raises:
        ChecksFailedError: It cannot be written.
    """
    folder = workspace.home / "reports" / "periodic" / findings.month
    try:
        files.replace(folder / FACTS_NAME, findings.to_bytes())
        files.replace(folder / REPORT_NAME, page_of(findings).encode())
    except OSError as failure:
        raise ChecksFailedError(
            "the periodic review must be able to write its report",
            value=f"{errno.errorcode.get(failure.errno or 0, type(failure).__name__)} under {folder}",
            remedy="Free space or correct the permissions, then run it again.",
        ) from None
    return folder / REPORT_NAME


def page_of(findings: Findings) -> str:
    """The page of a review: what failed at first, each with its remedy."""
    return pages.render("periodic.html.j2", review=findings, most=_MOST_SHOWN, code_version=__version__)
