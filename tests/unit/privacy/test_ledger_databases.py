"""How a ledger's database is found, made, and brought up to date."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from pipeline.errors import BudgetError, LedgerError
from pipeline.privacy import chain, database, migrations
from pipeline.privacy.accountant import Charge
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.database import VERSIONS
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.reservations import Reservation
from pipeline.site import BudgetCap
from pipeline.spec import ReleaseKey
from pipeline.workspace import LEDGER_VARIABLE, Workspace
from tests import postgresql

CAP = BudgetCap(epsilon=2.5, delta=1e-5)
KEY = ReleaseKey("weekly", "2026-W41")
RESERVATION = Reservation.model_validate(
    {
        "population": "visitors",
        "period_start": "2026-10-05",
        "period_end": "2026-10-12",
        "specification_sha256": "a" * 64,
        "charge": Charge(counts={"1": 1}, pure={}, delta=1e-9),
    }
)
SPECIFICATION, FIRST = "a" * 64, "a0b6978eaadc7bc6583ab2f4d706069586318081f1d640b7682726873cb69bae"
SECOND = "6e41f816eff8bbe6549d96ce4e6ad426ae28b6ccd6d43a6c71e7f14b6555f7d7"
TABLES = "d98a034f5cb8a0e3f07d5d8b5dc3c43723ea8d8b95199e18a82c52e072eca4dd"

# The tables of the first ledgers, which kept no version, with a release that was reserved and drawn.
FIRST_TABLES = f"""
CREATE TABLE entries (
    number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, release TEXT NOT NULL, period TEXT NOT NULL,
    revision INTEGER NOT NULL, payload TEXT NOT NULL, previous TEXT NOT NULL, sha256 TEXT NOT NULL, once TEXT,
    PRIMARY KEY (number), UNIQUE (previous), UNIQUE (sha256), UNIQUE (once)
);
CREATE TABLE artefacts (
    release TEXT NOT NULL, period TEXT NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL, sha256 TEXT NOT NULL,
    content BLOB NOT NULL, PRIMARY KEY (release, period, revision, kind)
);
CREATE TRIGGER entries_keep_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_keep_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER artefacts_keep_update BEFORE UPDATE ON artefacts
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER artefacts_keep_delete BEFORE DELETE ON artefacts
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
INSERT INTO entries VALUES (
    1, '2026-11-23T10:00:00+00:00', 'reserved', 'weekly', '2026-W41', 1,
    '{{"charge":{{"counts":{{"1":1}},"delta":1e-09,"infinite":false,"pure":{{}}}},"period_end":"2026-10-12",\
"period_start":"2026-10-05","population":"visitors","specification_sha256":"{SPECIFICATION}"}}',
    '{"0" * 64}', '{FIRST}', 'reserved:weekly/2026-W41/r1'
);
INSERT INTO entries VALUES (
    2, '2026-11-23T10:00:01+00:00', 'drawn', 'weekly', '2026-W41', 1,
    '{{"artefact_sha256":"{TABLES}"}}', '{FIRST}', '{SECOND}', 'drawn:weekly/2026-W41/r1'
);
INSERT INTO artefacts VALUES ('weekly', '2026-W41', 1, 'release', '{TABLES}', CAST('tables' AS BLOB));
"""


@pytest.fixture
def first_ledger(tmp_path: Path) -> Path:
    """A ledger from before versions were kept."""
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST_TABLES)
    return path


def test_a_ledger_from_before_versions_were_kept_is_adopted_with_its_chain(first_ledger: Path) -> None:
    ledger = Ledger.open(first_ledger)
    assert [entry.sha256 for entry in ledger.entries()] == [FIRST, SECOND]
    assert ledger.artefact(KEY) == b"tables"
    assert ledger.reserve(KEY, RESERVATION, CAP) is False
    assert ledger.reserve(ReleaseKey("weekly", "2026-W42"), RESERVATION, CAP) is True
    with sqlite3.connect(first_ledger) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(VERSIONS[-1],)]
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries_of_release'").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM entries")


def test_every_version_has_its_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    config.set_main_option("path_separator", "os")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(scripts)) == VERSIONS


def test_migrations_are_packages_so_that_an_installed_program_has_them() -> None:
    for folder in (migrations.FOLDER, migrations.FOLDER / "versions"):
        assert (folder / "__init__.py").is_file()


def test_opening_a_ledger_that_is_up_to_date_does_not_load_alembic(address: str) -> None:
    Ledger.open(address)
    program = (
        "import sys; from pipeline.privacy.ledger import Ledger; Ledger.open(sys.argv[1]).entries(); "
        "print(any(name.startswith('alembic') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, address], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_ledger_of_a_later_program_is_refused(address: str) -> None:
    Ledger.open(address)
    with sa.create_engine(address).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match=r"got 9999 in .*use that one"):
        Ledger.open(address)


def test_an_entry_of_a_later_program_is_refused(address: str) -> None:
    ledger = Ledger.open(address)
    with sa.create_engine(address).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO entries VALUES (1, 'now', 'pardoned', 'weekly', '2026-W41', 1, '{}', 'a', 'b', NULL)"
        )
    with pytest.raises(LedgerError, match="kinds that this program knows, got 'pardoned'"):
        ledger.entries()


def test_readers_do_not_wait_for_a_writer(address: str) -> None:
    ledger = Ledger.open(address)
    ledger.reserve(KEY, RESERVATION, CAP)
    with database.at(address).writing() as connection:
        chain.append(connection, EntryKind.DRAWN, KEY, {})
        assert len(ledger.entries()) == 1


def test_a_ledger_in_postgresql_needs_the_rights_to_read_and_to_add_only(postgresql_server: sa.URL) -> None:
    with postgresql.schema(postgresql_server) as address:
        Ledger.open(address)
        with sa.create_engine(address).begin() as connection:
            name = connection.exec_driver_sql("SELECT current_schema()").scalar()
            connection.exec_driver_sql(f"CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA {name} TO clerk")
            connection.exec_driver_sql(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {name} TO clerk")
        ledger = Ledger.open(sa.make_url(address).set(username="clerk").render_as_string())
        ledger.reserve(KEY, RESERVATION, CAP)
        assert ledger.record_draw(KEY, b"tables") == b"tables"
        with sa.create_engine(address).begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY clerk; DROP ROLE clerk")


def test_a_new_sqlite_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db")
    assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="readable, writable"):
        Ledger.open(tmp_path / "missing" / "ledger.db")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ledger.db", "text that is no URL"),
        ("sqlite:///ledger.db", "sqlite, ledger.db"),
        ("sqlite://", "sqlite, no database"),
        ("mysql://ana:hunter2@host/ledger", "mysql, ledger"),
        ("postgresql:/ana:hunter2@host/ledger", "text that is no URL"),
    ],
)
def test_an_address_of_anything_else_is_refused(address: str, told: str) -> None:
    with pytest.raises(LedgerError, match="absolute SQLite file or a PostgreSQL database") as failure:
        Ledger.open(address)
    assert f"got {told}." in str(failure.value)
    assert "hunter2" not in str(failure.value).partition("Write")[0]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_server_that_cannot_be_reached_is_named_without_its_password(scheme: str) -> None:
    with pytest.raises(
        LedgerError, match=r"Error on postgresql\+psycopg://ana:\*\*\*@127\.0\.0\.1:1/ledger\."
    ) as failure:
        Ledger.open(f"{scheme}://ana:hunter2@127.0.0.1:1/ledger?password=hunter2")
    assert "hunter2" not in str(failure.value)


def test_the_environment_names_a_ledger_or_it_is_a_file_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LEDGER_VARIABLE, raising=False)
    assert Workspace(tmp_path).ledger == tmp_path / "ledger.db"
    monkeypatch.setenv(LEDGER_VARIABLE, "postgresql+psycopg://ledger@host/ledger")
    assert Workspace(tmp_path).ledger == "postgresql+psycopg://ledger@host/ledger"


def test_a_ledger_in_memory_is_a_ledger_of_its_own() -> None:
    first, second = Ledger.in_memory(), Ledger.in_memory()
    first.reserve(KEY, RESERVATION, CAP)
    assert first.record_draw(KEY, b"tables") == b"tables"
    assert first.record_draw(KEY, b"others") == b"tables"
    assert second.entries() == ()
    first.reserve(ReleaseKey("weekly", "2026-W42"), RESERVATION, CAP)
    with pytest.raises(BudgetError):
        first.reserve(ReleaseKey("weekly", "2026-W43"), RESERVATION, CAP)
