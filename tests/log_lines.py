"""Makes lines of visitor logs, and stages them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.deidentify.staging import Staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.workspace import Workspace
from tests.staged import rows_of

DAY = Period.parse("2026-10-05")
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def line(  # noqa: PLR0913
    *,
    address: str = "8.8.8.8",
    time: str = "05/Oct/2026:10:00:00 +0000",
    request: str = "GET /docs/a HTTP/1.1",
    status: str = "200",
    referrer: str = "-",
    agent: str = CHROME,
    tail: str = "",
) -> str:
    return f'{address} - - [{time}] "{request}" {status} 12 "{referrer}" "{agent}"{tail}\n'


def site_of(**options: Any) -> SiteFile:
    declared = {
        "logs": ["*.log*"],
        "period": "day",
        "own_domains": ["example.com"],
        "referrer_domains": ["example.org"],
        "sections": [{"section": "docs", "paths": ["/docs/*"]}, {"section": "shop", "paths": ["/shop", "/shop/*"]}],
        "max_rejected_share": 1.0,
    }
    zone = options.pop("time_zone", "UTC")
    if trailing := options.pop("trailing_fields", None):
        options["logs"] = [{"paths": declared["logs"], "format": "combined", "trailing_fields": trailing}]
    budget = {"visitors": {"epsilon": 1, "delta": 1e-6}}
    document = {"site": "Test", "time_zone": zone, "visitors": {**declared, **options}, "budget": budget}
    return SiteFile.model_validate(document)


def stage(home: Path, *lines: str, period: Period = DAY, **options: Any) -> Staging:
    (home / "access.log").write_text("".join(lines), "utf-8", newline="")
    return stage_visitors(Workspace(home), site_of(**options), period)


def events(staging: Staging) -> list[dict[str, Any]]:
    return rows_of(staging.events)


def column(staging: Staging, name: str) -> list[str]:
    return sorted(row[name] for row in events(staging))


def counts(staging: Staging) -> tuple[int, int, dict[str, int], dict[str, int]]:
    found = staging.manifest.sources["visitor logs"]
    return found.read, found.used, found.left_out, found.rejected
