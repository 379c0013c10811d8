r"""Format strings as servers are configured with them: Apache's ``LogFormat`` and nginx's ``log_format``.

A string becomes one regular expression, in which every directive is matched and only those are captured that a request
is read from. Sources: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats and
https://nginx.org/en/docs/http/ngx_http_log_module.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField, TrailingField
from pipeline.sources.engine import quoted
from pipeline.sources.formats.fields import LogFormat, Logged, Plain, select_fields
from pipeline.sources.formats.times import Clock, apache_clock, nginx_clock

Server = Literal["apache", "nginx"]

_QUOTED: Final = r'(?:[^"\\]|\\.)*'
_SPACED: Final = r'[^"\[\n]*?'  # a user's name may hold spaces
_LISTED: Final = r".*?"  # so may what several servers behind nginx said
_APACHE: Final = re.compile(r"%[!0-9,<>]*(?:\{[^}]*\})?(?:\^t[io]|[a-zA-Z%])")
_NGINX: Final = re.compile(r"\$(?:\{\w+\}|\w+)")
_COOKIE: Final = re.compile(r"cookie", re.IGNORECASE)

_COMBINED: Final = {
    "apache": r'%[ha] %l %u %t "%r" %>?s %[bBO] "%\{Referer\}i" "%\{User-Agent\}i"((?: "%\{[\w-]+\}i")*)',
    "nginx": r'\$remote_addr - \$remote_user \[\$time_local\] "\$request" \$status \$body_bytes_sent "\$http_referer" '
    r'"\$http_user_agent"((?: "\$\w+")*)',
}
_TRAILING: Final = ("accept_language", "forwarded", "time_zone")
# What a directive tells, without its modifiers; of several for one field the first that stands in a row here counts.
_APACHE_FIELDS: Final[Mapping[RequestField, Sequence[str]]] = {
    "address": ("%a", "%h", "%{c}a"),
    "request": ("%r",),
    "path": ("%U",),
    "query": ("%q",),
    "status": ("%s",),
    "referrer": ("%{referer}i", "%{referrer}i"),
    "agent": ("%{user-agent}i",),
    "accept_language": ("%{accept-language}i",),
    "forwarded": ("%{x-forwarded-for}i",),
}
_NGINX_FIELDS: Final[Mapping[RequestField, Sequence[str]]] = {
    "address": ("$remote_addr", "$binary_remote_addr", "$realip_remote_addr"),
    "request": ("$request",),
    "path": ("$request_uri", "$uri", "$document_uri"),
    "query": ("$args", "$query_string"),
    "status": ("$status",),
    "referrer": ("$http_referer",),
    "agent": ("$http_user_agent",),
    "accept_language": ("$http_accept_language",),
    "forwarded": ("$http_x_forwarded_for", "$proxy_add_x_forwarded_for"),
}


@dataclass(frozen=True)
class _Token:
    """A directive, or what stands between two.

    Attributes:
        text: As it is configured.
        is_literal: Whether it stands for itself.
        clock: How it writes the time, if it does.
    """

    text: str
    is_literal: bool
    clock: Clock | None = None


def string_format(
    server: Server, text: str, fields: Mapping[RequestField, str], zone: ZoneInfo, name: str = ""
) -> LogFormat:
    """The format that a server's own string describes.

    Args:
        server: Whose string it is.
        text: The string, or the whole directive of the configuration.
        fields: Directives or variables by what they tell, where the string's own do not say it.
        zone: Of times that are logged without one.
        name: Of the format, for people, if it has one.

    Raises:
        ConfigurationError: The string has no address, time or request, holds a time that cannot be read, or a field is
            declared that is not in it, or that is a cookie.
    """
    tokens = _with_times(_tokens(server, _bare(server, text)))
    found = _found(server, tokens, fields)
    return Plain(name or f"{server} format string", _select(tokens, found, zone))


def trailing_of(server: Server, text: str, fields: Mapping[RequestField, str]) -> tuple[TrailingField, ...] | None:
    """What follows the agent, where a string is that of the combined format with quoted headers behind it.

    Lines of the combined format are read three times as fast as those of other strings.
    """
    found = re.fullmatch(_COMBINED[server], _bare(server, text), re.IGNORECASE)
    if not found:
        return None
    told = {name.lower(): field for field, name in fields.items()}
    own = _APACHE_FIELDS if server == "apache" else _NGINX_FIELDS
    told |= {name: field for field in ("accept_language", "forwarded") if field not in fields for name in own[field]}
    trailing = tuple(told.get(name.lower(), "-") for name in re.findall('"([^"]+)"', found[1]))
    read = [field for field in trailing if field != "-"]
    if set(fields) - set(read) or len(set(read)) < len(read) or not set(read) <= set(_TRAILING):
        return None  # the general way says what is wrong, or reads it
    return cast("tuple[TrailingField, ...]", trailing)


def _bare(server: Server, text: str) -> str:
    """The string without the directive around it, and without the escapes of the configuration file."""
    if server == "apache":
        whole = re.match(r'\s*(?:LogFormat|CustomLog\s+\S+)\s+"((?:[^"\\]|\\.)*)"', text)
        inner = whole[1] if whole else text.strip()
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), inner)
    whole = re.match(r"\s*log_format\s+\S+\s+(?:escape=\w+\s+)?(.*?);?\s*$", text, re.DOTALL)
    pieces = whole[1] if whole else text.strip()
    if pieces[:1] in "'\"" and (parts := re.findall(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", pieces)):
        return re.sub(r"\\(['\"\\])", r"\1", "".join(single or double for single, double in parts))
    return pieces


def _tokens(server: Server, text: str) -> Iterator[_Token]:
    pattern, done = (_APACHE if server == "apache" else _NGINX), 0
    for found in pattern.finditer(text):
        if found.start() > done:
            yield _Token(text[done : found.start()], is_literal=True)
        yield from _directive(server, found[0])
        done = found.end()
    if done < len(text):
        yield _Token(text[done:], is_literal=True)


def _directive(server: Server, text: str) -> Iterator[_Token]:
    if server == "nginx":
        name = "$" + text.strip("${}")
        yield _Token(name, is_literal=False, clock=nginx_clock(name))
        return
    plain = re.sub(r"^%[!0-9,<>]*", "%", text)
    if plain == "%%":
        yield _Token("%", is_literal=True)
    elif plain == "%t":  # its brackets are its own
        yield from (_Token("[", is_literal=True), _Token(plain, is_literal=False, clock=apache_clock("")))
        yield _Token("]", is_literal=True)
    elif plain.endswith("}t"):
        yield _Token(plain, is_literal=False, clock=apache_clock(plain[2:-2]))
    else:
        name = re.sub(r"\{[^}]*\}", lambda found: found[0] if plain[-1] == "a" else found[0].lower(), plain)
        yield _Token(name, is_literal=False)


def _with_times(tokens: Iterator[_Token]) -> tuple[_Token, ...]:
    """Directives of the time that stand side by side, or with a sign between them, become one."""
    joined: list[_Token] = []
    for token in tokens:
        before = next((place for place in (-1, -2) if len(joined) >= -place and joined[place].clock), None)
        clock = joined[before].clock if before else None
        between = joined[before + 1 :] if before is not None and before < -1 else []
        if token.clock and clock and clock.can_join(token.clock) and all(one.is_literal for one in between):
            sign = "".join(one.text for one in between)
            del joined[before:]
            joined.append(_Token(token.text, is_literal=False, clock=clock.joined(sign, token.clock)))
        else:
            joined.append(token)
    return tuple(joined)


def _found(server: Server, tokens: Sequence[_Token], declared: Mapping[RequestField, str]) -> dict[RequestField, int]:
    """The place of each field's token."""
    known = dict(_APACHE_FIELDS if server == "apache" else _NGINX_FIELDS)
    found: dict[RequestField, int] = {}
    for field, text in declared.items():
        if _COOKIE.search(text) or text.endswith("C"):
            raise ConfigurationError(
                "a cookie is never read", value=f"fields.{field}", remedy="Log what you need apart from it."
            )
        known[field] = tuple(token.text for token in _tokens(server, text) if not token.is_literal)
    for field, names in known.items():
        places = [
            place for name in names for place, one in enumerate(tokens) if one.text == name and not one.is_literal
        ]
        if places:
            found[field] = places[0]
        elif field in declared:
            raise ConfigurationError(
                "a declared field must stand in the log_format",
                value=f"fields.{field}: {declared[field]}",
                remedy="Correct one of the two.",
            )
    times = {place: one.clock.rank for place, one in enumerate(tokens) if one.clock}
    if "time" not in found and times:
        found["time"] = max(times, key=lambda place: times[place])
    _require(found)
    return found


