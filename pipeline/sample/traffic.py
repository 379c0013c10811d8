"""Who asked for what, when: the sample's requests as columns of numbers, in the order in which a server logs them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from pipeline.sample.clients import Clients
from pipeline.sample.columns import Flags, Index, Weights, draw, spread
from pipeline.sample.countries import PLACES
from pipeline.sample.pages import CAMPAIGN_SHARE
from pipeline.sample.requests import Requests

START = dt.date(2026, 10, 5)  # the Monday of 2026-W41
DAYS = 14
DAY = 86_400
BOT_SHARE = 0.09
MALFORMED_SHARE = 0.0025
_WEEK = 7 * DAY
_SPAN = DAYS * DAY
_TAIL = 1.7  # of the visitors' activity: the busiest of 40,000 has thousands of lines, the median three
_VISIT_LINES = 6  # of one visit, on average
_WEEKDAYS = np.array([17.0, 18.0, 18.0, 17.0, 15.0, 8.0, 7.0])
_HOURS = np.array(
    [
        1.2,
        0.8,
        0.6,
        0.5,
        0.5,
        0.8,
        1.6,
        3.0,
        5.2,
        7.0,
        7.6,
        7.4,
        6.4,
        6.8,
        7.2,
        7.0,
        6.6,
        5.8,
        5.0,
        4.8,
        4.8,
        4.4,
        3.4,
        2.2,
    ]
)

STATUSES = (200, 304, 301, 302, 206, 403, 404, 500, 503, 400, 408)
PROTOCOLS = (" HTTP/1.1", " HTTP/2.0", "")
_ANSWERS = np.array([0.915, 0.045, 0.012, 0.012, 0.002, 0.003, 0.004, 0.005, 0.002])
_NOT_FOUND, _PARTIAL, _BAD = STATUSES.index(404), STATUSES.index(206), STATUSES.index(400)


class Damage(IntEnum):
    """What is wrong with a line."""

    NONE = 0
    CUT_EARLY = 1
    CUT_IN_REQUEST = 2
    CUT_LATE = 3
    GARBAGE = 4
    NOISE = 5


@dataclass(frozen=True)
class Traffic:
    """One row a line.

    Attributes:
        second: Since ``START``, 00:00 UTC.
        client: Index into ``Clients.head`` and ``Clients.tail``.
        request: Index into ``Requests.text``.
        referrer: Index into ``Requests.referrer``.
        answer: Protocol and status, as ``protocol * len(STATUSES) + status``.
        size: Bytes of the answer.
        signed_in: Whether the line names who is signed in.
        damage: One of ``Damage``.
    """

    second: Index
    client: Index
    request: Index
    referrer: Index
    answer: Index
    size: Index
    signed_in: Flags
    damage: Index

    def rows(self, chosen: Index | slice) -> Traffic:
        """Some of the rows, in this order."""
        return Traffic(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


@dataclass(frozen=True)
class Counts:
    """How many lines there are of each kind."""

    people: int
    bots: int
    malformed: int

    @classmethod
    def of(cls, lines: int) -> Counts:
        """Share out the lines of a log."""
        bots, malformed = round(lines * BOT_SHARE), max(len(Damage) - 1, round(lines * MALFORMED_SHARE))
        return cls(lines - bots - malformed, bots, malformed)


def draw_traffic(rng: np.random.Generator, clients: Clients, requests: Requests, counts: Counts) -> Traffic:
    """All lines of the two weeks, ordered by time."""
    parts = [
        _people(rng, clients, requests, counts.people),
        _bots(rng, clients, requests, counts.bots),
        _malformed(rng, clients, requests, counts.malformed),
    ]
    columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Traffic)}
    return Traffic(**columns).rows(np.argsort(columns["second"], kind="stable"))


def _people(rng: np.random.Generator, clients: Clients, requests: Requests, lines: int) -> Traffic:
    # one row a line, the lines of a visit beside each other
    client = np.repeat(np.arange(clients.visitors), spread(rng, lines, clients.visitors, _TAIL))
    begins = (np.diff(client, prepend=-1) > 0) | (rng.random(lines) < 1 / _VISIT_LINES)
    page = _pages(rng, requests, client)
    request = _requests(rng, requests, client, page, begins)
    protocol = (rng.random(clients.visitors) < 0.8)[client].astype(np.int64)
    account = np.isin(page, requests.pages_of("account", "support", "store"))
    return Traffic(
        _times(rng, clients, client, begins),
        client,
        request,
        _referrers(rng, requests, request, begins),
        _answers(rng, requests, page, protocol),
        _sizes(rng, requests, page),
        account & (rng.random(clients.visitors) < 0.4)[client],
        np.zeros(lines, np.int64),
    )


def _times(rng: np.random.Generator, clients: Clients, client: Index, begins: Flags) -> Index:
    """Each visit begins at an hour that is usual where the visitor lives; its lines follow within minutes."""
    first = np.flatnonzero(begins)
    visit = np.cumsum(begins) - 1
    # Two in three visitors come in one of the two weeks only.
    habit = rng.integers(0, 3, clients.visitors)[client[first]]
    week = np.where(habit == 2, rng.integers(0, 2, len(first)), habit)
    offset = np.array([place.offset for place in PLACES])[clients.country[client[first]]]
    local = draw(rng, _WEEKDAYS, len(first)) * DAY + draw(rng, _HOURS, len(first)) * 3600
    start = (local + rng.integers(0, 3600, len(first)) - offset * 3600) % _WEEK + week * _WEEK
    pause = np.cumsum(np.where(begins, 0.0, rng.lognormal(2.8, 1.1, len(client))))
    second = start[visit] + (pause - pause[first][visit]).astype(np.int64)
    # What would fall after the last midnight is mirrored into the last day.
    mirrored: Index = np.where(second < _SPAN, second, np.maximum(2 * _SPAN - 1 - second, 0))
    return mirrored


def _pages(rng: np.random.Generator, requests: Requests, client: Index) -> Index:
    """Half of what a visitor asks for is of the section the visitor likes best."""
    ends = np.cumsum(requests.weight)
    ranges = requests.favoured
    low, high = (ends - requests.weight)[ranges[:, 0]], ends[ranges[:, 1] - 1]
    liked = draw(rng, high - low, int(client[-1]) + 1)[client]
    chance = rng.random(len(client))
    aim = np.where(rng.random(len(client)) < 0.5, low[liked] + chance * (high - low)[liked], chance * ends[-1])
    return np.searchsorted(ends, aim, side="right")


def _requests(rng: np.random.Generator, requests: Requests, client: Index, page: Index, begins: Flags) -> Index:
    """Mostly the page itself; at times a campaign's link, or a link with an e-mail address and a token."""
    chance = rng.random(len(page))
    entry = rng.integers(requests.campaigns, requests.noise, len(page))
    request = np.where(begins & (chance < CAMPAIGN_SHARE), entry, page)
    request = np.where(~begins & (chance < 0.006), requests.confirmations + client, request)
    return np.where(~begins & (chance > 0.996), requests.licences + client, request)


