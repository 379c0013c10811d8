"""Classes of referrers, and marks of campaigns."""

from __future__ import annotations

import re

import pytest

from pipeline.deidentify import referrers
from pipeline.deidentify.referrers import CAMPAIGN_PATTERN, look_up_origins, referrer_class
from pipeline.vocabulary import REFERRER_CLASSES
from tests.hostile_texts import HOSTILE


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
        (None, "unknown", "other"),
    ],
)
def test_a_referring_domain_is_named_only_where_the_site_file_names_it(
    origin: str | None, kind: str, domain: str
) -> None:
    row = look_up_origins([origin], ["Example.com"], ["Example.org"]).to_pylist()[0]
    assert (row["referrer_class"], row["referrer_domain"].lower()) == (kind, domain)


def test_where_any_site_may_be_named_an_origin_that_is_not_logged_names_none() -> None:
    row = look_up_origins([None], [], "any").to_pylist()[0]
    assert (row["referrer_class"], row["referrer_domain"]) == ("unknown", "other")
    assert row["referrer_class"] in REFERRER_CLASSES


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_no_hostile_origin_is_passed_on(text: str) -> None:
    for origin in (text, f"https://{text}", f"https://{text}.example.org", f"https://example.org:{text}"):
        row = look_up_origins([origin], ["example.com"], ["example.org"]).to_pylist()[0]
        assert row["referrer_class"] in REFERRER_CLASSES
        assert row["referrer_domain"] in ("example.org", "other", "none")


def test_every_origin_gets_one_row_in_order() -> None:
    origins = ["https://b.example", "-"]
    assert look_up_origins(origins, [], []).column("origin").to_pylist() == origins
    assert look_up_origins([], [], []).num_rows == 0
