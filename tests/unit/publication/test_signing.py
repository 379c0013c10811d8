from __future__ import annotations

import datetime as dt
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import PublicationError, VerificationError
from pipeline.publication.key_ring import signing_key
from pipeline.publication.signing import read_public_key, sign, signature_holds
from pipeline.workspace import Workspace

DECIDED = dt.datetime(2026, 10, 13, 9, tzinfo=dt.UTC)
CONTENT = b'{"manifest": 1}\n'


def test_the_secret_key_is_readable_by_its_owner_only(workspace: Workspace) -> None:
    signing_key(workspace)
    assert stat.S_IMODE((workspace.signing_keys / "minisign.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(workspace.signing_keys.stat().st_mode) == 0o700


def test_the_key_is_made_once(workspace: Workspace) -> None:
    first, second = signing_key(workspace), signing_key(workspace)
    assert first.public_key.to_base64() == second.public_key.to_base64()


def test_first_runs_at_the_same_time_use_one_key(workspace: Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(lambda _: signing_key(workspace), range(8)))
    assert len({bytes(pair.public_key) for pair in pairs}) == 1
    assert {path.name for path in workspace.signing_keys.iterdir()} == {"minisign.key", "minisign.pub"}


def test_recipients_find_the_public_key(workspace: Workspace) -> None:
    pair = signing_key(workspace)
    shown = workspace.published / "minisign.pub"
    assert read_public_key(str(shown)) == pair.public_key
    assert shown.read_bytes() == (workspace.signing_keys / "minisign.pub").read_bytes()


def test_a_lost_key_is_not_replaced_while_recipients_hold_its_public_half(workspace: Workspace) -> None:
    signing_key(workspace)
    shutil.rmtree(workspace.signing_keys)
    with pytest.raises(PublicationError, match="Restore keys/signing"):
        signing_key(workspace)
    assert not (workspace.signing_keys / "minisign.key").exists()


def test_another_key_than_the_published_one_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    signing_key(workspace)
    other = Workspace(tmp_path / "other")
    signing_key(other)
    shutil.copy(other.signing_keys / "minisign.key", workspace.signing_keys / "minisign.key")
    with pytest.raises(PublicationError, match="recipients hold"):
        signing_key(workspace)


def test_a_file_that_is_no_key_is_refused_without_being_quoted(workspace: Workspace) -> None:
    workspace.signing_keys.mkdir(parents=True)
    (workspace.signing_keys / "minisign.key").write_text("hunter2\nhunter2\n")
    with pytest.raises(PublicationError) as caught:
        signing_key(workspace)
    assert "hunter2" not in str(caught.value)


def test_a_signature_is_the_same_each_time(workspace: Workspace) -> None:
    pair = signing_key(workspace)
    assert sign(pair, CONTENT, DECIDED, "a/b") == sign(pair, CONTENT, DECIDED, "a/b")


def test_every_byte_of_a_signature_counts(workspace: Workspace) -> None:
    pair = signing_key(workspace)
    signature = sign(pair, CONTENT, DECIDED, "partner/weekly/2026-W41/r1")
    assert signature_holds(pair.public_key, CONTENT, signature)
    for place in range(len(signature)):
        changed = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        assert not signature_holds(pair.public_key, CONTENT, changed), place
    assert not signature_holds(pair.public_key, CONTENT, signature + b"\n")
    assert not signature_holds(pair.public_key, CONTENT + b" ", signature)


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_the_minisign_program_accepts_a_signature(workspace: Workspace, tmp_path: Path) -> None:
    pair = signing_key(workspace)
    (tmp_path / "manifest.json").write_bytes(CONTENT)
    (tmp_path / "manifest.json.minisig").write_bytes(sign(pair, CONTENT, DECIDED, "a/b"))
    key = workspace.published / "minisign.pub"
    done = subprocess.run(["minisign", "-Vm", tmp_path / "manifest.json", "-p", key], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("given", ["", "nonsense", "/no/such/file.pub"])
def test_what_is_no_public_key_is_refused(given: str) -> None:
    with pytest.raises(VerificationError, match="public key"):
        read_public_key(given)
