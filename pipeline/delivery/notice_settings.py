"""Settings of notices: ``DEMOGRAPHICS_MAIL_HOST`` and so on, ``DEMOGRAPHICS_WEBHOOK_CA_FILE`` and so on."""

from __future__ import annotations

import ipaddress
import ssl
from email.headerregistry import Address
from email.utils import getaddresses, parseaddr
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import httpx
from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.delivery.checking import LOOPBACK, is_address
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings


class Protection(StrEnum):
    """How the connection to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS: Final = {Protection.STARTTLS: 587, Protection.TLS: 465, Protection.NONE: 25}


class MailSettings(Settings):
    """By which server notices are sent by e-mail, and as whom."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_MAIL_")
    about = "mail"

    host: str = ""
    """The mail server; nothing is sent by e-mail where there is none."""
    port: int | None = Field(default=None, ge=1, le=65_535)
    """By default 587, with ``tls`` 465, with ``none`` 25."""
    security: Protection = Protection.STARTTLS
    """``starttls`` or ``tls``; ``none`` only with a server on this machine."""
    user: str = ""
    """The account on the server; without one nobody logs in."""
    password_file: Path | None = None
    """A file whose first line is the account's password."""
    sender: str = ""
    """Whom mail comes from: ``Demographics <exports@example.org>``."""
    ca_file: Path | None = None
    """A PEM file of certificate authorities that are trusted beside the usual ones."""

    @field_validator("sender")
    @classmethod
    def _is_mailbox(cls, value: str) -> str:
        found = getaddresses([value])
        if value and not (value.isprintable() and len(found) == 1 and is_address(found[0][1])):
            raise ValueError("must be one address, such as Demographics <exports@example.org>")
        return value

    @model_validator(mode="after")
    def _keeps_passwords_private(self) -> Self:
        if self.security is Protection.NONE and self.host and self.host not in LOOPBACK:
            raise ValueError("security none is for a server on this machine: say starttls or tls")
        if bool(self.user) is not bool(self.password_file):
            raise ValueError("user and password_file are set together")
        if bool(self.host) is not bool(self.sender):
            raise ValueError("host and sender are set together")
        return self

    @property
    def used_port(self) -> int:
        """The port that is asked."""
        return self.port or _PORTS[self.security]

    @property
    def mailbox(self) -> Address:
        """Whom mail comes from."""
        name, address = parseaddr(self.sender)
        return Address(display_name=name, addr_spec=address)


class WebhookSettings(Settings):
    """Which receivers of webhooks are trusted beside those that everybody trusts."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_WEBHOOK_")
    about = "webhooks"

    ca_file: Path | None = None
    """A PEM file of certificate authorities that are trusted beside the usual ones."""
    networks: str = ""
    """Private networks that receivers may be in, with commas between them: ``10.20.0.0/16``."""

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        _networks(value)
        return value

    @property
    def private_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The private networks that receivers may be in."""
        return _networks(self.networks)


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """What certificates are verified with: the usual authorities, and those of a file.

    Raises:
        ConfigurationError: The file cannot be read, or holds no certificate.
    """
    context = httpx.create_ssl_context()
    if ca_file is None:
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as failure:  # an error of its format is one, too
        raise ConfigurationError(
            "a file of certificate authorities must be a readable PEM file",
            value=f"{ca_file.name} ({type(failure).__name__})",
            remedy="Name another in DEMOGRAPHICS_WEBHOOK_CA_FILE or DEMOGRAPHICS_MAIL_CA_FILE.",
        ) from None
    return context


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
