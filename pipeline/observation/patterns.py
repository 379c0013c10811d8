"""What identifiers and secrets look like in a text, each with the fixed words that stand in its place.

Each pattern is anchored or bounded, so that no text takes longer than its length times a small number. They are read in
their order: what may contain others comes first.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pipeline.errors import DemographicsError
from pipeline.workspace import PORTAL_VARIABLE

# Whose pages messages of libraries lead to; the portal's own and those of this machine are kept beside them.
_MANUALS: Final = frozenset(
    {"airflow.apache.org", "docs.python.org", "docs.pydantic.dev", "errors.pydantic.dev", "sqlalche.me"}
)
_OWN_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104 - nothing listens here
_KEPT_ADDRESSES: Final = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104 - as before
_STOPPED: Final = re.compile(r"\w+ stopped: \w+ at ")


@dataclass(frozen=True)
class Rule:
    """One kind of identifier.

    Attributes:
        pattern: What it looks like.
        replace: What stands in its place, given the match.
    """

    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str]


def _always(word: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found.expand(word)


def _web_address(found: re.Match[str]) -> str:
    try:
        place = urlsplit(found[0])
        own = urlsplit(os.environ.get(PORTAL_VARIABLE, "")).netloc
        kept = place.hostname in _OWN_MACHINE | _MANUALS or (place.netloc == own != "")
    except ValueError:  # no address after all
        kept = False
    return found[0] if kept else "[web address]"


def _network_address(found: re.Match[str]) -> str:
    """IPv6, with a colon behind it perhaps; times and other things with colons stay."""
    text = found[0].rstrip(":") if found[0].endswith(":") and not found[0].endswith("::") else found[0]
    if text in _KEPT_ADDRESSES:
        return found[0]
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return found[0]
    return f"[address]{found[0][len(text) :]}"


def _dotted(found: re.Match[str]) -> str:
    return found[0] if found[0] in _KEPT_ADDRESSES else "[address]"


def _token(found: re.Match[str]) -> str:
    return found[0] if "__" in found[0] else "[secret]"  # Airflow's names of runs have two underscores


_NAMES: Final = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|access[_-]?key|credentials?|session(?:[_-]?id)?|otp"
)

_AGENTS: Final = (
    "Mozilla|Opera|Gecko|AppleWebKit|Chrome|Safari|Firefox|Edg|OPR|Dalvik|okhttp|curl|Wget|python-requests"
    "|Python-urllib|Go-http-client|PostmanRuntime"
)


def _mixed(letters: str, least: int) -> str:
    """At least so many letters, of them a large one, a small one and a digit."""
    return rf"(?<![{letters}])(?=[{letters}]*[A-Z])(?=[{letters}]*[a-z])(?=[{letters}]*\d)[{letters}]{{{least},}}"


# What looks like it -> the words in its place, or what says them.
_PATTERNS: Final[tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = (
    # postgresql://exporter:secret@db.example.com/demographics
    (r"(?<=://)[^\s'\"<>/]{1,512}@", "[credentials]@"),
    (r"(?<![A-Za-z])(?i:https?://)[^\s\"'<>)\]}|]{1,4096}", _web_address),
    (r"(?<![A-Za-z])(?i:https?%3A%2F%2F)[^\s\"'<>]{1,4096}", "[web address]"),
    (r"(?<=[\w/])\?[^\s\"'<>]{1,4096}", "?[query]"),
    (r"[^\s@\"'<>,;:()\[\]{}=/|]{1,128}(?:@|%40)[\w-]{1,64}(?:\.[\w-]{1,64}){0,64}", "[e-mail]"),
    # User agents, to the end of the line or the quotes: what follows the first name may be of any form.
    (rf"(?<![A-Za-z])(?:{_AGENTS})/\d[^\"\n]*", "[user agent]"),
    # Headers, to the end of the line, as a cookie has any number of parts.
    (r"(?i)((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s{0,3}[:=])[^\n]*", r"\1\2 [secret]"),
    (r"(?<![A-Za-z])(?i:(bearer|basic))\s{1,3}[\w.~+/=-]{8,}", r"\1 [secret]"),
    (
        rf"(?i)({_NAMES})([\w-]{{0,16}}\"?'?\s{{0,3}}=\s{{0,3}}['\"]?|['\"]\s{{0,3}}:\s{{0,3}}['\"]?)[^\s\"',;&]+",
        r"\1\2[secret]",
    ),
    (r"(?:dg[rx]_|whsec_|eyJ|A[KS]IA)[\w.+/=-]{8,}", "[secret]"),
    # Digests, and pseudonyms, which are as long.
    (r"(?<![0-9A-Za-z])[0-9A-Fa-f]{24,}(?![0-9A-Za-z])", "[digest]"),
    (_mixed("A-Za-z0-9", 16), "[secret]"),
    (_mixed("A-Za-z0-9_-", 32), _token),
    # Accounts and cards. Thirteen digits and more are nothing that a log needs, unless they are a fraction's.
    (r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", "[account]"),
    (r"(?<!\d)\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}(?!\d)", "[number]"),
    (r"(?<!\d)\d{4}[ -]\d{6}[ -]\d{4,5}(?!\d)", "[number]"),
    (r"(?<!\d)(?<!\d\.)\d{13,}", "[number]"),
    (r"(?<![\w:])\+\d[\d ().-]{6,20}\d", "[telephone]"),
    (r"(?<![0-9A-Fa-f:])[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![0-9A-Za-z])", _network_address),
    (r"(?<!\d)(?<!\d\.)\d{1,3}(?:\.\d{1,5}){3,}", _dotted),
)
RULES: Final = tuple(
    Rule(re.compile(pattern), _always(told) if isinstance(told, str) else told) for pattern, told in _PATTERNS
)


def _names_of_errors() -> frozenset[str]:
    found, waiting = set(), [DemographicsError]
    while waiting:
        one = waiting.pop()
        found.add(one.__name__)
        waiting += one.__subclasses__()
    return frozenset(found)


_OURS: Final = _names_of_errors()


def tells_rules(name: str, message: str) -> bool:
    """Whether the message of an exception is one of the product's or of Airflow's: a rule, never a record.

    Args:
        name: Of its class, with or without the module.
        message: What it says.
    """
    last = name.rpartition(".")[2].strip()
    return last in _OURS or last.startswith("Airflow") or (last == "RuntimeError" and bool(_STOPPED.match(message)))
