"""Keys that sign: made, rotated, revoked; what they signed; what is left where a run is killed."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from minisign import KeyPair

from pipeline.errors import LedgerError, PublicationError, VerificationError
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files, key_changes, key_ring, resealing
from pipeline.publication.key_ring import KEYS, SIGNATURES, open_ring, signing_key
from pipeline.publication.seal import sealed_manifest
from pipeline.publication.signing import key_id, public_key_bytes, sign, sign_keys, signer_id
from pipeline.publication.verify import keys_for, verify_bundle
from pipeline.workspace import Workspace
from tests.unit.publication.keyed import EARLY, STOLEN, contents, folders, listed, signers, states


class Killed(BaseException):
    pass


def test_a_new_site_can_have_its_key_made_once(workspace: Workspace) -> None:
    made = key_changes.make(workspace).listed
    assert [one.state for one in made.keys] == ["current"]
    assert made.current.id in (workspace.published / "minisign.pub").read_text()
    with pytest.raises(PublicationError, match="made once"):
        key_changes.make(workspace)
    assert listed(workspace) == made


def test_what_needs_a_key_makes_none(workspace: Workspace) -> None:
    workspace.home.mkdir()
    changes: list[Callable[[], object]] = [
        lambda: key_changes.rotate(workspace, "yearly", "ops"),
        lambda: key_changes.revoke(workspace, "current", STOLEN, "ops"),
        lambda: key_changes.publish(workspace),
    ]
    for change in changes:
        with pytest.raises(PublicationError, match="keys make"):
            change()
    assert not workspace.signing_keys.exists()


def test_the_key_of_an_earlier_program_is_taken_over(site: Workspace) -> None:
    before, key = signing_key(site).public_key, (site.published / "minisign.pub").read_text().splitlines()[1]
    site.ledger.unlink()  # type: ignore[union-attr]
    for name in ("keys.json", "keys.json.minisig"):
        (site.published / name).unlink()
    (site.published / "minisign.pub").write_text(f"untrusted comment: of an earlier program\n{key}\n")
    assert signing_key(site).public_key == before
    assert [one.public_key for one in listed(site).keys] == [key]


def test_a_rotated_key_stays_good_for_what_it_signed_and_bundles_stay_as_they_are(
    site: Workspace, publish_again: Callable[[Workspace], object]
) -> None:
    before = {folder: contents(folder) for folder in folders(site)}
    old = listed(site).current.id
    assert key_changes.rotate(site, "yearly", "ops").changed
    assert states(site) == ["retired", "current"]
    publish_again(site)
    assert {folder: contents(folder) for folder in folders(site)} == before
    assert f"by the key {old}, which was retired" in verify_bundle(folders(site)[0])[0].name
    assert signers(site) == {old}


def test_the_secret_half_of_a_former_key_is_gone_and_the_new_one_is_its_owners(site: Workspace) -> None:
    before = (site.signing_keys / "minisign.key").read_bytes()
    key_changes.rotate(site, "yearly", "ops")
    assert {path.name for path in site.signing_keys.iterdir()} == {"minisign.key", "minisign.pub"}
    assert (site.signing_keys / "minisign.key").read_bytes() != before
    assert stat.S_IMODE((site.signing_keys / "minisign.key").stat().st_mode) == 0o600
    secret = before.splitlines()[1]
    assert not [path for path in site.home.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_what_is_released_after_a_rotation_is_signed_by_the_new_key(
    site: Workspace, publish_again: Callable[[Workspace], object]
) -> None:
    key_changes.rotate(site, "yearly", "ops")
    shutil.rmtree(folders(site)[0])
    publish_again(site)
    assert signers(site) == {one.id for one in listed(site).keys}


def test_a_reason_rotates_once_in_a_row(site: Workspace) -> None:
    key_changes.rotate(site, "yearly", "ops")
    assert not key_changes.rotate(site, "yearly", "ops").changed
    assert key_changes.rotate(site, "the operator left", "ops").changed
    assert key_changes.rotate(site, "yearly", "ops").changed
    assert states(site) == ["retired"] * 3 + ["current"]


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 201])
def test_a_reason_is_a_line(site: Workspace, reason: str) -> None:
    with pytest.raises(PublicationError, match="reason must be a line"):
        key_changes.rotate(site, reason, "ops")
    with pytest.raises(PublicationError, match="reason must be a line"):
        key_changes.revoke(site, "current", reason, "ops")
    assert states(site) == ["current"]


def _rotate_at_once(home: Path, barrier: object) -> None:
    barrier.wait(60)  # type: ignore[attr-defined]
    key_changes.rotate(Workspace(home), "yearly", "ops")


def test_two_programs_that_rotate_at_once_make_one_new_key(site: Workspace) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    runs = [context.Process(target=_rotate_at_once, args=(site.home, barrier)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    assert [run.exitcode for run in runs] == [0, 0]
    assert states(site) == ["retired", "current"]
    assert key_id(signing_key(site).public_key) == listed(site).current.id


def test_every_change_and_every_signature_is_in_the_ledger(site: Workspace) -> None:
    key_changes.rotate(site, "yearly", "ops")
    key_changes.revoke(site, listed(site).keys[0].id, STOLEN, "ops")
    ledger = Ledger.open(site.ledger)
    told = [note.payload for note in ledger.notes(EntryKind.SIGNING, KEYS)]
    assert [one["what"] for one in told] == ["made", "rotated", "revoked", "resealed"]
    assert [one.get("by") for one in told] == [None, "ops", "ops", None]
    assert len(told[3]["places"]) == 5
    (signed,) = ledger.notes(EntryKind.SIGNING, SIGNATURES)
    assert set(signed.payload["places"]) == {"/".join(folder.parts[-4:]) for folder in folders(site)}
    ledger.entries()  # the chain holds


def test_a_revoked_key_vouches_for_nothing_and_what_the_publisher_meant_is_signed_anew(
    site: Workspace, tmp_path: Path
) -> None:
    taken = shutil.copytree(folders(site)[0], tmp_path / "taken")
    before, stolen = {folder: contents(folder) for folder in folders(site)}, listed(site).current.id
    change = key_changes.revoke(site, "current", STOLEN, "ops")
    assert (states(site), len(change.resealed.places)) == (["revoked", "current"], 5)
    for folder in folders(site):
        after = contents(folder)
        assert {name for name in after if after[name] != before[folder][name]} == {"manifest.json.minisig"}
        assert signer_id(after["manifest.json.minisig"]) == listed(site).current.id
        assert b"\tresealed:" in after["manifest.json.minisig"]
    assert f"by the current key, {listed(site).current.id}" in verify_bundle(folders(site)[0])[0].name
    assert signers(site) == {listed(site).current.id}
    assert not list(site.published.rglob(".*.partial"))
    new = keys_for(str(site.published / "minisign.pub"))
    assert new is not None
    with pytest.raises(VerificationError, match="signed by another key"):
        verify_bundle(taken, new)
    listing = keys_for(str(site.published / "minisign.pub"), site.published / "keys.json")
    with pytest.raises(VerificationError, match=f"revoked key {stolen} .*{STOLEN}") as caught:
        verify_bundle(taken, listing)
    assert caught.value.exit_code == 11


def test_a_retired_key_can_be_revoked_and_the_current_one_stays(site: Workspace) -> None:
    key_changes.rotate(site, "yearly", "ops")
    retired, current = (one.id for one in listed(site).keys)
    assert len(key_changes.revoke(site, retired.lower(), STOLEN, "ops").resealed.places) == 5
    assert (states(site), listed(site).current.id) == (["revoked", "current"], current)
    assert signers(site) == {listed(site).current.id}


def test_revoking_again_changes_nothing(site: Workspace) -> None:
    key_changes.revoke(site, "current", STOLEN, "ops")
    before = listed(site)
    for name in ("current", before.keys[0].id):
        again = key_changes.revoke(site, name, STOLEN, "ops")
        assert (again.changed, again.listed, again.resealed.places) == (False, before, ())
    with pytest.raises(PublicationError, match="one of the publisher's"):
        key_changes.revoke(site, "0" * 16, STOLEN, "ops")


def test_what_a_thief_signed_is_not_signed_anew(site: Workspace) -> None:
    thief, target = signing_key(site), folders(site)[0]
    content = (target / "manifest.json").read_bytes().replace(b"2026-W41", b"2026-W42")
    (target / "manifest.json").write_bytes(content)
    at = dt.datetime.fromisoformat(EARLY)
    (target / "manifest.json.minisig").write_bytes(sign(thief, content, at, "forged"))
    stranger = shutil.copytree(folders(site)[1], site.published / "partner" / "unheard_of" / "2026-W41" / "r1")
    before = contents(target), contents(stranger)
    change = key_changes.revoke(site, "current", STOLEN, "ops")
    places = ["/".join(folder.parts[-4:]) for folder in sorted((target, stranger))]
    assert (len(change.resealed.places), list(change.resealed.refused)) == (4, places)
    assert (contents(target), contents(stranger)) == before
    with pytest.raises(PublicationError, match=r"the ledger says.*unheard_of"):
        change.resealed.require()
    with pytest.raises(VerificationError, match="revoked"):
        verify_bundle(target)


def test_with_a_ledger_that_somebody_changed_nothing_is_signed_anew(
    site: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LedgerError("each entry of the ledger must continue the chain of hashes")

    before = {folder: contents(folder) for folder in folders(site)}
    monkeypatch.setattr(Ledger, "entries", broken)
    with pytest.raises(LedgerError):
        key_changes.revoke(site, "current", STOLEN, "ops")
    assert {folder: contents(folder) for folder in folders(site)} == before


REVOKE, PUBLISH, RELEASE = "demographics keys revoke", "demographics keys publish", "demographics publish"


@pytest.mark.parametrize(
    "killed",
    [
        (key_changes, "_note", 1, REVOKE),
        (key_changes, "_completed", 1, REVOKE),
        (key_changes, "_completed", 1, RELEASE),
        (key_ring, "_current", 1, PUBLISH),
        (files, "replace", 1, RELEASE),
        (files, "replace", 2, PUBLISH),
        (files, "replace", 3, REVOKE),
        (resealing, "_anew", 1, RELEASE),
        (resealing, "_exchange", 1, PUBLISH),
        (resealing, "_exchange", 3, RELEASE),
        (resealing, "sync_folder", 2, REVOKE),
    ],
    ids=lambda killed: f"{killed[1]} {killed[2]}, then {killed[3]}",
)
def test_a_revocation_that_is_killed_is_completed_by_whatever_comes_next(
    site: Workspace,
    publish_again: Callable[[Workspace], object],
    monkeypatch: pytest.MonkeyPatch,
    killed: tuple[object, str, int, str],
) -> None:
    room, step, calls, end = killed
    before, pinned_before = listed(site), keys_for(str(site.published / "minisign.pub"))
    left, done = [calls], getattr(room, step)

    def kill(*given: object, **named: object) -> object:
        left[0] -= 1
        if not left[0]:
            raise Killed
        return done(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(room, step, kill)
        with pytest.raises(Killed):
            key_changes.revoke(site, before.current.id, STOLEN, "ops")
    new = keys_for(listed(site).current.public_key)
    for folder in folders(site):  # by one key or the other
        signer = signer_id((folder / "manifest.json.minisig").read_bytes())
        keys = pinned_before if signer == before.current.id else new
        assert keys is not None
        assert sealed_manifest(folder, keys)
    if end == REVOKE or listed(site) == before:  # killed before the ledger had it: nothing is revoked
        key_changes.revoke(site, before.current.id, STOLEN, "ops")
    elif end == PUBLISH:
        key_changes.publish(site)
    else:
        publish_again(site)
    assert states(site) == ["revoked", "current"]
    assert key_id(signing_key(site).public_key) == listed(site).current.id
    assert {path.name for path in site.signing_keys.iterdir()} == {"minisign.key", "minisign.pub"}
    assert signers(site) == {listed(site).current.id}


def test_a_lost_key_is_revoked_without_it(site: Workspace) -> None:
    (site.signing_keys / "minisign.key").unlink()
    with pytest.raises(PublicationError, match=r"Restore keys/signing.*keys revoke"):
        key_changes.publish(site)
    key_changes.revoke(site, "current", "the disk is gone", "ops")
    assert signers(site) == {listed(site).current.id}


def test_a_key_from_an_earlier_backup_signs_nothing(site: Workspace, tmp_path: Path) -> None:
    backup = shutil.copytree(site.signing_keys, tmp_path / "backup")
    key_changes.rotate(site, "yearly", "ops")
    shutil.copy(backup / "minisign.key", site.signing_keys / "minisign.key")
    with pytest.raises(PublicationError, match="where the ledger has"):
        signing_key(site)


@pytest.mark.parametrize("what", ["made", "rotated"])
def test_the_database_alone_makes_no_key(site: Workspace, what: str) -> None:
    thief = KeyPair.generate()
    told = {"what": what, "public_key": thief.public_key.to_base64().decode(), "reason": "", "by": "thief"}
    forged = sign_keys(thief, public_key_bytes(thief.public_key), dt.datetime.now(dt.UTC), "x")
    Ledger.open(site.ledger).note(EntryKind.SIGNING, KEYS, "", told | {"predecessor": forged.decode()})
    with pytest.raises(LedgerError, match="signed by the one before"):
        open_ring(site)
