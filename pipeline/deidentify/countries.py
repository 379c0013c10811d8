"""Names and codes of countries and their regions as people write them, read as codes of ISO 3166-1 and 3166-2.

Whole names and codes only: a search by similarity would find a country for every province that has one in its name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

import pycountry

from pipeline.vocabulary import OTHER

# Names that are in use and that ISO 3166-1 has not, or no longer.
_ALIASES: Final = {
    "UK": "GB", "Great Britain": "GB", "Britain": "GB", "England": "GB", "Scotland": "GB", "Wales": "GB",
    "Northern Ireland": "GB", "USA": "US", "U.S.": "US", "U.S.A.": "US", "United States of America": "US",
    "America": "US", "Russia": "RU", "South Korea": "KR", "Korea": "KR", "Republic of Korea": "KR",
    "North Korea": "KP", "Czech Republic": "CZ", "Viet Nam": "VN", "Vietnam": "VN", "Iran": "IR", "Syria": "SY",
    "Laos": "LA", "Moldova": "MD", "Bolivia": "BO", "Venezuela": "VE", "Tanzania": "TZ", "Taiwan": "TW",
    "Brunei": "BN", "Macedonia": "MK", "North Macedonia": "MK", "Swaziland": "SZ", "Cape Verde": "CV",
    "Ivory Coast": "CI", "Burma": "MM", "East Timor": "TL", "Palestine": "PS", "Vatican": "VA", "Vatican City": "VA",
    "Holland": "NL", "The Netherlands": "NL", "Turkey": "TR", "Turkiye": "TR", "UAE": "AE", "Hong Kong": "HK",
    "Hong Kong SAR": "HK", "Macau": "MO", "Macao": "MO", "Republic of Ireland": "IE", "Eire": "IE",
    "Congo-Kinshasa": "CD", "DR Congo": "CD", "Democratic Republic of the Congo": "CD", "Congo-Brazzaville": "CG",
    "Republic of the Congo": "CG", "Micronesia": "FM", "The Bahamas": "BS", "The Gambia": "GM", "Reunion": "RE",
    "St. Lucia": "LC", "St. Kitts and Nevis": "KN", "St. Vincent and the Grenadines": "VC", "EL": "GR",
    "Deutschland": "DE", "Österreich": "AT", "Schweiz": "CH", "Suisse": "CH", "Svizzera": "CH", "España": "ES",
    "Italia": "IT", "Brasil": "BR", "Belgique": "BE", "België": "BE", "Nederland": "NL", "Danmark": "DK",
    "Norge": "NO", "Sverige": "SE", "Suomi": "FI", "Polska": "PL", "Magyarország": "HU", "Česko": "CZ",
}  # fmt: skip


def country_codes(names: Iterable[str]) -> dict[str, str]:
    """Read names and codes as countries.

    Args:
        names: Alpha-2, alpha-3 or numeric codes; short, official, common or well-known other names, in any case and
            with or without accents.

    Returns:
        The alpha-2 code of every name that is one; other names are left out.
    """
    known = _known()
    found = ((name, known.get(_plain(name))) for name in names)
    return {name: code for name, code in found if code is not None}


def region_codes(names: Iterable[str], countries: tuple[str, ...]) -> dict[str, str]:
    """Read names and codes as regions of countries.

    Args:
        names: Codes (``DE-BE``; ``BE`` where one country alone is given) or names of subdivisions.
        countries: Alpha-2 codes of the countries whose regions are told.

    Returns:
        The code of every name that is a region of one of the countries, ``other`` of every name that is a code of a
        region elsewhere, or a name that regions elsewhere alone have; names of none, or of several, are left out.
    """
    known = _known_regions(countries)
    found = ((name, known.get(_plain(name))) for name in names)
    return {name: code for name, code in found if code is not None}


@cache
def _known_regions(countries: tuple[str, ...]) -> dict[str, str]:
    """By code and name as ``_plain`` writes it: the region's code, or ``other``."""
    elsewhere = {_plain(word): OTHER for region in pycountry.subdivisions for word in (region.code, region.name)}
    named: dict[str, set[str]] = {}
    for region in pycountry.subdivisions:
        if region.country_code in countries:
            named.setdefault(_plain(region.name), set()).add(region.code)
    several = {name for name, codes in named.items() if len(codes) > 1}
    table = {name: code for name, code in elsewhere.items() if name not in several}
    table |= {name: min(codes) for name, codes in named.items() if name not in several}
    codes = [region.code for region in pycountry.subdivisions if region.country_code in countries]
    if len(countries) == 1:
        table |= {_plain(code.partition("-")[2]): code for code in codes}
    return table | {_plain(code): code for code in codes}


@cache
def _known() -> dict[str, str]:
    table: dict[str, str] = {}
    for country in pycountry.countries:
        for attribute in ("alpha_2", "alpha_3", "numeric", "name", "official_name", "common_name"):
            if name := getattr(country, attribute, None):
                table.setdefault(_plain(name), country.alpha_2)
    table.update((_plain(name), code) for name, code in _ALIASES.items())
    return table


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
    return re.sub(r"\W+", " ", bare.replace("&", " and ")).strip()
