"""What visitors can be told apart by: some dimensions always, some where the site file declares what they need."""

from __future__ import annotations

from pipeline.site.visitors import VisitorSource
from pipeline.vocabulary import (
    BROWSERS,
    COUNTRIES,
    ERROR_KINDS,
    ERROR_LEVELS,
    FILE_KINDS,
    HOURS,
    NONE,
    OPERATING_SYSTEMS,
    OTHER,
    REFERRER_CLASSES,
    STATUS_CLASSES,
    TIME_ZONES,
    WEEKDAYS,
    Dimension,
    closed,
    region_keys,
    version_keys,
)


def visitor_dimensions(source: VisitorSource) -> dict[str, Dimension]:
    """Dimensions of visitors, by name."""
    found = (*_of_browsers(source), *_of_arrival(source), *_of_requests(source), *_of_visits(source))
    return {dimension.name: dimension for dimension in found}


def _of_browsers(source: VisitorSource) -> list[Dimension]:
    found = [
        Dimension("country", "Country", True, COUNTRIES),
        Dimension("operating_system", "Operating system", True, OPERATING_SYSTEMS),
        Dimension("browser", "Browser", True, BROWSERS),
        Dimension("language", "Browser language", True, closed(source.languages)),
    ]
    if source.browser_versions:
        found.append(Dimension("browser_version", "Browser and version", True, version_keys(source.named_versions)))
    if source.regions:
        found.append(Dimension("region", "Region", True, closed(region_keys(source.regions.countries))))
    if source.has_time_zones:
        found.append(Dimension("time_zone", "Time zone", True, closed(TIME_ZONES), is_partial=True))
    return found


def _of_arrival(source: VisitorSource) -> list[Dimension]:
    is_open = source.referrer_domains == "any"
    domains = () if is_open else tuple(dict.fromkeys(source.referrer_domains))
    return [
        Dimension("referrer_class", "How they arrived", True, REFERRER_CLASSES),
        Dimension("referrer_domain", "Referring site", False, (*domains, OTHER, NONE), is_open),
    ]


def _of_requests(source: VisitorSource) -> list[Dimension]:
    kinds = tuple(dict.fromkeys((*(rule.kind for rule in source.file_kinds), *FILE_KINDS)))
    found = [
        Dimension("section", "Section of the site", False, _sections(source)),
        Dimension("file_kind", "Kind of file", False, kinds),
        Dimension("status_class", "Status of the answer", False, STATUS_CLASSES),
        Dimension("hour", "Hour of the day", False, HOURS),
        Dimension("weekday", "Day of the week", False, WEEKDAYS),
    ]
    if source.error_logs:
        found.append(Dimension("error_level", "Level of the error", False, ERROR_LEVELS, is_partial=True))
        found.append(Dimension("error_kind", "Kind of error", False, ERROR_KINDS, is_partial=True))
    return found


def _of_visits(source: VisitorSource) -> list[Dimension]:
    sections = _sections(source)
    return [
        Dimension("entry_section", "Section in which a visit began", False, sections, is_partial=True),
        Dimension("exit_section", "Section in which a visit ended", False, sections, is_partial=True),
        Dimension("from_section", "Section that was left for another", False, sections, is_partial=True),
        Dimension("to_section", "Section that was gone to", False, sections, is_partial=True),
    ]


def _sections(source: VisitorSource) -> tuple[str, ...]:
    return (*dict.fromkeys(rule.section for rule in source.sections), OTHER)
