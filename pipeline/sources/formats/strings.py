r"""Logs written by a server's own format string: it becomes one regular expression for DuckDB's engine (RE2).

Every directive is matched, and only those are captured that a request is read from. A cookie is never captured, and
must stand so that no value of it can be taken for another field. Sources:
https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats and
https://nginx.org/en/docs/http/ngx_http_log_module.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigurationError
from pipeline.site import RequestField, TrailingField
from pipeline.sources.engine import quoted
from pipeline.sources.formats.configured import Configured, Server, Token, configured, tokens_of
from pipeline.sources.formats.fields import LogFormat, Logged, Plain, select_fields

__all__ = ["Server", "string_format", "trailing_of"]

# The combined format: lines of it are read three times as fast as those of other strings.
_COMBINED: Final = {
    "apache": r'%[ha] %l %u %t "%r" %>?s %[bBO] "%\{Referer\}i" "%\{User-Agent\}i"((?: "%\{[\w-]+\}i")*)',
    "nginx": r'\$remote_addr - \$remote_user \[\$time_local\] "\$request" \$status \$body_bytes_sent "\$http_referer" '
    r'"\$http_user_agent"((?: "\$\w+")*)',
}
_TRAILING: Final = ("accept_language", "forwarded", "time_zone")
# What a directive tells; of several for one field the first that stands in a row here counts.
_APACHE_FIELDS: Final[Mapping[RequestField, Sequence[str]]] = {
    "address": ("%a", "%h", "%{c}a"),
    "request": ("%r",),
    "path": ("%U",),
    "query": ("%q",),
    "status": ("%>s", "%s"),
    "referrer": ("%{referer}i", "%{referrer}i"),
    "agent": ("%{user-agent}i",),
    "accept_language": ("%{accept-language}i",),
    "forwarded": ("%{x-forwarded-for}i",),
}
_NGINX_FIELDS: Final[Mapping[RequestField, Sequence[str]]] = {
    "address": ("$remote_addr", "$realip_remote_addr"),
    "request": ("$request",),
    "path": ("$request_uri", "$uri", "$document_uri"),
    "query": ("$args", "$query_string"),
    "status": ("$status",),
    "referrer": ("$http_referer",),
    "agent": ("$http_user_agent",),
    "accept_language": ("$http_accept_language",),
    "forwarded": ("$http_x_forwarded_for", "$proxy_add_x_forwarded_for"),
}
# Directives whose values hold no space; any other may be text that somebody else chose.
_WORD: Final = re.compile(
    r"%(?:\{[^}]*\})?[aAbBDhHIkKlLmOpPSTvVX]|%\^FB|\$(?:realip_)?remote_(?:addr|port)|\$(?:args|query_string"
    r"|body_bytes_sent|bytes_sent|request_(?:length|time|method|id)|connection(?:_requests)?|pipe|scheme|hostname"
    r"|server_(?:addr|name|port|protocol)|ssl_(?:protocol|cipher))"
)

_STATUS: Final = r"(?:\d{3}|-)"
_OWN: Final = {"%s": _STATUS, "%>s": _STATUS, "$status": _STATUS, "$is_args": r"\??"}


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
        ConfigurationError: The string has no address, time or request, holds a time that cannot be read or a cookie
            that cannot be told from its neighbours, or a field is declared that is not in it, or that is a cookie.
    """
    string = configured(server, text)
    found = _found(server, string.tokens, fields)
    _require_cookies_apart(string)
    return Plain(name or f"{server} format string", _select(string, found, zone))


def trailing_of(server: Server, text: str, fields: Mapping[RequestField, str]) -> tuple[TrailingField, ...] | None:
    """What follows the agent, where a string is that of the combined format with quoted headers behind it.

    Args:
        server: Whose string it is.
        text: A string that ``string_format`` can read, with these fields.
        fields: Directives or variables by what they tell.
    """
    string = configured(server, text)
    found = re.fullmatch(_COMBINED[server], string.text, re.IGNORECASE)
    if not found or not string.escapes:
        return None
    told = {name.lower(): field for field, name in fields.items()}
    own = _APACHE_FIELDS if server == "apache" else _NGINX_FIELDS
    told |= {name: field for field in ("accept_language", "forwarded") if field not in fields for name in own[field]}
    trailing = tuple(told.get(name.lower(), "-") for name in re.findall('"([^"]+)"', found[1]))
    read = [field for field in trailing if field != "-"]
    if set(fields) - set(read) or len(set(read)) < len(read) or not set(read) <= set(_TRAILING):
        return None
    return cast("tuple[TrailingField, ...]", trailing)