def _referrers(rng: np.random.Generator, requests: Requests, request: Index, begins: Flags) -> Index:
    """From outside where a visit begins, then the page before."""
    outside = draw(rng, requests.arrivals, len(request))
    campaign = (request >= requests.campaigns) & (request < requests.noise)
    hidden = campaign | (rng.random(len(request)) < 0.05)  # the first referrer is none
    inside = len(requests.arrivals) + np.concatenate([request[:1], request[:-1]])
    return np.where(hidden, 0, np.where(begins, outside, inside))


def _answers(rng: np.random.Generator, requests: Requests, page: Index, protocol: Index) -> Index:
    status = draw(rng, _ANSWERS, len(page))
    partial = np.isin(page, requests.pages_of("download")) & (rng.random(len(page)) < 0.2)
    status = np.where(partial, _PARTIAL, status)
    missing = np.isin(page, requests.pages_of("gone", "probes"))
    return protocol * len(STATUSES) + np.where(missing, _NOT_FOUND, status)


def _sizes(rng: np.random.Generator, requests: Requests, page: Index) -> Index:
    sizes: Weights = requests.size[page] * rng.uniform(0.6, 1.4, len(page))
    return sizes.astype(np.int64)


def _bots(rng: np.random.Generator, clients: Clients, requests: Requests, lines: int) -> Traffic:
    """Crawlers ask for every page alike, day and night; scanners for what a weak site would have."""
    busy = rng.lognormal(0.0, 1.0, clients.crawlers)
    crawler = draw(rng, busy, lines)
    pages = np.flatnonzero(requests.weight)
    page = pages[rng.integers(0, len(pages), lines)]
    robots, probes = requests.pages_of("robots"), requests.pages_of("probes")
    page = np.where(rng.random(lines) < 0.07, robots[rng.integers(0, len(robots), lines)], page)
    page = np.where(clients.scanner[crawler], probes[rng.integers(0, len(probes), lines)], page)
    none = np.zeros(lines, np.int64)
    return Traffic(
        rng.integers(0, _SPAN, lines),
        clients.visitors + crawler,
        page,
        none,
        _answers(rng, requests, page, none),
        _sizes(rng, requests, page),
        np.zeros(lines, np.bool_),
        none,
    )


def _malformed(rng: np.random.Generator, clients: Clients, requests: Requests, lines: int) -> Traffic:
    """Lines that are cut off or garbled, and what clients say who speak no HTTP; every kind at least once."""
    damage = 1 + np.arange(lines) % (len(Damage) - 1)
    noise = damage == Damage.NOISE
    visitor = rng.integers(0, clients.visitors, lines)
    stranger = clients.visitors + clients.crawlers + rng.integers(0, clients.strangers, lines)
    page = rng.integers(0, requests.campaigns, lines)
    request = np.where(noise, rng.integers(requests.noise, requests.confirmations, lines), page)
    silent = np.where(request == requests.noise + 1, STATUSES.index(408), _BAD)  # "-" is a client that timed out
    return Traffic(
        rng.integers(0, _SPAN, lines),
        np.where(noise, stranger, visitor),
        request,
        np.zeros(lines, np.int64),
        np.where(noise, 2 * len(STATUSES) + silent, 0),
        np.full(lines, 157),
        np.zeros(lines, np.bool_),
        damage,
    )
