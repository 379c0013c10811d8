"""Addresses of databases, from Airflow connections; see ``filesystems.connections``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pipeline.errors import SourceError
from pipeline.filesystems.connections import AirflowConnection, find_connection, refused, require_extras, require_kind

if TYPE_CHECKING:
    import sqlalchemy as sa

_HOOKS_OWN: Final = frozenset({"cursor", "sqlalchemy_scheme", "enable_log_db_messages"})  # of Airflow's own hooks
_FIXED: Final = frozenset({"host", "hostaddr", "port", "user", "password", "dbname", "client_encoding", "replication"})
_MYSQL_TLS: Final = ("ca", "cert", "key", "capath", "cipher", "check_hostname")
_MYSQL: Final = frozenset({"charset", "connect_timeout", "read_timeout", "write_timeout", "unix_socket"})


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
    require_kind(found, "database", tuple(makers))
    return makers[found.kind](found).render_as_string(hide_password=False)


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
    require_extras(found, known | _HOOKS_OWN)
    given = {name: value for name, value in found.extra.items() if name in known and value is not None}
    if nested := sorted(name for name, value in given.items() if isinstance(value, dict | list)):
        raise refused(found, nested)
    return {name: str(int(value) if isinstance(value, bool) else value) for name, value in given.items()}
