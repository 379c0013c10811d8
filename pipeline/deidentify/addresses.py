"""Network addresses: whose request it was, of which country and region, and whether it was the company's own.

Distinct texts in memory in, one row for each in the same order out; nothing is kept.
"""

from __future__ import annotations

import socket
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

import iptocc
import pyarrow as pa

from pipeline.deidentify.regions import RegionLookUp
from pipeline.site.visitors import Network
from pipeline.vocabulary import COUNTRIES, UNKNOWN

_COLUMNS: Final = pa.schema(
    [
        ("address", pa.string()),
        ("visitor_address", pa.string()),
        ("country", pa.string()),
        ("region", pa.string()),
        ("internal", pa.bool_()),
    ]
)
_NOT_LOGGED: Final = frozenset({"", "-"})
_MAPPED: Final = bytes(10) + b"\xff\xff"  # IPv4 inside IPv6 (RFC 4291, 2.5.5.2)
_MAPPED_BITS: Final = 96
_KNOWN_COUNTRIES: Final = frozenset(COUNTRIES)


class Networks:
    """Networks that can be asked for an address, in a time that grows with the logarithm of their number."""

    def __init__(self, networks: Sequence[Network]) -> None:
        plain = [_as_ipv4(network) for network in networks]
        four = collapse_addresses([network for network in plain if isinstance(network, IPv4Network)])
        six = collapse_addresses([network for network in plain if isinstance(network, IPv6Network)])
        self._spans = {socket.AF_INET: _spans(tuple(four)), socket.AF_INET6: _spans(tuple(six))}

    def __bool__(self) -> bool:
        return any(starts for starts, _ in self._spans.values())

    def __contains__(self, address: str) -> bool:
        """Whether one of them holds an address in its normal form."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        starts, ends = self._spans[family]
        if not starts:
            return False
        number = int.from_bytes(socket.inet_pton(family, address), "big")
        place = bisect_right(starts, number) - 1
        return place >= 0 and number <= ends[place]


def look_up_addresses(
    addresses: Sequence[str], *, trusted: Sequence[Network], internal: Sequence[Network], regions: RegionLookUp | None
) -> pa.Table:
    """Find the visitor behind each chain of addresses, and what may be told of the visitor's address.

    A chain is the peer's address, or what ``X-Forwarded-For`` said before it: ``forwarded,forwarded,peer``. From the
    right, addresses of trusted proxies are passed over, and the first other one is the visitor's: what stands left
    of it, anybody may have invented (RFC 7239, 5.2 and 7.4). An entry that cannot be read (``unknown``, ``_hidden``,
    nothing) ends the walk without a visitor. Where all are trusted, one's own proxy asked by itself, to check health
    for example: the leftmost address is the visitor's, and internal.

    Loopback, private and link-local addresses are internal only where they are declared: behind a proxy that nobody
    declared, every line has one, and a log of an intranet has no others. Their country is unknown.

    Args:
        addresses: Distinct chains, at most some 100,000; entries may have ports, brackets, quotes and blanks.
        trusted: Networks of one's own proxies.
        internal: Networks of the company itself.
        regions: An open database of regions, or None.

    Returns:
        ``address`` (as given), ``visitor_address`` (normal form; NULL where there is none), ``country``,
        ``region`` (NULL without a database) and ``internal`` (boolean).

    Raises:
        SourceError: The database of regions is damaged.
    """
    proxies, own = _networks(tuple(trusted)), _networks(tuple(internal))
    passed: dict[str, str] = {}
    declared = bool(own or proxies)
    visitors = [
        ("," not in chain and normal_address(chain)) or _visitor_address(chain, proxies, passed) for chain in addresses
    ]
    codes = iptocc.country_code([address or "" for address in visitors])
    columns = {
        "address": addresses,
        "visitor_address": visitors,
        "country": [code if code in _KNOWN_COUNTRIES else UNKNOWN for code in codes],
        "region": [regions.region(address) for address in visitors] if regions else [None] * len(visitors),
        # A visitor's address is a proxy's only where a chain has no other.
        "internal": [bool(declared and address and (address in own or address in proxies)) for address in visitors],
    }
    return pa.table(columns, schema=_COLUMNS)


def normal_address(text: str) -> str | None:
    """The one normal form of an IP address (RFC 5952; IPv4 inside IPv6 as IPv4); None where it is none.

    The zone of a link-local address (``%eth0``, RFC 4007) is the machine's own word, and is left out.
    """
    try:
        if ":" not in text:
            socket.inet_pton(socket.AF_INET, text)
            return text  # four plain decimal numbers, which can be written in one way only
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):  # no address; a NUL or half a character in it
        return None
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[len(_MAPPED) :])
    return socket.inet_ntop(socket.AF_INET6, packed)


def _visitor_address(chain: str, proxies: Networks, passed: dict[str, str]) -> str | None:
    """The address a walk from the right ends at; ``passed`` are the entries of proxies met so far, and is added to."""
    nearest: str | None = None
    end = len(chain)
    while end >= 0:  # of what stands left of the end
        comma = chain.rfind(",", 0, end)
        entry = chain[comma + 1 : end]
        end = comma
        if entry in passed:
            nearest = passed[entry]
            continue
        if comma < 0 and nearest and entry.strip() in _NOT_LOGGED:
            break  # the peer, and nothing said of others
        nearest = _entry_address(entry)
        if nearest is None or nearest not in proxies:
            break
        passed[entry] = nearest
    return nearest


def _entry_address(entry: str) -> str | None:
    r"""The address of an entry that may have a port, brackets, quotes (which servers write as ``\x22``), blanks."""
    if address := normal_address(entry):
        return address
    text = entry.replace("\\x22", "").strip(' \t"\\')
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or ":" not in text or (port and not _is_port(port.removeprefix(":"))):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    return normal_address(text)


def _is_port(text: str) -> bool:
    return 1 <= len(text) <= 5 and text.isascii() and text.isdecimal()


@lru_cache(maxsize=8)
def _networks(networks: tuple[Network, ...]) -> Networks:
    return Networks(networks)


def _as_ipv4(network: Network) -> Network:
    """A network of IPv4 inside IPv6 as IPv4, as addresses are."""
    mapped = isinstance(network, IPv6Network) and network.network_address.packed.startswith(_MAPPED)
    if not mapped or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((network.network_address.packed[len(_MAPPED) :], network.prefixlen - _MAPPED_BITS))


def _spans(networks: Sequence[Network]) -> tuple[list[int], list[int]]:
    """First and last addresses of ascending networks that do not overlap."""
    return [int(n.network_address) for n in networks], [int(n.broadcast_address) for n in networks]
