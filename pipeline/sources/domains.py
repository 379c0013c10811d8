"""Registered domains: the part of a host name that somebody registered, by the Public Suffix List."""

from __future__ import annotations

import ipaddress
from functools import cache

from publicsuffixlist import PublicSuffixList


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


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
