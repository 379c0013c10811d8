"""A small site with everything that the program keeps: staging, keys, a ledger, a published release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline import flow
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import write_checks
from pipeline.privacy.ledger import Ledger
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdict, Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, KEYS_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.builders import WEEK, pseudonym, site_document, specification_document, write_visitors
from tests.reviewing import approve

RELEASE, PERIOD = "weekly", "2026-W41"
KEY = ReleaseKey(RELEASE, PERIOD)
CHECKS = Verdicts((Verdict("release", "by_country", "no group is smaller than k", True),))
STAGED = Verdicts(
    tuple(Verdict(suite, "staging", "nothing is wrong", True) for suite in ("sources", "staging_visitors"))
)
POLICY: dict[str, Any] = {
    "versions": [
        {
            "version": "2026-01",
            "effective": "2026-01-01",
            "purposes": {
                "demographics": {
                    "text": "Generic aggregated demographics.",
                    "audiences": ["partner", "affiliate", "reseller", "advertiser"],
                }
            },
        }
    ]
}
# So strict that it shows nobody: drawing charts would take most of the time.
SPECIFICATION = specification_document(
    purpose="demographics",
    privacy={"epsilon": 1, "delta": 1e-7, "k": 100_000},
    tables=[
        {"name": "by_country", "title": "By country", "dimensions": ["country"]},
        {"name": "by_browser", "title": "By browser", "dimensions": ["browser"]},
    ],
    audiences={"partner": ["by_country", "by_browser"], "reseller": ["by_country"]},
)


def enter(patch: pytest.MonkeyPatch, home: Path) -> Workspace:
    """Work in a home, with its own specifications, ledger and keys."""
    patch.setenv(HOME_VARIABLE, str(home))
    patch.setenv(RELEASES_VARIABLE, str(home / "releases"))
    patch.setenv(LEDGER_VARIABLE, "")
    patch.setenv(KEYS_VARIABLE, "file")
    return Workspace(home)


def write_home(home: Path, **site: object) -> Workspace:
    """A home with a week of checked staging, and nothing drawn."""
    workspace = Workspace(home)
    (home / "releases").mkdir(parents=True)
    document = site_document() | {"time_zone": "Europe/Berlin", "contact": "privacy@example.com"} | site
    workspace.site_file.write_text(yaml.safe_dump(document), "utf-8")
    workspace.policy_file.write_text(yaml.safe_dump(POLICY), "utf-8")
    (home / "releases" / f"{RELEASE}.yaml").write_text(yaml.safe_dump(SPECIFICATION), "utf-8")
    period_key(workspace, Population.VISITORS, WEEK)
    people = pd.DataFrame({"person": [pseudonym(number) for number in range(60)]})
    write_checks(write_visitors(workspace.staging(Population.VISITORS, WEEK), people), STAGED.to_bytes())
    return workspace


def draw_weekly(workspace: Workspace) -> None:
    """Draw the release, and record verdicts on it."""
    flow.draw(RELEASE, PERIOD)
    Ledger.open(workspace.ledger).record_checks(KEY, CHECKS.to_bytes(), passed=True)


def publish_weekly(workspace: Workspace) -> str:
    """Approve the drawn release and publish it."""
    approve(KEY.release, KEY.period)
    return flow.publish(RELEASE, PERIOD)
