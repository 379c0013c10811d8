"""The words a release may be made of: populations, audiences, dimensions and their closed key sets.

A key set is public knowledge (a list of countries, of browser families): which of its keys a release lists says
nothing about anybody, only the numbers beside them do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import available_timezones

import pycountry
from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

UNKNOWN = "unknown"
OTHER = "other"
NONE = "none"
# What stands in a dimension of a row that speaks of all, or of all that are not listed: no key of any list.
TOTAL_KEY = "all"
REMAINDER_KEY = "all other"
# What can be counted without any site's declaring it: people, and what they did.
PEOPLE = "people"
EVENTS = "events"


def _not_reserved(key: str) -> str:
    if key in (TOTAL_KEY, REMAINDER_KEY):
        raise ValueError(f"'{TOTAL_KEY}' and '{REMAINDER_KEY}' are kept for totals and remainders")
    return key


NotReserved = AfterValidator(_not_reserved)
NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,39}$"
KEY_PATTERN: Final = r"^[^\x00-\x1f]+$"
# A schema says the same as the validator.
_RESERVED: Final[JsonDict] = {"not": {"enum": [TOTAL_KEY, REMAINDER_KEY]}}
Name = Annotated[str, Field(pattern=NAME_PATTERN, json_schema_extra=_RESERVED), NotReserved]
Key = Annotated[str, Field(min_length=1, max_length=60, pattern=KEY_PATTERN, json_schema_extra=_RESERVED), NotReserved]


class Population(StrEnum):
    """Who is counted."""

    VISITORS = "visitors"
    CUSTOMERS = "customers"


class Audience(StrEnum):
    """To whom the privacy notice lets aggregates be given."""

    PARTNER = "partner"
    AFFILIATE = "affiliate"
    RESELLER = "reseller"
    ADVERTISER = "advertiser"


@dataclass(frozen=True)
class Dimension:
    """One thing by which people can be told apart in a table.

    Attributes:
        name: Column name in staging and in tables.
        title: For people to read.
        per_person: True where a person has one value a period (one row a person); False where a person
            may have many (pages, products), so that a table needs ``max_groups``.
        keys: The closed, public list of values; of an open dimension those that are known beforehand.
        is_open: True where values are taken as they are found: they are not public, and a release names those
            only that many people share.
        is_partial: True where only some events have a value (the first request of a visit, for example); the others
            are of no group. A person of whom no event has one is ``unknown``.
    """

    name: str
    title: str
    per_person: bool
    keys: tuple[str, ...]
    is_open: bool = False
    is_partial: bool = False


@dataclass(frozen=True)
class Quantity:
    """A whole number that events carry and a table can add up.

    Attributes:
        name: ``events`` for their number; otherwise the column of staging that holds it.
        title: For people to read.
        unit: What one of it is.
    """

    name: str
    title: str
    unit: str


# What requests carry, each in a column of staging: 1 where it begins a visit, 1 where a page or a file was got.
VISITS = "visits"
PAGE_VIEWS = "page_views"
VISITOR_QUANTITIES = {
    EVENTS: Quantity(EVENTS, "Requests", "requests"),
    VISITS: Quantity(VISITS, "Visits", "visits"),
    PAGE_VIEWS: Quantity(PAGE_VIEWS, "Pages and downloads", "page views"),
}
COUNTRIES = (*sorted(country.alpha_2 for country in pycountry.countries), UNKNOWN)
OPERATING_SYSTEMS = ("Android", "ChromeOS", "Linux", "Windows", "iOS", "macOS", OTHER, UNKNOWN)
BROWSERS = ("Chrome", "Edge", "Firefox", "Opera", "Safari", "Samsung Internet", OTHER, UNKNOWN)
# Primary language subtags that are offered unless the site file names others (ISO 639-1).
LANGUAGES = (
    "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id",
    "it", "ja", "ko", "lt", "lv", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "th", "tr", "uk",
    "vi", "zh", OTHER, UNKNOWN,
)  # fmt: skip
REFERRER_CLASSES = ("direct", "internal", "search", "social", "mail", "campaign", "site", UNKNOWN)
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
# By the ending of a file's name; what has none is a page. A site may declare kinds of its own.
FILE_KINDS = ("page", "download", "image", "script", "style", "font", "media", "feed", OTHER)
# From the worst down (https://httpd.apache.org/docs/2.4/mod/core.html#loglevel); nginx has some of these.
ERROR_LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
ERROR_KINDS = ("not found", "forbidden", "upstream", "time-out", "encryption", "request", OTHER)
# Zones that a browser may report: places, and UTC.
TIME_ZONES = (*sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")), "UTC")
HOURS = tuple(f"{hour:02d}" for hour in range(24))
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

AUDIENCE_TITLES = {
    Audience.PARTNER: "partners",
    Audience.AFFILIATE: "affiliates",
    Audience.RESELLER: "resellers",
    Audience.ADVERTISER: "advertisers",
}
UNIT_NAMES = {Population.VISITORS: "visitor", Population.CUSTOMERS: "customer"}


def version_keys(versions: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """``Firefox 115``, ``Firefox 116``, ..., and ``other``, ``unknown``."""
    return closed(
        tuple(f"{browser} {n}" for browser, (first, last) in versions.items() for n in range(first, last + 1))
    )


def region_keys(countries: Iterable[str]) -> tuple[str, ...]:
    """Codes of the regions of countries (ISO 3166-2), ``DE-BE``, sorted."""
    named = frozenset(countries)
    return tuple(sorted(region.code for region in pycountry.subdivisions if region.country_code in named))


def closed_dimension(name: str, title: str, keys: tuple[str, ...], *, per_person: bool) -> Dimension:
    """A site's own dimension over a declared list; what is not on the list is ``other`` or ``unknown``."""
    return Dimension(name, title, per_person, closed(keys))


def closed(keys: tuple[str, ...]) -> tuple[str, ...]:
    """A list of keys with ``other`` and ``unknown`` at its end."""
    return tuple(dict.fromkeys((*keys, OTHER, UNKNOWN)))
