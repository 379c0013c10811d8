"""Network addresses of a wanted mix of countries: drawn at random, looked up, and chosen."""

from __future__ import annotations

from dataclasses import dataclass

import iptocc
import numpy as np
import pyarrow as pa

from pipeline.sample.columns import Index, join, texts
from pipeline.sample.countries import COUNTRIES, NOWHERE

IPV6_SHARE = 0.12
_NOWHERE_SHARE = 0.004
_CODES = {country.code: index for index, country in enumerate(COUNTRIES)}
# First sixteen bits under which the registries have given out most of what people use.
_IPV6_BLOCKS = np.array(
    [
        0x2400,
        0x2401,
        0x2402,
        0x2409,
        0x240A,
        0x2601,
        0x2603,
        0x2607,
        0x2800,
        0x2803,
        0x2804,
        *range(0x2A00, 0x2A10),
        0x2C0F,
    ]
)


@dataclass(frozen=True)
class Addresses:
    """One address a row.

    Attributes:
        text: Distinct addresses, in no order.
        country: Index into ``COUNTRIES``, or ``NOWHERE``.
    """

    text: pa.Array
    country: Index


def draw_addresses(rng: np.random.Generator, size: int) -> Addresses:
    """``size`` distinct public addresses, as many from each country as ``COUNTRIES`` says, one in eight IPv6.

    A country of which too few turn up gives what it has; the first country fills up. Four in a thousand are
    of the range that carriers share (RFC 6598) and belong to no country.
    """
    shared, new = round(size * _NOWHERE_SHARE), round(size * IPV6_SHARE)
    parts = [
        _choose(rng, _ipv4(rng, 20_000 + 12 * size), size - new - shared),
        _choose(rng, _ipv6(rng, 20_000 + 5 * size), new),
        Addresses(_carrier(shared), np.full(shared, NOWHERE)),
    ]
    order = rng.permutation(size)
    return Addresses(
        pa.concat_arrays([part.text for part in parts]).take(pa.array(order)),
        np.concatenate([part.country for part in parts])[order],
    )


def _ipv4(rng: np.random.Generator, size: int) -> pa.Array:
    numbers = rng.permutation(np.unique(rng.integers(1 << 24, 224 << 24, size)))
    octets = texts(map(str, range(256)))
    return join(*_separated([octets.take(pa.array(numbers >> shift & 255)) for shift in (24, 16, 8, 0)], b"."))


def _ipv6(rng: np.random.Generator, size: int) -> pa.Array:
    groups = texts(f"{number:x}" for number in range(1 << 16))
    first = _IPV6_BLOCKS[rng.integers(0, len(_IPV6_BLOCKS), size)]
    others = rng.integers(1, 1 << 16, (7, size))
    return join(*_separated([groups.take(pa.array(column)) for column in (first, *others)], b":"))


def _carrier(size: int) -> pa.Array:
    return texts(f"100.{64 + row // 64_000 % 64}.{row // 250 % 256}.{row % 250 + 1}" for row in range(size))


def _separated(columns: list[pa.Array], mark: bytes) -> list[pa.Array | bytes]:
    parts: list[pa.Array | bytes] = [columns[0]]
    for column in columns[1:]:
        parts += [mark, column]
    return parts


def _choose(rng: np.random.Generator, candidates: pa.Array, size: int) -> Addresses:
    """Of each country the wanted number, the first that turned up."""
    found = iptocc.country_code(candidates.cast(pa.string()).to_pylist())
    country = np.array([_CODES.get(code, NOWHERE) for code in found])
    available = np.bincount(country, minlength=NOWHERE + 1)[:NOWHERE]
    weights = np.array([country.weight for country in COUNTRIES])
    wanted = np.minimum(rng.multinomial(size, weights / weights.sum()), available)
    wanted[0] += size - wanted.sum()
    order = np.argsort(country, kind="stable")[: available.sum()]
    place = np.arange(len(order)) - np.repeat(np.cumsum(available) - available, available)
    chosen = order[place < np.repeat(wanted, available)]
    if len(chosen) != size:
        raise AssertionError("the first country must have addresses enough to fill up with")
    return Addresses(candidates.take(pa.array(chosen)), country[chosen])
