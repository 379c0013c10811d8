"""What a backup holds and does not, and that it is of one moment while others write."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.delivery.sessions import RecipientSessions
from pipeline.delivery.tokens import Tokens
from pipeline.errors import LedgerError, RecoveryError
from pipeline.privacy import chain, database
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files
from pipeline.recovery import archive, holdings, sealing, tables
from pipeline.recovery.opening import open_backup
from pipeline.workspace import LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.full_disks import files_up_to
from tests.unit.recovery.recovering import NOW, ROWS, SOMEBODY, Known, copied, rows_of
from tests.unit.rights.asking import CUSTOMER, EMAIL


def content_of(known: Known, backup: Path) -> dict[str, bytes]:
    with sealing.unsealed(backup, known.key) as stream:
        return dict(archive.unpacked(stream))


def test_it_holds_what_cannot_be_made_again(known: Known, backup: Path) -> None:
    names = set(content_of(known, backup))
    assert {
        "site/site.yaml",
        "site/policy.yaml",
        "site/entitlements.yaml",
        "site/releases/weekly.yaml",
        "site/keys/signing/minisign.key",
        "site/keys/subjects.key",
        "site/keys/portal.key",
        "site/keys/webhooks.key",
        "site/keys/reviewers/ana.pub",
        "site/published/partner/weekly/2026-W41/r1/manifest.json.minisig",
        "site/published/partner/weekly/2026-W40/r1/WITHDRAWN.json",
        f"{ROWS}artefacts/000001.jsonl",
        f"{ROWS}tombstones/000001.jsonl",
    } <= names


def test_it_holds_nothing_that_is_kept_for_a_time_or_is_somebodys(known: Known, backup: Path) -> None:
    found = content_of(known, backup)
    parts = {part for name in found for part in name.split("/")}
    assert not parts & {"staging", "access", "inbox", "data_docs", "airflow", "spill", "visitors", "customers"}
    assert SOMEBODY not in b"".join(found.values())
    period_key = (known.workspace.home / "keys/visitors/2026-W41.key").read_bytes().split()[0]
    assert period_key not in b"".join(found.values())


def test_nobody_is_named_in_it_even_where_a_request_waits(known: Known, backup: Path) -> None:
    whole = b"".join(content_of(known, backup).values())
    for named in (str(CUSTOMER), EMAIL, known.open):
        assert named.encode() not in whole


def test_who_is_logged_in_is_not_in_it(known: Known, tmp_path: Path) -> None:
    home = copied(known.workspace, tmp_path / "home")
    holder = Tokens.of(home).find(known.open)
    assert holder is not None
    RecipientSessions(database.opened(home.ledger)).begin(holder)
    assert not [name for name in content_of(known, known.backed_up(tmp_path / "b.age", home)) if "session" in name]


def test_the_manifest_says_what_it_is(known: Known, backup: Path) -> None:
    told = json.loads(content_of(known, backup)["backup.json"])
    number, digest = known.site.ledger.head()
    assert (told["format"], told["ledger_version"]) == (1, database.VERSIONS[-1])
    assert (told["entries"], told["head_sha256"]) == (number, digest)
    assert told["made"] == NOW.isoformat()
    assert told["rows"] == {
        name: len(rows) for name, rows in rows_of(known.workspace.ledger).items() if name != "alembic_version"
    }


def test_its_owner_alone_can_read_it_and_its_name_tells_the_time(known: Known, tmp_path: Path) -> None:
    path = known.backed_up(tmp_path)
    assert path == tmp_path / "demographics-20261201T030000Z.age"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_it_never_takes_the_place_of_another(known: Known, tmp_path: Path) -> None:
    (tmp_path / "b.age").write_text("the backup of yesterday")
    with pytest.raises(RecoveryError, match="never takes the place"):
        known.backed_up(tmp_path / "b.age")
    assert (tmp_path / "b.age").read_text() == "the backup of yesterday"


def test_where_there_is_no_room_there_is_no_backup(known: Known, tmp_path: Path) -> None:
    with files_up_to(20_000), pytest.raises(RecoveryError, match=r"whole|with room"):
        known.backed_up(tmp_path / "b.age")
    with pytest.raises(RecoveryError, match="folder that can be written"):
        known.backed_up(tmp_path / "none" / "b.age")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_site_is_not_backed_up(known: Known, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecoveryError, match="of a site"):
        known.backed_up(tmp_path / "b.age", Workspace(tmp_path / "empty"))


def test_a_broken_ledger_is_not_backed_up(known: Known, tmp_path: Path) -> None:
    home = copied(known.workspace, tmp_path / "home")
    with database.at(home.ledger).writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER entries_keep_update")
        connection.exec_driver_sql("UPDATE entries SET period = '2026-W01' WHERE number = 2")
    with pytest.raises(LedgerError, match="chain"):
        known.backed_up(tmp_path / "b.age", home)
    assert not (tmp_path / "b.age").exists()


def test_specifications_that_lie_elsewhere_are_in_it(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "other.yaml").write_text("release: other")
    monkeypatch.setenv(RELEASES_VARIABLE, str(tmp_path / "own"))
    names = content_of(known, known.backed_up(tmp_path / "b.age"))
    assert [name for name in names if name.startswith("site/releases/")] == ["site/releases/other.yaml"]


class Writer(threading.Thread):
    """Writes notes and tokens into a ledger, one after the other, until it is told to stop."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.stopped, self.written = threading.Event(), 0
        self._ledger, self._tokens = Ledger.open(workspace.ledger), Tokens.of(workspace)

    def run(self) -> None:
        while not self.stopped.is_set():
            self._tokens.issue("acme")
            self._ledger.note(EntryKind.PURGED, "staging.visitors", "2026-W40", {"number": self.written})
            self.written += 1

    def wait_for(self, times: int) -> None:
        """Wait until it has written so often."""
        end = time.monotonic() + 30
        while self.written < times:
            assert time.monotonic() < end
            time.sleep(0.01)

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.join()


