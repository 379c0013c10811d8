"""What every format gives, and how it is got out of what a server logged: SQL for DuckDB's engine.

A format says where a line holds what; this module makes of it the columns that all formats share:

    number, address, forwarded, moment, status, path, query, origin, agent, accept_language, time_zone, directive

Whatever else a line holds is never selected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

LONGEST_AGENT: Final = 512  # characters; an agent that differs later is told as the same
LONGEST_ORIGIN: Final = 300
LONGEST_LANGUAGE: Final = 200
LONGEST_FORWARDED: Final = 1_000
LONGEST_ZONE: Final = 60
COLUMNS: Final = (
    "number", "address", "forwarded", "moment", "status", "path", "query", "origin", "agent", "accept_language",
    "time_zone", "directive",
)  # fmt: skip

# A server whose clock stands outside these years has no time.
YEARS: Final = "BETWEEN TIMESTAMPTZ '1990-01-01 00:00:00+00' AND TIMESTAMPTZ '2199-12-31 00:00:00+00'"
REQUEST: Final = r"^[A-Z]+ ([^ ?]+)(\?[^ ]*)? HTTP/[0-9](?:\.[0-9])?$"
_TARGET: Final = r"^([^ ?]+)(\?[^ ]*)?$"
_HOST: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*"  # a proxy's request names the host, too (RFC 9112, 3.2.2)
_ORIGIN: Final = r'^([A-Za-z][A-Za-z0-9+.-]*://[^/?#"\\ ]*)'


# Well-formed UTF-8 (Unicode 15, table 3-7), of which any byte may be an escape.
_TAIL: Final = r"\\x[89AB][0-9A-F]"
_UTF8: Final = (
    r"(?is)(?:[\x00-\x5B\x5D-\x7F]|\\x[0-7][0-9A-F]"
    rf"|\\x(?:C[2-9A-F]|D[0-9A-F]){_TAIL}"
    rf"|\\xE0\\x[AB][0-9A-F]{_TAIL}|\\xE[1-9A-CEF]{_TAIL}{_TAIL}|\\xED\\x[89][0-9A-F]{_TAIL}"
    rf"|\\xF0\\x[9AB][0-9A-F]{_TAIL}{_TAIL}|\\xF[1-3]{_TAIL}{_TAIL}{_TAIL}|\\xF4\\x8[0-9A-F]{_TAIL}{_TAIL})*"
)


class LogFormat(Protocol):
    """How the lines of one file become requests; it may remember what the file said of itself."""

    @property
    def name(self) -> str:
        """For people."""

    def parts(self, lines: pa.Table) -> Iterator[tuple[pa.Table, str]]:
        """Parts of a block of lines, each with the SQL that selects its requests.

        Args:
            lines: ``line`` and ``number``.

        Yields:
            Rows of the block, and a SELECT of ``COLUMNS`` over a relation ``lines`` that has them: one row a line, in
            any order; ``address`` is '' where the line is not of the format.
        """


@dataclass(frozen=True)
class Plain:
    """A format whose lines are all alike.

    Attributes:
        name: For people.
        select: SQL of ``COLUMNS`` over ``lines``.
    """

    name: str
    select: str

    def parts(self, lines: pa.Table) -> Iterator[tuple[pa.Table, str]]:
        """See ``LogFormat``."""
        yield lines, self.select


@dataclass(frozen=True)
class Logged:
    """SQL for what a row of a relation holds of a request, as it was logged; text but for the moment and the booleans.

    Attributes:
        address: Network address of who asked.
        moment: TIMESTAMPTZ; NULL where it cannot be read.
        status: Of the answer.
        request: The request line; None where the format has target and query apart.
        target: Path, perhaps with the host before it and the query behind it; None where there is a request line.
        query: The query without its mark, where the target has none; None where it is not logged apart.
        referrer: None where the format has none.
        agent: None where the format has none.
        accept_language: None where the format has none.
        forwarded: X-Forwarded-For; None where the format has none.
        time_zone: None where the format has none.
        matched: Whether the line is of the format.
        directive: Whether the line says how others are to be read.
    """

    address: str
    moment: str
    status: str
    request: str | None = None
    target: str | None = None
    query: str | None = None
    referrer: str | None = None
    agent: str | None = None
    accept_language: str | None = None
    forwarded: str | None = None
    time_zone: str | None = None
    matched: str = "true"
    directive: str = "false"


def select_fields(logged: Logged, relation: str) -> str:
    """SQL that selects ``COLUMNS``.

    Args:
        logged: Where the relation holds what.
        relation: FROM clause, with a column ``number``.

    Returns:
        ``agent`` and ``origin`` are NULL where the format, or what was logged of this line, has no such field; '-' and
        '' mean that it was logged as missing, and as no page's address.
    """
    asked = (
        f"regexp_extract({logged.request}, '{REQUEST}', ['path', 'query'])"
        if logged.request is not None
        else f"regexp_extract(coalesce({logged.target}, ''), '{_TARGET}', ['path', 'query'])"
    )
    apart = f"coalesce({logged.query or 'NULL'}, '')"
    return f"""
        SELECT number, CASE WHEN matched THEN coalesce(address, '') ELSE '' END AS address,
            {_cut(logged.forwarded, LONGEST_FORWARDED)} AS forwarded,
            CASE WHEN moment {YEARS} THEN moment END AS moment,
            coalesce(status, '') AS status, {path_of("asked.path")} AS path,
            CASE WHEN asked.query = '' AND {apart} NOT IN ('', '-') THEN '?' || ltrim({apart}, '?')
                ELSE asked.query END AS query,
            {origin_of(logged.referrer)} AS origin,
            {"NULL::VARCHAR" if logged.agent is None else cut_agent(logged.agent)} AS agent,
            {_cut(logged.accept_language, LONGEST_LANGUAGE)} AS accept_language,
            {_cut(logged.time_zone, LONGEST_ZONE)} AS time_zone, directive
        FROM (SELECT *, {logged.address} AS address, {logged.moment} AS moment, {logged.status} AS status,
                {asked} AS asked, coalesce({logged.matched}, false) AS matched, {logged.directive} AS directive
            FROM {relation})"""


def path_of(path: str) -> str:
    """SQL: the path of a request's target, without the host that a proxy's request names, and without escapes."""
    bare = f"CASE WHEN starts_with({path}, '/') THEN {path} ELSE regexp_replace({path}, '{_HOST}', '') END"
    return unescaped(bare)


def origin_of(referrer: str | None) -> str:
    """SQL: scheme and host of a referrer; see ``select_fields``."""
    if referrer is None:
        return "NULL::VARCHAR"
    found = f"lower(left(regexp_extract({referrer}, '{_ORIGIN}', 1), {LONGEST_ORIGIN}))"
    return f"CASE WHEN {referrer} IN ('', '-') THEN '-' ELSE {found} END"


def cut_agent(agent: str) -> str:
    """SQL: the agent as it was logged, no longer than is told apart."""
    return f"CASE WHEN strlen({agent}) > {LONGEST_AGENT} THEN left({agent}, {LONGEST_AGENT}) ELSE {agent} END"


def unescaped(text: str) -> str:
    r"""SQL: text without the escapes of Apache and nginx, ``\"``, ``\\`` and ``\xHH``; most rows have none.

    To the engine a blob is written with ``\xHH``, so it reads them. What would be no UTF-8 stays as it was; it is told
    by a pattern beforehand, because catching errors row by row would let a visitor slow a run down.
    """
    hexadecimal = rf"replace(replace({text}, '\\', '\x5C'), '\"', '\x22')"
    decoded = f"coalesce(decode(TRY_CAST({hexadecimal} AS BLOB)), {text})"
    is_text = rf"contains({text}, '\') AND regexp_full_match({hexadecimal}, '{_UTF8}')"
    return f"CASE WHEN {is_text} THEN {decoded} ELSE {text} END"


def _cut(text: str | None, longest: int) -> str:
    return "''" if text is None else f"left(coalesce({text}, ''), {longest})"
