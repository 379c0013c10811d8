"""The key of people's requests is never replaced in silence."""

from __future__ import annotations

import secrets
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from pipeline.deidentify.subject_key import SubjectKey, subject_key
from pipeline.errors import ConfigurationError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.workspace import KEYS_VARIABLE, MASTER_KEY_VARIABLE, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def store(workspace: Workspace) -> Database:
    return database.opened(workspace.ledger)


def test_the_key_is_made_once_and_stays(workspace: Workspace, store: Database) -> None:
    first = subject_key(workspace, store)
    assert subject_key(workspace, store) == first
    assert workspace.subject_key.stat().st_mode & 0o777 == 0o600


def test_a_missing_key_is_not_replaced(workspace: Workspace, store: Database) -> None:
    subject_key(workspace, store)
    workspace.subject_key.unlink()
    with pytest.raises(ConfigurationError, match="Restore"):
        subject_key(workspace, store)
    assert not workspace.subject_key.exists()


def test_another_key_is_refused(workspace: Workspace, store: Database) -> None:
    subject_key(workspace, store)
    workspace.subject_key.write_text(secrets.token_hex(32), "utf-8")
    with pytest.raises(ConfigurationError, match="with which they began"):
        subject_key(workspace, store)


def test_a_master_secret_is_needed_to_open_what_began_with_one(
    workspace: Workspace, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, "environment")
    monkeypatch.setenv(MASTER_KEY_VARIABLE, secrets.token_hex(32))
    found = subject_key(workspace, store)
    assert found.secret.hex() not in workspace.subject_key.read_text("utf-8")
    monkeypatch.setenv(MASTER_KEY_VARIABLE, secrets.token_hex(32))
    with pytest.raises(ConfigurationError, match="master secret"):
        subject_key(workspace, store)


def test_what_is_sealed_opens_with_the_key_and_with_no_other() -> None:
    key, other = SubjectKey(secrets.token_bytes(32)), SubjectKey(secrets.token_bytes(32))
    sealed = key.seal(b"jane.doe@example.org")
    assert key.open(sealed) == b"jane.doe@example.org"
    assert b"jane" not in sealed
    assert key.seal(b"jane.doe@example.org") != sealed
    with pytest.raises(ConfigurationError, match="must open") as failure:
        other.open(sealed)
    assert failure.value.__cause__ is None


@pytest.mark.parametrize("place", [0, 12, -1])
def test_what_was_changed_since_does_not_open(place: int) -> None:
    key = SubjectKey(secrets.token_bytes(32))
    sealed = bytearray(key.seal(b"jane.doe@example.org"))
    sealed[place] ^= 1
    with pytest.raises(ConfigurationError, match="must open"):
        key.open(bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(12), bytes(27)])
def test_what_is_no_sealed_request_does_not_open(sealed: bytes) -> None:
    with pytest.raises(ConfigurationError, match="must open"):
        SubjectKey(secrets.token_bytes(32)).open(sealed)


def test_digests_are_the_same_in_the_engine() -> None:
    key = SubjectKey(secrets.token_bytes(32))
    with duckdb.connect() as engine:
        key.install(engine)
        for text in ("customer\0C1", "e-mail\0zoë@example.org", "visitor\x002001:db8::1\0Mozilla"):
            assert engine.execute("SELECT tombstone(?)", [text]).fetchall() == [(key.digest(text),)]


def test_digests_fingerprints_and_seals_have_secrets_of_their_own() -> None:
    key = SubjectKey(secrets.token_bytes(32))
    assert key.digest("customer\0C1") != key.fingerprint("customer\0C1")
    assert len({key.derive(name) for name in ("sealing", "tombstones", "fingerprints")}) == 3


def test_the_key_shows_nothing_of_itself(workspace: Workspace, store: Database) -> None:
    key = subject_key(workspace, store)
    assert key.secret.hex() not in repr(key)
    with store.reading() as connection:
        (kept,) = connection.execute(sa.text('SELECT "check" FROM subject_key')).one()
    assert kept == key.check
    assert kept not in key.secret.hex()
