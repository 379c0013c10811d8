"""Withdrawn: the bundles are gone, tombstones with the reason stay, and nothing is lost where a run is killed."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import LedgerError, NotApprovedError, PublicationError, VerificationError
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files, shelf, withdrawal
from pipeline.publication.key_changes import revoke
from pipeline.publication.key_ring import signing_key
from pipeline.publication.signing import sign
from pipeline.publication.verify import keys_for, verify_bundle, verify_tombstone
from pipeline.publication.withdrawal import take_away, withdraw
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace
from tests.reviewing import reviewer
from tests.unit.rights.homes import KEY, draw_weekly, enter, publish_weekly, write_home

REASON = "The logs of Friday were missing"
PLACES = ("partner", "reseller")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = enter(monkeypatch, write_home(tmp_path / "site").home)
    draw_weekly(workspace)
    publish_weekly(workspace)
    return workspace


def place(workspace: Workspace, audience: str) -> Path:
    return workspace.published / audience / KEY.release / KEY.period / "r1"


def index(workspace: Workspace, audience: str) -> dict[str, object]:
    shown = json.loads((workspace.published / audience / "index.json").read_bytes())
    found: dict[str, object] = shown["products"][0]["periods"][0]["revisions"][0]
    return found


def test_what_is_withdrawn_is_gone_for_all_and_says_why(published: Workspace) -> None:
    before = index(published, "partner")
    assert withdraw(published, KEY, reviewer(published, "ben"), REASON) is True
    for audience in PLACES:
        assert {path.name for path in place(published, audience).iterdir()} == {
            "WITHDRAWN.json", "WITHDRAWN.json.minisig"
        }  # fmt: skip
        stone = verify_tombstone(place(published, audience), keys_for(str(published.signing_keys / "minisign.pub")))
        assert (stone.reason, stone.revision) == (REASON, 1)
        assert not (published.published / audience / KEY.release / "latest.json").exists()
        told = (published.published / audience / "CHANGELOG.md").read_text("utf-8")
        assert f"r1: withdrawn, do not use it any more: {REASON}" in told
        assert "first published" in told
    after = index(published, "partner")
    assert (after["status"], after["reason"]) == ("withdrawn", REASON)
    assert after["manifest_sha256"] == before["manifest_sha256"]


def test_who_verifies_a_withdrawn_bundle_is_told_that_it_is_withdrawn(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    with pytest.raises(VerificationError, match=f"withdrawn on .*: {REASON}"):
        verify_bundle(place(published, "partner"))


def test_a_tombstone_that_the_publisher_did_not_sign_is_none(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    stone = place(published, "partner") / "WITHDRAWN.json"
    stone.write_text(stone.read_text().replace("Friday", "Monday"))
    with pytest.raises(VerificationError, match="signed by the publisher"):
        verify_tombstone(place(published, "partner"))


def test_tombstones_are_signed_anew_where_a_key_is_revoked_and_those_of_nobody_are_not(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    forged, former = place(published, "reseller") / "WITHDRAWN.json", signing_key(published)
    forged.write_bytes(forged.read_bytes().replace(b"Friday", b"Monday"))
    signature = sign(former, forged.read_bytes(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "forged", forged.name)
    forged.with_name("WITHDRAWN.json.minisig").write_bytes(signature)
    verify_tombstone(forged.parent)
    before = (place(published, "partner") / "WITHDRAWN.json").read_bytes()
    found = revoke(published, "current", "a laptop was stolen", "ops").resealed
    assert (found.places, found.refused) == ((f"partner/{KEY}",), (f"reseller/{KEY}",))
    assert verify_tombstone(place(published, "partner")).reason == REASON
    assert (place(published, "partner") / "WITHDRAWN.json").read_bytes() == before
    with pytest.raises(VerificationError, match="revoked key"):
        verify_tombstone(forged.parent)


def test_it_is_withdrawn_once_and_a_second_time_changes_nothing(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    before = (place(published, "partner") / "WITHDRAWN.json").read_bytes()
    assert withdraw(published, KEY, reviewer(published, "ana"), "another reason") is False
    assert (place(published, "partner") / "WITHDRAWN.json").read_bytes() == before


@pytest.mark.parametrize("step", ["_put_up", "fill_folder", "rmtree", "sync_folder", "refresh"])
def test_what_is_killed_in_between_is_mended_by_doing_it_again(
    published: Workspace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    where = {"fill_folder": files, "rmtree": shutil, "refresh": shelf}
    ben = reviewer(published, "ben")
    with monkeypatch.context() as patch:
        patch.setattr(where.get(step, withdrawal), step, kill)
        with pytest.raises(Killed):
            withdraw(published, KEY, ben, REASON)
    assert withdraw(published, KEY, ben, REASON) is False
    for audience in PLACES:
        assert (place(published, audience) / "WITHDRAWN.json").is_file()
        assert not list(place(published, audience).parent.glob(".*"))
        assert index(published, audience)["status"] == "withdrawn"


def test_a_tombstone_comes_where_somebody_removed_the_bundle(published: Workspace) -> None:
    bundle = place(published, "partner")
    bundle.rename(bundle.with_name("elsewhere"))
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    assert (bundle / "WITHDRAWN.json").is_file()


def test_without_a_reviewers_word_nothing_is_taken_away(published: Workspace) -> None:
    with pytest.raises(LedgerError, match="published and withdrawn"):
        take_away(published, Ledger.open(published.ledger), KEY)
    with pytest.raises(NotApprovedError, match="in one line"):
        withdraw(published, KEY, reviewer(published, "ben"), "")
    with pytest.raises(LedgerError, match="must be drawn before"):
        withdraw(published, ReleaseKey("weekly", "2026-W50"), reviewer(published, "ben"), REASON)
    verify_bundle(place(published, "partner"))


def test_a_tombstone_that_cannot_be_read_is_named(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    (place(published, "partner") / "WITHDRAWN.json").write_text("{}")
    with pytest.raises(PublicationError, match=r"WITHDRAWN\.json"):
        take_away(published, Ledger.open(published.ledger), KEY)


def test_it_is_not_published_again(published: Workspace) -> None:
    withdraw(published, KEY, reviewer(published, "ben"), REASON)
    with pytest.raises(NotApprovedError, match="withdrawn by ben"):
        Register.of(published).approval(KEY)
