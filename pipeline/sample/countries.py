"""From where the sample's people come: a share, a time zone and browser languages for each country."""

from __future__ import annotations

from dataclasses import dataclass

import pycountry


@dataclass(frozen=True)
class Country:
    """One country of the sample.

    Attributes:
        code: ISO 3166-1 alpha-2.
        weight: Its people in ten thousand.
        offset: Hours ahead of UTC, most people's.
        tags: Languages its browsers prefer (BCP 47), the most frequent first.
        mobile: Whether most people there come with a telephone.
    """

    code: str
    weight: float
    offset: int
    tags: tuple[str, ...]
    mobile: bool = False

    @property
    def name(self) -> str:
        """As an English form would have it."""
        found = pycountry.countries.get(alpha_2=self.code)
        assert found is not None
        return str(getattr(found, "common_name", found.name))


# The long tail is there so that at k = 50 some countries are withheld.
COUNTRIES = (
    Country("US", 2380, -6, ("en-US", "es-US")),
    Country("DE", 1050, 2, ("de-DE", "tr-TR")),
    Country("GB", 810, 1, ("en-GB",)),
    Country("FR", 600, 2, ("fr-FR",)),
    Country("IN", 640, 5, ("en-IN", "hi-IN"), True),
    Country("BR", 430, -3, ("pt-BR",), True),
    Country("JP", 380, 9, ("ja-JP",)),
    Country("CA", 370, -5, ("en-CA", "fr-CA")),
    Country("NL", 320, 2, ("nl-NL",)),
    Country("AU", 250, 10, ("en-AU",)),
    Country("ES", 240, 2, ("es-ES", "ca-ES")),
    Country("IT", 240, 2, ("it-IT",)),
    Country("PL", 210, 2, ("pl-PL",)),
    Country("SE", 180, 2, ("sv-SE",)),
    Country("CH", 170, 2, ("de-CH", "fr-CH", "it-CH")),
    Country("KR", 160, 9, ("ko-KR",)),
    Country("MX", 150, -6, ("es-MX",), True),
    Country("AT", 130, 2, ("de-AT",)),
    Country("BE", 120, 2, ("nl-BE", "fr-BE")),
    Country("SG", 110, 8, ("en-SG", "zh-CN")),
    Country("DK", 95, 2, ("da-DK",)),
    Country("NO", 90, 2, ("nb-NO",)),
    Country("FI", 85, 3, ("fi-FI", "sv-FI")),
    Country("CZ", 80, 2, ("cs-CZ",)),
    Country("TR", 80, 3, ("tr-TR",), True),
    Country("ID", 80, 7, ("id-ID",), True),
    Country("UA", 75, 3, ("uk-UA", "ru-UA")),
    Country("PT", 70, 1, ("pt-PT",)),
    Country("ZA", 65, 2, ("en-ZA",), True),
    Country("IE", 60, 1, ("en-IE",)),
    Country("TW", 60, 8, ("zh-TW",)),
    Country("AR", 55, -3, ("es-AR",), True),
    Country("RO", 50, 3, ("ro-RO",)),
    Country("IL", 48, 3, ("he-IL",)),
    Country("HU", 42, 2, ("hu-HU",)),
    Country("GR", 38, 3, ("el-GR",)),
    Country("NZ", 36, 13, ("en-NZ",)),
    Country("CO", 34, -5, ("es-CO",), True),
    Country("VN", 32, 7, ("vi-VN",), True),
    Country("TH", 28, 7, ("th-TH",), True),
    Country("PH", 27, 8, ("en-PH",), True),
    Country("MY", 26, 8, ("en-MY",)),
    Country("CL", 25, -3, ("es-CL",)),
    Country("HK", 24, 8, ("zh-HK", "en-GB")),
    Country("BG", 22, 3, ("bg-BG",)),
    Country("AE", 21, 4, ("ar-AE", "en-GB")),
    Country("NG", 20, 1, ("en-NG",), True),
    Country("EG", 19, 3, ("ar-EG",), True),
    Country("SK", 18, 2, ("sk-SK",)),
    Country("HR", 17, 2, ("hr-HR",)),
    Country("LT", 15, 3, ("lt-LT",)),
    Country("RS", 14, 2, ("sr-RS",)),
    Country("KE", 13, 3, ("en-KE",), True),
    Country("PE", 12, -5, ("es-PE",), True),
    Country("SI", 11, 2, ("sl-SI",)),
    Country("PK", 11, 5, ("en-PK",), True),
    Country("SA", 10, 3, ("ar-SA",), True),
    Country("MA", 9, 1, ("fr-MA",), True),
    Country("EE", 9, 3, ("et-EE",)),
    Country("LV", 8, 3, ("lv-LV",)),
    Country("LU", 7, 2, ("fr-LU", "de-LU")),
    Country("EC", 6, -5, ("es-EC",), True),
    Country("TN", 5, 1, ("fr-TN",), True),
    Country("CY", 5, 3, ("el-CY",)),
    Country("IS", 5, 0, ("is-IS",)),
    Country("UY", 4, -3, ("es-UY",)),
    Country("CR", 4, -6, ("es-CR",)),
    Country("MT", 3, 2, ("en-MT",)),
    Country("GE", 3, 4, ("ka-GE",)),
    Country("GH", 3, 0, ("en-GH",), True),
    Country("AM", 2, 4, ("hy-AM",)),
    Country("BO", 2, -4, ("es-BO",), True),
    Country("MD", 2, 3, ("ro-MD",)),
    Country("MU", 2, 4, ("en-MU",)),
    Country("JM", 1, -5, ("en-JM",), True),
    Country("SC", 1, 4, ("en-SC",)),
    Country("MG", 1, 3, ("fr-MG",), True),
    Country("BB", 1, -4, ("en-BB",)),
)

NOWHERE = len(COUNTRIES)  # stands for the country of an address that belongs to none
# Indexed by country; whoever comes from nowhere lives as people of the first country do.
PLACES = (*COUNTRIES, COUNTRIES[0])
