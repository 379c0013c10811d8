"""A look at visitor logs that nobody has described yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigurationError, SourceError
from pipeline.periods import Period, PeriodKind
from pipeline.progress import Progress
from pipeline.site import SectionRule, VisitorSource
from pipeline.sources.logs import find_logs
from pipeline.sources.survey import LogSurvey, survey_logs

# Fewer than so many addresses: the section or the domain is not named in a site file.
ADDRESSES: Final = 50
MOST_NAMED: Final = 20
MOST_TRAILING: Final = 10
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
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
        periods: Weeks that the logs have lines in.
        last_month: The month of the latest line.
        took: For people to read.
        left: Fields that are not read, each with the reason.
        notes: What an engineer should check.
    """

    source: VisitorSource
    periods: tuple[Period, ...]
    last_month: Period
    took: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def look_at_logs(patterns: Sequence[str], zone: ZoneInfo, progress: Progress) -> VisitorPlan:
    """Survey logs and decide what of them to declare.

    Raises:
        SourceError: A log is missing, unreadable or empty, or most lines are in no known format.
    """
    base = Path.cwd()
    paths = find_logs(patterns, base)
    survey = survey_logs(paths, zone, progress)
    if survey.matched <= survey.lines / 2 or survey.last_day is None:
        raise SourceError(
            "most lines of a visitor log must be in the combined format of Apache and nginx",
            value="a wrong format in more than half of the lines",
            remedy="Log in the combined format, or name other files.",
        )
    own_domains = _own_domains(survey)
    source = VisitorSource(
        logs=tuple(str(base / Path(pattern).expanduser()) for pattern in patterns),
        trailing_fields=_trailing(survey),
        own_domains=own_domains,
        sections=_sections(survey.segments),
        referrer_domains=_domains(survey.referrer_domains, own_domains),
    )
    weeks = sorted({Period.containing(day, PeriodKind.WEEK) for day, lines in survey.days.items() if lines})
    month = Period.containing(survey.last_day, PeriodKind.MONTH)
    return VisitorPlan(source, tuple(weeks), month, _took(source, len(paths)), _left(source), _notes(source, survey))


def _trailing(survey: LogSurvey) -> tuple[Literal["accept_language", "-"], ...]:
    count = survey.trailing_fields
    if count > MOST_TRAILING:
        raise ConfigurationError(
            f"a log may have {MOST_TRAILING} fields after the user agent", value=count, remedy="Log fewer fields."
        )
    return tuple("accept_language" if place == survey.accept_language_at else "-" for place in range(count))


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


def _took(source: VisitorSource, files: int) -> tuple[str, ...]:
    took = [
        f"visitor logs: {files} file(s) in the combined format",
        "country from the network address, operating system and browser from the user agent",
        "class of the referrer, status class, hour and weekday",
    ]
    if "accept_language" in source.trailing_fields:
        took.append("browser language from the Accept-Language field")
    if source.sections:
        took.append(f"sections of the site: {', '.join(rule.section for rule in source.sections)}")
    if source.referrer_domains:
        took.append(f"referring sites by name: {', '.join(source.referrer_domains)}")
    return tuple(took)


def _left(source: VisitorSource) -> tuple[tuple[str, str], ...]:
    left = [
        ("network address and user agent", "identifiers: generalised in memory, never stored"),
        ("remote user and identity fields", "identifiers: never read"),
        ("query strings and whole referrers", "may hold names, e-mail addresses and tokens"),
        (
            "paths and referring sites of few visitors",
            f"asked for by fewer than {ADDRESSES} addresses: counted as other",
        ),
    ]
    unread = source.trailing_fields.count("-")
    if unread:
        left.append((f"{unread} field(s) after the user agent", "not known to be a language; may be cookies"))
    return tuple(left)


def _notes(source: VisitorSource, survey: LogSurvey) -> tuple[str, ...]:
    notes = []
    if source.own_domains:
        notes.append(f"own_domains is a guess, the most common referrer by far: {', '.join(source.own_domains)}")
    else:
        notes.append("own_domains cannot be told from the logs: fill it in, or internal links count as other sites")
    if survey.lines and 1 - survey.matched / survey.lines > source.max_rejected_share:
        notes.append(
            "more lines than max_rejected_share are in no known format: ingestion will stop until it is raised"
        )
    return tuple(notes)
