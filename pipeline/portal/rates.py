"""How often somebody may try: a moving window for each account and for each address."""

from __future__ import annotations

import hmac
import ipaddress
import math
import secrets
import time
from typing import Final

import limits
from fastapi import Request
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from pipeline.errors import DemographicsError
from pipeline.portal.failures import RefusedError
from pipeline.portal.settings import PortalSettings

_DIGITS: Final = 4  # of a place's digest: strangers who try a million names fill no memory


class Rates:
    """What was tried lately, of one application."""

    def __init__(self, settings: PortalSettings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._key = secrets.token_bytes(16)
        rates = (settings.log_in_rate, settings.address_rate, settings.decision_rate, settings.stranger_rate)
        self._account, self._address, self._decision, self._token = (limits.parse(rate) for rate in rates)

    def require_log_in(self, request: Request, name: str) -> None:
        """Count an attempt to log in.

        Raises:
            RefusedError: There were too many of this account, whether there is one or not, or from this address; 429.
        """
        self._require(self._address, "log in from", address_of(request))
        self._require(self._account, "log in to", name.strip())

    def require_decision(self, request: Request, name: str) -> None:
        """Count a form that somebody sent who has logged in.

        Raises:
            RefusedError: There were too many of this account or from this address; 429.
        """
        self._require(self._address, "decide from", address_of(request))
        self._require(self._decision, "decide as", name)

    def require_token(self, request: Request) -> None:
        """Refuse whoever has shown too many tokens that open nothing; counts nothing.

        Raises:
            RefusedError: There were too many from this address lately; 429.
        """
        place = self._place("show a token from", address_of(request))
        if not self._limiter.test(self._token, place):
            raise self._refused(self._token, place)

    def note_wrong_token(self, request: Request) -> None:
        """Count a token that opens nothing."""
        self._limiter.hit(self._token, self._place("show a token from", address_of(request)))

    def _place(self, what: str, who: str) -> str:
        return hmac.digest(self._key, f"{what} {who}".encode("utf-8", "surrogatepass"), "sha256").hex()[:_DIGITS]

    def _require(self, rate: limits.RateLimitItem, what: str, who: str) -> None:
        place = self._place(what, who)
        if not self._limiter.hit(rate, place):
            raise self._refused(rate, place)

    def _refused(self, rate: limits.RateLimitItem, place: str) -> RefusedError:
        wait = max(1, math.ceil(self._limiter.get_window_stats(rate, place).reset_time - time.time()))
        return RefusedError(
            429,
            DemographicsError(
                f"there may be {rate} of this at most",
                remedy=f"Wait {wait} second{'s' if wait != 1 else ''}, then try again.",
            ),
            {"Retry-After": f"{wait}"},
        )


def address_of(request: Request) -> str:
    """Where a request comes from; of IPv6 the network, of which one household has all addresses."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:  # a proxy that listens on both kinds writes all of IPv4 so: one network, many households
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
