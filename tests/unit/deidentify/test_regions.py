"""Regions of declared countries, from real databases in MaxMind's format."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from pipeline.deidentify.addresses import look_up_addresses
from pipeline.deidentify.regions import RegionLookUp
from pipeline.errors import ConfigurationError, SourceError
from pipeline.vocabulary import OTHER, UNKNOWN, region_keys


def place(country: str, *codes: str) -> dict[str, Any]:
    return {"country": {"iso_code": country}, "subdivisions": [{"iso_code": code} for code in codes]}


RECORDS: dict[str, Any] = {
    "192.0.2.0/28": place("US", "CA"),
    "192.0.2.16/28": place("US", "US-NY", "061"),
    "192.0.2.32/28": place("US"),
    "192.0.2.48/28": place("US", "=cmd|x"),
    "192.0.2.64/28": place("DE", "BE"),
    "192.0.2.80/28": place("FR", "IDF"),
    "192.0.2.144/28": place("FR"),
    "192.0.2.96/28": {"city": "Nowhere"},
    "192.0.2.112/28": {"country": "US", "subdivisions": "CA"},
    "192.0.2.128/28": ["US", "CA"],
    "2001:db8::/32": place("US", "TX"),
}


def database(folder: Path, *, ip_version: int = 6) -> Path:
    writer = MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6, database_type="Made-City")
    for network, record in RECORDS.items():
        if ip_version == 6 or ":" not in network:
            writer.insert_network(IPSet([network]), record)
    path = folder / "places.mmdb"
    writer.to_db_file(str(path))
    return path


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("192.0.2.1", "US-CA"),
        ("192.0.2.17", "US-NY"),
        ("192.0.2.33", UNKNOWN),
        ("192.0.2.49", OTHER),
        ("192.0.2.65", "DE-BE"),
        ("192.0.2.81", OTHER),
        ("192.0.2.145", OTHER),
        ("192.0.2.97", UNKNOWN),
        ("192.0.2.113", UNKNOWN),
        ("192.0.2.129", UNKNOWN),
        ("198.51.100.1", UNKNOWN),
        ("2001:db8::1", "US-TX"),
        ("2001:db9::1", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_region_is_told_of_declared_countries_only(address: str | None, region: str, tmp_path: Path) -> None:
    with RegionLookUp.open(database(tmp_path), ["US", "DE"]) as regions:
        assert regions.region(address) == region
    assert region in (*region_keys(["US", "DE"]), OTHER, UNKNOWN)


def test_a_database_without_ipv6_knows_no_such_address(tmp_path: Path) -> None:
    with RegionLookUp.open(database(tmp_path, ip_version=4), ["US"]) as regions:
        assert (regions.region("2001:db8::1"), regions.region("192.0.2.1")) == (UNKNOWN, "US-CA")


def test_the_region_is_that_of_the_visitor_and_not_of_the_proxy(tmp_path: Path) -> None:
    with RegionLookUp.open(database(tmp_path), ["US", "DE"]) as regions:
        proxies = [ip_network("192.0.2.64/28")]
        chains = ["192.0.2.1,192.0.2.65", "nonsense"]
        table = look_up_addresses(chains, trusted=proxies, internal=(), regions=regions)
    assert table.column("region").to_pylist() == ["US-CA", UNKNOWN]


def test_a_database_that_is_not_there_stops_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"must be a readable file, got no file: .*places\.mmdb"):
        RegionLookUp.open(tmp_path / "places.mmdb", ["US"])


def test_a_pipe_is_no_database_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "places.mmdb")
    with pytest.raises(ConfigurationError, match="must be a readable file"):
        RegionLookUp.open(tmp_path / "places.mmdb", ["US"])


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must be a readable file"):
        RegionLookUp.open(tmp_path, ["US"])


@pytest.mark.parametrize("content", [b"", b"network,country\n192.0.2.0/24,US\n", bytes(100_000)])
def test_a_file_of_another_kind_is_no_database(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "places.mmdb"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="must be a MaxMind database"):
        RegionLookUp.open(path, ["US"])


def test_a_damaged_database_stops_without_the_address(tmp_path: Path) -> None:
    path = database(tmp_path)
    content = path.read_bytes()
    head = content.index(b"country") - 20
    path.write_bytes(content[:head] + b"\xff" * 120 + content[head + 120 :])
    everywhere = [f"192.0.2.{last}" for last in range(256)]
    with RegionLookUp.open(path, ["US"]) as regions, pytest.raises(SourceError) as failure:
        look_up_addresses(everywhere, trusted=(), internal=(), regions=regions)
    assert "192.0.2." not in str(failure.value)
    assert failure.value.__cause__ is None
