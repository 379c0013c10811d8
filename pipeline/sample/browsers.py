"""The strings with which the sample's browsers and crawlers introduce themselves.

Shapes are those of real ones in autumn 2026; versions vary, the newest being the most frequent.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import IntEnum
from string import Formatter


class Dialect(IntEnum):
    """How a browser writes Accept-Language."""

    CHROMIUM = 0
    FIREFOX = 1
    SAFARI = 2


@dataclass(frozen=True)
class Browser:
    """A family of strings.

    Attributes:
        desk: Its weight among people who work at a computer.
        hand: Its weight among people who come with a telephone.
        dialect: How it writes Accept-Language.
        template: The string; names in braces are keys of ``VERSIONS``.
    """

    desk: float
    hand: float
    dialect: Dialect
    template: str

    def strings(self) -> list[str]:
        """One string for each combination of versions."""
        names = dict.fromkeys(name for _, name, _, _ in Formatter().parse(self.template) if name)
        choices = itertools.product(*(VERSIONS[name] for name in names))
        return [self.template.format(**dict(zip(names, choice, strict=True))) for choice in choices]


_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64"
_ANDROID = f"Mozilla/5.0 (Linux; Android 10; K) {_KIT}"
_EDGE = ("154.0.3912.45", "154.0.3912.38", "153.0.3870.60", "153.0.3870.51", "152.0.3827.72", "148.0.3620.99")

VERSIONS = {
    "chrome": tuple(str(version) for version in range(154, 138, -1)),
    "chrome_ios": (
        "154.0.7712.52",
        "154.0.7712.36",
        "153.0.7690.41",
        "152.0.7661.113",
        "151.0.7637.24",
        "146.0.7511.9",
    ),
    "firefox": ("156.0", "155.0", "153.0", "154.0", "152.0", "150.0", "140.0", "128.0", "115.0"),
    "safari": ("26.4", "26.3", "26.2", "26.0", "18.6", "18.5", "17.6", "16.6"),
    "mac": ("10_15_7", "10_15_6", "10_14_6"),
    "ios": ("18_7", "18_6_2", "18_6", "18_5", "17_7_2", "16_7_12"),
    "android": ("16", "15", "14", "13", "12"),
    "samsung": ("30.0", "29.0", "28.0", "27.0"),
    "model": ("Pixel 9", "Pixel 8a", "SM-A556B", "SM-S921B", "moto g84 5G", "2312DRA50G", "CPH2603"),
    "cros": ("14541.0.0", "16181.61.0"),
    # Versions that belong together.
    "edge": tuple(f"Chrome/{build[:3]}.0.0.0 Safari/537.36 Edg/{build}" for build in _EDGE),
    "edge_mobile": tuple(f"Chrome/{build[:3]}.0.0.0 Mobile Safari/537.36 EdgA/{build}" for build in _EDGE),
    "opera": tuple(
        f"Chrome/{version + 16}.0.0.0 Safari/537.36 OPR/{version}.0.0.0" for version in (137, 136, 135, 131)
    ),
    "iphone": tuple(
        f"{ios} like Mac OS X) {_APPLE} Version/{safari}"
        for ios, safari in zip(
            ("18_7", "18_7", "18_6", "18_6", "18_5", "17_7_2", "16_7_12"),
            ("26.4", "26.3", "26.0", "18.6", "18.5", "17.7.2", "16.6"),
            strict=True,
        )
    ),
}

_PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS"
_TABLET = "Mozilla/5.0 (iPad; CPU OS"
_C, _F, _S = Dialect.CHROMIUM, Dialect.FIREFOX, Dialect.SAFARI

BROWSERS = (
    Browser(250, 90, _C, f"{_WINDOWS}) {_KIT} Chrome/{{chrome}}.0.0.0 Safari/537.36"),
    Browser(90, 20, _C, f"{_WINDOWS}) {_KIT} {{edge}}"),
    Browser(60, 12, _F, f"{_WINDOWS}; rv:{{firefox}}) Gecko/20100101 Firefox/{{firefox}}"),
    Browser(4, 1, _F, "Mozilla/5.0 (Windows NT 10.0; rv:{firefox}) Gecko/20100101 Firefox/{firefox}"),
    Browser(14, 8, _C, f"{_WINDOWS}) {_KIT} {{opera}}"),
    Browser(3, 2, _C, f"{_WINDOWS}) {_KIT} Chrome/{{chrome}}.0.0.0 YaBrowser/26.9.1.0 Yowser/2.5 Safari/537.36"),
    Browser(4, 1, _C, f"{_WINDOWS}) {_KIT} Chrome/{{chrome}}.0.0.0 Safari/537.36 Vivaldi/7.6.3797.52"),
    Browser(2, 3, _C, f"Mozilla/5.0 (Windows NT 6.1; Win64; x64) {_KIT} Chrome/109.0.0.0 Safari/537.36"),
    Browser(85, 12, _C, f"{_MAC} {{mac}}) {_KIT} Chrome/{{chrome}}.0.0.0 Safari/537.36"),
    Browser(95, 14, _S, f"{_MAC} {{mac}}) {_APPLE} Version/{{safari}} Safari/605.1.15"),
    Browser(26, 3, _F, f"{_MAC} 10.15; rv:{{firefox}}) Gecko/20100101 Firefox/{{firefox}}"),
    Browser(10, 1, _C, f"{_MAC} {{mac}}) {_KIT} {{edge}}"),
    Browser(4, 1, _C, f"{_MAC} {{mac}}) {_KIT} {{opera}}"),
    Browser(42, 8, _C, f"{_LINUX}) {_KIT} Chrome/{{chrome}}.0.0.0 Safari/537.36"),
    Browser(38, 5, _F, f"{_LINUX}; rv:{{firefox}}) Gecko/20100101 Firefox/{{firefox}}"),
    Browser(12, 2, _F, "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:{firefox}) Gecko/20100101 Firefox/{firefox}"),
    Browser(5, 1, _F, "Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:{firefox}) Gecko/20100101 Firefox/{firefox}"),
    Browser(3, 0.5, _C, f"{_LINUX}) {_KIT} {{edge}}"),
    Browser(1.2, 0.2, _F, "Mozilla/5.0 (X11; FreeBSD amd64; rv:{firefox}) Gecko/20100101 Firefox/{firefox}"),
    Browser(8, 2, _C, f"Mozilla/5.0 (X11; CrOS x86_64 {{cros}}) {_KIT} Chrome/{{chrome}}.0.0.0 Safari/537.36"),
    Browser(55, 330, _C, f"{_ANDROID} Chrome/{{chrome}}.0.0.0 Mobile Safari/537.36"),
    Browser(
        8, 60, _C,
        f"Mozilla/5.0 (Linux; Android {{android}}; {{model}}) {_KIT} Chrome/154.0.7712.52 Mobile Safari/537.36",
    ),
    Browser(5, 14, _C, f"{_ANDROID} Chrome/{{chrome}}.0.0.0 Safari/537.36"),
    Browser(14, 70, _C, f"{_ANDROID} SamsungBrowser/{{samsung}} Chrome/136.0.0.0 Mobile Safari/537.36"),
    Browser(6, 14, _F, "Mozilla/5.0 (Android {android}; Mobile; rv:{firefox}) Gecko/{firefox} Firefox/{firefox}"),
    Browser(2, 20, _C, f"{_ANDROID} Chrome/{{chrome}}.0.0.0 Mobile Safari/537.36 OPR/93.0.0.0"),
    Browser(2, 6, _C, f"{_ANDROID} {{edge_mobile}}"),
    Browser(95, 110, _S, f"{_PHONE} {{iphone}} Mobile/15E148 Safari/604.1"),
    Browser(14, 18, _C, f"{_PHONE} {{ios}} like Mac OS X) {_APPLE} CriOS/{{chrome_ios}} Mobile/15E148 Safari/604.1"),
    Browser(3, 3, _S, f"{_PHONE} {{ios}} like Mac OS X) {_APPLE} FxiOS/{{firefox}} Mobile/15E148 Safari/605.1.15"),
    Browser(2, 2, _S, f"{_PHONE} {{iphone}} EdgiOS/154.0.3912.45 Mobile/15E148 Safari/604.1"),
    Browser(6, 4, _S, f"{_TABLET} {{iphone}} Mobile/15E148 Safari/604.1"),
    Browser(2, 1, _C, f"{_TABLET} {{ios}} like Mac OS X) {_APPLE} CriOS/{{chrome_ios}} Mobile/15E148 Safari/604.1"),
)  # fmt: skip

# Weight and string; the last ones look for weak places and ask for what does not exist.
CRAWLERS = (
    (26, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    (
        14,
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_KIT} Chrome/154.0.7712.52 Mobile Safari/537.36 "
        "(compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ),
    (12, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
    (7, "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)"),
    (4, "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)"),
    (3, "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)"),
    (5, f"{_MAC} 10_15_7) {_APPLE} Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)"),
    (11, "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"),
    (9, "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)"),
    (4, "Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)"),
    (3, "Mozilla/5.0 (compatible; DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)"),
    (4, "Mozilla/5.0 (compatible;PetalBot;+https://webmaster.petalsearch.com/site/petalbot)"),
    (4, "CCBot/2.0 (https://commoncrawl.org/faq/)"),
    (3, "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
    (1, "Twitterbot/1.0"),
    (1, "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)"),
    (1, "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
    (8, "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"),
    (2, "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 12 subscribers)"),
    (3, f"{_LINUX}) {_KIT} HeadlessChrome/150.0.0.0 Safari/537.36"),
    (3, "curl/8.14.1"),
    (2, "Wget/1.25.0"),
    (4, "python-requests/2.32.4"),
    (3, "Go-http-client/2.0"),
    (4, "Mozilla/5.0 zgrab/0.x"),
    (3, "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)"),
)
SCANNERS = 4  # of the crawlers, counted from the end
