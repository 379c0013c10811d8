"""Backups are sealed for public keys, and whatever was done to one is noticed before anything is restored."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from pipeline.errors import LedgerError, RecoveryError
from pipeline.privacy import database
from pipeline.publication.signing import read_pair, sign_keys
from pipeline.recovery import archive, sealing
from pipeline.recovery.archive import Member
from pipeline.recovery.sealing import BackupKey, make_key, recipients, seal
from tests.unit.recovery.recovering import NOW, ROWS, Known, files_of, rows_of

Change = Callable[[list[Member]], list[Member]]


def members_of(known: Known, backup: Path) -> list[Member]:
    with sealing.unsealed(backup, known.key) as stream:
        return list(archive.unpacked(stream))


def sealed(known: Known, members: list[Member], path: Path) -> Path:
    with path.open("wb") as file:
        seal(archive.packed(iter(members), NOW), file, recipients(known.public))
    return path


def refused(known: Known, backup: Path, home: Path) -> str:
    with pytest.raises((RecoveryError, LedgerError)) as told:
        known.restored(backup, home)
    assert not files_of(home)
    return str(told.value)


def test_any_program_that_knows_the_format_opens_it(known: Known, backup: Path) -> None:
    identity = pyrage.x25519.Identity.from_str(known.key_file.read_text().splitlines()[-1])
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(backup.read_bytes(), [identity])), mode="r:gz") as found:
        names = found.getnames()
    assert {"site/site.yaml", "site/keys/signing/minisign.key", "backup.json"} < set(names)
    assert names[-2:] == ["backup.json", "backup.json.minisig"]


def test_a_whole_backup_can_be_packed_again_and_restored(known: Known, backup: Path, tmp_path: Path) -> None:
    known.restored(sealed(known, members_of(known, backup), tmp_path / "again.age"), tmp_path / "home")


def test_another_key_opens_nothing(known: Known, backup: Path, tmp_path: Path) -> None:
    make_key(tmp_path / "other.key")
    with (
        pytest.raises(RecoveryError, match="sealed for"),
        sealing.unsealed(backup, BackupKey.read(tmp_path / "other.key")) as stream,
    ):
        stream.read()


@pytest.mark.parametrize("place", [0, 30, 200, 5_000, 0.5, 0.9, -1])
def test_a_byte_that_was_changed_is_noticed(known: Known, backup: Path, tmp_path: Path, place: float) -> None:
    content = bytearray(backup.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else int(place)] ^= 1
    (tmp_path / "changed.age").write_bytes(content)
    refused(known, tmp_path / "changed.age", tmp_path / "home")


@pytest.mark.parametrize("bytes_left", [0, 10, 1_000, -70_000, -1])
def test_a_backup_that_was_cut_off_is_noticed(known: Known, backup: Path, tmp_path: Path, bytes_left: int) -> None:
    (tmp_path / "cut.age").write_bytes(backup.read_bytes()[:bytes_left])
    refused(known, tmp_path / "cut.age", tmp_path / "home")


def test_something_that_was_added_is_noticed(known: Known, backup: Path, tmp_path: Path) -> None:
    (tmp_path / "more.age").write_bytes(backup.read_bytes() + b"x")
    assert "whole" in refused(known, tmp_path / "more.age", tmp_path / "home")


KINDS = (
    f"{ROWS}entries/",
    f"{ROWS}artefacts/",
    f"{ROWS}recipient_tokens/",
    "site/site.yaml",
    "site/keys/",
)


@pytest.mark.parametrize("kind", [*KINDS, "site/published/", "backup.json", "backup.json.minisig"])
def test_each_member_is_held_against_the_manifest(known: Known, backup: Path, tmp_path: Path, kind: str) -> None:
    members = members_of(known, backup)
    place = next(place for place, (name, _) in enumerate(members) if name.startswith(kind))
    name, content = members[place]
    members[place] = (name, content.replace(b"2026", b"2027", 1) if b"2026" in content else content + b" ")
    told = refused(known, sealed(known, members, tmp_path / "changed.age"), tmp_path / "home")
    assert "whole" in told or "chain" in told


CHANGES: dict[str, Change] = {
    "one is gone": lambda members: members[1:],
    "one is there twice": lambda members: [*members[:1], *members],
    "one more": lambda members: [("site/more.yaml", b"more"), *members],
    "no manifest": lambda members: members[:-2],
    "no signature": lambda members: members[:-1],
    "no ledger": lambda members: [one for one in members if not one[0].startswith("ledger/")],
    "a way up": lambda members: [("site/../../up", b"up"), *members],
    "an absolute path": lambda members: [("/up", b"up"), *members],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_backup_holds_is_refused(known: Known, backup: Path, tmp_path: Path, change: str) -> None:
    made = sealed(known, CHANGES[change](members_of(known, backup)), tmp_path / "made.age")
    assert "whole" in refused(known, made, tmp_path / "home")
    assert not (tmp_path / "up").exists()


def test_who_has_no_signing_key_makes_no_backup(known: Known, backup: Path, tmp_path: Path) -> None:
    # All digests hold: somebody who can write where backups lie, and knows the public key, packed it anew.
    members = dict(members_of(known, backup))
    members["site/site.yaml"] += b"# cap: 1000\n"
    manifest = json.loads(members["backup.json"])
    facts = archive.facts_of(("site/site.yaml", members["site/site.yaml"])).model_dump()
    manifest["members"] = [facts if one["name"] == facts["name"] else one for one in manifest["members"]]
    members["backup.json"] = archive.BackupManifest.model_validate(manifest).to_bytes()
    told = refused(known, sealed(known, list(members.items()), tmp_path / "made.age"), tmp_path / "home")
    assert "backup.json.minisig" in told


def test_a_later_format_is_told_as_such(known: Known, backup: Path, tmp_path: Path) -> None:
    members = dict(members_of(known, backup))
    members["backup.json"] = json.dumps({"format": 2, "program": "9.0.0", "new": []}).encode()
    told = refused(known, sealed(known, list(members.items()), tmp_path / "later.age"), tmp_path / "home")
    assert "format 2, by version 9.0.0" in told


def test_later_tables_are_told_as_such(known: Known, backup: Path, tmp_path: Path) -> None:
    members = [(name.replace("ledger/00", "ledger/99"), content) for name, content in members_of(known, backup)]
    assert "a version that this program knows" in refused(
        known, sealed(known, members, tmp_path / "later.age"), tmp_path / "home"
    )


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date(known: Known, backup: Path, tmp_path: Path) -> None:
    later = ("entitlement_approvals", "recipient_", "downloads", "notices", "webhook_secrets")  # than version 0003
    kept = {
        name.replace(ROWS, "ledger/0003/"): content
        for name, content in members_of(known, backup)
        if not name.startswith(tuple(f"{ROWS}{table}" for table in later))
    }
    told = archive.BackupManifest.from_bytes(kept.pop("backup.json"))
    del kept["backup.json.minisig"]
    facts = tuple(archive.facts_of(member) for member in kept.items())
    manifest = told.model_copy(update={"members": facts, "ledger_version": "0003"})
    pair = read_pair(known.workspace.signing_keys / "minisign.key")
    kept["backup.json"] = manifest.to_bytes()
    kept["backup.json.minisig"] = sign_keys(pair, manifest.to_bytes(), manifest.at, "backup.json")
    known.restored(sealed(known, list(kept.items()), tmp_path / "earlier.age"), tmp_path / "home")
    restored, whole = rows_of(tmp_path / "home/ledger.db"), rows_of(known.workspace.ledger)
    assert restored["alembic_version"] == [(database.VERSIONS[-1],)]
    assert restored.keys() == whole.keys()
    assert restored == {name: [] if name.startswith(later) else rows for name, rows in whole.items()}


def test_a_key_with_a_passphrase_opens_with_it_alone(known: Known, tmp_path: Path) -> None:
    public = make_key(tmp_path / "one.key", "nine tin kettles")
    assert (tmp_path / "one.key.pub").read_text().strip() == public
    assert b"AGE-SECRET" not in (tmp_path / "one.key").read_bytes()
    assert (tmp_path / "one.key").stat().st_mode & 0o777 == 0o600
    assert str(BackupKey.read(tmp_path / "one.key", "nine tin kettles").identity.to_public()) == public
    for passphrase in ("", "four grey herons"):
        with pytest.raises(RecoveryError, match="passphrase must be the one") as told:
            BackupKey.read(tmp_path / "one.key", passphrase)
        assert "herons" not in str(told.value)


def test_a_key_is_never_replaced_and_never_shown(tmp_path: Path) -> None:
    make_key(tmp_path / "one.key")
    before = (tmp_path / "one.key").read_bytes()
    with pytest.raises(RecoveryError, match="where nothing is"):
        make_key(tmp_path / "one.key")
    assert (tmp_path / "one.key").read_bytes() == before
    assert "AGE-SECRET" not in repr(BackupKey.read(tmp_path / "one.key"))


@pytest.mark.parametrize("content", [b"", b"nothing", b"AGE-SECRET-KEY-1", b"\xff\xfe", b"age-encryption.org/v1\n"])
def test_what_is_no_key_is_told_as_such(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.key").write_bytes(content)
    with pytest.raises(RecoveryError):
        BackupKey.read(tmp_path / "one.key")
    with pytest.raises(RecoveryError, match="readable"):
        BackupKey.read(tmp_path / "none.key")


def test_public_keys_are_named_or_in_files(known: Known, tmp_path: Path) -> None:
    shown = f"{known.key_file}.pub"
    assert [str(one) for one in recipients(f"{known.public} {shown}")] == [known.public] * 2
    for given in ("", (), "age1nothing", str(known.key_file), str(tmp_path / "none")):
        with pytest.raises(RecoveryError):
            recipients(given)


def test_any_of_several_keys_opens_it(known: Known, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.key")
    with (tmp_path / "two.age").open("wb") as file:
        seal(iter([b"one", b"", b"two"]), file, recipients(f"{known.public} {other}"))
    for key in (known.key, BackupKey.read(tmp_path / "other.key")):
        with sealing.unsealed(tmp_path / "two.age", key) as stream:
            assert stream.read() == b"onetwo"


def test_whoever_stops_reading_leaves_nothing_behind(known: Known, backup: Path) -> None:
    before = threading.active_count()
    with sealing.unsealed(backup, known.key) as stream:
        members = archive.unpacked(stream)
        next(members)
    assert threading.active_count() == before
