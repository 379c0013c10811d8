"""What fsspec needs to open files of a store, from an Airflow connection."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pipeline.errors import SourceError
from pipeline.filesystems.connections import (
    AirflowConnection,
    Credentials,
    find_connection,
    refused,
    require_extras,
    require_kind,
)

if TYPE_CHECKING:
    import paramiko

_GENERIC: Final = "generic"  # what Airflow makes of a type whose provider's package is not installed
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off", ""})


def storage_options(connection: str | None, protocol: str) -> dict[str, object]:
    """What fsspec needs to open files of a store: ``fsspec.filesystem(protocol, **options)``.

    Without a connection the libraries' own ways apply: variables of the environment, ``~/.aws``, ``~/.ssh``. With or
    without one, an SFTP server must be known: fsspec's own class, which takes any server for the right one, is
    replaced for this process; see ``known_hosts``.

    Args:
        connection: An Airflow connection, of type ``aws`` for S3, ``sftp`` or ``ssh`` for SFTP, or ``generic``.
        protocol: ``s3`` or ``sftp``, as it stands before ``://``; ``file`` has no connection.

    Raises:
        SourceError: There is no such connection, or it has another type, an extra that is not taken, or a broken key.
    """
    if protocol in ("sftp", "ssh"):
        from pipeline.filesystems.known_hosts import require_known_hosts  # noqa: PLC0415 - needs an SSH library

        require_known_hosts()
    if connection is None:
        return {}
    makers: dict[str, tuple[tuple[str, ...], Callable[[AirflowConnection], Credentials]]] = {
        "s3": (("aws", "s3", _GENERIC), _s3),
        "sftp": (("sftp", "ssh", _GENERIC), _sftp),
        "ssh": (("sftp", "ssh", _GENERIC), _sftp),
    }
    if protocol not in makers:
        raise SourceError("a connection must be for S3 or SFTP", value=protocol, remedy="Leave the connection out.")
    kinds, make = makers[protocol]
    found = find_connection(connection)
    require_kind(found, "file store", kinds)
    return make(found)


def _s3(found: AirflowConnection) -> Credentials:
    extra = dict(found.extra)
    service = extra.pop("service_config", None) or {}
    client = {
        "endpoint_url": extra.pop("endpoint_url", None) or service.get("s3", {}).get("endpoint_url"),
        "region_name": extra.pop("region_name", None),
        "verify": extra.pop("verify", None),
    }
    options: dict[str, object] = {
        "key": found.login or extra.pop("aws_access_key_id", None),
        "secret": found.password or extra.pop("aws_secret_access_key", None),
        "token": extra.pop("aws_session_token", None),
        "profile": extra.pop("profile_name", None),
        "config_kwargs": extra.pop("config_kwargs", None),
        "client_kwargs": {name: value for name, value in client.items() if value is not None},
    }
    left = set(extra) - {"aws_access_key_id", "aws_secret_access_key"}
    # A role that is not assumed, an address that is not called: the request would go elsewhere, or as somebody else.
    if found.host:
        left.add("host (its place is endpoint_url)")
    if left:
        raise refused(found, sorted(left))
    return Credentials({name: value for name, value in options.items() if value})


_SFTP: Final = frozenset(
    {
        "key_file",
        "private_key",
        "private_key_passphrase",
        "host_key",
        "no_host_key_check",
        "conn_timeout",
        "compress",
        "look_for_keys",
        "allow_host_key_change",
        "keepalive_interval",
        "cmd_timeout",
    }
)


def _sftp(found: AirflowConnection) -> Credentials:
    require_extras(found, _SFTP)
    if _flag(found, "allow_host_key_change"):
        raise refused(found, ["allow_host_key_change"])  # a server that changes its key is another server
    extra = found.extra
    options: dict[str, object] = {
        "host": found.host,
        "port": found.port,
        "username": found.login,
        "password": found.password,
        "key_filename": extra.get("key_file"),
        "passphrase": extra.get("private_key_passphrase"),
        "pkey": _private_key(found),
        "host_key": extra.get("host_key"),
        "timeout": float(extra["conn_timeout"]) if extra.get("conn_timeout") else None,
        "compress": _flag(found, "compress"),
        "host_key_policy": "auto_add" if _flag(found, "no_host_key_check") else None,
    }
    given = Credentials({name: value for name, value in options.items() if value})
    if "look_for_keys" in extra:
        given["look_for_keys"] = _flag(found, "look_for_keys")
    return given


def _flag(found: AirflowConnection, name: str) -> bool:
    # A URI has text only, JSON may have either.
    value = str(found.extra.get(name, "")).lower()
    if value not in _TRUE | _FALSE:
        raise SourceError(
            f"{name} in the extra of a connection must be true or false",
            value=f"something else in {found.name}",
            remedy="Correct it in Airflow.",
        )
    return value in _TRUE


def _private_key(found: AirflowConnection) -> paramiko.PKey | None:
    if not found.extra.get("private_key"):
        return None
    import paramiko  # noqa: PLC0415 - heavy

    passphrase = found.extra.get("private_key_passphrase")
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(found.extra["private_key"]), passphrase)
        except (paramiko.SSHException, ValueError, IndexError, TypeError):
            continue  # of another kind; messages of these may quote the key
    raise SourceError(
        "private_key in the extra of a connection must be an SSH key that opens with its passphrase",
        value=f"something else in {found.name}",
        remedy="Check that it was pasted with its line breaks, and private_key_passphrase.",
    )
