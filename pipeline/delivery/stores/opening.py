"""Opens the store behind an address, with the credentials of the environment or of an Airflow connection."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import fsspec

from pipeline.delivery.stores.kinds import LocalStore, S3Store, SftpStore
from pipeline.delivery.stores.store import Store, told
from pipeline.errors import ConfigurationError, DeliveryError
from pipeline.filesystems.addresses import address_of, connected

CONNECTIONS_VARIABLE: Final = "DEMOGRAPHICS_STORE_CONNECTIONS"
_TRIES: Final = 2  # the next round comes in minutes


def open_store(address: str) -> Store:
    """The store of an address; the caller closes it.

    Args:
        address: ``file:///folder``, ``s3://bucket/folder`` or ``sftp://host/folder``. Its folder must be there, or its
            bucket.

    Raises:
        DeliveryError: It cannot be reached, or there is no such folder.
        ConfigurationError: The setting of connections breaks its rule.
    """
    connection = connections().get(_root_of(address))
    with told(address):
        if address.startswith("file://"):
            return _local(address)
        return _s3(address, connection) if address.startswith("s3://") else _sftp(address, connection)


def connections() -> Mapping[str, str]:
    """The Airflow connections of stores, by the beginning of their addresses.

    Raises:
        ConfigurationError: The setting breaks its rule; what it says is not shown, it may hold a secret by mistake.
    """
    found = {}
    for word in os.environ.get(CONNECTIONS_VARIABLE, "").split():
        root, _, name = word.rpartition("=")
        if not name or "@" in root or root != _root_of(root):
            raise ConfigurationError(
                f"{CONNECTIONS_VARIABLE} must have the form s3://bucket=connection sftp://host=connection",
                value="another form",
                remedy="Name Airflow connections there, and put names and passwords into these.",
            )
        found[root] = name
    return found


def _root_of(address: str) -> str:
    """``s3://bucket``, or ``sftp://host:22`` without the name before the host."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _local(address: str) -> Store:
    root = urlsplit(address).path
    if not fsspec.filesystem("file").isdir(root):
        raise _missing(address)
    return LocalStore(fsspec.filesystem("file"), root, address)


def _s3(address: str, connection: str | None) -> Store:
    place = address_of(address)
    usual = {"config_kwargs": {"retries": {"max_attempts": _TRIES}}, "use_listings_cache": False}
    opened = connected(place, connection, **usual)
    opened.retries = _TRIES
    return S3Store(opened, place.pattern, address)


def _sftp(address: str, connection: str | None) -> Store:
    place = address_of(address)
    opened = connected(place, connection)
    store = SftpStore(opened, place.pattern, address)
    with contextlib.ExitStack() as undone:
        undone.callback(store.close)
        with contextlib.suppress(FileNotFoundError):
            opened.info(place.pattern)
            undone.pop_all()
            return store
    raise _missing(address)


def _missing(address: str) -> DeliveryError:
    return DeliveryError(
        "the folder of a store must be there",
        value=f"no {address}",
        remedy="Make it, or see that what it lies on is mounted.",
    )
