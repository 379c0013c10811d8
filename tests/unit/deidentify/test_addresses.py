"""Network addresses, and the visitor behind proxies."""

from __future__ import annotations

import time
from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deidentify.addresses import Networks, look_up_addresses, normal_address
from pipeline.site.visitors import Network
from pipeline.vocabulary import COUNTRIES
from tests.hostile_texts import HOSTILE

PROXIES: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48"))


def found(chain: str, trusted: tuple[Network, ...] = PROXIES, internal: tuple[Network, ...] = ()) -> dict[str, object]:
    rows = look_up_addresses([chain], trusted=trusted, internal=internal, regions=None).to_pylist()
    assert rows[0]["address"] == chain
    return dict(rows[0])


def visitor(chain: str, trusted: tuple[Network, ...] = PROXIES) -> object:
    return found(chain, trusted)["visitor_address"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:0DB8:0:0::0001", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%=cmd|x", "fe80::1"),
        ("192.0.2.1%eth0", None),
        ("192.0.2.256", None),
        ("192.0.2.01", None),
        ("192.0.2", None),
        ("0x7f.0.0.1", None),
        (" 192.0.2.1", None),
        ("192.0.2.1\n", None),
        ("host.example", None),
        ("", None),
        ("3221225985", None),
        ("\ud800", None),
    ],
)
def test_an_address_has_one_normal_form(text: str, normal: str | None) -> None:
    assert normal_address(text) == normal


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=6), st.sampled_from(["exploded", "compressed"]))
def test_normal_addresses_are_those_of_the_standard_library(address: IPv6Address, form: str) -> None:
    normal = normal_address(getattr(address, form).upper())
    assert normal is not None
    assert ip_address(normal) == (address.ipv4_mapped or address)
    assert normal_address(normal) == normal


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_is_its_own_normal_form(address: object) -> None:
    assert normal_address(str(address)) == str(address)


def test_countries_come_from_the_closed_list() -> None:
    addresses = ["8.8.8.8", "::ffff:8.8.8.8", "10.0.0.1", "2001:4860:4860::8888", "127.0.0.1", "fe80::1", "nonsense"]
    table = look_up_addresses(addresses, trusted=(), internal=(), regions=None)
    assert table.column("address").to_pylist() == addresses
    countries = table.column("country").to_pylist()
    assert countries == ["US", "US", "unknown", "US", "unknown", "unknown", "unknown"]
    assert set(countries) <= set(COUNTRIES)


def test_without_a_database_no_region_is_told() -> None:
    assert found("8.8.8.8")["region"] is None


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("203.0.113.7,10.0.0.1", "203.0.113.7"),
        ("203.0.113.7, 10.2.2.2, 10.0.0.1", "203.0.113.7"),
        ("2001:db8::7,2001:db8:ffff::1", "2001:db8::7"),
        ("203.0.113.7:5678,10.0.0.1", "203.0.113.7"),
        ("[2001:db8::7]:443,10.0.0.1", "2001:db8::7"),
        ("[2001:db8::7],10.0.0.1", "2001:db8::7"),
        ('"[2001:db8::7]:443",10.0.0.1', "2001:db8::7"),
        (r"\x22[2001:db8::7]\x22,10.0.0.1", "2001:db8::7"),
        (r"\"203.0.113.7\",10.0.0.1", "203.0.113.7"),
        ("::ffff:203.0.113.7,::ffff:10.0.0.1", "203.0.113.7"),
        ("fe80::7%en0,10.0.0.1", "fe80::7"),
        ("203.0.113.7,10.0.0.1:8080", "203.0.113.7"),
        ("203.0.113.7,", None),
        ("unknown,10.0.0.1", None),
        ("_hidden,10.0.0.1", None),
        ("203.0.113.7,unknown,10.0.0.1", None),
        ("203.0.113.7,,10.0.0.1", None),
        (",,10.0.0.1", None),
        ("203.0.113.7:x,10.0.0.1", None),
        ("203.0.113.7:123456,10.0.0.1", None),
        ("[2001:db8::7,10.0.0.1", None),
        ("[203.0.113.7],10.0.0.1", None),
        ("[2001:db8::7]443x,10.0.0.1", None),
        (",203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:5678", "203.0.113.7"),
        ("[2001:db8::7]:5678", "2001:db8::7"),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxys_is_the_visitors(chain: str, address: str | None) -> None:
    assert visitor(chain) == address


