"""Every request line of the sample's log, as one dictionary of texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sample.columns import Index, Weights, join, texts
from pipeline.sample.pages import ARRIVALS, CAMPAIGNS, ENTRIES, FAVOURED, ORIGIN, SECTIONS

# What answers nothing: an empty line, a time-out, and TLS spoken to the plain port, as web servers escape it.
_NOISE = ("", "-", r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\xA7", r"\x16\x03\x01\x00\xEE\x01\x00\x00\xEA\x03\x03")


@dataclass(frozen=True)
class Requests:
    """The dictionary: pages, then campaign entries, noise, and links with each visitor's e-mail and tokens.

    Attributes:
        text: Method, path and query.
        referrer: Addresses that requests come from: those outside first, then each request's own.
        section: Of each page, index into ``SECTIONS``.
        weight: Of each page, how often people ask for it.
        size: Of each page, usual bytes of an answer.
        arrivals: Of each outside referrer, how often a visit comes from there.
        campaigns: Where campaign entries begin.
        noise: Where noise begins.
        confirmations: Where the visitors' confirmation links begin.
        licences: Where the visitors' licensed downloads begin.
    """

    text: pa.Array
    referrer: pa.Array
    section: Index
    weight: Weights
    size: Index
    arrivals: Weights
    campaigns: int
    noise: int
    confirmations: int
    licences: int

    def pages_of(self, *names: str) -> Index:
        """Indexes of the pages of some sections."""
        wanted = [index for index, section in enumerate(SECTIONS) if section.name in names]
        return np.flatnonzero(np.isin(self.section, wanted))

    @property
    def favoured(self) -> Index:
        """First page and the one after the last, of each section that a visitor may like best; shape (sections, 2)."""
        ranges = [self.pages_of(name) for name in FAVOURED]
        return np.array([(pages[0], pages[-1] + 1) for pages in ranges])


def list_requests(rng: np.random.Generator, names: pa.Array) -> Requests:
    """The dictionary for visitors of these names."""
    pages = [page for section in SECTIONS for page in section.pages]
    entries = [f"GET {path}?{campaign}" for path in ENTRIES for campaign in CAMPAIGNS]
    confirmations, licences = _personal(rng, names)
    text = pa.concat_arrays([texts([*pages, *entries, *_NOISE]), confirmations, licences])
    paths = pc.replace_substring_regex(text, pattern="^(GET|POST) ", replacement=ORIGIN)
    outside = [(share, address) for share, group in ARRIVALS for _, address in group]
    weights = [share * part / sum(w for w, _ in group) for share, group in ARRIVALS for part, _ in group]
    counts = [len(section.pages) for section in SECTIONS]
    return Requests(
        text,
        referrer=pa.concat_arrays([texts(address or "-" for _, address in outside), paths]),
        section=np.repeat(np.arange(len(SECTIONS)), counts),
        weight=np.concatenate([section.weight * _falling(len(section.pages)) for section in SECTIONS]),
        size=np.repeat([section.size for section in SECTIONS], counts),
        arrivals=np.array(weights),
        campaigns=len(pages),
        noise=len(pages) + len(entries),
        confirmations=len(pages) + len(entries) + len(_NOISE),
        licences=len(pages) + len(entries) + len(_NOISE) + len(names),
    )


def _falling(pages: int) -> Weights:
    weights: Weights = np.arange(1, pages + 1, dtype=np.float64) ** -0.8
    shares: Weights = weights / weights.sum()
    return shares


def _personal(rng: np.random.Generator, names: pa.Array) -> tuple[pa.Array, pa.Array]:
    """For each visitor a confirmation link and a licensed download: what logs should not hold, and do."""
    first, second = (_tokens(rng, len(names)) for _ in range(2))
    return (
        join(b"GET /account/confirm?email=", names, b"%40example.org&token=", first),
        join(b"GET /download/studio-9.2-win64.exe?key=", second, b"&mail=", names, b"@mail.example"),
    )


def _tokens(rng: np.random.Generator, size: int) -> pa.Array:
    pairs = texts(f"{number:02x}" for number in range(256))
    return join(*(pairs.take(pa.array(column)) for column in rng.integers(0, 256, (12, size))))
