"""What raw values generalise to."""

from __future__ import annotations

import time

import pytest
from crawlerdetect import CrawlerDetect
from crawlerdetect.providers import crawlers
from ua_parser import regex

from pipeline.deidentify import lookups
from pipeline.deidentify.lookups import (
    are_crawlers,
    look_up_addresses,
    look_up_agents,
    look_up_languages,
    look_up_origins,
    normal_address,
)
from pipeline.vocabulary import BROWSERS, COUNTRIES, LANGUAGES, OPERATING_SYSTEMS

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 10; SM-G960F) AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:0DB8:0:0::0001", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.256", None),
        ("192.0.2.01", None),
        ("host.example", None),
        ("", None),
        ("3221225985", None),
    ],
)
def test_an_address_has_one_normal_form(text: str, normal: str | None) -> None:
    assert normal_address(text) == normal


def test_countries_come_from_the_closed_list() -> None:
    addresses = ["8.8.8.8", "::ffff:8.8.8.8", "10.0.0.1", "2001:4860:4860::8888", "nonsense"]
    countries = look_up_addresses(addresses).column("country").to_pylist()
    assert countries == ["US", "US", "unknown", "US", "unknown"]
    assert set(countries) <= set(COUNTRIES)


@pytest.mark.parametrize(
    ("agent", "system", "browser"),
    [
        (CHROME, "Windows", "Chrome"),
        (f"{CHROME} Edg/120.0", "Windows", "Edge"),
        (f"{CHROME} OPR/105.0.0.0", "Windows", "Opera"),
        (f"{IPHONE}Version/17.0 Mobile/15E148 Safari/604.1", "iOS", "Safari"),
        (f"{IPHONE}CriOS/119.0.0.0 Mobile/15E148 Safari/604.1", "iOS", "Chrome"),
        (f"{IPHONE}FxiOS/119.0 Mobile/15E148 Safari/605.1.15", "iOS", "Firefox"),
        (f"{ANDROID}Chrome/120.0.0.0 Mobile Safari/537.36", "Android", "Chrome"),
        (f"{ANDROID}SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36", "Android", "Samsung Internet"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:120.0) Gecko/120.0 Firefox/120.0", "Android", "Firefox"),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "Linux", "Firefox"),
        (CHROME.replace("Windows NT 10.0; Win64; x64", "X11; CrOS x86_64 14541.0.0"), "ChromeOS", "Chrome"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.0 Safari/605.1.15",
            "macOS",
            "Safari",
        ),
        ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1; U; en) Presto/2.8", "unknown", "Opera"),
        ("Mozilla/5.0 (X11; FreeBSD amd64; rv:120.0) Gecko/20100101 SeaMonkey/2.53", "other", "other"),
        ("nonsense", "unknown", "unknown"),
    ],
)
def test_agents_generalise_to_families(agent: str, system: str, browser: str) -> None:
    row = look_up_agents([agent]).to_pylist()[0]
    assert (row["operating_system"], row["browser"]) == (system, browser)


def test_every_family_that_an_agent_can_become_is_on_the_closed_lists() -> None:
    assert set(lookups._SYSTEM_OF.values()) <= set(OPERATING_SYSTEMS)
    assert set(lookups._BROWSER_OF.values()) <= set(BROWSERS)


def test_agents_are_parsed_in_rust_and_not_kept() -> None:
    assert type(lookups._agent_parser()) is regex.Resolver


def test_crawlers_are_those_of_the_library() -> None:
    agents = [
        CHROME,
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/8.0",
        "Mozilla/5.0 (compatible; YandexBot/3.0)",
        f"{CHROME} YandexSearch/7.71",
        "Yandex",
        "  ",
        "",
        "python-requests/2.31",
        f"  {CHROME}\t",
        # Each of the library's patterns as if it were an agent, alone and inside a browser's.
        *(pattern.replace("\\", "") for pattern in crawlers.data),
        *(f"{CHROME} {pattern}" for pattern in crawlers.data),
    ]
    library = CrawlerDetect()
    assert are_crawlers(agents).to_pylist() == [library.is_crawler(agent) for agent in agents]


def test_thousands_of_agents_are_looked_up_in_a_moment() -> None:
    agents = [f"{CHROME} Build/{number}" for number in range(2000)]
    are_crawlers(agents[:1])
    begin = time.process_time()
    are_crawlers(agents)
    assert time.process_time() - begin < 0.2  # the library takes 0.6 s and more


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, fr;q=0.9", "fr"),
        ("EN-us", "en"),
        ("de, fr", "de"),
        ("fr;q=0, de;q=0.1", "de"),
        ("fr ; q=0.5 ,  de", "de"),
        ("xx", "other"),
        ("tlh-Latn", "other"),
        ("-", "unknown"),
        ("", "unknown"),
        ("*", "unknown"),
        ("de;q=0", "unknown"),
        ("ann@example.com", "unknown"),
        ("../../etc/passwd", "unknown"),
        ("de;q=nan", "unknown"),
        (",,;,", "unknown"),
    ],
)
def test_the_most_wanted_language_is_kept_by_its_primary_subtag(text: str, language: str) -> None:
    assert look_up_languages([text], LANGUAGES).column("language").to_pylist() == [language]


@pytest.mark.parametrize(
    ("origin", "kind", "domain"),
    [
        ("-", "direct", "none"),
        ("https://www.example.com", "internal", "none"),
        ("https://news.example.org", "site", "example.org"),
        ("https://elsewhere.example", "site", "other"),
        ("https://www.google.de", "search", "other"),
        ("", "site", "other"),
        ("http://192.0.2.1:8080", "site", "other"),
    ],
)
def test_a_referring_domain_is_named_only_where_the_site_file_names_it(origin: str, kind: str, domain: str) -> None:
    row = look_up_origins([origin], ["Example.com"], ["Example.org"]).to_pylist()[0]
    assert (row["referrer_class"], row["referrer_domain"].lower()) == (kind, domain)


def test_every_value_gets_one_row_in_order() -> None:
    assert look_up_origins(["https://b.example", "-"], [], []).column("origin").to_pylist() == [
        "https://b.example",
        "-",
    ]
    assert look_up_agents([]).num_rows == look_up_addresses([]).num_rows == look_up_languages([], []).num_rows == 0
