"""Ledgers with rows, one of each version of the tables, made by the program of that version; see ``README.md``."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

FOLDER: Final = Path(__file__).parent
RECORDED: Final = tuple(sorted(path.parent.name for path in FOLDER.glob("*/ledger.sql")))


def told(version: str) -> dict[str, Any]:
    """What the program of a version read in its own ledger."""
    found: dict[str, Any] = json.loads((FOLDER / version / "told.json").read_text("utf-8"))
    return found


def site(version: str, home: Path) -> Path:
    """The site's folder as a program of a version left it, with its ledger."""
    shutil.copytree(FOLDER / version / "site", home, dirs_exist_ok=True)
    for key in home.glob("keys/*.key"):
        key.chmod(0o600)  # which a repository does not keep
    return ledger_in_sqlite(version, home / "ledger.db")


def ledger_in_sqlite(version: str, path: Path) -> Path:
    """The ledger that a program of a version left in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FOLDER / version / "ledger.sql").read_text("utf-8"))
    return path


def copy_rows(path: Path, address: str) -> None:
    """Copy all rows of a SQLite file into the same tables elsewhere, which are empty."""
    tables = sa.MetaData()
    source, target = (sa.create_engine(place, poolclass=sa.NullPool) for place in (f"sqlite:///{path}", address))
    with source.connect() as reading, target.begin() as writing:
        tables.reflect(reading)
        for table in tables.sorted_tables:
            rows = [dict(row) for row in reading.execute(sa.select(table)).mappings()]
            if rows and table.name != "alembic_version":
                writing.execute(table.insert(), rows)


def rows_of(address: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables but that of the version, by name of the table, in the order of their first column."""
    tables, engine = sa.MetaData(), sa.create_engine(address, poolclass=sa.NullPool)
    with engine.connect() as connection:
        tables.reflect(connection)
        kept = [table for table in tables.sorted_tables if table.name != "alembic_version"]
        return {table.name: _sorted(connection.execute(sa.select(table)).mappings()) for table in kept}


def _sorted(rows: Any) -> list[dict[str, Any]]:
    return sorted((dict(row) for row in rows), key=lambda row: repr(list(row.values())))
