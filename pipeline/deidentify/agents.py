"""User agents: operating system, browser and version of a person, and whether it is a person at all.

Distinct agents in memory in, one row for each in the same order out; nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from crawlerdetect.providers import crawlers, exclusions
from ua_parser.core import Domain, PartialResult
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from pipeline.vocabulary import OTHER, UNKNOWN, version_keys

_COLUMNS: Final = pa.schema(
    [
        ("agent", pa.string()),
        ("operating_system", pa.string()),
        ("browser", pa.string()),
        ("browser_version", pa.string()),
        ("bot", pa.bool_()),
        ("monitor", pa.bool_()),
    ]
)
# Our families and those that ua-parser tells; distributions count as Linux.
_SYSTEMS: Final = {
    "Android": ("Android",),
    "ChromeOS": ("Chrome OS",),
    "Linux": (
        "Arch Linux", "CentOS", "Debian", "Fedora", "Gentoo", "Kubuntu", "Linux", "Linux Mint", "Lubuntu", "Mageia",
        "Mandriva", "Puppy", "Raspbian", "Red Hat", "SUSE", "Slackware", "Ubuntu", "Xubuntu", "openSUSE",
    ),
    "Windows": ("Windows",),
    "iOS": ("iOS",),
    "macOS": ("Mac OS", "Mac OS X"),
}  # fmt: skip
_BROWSERS: Final = {
    "Chrome": ("Chrome", "Chrome Mobile", "Chrome Mobile WebView", "Chrome Mobile iOS", "Chromium"),
    "Edge": ("Edge", "Edge Mobile"),
    "Firefox": ("Firefox", "Firefox Alpha", "Firefox Beta", "Firefox Focus", "Firefox Mobile", "Firefox iOS"),
    "Opera": (
        "Opera", "Opera Coast", "Opera GX", "Opera Mini", "Opera Mobile", "Opera Neon", "Opera Tablet", "Opera Touch",
    ),
    "Safari": ("Safari", "Mobile Safari", "Mobile Safari UI/WKWebView"),
    "Samsung Internet": ("Samsung Internet",),
}  # fmt: skip
_SYSTEM_OF: Final = {found: family for family, all_found in _SYSTEMS.items() for found in all_found}
_BROWSER_OF: Final = {found: family for family, all_found in _BROWSERS.items() for found in all_found}
_LOOK_AROUND: Final = re.compile(r"\(\?(?:[=!]|<[=!])")
# Well-known checks of a site's health, by the names under which they come. Those of services after their own pages
# and the category "Site Monitor" of https://github.com/matomo-org/device-detector (regexes/bots.yml).
_MONITORS: Final = (
    # Load balancers, clouds and clusters
    "ELB-HealthChecker", "Amazon[- ]Route ?53[- ]Health[- ]Check", "GoogleHC/", "GoogleStackdriverMonitoring",
    "Google-?Cloud-?Monitoring", "Azure Traffic Manager", r"^AlwaysOn(?:/|$)", "Edge Health Probe",
    "Load Balancer Agent", "Cloudflare-(?:Healthchecks|Traffic-?Manager)", "kube-probe/", "Consul Health Check",
    "HAProxy", "Envoy/HC", "Varnish[ /-]Health",
    # Services
    "UptimeRobot", "Pingdom", "StatusCake", "Site24x7", "Better ?(?:Uptime|Stack)", "Datadog[ /]?Synthetics",
    "Datadog Agent", "New ?Relic ?(?:Synthetics|Minion|Pinger)", "Checkly", "HetrixTools",
    "NodePing", "FreshPing", r"updown\.io", r"Uptime(?:\.com|Bot/|Monitor)", "Montastic", "Monitis", "Panopta",
    "PingAdmin", "Pingability", "Pulsetic", "Cronitor", "OhDear", "Oh Dear", "Wormly", "WebSitePulse",
    "internetVista", "Dynatrace ?Synthetic", "RuxitSynthetic", "CatchPoint", "ThousandEyes", "GomezAgent",
    "AlertSite", "Dotcom-?Monitor", "Uptrends", "Instatus", "HyperPing", "Phare/", "OnlineOrNot",
    "Monitority", "HTTPMon", "SiteMonitor", "Server ?Density", "Sematext", "Elastic[- ]Heartbeat",
    # Programs that companies run themselves
    "Uptime-?Kuma", "Blackbox[ -]Exporter", "Prometheus/", r"check_(?:http|curl)\b", "Nagios", "Icinga", "Zabbix",
    "Monit/", r"\bMunin\b", "^collectd", "PRTG", "phpservermon", "Gatus/", "Statping", r"^Sensu\b", "^Telegraf/",
    "^(?:Grafana )?k6/", "SmokePing", "Centreon", "Check_?mk",
)  # fmt: skip


def look_up_agents(
    agents: Sequence[str], *, versions: Mapping[str, tuple[int, int]], monitors: Sequence[str]
) -> pa.Table:
    """Find what may be told of each user agent.

    Args:
        agents: Distinct ones, cut to some hundred characters.
        versions: Browser -> first and last major version that may be named.
        monitors: Words of one's own monitoring, in any case, beside the well-known ones.

    Returns:
        ``agent``, ``operating_system``, ``browser``, ``browser_version`` (a key of ``version_keys``: ``other`` is a
        known browser whose version is not declared), ``bot`` and ``monitor`` (booleans, of which one at most is true).
    """
    resolver = _agent_parser()
    parsed = [resolver(agent, Domain.OS | Domain.USER_AGENT) for agent in agents]
    named = frozenset(version_keys(versions))
    monitored = are_monitors(agents, monitors)
    columns = {
        "agent": agents,
        "operating_system": [_family(found.os.family if found.os else None, _SYSTEM_OF) for found in parsed],
        "browser": [_browser(found) for found in parsed],
        "browser_version": [_version(found, named) for found in parsed],
        "bot": pc.and_not(are_crawlers(agents), monitored),
        "monitor": monitored,
    }
    return pa.table(columns, schema=_COLUMNS)


def are_crawlers(agents: Sequence[str]) -> pa.Array:
    """Whether each agent is a crawler's, by the lists of crawlerdetect and with its result.

    The library tries its 1,462 patterns in Python, 0.3 ms an agent; RE2 takes 0.01 ms for all but the patterns with
    look-around, which it does not have.
    """
    text = pa.array([agent.strip() for agent in agents], pa.string())
    excluded, plain, backtracking = _crawler_patterns()
    rest = pc.replace_substring_regex(text, excluded, "")
    found = pc.match_substring_regex(rest, plain, ignore_case=True)
    return pc.or_(found, pa.array([bool(backtracking.search(agent.as_py())) for agent in rest], pa.bool_()))


def are_monitors(agents: Sequence[str], words: Sequence[str]) -> pa.Array:
    """Whether each agent is a check of the site's health: a well-known one, or one with a declared word in it."""
    pattern = "|".join((*_MONITORS, *map(re.escape, words)))
    return pc.match_substring_regex(pa.array(agents, pa.string()), pattern, ignore_case=True)


@cache
def _crawler_patterns() -> tuple[str, str, re.Pattern[str]]:
    plain = "|".join(pattern for pattern in crawlers.data if not _LOOK_AROUND.search(pattern))
    backtracking = "|".join(pattern for pattern in crawlers.data if _LOOK_AROUND.search(pattern))
    return f"(?i){'|'.join(exclusions.data)}", plain, re.compile(backtracking or "(?!)", re.IGNORECASE)


@cache
def _agent_parser() -> Resolver:
    return Resolver(load_lazy_builtins())  # without ua-parser's cache, which would keep raw agents


def _family(found: str | None, families: Mapping[str, str]) -> str:
    return UNKNOWN if found is None else families.get(found, OTHER)


def _browser(found: PartialResult) -> str:
    return _family(found.user_agent.family if found.user_agent else None, _BROWSER_OF)


def _version(found: PartialResult, named: frozenset[str]) -> str:
    if found.user_agent is None:
        return UNKNOWN
    version = f"{_browser(found)} {found.user_agent.major}"
    return version if version in named else OTHER
