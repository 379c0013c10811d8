"""Browser languages and time zones: what a browser says of its settings, as words of closed lists.

Distinct texts in memory in, one row for each in the same order out; nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final
from urllib.parse import unquote
from zoneinfo import available_timezones

import pyarrow as pa
from babel.core import get_global

from pipeline.vocabulary import OTHER, TIME_ZONES, UNKNOWN

_LANGUAGES: Final = pa.schema([("accept_language", pa.string()), ("language", pa.string())])
_LANGUAGE_RANGE: Final = re.compile(
    r"(?P<tag>[A-Za-z]{2,8})(?:-[A-Za-z0-9]{1,8})*(?:\s*;\s*[qQ]\s*=\s*(?P<quality>[01](?:\.\d{0,3})?))?"
)

_TIME_ZONES: Final = pa.schema([("time_zone_text", pa.string()), ("time_zone", pa.string())])
_NOT_LOGGED: Final = frozenset({"", "-"})
_NO_ZONE: Final = "Etc/Unknown"  # what a browser says that knows none
_UTC: Final = frozenset({"Etc/UTC", "Etc/GMT"})  # one thing to browsers (ECMA-402, edition 11, 6.5.2)
_LONGEST_ZONE: Final = 120  # characters, still encoded


def look_up_languages(texts: Sequence[str], named_languages: Sequence[str]) -> pa.Table:
    """Columns ``accept_language`` and ``language``, the primary subtag of the most wanted one.

    Args:
        texts: Accept-Language fields (RFC 9110, 12.5.4).
        named_languages: Primary subtags that may be named; any other is ``other``.
    """
    named = frozenset(named_languages)
    found = {"accept_language": texts, "language": [_language(text, named) for text in texts]}
    return pa.table(found, schema=_LANGUAGES)


def look_up_time_zones(texts: Sequence[str]) -> pa.Table:
    """Columns ``time_zone_text`` and ``time_zone``, under its present name in the IANA time zone database.

    A name is decoded once (``Europe%2FBerlin``), and a former one told as the present one (browsers differ in
    ``Asia/Calcutta`` and ``Asia/Kolkata``). Names that are no place, such as ``EST``, are ``other``, names that nobody
    knows ``unknown``; where none was logged (nothing, or ``-``) it is NULL, since it is never guessed.
    """
    found = {"time_zone_text": texts, "time_zone": [_time_zone(text) for text in texts]}
    return pa.table(found, schema=_TIME_ZONES)


def _language(text: str, named: frozenset[str]) -> str:
    """The first of the languages with the highest quality."""
    wanted = [(quality, tag) for tag, quality in _language_ranges(text) if quality > 0]
    if not wanted:
        return UNKNOWN
    best = max(wanted, key=lambda item: item[0])[1]  # max keeps the first of equals
    return best if best in named else OTHER


def _language_ranges(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(","):
        if found := _LANGUAGE_RANGE.fullmatch(part.strip()):
            yield found["tag"].lower(), float(found["quality"] or 1)


def _time_zone(text: str) -> str | None:
    if text in _NOT_LOGGED:
        return None
    name = unquote(text).strip() if len(text) <= _LONGEST_ZONE else ""
    return _zone_keys().get(name.lower(), UNKNOWN)


@cache
def _zone_keys() -> Mapping[str, str]:
    """What each name of a zone, in small letters, is told as."""
    present: Mapping[str, str] = get_global("zone_aliases")
    keys = frozenset(TIME_ZONES)
    return {name.lower(): _zone_key(name, present, keys) for name in (*available_timezones(), *present)}


def _zone_key(name: str, present: Mapping[str, str], keys: frozenset[str]) -> str:
    zone = present.get(name, name)
    if _NO_ZONE in (name, zone):
        return UNKNOWN
    if zone in _UTC:
        return "UTC"
    # What is no place (EST, Japan) stands for one in the database, which nobody said.
    return zone if "/" in name and zone in keys else OTHER
