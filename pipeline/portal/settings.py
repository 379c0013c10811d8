"""Settings of the pages: ``DEMOGRAPHICS_PORTAL_HOST``, ``_PORT``, ``_URL`` and so on."""

from __future__ import annotations

import datetime as dt
import ipaddress
from enum import StrEnum
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

import limits
from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.settings import Settings

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Part(StrEnum):
    """Whose pages there are."""

    ALL = "all"
    REVIEW = "review"
    RECIPIENTS = "recipients"


class Handover(StrEnum):
    """Who sends large files."""

    NONE = "none"
    X_ACCEL = "x-accel"
    S3 = "s3"


class PortalSettings(Settings):
    """Where the pages are, and how long a session of theirs lives."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_PORTAL_")
    about = "the portal"

    host: str = "127.0.0.1"
    """The address that the server listens on."""
    port: int = Field(default=8600, ge=0, le=65_535)
    """0 takes a free one."""
    url: str = ""
    """What browsers ask for, without a path; where a proxy adds HTTPS, its address. By default host and port."""
    hosts: str = ""
    """Further names that the pages answer to, with commas between them."""
    proxies: str = ""
    """Addresses of proxies, with commas between them, that are believed when they tell a client's address."""
    session_minutes: int = Field(default=30, ge=1, le=24 * 60)
    """A session ends when it was not used for so long."""
    session_hours: int = Field(default=8, ge=1, le=7 * 24)
    """A session ends after so long however much it is used."""
    log_in_rate: str = "10/minute"
    """Attempts to log in to one account."""
    address_rate: str = "30/minute"
    """Attempts to log in, and decisions, from one address."""
    decision_rate: str = "30/minute"
    """Decisions by one account."""
    stranger_rate: str = "30/minute"
    """Requests from one address with a token that opens nothing; more are answered 429 for a while."""
    part: Part = Part.ALL
    """Whose pages there are: so that recipients can be served by a program that cannot decide anything."""
    handover: Handover = Handover.NONE
    """Who sends large files: this program, a front server by ``X-Accel-Redirect``, or an S3 store by signed address."""
    handover_from: int = Field(default=8 * 2**20, ge=1)
    """From how many bytes on a file is handed over."""
    handover_store: str = ""
    """With ``s3``: where the published folder is mirrored, ``s3://bucket/folder``."""
    connections: int = Field(default=400, ge=1, le=100_000)
    """How many there may be at once; more are answered 503. Each may need two of the process's open files."""
    patience: int = Field(default=30, ge=1, le=3600)
    """Seconds within which a client must send all headers of a request, and take something of the answer."""

    @field_validator("log_in_rate", "address_rate", "decision_rate", "stranger_rate")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        try:
            limits.parse(value)
        except ValueError:
            raise ValueError("must be a rate such as 10/minute or 5 per 30 seconds") from None
        return value

    @model_validator(mode="after")
    def _keeps_passwords_private(self) -> Self:
        parts = _split(self.url or "http://127.0.0.1")
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            raise ValueError("url must be http or https, a host, and perhaps a port, without a path")
        if parts.scheme == "http" and not (_is_loopback(parts.hostname) and _is_loopback(self.host)):
            raise ValueError("passwords travel by HTTPS, or stay on this machine: give an https url, or host 127.0.0.1")
        return self

    @model_validator(mode="after")
    def _names_a_store(self) -> Self:
        if (self.handover is Handover.S3) is not bool(self.handover_store):
            raise ValueError("handover_store is set with handover=s3, and with nothing else")
        if self.handover_store and not self.handover_store.startswith("s3://"):
            raise ValueError("handover_store must be s3://bucket/folder")
        return self

    def hands_over(self, size: int) -> bool:
        """Whether a file of so many bytes is sent by somebody else."""
        return self.handover is not Handover.NONE and size >= self.handover_from

    @property
    def origin(self) -> str:
        """Scheme, host and port as browsers name them: ``http://127.0.0.1:8600``."""
        if not self.url:
            return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        parts = urlsplit(self.url)
        usual = {"http": 80, "https": 443}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, usual} else "")

    @property
    def secure(self) -> bool:
        """Whether browsers come by HTTPS."""
        return self.origin.startswith("https:")

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts that the pages answer to; any other may be a stranger's name for this machine."""
        own = {urlsplit(self.origin).hostname or "", *(name.strip().lower() for name in self.hosts.split(","))}
        return tuple(sorted(name for name in own | (_LOOPBACK if not self.secure else set()) if name))

    @property
    def session_cookie(self) -> str:
        """Its name: with HTTPS one that no other host and no plain connection can set."""
        return self._cookie("session")

    @property
    def recipient_cookie(self) -> str:
        """The name of the cookie of a recipient's session."""
        return self._cookie("recipient")

    @property
    def form_cookie(self) -> str:
        """The name of the cookie that belongs to the form of log-in."""
        return self._cookie("form")

    @property
    def idle(self) -> dt.timedelta:
        """For how long a session lives unused."""
        return dt.timedelta(minutes=self.session_minutes)

    @property
    def longest(self) -> dt.timedelta:
        """For how long a session lives at most."""
        return dt.timedelta(hours=self.session_hours)

    def _cookie(self, name: str) -> str:
        return f"__Host-demographics_{name}" if self.secure else f"demographics_{name}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 and not (parts.query or parts.fragment or parts.username) else None
    except ValueError:  # a port that is no number
        return None


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() in _LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