@pytest.fixture
def busy(known: Known, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of the site, with its ledger in either database."""
    home = copied(known.workspace, tmp_path / "busy")
    tables.copy(database.at(home.home / "ledger.db"), database.at(address))
    monkeypatch.setenv(LEDGER_VARIABLE, address)
    return home


def test_it_is_of_one_moment_while_others_write(
    known: Known, busy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = tables._pieces_of, list[int]()

    def slowly(connection: Any, table: Any) -> Iterator[tuple[int, bytes]]:
        if connection.dialect.name == "postgresql":  # in SQLite writers wait
            writer.wait_for(writer.written + 2)
        seen.append(writer.written)
        yield from whole(connection, table)

    monkeypatch.setattr(tables, "_pieces_of", slowly)
    with Writer(busy) as writer:
        writer.wait_for(3)
        backup = known.backed_up(tmp_path / "b.age", busy)
    monkeypatch.undo()
    (tmp_path / "opened").mkdir()
    opened = open_backup(backup, known.key, tmp_path / "opened")  # checks that the chain ends as the manifest says
    notes = [entry for entry in opened.entries if entry.kind is EntryKind.PURGED]
    issued = len(Tokens(database.at(opened.draft.ledger)).listed("acme")) - 2
    assert 3 <= len(notes) <= writer.written
    assert issued - len(notes) in (0, 1)  # of a token and its note the first may be in it alone
    assert writer.written > len(notes)


def test_nothing_is_published_between_the_ledger_and_the_shelves(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = list[bool]()

    def looking(*arguments: Any) -> Any:
        got = threading.Event()
        waiting = threading.Thread(target=lambda: _hold(known.workspace.published, got), daemon=True)
        waiting.start()
        held.append(not got.wait(0.2))
        return whole(*arguments)

    whole = holdings.files_in
    monkeypatch.setattr(holdings, "files_in", looking)
    known.backed_up(tmp_path / "b.age")
    assert held
    assert all(held)


def _hold(published: Path, got: threading.Event) -> None:
    with files.exclusive(published):
        got.set()


def test_a_key_that_changes_meanwhile_is_read_again(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, times = copied(known.workspace, tmp_path / "home"), list[int]()

    def last(connection: Any) -> tuple[int, str]:
        times.append(len(times))
        if len(times) < 3:
            (home.home / "keys/reviewers" / f"new{len(times)}.json").write_text("{}")
        return whole(connection)

    whole = chain.last
    monkeypatch.setattr(chain, "last", last)
    names = content_of(known, known.backed_up(tmp_path / "b.age", home))
    assert {"site/keys/reviewers/new1.json", "site/keys/reviewers/new2.json"} <= set(names)
    assert len(times) == 3


def test_keys_that_never_stand_still_stop_it(known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(range(100))
    monkeypatch.setattr(holdings, "small_files", lambda _: {"site.yaml": str(next(found)).encode()})
    with pytest.raises(RecoveryError, match="stand still"):
        known.backed_up(tmp_path / "b.age")
    assert list(tmp_path.iterdir()) == []


def test_rows_come_in_pieces_that_fit_into_memory(
    known: Known, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PIECE", 500)
    small = known.backed_up(tmp_path / "small.age")
    pieces = [name for name in content_of(known, small) if name.startswith(f"{ROWS}entries/")]
    assert len(pieces) > 3
    known.restored(small, tmp_path / "home")
    assert rows_of(tmp_path / "home/ledger.db") == rows_of(known.workspace.ledger)