def _require(found: Mapping[RequestField, int]) -> None:
    missing = [name for name in ("address", "time", "status") if name not in found]
    if "request" not in found and "path" not in found:
        missing.append("request")
    if missing:
        raise ConfigurationError(
            "a log_format must tell address, time, status and request",
            value=f"no {', '.join(missing)}",
            remedy="Log them, or say in fields where they stand.",
        )


def _select(tokens: Sequence[_Token], found: Mapping[RequestField, int], zone: ZoneInfo) -> str:
    names = {place: field for field, place in found.items()}
    pattern = "".join(_pattern(tokens, place, is_read=place in names) for place in range(len(tokens)))
    held = [names[place] for place in sorted(names)]
    groups = ", ".join(map(quoted, ("whole", *held)))
    whole = rf"^({pattern})[ \r]*(?:\n|$)"
    relation = f"(SELECT number, regexp_extract(line, {quoted(whole)}, [{groups}]) AS said FROM lines)"
    clock = tokens[found["time"]].clock
    assert clock is not None
    said = {field: f"said.{field}" for field in held}
    return select_fields(
        Logged(
            address=said["address"],
            moment=clock.moment(said["time"], zone),
            status=said["status"],
            request=said.get("request"),
            target=None if "request" in said else said["path"],
            query=said.get("query"),
            referrer=said.get("referrer"),
            agent=said.get("agent"),
            accept_language=said.get("accept_language"),
            forwarded=said.get("forwarded"),
            time_zone=said.get("time_zone"),
            matched="said.whole <> ''",
        ),
        relation,
    )


def _pattern(tokens: Sequence[_Token], place: int, *, is_read: bool) -> str:
    token = tokens[place]
    if token.is_literal:
        return re.escape(token.text)
    before = tokens[place - 1].text[-1:] if place else ""
    after = tokens[place + 1].text[:1] if place + 1 < len(tokens) and tokens[place + 1].is_literal else ""
    if token.clock:
        value = token.clock.pattern
    elif before == after == '"':
        value = _QUOTED
    elif token.text in ("%u", "%l", "$remote_user"):
        value = _SPACED
    elif token.text.startswith("$upstream"):
        value = _LISTED
    else:
        value = f"[^{re.escape(after)}\\n]*" if after else r"[^ \r\n]*"
    return f"({value})" if is_read else f"(?:{value})"
