"""W3C extended logs, of IIS (values apart by a space) and of CloudFront (by a tab).

``#Fields`` says what the lines after it hold, and may come again in the middle of a file. Sources:
https://www.w3.org/TR/WD-logfile,
https://learn.microsoft.com/windows/win32/http/w3c-logging and
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField
from pipeline.sources.engine import quoted
from pipeline.sources.formats.fields import Logged, select_fields
from pipeline.sources.formats.json_lines import any_moment

MOST_LISTS: Final = 16  # of fields, in one file; each costs a query a block
MOST_FIELDS: Final = 200  # of a list
_NONE: Final = -1  # the list in force before any was named, or after one that cannot be read
_FIELDS: Final = "#Fields:"
_COOKIE: Final = re.compile("cookie", re.IGNORECASE)

# Names of what is read, in small letters; of several the first that a list has.
_NAMES: Final[Mapping[RequestField, Sequence[str]]] = {
    "address": ("c-ip",),
    "forwarded": ("x-forwarded-for", "cs(x-forwarded-for)"),
    "path": ("cs-uri-stem", "cs-uri"),
    "query": ("cs-uri-query",),
    "status": ("sc-status",),
    "referrer": ("cs(referer)", "cs(referrer)"),
    "agent": ("cs(user-agent)",),
    "accept_language": ("cs(accept-language)",),
}
_HEADERS: Final[Sequence[RequestField]] = ("forwarded", "referrer", "agent", "accept_language")
_TOLD_AS_MISSING: Final[Sequence[RequestField]] = ("address", "referrer", "agent")  # by '-'
# The tab parts the values wherever it makes as many as there are fields: a header of IIS may hold one.
_VALUES: Final = """
    CASE WHEN contains(line, chr(9)) AND len(string_split(line, chr(9))) = {fields} THEN string_split(line, chr(9))
        ELSE string_split(line, ' ') END"""
# Bytes beyond ASCII tell nothing that is read, and if they are no characters, the engine fails. TRY would catch that,
# at ten times the time, which any visitor could make one spend.
_BEYOND_ASCII: Final = "%[89A-Fa-f][0-9A-Fa-f]"
_DECODED: Final = (
    "CASE WHEN contains({text}, '%') "
    f"THEN url_decode(regexp_replace({{text}}, '{_BEYOND_ASCII}', '%EF%BF%BD', 'g')) ELSE {{text}} END"
)
_TIMES_ENCODED: Final = 2  # as CloudFront does
_DIRECTIVE: Final = "starts_with(line, '#')"
_NO_FIELDS: Final = Logged(
    address="''",
    moment="NULL::TIMESTAMPTZ",
    status="''",
    target="''",
    matched="false",
    directive=_DIRECTIVE,
)


class W3cFormat:
    """Lines of a W3C extended log; it remembers the fields that the file named last.

    A line that has not as many values as there are fields is not of the format.

    Args:
        name: For people.
        fields: Names of fields (``cs(X-Time-Zone)``) by what they tell, beside the well-known ones.
        zone: Of the times; UTC unless the server is configured otherwise.

    Raises:
        ConfigurationError: A cookie is declared.
    """

    def __init__(self, name: str, fields: Mapping[RequestField, str], zone: ZoneInfo) -> None:
        for field, one in fields.items():
            if _COOKIE.search(one):
                raise ConfigurationError(
                    "a cookie is never read", value=f"fields.{field}", remedy="Log what you need apart from it."
                )
        self.name = name
        self._declared = {field: one.strip().lower() for field, one in fields.items()}
        self._zone = zone
        self._lists: dict[tuple[str, ...], int] = {}
        self._selects = {_NONE: select_fields(_NO_FIELDS, "lines")}
        self._current = _NONE

    def parts(self, lines: pa.Table) -> Iterator[tuple[pa.Table, str]]:
        """One part for each distinct list of fields that is in force somewhere in the block; see ``LogFormat``."""
        in_force = self._in_force(lines.column("line"))
        found = np.unique(in_force).tolist()
        for one in found:
            part = lines if len(found) == 1 else lines.filter(pa.array(in_force == one))
            yield part, self._selects[one]

    def _in_force(self, lines: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The list in force at each line."""
        is_list = pc.starts_with(lines, _FIELDS)  # a mask of all lines; the rest is of the few that it finds
        texts = lines.filter(is_list).combine_chunks().dictionary_encode()
        # More texts than lists are looked at, since a list may be written in several ways.
        known = [self._list_of(text.as_py()) for text in texts.dictionary[: 4 * MOST_LISTS]]
        codes = np.full(len(texts.dictionary) + 1, _NONE, np.int64)
        codes[: len(known)] = known
        steps = np.concatenate(([self._current], codes[texts.indices.to_numpy()]))
        self._current = int(steps[-1])
        in_force: npt.NDArray[np.int64] = steps[np.cumsum(is_list.to_numpy())]
        return in_force

    def _list_of(self, text: str) -> int:
        fields = tuple(text.removeprefix(_FIELDS).lower().split(maxsplit=MOST_FIELDS))
        if fields in self._lists:
            return self._lists[fields]
        if not 0 < len(fields) <= MOST_FIELDS or len(self._lists) == MOST_LISTS:
            return _NONE
        self._lists[fields] = number = len(self._lists)
        self._selects[number] = _select(fields, self._declared, self._zone)
        return number