@pytest.mark.parametrize("invented", ["8.8.8.8", "10.0.0.9", "unknown", "=cmd|x", "8.8.8.8, 9.9.9.9", "", "-"])
def test_what_stands_left_of_the_visitor_is_not_believed(invented: str) -> None:
    assert visitor(f"{invented},203.0.113.7,10.0.0.1") == "203.0.113.7"


def test_without_trusted_proxies_only_the_peer_is_believed() -> None:
    assert visitor("8.8.8.8,203.0.113.7", ()) == "203.0.113.7"
    assert visitor("8.8.8.8,10.0.0.1", ()) == "10.0.0.1"


@pytest.mark.parametrize("chain", ["10.0.0.1", ",10.0.0.1", "-,10.0.0.1", " - ,10.0.0.1"])
def test_a_request_of_a_proxy_itself_is_internal(chain: str) -> None:
    assert (found(chain)["visitor_address"], found(chain)["internal"]) == ("10.0.0.1", True)


def test_a_request_from_within_the_proxies_networks_is_internal_and_of_its_first_address() -> None:
    row = found("10.7.7.7,10.0.0.2,10.0.0.1")
    assert (row["visitor_address"], row["internal"]) == ("10.7.7.7", True)


def test_a_visitor_behind_a_proxy_is_not_internal() -> None:
    assert found("203.0.113.7,10.0.0.1")["internal"] is False


@pytest.mark.parametrize(
    ("address", "internal"),
    [
        ("198.51.100.0", True),
        ("198.51.100.255", True),
        ("198.51.101.0", False),
        ("198.51.99.255", False),
        ("2001:db8:1::ffff", True),
        ("2001:db8:2::", False),
        ("192.0.2.7", True),
        ("nonsense", False),
    ],
)
def test_addresses_of_declared_networks_are_internal(address: str, internal: bool) -> None:
    own = (ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/48"), ip_network("::ffff:192.0.2.0/120"))
    assert found(address, (), own)["internal"] is internal


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fe80::1", "fd00::1"])
def test_private_addresses_are_internal_only_where_declared(address: str) -> None:
    assert found(address, ())["internal"] is False
    assert found(address, (), (ip_network(f"{address}/{ip_address(address).max_prefixlen}"),))["internal"] is True


def test_a_network_of_all_ipv6_holds_no_ipv4() -> None:
    networks = Networks([ip_network("::/0")])
    assert "2001:db8::1" in networks
    assert "192.0.2.1" not in networks


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.ip_addresses(v=4).flatmap(lambda a: st.integers(8, 32).map(lambda n: (str(a), n))), max_size=6),
    st.ip_addresses(v=4),
)
def test_networks_hold_what_the_standard_library_says(declared: list[tuple[str, int]], address: object) -> None:
    networks = [ip_network(f"{base}/{length}", strict=False) for base, length in declared]
    asked = [str(address), *(base for base, _ in declared), *(str(n.broadcast_address + 1) for n in networks[:0])]
    held = Networks(networks)
    assert [one in held for one in asked] == [any(ip_address(one) in n for n in networks) for one in asked]


def test_many_networks_cost_hardly_more_than_one() -> None:
    networks = [ip_network((number << 12, 24)) for number in range(20_000)]
    addresses = [f"198.51.{number % 256}.{number // 256}" for number in range(20_000)]
    look_up_addresses(addresses[:1], trusted=networks, internal=networks, regions=None)  # prepares the networks
    begin = time.process_time()
    look_up_addresses(addresses, trusted=networks, internal=networks, regions=None)
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize("entry", ["10.0.0.1", "8.8.8.8", "", "x"])
def test_a_chain_of_a_hundred_thousand_entries_is_walked_once(entry: str) -> None:
    begin = time.process_time()
    found(",".join([entry] * 100_000 + ["10.0.0.1"]))
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_no_hostile_address_is_passed_on(text: str) -> None:
    for chain in (text, f"{text},10.0.0.1", f"fe80::1%{text},10.0.0.1", f"203.0.113.7:{text},10.0.0.1"):
        row = found(chain)
        address = row["visitor_address"]
        assert address is None or ip_address(str(address)) is not None
        assert "%" not in str(address)
        assert row["country"] in COUNTRIES


def test_every_chain_gets_one_row_in_order() -> None:
    chains = ["8.8.8.8,10.0.0.1", "nonsense", "192.0.2.1"]
    assert look_up_addresses(chains, trusted=PROXIES, internal=(), regions=None).column("address").to_pylist() == chains
    assert look_up_addresses([], trusted=(), internal=(), regions=None).num_rows == 0
