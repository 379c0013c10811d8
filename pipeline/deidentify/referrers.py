"""How visitors arrived: class and domain of a referrer, and the marks of a campaign in a page's address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal

import pyarrow as pa

from expectations.patterns import looks_personal
from pipeline.sources.domains import host_of, public_domain, registered_domain
from pipeline.vocabulary import NONE, OTHER, UNKNOWN

_COLUMNS: Final = pa.schema(
    [("origin", pa.string()), ("referrer_class", pa.string()), ("referrer_domain", pa.string())]
)

# Hosts or registered domains; a host under one belongs to it. The widest-used ones after the public-domain lists
# https://github.com/matomo-org/searchengine-and-social-list (SearchEngines.yml, Socials.yml), with apps by package.
SEARCH: Final = frozenset((
    "alohafind.com", "ask.com", "baidu.com", "bing.com", "coccoc.com", "duckduckgo.com", "ecosia.org", "kagi.com",
    "mojeek.com", "qwant.com", "search.aol.com", "search.brave.com", "search.naver.com", "search.seznam.cz",
    "so.com", "sogou.com", "startpage.com", "swisscows.com", "search.daum.net", "ya.ru",
    "com.google.android.googlequicksearchbox",
))  # fmt: skip
# Engines with a domain in many countries: google.de, google.co.uk.
SEARCH_LABELS: Final = frozenset(("google", "yahoo", "yandex"))
SOCIAL: Final = frozenset((
    "bsky.app", "douban.com", "facebook.com", "fb.me", "instagram.com", "linkedin.com", "lnkd.in", "mastodon.social",
    "messenger.com", "mixi.jp", "news.ycombinator.com", "odnoklassniki.ru", "ok.ru", "pinterest.com", "quora.com",
    "reddit.com", "t.co", "t.me", "threads.net", "tiktok.com", "tumblr.com", "twitter.com", "vk.com",
    "web.telegram.org", "web.whatsapp.com", "weibo.com", "x.com", "xing.com", "youtu.be", "youtube.com",
    "com.facebook.katana", "com.instagram.android", "com.linkedin.android", "com.twitter.android",
    "org.telegram.messenger",
))  # fmt: skip
MAIL: Final = frozenset((
    "e.mail.ru", "mail.163.com", "mail.aol.com", "mail.google.com", "mail.proton.me", "mail.qq.com", "mail.yahoo.com",
    "mail.yandex.com", "mail.yandex.ru", "mail.zoho.com", "navigator.gmx.net", "navigator.web.de", "outlook.live.com",
    "outlook.office.com", "outlook.office365.com", "com.google.android.gm", "com.microsoft.office.outlook",
))  # fmt: skip
MAIL_LABELS: Final = frozenset(("mail", "webmail"))

# Parameters by which advertisers mark links. Sources: https://support.google.com/analytics/answer/10917952 (utm_*),
# https://support.google.com/google-ads/answer/9744275 (gclid, gbraid, wbraid); the others by their networks' names.
CAMPAIGN_PARAMETERS: Final = (
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id", "gclid", "gbraid", "wbraid",
    "dclid", "msclkid", "fbclid", "ttclid", "twclid", "yclid", "li_fat_id", "mc_cid",
)  # fmt: skip
CAMPAIGN_PATTERN: Final = rf"[?&;](?:{'|'.join(CAMPAIGN_PARAMETERS)})="


def look_up_origins(
    origins: Sequence[str | None], own_domains: Sequence[str], named_domains: Sequence[str] | Literal["any"]
) -> pa.Table:
    """Columns ``origin``, ``referrer_class``, ``referrer_domain``, one row for each origin in the same order.

    Args:
        origins: As of ``referrer_class``, distinct; None, where the format does not log it, is ``unknown``.
        own_domains: Referrers from there, or from a host under them, are ``internal``.
        named_domains: Registered domains that may be named, any other is ``other``; or ``any``.
    """
    own = frozenset(domain.lower() for domain in own_domains)
    domain_of = domain_as_found if named_domains == "any" else _among(named_domains)
    classes = [UNKNOWN if origin is None else referrer_class(origin, own) for origin in origins]
    domains = [
        NONE if kind in {"direct", "internal"} else domain_of(origin or "")
        for origin, kind in zip(origins, classes, strict=True)
    ]
    return pa.table({"origin": origins, "referrer_class": classes, "referrer_domain": domains}, schema=_COLUMNS)


def referrer_class(origin: str, own_domains: frozenset[str]) -> str:
    """The class of a referrer, but for campaigns, which the page's own address tells.

    Args:
        origin: Scheme and host, lower case; ``-`` where there was no referrer, nothing where it was no page's address.
        own_domains: The site's own, lower case.
    """
    if origin == "-":
        return "direct"
    host = host_of(origin)
    if host is None:
        return "site"
    names = frozenset(_with_parents(host))
    if names & own_domains:
        return "internal"
    if names & MAIL or host.partition(".")[0] in MAIL_LABELS:
        return "mail"
    if names & SOCIAL:
        return "social"
    label = (registered_domain(host) or "").partition(".")[0]
    return "search" if names & SEARCH or label in SEARCH_LABELS else "site"


def domain_as_found(origin: str) -> str:
    """The registered domain of a referrer that no list names, or ``other``.

    Anybody may send any referrer. What looks like personal data is dropped, by the rules that check staging, so that
    no invented one stops a period's ingestion; so is one with credentials, which no browser sends.

    Args:
        origin: Scheme and host, lower case.
    """
    if "@" in origin or not origin.startswith(("http://", "https://")):
        return OTHER
    domain = public_domain(host_of(origin) or "")
    return OTHER if domain is None or looks_personal(domain) else domain


def _among(domains: Iterable[str]) -> Callable[[str], str]:
    """What becomes of a referrer where these registered domains may be named."""
    named = {domain.lower(): domain for domain in domains}

    def domain_of(origin: str) -> str:
        host = host_of(origin)
        return named.get((registered_domain(host) if host else None) or "", OTHER)

    return domain_of


def _with_parents(host: str) -> Iterator[str]:
    labels = host.split(".")
    return (".".join(labels[start:]) for start in range(len(labels)))
