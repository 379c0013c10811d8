"""Credentials from Airflow connections: for databases, object stores and SFTP servers.

A connection is found as Airflow finds it: inside a task through the task's own API, the secrets backends and the
metadata database; outside of one in the secrets backend and in variables ``AIRFLOW_CONN_NAME`` (a URI or JSON). What it
holds stays in memory, and no message shows more of it than its name, its type, and the names of its extras.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.errors import DemographicsError, SourceError

_NAME: Final = re.compile(r"[\w#!()\-.:/\\]{1,250}")  # as Airflow has it; no "@", so no address with a password


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


def require_kind(found: AirflowConnection, what: str, kinds: tuple[str, ...]) -> None:
    """Refuse a connection of another type.

    Args:
        found: The connection.
        what: What it is for, in words.
        kinds: The types that do.

    Raises:
        SourceError: It has another type.
    """
    if found.kind not in kinds:
        raise SourceError(
            f"the connection of a {what} must have the type {' or '.join(kinds)}",
            value=f"{found.kind or 'none'} for {found.name}",
            remedy="Name another connection, or add it with --conn-uri: without a provider's package "
            "Airflow otherwise makes it generic.",
        )


def require_extras(found: AirflowConnection, known: Collection[str]) -> None:
    """Refuse an extra that would be ignored: it may be misspelt.

    Raises:
        SourceError: The connection has an extra of another name.
    """
    if unknown := sorted(set(found.extra) - set(known)):
        raise refused(found, unknown)


def refused(found: AirflowConnection, names: list[str]) -> SourceError:
    """The error for extras that are not taken, by their names."""
    return SourceError(
        f"the extra of a connection of type {found.kind} must be of things that are used",
        value=f"{', '.join(names)} in {found.name}",
        remedy="Correct their names, or take them out of a connection of its own for this source.",
    )


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
