"""What recipients and operators make of the publisher's keys."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from minisign import KeyPair

from pipeline.cli import main
from pipeline.errors import VerificationError
from pipeline.publication import key_changes
from pipeline.publication.key_ring import signing_key
from pipeline.publication.signing import key_id, sign, sign_keys
from pipeline.publication.verify import keys_for, verify_bundle
from pipeline.workspace import LEDGER_VARIABLE, Workspace
from tests.unit.publication.keyed import EARLY, STOLEN, folders, listed, pinned

MINISIGN = shutil.which("minisign")
with_minisign = pytest.mark.skipif(
    MINISIGN is None and not os.environ.get("CI"), reason="the program is not installed (Debian: minisign)"
)


def minisign(content: Path, key: Path | str) -> subprocess.CompletedProcess[bytes]:
    given = ["-p", str(key)] if isinstance(key, Path) else ["-P", key]
    return subprocess.run([MINISIGN or "minisign", "-V", "-m", content, *given], capture_output=True, check=False)


def test_a_recipient_with_an_old_key_follows_the_list_only_when_they_ask(
    site: Workspace, publish_again: Callable[[Workspace], object], tmp_path: Path
) -> None:
    old = pinned(site, tmp_path)
    key_changes.rotate(site, "yearly", "ops")
    key_changes.rotate(site, "the operator left", "ops")
    shutil.rmtree(folders(site)[0])
    publish_again(site)
    with pytest.raises(VerificationError, match="signed by another key"):
        verify_bundle(folders(site)[0], keys_for(str(old)))
    assert verify_bundle(folders(site)[0], keys_for(str(old), site.published / "keys.json"))
    assert verify_bundle(folders(site)[1], keys_for(str(old), site.published / "keys.json"))
    with pytest.raises(VerificationError, match="--key"):
        keys_for(None, site.published / "keys.json")


def test_nothing_leads_on_from_a_revoked_key(site: Workspace, tmp_path: Path) -> None:
    old = pinned(site, tmp_path)
    key_changes.rotate(site, "yearly", "ops")
    middle = pinned(site, tmp_path, "middle.pub")
    key_changes.revoke(site, "current", STOLEN, "ops")
    for key in (old, middle):
        with pytest.raises(VerificationError, match=r"revoked key .*by another way") as caught:
            keys_for(str(key), site.published / "keys.json")
        assert caught.value.exit_code == 11


def test_a_list_that_somebody_made_up_is_refused(site: Workspace, tmp_path: Path) -> None:
    old = pinned(site, tmp_path)
    earlier = {name: (site.published / name).read_bytes() for name in ("keys.json", "keys.json.minisig")}
    key_changes.rotate(site, "yearly", "ops")
    path, now = site.published / "keys.json", site.published / "minisign.pub"
    genuine = {name: (site.published / name).read_bytes() for name in earlier}
    assert keys_for(str(now), path)

    for name, content in earlier.items():  # an earlier list, where the key is newer
        (site.published / name).write_bytes(content)
    with pytest.raises(VerificationError, match="without the key that you trust"):
        keys_for(str(now), path)
    with pytest.raises(VerificationError, match="without the key that you trust"):
        verify_bundle(folders(site)[0])

    thief = KeyPair.generate()
    document = json.loads(genuine["keys.json"])
    document["keys"][1] |= {"id": key_id(thief.public_key), "public_key": thief.public_key.to_base64().decode()}
    forged = json.dumps(document).encode()
    path.write_bytes(forged)
    at = dt.datetime.fromisoformat(EARLY)
    path.with_name("keys.json.minisig").write_bytes(sign_keys(thief, forged, at, "keys.json"))
    with pytest.raises(VerificationError, match="did not sign"):
        keys_for(str(old), path)

    for changed in (genuine["keys.json"].replace(b"yearly", b"weekly"), b"{}", b"[", genuine["keys.json"] + b" "):
        path.write_bytes(changed)
        path.with_name("keys.json.minisig").write_bytes(genuine["keys.json.minisig"])
        with pytest.raises(VerificationError):
            keys_for(str(old), path)
    path.write_bytes(genuine["keys.json"])
    assert keys_for(str(old), path)
    path.with_name("keys.json.minisig").unlink()
    with pytest.raises(VerificationError, match="Download both again"):
        keys_for(str(old), path)


def test_a_retired_key_does_not_sign_later_things(site: Workspace) -> None:
    former, target = signing_key(site), folders(site)[0]
    key_changes.rotate(site, "yearly", "ops")
    late = dt.datetime(2199, 1, 1, tzinfo=dt.UTC)
    content = (target / "manifest.json").read_bytes()
    (target / "manifest.json.minisig").write_bytes(sign(former, content, late, "late"))
    with pytest.raises(VerificationError, match="with a later date"):
        verify_bundle(target)


def test_a_key_that_is_not_listed_is_unknown(site: Workspace) -> None:
    target, at = folders(site)[0], dt.datetime.fromisoformat(EARLY)
    content = (target / "manifest.json").read_bytes()
    (target / "manifest.json.minisig").write_bytes(sign(KeyPair.generate(), content, at, "stranger"))
    with pytest.raises(VerificationError, match="unknown key"):
        verify_bundle(target)


def test_publishing_keys_again_writes_what_is_missing_and_nothing_else(site: Workspace) -> None:
    names = ("keys.json", "keys.json.minisig", "minisign.pub")
    before = {name: (site.published / name).read_bytes() for name in names}
    stamps = {name: (site.published / name).stat().st_mtime_ns for name in names}
    key_changes.publish(site)
    assert {name: (site.published / name).stat().st_mtime_ns for name in names} == stamps
    for name in names:
        (site.published / name).unlink()
    key_changes.publish(site)
    assert {name: (site.published / name).read_bytes() for name in names} == before


@with_minisign
def test_the_minisign_program_reads_keys_lists_and_signatures_old_and_new(site: Workspace, tmp_path: Path) -> None:
    old = pinned(site, tmp_path)
    key_changes.rotate(site, "yearly", "ops")
    new, target = site.published / "minisign.pub", folders(site)[0]
    assert minisign(target / "manifest.json", old).returncode == 0
    refused = minisign(target / "manifest.json", new)
    assert refused.returncode != 0
    for one in listed(site).keys:  # it prints both ids as we do, but for zeros at their beginning
        assert one.id.lstrip("0").encode() in refused.stderr + refused.stdout
    assert minisign(site.published / "keys.json", new).returncode == 0
    assert minisign(site.published / "keys.json", old).returncode != 0

    following = Path(shutil.copy(new, tmp_path / "minisign.pub"))
    following.with_name("minisign.pub.minisig").write_text(listed(site).current.predecessor)
    assert minisign(following, old).returncode == 0

    key_changes.revoke(site, listed(site).keys[0].id, STOLEN, "ops")
    done = minisign(target / "manifest.json", listed(site).current.public_key)
    assert (done.returncode, b"resealed:" in done.stdout) == (0, True)


def test_the_commands_tell_states_and_never_a_secret(
    site: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LEDGER_VARIABLE, "")
    taken, secrets = shutil.copytree(folders(site)[0], tmp_path / "taken"), []
    old = listed(site).current.id

    def run(*arguments: str) -> Result:
        done = CliRunner().invoke(main, ["--home", str(site.home), *arguments])
        secrets.append((site.signing_keys / "minisign.key").read_text().splitlines()[1])
        assert not [secret for secret in secrets if secret in done.output]
        return done

    assert f"{old}: current" in run("keys", "list").output
    refused = run("keys", "make")
    assert (refused.exit_code, "made once" in refused.output) == (10, True)
    assert f"{old}: retired" in run("keys", "rotate", "--reason", "yearly").output
    assert "for this reason already" in run("keys", "rotate", "--reason", "yearly").output
    assert "Signed anew: 5" in run("keys", "revoke", old, "--reason", STOLEN).output
    assert f"revoked {listed(site).keys[0].since[:16]}: {STOLEN}" in run("keys", "publish").output
    assert run("keys", "revoke", "0" * 16, "--reason", STOLEN).exit_code == 10
    key, keys = (str(site.published / name) for name in ("minisign.pub", "keys.json"))
    done = run("verify", str(taken), "--key", key, "--keys", keys)
    assert (done.exit_code, f"revoked key {old}" in done.output) == (11, True)
    assert run("verify", str(taken), "--key", key).exit_code == 11
    assert run("verify", str(folders(site)[0]), "--public-key", key).exit_code == 0