def _select(fields: Sequence[str], declared: Mapping[RequestField, str], zone: ZoneInfo) -> str:
    places = _places(fields, declared)
    said = {field: f"said_{field}" for field in places}
    logged = Logged(
        address=said.get("address", "'-'"),
        moment=_moment(fields, zone) if "time" not in said else any_moment("said_time", zone),
        status=said.get("status", "''"),
        request=said.get("request"),
        target=None if "request" in said else said.get("path", "''"),
        query=said.get("query"),
        referrer=said.get("referrer"),
        agent=said.get("agent"),
        accept_language=said.get("accept_language"),
        forwarded=said.get("forwarded"),
        time_zone=said.get("time_zone"),
        matched="value IS NOT NULL",
        directive="is_directive",
    )
    return select_fields(logged, _relation(fields, places))


def _places(fields: Sequence[str], declared: Mapping[RequestField, str]) -> dict[RequestField, int]:
    """The place of each field's value in a line, from 1."""
    names = dict(_NAMES) | {field: (one, *_NAMES.get(field, ())) for field, one in declared.items()}
    found = {field: [fields.index(one) + 1 for one in wanted if one in fields] for field, wanted in names.items()}
    return {field: places[0] for field, places in found.items() if places}


def _moment(fields: Sequence[str], zone: ZoneInfo) -> str:
    if "date" not in fields or "time" not in fields:
        return "NULL::TIMESTAMPTZ"
    date, time = (f"value[{fields.index(one) + 1}]" for one in ("date", "time"))
    local = f"timezone({quoted(zone.key)}, TRY_CAST({date} || ' ' || {time} AS TIMESTAMP))"
    # A year of four digits: instants of longer ones could be beyond the engine's, which is an error.
    return f"CASE WHEN substr({date}, 5, 1) = '-' THEN {local} END"


def _relation(fields: Sequence[str], places: Mapping[RequestField, int]) -> str:
    """One row a line: ``said_...`` of each field.

    All are NULL where the line has too few values or too many: they would be in others' places, a cookie perhaps in one
    that is read.
    """
    values = _VALUES.format(fields=len(fields))
    told = "".join(f", {_value(field, place)} AS said_{field}" for field, place in places.items())
    relation = f"""(
        SELECT number, is_directive, value{told}
        FROM (SELECT number, is_directive, is_tabbed,
                CASE WHEN len(value) = {len(fields)} AND NOT is_directive THEN value END AS value
            FROM (SELECT number, {_DIRECTIVE} AS is_directive, contains(line, chr(9)) AS is_tabbed, {values} AS value
                FROM (SELECT number, rtrim(line, chr(13) || chr(10)) AS line FROM lines))))"""
    headers = [f"said_{field}" for field in (*_HEADERS, "time_zone") if field in places]
    for _ in range(_TIMES_ENCODED if headers else 0):
        decoded = ", ".join(f"{_DECODED.format(text=one)} AS {one}" for one in headers)
        relation = f"(SELECT * REPLACE ({decoded}) FROM {relation})"
    return relation


def _value(field: RequestField, place: int) -> str:
    value = f"value[{place}]"
    if field in _HEADERS:  # IIS writes a space as '+'
        value = f"CASE WHEN is_tabbed THEN {value} ELSE replace({value}, '+', ' ') END"
    return value if field in _TOLD_AS_MISSING else f"nullif({value}, '-')"
