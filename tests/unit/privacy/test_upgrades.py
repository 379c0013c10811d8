"""Ledgers that earlier versions of the program left, with rows, opened by this one."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import chain as every
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import pipeline.deidentify.subject_key
import pipeline.deidentify.tombstones
import pipeline.delivery.tables
import pipeline.privacy.chain
import pipeline.review.tables
import pipeline.rights.rows
from pipeline.privacy import database
from pipeline.privacy.database import VERSIONS
from pipeline.privacy.ledger import Ledger
from pipeline.publication.verify import keys_for, verify_bundle
from pipeline.review.accounts import Accounts
from pipeline.rights.store import RequestStore
from pipeline.site import load_site
from pipeline.spec import ReleaseKey
from pipeline.workspace import LEDGER_VARIABLE, Workspace
from tests.released_schemas import RECORDED, copy_rows, ledger_in_sqlite, rows_of, site, told
from tests.released_schemas.recording import tell

PUBLISHED = ReleaseKey("weekly", "2026-W41")
REVISED = ReleaseKey("weekly", "2026-W42", 2)
PASSWORD = "marble kettle orchard seven"
DECLARING = (
    pipeline.privacy.chain,
    pipeline.deidentify.subject_key,
    pipeline.deidentify.tombstones,
    pipeline.rights.rows,
    pipeline.review.tables,
    pipeline.delivery.tables,
)

# Tells when it asks for the writers' lock, and goes on when it has it.
ASKING = """
import sys
import sqlalchemy as sa
from pipeline.privacy.database import opened

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def tell(_connection, _cursor, statement, *_):
    if "IMMEDIATE" in statement or "advisory" in statement:
        print("asks", flush=True)

opened(sys.argv[1])
"""
# Is killed before the statement of that number, where it gets so far.
KILLED = """
import os, signal, sys
import sqlalchemy as sa
from pipeline.privacy.database import opened

number = 0

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(*_):
    global number
    number += 1
    if number == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

