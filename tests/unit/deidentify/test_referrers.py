"""Classes of referrers, and marks of campaigns."""

from __future__ import annotations

import re

import pytest

from pipeline.deidentify import referrers
from pipeline.deidentify.referrers import CAMPAIGN_PATTERN, referrer_class
from pipeline.vocabulary import REFERRER_CLASSES


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        ("-", "direct"),
        ("https://example.com", "internal"),
        ("https://shop.example.com:8443", "internal"),
        ("https://notexample.com", "site"),
        ("https://www.google.co.uk", "search"),
        ("https://www.bing.com", "search"),
        ("https://search.brave.com", "search"),
        ("https://brave.com", "site"),
        ("https://google.elsewhere.net", "site"),
        ("https://mail.google.com", "mail"),
        ("https://us-mg5.mail.yahoo.com", "mail"),
        ("https://webmail.provider.net", "mail"),
        ("android-app://com.google.android.gm", "mail"),
        ("android-app://com.google.android.googlequicksearchbox", "search"),
        ("https://l.facebook.com", "social"),
        ("https://t.co", "social"),
        ("https://at.co", "site"),
        ("https://out.reddit.com", "social"),
        ("https://blog.example.net", "site"),
        ("", "site"),
    ],
)
def test_a_referrer_has_one_class(origin: str, kind: str) -> None:
    assert referrer_class(origin, frozenset({"example.com"})) == kind
    assert kind in REFERRER_CLASSES


def test_no_host_is_in_two_lists() -> None:
    assert not referrers.SEARCH & referrers.SOCIAL
    assert not referrers.SEARCH & referrers.MAIL
    assert not referrers.SOCIAL & referrers.MAIL


@pytest.mark.parametrize("query", ["?utm_source=x", "?a=b&gclid=1", "?a&UTM_campaign=x", "?a;fbclid=x"])
def test_a_marked_link_is_of_a_campaign(query: str) -> None:
    assert re.search(CAMPAIGN_PATTERN, query, re.IGNORECASE)


@pytest.mark.parametrize("query", ["?q=utm_source", "?xutm_source=1", "?utm_sourced=1", "?gclid", ""])
def test_other_queries_are_of_none(query: str) -> None:
    assert not re.search(CAMPAIGN_PATTERN, query, re.IGNORECASE)