def _found(server: Server, tokens: Sequence[Token], declared: Mapping[RequestField, str]) -> dict[RequestField, int]:
    """The place of each field's token."""
    known = dict(_APACHE_FIELDS if server == "apache" else _NGINX_FIELDS)
    known |= {field: (_declared(server, field, text),) for field, text in declared.items()}
    held = {token.text: place for place, token in reversed(list(enumerate(tokens))) if not token.is_literal}
    found = {field: held[name] for field, names in known.items() for name in reversed(names) if name in held}
    for field in declared:
        if field not in found:
            raise _not_logged(field, declared[field])
    wholes = [place for place, token in enumerate(tokens) if token.clock and token.clock.is_whole]
    if wholes and "time" not in declared:
        found["time"] = max(wholes, key=lambda place: (_rank(tokens[place]), -place))
    if "time" in declared and found["time"] not in wholes:
        raise _not_logged("time", declared["time"])
    _require(found)
    return found


def _declared(server: Server, field: RequestField, text: str) -> str:
    """The directive that a declared field names."""
    tokens = [token for token in tokens_of(server, text) if token.text]
    if any(token.is_cookie for token in tokens):
        raise ConfigurationError(
            "a cookie is never read", value=f"fields.{field}", remedy="Log what you need apart from it."
        )
    directives = [token for token in tokens if not token.is_literal]
    if len(directives) != 1 or (len(tokens) > 1 and not directives[0].clock):
        raise _not_logged(field, text)
    return directives[0].text


def _not_logged(field: str, text: str) -> ConfigurationError:
    return ConfigurationError(
        "a declared field must stand in the log_format, as one directive",
        value=f"fields.{field}: {text!r}",
        remedy="Correct one of the two.",
    )


def _rank(token: Token) -> int:
    return token.clock.rank if token.clock else 0


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


def _require_cookies_apart(string: Configured) -> None:
    """A cookie may hold anything; only what a server escapes inside of values keeps it apart from its neighbours."""
    for place, token in enumerate(string.tokens):
        before, after = _neighbours(string.tokens, place)
        is_last = place == len(string.tokens) - 1
        ends = ("\t" if place == 0 else before, "\t" if is_last else after)
        if token.is_cookie and not (is_last or (string.escapes and ends in (('"', '"'), ("\t", "\t")))):
            raise ConfigurationError(
                "a cookie must be logged between quotes or tabs of its own, or last, and with other quotes escaped",
                value=repr(token.text),
                remedy="Put it in quotes, or leave it out of the log: it is never read.",
            )


def _select(string: Configured, found: Mapping[RequestField, int], zone: ZoneInfo) -> str:
    names = {place: field for field, place in found.items()}  # one directive may tell several fields
    pattern = "".join(
        f"({_pattern(string, place)})" if place in names else f"(?:{_pattern(string, place)})"
        for place in range(len(string.tokens))
    )
    held = [names[place] for place in sorted(names)]
    whole, groups = rf"^{pattern}[ \r]*(?:\n|$)", ", ".join(map(quoted, held))
    clock = string.tokens[found["time"]].clock
    assert clock is not None
    said = {field: f"said.{names[place]}" for field, place in found.items()}
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
            matched=f"{said['address']} <> ''",
        ),
        f"(SELECT number, regexp_extract(line, {quoted(whole)}, [{groups}]) AS said FROM lines)",
    )


def _neighbours(tokens: Sequence[Token], place: int) -> tuple[str, str]:
    """The signs before and after a directive; '' where there is another one, or nothing."""
    before = tokens[place - 1].text[-1:] if place and tokens[place - 1].is_literal else ""
    after = tokens[place + 1].text[:1] if place + 1 < len(tokens) and tokens[place + 1].is_literal else ""
    return before, after


def _pattern(string: Configured, place: int) -> str:
    """A regular expression of what a token writes; lazy where only what comes later tells where a value ends."""
    token, (_, after) = string.tokens[place], _neighbours(string.tokens, place)
    if token.is_literal:
        return re.escape(token.text)
    if token.clock:
        return token.clock.pattern
    if own := _OWN.get(token.text):
        return own
    # Signs at which a value may be cut without loss: those of names, numbers and addresses are none.
    end = re.escape(after) if after and not (after.isalnum() or after.isspace() or after in ":.-_%") else ""
    if token.text == "%q":
        return rf'(?:\?[^\s"{end}]*)?'
    if _WORD.fullmatch(token.text):
        return rf'[^\s"{end}]*'
    is_quoted = "".join(one.text for one in string.tokens[:place] if one.is_literal).count('"') % 2
    if _is_before_query(string, place):
        end += "?"
    return f"{_sign(string, is_quoted=bool(is_quoted), end=end)}{'*' if end else '*?'}"


def _sign(string: Configured, *, is_quoted: bool, end: str) -> str:
    """One sign of a value, or an escape."""
    if not string.escapes:
        return rf'[^\r\n{end}"]' if is_quoted else rf"[^\r\n{end}]"
    outside = "" if is_quoted else r"\t"  # a tab inside of a value is escaped
    escapes = end.replace('"', "")
    return rf'(?:[^"\\\r\n{outside}{escapes}]|\\.)'


def _is_before_query(string: Configured, place: int) -> bool:
    """Whether a path is followed by the query, without anything between."""
    return place + 1 < len(string.tokens) and string.tokens[place + 1].text in ("%q", "$is_args")
