"""What to do with each column of a customer table: default deny, and a reason for everything that is left out."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ConfigurationError
from pipeline.onboarding import wording
from pipeline.onboarding.profiles import PEOPLE_A_VALUE, Profile
from pipeline.periods import Period, PeriodKind
from pipeline.site import BandColumn, CategoryColumn, CountryColumn, YearColumn
from pipeline.sources.headers import is_ordinary, show_name

Column = CountryColumn | CategoryColumn | BandColumn | YearColumn
YEARS_NAMED: Final = 10
MOST_VALUES: Final = 30
_RESERVED: Final = frozenset({"person", "product"})
# What no value of a category looks like: an address, a link, a number of a person or a thing, a sentence.
_NO_CATEGORY: Final = re.compile(r"@|://|\d{5}|[\x00-\x1f\"\\]|.{41}|(\S+\s+){5}")
# Words for a missing value; they are counted as other.
_MISSING: Final = frozenset({"na", "n/a", "null", "none", "nan", "-", "?", "unknown", "other"})


@dataclass(frozen=True)
class CustomerPlan:
    """What the site file will say about customers.

    Attributes:
        person: Column that tells customers apart.
        signed_up: Column with the date of sign-up; None where there is none that can be relied on.
        dimensions: By name.
        period: The month to begin with.
        left: Columns that are not read, as shown to people, each with the reason.
    """

    person: str
    signed_up: str | None
    dimensions: Mapping[str, Column]
    period: Period
    left: tuple[tuple[str, str], ...]


def readable_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns whose names say nothing against looking into them, and those that may be the key."""
    keys = any(wording.key_rank(name) for name in columns)
    return tuple(
        name
        for name in columns
        if columns.count(name) == 1
        and (wording.key_rank(name) or wording.reason_by_name(name) is None or (not keys and wording.is_email(name)))
    )


def plan_customers(columns: tuple[str, ...], profiles: Mapping[str, Profile], month: Period) -> CustomerPlan:
    """Decide about every column.

    Args:
        columns: All columns of the table.
        profiles: Of the readable ones.
        month: To begin with, if anybody had signed up by then; else the month of the first sign-up is.

    Raises:
        ConfigurationError: No column tells customers apart, or none is left that may be counted by.
    """
    person = _person(profiles)
    signed_up = _sign_up(profiles)
    period = _with_customers(month, profiles[signed_up].earliest if signed_up else None)
    dimensions: dict[str, Column] = {}
    left = []
    for place, name in enumerate(columns, 1):
        if name == person:
            continue
        decision = _decide(name, place, profiles.get(name), period.start.year)
        if isinstance(decision, str):
            left.append((show_name(name, place), decision))
        else:
            dimensions[_dimension_name(decision, name, place, dimensions)] = decision
    if not dimensions:
        raise ConfigurationError(
            "a customer source must have at least one column that may be counted by",
            value=f"none of {len(columns)} columns",
            remedy="Countries, categories of few values, numbers and sign-up dates may be counted by.",
        )
    return CustomerPlan(person, signed_up, dimensions, period, tuple(left))


def _with_customers(month: Period, earliest: str | None) -> Period:
    first = Period.containing(dt.date.fromisoformat(earliest), PeriodKind.MONTH) if earliest else month
    return max(month, first)


def round_edges(low: float, high: float) -> tuple[int, ...]:
    """Edges of bands at multiples of 1, 2 or 5 times a power of ten, six at most.

    They follow from the order of magnitude alone: exact quantiles of the column would be a statistic of its people.
    """
    if not high >= 2:
        return ()
    power = 10 ** max(0, math.floor(math.log10(high)) - 1)
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if high / (power * factor) <= 7)
    first = max(1, math.floor(low / step))
    return tuple(step * multiple for multiple in range(first, min(math.floor(high / step), first + 6) + 1))


def _person(profiles: Mapping[str, Profile]) -> str:
    ranked = [(wording.key_rank(name), name) for name, found in profiles.items() if found.unique]
    named = [(rank, name) for rank, name in ranked if rank]
    if named:
        return max(named, key=lambda pair: pair[0])[1]
    emails = [name for _, name in ranked if wording.is_email(name)]
    if not emails:
        raise ConfigurationError(
            "a customer source must have a column that tells customers apart: a key, or an e-mail address",
            value="no such column with a value of its own in every row",
            remedy="Add the customers' key to the table or to a view of it.",
        )
    return emails[0]


def _sign_up(profiles: Mapping[str, Profile]) -> str | None:
    ranked = [
        (wording.sign_up_rank(name), name)
        for name, found in profiles.items()
        if wording.sign_up_rank(name) and found.instants >= 0.995 * found.rows
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _decide(name: str, place: int, found: Profile | None, last_year: int) -> Column | str:
    """A declaration of the column, or the reason for which it is left out."""
    if reason := wording.reason_by_name(name):
        return reason
    if not is_ordinary(name):
        return "its name does not look like that of a column"
    if found is None or not found.filled:
        return "it is empty" if found else "its name stands in the header more than once"
    if wording.names_country(name) or found.countries >= 0.8:
        return _country(name, found)
    if wording.key_rank(name):
        return "a key of people or things"
    return _generalised(name, wording.title(name, place), found, last_year)


def _generalised(name: str, title: str, found: Profile, last_year: int) -> Column | str:
    few_whole = found.mostly(found.whole) and found.distinct <= MOST_VALUES
    if found.mostly(found.dates):
        return _year(name, title, last_year)
    if found.mostly(found.numbers) and not few_whole:
        return _band(name, title, found)
    return _category(name, title, found)


def _country(name: str, found: Profile) -> Column | str:
    # Codes of provinces and of languages read as countries, too: codes need a name that says country.
    if found.countries >= 0.8 and (wording.names_country(name) or found.longest > 3):
        return CountryColumn(kind="country", column=name)
    return "it may hold countries, but too few of its values can be read as one for certain"


def _year(name: str, title: str, last_year: int) -> Column | str:
    if not wording.sign_up_rank(name):
        return "a date that is not known to be the sign-up"
    return YearColumn(
        kind="year", column=name, title=f"{title}, year", first=last_year - YEARS_NAMED + 1, last=last_year
    )


def _band(name: str, title: str, found: Profile) -> Column | str:
    if found.distinct > 0.9 * found.filled and found.distinct > PEOPLE_A_VALUE and found.high >= 1e6:
        return "nearly every row has a number of its own: it may identify"
    if found.high >= 1e9:
        return "numbers so large may identify"
    edges = round_edges(found.low, found.high)
    if not edges:
        return "its numbers are too much alike for bands"
    return BandColumn(kind="band", column=name, title=title, edges=edges)


def _category(name: str, title: str, found: Profile) -> Column | str:
    if found.distinct > 0.5 * found.filled or found.longest > 200:
        return "free text, or nearly a value of its own in every row"
    values = tuple(value for value in found.common if not _NO_CATEGORY.search(value) and value.lower() not in _MISSING)
    if len(values) < 2:
        return f"fewer than two values are held by at least {PEOPLE_A_VALUE} people each"
    if len(values) > MOST_VALUES:
        return f"more than {MOST_VALUES} values are common"
    return CategoryColumn(kind="category", column=name, title=title, values=values)


def _dimension_name(column: Column, name: str, place: int, taken: Mapping[str, Column]) -> str:
    wanted = "country" if isinstance(column, CountryColumn) and "country" not in taken else wording.slug(name, place)
    wanted = f"{wanted}_year" if isinstance(column, YearColumn) else wanted
    return f"{wanted[:32]}_{place}" if wanted in taken or wanted in _RESERVED else wanted
