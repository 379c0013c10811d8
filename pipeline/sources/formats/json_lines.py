r"""Logs of one JSON object a line: Caddy's, Traefik's, and nginx's as people write them.

Of each field the known places are tried in turn, declared ones first, so that one SELECT reads them all. Lines that
hold no JSON object have no address; so do those of an object without one, such as a server's own messages. nginx writes
``\x22`` inside strings unless its ``log_format`` says ``escape=json``; that is read, too. Sources:
https://caddyserver.com/docs/caddyfile/directives/log, https://doc.traefik.io/traefik/observability/access-logs/ and
https://nginx.org/en/docs/http/ngx_http_log_module.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField
from pipeline.sources.engine import quoted
from pipeline.sources.formats.fields import LogFormat, Logged, select_fields
from pipeline.sources.formats.times import Clock

# Places as JSON pointers (RFC 6901). The peer's address comes before what a proxy says of its own peer.
_KNOWN: Final[Mapping[RequestField, Sequence[str]]] = {
    "address": (
        "/request/remote_ip", "/ClientHost", "/remote_addr", "/ClientAddr", "/request/remote_addr", "/remote_ip",
        "/request/client_ip", "/client_ip",
    ),
    "forwarded": ("/request_X-Forwarded-For", "/http_x_forwarded_for", "/x_forwarded_for"),
    "time": (
        "/StartUTC", "/time_iso8601", "/msec", "/time_local", "/@timestamp", "/ts", "/timestamp", "/time",
    ),
    "request": ("/request",),
    "path": ("/request/uri", "/RequestPath", "/request_uri"),
    "query": ("/args", "/query_string"),
    "status": ("/DownstreamStatus", "/status", "/OriginStatus"),
    "referrer": ("/request/headers/Referer/0", "/request_Referer", "/http_referer", "/referer", "/referrer"),
    "agent": ("/request/headers/User-Agent/0", "/request_User-Agent", "/http_user_agent", "/user_agent"),
    "accept_language": (
        "/request/headers/Accept-Language/0", "/request_Accept-Language", "/http_accept_language", "/accept_language",
    ),
    "time_zone": (),
}  # fmt: skip
# Without the request line and its target there is what the server made of it.
_REWRITTEN: Final = ("/uri", "/path")
_LEFT_OUT: Final[Sequence[RequestField]] = ("referrer", "agent")
_LOOKED_AT: Final = 1_000  # lines of a block
_CADDY: Final = "/request/uri"
_CADDY_FORWARDED: Final = '$.request.headers."X-Forwarded-For"[*]'

_REQUEST_LINE: Final = r"^[A-Z]+ ([^ ]+)(?: HTTP/[0-9](?:\.[0-9])?)?$"
_PLACE: Final = re.compile(r"([^.\[\]]+)((?:\[[0-9]+\])*)")
_COOKIE: Final = re.compile("cookie", re.IGNORECASE)
# Numbers of seconds, milliseconds, microseconds and nanoseconds since 1970 differ by their size until the year 5138.
_UNITS: Final = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (1e20, 1_000_000_000))
_DATE: Final = r"^\d{4}[-/]\d\d[-/]\d\d[T ]"


def json_format(name: str, fields: Mapping[RequestField, str], zone: ZoneInfo) -> LogFormat:
    """Lines of JSON.

    Args:
        name: For people.
        fields: Where a field stands, if not where it is looked for anyway: keys with dots between them, places of a
            list in brackets (``request.headers.User-Agent[0]``), or a JSON pointer, which begins with a slash
            (``/request/headers/User-Agent/0``). Keys that hold dots or brackets need a pointer. Only text, numbers and
            booleans are read, never a list or an object.
        zone: Of times that are logged without one.

    Raises:
        ConfigurationError: A place cannot be read, or is a cookie's.
    """
    declared: dict[RequestField, str] = {field: pointer_of(field, place) for field, place in fields.items()}
    places: dict[RequestField, Sequence[str]] = {
        field: (*((declared[field],) if field in declared else ()), *known) for field, known in _KNOWN.items()
    }
    every = list(dict.fromkeys((*(one for field in places.values() for one in field), *_REWRITTEN)))
    picks: dict[str, str] = {field: _pick(every, found) for field, found in places.items()}
    picks |= {"target": _target(every, declared), "caddy": _pick(every, (_CADDY,)) + " IS NOT NULL"}
    picks["forwarded"] = f"coalesce({picks['forwarded']}, {_caddy_forwarded()})"
    relation = _relation(every, picks)
    selects = {kept: select_fields(_logged(zone, kept), relation) for kept in product((False, True), repeat=2)}
    return _JsonFormat(name, selects, places)


class _JsonFormat:
    """Lines of JSON; it remembers which headers the file has had, since a key is left out where a request had none."""

    def __init__(
        self, name: str, selects: Mapping[tuple[bool, ...], str], places: Mapping[RequestField, Sequence[str]]
    ) -> None:
        self.name = name
        self._selects = selects
        self._keys = {field: {f'"{_last_key(one)}"' for one in places[field]} for field in _LEFT_OUT}
        self._kept = dict.fromkeys(_LEFT_OUT, False)

    def parts(self, lines: pa.Table) -> Iterator[tuple[pa.Table, str]]:
        """See ``LogFormat``."""
        first = lines.column("line").slice(0, _LOOKED_AT)
        for field, keys in self._keys.items():
            self._kept[field] = self._kept[field] or any(pc.any(pc.match_substring(first, key)).as_py() for key in keys)
        yield lines, self._selects[tuple(self._kept.values())]


def pointer_of(field: str, place: str) -> str:
    """The JSON pointer of a declared place.

    Raises:
        ConfigurationError: It is none, or a cookie's.
    """
    if _COOKIE.search(place):
        raise ConfigurationError(
            "a cookie is never read", value=f"fields.{field}", remedy="Log what you need apart from it."
        )
    if place.startswith("/"):
        return place
    found = [_PLACE.fullmatch(key) for key in place.split(".")]
    if not all(found):
        raise ConfigurationError(
            "a field of JSON lines must be keys with dots between them, or a JSON pointer",
            value=f"fields.{field}: {place!r}",
            remedy="Write request.headers.User-Agent[0], or /request/headers/User-Agent/0.",
        )
    keys = [(one[1].replace("~", "~0").replace("/", "~1"), re.findall("[0-9]+", one[2])) for one in found if one]
    return "".join("/" + "/".join((key, *map(str, map(int, indices)))) for key, indices in keys)


def any_moment(text: str, zone: ZoneInfo) -> str:
    """SQL: the instant that a text names, whatever way it is written; NULL if it is none.

    Args:
        text: SQL of the text: a number of seconds, milliseconds, microseconds or nanoseconds since 1970, ISO 8601,
            ``2026/10/05 10:11:12`` or ``05/Oct/2026:10:11:12 +0200``.
        zone: Of times without one.
    """
    number = f"TRY_CAST({text} AS DOUBLE)"
    units = " ".join(f"WHEN {number} < {most!r} THEN to_timestamp({number} / {unit})" for most, unit in _UNITS)
    # Years of more than four digits could end beyond what the engine can tell in another zone, which is an error.
    return f"""CASE WHEN {number} >= 0 THEN CASE {units} END
        WHEN regexp_matches({text}, '{_DATE}') THEN {Clock().moment(f"replace({text}, '/', '-')", zone)}
        ELSE try_strptime({text}, '%d/%b/%Y:%H:%M:%S %z') END"""


def _last_key(pointer: str) -> str:
    return [key for key in pointer.split("/") if not key.isdigit()][-1].replace("~1", "/").replace("~0", "~")


def _logged(zone: ZoneInfo, kept: Sequence[bool]) -> Logged:
    """Where the relation holds what; Caddy logs all headers of a request, the others those that they are told to."""
    referrer, agent = (
        f"coalesce(said_{field}, '-')" if is_kept else f"coalesce(said_{field}, CASE WHEN said_caddy THEN '-' END)"
        for field, is_kept in zip(_LEFT_OUT, kept, strict=True)
    )
    return Logged(
        address=_without_port("said_address"),
        moment=any_moment("said_time", zone),
        status="said_status",
        target="said_target",
        query="said_query",
        referrer=referrer,
        agent=agent,
        accept_language="said_accept_language",
        forwarded="said_forwarded",
        time_zone="said_time_zone",
    )


def _relation(places: Sequence[str], picks: Mapping[str, str]) -> str:
    """One row a line: ``said_...`` of each field.

    All places are looked up in one pass. ``json_value`` tells scalars only: an object would hold its cookies, too.
    It is asked of valid lines alone, since TRY would read the whole batch of a bad line anew, one line at a time.
    """
    told = ", ".join(f"{sql} AS said_{field}" for field, sql in picks.items())
    values = f"json_value(text, [{', '.join(map(quoted, places))}])"
    repaired = r"CASE WHEN contains(line, '\x') AND NOT json_valid(line) THEN replace(line, '\x', '\u00') ELSE line END"
    return f"""(
        SELECT number, {told}
        FROM (SELECT number, text, CASE WHEN json_valid(text) THEN {values} END AS said
            FROM (SELECT number, {repaired} AS text FROM lines)))"""


def _pick(places: Sequence[str], wanted: Sequence[str]) -> str:
    """SQL: the first of some places that holds something, as text."""
    if not wanted:
        return "NULL::VARCHAR"
    found = ", ".join(f"said[{places.index(one) + 1}]" for one in wanted)
    return f"json_extract_string(coalesce({found}), '$')"


def _target(places: Sequence[str], declared: Mapping[RequestField, str]) -> str:
    """SQL: path and query, of a field of their own or of the request line; what is declared comes first."""
    own = {field: (declared[field],) if field in declared else () for field in ("path", "request")}
    line = f"nullif(regexp_extract({{}}, '{_REQUEST_LINE}', 1), '')"
    tried = (
        _pick(places, own["path"]),
        line.format(_pick(places, own["request"])),
        _pick(places, _KNOWN["path"]),
        line.format(_pick(places, _KNOWN["request"])),
        _pick(places, _REWRITTEN),
    )
    return f"coalesce({', '.join(tried)})"


def _caddy_forwarded() -> str:
    """SQL: all that was said of whom a request was forwarded for; every proxy may have added a header of its own."""
    listed = f"json_extract_string(text, {quoted(_CADDY_FORWARDED)})"
    return f"""CASE WHEN contains(text, 'X-Forwarded-For') AND json_valid(text)
        THEN array_to_string({listed}, ', ') END"""


def _without_port(address: str) -> str:
    return f"""CASE WHEN starts_with({address}, '[') THEN split_part(substr({address}, 2), ']', 1)
        WHEN contains({address}, ':') AND len(string_split({address}, ':')) = 2 THEN split_part({address}, ':', 1)
        ELSE {address} END"""
