r"""Error logs of nginx and Apache as one SELECT for DuckDB's engine (RE2).

    2026/10/05 14:03:22 [error] 12#0: *5 MESSAGE, client: ADDRESS, server: ..., request: "...", ...
    [Mon Oct 05 14:03:22.123456 2026] [core:error] [pid 1:tid 2] (13)ERROR: [client ADDRESS:PORT] AH00035: MESSAGE
    [Mon Oct 05 14:03:22 2026] [error] [client ADDRESS] MESSAGE

The last is of Apache before 2.4. Of a line only its time, the client's address, and two words of closed lists are told;
paths and all else that a message quotes are looked at to find its kind and go nowhere. Sources: ngx_log.c and
ngx_http_request.c of nginx, https://httpd.apache.org/docs/2.4/mod/core.html#errorlogformat.
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from pipeline.sources.engine import quoted
from pipeline.vocabulary import ERROR_LEVELS, OTHER

_NGINX: Final = r"(?s)^\x{FEFF}?([0-9/]{10} [0-9:]{8}) \[([a-z]+)\] [0-9]+#[0-9]+: (?:\*[0-9]+ )?([^\r\n]*)"
_NGINX_GROUPS: Final = ("time", "level", "message")
_APACHE: Final = r"(?s)^\x{FEFF}?\[([^\]]*)\] \[([^\]]*)\] (.*)$"
_APACHE_GROUPS: Final = ("time", "level", "message")
_IS_APACHE: Final = r"^\x{FEFF}?\["
# What Apache says before its message: its process, a line of its source, the system's error, the client, its number.
_APACHE_MESSAGE: Final = (
    r"(?s)^(\[pid [^\]]*\] )?(?:[^ \[\]]+\([0-9]+\): )?(?:\(([0-9]+)\)[^\[]*?: )?"
    r"(?:\[client ((?:\[[^\]]*\])?[^\]]*)\] )?(?:AH[0-9]{5}: )?(.*)$"
)
_APACHE_MESSAGE_GROUPS: Final = ("pid", "number", "client", "message")
_LONGEST_APACHE: Final = 600  # characters of a message that its kind is told from
_TIMES: Final = (
    "%Y/%m/%d %H:%M:%S", "%a %b %d %H:%M:%S.%f %Y", "%a %b %d %H:%M:%S %Y", "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S",
)  # fmt: skip
_YEARS: Final = "BETWEEN TIMESTAMP '1990-01-01' AND TIMESTAMP '2199-12-31'"
_ADDRESS: Final = "[0-9A-Fa-f:.]{2,45}"
_LONGEST_OF_NGINX: Final = 2047  # bytes without the line feed (NGX_MAX_ERROR_STR); what is longer is cut there

# Kinds in order, over ``server|module|number of the system's error|message``: the first that matches is it. What a
# visitor writes (a path, a user name) stands inside quotes or behind the words that are asked for.
_UNQUOTED: Final = r'^nginx\|\|\|(?:[^"]|"[^"]*")*?'
_SYSTEM_ERROR: Final = r"^nginx\|.*\((?:{numbers}): [^()]*\)"
_KINDS: Final = {
    "not found": (
        _SYSTEM_ERROR.format(numbers="2|20|36") + "$",
        r'^nginx\|\|\|FastCGI sent in stderr: "(?:PHP message: )?(?:Primary script unknown|Unable to open primary)',
        r"^apache\|[^|]*\|[^|]*\|(?:File does not exist|Cannot map |script .{0,300} not found or unable to stat"
        r"|Got error 'Primary script unknown)",
    ),
    "forbidden": (
        _SYSTEM_ERROR.format(numbers="1|13") + "$",
        r'^nginx\|\|\|(?:directory index of |access forbidden|user "|no user/password|limiting |auth request)',
        r"^apache\|(?:auth[nz_]|access_compat|security2?|evasive)[a-z0-9_]*\|",
        r"^apache\|[^|]*\|13\|",
        r"^apache\|[^|]*\|[^|]*\|(?:client denied|Directory index forbidden|Cannot serve directory"
        r"|Symbolic link not allowed|access to |user |ModSecurity: Access denied)",
    ),
    "upstream": (
        _UNQUOTED + "upstream",
        r"^apache\|(?:proxy|lbmethod|fcgid|fastcgi)[a-z0-9_]*\|",
        r"^apache\|[^|]*\|[^|]*\|(?:proxy: |mod_fcgid: |FastCGI: )",
    ),
    "time-out": (
        _SYSTEM_ERROR.format(numbers="110|60|145") + '(?: while [^"]*)?$',
        r"^nginx\|\|\|client timed out",
        r"^apache\|reqtimeout\|",
        r"^apache\|[^|]*\|(?:110|60|145|70007)\|",
        r"^apache\|[^|]*\|[^|]*\|(?:Timeout waiting|Request (?:header|body) read timeout|request timed out)",
    ),
    "encryption": (
        r'^nginx\|\|\|(?:SSL_|OCSP|"?ssl_|peer closed connection in SSL|client (?:SSL|sent no required SSL))',
        _UNQUOTED + "(?:SSL handshaking|SSL certificate)",
        r"^apache\|(?:ssl|gnutls|md)\|",
        r"^apache\|[^|]*\|[^|]*\|(?:SSL |\[Hint: SSL|Re-negotiation )",
    ),
    "request": (
        r"^nginx\|\|\|client (?:intended to send|sent )",
        r"^apache\|[^|]*\|[^|]*\|(?:Invalid (?:URI|method|Content-Length)|invalid URI|[Rr]equest failed|[Cc]lient sent "
        r"|Request(?: header|ed content-length| body| line|URI)|number of request headers|URI too long"
        r"|Unknown Transfer-Encoding|Request exceeded the limit)",
    ),
}


def error_fields(zone: ZoneInfo, lines: str = "lines") -> str:
    """SQL that selects what may be told of the errors in the lines of a relation, of either server's form.

    Neither server logs an offset. Of an hour that the clock strikes twice the second, in standard time, is taken; a
    time that the clock skipped is read as if it had not been put forward yet, one hour after it.

    Where an nginx line names more than one client, or is so long that nginx cut it, a visitor may have written what
    looks like an address, and none is told.

    Args:
        zone: Of the server's clock.
        lines: A relation with columns ``line`` and ``number``.

    Returns:
        A SELECT with one row a line: ``number``, ``address`` ('' where no client is named), ``moment`` (TIMESTAMPTZ;
        NULL where unreadable), ``error_level`` (a key of ``ERROR_LEVELS``; Apache's trace levels are ``debug``) and
        ``error_kind`` (a key of ``ERROR_KINDS``: an upstream that timed out is ``upstream``, a limit that was reached
        ``forbidden``); these two NULL where the line has neither form.
    """
    levels = ", ".join(map(quoted, ERROR_LEVELS))
    return f"""
        SELECT number,
            CASE WHEN error_level IS NOT NULL AND regexp_full_match(client, '{_ADDRESS}') THEN client ELSE '' END
                AS address,
            CASE WHEN error_level IS NOT NULL AND time {_YEARS} THEN timezone({quoted(zone.key)}, time) END AS moment,
            error_level,
            CASE WHEN error_level IS NOT NULL THEN {_kind_case("said")} END AS error_kind
        FROM (SELECT number, client, said, try_strptime(time, [{", ".join(map(quoted, _TIMES))}]) AS time,
                CASE WHEN level IN ({levels}) THEN level WHEN regexp_full_match(level, 'trace[1-8]') THEN 'debug' END
                    AS error_level
            FROM ({_parts(lines)}))"""


def _parts(lines: str) -> str:
    """SQL for ``number``, ``time``, ``level``, ``client`` and ``said``, what its kind is told from; one row a line."""
    beside = _groups(f"left(apache.message, {_LONGEST_APACHE})", _APACHE_MESSAGE, _APACHE_MESSAGE_GROUPS)
    return f"""
        SELECT number,
            CASE WHEN is_apache THEN apache.time ELSE nginx.time END AS time,
            CASE WHEN is_apache THEN split_part(apache.level, ':', -1) ELSE nginx.level END AS level,
            CASE WHEN is_apache THEN {_APACHE_CLIENT}
                -- A line that names two clients, or was cut, may have one of a visitor's invention.
                WHEN len(parts) = 2 AND is_whole THEN regexp_extract(parts[2], '^[^,]*') END AS client,
            CASE WHEN is_apache
                THEN 'apache|' || split_part(':' || apache.level, ':', -2) || '|' || said.number || '|' || said.message
                ELSE 'nginx|||' || parts[1] END AS said
        FROM (SELECT *, string_split(nginx.message, ', client: ') AS parts, {beside} AS said
            FROM (SELECT number, is_apache, strlen(rtrim(line, chr(10))) < {_LONGEST_OF_NGINX} AS is_whole,
                    CASE WHEN is_apache THEN {_groups("line", _APACHE, _APACHE_GROUPS)} END AS apache,
                    CASE WHEN NOT is_apache THEN {_groups("line", _NGINX, _NGINX_GROUPS)} END AS nginx
                FROM (SELECT number, line, regexp_matches(line, '{_IS_APACHE}') AS is_apache FROM {lines})))"""


def _groups(text: str, pattern: str, groups: tuple[str, ...]) -> str:
    """SQL for a struct of a pattern's groups, all of them '' where it does not match."""
    return f"regexp_extract({text}, {quoted(pattern)}, {list(groups)})"


# Apache 2.4 (which logs its process) always adds the port, also to an IPv6 address without brackets.
_APACHE_CLIENT: Final = r"""
    CASE WHEN starts_with(said.client, '[') THEN regexp_extract(said.client, '^\[([^\]]*)\]', 1)
        WHEN said.pid <> '' THEN regexp_replace(said.client, ':[0-9]{1,5}$', '')
        ELSE said.client END"""


def _kind_case(said: str) -> str:
    branches = (
        f"WHEN regexp_matches({said}, {quoted('(?s)' + '|'.join(patterns))}) THEN {quoted(kind)}"
        for kind, patterns in _KINDS.items()
    )
    return f"CASE {' '.join(branches)} ELSE {quoted(OTHER)} END"
