"""The databases a ledger may live in, SQLite and PostgreSQL: how they are reached, locked and brought up to date."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from pipeline.errors import LedgerError
from pipeline.privacy import migrations

# Versions of the tables in order, as the files under ``migrations/versions`` name them; the last is this program's.
VERSIONS: Final = ("0001", "0002", "0003", "0004")

_VERSION: Final = sa.table("alembic_version", sa.column("version_num", sa.Text))
_WAIT: Final = 60  # seconds for a lock before a writer gives up
_LOCK: Final = 0x64656D6F  # one ledger a database; two in schemas of one database would only wait for each other


_Begin = Callable[[], AbstractContextManager[sa.Connection]]


@dataclass(frozen=True)
class Database:
    """One ledger's database. What it refuses, its transactions raise as a ``LedgerError``.

    Attributes:
        name: Where it is, for a message: never with a password.
        reading: A transaction that sees what is committed, and does not wait for writers where the database allows it.
        writing: A transaction that holds the one lock of all writers from its start to its end.
    """

    name: str
    reading: _Begin
    writing: _Begin


def at(address: Path | str) -> Database:
    """The database at an address.

    A connection is opened for each transaction and closed after it: nothing is shared with a forked process.

    Args:
        address: A SQLite file, made with mode 0600 where there is none, or an SQLAlchemy URL.

    Raises:
        LedgerError: The address is of neither database.
    """
    url = sa.URL.create("sqlite", database=str(address)) if isinstance(address, Path) else _url(address)
    if url.get_backend_name() == "postgresql":
        settings = {"client_encoding": "utf8", "connect_timeout": 10}
        engine = sa.create_engine(url, connect_args=settings, poolclass=sa.NullPool)
        sa.event.listen(engine, "begin", _begin_in_postgresql)
        return _of_engine(engine, url.set(query={}).render_as_string(hide_password=True))
    path = Path(url.database or "")
    if path.parent.is_dir():
        with contextlib.suppress(OSError):  # whoever cannot make it is told so by the first transaction
            path.touch(mode=0o600, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _WAIT}, poolclass=sa.NullPool)
    return _of_engine(_with_own_transactions(engine), str(path))


def opened(address: Path | str) -> Database:
    """The database at an address, made where there is none yet and brought up to date.

    Raises:
        LedgerError: It cannot be reached or written, or a later program made it.
    """
    found = at(address)
    bring_up_to_date(found)
    return found


def in_memory() -> Database:
    """A database of its own in memory, up to date, that is gone with this object."""
    connection = _memory().connect()

    @contextmanager
    def begin() -> Iterator[sa.Connection]:
        with connection.begin():
            yield connection

    transaction = _in_words("memory", begin)
    return Database("memory", transaction, transaction)


def bring_up_to_date(database: Database) -> None:
    """Make the tables, or change those of an earlier program, in one transaction; rows are kept as they are.

    Raises:
        LedgerError: A later program made them.
    """
    with database.reading() as connection:
        if _version(connection, database.name) == VERSIONS[-1]:
            return
    with database.writing() as connection:
        if _version(connection, database.name) != VERSIONS[-1]:  # nobody was quicker
            _migrate(connection)


def made_as(address: Path | str, version: str) -> Database:
    """A new database with the tables as they were in a version, to be filled and brought up to date.

    Args:
        address: Where nothing is.
        version: One of ``VERSIONS``.
    """
    found = at(address)
    with found.writing() as connection:
        _migrate(connection, version)
    return found


def _of_engine(engine: sa.Engine, name: str) -> Database:
    writing = engine.execution_options(writes=True).begin
    return Database(name, _in_words(name, engine.begin), _in_words(name, writing))


def _in_words(name: str, begin: _Begin) -> _Begin:
    """Transactions that say in words of the ledger what the database refuses: its own message may quote a row."""

    @contextmanager
    def transaction() -> Iterator[sa.Connection]:
        try:
            with begin() as connection:
                yield connection
        except sa.exc.DBAPIError as failure:
            raise LedgerError(
                "the ledger must be readable, writable and append-only",
                value=f"{type(failure.orig).__name__} on {name}",
                remedy="Check the address, permissions, the disk and the server; entries are never changed.",
            ) from None

    return transaction


def _url(address: str) -> sa.URL:
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise _unusable("text that is no URL") from None  # the text may hold a password
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and Path(url.database or "").is_absolute():
        return url
    raise _unusable(f"{url.drivername}, {url.database or 'no database'}")


def _unusable(value: str) -> LedgerError:
    return LedgerError(
        "the address of a ledger must be an absolute SQLite file or a PostgreSQL database",
        value=value,
        remedy="Write sqlite:////path/to/ledger.db or postgresql+psycopg://name:password@host/database.",
    )


def _version(connection: sa.Connection, name: str) -> str | None:
    """The version of the tables; None where there are none, or those from before versions were kept."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    version = connection.execute(sa.select(_VERSION)).scalar()
    if version is not None and version not in VERSIONS:
        raise LedgerError(
            f"the ledger's tables must be of a version that this program knows, {VERSIONS[-1]} or earlier",
            value=f"{version} in {name}",
            remedy="A later release of the program made them: use that one.",
        )
    return version


def _migrate(connection: sa.Connection, version: str = VERSIONS[-1]) -> None:
    # Takes half a second to import, and is needed once in the life of a version.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", migrations.FOLDER.as_posix().replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection  # so that it is one transaction, under the lock
    command.upgrade(config, version)


@functools.cache
def _memory() -> sa.Engine:
    """An engine each connection of which is an empty ledger of its own; one engine, so that SQL is compiled once."""
    template = _with_own_transactions(sa.create_engine("sqlite://", poolclass=sa.StaticPool))
    bring_up_to_date(_of_engine(template, "memory"))
    with template.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        content = driver.serialize()

    def copy() -> sqlite3.Connection:
        made = sqlite3.connect(":memory:", check_same_thread=False)
        made.deserialize(content)  # in microseconds, where a migration takes a tenth of a second
        return made

    return _with_own_transactions(sa.create_engine("sqlite://", creator=copy, poolclass=sa.NullPool))


def _with_own_transactions(engine: sa.Engine) -> sa.Engine:
    sa.event.listen(engine, "connect", _leave_transactions_to_us)
    sa.event.listen(engine, "begin", _begin_in_sqlite)
    return engine


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own


def _begin_in_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE takes the one writers' lock of the file before anything is read: check and reserve see one state.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_in_postgresql(connection: sa.Connection) -> None:
    # One lock for all writers, taken before anything is read and released by commit, rollback or a lost connection.
    # Under it READ COMMITTED is enough: each statement after it sees all that earlier writers committed. SERIALIZABLE
    # without it would let writers compute in parallel and then fail all but one, to be tried again by each. An advisory
    # lock needs no right to the tables beyond SELECT and INSERT, where LOCK TABLE would need UPDATE or DELETE.
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
