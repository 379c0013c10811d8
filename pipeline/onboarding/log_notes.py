"""What a first look at visitor logs has to tell people: what is read, what is not, and what to check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.site import VisitorSource
from pipeline.sources.survey import LogSurvey

_NEARLY_ALL: Final = 0.9
_A_PROXY: Final = 200  # requests for each address that they come from: what no crowd of visitors makes


def took(source: VisitorSource, survey: LogSurvey) -> tuple[str, ...]:
    """What is read."""
    files = ", ".join(f"{number} file(s) in the format {name}" for name, number in survey.formats.items())
    found = [f"visitor logs: {files}", "country from the network address"]
    if survey.agents:
        found.append("operating system and browser from the user agent")
    found.append("status class, kind of file, hour, weekday, and visits")
    if survey.referrers:
        found.append("class of the referrer")
    if survey.languages:
        found.append("browser language from the Accept-Language field")
    if source.sections:
        found.append(f"sections of the site: {', '.join(rule.section for rule in source.sections)}")
    if source.referrer_domains:
        found.append(f"referring sites by name: {', '.join(source.referrer_domains)}")
    return tuple(found)


def left(survey: LogSurvey, addresses: int) -> tuple[tuple[str, str], ...]:
    """What is not read, or not kept, each with the reason.

    Args:
        survey: Of the logs.
        addresses: How many must have asked for what a site file names.
    """
    found = [
        (
            f"network address{' and user agent' * bool(survey.agents)}",
            "identifiers: generalised in memory, never stored",
        ),
        ("names of people who logged in at the server", "identifiers: never read"),
        ("query strings and whole referrers", "may hold names, e-mail addresses and tokens"),
        ("cookies, and whatever else is logged", "nobody declared it: never read"),
        (
            "paths and referring sites of few visitors",
            f"asked for by fewer than {addresses} addresses: counted as other",
        ),
    ]
    trailing = [file.trailing for file in survey.files]
    if unread := max((one.count - len(set(one.declared) - {"-"}) for one in trailing), default=0):
        found.append((f"{unread} field(s) after the user agent", "not known to be a language; may be cookies"))
    return tuple(found)


def notes(source: VisitorSource, survey: LogSurvey) -> tuple[str, ...]:
    """What an engineer should check."""
    return (*_unlogged(survey), *_own_site(source, survey), *_proxies(survey), *_unreadable(source, survey))


def _unlogged(survey: LogSurvey) -> Iterator[str]:
    if not survey.agents:
        yield (
            "no user agent is logged: visitors are told apart by their network address alone, bots are counted as "
            "visitors, operating system and browser are unknown, and no table is over them"
        )
    if not survey.referrers:
        yield "no referring page is logged: how visitors arrived is unknown, and no table is over it"


def _own_site(source: VisitorSource, survey: LogSurvey) -> Iterator[str]:
    if source.own_domains:
        yield f"own_domains is a guess, the most common referrer by far: {', '.join(source.own_domains)}"
    elif survey.referrers:
        yield "own_domains cannot be told from the logs: fill it in, or internal links count as other sites"


def _proxies(survey: LogSurvey) -> Iterator[str]:
    is_private = survey.private >= _NEARLY_ALL * survey.matched
    whence = "private addresses" if is_private else "few addresses"
    is_hidden = is_private or _A_PROXY * survey.peers <= survey.matched
    if 2 * survey.forwarded >= survey.matched:
        told = f"nearly all requests come from {whence}, and " if is_hidden else ""
        yield (
            f"the logs look as if they stood behind a proxy: {told}X-Forwarded-For is logged. Declare the proxy's "
            "networks, for example trusted_proxies: [10.0.0.0/8]; until then everybody behind one of its addresses "
            "counts as one visitor"
        )
    elif is_hidden:
        yield (
            f"nearly all requests come from {whence}, as behind a proxy, and X-Forwarded-For is not logged: visitors "
            "cannot be told apart. Log it, and declare trusted_proxies"
        )


def _unreadable(source: VisitorSource, survey: LogSurvey) -> Iterator[str]:
    if unknown := [file.file.label for file in survey.files if not file.is_known]:
        yield (
            f"{len(unknown)} of {len(survey.files)} files are in no known format, {unknown[0]} for one: leave them "
            "out, or declare how they are written; error logs belong under error_logs"
        )
    if survey.lines - survey.matched > source.max_rejected_share * survey.lines:
        yield "more lines than max_rejected_share are in no known format: ingestion will stop until it is raised"
