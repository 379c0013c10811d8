"""Sends notices to webhooks: signed as Standard Webhooks says, to nobody but who is named.

An address is looked up once, and exactly what was looked up is connected to, with the name in the certificate: a name
that answers something else a moment later (DNS rebinding) gains nothing. Addresses that are not public are refused,
also where they are wrapped in an IPv6 one, but for networks of ``DEMOGRAPHICS_WEBHOOK_NETWORKS``; this machine is
reached by its own names alone. Redirects are not followed, proxies of the environment not asked, and of an answer
nothing but its status is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import httpx
from standardwebhooks import Webhook

from pipeline import __version__
from pipeline.delivery.channels import NotSentError
from pipeline.delivery.checking import LOOPBACK
from pipeline.delivery.message import Message
from pipeline.delivery.notice_settings import WebhookSettings, trusted
from pipeline.delivery.webhook_secrets import WebhookSecrets
from pipeline.review.tables import now_utc
from pipeline.workspace import Workspace

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_WHOLE: Final = 15.0  # seconds for all of it, however slowly a receiver answers
_STEPS: Final = {"connect": 5.0, "read": 10.0, "write": 10.0, "pool": 5.0}
_MOST_ADDRESSES: Final = 3  # of one name that are tried
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # IPv4 behind a translator, RFC 6052


@dataclass(frozen=True)
class Webhooks:
    """The sender of webhooks of a site.

    Attributes:
        secrets: With which they are signed.
        settings: Whom to trust.
        context: With what certificates are verified.
    """

    secrets: WebhookSecrets
    settings: WebhookSettings
    context: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, workspace: Workspace) -> Webhooks:
        """The sender of a site.

        Raises:
            ConfigurationError: A setting breaks a rule.
            LedgerError: The ledger's database cannot be read.
        """
        settings = WebhookSettings.from_environment()
        return cls(WebhookSecrets.of(workspace), settings, trusted(settings.ca_file))

    def send(self, message: Message) -> None:
        """Send one notice; returns when the receiver has taken it.

        Raises:
            NotSentError: It was not taken.
        """
        recipient = message.occasion.recipient
        content = message.body
        headers = self._signed(message.id, content, recipient.name)
        status = asyncio.run(self._posted(recipient.webhook, content.encode(), headers))
        if 300 <= status < 400:
            raise NotSentError(f"the receiver answered {status}, and redirects are not followed")
        if not 200 <= status < 300:
            raise NotSentError(f"the receiver answered {status}")

    def _signed(self, id_: str, content: str, recipient: str) -> dict[str, str]:
        when = now_utc()  # of this try: receivers refuse what is older than five minutes
        secrets = self.secrets.living(recipient, when)
        return {
            "Content-Type": "application/json",
            "User-Agent": f"demographics/{__version__}",
            "Webhook-Id": id_,
            "Webhook-Timestamp": str(int(when.timestamp())),
            "Webhook-Signature": " ".join(Webhook(secret).sign(id_, when, content) for secret in secrets),
        }

    async def _posted(self, address: str, content: bytes, headers: dict[str, str]) -> int:
        """The status of the answer."""
        try:
            async with asyncio.timeout(_WHOLE):
                url = httpx.URL(address)
                places = await self._places(url)
                return await self._first_answer(url, places, content, headers)
        except (TimeoutError, httpx.TimeoutException):
            raise NotSentError(f"the receiver did not answer within {_WHOLE:.0f} seconds") from None
        except httpx.ConnectError as failure:
            raise NotSentError(_of_connection(failure)) from None
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError):
            raise NotSentError("the address of the webhook cannot be used") from None
        except (httpx.HTTPError, OSError):
            raise NotSentError("the connection to the receiver was cut") from None

    async def _first_answer(
        self, url: httpx.URL, places: list[Address], content: bytes, headers: dict[str, str]
    ) -> int:
        for place in places[:-1]:
            try:
                return await self._answer(url, place, content, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent there
                continue
        return await self._answer(url, places[-1], content, headers)

    async def _answer(self, url: httpx.URL, place: Address, content: bytes, headers: dict[str, str]) -> int:
        # The transport itself: a client would log the address, follow what the environment says, and keep cookies.
        request = httpx.Request(
            "POST",
            url.copy_with(host=str(place)),
            headers={"Host": url.netloc.decode("ascii"), **headers},
            content=content,
            extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]"), "timeout": _STEPS},
        )
        async with httpx.AsyncHTTPTransport(verify=self.context, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
            return response.status_code

    async def _places(self, url: httpx.URL) -> list[Address]:
        """Where a receiver is, each of its addresses being one that may be connected to."""
        host = url.host.strip("[]")
        if url.scheme != "https" and not (url.scheme == "http" and host in LOOPBACK):
            raise NotSentError("a webhook must be an https address")
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise NotSentError("the receiver's name has no address") from None
        places = list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found))
        if not places or not all(self._may_be_asked(place, host) for place in places):
            raise NotSentError("the receiver's name leads into a network that is not public")
        return places[:_MOST_ADDRESSES]

    def _may_be_asked(self, place: Address, host: str) -> bool:
        if host in LOOPBACK:
            return place.is_loopback
        own = self.settings.private_networks
        return all(_is_public(one) or any(one in network for network in own) for one in _unwrapped(place))


def _unwrapped(place: Address) -> Iterator[Address]:
    """An address, and any IPv4 address that it leads to in the end."""
    yield place
    if isinstance(place, ipaddress.IPv6Address):
        inner = [place.ipv4_mapped, place.sixtofour, *(place.teredo or ())]
        inner += [ipaddress.IPv4Address(int(place) & 0xFFFFFFFF)] if place in _TRANSLATED else []
        yield from (one for one in inner if one is not None)


def _is_public(place: Address) -> bool:
    if isinstance(place, ipaddress.IPv6Address) and (place.ipv4_mapped or place in _TRANSLATED):
        return True  # the IPv4 address inside says whether
    return place.is_global and not (place.is_multicast or place.is_reserved or place.is_unspecified)


def _of_connection(failure: BaseException | None) -> str:
    while failure is not None:
        if isinstance(failure, ssl.SSLCertVerificationError):
            return "the receiver's certificate is not one that is trusted"
        if isinstance(failure, ssl.SSLError):
            return "the receiver speaks no TLS that can be used"
        failure = failure.__cause__ or failure.__context__
    return "the receiver cannot be reached"
