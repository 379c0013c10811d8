"""Who comes to the sample's site: people with a browser, crawlers, and what speaks no HTTP at all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.sample.addresses import Addresses, draw_addresses
from pipeline.sample.browsers import BROWSERS, CRAWLERS, SCANNERS
from pipeline.sample.columns import Flags, Index, Weights, draw, join, texts
from pipeline.sample.countries import PLACES

_SHARED_ADDRESS = 0.04  # of visitors come from an address that another visitor has, too
_NO_LANGUAGE = 0.01
_ENGLISH_ABROAD = 0.12
_STRANGERS = 25
_GIVEN = (
    "jane",
    "john",
    "erika",
    "max",
    "ola",
    "kari",
    "juan",
    "maria",
    "taro",
    "hanako",
    "jan",
    "anna",
    "ivan",
    "marie",
)
_FAMILY = ("roe", "doe", "mustermann", "normann", "perez", "rossi", "yamada", "dupont", "kowalska", "novak", "silva")


@dataclass(frozen=True)
class Clients:
    """Everything that sends requests: visitors first, then crawlers, then strangers who speak no HTTP.

    Attributes:
        visitors: How many people; one is an address together with a user agent.
        crawlers: How many crawlers.
        strangers: How many others.
        head: What a line begins with: the address.
        tail: What a line ends with: user agent and Accept-Language.
        country: Of visitors, index into ``PLACES``.
        scanner: Of crawlers, whether it looks for weak places.
        name: Of visitors, an invented name that makes e-mail addresses and log-ins.
    """

    visitors: int
    crawlers: int
    strangers: int
    head: pa.Array
    tail: pa.Array
    country: Index
    scanner: Flags
    name: pa.Array


def draw_clients(rng: np.random.Generator, visitors: int) -> Clients:
    """Invent them all; one crawler to 150 visitors, a few of each kind at least."""
    crawlers = max(2 * len(CRAWLERS), visitors // 150)
    addresses = draw_addresses(rng, visitors + crawlers + _STRANGERS)
    agent = _visitor_agents(rng, addresses.country[:visitors])
    text, agent, country = _share_addresses(addresses, agent, visitors)
    crawler = draw(rng, np.array([float(weight) for weight, _ in CRAWLERS]), crawlers)
    dialects = _CATALOGUE.dialects[agent]
    tails = [
        join(_CATALOGUE.agents.take(pa.array(agent)), b'" "', _languages(rng, country, dialects)),
        join(texts(text for _, text in CRAWLERS).take(pa.array(crawler)), b'" "-'),
        texts(['-" "-'] * _STRANGERS),
    ]
    return Clients(
        visitors,
        crawlers,
        _STRANGERS,
        head=join(text, b" - "),
        tail=join(pa.concat_arrays(tails), b'"\n'),
        country=country,
        scanner=crawler >= len(CRAWLERS) - SCANNERS,
        name=_names(visitors),
    )


@dataclass(frozen=True)
class _Catalogue:
    """Every user agent a visitor may have, with its weights at a desk and in the hand."""

    agents: pa.Array
    dialects: Index
    desk: Weights
    hand: Weights

    @classmethod
    def of_browsers(cls) -> _Catalogue:
        agents, dialects, desk, hand = [], [], [], []
        for browser in BROWSERS:
            strings = browser.strings()
            newness = 0.985 ** np.arange(len(strings)) / (1 + np.arange(len(strings)))
            agents += strings
            dialects += [int(browser.dialect)] * len(strings)
            desk.append(browser.desk * newness / newness.sum())
            hand.append(browser.hand * newness / newness.sum())
        return cls(texts(agents), np.array(dialects), np.concatenate(desk), np.concatenate(hand))


_CATALOGUE = _Catalogue.of_browsers()


def _visitor_agents(rng: np.random.Generator, country: Index) -> Index:
    mobile = np.array([place.mobile for place in PLACES])[country]
    desk, hand = (draw(rng, weights, len(country)) for weights in (_CATALOGUE.desk, _CATALOGUE.hand))
    return np.where(mobile, hand, desk)


def _share_addresses(addresses: Addresses, agent: Index, visitors: int) -> tuple[pa.Array, Index, Index]:
    """Give some visitors their neighbour's address and, where the two would be one person, another agent."""
    second = np.arange(1, max(1, round(2 * visitors * _SHARED_ADDRESS)), 2)
    source = np.arange(len(addresses.text))
    source[second] = second - 1
    agent = agent.copy()
    alike = second[agent[second] == agent[second - 1]]
    agent[alike] = (agent[alike] + 1) % len(_CATALOGUE.agents)
    return addresses.text.take(pa.array(source)), agent, addresses.country[source][:visitors]


def _languages(rng: np.random.Generator, country: Index, dialect: Index) -> pa.Array:
    """Accept-Language of each visitor: the country's languages, English here and there, sometimes none."""
    places = [place.tags for place in PLACES]
    tags = sorted({*itertools.chain.from_iterable(places), "en-US"})
    favourite, second = (
        np.array([tags.index(place[min(rank, len(place) - 1)]) for place in places]) for rank in (0, 1)
    )
    chance = rng.random(len(country))
    tag = np.where(chance < 0.85, favourite[country], second[country])
    tag = np.where(rng.random(len(country)) < _ENGLISH_ABROAD, tags.index("en-US"), tag)
    written = texts([*(_accept(name, kind) for name in tags for kind in range(3)), "-"])
    index = np.where(rng.random(len(country)) < _NO_LANGUAGE, len(written) - 1, tag * 3 + dialect)
    return written.take(pa.array(index))


def _accept(tag: str, dialect: int) -> str:
    """Accept-Language as Chromium, Firefox and Safari write it."""
    primary = tag.partition("-")[0]
    if dialect == 2:
        return f"{tag},{primary};q=0.9"
    if primary == "en":
        return f"{tag},en;q=0.9" if dialect == 0 else f"{tag},en;q=0.5"
    return f"{tag},{primary};q=0.9,en-US;q=0.8,en;q=0.7" if dialect == 0 else f"{tag},{primary};q=0.7,en;q=0.3"


def _names(visitors: int) -> pa.Array:
    pairs = [f"{given}.{family}" for given in _GIVEN for family in _FAMILY]
    rows = np.arange(visitors)
    return join(texts(pairs).take(pa.array(rows % len(pairs))), pa.array(rows).cast(pa.string()).cast(pa.binary()))
