"""Addresses of stores, taken apart, and the file systems behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import fsspec

from pipeline.errors import SourceError


@dataclass(frozen=True)
class Address:
    """Where something lies in a store.

    Attributes:
        protocol: ``s3`` or ``sftp``.
        root: ``s3://bucket`` or ``sftp://host:port``, without credentials.
        path: What follows it, without the slash between them.
        server: Name and value of what an address says of an SFTP server.
    """

    protocol: str
    root: str
    path: str
    server: tuple[tuple[str, str | int], ...] = ()

    @property
    def pattern(self) -> str:
        """How the store itself calls it."""
        return f"{self.root.removeprefix('s3://')}/{self.path}" if self.protocol == "s3" else f"/{self.path}"


def address_of(text: str) -> Address:
    """An address of S3 or SFTP, taken apart.

    Args:
        text: ``s3://bucket/key`` or ``sftp://user@host:port/path``.

    Raises:
        SourceError: It has another form, or holds credentials.
    """
    protocol, _, rest = text.partition("://")
    netloc, _, path = rest.partition("/")
    try:
        parts = urlsplit(f"//{netloc}")
        port = parts.port
    except ValueError:
        raise _malformed(protocol) from None
    if parts.password is not None or (protocol == "s3" and "@" in netloc):
        raise SourceError(
            "an address must hold no credentials",
            value=f"some in one that begins with {protocol}://",
            remedy="Put them into an Airflow connection, and name it as the connection.",
        )
    if protocol == "s3":
        if not netloc or not path:
            raise _malformed(protocol)
        return Address(protocol, f"s3://{netloc}", path)
    return Address(protocol, f"sftp://{netloc.rpartition('@')[2]}", path, _server(parts, port))


def _malformed(protocol: str) -> SourceError:
    form = "s3://bucket/key" if protocol == "s3" else "sftp://host:port/path"
    return SourceError(f"an address must have the form {form}", value="another form", remedy="Correct it.")


def _server(parts: SplitResult, port: int | None) -> tuple[tuple[str, str | int], ...]:
    given = (("host", parts.hostname), ("port", port), ("username", parts.username))
    return tuple((name, value) for name, value in given if value)


def connected(address: Address, connection: str | None, **usual: object) -> Any:
    """The file system of an address, over a connection of its own.

    Args:
        address: Where.
        connection: The Airflow connection that holds its credentials; None for those of the environment.
        usual: Options of fsspec, where the connection says nothing else.

    Raises:
        SourceError: There is no such connection, it is of another host, or the server does not answer or let us in.
    """
    from pipeline.filesystems.options import storage_options  # noqa: PLC0415 - needed where files are remote only

    options = {**usual, **storage_options(connection, address.protocol)}
    if address.protocol == "sftp":
        server = dict(address.server)
        if server.get("host", "") not in ("", str(options.get("host") or server["host"]).lower()):
            raise SourceError(
                "the host of an address must be that of its connection, which holds the credentials for it",
                value=f"{server['host']}, which is another",
                remedy="Leave the host out (sftp:///path) or name the connection of this server.",
            )
        options |= server
        if not options.get("host"):
            raise _malformed(address.protocol)
    # A connection that was lost must not be found again by the next run in this process.
    return fsspec.filesystem(address.protocol, skip_instance_cache=True, **options)
