r"""Format strings of a server's configuration, taken apart: Apache's ``LogFormat`` and nginx's ``log_format``.

Sources: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats and
https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.errors import ConfigurationError
from pipeline.sources.formats.times import Clock, apache_clock, nginx_clock

Server = Literal["apache", "nginx"]

_APACHE: Final = re.compile(r"%([!0-9,<>]*)((?:\{[^}]*\})?(?:\^t[io]|\^F[UB]|[a-zA-Z%]))")
_NGINX: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_COOKIE: Final = re.compile(r"cookie|\}C$", re.IGNORECASE)

_APACHE_DIRECTIVE: Final = re.compile(r'\s*(?:LogFormat|CustomLog\s+(?:"[^"]*"|\S+))\s+', re.IGNORECASE)
_APACHE_QUOTED: Final = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1(?:\s+[\w.-]+)?(?:\s+env=\S+)?""", re.DOTALL)
_NGINX_HEAD: Final = re.compile(r"""\s*(log_format\s+)?((?!escape=)[\w.-]+\s+)?(?:escape=(\w+)\s+)?(?=(['"])?)""")
_NGINX_PIECE: Final = r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\""""
_NGINX_PIECES: Final = re.compile(rf"(?:\s*(?:{_NGINX_PIECE}|#[^\n]*\n))+", re.DOTALL)
_SIGNS: Final = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Token:
    """A directive, or what stands between two.

    Attributes:
        text: As it is configured, in one spelling: ``%{user-agent}i``, ``$status``.
        is_literal: Whether it stands for itself.
        clock: How it writes the time, if it does.
    """

    text: str
    is_literal: bool = False
    clock: Clock | None = None

    @property
    def is_cookie(self) -> bool:
        """Whether it writes a cookie."""
        return not self.is_literal and bool(_COOKIE.search(self.text))


@dataclass(frozen=True)
class Configured:
    """A string taken apart.

    Attributes:
        text: The string, without the directive around it and the escapes of the configuration file.
        tokens: Its directives, and what stands between; no two literals side by side.
        escapes: Whether the server writes a backslash before quotes inside of values.
    """

    text: str
    tokens: tuple[Token, ...]
    escapes: bool


def configured(server: Server, text: str) -> Configured:
    """Take a string apart.

    Args:
        server: Whose string it is.
        text: The string, quoted or not, or the whole directive of the configuration.

    Raises:
        ConfigurationError: It holds what is no directive, a time that cannot be read, or more than one line.
    """
    bare, escape = _bare_apache(text) if server == "apache" else _bare_nginx(text)
    bare = bare.strip("\r\n")
    if "\n" in bare:
        raise ConfigurationError(
            "a log_format must write one line a request",
            value="more than one line",
            remedy="Give nginx's pieces with their quotes; of Apache's, a format without a line feed in it.",
        )
    return Configured(bare, _with_times(_merged(tokens_of(server, bare))), escape != "none")


def tokens_of(server: Server, text: str) -> Iterator[Token]:
    """The directives of a text without escapes, and what stands between them.

    Raises:
        ConfigurationError: It holds what is no directive, or a time that cannot be read.
    """
    pattern, done = (_APACHE if server == "apache" else _NGINX), 0
    for found in pattern.finditer(text):
        yield _literal(server, text[done : found.start()])
        yield from _apache_directive(found) if server == "apache" else [_nginx_variable(found[1] or found[2])]
        done = found.end()
    yield _literal(server, text[done:])


def _bare_apache(text: str) -> tuple[str, str]:
    text = re.sub(r"\\\r?\n", "", text)  # a directive may go on in the next line
    rest = _APACHE_DIRECTIVE.sub("", text, count=1).strip()
    quoted = _APACHE_QUOTED.fullmatch(rest)
    return re.sub(r"\\(.)", lambda found: _SIGNS.get(found[1], found[1]), quoted[2] if quoted else rest), "default"


def _bare_nginx(text: str) -> tuple[str, str]:
    head = _NGINX_HEAD.match(text)
    assert head is not None  # all of it may be missing
    is_directive = bool(head[1] or head[3] or (head[2] and head[4]))
    rest = (text[head.end() :] if is_directive else text).strip()
    inner = rest.removesuffix(";")
    if _NGINX_PIECES.fullmatch(inner) and (is_directive or _looks_like_pieces(rest)):
        pieces = re.findall(rf"{_NGINX_PIECE}|#[^\n]*\n", inner, re.DOTALL)
        inner = "".join(single or double for single, double in pieces)
    return re.sub(r"""\\(['"\\nrt])""", lambda found: _SIGNS.get(found[1], found[1]), inner), head[3] or "default"


def _looks_like_pieces(text: str) -> bool:
    """Whether quotes are those of the configuration file, and not such as the server writes around values."""
    quotes_around_all = len(re.findall(_NGINX_PIECE, text, re.DOTALL)) == 1
    return text.startswith("'") or text.endswith(";") or "\n" in text or quotes_around_all


def _literal(server: Server, text: str) -> Token:
    if ("%" if server == "apache" else "$") in text:
        raise ConfigurationError(
            "a log_format must be made of the server's directives",
            value=repr(text.strip()),
            remedy="Copy it from the server's configuration as it stands there.",
        )
    return Token(text, is_literal=True)


def _nginx_variable(name: str) -> Token:
    return Token(f"${name}", clock=nginx_clock(f"${name}"))


def _apache_directive(found: re.Match[str]) -> Iterator[Token]:
    modifiers, plain = found[1], found[2]
    if plain == "%":
        yield Token("%", is_literal=True)
    elif plain == "t":  # its brackets are its own
        yield from (Token("[", is_literal=True), Token("%t", clock=apache_clock("")), Token("]", is_literal=True))
    elif plain.endswith("}t"):
        yield Token(f"%{plain}", clock=apache_clock(plain[1:-2]))
    elif plain == "s" and ">" in modifiers:
        yield Token("%>s")
    else:  # names of headers are alike in capital and small letters
        yield Token("%" + (plain.lower() if plain.endswith(("}i", "}o")) else plain))


def _merged(tokens: Iterable[Token]) -> Iterator[Token]:
    literal = ""
    for token in tokens:
        if token.is_literal:
            literal += token.text
            continue
        if literal:
            yield Token(literal, is_literal=True)
        literal = ""
        yield token
    if literal:
        yield Token(literal, is_literal=True)


def _with_times(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """Pieces of a time that stand side by side, or with a sign between them, become one."""
    joined: list[Token] = []
    for token in tokens:
        back = 2 if joined and joined[-1].is_literal else 1
        before = joined[-back].clock if len(joined) >= back else None
        if token.clock and before and before.can_join(token.clock):
            sign = "".join(one.text for one in joined[len(joined) - back + 1 :])
            del joined[-back:]
            joined.append(Token(token.text, clock=before.joined(sign, token.clock)))
        else:
            joined.append(token)
    return tuple(joined)
