r"""Log formats: the combined format of Apache and nginx as one regular expression for DuckDB's engine (RE2).

    address identity name [time] "request" status size "referrer" "agent" ...

Inside quotes Apache and nginx write ``\"`` and ``\xHH``. What follows the agent, quoted or not, is allowed and is
read only where the site file declares it. Sources: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html and
https://nginx.org/en/docs/http/ngx_http_log_module.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

LONGEST_AGENT: Final = 512  # characters; an agent that differs later is told as the same
_LONGEST_ORIGIN: Final = 300
_LONGEST_LANGUAGE: Final = 200

_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_VISIT: Final = r'([^ "\[]+ [^"\[]+\[[^\]"]*)\]'  # address, identity, name, time
_ANSWER: Final = rf'([^ "]+ [^ "]+ "{_QUOTED})"'  # status, size, referrer
# RE2 captures in one pass, three times as fast, where what comes next is always plain from one character and there
# are at most four groups. So neighbours share a group, and are told apart in it afterwards.
_LINE: Final = rf'^{_VISIT} "({_QUOTED})" {_ANSWER} "'
_END: Final = rf'({_QUOTED})"(?:[ \r\n]|$)'
# The agent with its closing quote and the rest of the line.
_END_WITH_TAIL: Final = rf'({_QUOTED}"(?:[ \r][^\n]*)?)(?:\n|$)'

_REQUEST: Final = r"^[A-Z]+ ([^ ?]+)(\?[^ ]*)? HTTP/[0-9](?:\.[0-9])?$"
_ORIGIN: Final = r'"([A-Za-z][A-Za-z0-9+.-]*://[^/?#"\\ ]*)'
_SEGMENT: Final = r"^[A-Z]+ /([A-Za-z0-9-]{1,40})(?:[/?][^ ]*)? HTTP/"
_AFTER_AGENT: Final = rf'^{_QUOTED}"((?s:.*))$'
_TIME: Final = "%d/%b/%Y:%H:%M:%S %z"
# A server whose clock stands outside these years has no time.
_YEARS: Final = "BETWEEN TIMESTAMPTZ '1990-01-01 00:00:00+00' AND TIMESTAMPTZ '2199-12-31 00:00:00+00'"

# Over the struct ``part``.
_VISIT_FIELDS: Final = f"""
    split_part(part.visit, ' ', 1) AS address,
    CASE WHEN try_strptime(split_part(part.visit, '[', 2), '{_TIME}') {_YEARS}
        THEN try_strptime(split_part(part.visit, '[', 2), '{_TIME}') END AS moment,
    split_part(part.answer, ' ', 1) AS status,
    CASE WHEN ends_with(part.answer, ' "-') OR ends_with(part.answer, ' "') THEN '-'
        ELSE lower(left(regexp_extract(part.answer, '{_ORIGIN}', 1), {_LONGEST_ORIGIN})) END AS origin"""


def request_fields(trailing: Sequence[str] = (), lines: str = "lines") -> str:
    """SQL that selects the fields of the lines of a relation, parsed in one pass.

    Args:
        trailing: Quoted fields after the agent, in order; only ``accept_language`` is read.
        lines: A relation with a column ``line``.

    Returns:
        A SELECT with one row a line: ``address`` ('' where the line has not this format), ``moment`` (TIMESTAMPTZ;
        NULL where unreadable), ``status``, ``path`` ('' where the request is none), ``query``, ``origin`` (scheme and
        host of the referrer, lower case; '-' where there is no referrer, '' where it is no address of a page),
        ``agent`` (cut), ``accept_language`` (cut; '' where not declared).
    """
    agent, language, source = "part.agent", "''", _parts(lines, _END)
    if "accept_language" in trailing:
        agent, language = "tail.agent", f"left(tail.accept_language, {_LONGEST_LANGUAGE})"
        split = f"regexp_extract(part.agent, '{_tail(trailing)}', ['agent', 'accept_language']) AS tail"
        source = f"SELECT part, {split} FROM ({_parts(lines, _END_WITH_TAIL)})"
    return f"""
        SELECT address, moment, status, request.path AS path, request.query AS query, origin, agent, accept_language
        FROM (SELECT {_VISIT_FIELDS},
                regexp_extract(part.request, '{_REQUEST}', ['path', 'query']) AS request,
                CASE WHEN strlen({agent}) > {LONGEST_AGENT} THEN left({agent}, {LONGEST_AGENT}) ELSE {agent} END
                    AS agent,
                {language} AS accept_language
            FROM ({source}))"""


def survey_fields(lines: str = "lines") -> str:
    """SQL that selects what a survey needs of the lines of a relation.

    Returns:
        A SELECT with one row a line: ``address``, ``moment``, ``status``, ``origin`` as in ``request_fields``,
        ``segment`` (first segment of the path, if of letters, digits and hyphens, 40 at most; else '') and ``tail``
        (list of the quoted fields after the agent).
    """
    return f"""
        SELECT {_VISIT_FIELDS},
            regexp_extract(part.request, '{_SEGMENT}', 1) AS segment,
            regexp_extract_all(regexp_extract(part.agent, '{_AFTER_AGENT}', 1), ' "({_QUOTED})"', 1) AS tail
        FROM ({_parts(lines, _END_WITH_TAIL)})"""


def _parts(lines: str, end: str) -> str:
    """SQL for one struct ``part`` a line: ``visit``, ``request``, ``answer``, ``agent``; all '' where none matches."""
    names = "['visit', 'request', 'answer', 'agent']"
    return f"SELECT regexp_extract(line, '{_LINE}{end}', {names}) AS part FROM {lines}"


def _tail(trailing: Sequence[str]) -> str:
    """Pattern over agent and tail; a line that has fewer fields still matches, without a language."""
    skipped = rf' "{_QUOTED}"' * trailing.index("accept_language")
    return rf'^({_QUOTED})"(?:{skipped} "({_QUOTED})")?'
