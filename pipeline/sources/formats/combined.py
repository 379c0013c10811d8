r"""The combined format of Apache and nginx, most logs there are, as one regular expression for DuckDB's engine (RE2).

    address identity name [time] "request" status size "referrer" "agent" ...

Inside quotes Apache and nginx write ``\"`` and ``\xHH``. What follows the agent, quoted or not, is allowed and is
read only where the site file declares it. Sources: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html and
https://nginx.org/en/docs/http/ngx_http_log_module.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.sources.formats.fields import (
    LONGEST_FORWARDED,
    LONGEST_LANGUAGE,
    LONGEST_ORIGIN,
    LONGEST_ZONE,
    REQUEST,
    YEARS,
    cut_agent,
    path_of,
)

_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_VISIT: Final = r'([^ "\[]+ [^"\[]+\[[^\]"]*)\]'  # address, identity, name, time
_ANSWER: Final = rf'([^ "]+ [^ "]+ "{_QUOTED})"'  # status, size, referrer
# RE2 captures in one pass, three times as fast, where what comes next is always plain from one character and there
# are at most four groups. So neighbours share a group, and are told apart in it afterwards.
_LINE: Final = rf'^{_VISIT} "({_QUOTED})" {_ANSWER} "'
# Virtual hosts are logged before all else: www.example.com:443.
_HOST: Final = r"[^ ]+ "
_LINE_WITH_HOST: Final = _LINE.replace("^", f"^{_HOST}", 1)
_END: Final = rf'({_QUOTED})"(?:[ \r\n]|$)'
# The agent with its closing quote and the rest of the line.
_END_WITH_TAIL: Final = rf'({_QUOTED}"(?:[ \r][^\n]*)?)(?:\n|$)'

_ORIGIN: Final = r'"([A-Za-z][A-Za-z0-9+.-]*://[^/?#"\\ ]*)'
TIME: Final = "%d/%b/%Y:%H:%M:%S %z"
_LONGEST: Final = {
    "accept_language": LONGEST_LANGUAGE,
    "forwarded": LONGEST_FORWARDED,
    "time_zone": LONGEST_ZONE,
}

# Over the struct ``part``.
_VISIT_FIELDS: Final = f"""
    split_part(part.visit, ' ', 1) AS address,
    CASE WHEN try_strptime(split_part(part.visit, '[', 2), '{TIME}') {YEARS}
        THEN try_strptime(split_part(part.visit, '[', 2), '{TIME}') END AS moment,
    split_part(part.answer, ' ', 1) AS status,
    CASE WHEN ends_with(part.answer, ' "-') OR ends_with(part.answer, ' "') THEN '-'
        ELSE lower(left(regexp_extract(part.answer, '{_ORIGIN}', 1), {LONGEST_ORIGIN})) END AS origin"""


def request_fields(trailing: Sequence[str] = (), *, host: bool = False) -> str:
    """SQL that selects the shared columns of the lines of a relation ``lines``, parsed in one pass.

    Args:
        trailing: Quoted fields after the agent, in order; ``-`` is not read.
        host: Whether lines begin with the virtual host.
    """
    agent, source = "part.agent", _parts(_END, host=host)
    kept = [name for name in _LONGEST if name in trailing]
    if kept:
        agent, names = "tail.agent", ["agent", *(name for name in trailing if name in kept)]
        split = f"regexp_extract(part.agent, '{_tail(trailing)}', {names}) AS tail"
        source = f"SELECT number, part, {split} FROM ({_parts(_END_WITH_TAIL, host=host)})"
    told = {name: f"left(tail.{name}, {most})" if name in kept else "''" for name, most in _LONGEST.items()}
    return f"""
        SELECT number, address, {told["forwarded"]} AS forwarded, moment, status, {path_of("request.path")} AS path,
            request.query AS query, origin, {cut_agent(agent)} AS agent,
            {told["accept_language"]} AS accept_language, {told["time_zone"]} AS time_zone, false AS directive
        FROM (SELECT *, {_VISIT_FIELDS}, regexp_extract(part.request, '{REQUEST}', ['path', 'query']) AS request
            FROM ({source}))"""


def _parts(end: str, *, host: bool = False) -> str:
    """SQL for one struct ``part`` a line: ``visit``, ``request``, ``answer``, ``agent``; all '' where none matches."""
    names = "['visit', 'request', 'answer', 'agent']"
    pattern = f"{_LINE_WITH_HOST if host else _LINE}{end}"
    return f"SELECT number, regexp_extract(line, '{pattern}', {names}) AS part FROM lines"


def _tail(trailing: Sequence[str]) -> str:
    """Pattern over agent and tail; a line that has fewer fields still matches, with those that it has."""
    last = max(place for place, name in enumerate(trailing) if name != "-")
    fields = ""
    for name in reversed(trailing[: last + 1]):
        one = _QUOTED if name == "-" else f"({_QUOTED})"
        fields = f'(?: "{one}"{fields})?'
    return rf'^({_QUOTED})"{fields}'
