"""Where reviewers decide: addresses of the portal's pages."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

from pipeline.errors import ConfigurationError
from pipeline.spec import ReleaseKey
from pipeline.workspace import PORTAL_VARIABLE

_ON_THIS_MACHINE: Final = "http://127.0.0.1:8600"


def portal() -> str:
    """The portal's address without a slash at its end: ``DEMOGRAPHICS_PORTAL_URL``, or on this machine.

    Raises:
        ConfigurationError: It is no address of the web.
    """
    address = (os.environ.get(PORTAL_VARIABLE) or _ON_THIS_MACHINE).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or not address.isprintable():
        raise ConfigurationError(
            f"{PORTAL_VARIABLE} must be the address at which reviewers reach the portal",
            value=repr(address[:80]),
            remedy="Write it as https://review.example.org.",
        )
    return address


def page_of(key: ReleaseKey) -> str:
    """The page on which reviewers read a candidate and decide on it.

    Raises:
        ConfigurationError: The portal's address is none.
    """
    return f"{portal()}/releases/{key.release}/{key.period}/r{key.revision}"
