"""Referring sites where any may be named: registered domains as they are found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.patterns import looks_personal
from pipeline.deidentify.referrers import domain_as_found
from pipeline.site import SiteFile
from pipeline.validation.staging import check_staging
from pipeline.vocabulary import NONE, OTHER, Population
from pipeline.workspace import Workspace
from tests.log_lines import column, events, line, site_of, stage
from tests.staged import contents, folder_of

HOSTILE = {
    "an e-mail address as the host": "http://jane.roe@example.net/",
    "an encoded e-mail address": "http://jane.roe%40example.net/",
    "an IPv4 address": "http://203.0.113.77/",
    "an IPv6 address": "http://[2001:db8::77]:8080/",
    "an address as one number": "http://3405803853/",
    "an address backwards": "http://77.113.0.203.in-addr.arpa/",
    "an encoded label": "http://xn--jane-roe-1990-lcb.de/",
    "letters that are not ASCII": "http://jäne-roe.de/",
    "300 characters": f"http://{'a' * 300}.com/",
    "300 characters in parts": f"http://{'a' * 50}.{'b' * 61}.com/",
    "a single label": "http://janes-laptop/",
    "a private network": "http://payroll.corp/",
    "a printer": "http://printer.local/",
    "a hidden service": "http://expyuzz4wqqyqhjn.onion/",
    "an app": "android-app://com.jane.roe.gm/",
    "a token": "http://9f86d081884c7d659a2feaa0c55ad015.com/",
    "a telephone number": "http://00493055501234.de/",
    "a card number": "http://4111111111111111.com/",
    "an underscore": "http://jane_roe.com/",
    "a public suffix alone": "http://co.uk/",
    "a word for totals": "http://all/",
    "a word for remainders": "http://all other/",
    "no host": "http:///x",
    "nothing but signs": "http://..../",
}


@pytest.mark.parametrize("referrer", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_referrer_is_other(referrer: str, tmp_path: Path) -> None:
    rows = events(stage(tmp_path, line(referrer=referrer), referrer_domains="any"))
    assert [row["referrer_domain"] for row in rows] == [OTHER]


@pytest.mark.parametrize(
    ("referrer", "domain"),
    [
        ("https://WWW.Partner-Shop.CO.UK/path?q=secret", "partner-shop.co.uk"),
        ("http://news.example.net:8080/", "example.net"),
        ("https://360.cn./", "360.cn"),
        ("https://jane-roe.github.io/", "github.io"),
        ("http://203-0-113-77.compute-1.amazonaws.com/", "amazonaws.com"),
        ("https://www.google.com/search", "google.com"),
        ("https://www.example.com/x", NONE),
        ("-", NONE),
    ],
)
def test_the_registered_domain_is_kept_as_it_is_found(referrer: str, domain: str, tmp_path: Path) -> None:
    assert column(stage(tmp_path, line(referrer=referrer), referrer_domains="any"), "referrer_domain") == [domain]


def test_staging_holds_nothing_else_of_referrers(tmp_path: Path) -> None:
    lines = [line(referrer=referrer) for referrer in (*HOSTILE.values(), "https://jane-roe.example.net/?q=secret")]
    staging = stage(tmp_path, *lines, referrer_domains="any")
    written = b"".join(contents(folder_of(staging)).values())
    assert set(column(staging, "referrer_domain")) == {OTHER, "example.net"}
    assert not any(part in written for part in (b"jane", b"secret", b"203.0.113", b"payroll", b"4111"))


def test_credentials_are_nothing_that_a_browser_sends() -> None:
    assert domain_as_found("https://jane:secret@example.net") == OTHER


def test_no_domain_is_kept_that_the_checks_of_staging_would_stop_at() -> None:
    labels = ["123-456-7890", "0049305550123", "deadbeefdeadbeef00", "123e4567-e89b-12d3-a456-426614174000", "plain"]
    found = {domain_as_found(f"https://{label}.com") for label in labels}
    assert found == {OTHER, "plain.com"}
    assert not any(map(looks_personal, found))


def test_the_dimension_is_open_and_lists_what_is_known_beforehand() -> None:
    dimension = site_of(referrer_domains="any").dimensions(Population.VISITORS)["referrer_domain"]
    assert (dimension.is_open, dimension.keys) == (True, (OTHER, NONE))


def test_only_this_dimension_is_open_and_only_where_the_site_file_says_so() -> None:
    opened = site_of(referrer_domains="any").dimensions(Population.VISITORS).values()
    assert [dimension.name for dimension in opened if dimension.is_open] == ["referrer_domain"]
    assert not any(dimension.is_open for dimension in site_of().dimensions(Population.VISITORS).values())


def test_the_word_in_a_list_is_refused() -> None:
    document = site_of().model_dump(mode="json")
    document["visitors"]["referrer_domains"] = ["any"]
    with pytest.raises(ValueError, match="any stands in no list"):
        SiteFile.model_validate(document)


def test_what_is_kept_of_hostile_referrers_passes_the_checks_of_staging(tmp_path: Path) -> None:
    found = [f"https://www.partner{number}.co.uk/" for number in range(20)]
    lines = [line(referrer=referrer) for referrer in (*HOSTILE.values(), *found)]
    staging = stage(tmp_path, *lines, referrer_domains="any")
    check_staging(Workspace(tmp_path), site_of(referrer_domains="any"), staging).require()
