"""Log formats: how a line of a server's log becomes a request, in SQL that runs inside DuckDB's engine.

``fields`` says what every format gives; the other modules are one family each. A new format is a ``LogFormat`` and a
line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.site import LogSource
from pipeline.sources.formats.combined import request_fields
from pipeline.sources.formats.detection import best_of, has_directives
from pipeline.sources.formats.fields import COLUMNS, LONGEST_AGENT, LogFormat, Plain
from pipeline.sources.formats.json_lines import json_format
from pipeline.sources.formats.load_balancer import load_balancer_format
from pipeline.sources.formats.strings import Server, string_format, trailing_of
from pipeline.sources.formats.w3c import W3cFormat

__all__ = ["COLUMNS", "LONGEST_AGENT", "LogFormat", "is_line_by_line", "open_format"]

_COMMON: Final = '%h %l %u %t "%r" %>s %b'


def open_format(source: LogSource, site_zone: ZoneInfo, head: pa.Table) -> LogFormat:
    """The format of one file, declared or detected; a fresh one, since a file may say things of itself.

    Args:
        source: What the site file says of it.
        site_zone: Zone of times that are logged without one, where the source names none.
        head: The file's first block of lines.

    Returns:
        Combined, where nothing is declared and the first lines are of no known format: its lines are then counted
        as they are read, and rejected.

    Raises:
        ConfigurationError: What is declared cannot be.
    """
    zone = ZoneInfo(source.time_zone) if source.time_zone else site_zone
    if source.format != "detected":
        return _DECLARED[source.format](source, zone)
    likely = ("combined", "combined_with_host", "alb", "json", "common", "common_with_host")
    formats = [_DECLARED[name](source, zone) for name in likely]
    if not has_directives(head):
        return best_of(formats, head) or formats[0]
    # Looking leaves the fields in it that were named last, so the one that is read with is made anew.
    w3c = _DECLARED["w3c"](source, zone)
    best = best_of([w3c, *formats], head) or w3c
    return _DECLARED["w3c"](source, zone) if best is w3c else best


def is_line_by_line(one: LogFormat) -> bool:
    """Whether a line means the same, whatever lines were before it in the file."""
    return isinstance(one, Plain)


def _combined(source: LogSource, _zone: ZoneInfo) -> LogFormat:
    return Plain("combined", request_fields(source.trailing_fields))


def _combined_with_host(source: LogSource, _zone: ZoneInfo) -> LogFormat:
    return Plain("combined with virtual host", request_fields(source.trailing_fields, host=True))


def _common(_source: LogSource, zone: ZoneInfo) -> LogFormat:
    return string_format("apache", _COMMON, {}, zone, name="common")


def _common_with_host(_source: LogSource, zone: ZoneInfo) -> LogFormat:
    return string_format("apache", f"%v {_COMMON}", {}, zone, name="common with virtual host")


def _of_string(source: LogSource, zone: ZoneInfo) -> LogFormat:
    server: Server = "apache" if source.format == "apache" else "nginx"
    strange = string_format(server, source.log_format, source.fields, zone)  # says what is wrong, if anything is
    trailing = trailing_of(server, source.log_format, source.fields)
    return strange if trailing is None else Plain(f"combined, of {server}", request_fields(trailing))


def _w3c(source: LogSource, _zone: ZoneInfo) -> LogFormat:
    # These write UTC (https://www.w3.org/TR/WD-logfile), unless their own configuration says otherwise.
    return W3cFormat("W3C extended", source.fields, ZoneInfo(source.time_zone or "UTC"))


_DECLARED: Final[Mapping[str, Callable[[LogSource, ZoneInfo], LogFormat]]] = {
    "combined": _combined,
    "combined_with_host": _combined_with_host,
    "common": _common,
    "common_with_host": _common_with_host,
    "apache": _of_string,
    "nginx": _of_string,
    "w3c": _w3c,
    "cloudfront": _w3c,
    "json": lambda source, zone: json_format("JSON lines", source.fields, zone),
    "alb": lambda _source, _zone: load_balancer_format(),
}
