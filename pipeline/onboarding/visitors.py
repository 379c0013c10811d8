"""A look at visitor logs that nobody has described yet."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.errors import SourceError
from pipeline.onboarding import log_notes
from pipeline.periods import Period, PeriodKind
from pipeline.progress import Progress
from pipeline.site import LogSource, SectionRule, VisitorSource
from pipeline.sources.logs import find_logs
from pipeline.sources.survey import TRAILED, FileSurvey, LogSurvey, TrailingFields, survey_logs

# Fewer than so many addresses: the section or the domain is not named in a site file.
ADDRESSES: Final = 50
MOST_NAMED: Final = 20
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_ADDRESS: Final = "://"
# Where visitors come from anywhere: never a site's own domain.
_EVERYBODYS: Final = re.compile(
    r"(^|\.)(google|bing|yahoo|yandex|baidu|duckduckgo|ask|aol|ecosia|qwant|startpage|facebook|twitter|reddit|youtube"
    r"|linkedin|pinterest|instagram|github|stackoverflow|wikipedia|ycombinator|t)\.[a-z.]+$"
)


@dataclass(frozen=True)
class VisitorPlan:
    """What the site file will say about visitors.

    Attributes:
        source: The section of the site file.
        dimensions: Those of a person that the logs tell of.
        periods: Weeks that the logs have lines in.
        last_month: The month of the latest line.
        took: For people to read.
        left: Fields that are not read, each with the reason.
        notes: What an engineer should check.
    """

    source: VisitorSource
    dimensions: frozenset[str]
    periods: tuple[Period, ...]
    last_month: Period
    took: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def look_at_logs(patterns: Sequence[str], zone: ZoneInfo, progress: Progress) -> VisitorPlan:
    """Survey logs and decide what of them to declare.

    Args:
        patterns: Paths, globs or addresses, as a site file names them.
        zone: Of the weeks, and of logged times that carry none.
        progress: Told what was read.

    Raises:
        SourceError: A log is missing, unreadable or empty, or most lines are in no known format.
    """
    base = Path.cwd()
    sources = [LogSource(paths=(_absolute(pattern, base),)) for pattern in dict.fromkeys(patterns)]
    survey = survey_logs(find_logs(sources, base), zone, progress)
    last_day = _require_known(survey)
    own_domains = _own_domains(survey)
    source = VisitorSource(
        logs=tuple(_declared(one, [file for file in survey.files if file.file.source == one]) for one in sources),
        own_domains=own_domains,
        sections=_sections(survey.segments),
        referrer_domains=_domains(survey.referrer_domains, own_domains),
    )
    weeks = sorted({Period.containing(day, PeriodKind.WEEK) for day, lines in survey.days.items() if lines})
    return VisitorPlan(
        source=source,
        dimensions=_dimensions(survey),
        periods=tuple(weeks),
        last_month=Period.containing(last_day, PeriodKind.MONTH),
        took=log_notes.took(source, survey),
        left=log_notes.left(survey, ADDRESSES),
        notes=log_notes.notes(source, survey),
    )


def _absolute(pattern: str, base: Path) -> str:
    return pattern if _ADDRESS in pattern else str(base / Path(pattern).expanduser())


def _require_known(survey: LogSurvey) -> dt.date:
    """The latest day of logs that can be read."""
    if survey.last_day is None or 2 * survey.matched <= survey.lines:
        raise SourceError(
            "most lines of visitor logs must be in a format that is read",
            value="no known format in half of the lines or more",
            remedy="Name the access logs alone. Where their format is the server's own, write a site file that "
            "declares it: docs/sources.md says how.",
        )
    return survey.last_day


def _declared(source: LogSource, files: Sequence[FileSurvey]) -> str | LogSource:
    """What stands under ``logs``: the pattern alone, if looking at the files tells the rest."""
    trailing = sum((file.trailing for file in files), TrailingFields()).declared
    if not trailing:
        return source.paths[0]
    names = {TRAILED.get(file.format, source.format) for file in files if file.is_known}
    return LogSource(
        paths=source.paths, format=names.pop() if len(names) == 1 else source.format, trailing_fields=trailing
    )


def _dimensions(survey: LogSurvey) -> frozenset[str]:
    found = ["country"]
    found += ["operating_system", "browser"] if survey.agents else []
    found += ["referrer_class"] if survey.referrers else []
    found += ["language"] if survey.languages else []
    return frozenset(found)


def _sections(segments: Mapping[str, int]) -> tuple[SectionRule, ...]:
    common = [name for name, addresses in segments.items() if addresses >= ADDRESSES and _WORD.fullmatch(name)]
    rules: dict[str, list[str]] = {}
    for segment in common:
        rules.setdefault(segment.lower().replace("-", "_"), []).extend((f"/{segment}", f"/{segment}/*"))
    rules.pop("other", None)
    return tuple(SectionRule(section=name, paths=tuple(paths)) for name, paths in sorted(rules.items())[:MOST_NAMED])


def _domains(domains: Mapping[str, int], own: tuple[str, ...]) -> tuple[str, ...]:
    common = [name for name, addresses in domains.items() if addresses >= ADDRESSES and name not in own]
    return tuple(sorted(common[:MOST_NAMED]))


def _own_domains(survey: LogSurvey) -> tuple[str, ...]:
    """A guess: pages of one's own refer to each other more than any other site refers to them."""
    ranked = sorted(survey.referrer_domains.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < ADDRESSES or _EVERYBODYS.search(ranked[0][0]):
        return ()
    runner_up = ranked[1][1] if len(ranked) > 1 else 0
    return (ranked[0][0],) if ranked[0][1] >= 2 * runner_up else ()
