"""How keys and numbers read on pages for people."""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from decimal import Decimal
from typing import Final

import pycountry

from pipeline.release.artefact import MeasureFacts
from pipeline.vocabulary import PEOPLE, REMAINDER_KEY, TOTAL_KEY

# What people read for obs_status U, low reliability.
ROUGH: Final = "rough"
# A unit that is a part of another, such as ``0.01 EUR``: how much, and of what.
_PART: Final = re.compile(r"(0\.0*1|1) (\S+)")


@functools.cache
def key_label(dimension: str, key: str) -> str:
    """A key as people read it: codes of countries and languages by their names, other keys as they are."""
    if key in (TOTAL_KEY, REMAINDER_KEY):
        return key
    if dimension == "country" and (country := pycountry.countries.get(alpha_2=key)):
        return str(getattr(country, "common_name", country.name))
    if dimension == "language" and (language := pycountry.languages.get(alpha_2=key)):
        return str(language.name)
    return key


def whole_number(value: int) -> str:
    """``12,345``."""
    return f"{value:,}"


def day(when: dt.date) -> str:
    """``5 October 2026``."""
    return f"{when.day} {when:%B %Y}"


def moment(when: dt.datetime) -> str:
    """``5 October 2026, 14:03 UTC``, in the time zone that the instant carries."""
    return f"{day(when)}, {when:%H:%M %Z}"


def decimal(value: float) -> str:
    """Three significant digits, no fewer than the whole part has."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def counted(number: int, what: str) -> str:
    """``1 group``, ``2 groups``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def odds_factor(epsilon: str) -> str:
    """By how much odds change at most, e to the epsilon, in words of a page."""
    value = float(epsilon)
    return f"{math.exp(value):,.3g}" if value < 12 else "more than 100,000"


def raised_chance(epsilon: str) -> str:
    """What an even chance becomes at most: ``73 %``."""
    chance = 1 / (1 + math.exp(-float(epsilon)))
    return f"{100 * chance:.0f} %" if chance < 0.995 else "more than 99 %"


def number_of(measure: MeasureFacts, value: float, *, rounded: bool = False) -> str:
    """A measure's number as people read it: in whole units of its currency, if it is kept in parts of one.

    Args:
        measure: What it is of.
        value: As it stands in files.
        rounded: Whether parts of a unit are left out.
    """
    part, _ = _unit(measure)
    shown = Decimal(str(value)) * part
    if measure.kind == "mean":
        return f"{shown:,.2f}" if abs(shown) >= 1 or part < 1 else f"{float(shown):.3g}"
    digits = 0 if rounded else max(0, -int(part.as_tuple().exponent))
    return f"{shown:,.{digits}f}"


def heading_of(measure: MeasureFacts) -> str:
    """A measure's title, with the unit where the title does not say it."""
    _, unit = _unit(measure)
    return f"{measure.title} ({unit})" if unit and unit.lower() not in measure.title.lower() else measure.title


def bound_of(measure: MeasureFacts, person: str) -> str:
    """What of one person is counted in a measure at most, as a sentence; empty for people and means."""
    if measure.kind in (PEOPLE, "mean"):
        return ""
    _, unit = _unit(measure)
    most = f"{number_of(measure, measure.limit)} {unit}".strip()
    what = "" if unit else f" {measure.unit}"
    return f"{measure.title}: of one {person} at most {most}{what} {measure.scope}."


def _unit(measure: MeasureFacts) -> tuple[Decimal, str]:
    """By what numbers are multiplied to be read, and in what they then are; empty where the title says that."""
    part = _PART.match(measure.unit)
    if part:
        return Decimal(part[1]), part[2]
    return Decimal(1), measure.unit if measure.kind == "sum" else ""
