"""How keys and numbers read on pages for people."""

from __future__ import annotations

import functools
import math

import pycountry

from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY


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
