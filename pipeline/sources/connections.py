"""Credentials of sources, from Airflow connections: for databases, object stores and SFTP servers.

A connection is found as Airflow finds it: inside a task through the task's own API, the secrets backends and the
metadata database; outside of one in the secrets backend and in variables ``AIRFLOW_CONN_NAME`` (a URI or JSON). What it
holds stays in memory, and no message shows more of it than its name, its type, and the names of its extras.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import DemographicsError, SourceError

if TYPE_CHECKING:
    import paramiko
    import sqlalchemy as sa

_NAME: Final = re.compile(r"[\w#!()\-.:/\\]{1,250}")  # as Airflow has it; no "@", so no address with a password
_HOOKS_OWN: Final = frozenset({"cursor", "sqlalchemy_scheme", "enable_log_db_messages"})  # of Airflow's own hooks
_FIXED: Final = frozenset({"host", "hostaddr", "port", "user", "password", "dbname", "client_encoding", "replication"})
_MYSQL_TLS: Final = ("ca", "cert", "key", "capath", "cipher", "check_hostname")
_MYSQL: Final = frozenset({"charset", "connect_timeout", "read_timeout", "write_timeout", "unix_socket"})
_GENERIC: Final = "generic"  # what Airflow makes of a type whose provider's package is not installed
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off", ""})


@dataclass(frozen=True)
class AirflowConnection:
    """What an Airflow connection holds; only its name and type are shown."""

    name: str
    kind: str
    host: str = field(default="", repr=False)
    port: int | None = field(default=None, repr=False)
    schema: str = field(default="", repr=False)
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Credentials(dict[str, object]):
    """Options with credentials among them: whoever prints them sees their names."""

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self))})"

    __str__ = __repr__


def find_connection(name: str, error: type[DemographicsError] = SourceError) -> AirflowConnection:
    """Look an Airflow connection up.

    Args:
        name: Its id.
        error: The class to raise.

    Raises:
        DemographicsError: Of the class ``error``: there is no such connection, it may not be read, or it is malformed.
    """
    if not _NAME.fullmatch(name):
        raise error(
            "a connection must be named by its id in Airflow",
            value="something else",  # an address with a password, for example
            remedy="Create the connection in Airflow and name its id.",
        )
    found = _looked_up(name)
    if not isinstance(found, AirflowConnection):
        raise error(
            "an Airflow connection must be there, readable and well-formed, its extra a JSON object",
            value=f"{name} ({found.__name__})",
            remedy=f"Add it in Airflow; outside of its tasks set AIRFLOW_CONN_{name.upper()} or use a secrets backend.",
        )
    return found


def database_url(connection: str) -> str:
    """The SQLAlchemy address of a database, its password included.

    PostgreSQL takes every parameter of libpq as an extra (``sslmode``, ``options``), MySQL those of TLS, charset and
    time-outs. An extra that would be ignored is refused: it may be a misspelt ``sslmode``.

    Raises:
        SourceError: There is no such connection, it is of no database that is read, or has an extra that is not taken.
    """
    found = find_connection(connection)
    makers: dict[str, Callable[[AirflowConnection], sa.URL]] = {
        "postgres": _postgresql,
        "mysql": _mysql,
        "sqlite": _sqlite,
    }
    _require_kind(found, "database", tuple(makers))
    return makers[found.kind](found).render_as_string(hide_password=False)


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
        from pipeline.sources.known_hosts import require_known_hosts  # noqa: PLC0415 - needs an SSH library

        require_known_hosts()
    if connection is None:
        return {}
    makers: dict[str, tuple[tuple[str, ...], Callable[[AirflowConnection], Credentials]]] = {
        "s3": (("aws", "s3", _GENERIC), _s3),
        "sftp": (("sftp", "ssh", _GENERIC), _sftp),
        "ssh": (("sftp", "ssh", _GENERIC), _sftp),
    }
    if protocol not in makers:
        raise SourceError(
            "a connection must be for S3 or SFTP", value=protocol, remedy="Leave the connection out in the site file."
        )
    kinds, make = makers[protocol]
    found = find_connection(connection)
    _require_kind(found, "file store", kinds)
    return make(found)


def _looked_up(name: str) -> AirflowConnection | type[Exception]:
    from airflow.sdk import Connection  # noqa: PLC0415 - more than a second

    # The failure itself goes no further: each backend fails in its own way, and some quote the address they hold.
    try:
        return _taken_over(name, Connection.get(name))
    except Exception as failure:  # noqa: BLE001
        return type(failure)


def _taken_over(name: str, found: Any) -> AirflowConnection:
    extra = json.loads(found.extra or "{}")
    if not isinstance(extra, dict):
        raise TypeError
    parts = {part: str(getattr(found, part) or "") for part in ("host", "schema", "login", "password")}
    return AirflowConnection(name, str(found.conn_type or ""), port=found.port, extra=extra, **parts)


def _require_kind(found: AirflowConnection, what: str, kinds: tuple[str, ...]) -> None:
    if found.kind not in kinds:
        raise SourceError(
            f"the connection of a {what} must have the type {' or '.join(kinds)}",
            value=f"{found.kind or 'none'} for {found.name}",
            remedy="Name another connection in the site file, or add it with --conn-uri: without a provider's package "
            "Airflow otherwise makes it generic.",
        )


def _postgresql(found: AirflowConnection) -> sa.URL:
    from psycopg import pq  # noqa: PLC0415 - loads a C library

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} - _FIXED
    query = _query(found, known)
    if found.host.startswith("/"):  # the folder of a socket, which is no part of an address
        query["host"] = found.host
    return _url("postgresql+psycopg", found, query)


def _mysql(found: AirflowConnection) -> sa.URL:
    tls = found.extra.get("ssl", {})
    if isinstance(tls, dict):
        named = {f"ssl_{name}": value for name, value in tls.items()}
        plain = {name: value for name, value in found.extra.items() if name != "ssl"}
        found = replace(found, extra=plain | named)
    query = _query(found, {*_MYSQL, *(f"ssl_{name}" for name in _MYSQL_TLS)})
    return _url("mysql+pymysql", found, query)


def _sqlite(found: AirflowConnection) -> sa.URL:
    import sqlalchemy as sa  # noqa: PLC0415 - heavy

    _query(found, set())
    # The form in Airflow calls the path host; sqlite:////path puts it into the schema; sqlite://folder/name is in two.
    path = "/".join(part for part in (found.host, found.schema) if part)
    if not path:
        raise SourceError("the connection of a SQLite database must name its file", value=f"nothing in {found.name}")
    return sa.URL.create("sqlite", database=path)


def _url(driver: str, found: AirflowConnection, query: dict[str, str]) -> sa.URL:
    import sqlalchemy as sa  # noqa: PLC0415 - heavy

    return sa.URL.create(
        driver,
        username=found.login or None,
        password=found.password or None,
        host=None if found.host.startswith("/") else found.host or None,
        port=found.port,
        database=found.schema or None,
        query=query,
    )


def _query(found: AirflowConnection, known: set[str]) -> dict[str, str]:
    _require_extras(found, known | _HOOKS_OWN)
    given = {name: value for name, value in found.extra.items() if name in known and value is not None}
    if nested := sorted(name for name, value in given.items() if isinstance(value, dict | list)):
        raise _refused(found, nested)
    return {name: str(int(value) if isinstance(value, bool) else value) for name, value in given.items()}


def _require_extras(found: AirflowConnection, known: set[str]) -> None:
    if unknown := sorted(set(found.extra) - known):
        raise _refused(found, unknown)


def _refused(found: AirflowConnection, names: list[str]) -> SourceError:
    return SourceError(
        f"the extra of a connection of type {found.kind} must be of things that are used",
        value=f"{', '.join(names)} in {found.name}",
        remedy="Correct their names, or take them out of a connection of its own for this source.",
    )


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
        raise _refused(found, sorted(left))
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
    _require_extras(found, set(_SFTP))
    if _flag(found, "allow_host_key_change"):
        raise _refused(found, ["allow_host_key_change"])  # a server that changes its key is another server
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
