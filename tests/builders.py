"""Makes small sites, specifications and staging for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml

from pipeline.deidentify.places import Folder
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import EVENTS
from pipeline.periods import Period
from pipeline.vocabulary import Population
from tests.staged import put_staging

WEEK = Period.parse("2026-W41")
SECTIONS = ("home", "docs", "download", "blog")
EVENT_DEFAULTS = {
    "country": "DE",
    "operating_system": "Windows",
    "browser": "Firefox",
    "language": "de",
    "referrer_class": "direct",
    "referrer_domain": "none",
    "section": "home",
    "status_class": "2xx",
    "hour": "10",
    "weekday": "Mon",
    "file_kind": "page",
    "entry_section": None,
    "exit_section": None,
    "from_section": None,
    "to_section": None,
    "visits": 0,
    "page_views": 1,
}
WHOLE_NUMBERS = ("visits", "page_views")


def site_document() -> dict[str, Any]:
    return {
        "site": "Test site",
        "visitors": {
            "logs": ["access.log"],
            "sections": [{"section": name, "paths": [f"/{name}/*"]} for name in SECTIONS],
            "referrer_domains": ["google.com"],
        },
        "budget": {"visitors": {"epsilon": 30, "delta": 1e-5}},
    }


def policy_document() -> dict[str, Any]:
    """Two versions: the second gives to all audiences what the first gives to partners."""

    def version(name: str, audiences: list[str]) -> dict[str, Any]:
        purposes = {"aggregated_demographics": {"text": f"For {', '.join(audiences)}.", "audiences": audiences}}
        return {"version": name, "effective": f"{name}-01-01", "purposes": purposes}

    return {
        "versions": [version("2024", ["partner"]), version("2026", ["partner", "affiliate", "reseller", "advertiser"])]
    }


def write_policy(home: Path, document: Mapping[str, Any] | None = None) -> None:
    """Give a site its policy."""
    (home / "policy.yaml").write_text(yaml.safe_dump(document or policy_document()), "utf-8")


def specification_document(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "release": "weekly",
        "title": "Weekly visitors",
        "description": "Visitors of one week.",
        "owner": "Analytics",
        "purpose": "aggregated_demographics",
        "population": "visitors",
        "period": "week",
        "privacy": {"epsilon": 1, "delta": 1e-7, "k": 50},
        "tables": [
            {"name": "by_country", "title": "By country", "dimensions": ["country"]},
            {
                "name": "by_country_and_system",
                "title": "By country and system",
                "dimensions": ["country", "operating_system"],
            },
            {"name": "by_section", "title": "By section", "dimensions": ["section"], "max_groups": 2},
        ],
        "audiences": {"partner": ["by_country", "by_country_and_system", "by_section"], "reseller": ["by_country"]},
    }
    return document | changes


def pseudonym(number: int) -> str:
    """A person of a test, as staging names people."""
    return hashlib.sha256(f"person {number}".encode()).hexdigest()[:32]


def write_visitors(folder: Path, events: pd.DataFrame, period: Period = WEEK, buckets: int = 1) -> Staging:
    """Staging of visitors from a frame of events, whose missing columns get a default."""
    frame = events.assign(**{name: value for name, value in EVENT_DEFAULTS.items() if name not in events})
    columns = ", ".join(f"{name}::TINYINT AS {name}" for name in WHOLE_NUMBERS)
    texts = ", ".join(f"{name}::VARCHAR AS {name}" for name, value in EVENT_DEFAULTS.items() if value is None)
    rows = duckdb.from_df(frame).project(f"* REPLACE ({columns}, {texts})").to_arrow_table()
    used = {"visitor logs": len(frame)}
    return put_staging(Folder(str(folder)), (Population.VISITORS, period), {EVENTS: rows}, used, buckets)


StagingOf = Callable[[Iterable[Mapping[str, Any]]], Staging]
