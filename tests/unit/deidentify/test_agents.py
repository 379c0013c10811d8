"""What user agents generalise to, and which are nobody's."""

from __future__ import annotations

import string
import time

import pytest
from crawlerdetect import CrawlerDetect
from crawlerdetect.providers import crawlers
from ua_parser import regex

from pipeline.deidentify import agents as look_ups
from pipeline.deidentify.agents import are_crawlers, are_monitors, look_up_agents
from pipeline.vocabulary import BROWSERS, OPERATING_SYSTEMS, version_keys
from tests.hostile_texts import HOSTILE

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 10; SM-G960F) AppleWebKit/537.36 (KHTML, like Gecko) "
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.0 Safari/605.1.15"
)
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"
SEAMONKEY = "Mozilla/5.0 (X11; FreeBSD amd64; rv:120.0) Gecko/20100101 SeaMonkey/2.53"
VERSIONS = {"Chrome": (110, 125), "Firefox": (119, 120), "Safari": (17, 18)}


def found(agent: str, *monitors: str) -> dict[str, object]:
    return dict(look_up_agents([agent], versions=VERSIONS, monitors=monitors).to_pylist()[0])


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
        (FIREFOX, "Linux", "Firefox"),
        (CHROME.replace("Windows NT 10.0; Win64; x64", "X11; CrOS x86_64 14541.0.0"), "ChromeOS", "Chrome"),
        (SAFARI, "macOS", "Safari"),
        ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1; U; en) Presto/2.8", "unknown", "Opera"),
        (SEAMONKEY, "other", "other"),
        ("nonsense", "unknown", "unknown"),
    ],
)
def test_agents_generalise_to_families(agent: str, system: str, browser: str) -> None:
    assert (found(agent)["operating_system"], found(agent)["browser"]) == (system, browser)


@pytest.mark.parametrize(
    ("agent", "version"),
    [
        (CHROME, "Chrome 120"),
        (CHROME.replace("Chrome/120", "Chrome/126"), "other"),
        (CHROME.replace("Chrome/120", "Chrome/0120"), "other"),
        (CHROME.replace("Chrome/120", f"Chrome/{'9' * 400}"), "other"),
        (CHROME.replace("Chrome/120", "Chrome/\u0661\u0662\u0660"), "other"),
        (f"{IPHONE}CriOS/119.0.0.0 Mobile/15E148 Safari/604.1", "Chrome 119"),
        (f"{CHROME} Edg/120.0", "other"),
        (FIREFOX, "Firefox 120"),
        (SAFARI, "Safari 17"),
        (SEAMONKEY, "other"),
        ("nonsense", "unknown"),
        ("-", "unknown"),
    ],
)
def test_a_version_is_named_only_where_the_site_file_declares_it(agent: str, version: str) -> None:
    assert found(agent)["browser_version"] == version
    assert version in version_keys(VERSIONS)


def test_without_declared_versions_none_is_named() -> None:
    table = look_up_agents([CHROME, "nonsense"], versions={}, monitors=())
    assert table.column("browser_version").to_pylist() == ["other", "unknown"]


def test_every_family_that_an_agent_can_become_is_on_the_closed_lists() -> None:
    assert set(look_ups._SYSTEM_OF.values()) <= set(OPERATING_SYSTEMS)
    assert set(look_ups._BROWSER_OF.values()) <= set(BROWSERS)


def test_agents_are_parsed_in_rust_and_not_kept() -> None:
    assert type(look_ups._agent_parser()) is regex.Resolver


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


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        f"{CHROME} PingdomTMS/0.8.5",
        f"{CHROME} StatusCake",
        "Mozilla/5.0 (compatible; Site24x7; +https://www.site24x7.com)",
        "Uptime-Kuma/1.23.11",
        "Better Uptime Bot Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/120.0.0.0",
        "BetterStackBot Better Stack",
        "Datadog/Synthetics",
        f"{CHROME} DatadogSynthetics",
        f"{CHROME} NewRelicSynthetics/1.0",
        "NewRelicPinger/1.0 (1)",
        "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)",
        "ELB-HealthChecker/2.0",
        "kube-probe/1.29",
        "GoogleHC/1.0",
        "Amazon-Route53-Health-Check-Service (ref 1; report http://amzn.to/1vsZADi)",
        "Azure Traffic Manager Endpoint Monitor",
        "AlwaysOn",
        "Checkly/1.0 (https://www.checklyhq.com)",
        "HetrixTools Uptime Monitoring Bot. https://hetrix.tools/uptime-monitoring-bot.html",
        "NodePing",
        "FreshpingBot/1.0 (+https://freshping.io/)",
        "updown.io daemon 2.11",
        "Prometheus/2.48.0",
        "Blackbox Exporter/0.24.0",
        "check_http/v2.3.3 (nagios-plugins 2.3.3)",
        "Zabbix",
        "Consul Health Check",
        "HAProxy",
    ],
)
def test_a_well_known_check_is_a_monitor_and_no_bot(agent: str) -> None:
    assert (found(agent)["monitor"], found(agent)["bot"]) == (True, False)
    assert found(agent.swapcase())["monitor"]


@pytest.mark.parametrize(
    "agent", [CHROME, FIREFOX, SAFARI, "nonsense", "-", "", "Sensual/1.0 AlwaysOnTop", f"{ANDROID}Lenovo K6/1"]
)
def test_a_browser_is_neither_monitor_nor_bot(agent: str) -> None:
    assert (found(agent)["monitor"], found(agent)["bot"]) == (False, False)


def test_a_crawler_is_a_bot_and_no_monitor() -> None:
    row = found("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    assert (row["monitor"], row["bot"]) == (False, True)


def test_a_declared_word_in_any_case_tells_a_monitor() -> None:
    assert found(f"{CHROME} acme-WATCH/1", "Acme-Watch")["monitor"]
    assert not found(CHROME, "Acme-Watch")["monitor"]


@pytest.mark.parametrize("sign", [*string.punctuation, " ", "\u00e9", "\x00"])
def test_a_declared_word_is_no_pattern(sign: str) -> None:
    assert are_monitors([f"x ab{sign}cd y", "x abQcd y", "x abcd y"], [f"ab{sign}cd"]).to_pylist() == [
        True,
        False,
        False,
    ]


def test_thousands_of_agents_are_looked_up_in_a_moment() -> None:
    agents = [f"{CHROME} Build/{number}" for number in range(2000)]
    are_crawlers(agents[:1])
    begin = time.process_time()
    are_crawlers(agents)
    assert time.process_time() - begin < 0.2  # the library takes 0.6 s and more


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_no_hostile_agent_is_passed_on(text: str) -> None:
    begin = time.process_time()
    for agent in (text, f"{CHROME} {text}", f"Mozilla/5.0 ({text}) Firefox/{text}", CHROME.replace("120", text)):
        row = found(agent)
        assert row["operating_system"] in OPERATING_SYSTEMS
        assert row["browser"] in BROWSERS
        assert row["browser_version"] in version_keys(VERSIONS)
    assert time.process_time() - begin < 2.0


def test_every_agent_gets_one_row_in_order() -> None:
    agents = [FIREFOX, "nonsense", CHROME]
    assert look_up_agents(agents, versions={}, monitors=()).column("agent").to_pylist() == agents
    assert look_up_agents([], versions={}, monitors=()).num_rows == 0
