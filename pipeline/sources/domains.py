"""Registered domains: the part of a host name that somebody registered, by the Public Suffix List."""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList

MOST_CHARACTERS: Final = 60  # as of every key of a table
# Letters, digits and hyphens (RFC 1035, 2.3.1), but no label with hyphens in third and fourth place (RFC 5890, 2.3.1).
_LABEL: Final = r"(?![a-z0-9]{2}--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_PLAIN_DOMAIN: Final = re.compile(rf"(?:{_LABEL}\.)+[a-z]{{2,}}")
# On the list, but nobody's: names made of network addresses (RFC 3172), and of keys (RFC 7686).
_NO_REGISTRIES: Final = frozenset({"arpa", "onion"})


def host_of(origin: str) -> str | None:
    """The host of ``scheme://host``, lower case, without port and credentials; None where there is none."""
    scheme, mark, rest = origin.partition("://")
    if not mark or not scheme:
        return None
    host = rest.rsplit("@", 1)[-1]
    host = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return host.lower().rstrip(".") or None


def registered_domain(host: str) -> str | None:
    """``www.example.co.uk`` is of ``example.co.uk``; None for addresses, single labels and names that are none."""
    if _is_address(host):
        return None
    try:
        found = _suffixes().privatesuffix(host)
    except (UnicodeError, ValueError):
        return None
    return str(found) if found and all(label.replace("-", "").isalnum() for label in found.split(".")) else None


def public_domain(host: str) -> str | None:
    """The domain that was registered at a public registry, in plain letters; None for all that is none.

    What a hosting service hands out under its own domain counts as the service's: ``jane-doe.github.io`` is of
    ``github.io``, since such labels name accounts and machines. Names of private networks (``intranet.corp``) have no
    registry. Labels with an encoding (``xn--``) are refused: what they spell cannot be read where they are shown.
    """
    if _is_address(host):
        return None
    try:
        found = _registries().privatesuffix(host)
    except (UnicodeError, ValueError):
        return None
    if not found or len(found) > MOST_CHARACTERS or not _PLAIN_DOMAIN.fullmatch(found):
        return None
    return None if found.rpartition(".")[2] in _NO_REGISTRIES else str(found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)
