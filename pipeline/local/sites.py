"""The site that ``demographics up`` runs on: the sample, or a first description of own sources; and its periods."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from pipeline.local.run import Ingestion
from pipeline.onboarding import OnboardingReport, describe, write_first_site
from pipeline.periods import Period, PeriodKind
from pipeline.progress import Progress
from pipeline.sample import write_sample
from pipeline.site import load_site
from pipeline.sources.logs import find_logs
from pipeline.sources.survey import survey_logs
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_SAMPLE_PERIODS: Final = ("2026-W41", "2026-W42")
_SAMPLE_MONTH: Final = "2026-10"
_PICKED: Final = "periods.json"


def own_home(runs: Path, logs: Sequence[str], customers: str | None) -> Path:
    """The folder of these own sources below ``runs``: the same sources have the same folder."""
    named = json.dumps([*sorted(logs), customers])
    return runs / f"own-{hashlib.sha256(named.encode()).hexdigest()[:8]}"


def sample_site(home: Path, progress: Progress) -> tuple[Ingestion, ...]:
    """Write the sample where it is not there yet.

    Returns:
        Its periods: two weeks of visitors, a month of customers.
    """
    if not (home / "sources" / "sample.json").is_file():
        write_sample(home, progress=progress)
    weeks = [(Population.VISITORS, Period.parse(week)) for week in _SAMPLE_PERIODS]
    return (*weeks, (Population.CUSTOMERS, Period.parse(_SAMPLE_MONTH)))


def own_site(
    home: Path, logs: Sequence[str], customers: str | None, console: Console, progress: Progress
) -> tuple[Ingestion, ...]:
    """Describe own sources where nobody did yet; a site file that is there stands, with what an engineer changed.

    Returns:
        The weeks that the logs cover now, and the month of customers that was picked first.
    """
    workspace = Workspace(home)
    if not workspace.site_file.is_file():
        report = write_first_site(home, logs, customers, progress)
        console.print(describe(report), markup=False, highlight=False)
        _remember(workspace, report)
    site = load_site(workspace.site_file)
    found: list[Ingestion] = []
    if site.visitors:
        survey = survey_logs(find_logs(site.visitors.log_sources, home), site.zone)
        days = [day for day, lines in survey.days.items() if lines]
        weeks = {Period.containing(day, site.visitors.period) for day in days}
        found += [(Population.VISITORS, week) for week in sorted(weeks)]
    if site.customers:
        found.append((Population.CUSTOMERS, _remembered(workspace, site.customers.period)))
    return tuple(found)


def _remember(workspace: Workspace, report: OnboardingReport) -> None:
    picked = {who.value: [str(period) for period in periods] for who, periods in report.periods.items()}
    (workspace.home / _PICKED).write_text(json.dumps(picked, indent=2), "utf-8")


def _remembered(workspace: Workspace, kind: PeriodKind) -> Period:
    picked = json.loads((workspace.home / _PICKED).read_text("utf-8"))[Population.CUSTOMERS.value]
    return Period.containing(Period.parse(picked[-1]).start, kind)