opened(sys.argv[1])
"""


@pytest.fixture(params=RECORDED)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def earlier(version: str, address: str, tmp_path: Path) -> str:
    """A ledger as the program of a version left it, in each kind of database."""
    return left_by(version, address, tmp_path)


@pytest.fixture
def first(address: str, tmp_path: Path) -> str:
    """The ledger that has the longest way to go, in each kind of database."""
    return left_by(VERSIONS[0], address, tmp_path)


def left_by(version: str, address: str, folder: Path) -> str:
    if address.startswith("sqlite"):
        ledger_in_sqlite(version, folder / "ledger.db")
        return address
    database.made_as(address, version)
    copy_rows(ledger_in_sqlite(version, folder / "recorded.db"), address)
    return address


def version_of(address: str) -> str:
    with sa.create_engine(address, poolclass=sa.NullPool).connect() as connection:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())


def tables_of(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())


def program(source: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", source, *arguments], stdout=subprocess.PIPE, text=True)


def test_there_is_a_ledger_of_every_version_so_that_the_next_one_is_tried_on_it() -> None:
    assert RECORDED == VERSIONS, "python -m tests.released_schemas writes down the newest"


def test_a_migration_that_was_recorded_still_makes_the_tables_that_it_made(version: str, tmp_path: Path) -> None:
    database.made_as(tmp_path / "made.db", version)
    assert tables_of(tmp_path / "made.db") == tables_of(ledger_in_sqlite(version, tmp_path / "recorded.db"))


def test_no_row_of_an_earlier_version_is_lost_or_changed(earlier: str) -> None:
    before = rows_of(earlier)
    assert before["entries"]
    assert before["artefacts"]
    Ledger.open(earlier)
    after = rows_of(earlier)
    assert {name: after[name] for name in before} == before
    assert not [name for name in set(after) - set(before) if after[name]]
    assert version_of(earlier) == VERSIONS[-1]


def test_what_an_earlier_program_read_in_its_ledger_is_what_this_one_reads(
    version: str, earlier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "site"
    site(version, home)
    monkeypatch.setenv(LEDGER_VARIABLE, earlier)
    read, expected = tell(Workspace(home)), told(version)
    assert len(expected["releases"]) == 3
    assert {name: read[name] for name in expected} == expected


def test_nothing_of_an_earlier_version_is_drawn_or_paid_for_again(version: str, earlier: str) -> None:
    ledger = Ledger.open(earlier)
    head, tables = ledger.head(), ledger.artefact(PUBLISHED)
    reserved = dict(ledger.reservations())
    cap = load_site(Path(__file__).parents[2] / "released_schemas" / version / "site" / "site.yaml").budget
    for key, reservation in reserved.items():
        assert ledger.reserve(key, reservation, cap[reservation.population]) is False
    assert ledger.record_draw(PUBLISHED, b"others") == tables
    assert ledger.revision_for("weekly", "2026-W42", reserved[REVISED].revises) == REVISED
    assert ledger.head() == head


def test_opening_it_a_second_time_writes_nothing_and_waits_for_nobody(earlier: str) -> None:
    Ledger.open(earlier)
    before = rows_of(earlier)
    with database.at(earlier).writing():  # held by somebody else: who wanted to write would wait for a minute
        Ledger.open(earlier)
    assert rows_of(earlier) == before


def test_two_processes_that_migrate_at_once_leave_one_ledger(first: str) -> None:
    before = rows_of(first)
    with database.at(first).writing():
        both = [program(ASKING, first) for _ in range(2)]
        for one in both:
            assert one.stdout is not None
            assert one.stdout.readline() == "asks\n"  # both have seen the earlier version by now
    assert [one.wait(60) for one in both] == [0, 0]
    for one in both:
        one.communicate()
    after = rows_of(first)
    assert {name: after[name] for name in before} == before
    assert version_of(first) == VERSIONS[-1]


def test_a_migration_that_is_killed_leaves_all_as_it_was_and_the_next_one_completes_it(first: str) -> None:
    before, kills = rows_of(first), 0
    for number in count(start=10, step=20):
        done = subprocess.run([sys.executable, "-c", KILLED, first, str(number)], check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert version_of(first) == VERSIONS[0]
        assert rows_of(first) == before
        kills += 1
    assert kills >= 2
    after = rows_of(first)
    assert {name: after[name] for name in before} == before
    assert version_of(first) == VERSIONS[-1]


def test_who_had_a_password_still_has_it(version: str, tmp_path: Path) -> None:
    site(version, tmp_path)
    accounts = Accounts.of(Workspace(tmp_path))
    for name in told(version).get("reviewers", ()):
        assert accounts.signer(name, PASSWORD).name == name


def test_a_request_that_waited_can_still_be_read(version: str, tmp_path: Path) -> None:
    site(version, tmp_path)
    requests = RequestStore.open(Workspace(tmp_path))
    waiting = [requests.unseal(row) for row in requests.open_requests()]
    assert len(waiting) == sum(state == "open" for *_, state in told(version).get("requests", ()))


def test_a_bundle_of_an_earlier_version_is_still_genuine(version: str, tmp_path: Path) -> None:
    site(version, tmp_path)
    published = tmp_path / "published"
    bundles = [path.parent for path in published.glob("*/*/*/*/manifest.json")]
    assert bundles
    for bundle in bundles:
        assert verify_bundle(bundle, keys_for(str(published / "minisign.pub"), None))


def test_queries_and_migrations_name_the_same_tables_and_columns(address: str) -> None:
    Ledger.open(address)
    declared = sa.MetaData()
    for table in every.from_iterable(map(declared_by, DECLARING)):
        sa.Table(table.name, declared, *(sa.Column(column.name, column.type) for column in table.columns))
    with sa.create_engine(address, poolclass=sa.NullPool).connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), declared)
    # Keys, indexes and what may be empty are the migrations' alone.
    kinds = {"add_table", "remove_table", "add_column", "remove_column", "modify_type"}
    flat = every.from_iterable(one if isinstance(one, list) else [one] for one in found)
    assert [one for one in flat if one[0] in kinds] == []


def declared_by(module: ModuleType) -> Iterator[sa.TableClause]:
    return (value for value in vars(module).values() if type(value) is sa.TableClause)
