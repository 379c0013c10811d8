"""What is restored is what was backed up, from SQLite and PostgreSQL into either, and nothing is restored by half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.delivery.tokens import Tokens
from pipeline.errors import LedgerError, RecoveryError
from pipeline.privacy import database
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.head import require_seen
from pipeline.privacy.ledger import Ledger
from pipeline.publication.key_ring import site_keys
from pipeline.publication.signing import read_public_key
from pipeline.publication.verify import keys_for, verify_bundle
from pipeline.recovery import restoring, tables
from pipeline.recovery.restoring import Terms
from pipeline.rights.store import RequestStore
from pipeline.workspace import LEDGER_VARIABLE, Workspace
from tests import postgresql
from tests.unit.recovery.recovering import GONE, STANDING, Known, copied, files_of, rows_of

NEVER = ("keys/visitors", "staging", "access", "inbox")


@pytest.fixture
def on_postgresql(request: pytest.FixtureRequest) -> Iterator[str]:
    with postgresql.schema(request.getfixturevalue("postgresql_server")) as address:
        yield address


def expected(known: Known) -> dict[str, bytes]:
    """The files of the site that belong into a backup."""
    return {name: content for name, content in files_of(known.workspace.home).items() if not name.startswith(NEVER)}


def test_everything_comes_back_byte_for_byte(known: Known, backup: Path, tmp_path: Path) -> None:
    opened = known.restored(backup, tmp_path / "home")
    assert files_of(tmp_path / "home") == expected(known)
    assert rows_of(tmp_path / "home" / "ledger.db") == rows_of(known.workspace.ledger)
    assert opened.manifest.entries == known.site.ledger.head()[0]
    folder = Workspace(tmp_path / "home").bundle("partner", STANDING.release, STANDING.period, 1)
    verify_bundle(folder, keys_for(str(tmp_path / "home/keys/signing/minisign.pub")))


def test_private_keys_are_readable_by_their_owner_alone(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(backup, tmp_path / "home")
    keys = [path for path in (tmp_path / "home/keys").rglob("*") if path.is_file() and path.suffix != ".pub"]
    assert len(keys) >= 4
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert (tmp_path / "home/ledger.db").stat().st_mode & 0o777 == 0o600
    assert not [path for path in (tmp_path / "home").iterdir() if path.name == ".restoring"]


def test_from_sqlite_into_postgresql_and_back(
    known: Known, backup: Path, tmp_path: Path, on_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEDGER_VARIABLE, on_postgresql)
    known.restored(backup, tmp_path / "there")
    assert rows_of(on_postgresql) == rows_of(known.workspace.home / "ledger.db")
    again = known.backed_up(tmp_path / "again.age", of=Workspace(tmp_path / "there"))
    monkeypatch.setenv(LEDGER_VARIABLE, "")
    known.restored(again, tmp_path / "back")
    assert files_of(tmp_path / "back") == expected(known)
    assert rows_of(tmp_path / "back" / "ledger.db") == rows_of(known.workspace.home / "ledger.db")


def test_what_was_drawn_is_not_drawn_again_and_the_ledger_goes_on(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(backup, tmp_path / "home")
    ledger = Ledger.open(tmp_path / "home" / "ledger.db")
    assert ledger.artefact(STANDING) == known.site.ledger.artefact(STANDING)
    assert ledger.reservations() == known.site.ledger.reservations()
    ((key, reservation), *_) = ledger.reservations()
    cap = known.site.site.budget[reservation.population]
    assert ledger.reserve(key, reservation, cap) is False
    assert ledger.note(EntryKind.PURGED, "staging.visitors", "2026-W41", {"said": "once"})
    ledger.entries()  # which continues the chain


def test_tokens_that_were_open_are_open_and_revoked_ones_stay_revoked(
    known: Known, backup: Path, tmp_path: Path
) -> None:
    known.restored(backup, tmp_path / "home")
    tokens = Tokens.of(Workspace(tmp_path / "home"))
    holder = tokens.find(known.open)
    assert holder is not None
    assert holder.recipient == "acme"
    assert tokens.find(known.revoked) is None


def test_requests_that_wait_can_be_read_with_the_key_that_came_back(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(backup, tmp_path / "home")
    store = RequestStore.open(Workspace(tmp_path / "home"))
    (row,) = store.open_requests()
    assert store.unseal(row) == RequestStore.open(known.workspace).unseal(row)


def test_a_key_of_a_period_never_comes_back(known: Known, backup: Path, tmp_path: Path) -> None:
    opened = known.restored(backup, tmp_path / "home")
    assert (known.workspace.home / "keys/visitors/2026-W41.key").exists()
    assert not [name for name in opened.files if name.startswith(NEVER)]
    assert not (tmp_path / "home/keys/visitors").exists()


def test_the_very_backup_is_restored_again_without_harm(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(backup, tmp_path / "home")
    before = files_of(tmp_path / "home")
    known.restored(backup, tmp_path / "home")
    assert files_of(tmp_path / "home") == before


@pytest.mark.parametrize("name", ["site.yaml", "notes.txt", "staging/visitors/x.parquet", "keys/portal.key"])
def test_a_folder_that_holds_something_else_is_left_alone(
    known: Known, backup: Path, tmp_path: Path, name: str
) -> None:
    there = tmp_path / "home" / name
    there.parent.mkdir(parents=True)
    there.write_text("something else")
    with pytest.raises(RecoveryError, match=f"empty folder.*{name}"):
        known.restored(backup, tmp_path / "home")
    assert files_of(tmp_path / "home") == {name: b"something else"}
    assert not rows_of(tmp_path / "home" / "ledger.db")


def test_a_ledger_that_has_rows_is_left_alone(
    known: Known, backup: Path, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEDGER_VARIABLE, address)
    Tokens(database.opened(address)).issue("somebody")
    before = rows_of(address)
    with pytest.raises(LedgerError, match="empty ledger only"):
        known.restored(backup, tmp_path / "home")
    assert rows_of(address) == before
    assert not files_of(tmp_path / "home")


def test_bundles_that_survived_stay_and_the_rest_is_put_beside_them(known: Known, backup: Path, tmp_path: Path) -> None:
    survived = copied(known.workspace, tmp_path / "home")
    for path in sorted(survived.home.iterdir()):
        if path.name not in ("published", "ledger.head"):
            path.rename(tmp_path / path.name)
    (survived.published / "partner" / "index.json").unlink()
    place = survived.bundle("partner", STANDING.release, STANDING.period, 1) / "manifest.json"
    made = place.stat().st_mtime_ns
    known.restored(backup, survived.home)
    assert files_of(survived.home) == expected(known)
    assert place.stat().st_mtime_ns == made


def test_a_bundle_that_was_changed_on_the_shelf_is_not_built_upon(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(backup, tmp_path / "first")
    home = tmp_path / "home"
    (tmp_path / "first" / "published").rename(tmp_path / "kept")
    home.mkdir()
    (tmp_path / "kept").rename(home / "published")
    readme = Workspace(home).bundle("partner", STANDING.release, STANDING.period, 1) / "README.md"
    readme.write_text("Better numbers")
    with pytest.raises(RecoveryError, match=r"r1/README.md"):
        known.restored(backup, home)


def test_where_the_ledger_alone_is_lost_it_alone_comes_back(known: Known, backup: Path, tmp_path: Path) -> None:
    home = copied(known.workspace, tmp_path / "home").home
    (home / "ledger.db").unlink()
    before = files_of(home)
    known.restored(backup, home, Terms(ledger_only=True))
    assert files_of(home) == before
    assert rows_of(home / "ledger.db") == rows_of(known.workspace.ledger)
    require_seen(Workspace(home))


@pytest.mark.parametrize("name", ["keys/subjects.key", "keys/signing/minisign.key"])
def test_a_ledger_is_not_put_beside_other_keys(known: Known, backup: Path, tmp_path: Path, name: str) -> None:
    home = copied(known.workspace, tmp_path / "home").home
    (home / "ledger.db").unlink()
    (home / name).write_bytes(b"another")
    with pytest.raises(RecoveryError, match="must hold the keys"):
        known.restored(backup, home, Terms(ledger_only=True))
    (home / name).unlink()
    with pytest.raises(RecoveryError, match="must hold the keys"):
        known.restored(backup, home, Terms(ledger_only=True))


def test_a_backup_of_another_publisher_is_refused(known: Known, backup: Path, tmp_path: Path) -> None:
    own = read_public_key(str(known.workspace.signing_keys / "minisign.pub"))
    known.restored(backup, tmp_path / "home", Terms(publisher=own))
    other = read_public_key("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")
    with pytest.raises(RecoveryError, match="signs today"):
        known.restored(backup, tmp_path / "other", Terms(publisher=other))
    assert not files_of(tmp_path / "other")
    assert site_keys(Workspace(tmp_path / "home"), Ledger.open(tmp_path / "home/ledger.db")).anchor == own


def test_looking_writes_nothing(known: Known, backup: Path, tmp_path: Path) -> None:
    opened = restoring.look(backup, known.key, Workspace(tmp_path / "home"), Terms())
    assert opened.manifest.entries == known.site.ledger.head()[0]
    assert list(tmp_path.iterdir()) == []


STEPS = ("after open_backup", "after head.move_to", "before shelf.refresh", "before tables.copy", "after tables.copy")


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_it_draws_nothing_and_the_same_command_does_it_again(
    known: Known, backup: Path, tmp_path: Path, step: str
) -> None:
    program = Path(__file__).with_name("killed.py")
    words = [str(backup), str(known.key_file), str(tmp_path / "home"), *step.split()]
    done = subprocess.run([sys.executable, program, *words], env={**os.environ}, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    home = Workspace(tmp_path / "home")
    if step == "after open_backup":
        assert not files_of(home.home)
    elif step != "after tables.copy":
        with pytest.raises(LedgerError, match="seen"):
            require_seen(home)
    known.restored(backup, home.home)
    assert files_of(home.home) == expected(known)
    assert rows_of(home.ledger) == rows_of(known.workspace.ledger)
    require_seen(home)


def test_withdrawn_is_withdrawn(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(backup, tmp_path / "home")
    place = Workspace(tmp_path / "home").bundle("partner", GONE.release, GONE.period, 1)
    assert {path.name for path in place.iterdir()} == {"WITHDRAWN.json", "WITHDRAWN.json.minisig"}
    with database.at(tmp_path / "home/ledger.db").reading() as connection:
        assert not tables.is_empty(connection)
