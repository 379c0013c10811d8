"""Registered domains of hosts."""

from __future__ import annotations

import pytest

from pipeline.sources.domains import host_of, public_domain, registered_domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("someone.blogspot.com", "someone.blogspot.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("co.uk", None),
        ("localhost", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("", None),
        ("a b.example.c d", None),
        ("..", None),
        ("\ud800.example", None),
    ],
)
def test_the_registered_domain_is_the_public_suffix_and_one_label(host: str, domain: str | None) -> None:
    assert registered_domain(host) == domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.co.uk", "example.co.uk"),
        ("Www.Example.COM", "example.com"),
        ("someone.blogspot.com", "blogspot.com"),
        ("a--b.com", "a--b.com"),
        ("xn--bcher-kva.de", None),
        ("ab--cd.com", None),
        ("bücher.de", None),
        ("intranet.corp", None),
        ("laptop.local", None),
        ("1.168.192.in-addr.arpa", None),
        ("expyuzz4wqqyqhjn.onion", None),
        ("co.uk", None),
        ("localhost", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("", None),
        ("..", None),
        ("-a.com", None),
        ("a-.com", None),
        ("a_b.com", None),
        ("jane%40roe.com", None),
        ("roe.com\n", None),
        ("\ud800.com", None),
        (f"{'a' * 56}.com", f"{'a' * 56}.com"),
        (f"{'a' * 57}.com", None),
    ],
)
def test_a_public_domain_is_one_that_a_registry_gave_in_plain_letters(host: str, domain: str | None) -> None:
    assert public_domain(host) == domain


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://WWW.Example.com", "www.example.com"),
        ("http://name:secret@example.com:8080", "example.com"),
        ("http://[2001:db8::1]:80", "2001:db8::1"),
        ("https://example.com.", "example.com"),
        ("https://", None),
        ("example.com", None),
        ("-", None),
    ],
)
def test_a_host_is_told_without_port_and_credentials(origin: str, host: str | None) -> None:
    assert host_of(origin) == host
